// Package cdc cuts content into chunks where the content itself says so, so that an
// edited copy shares all chunks with the original but those that were edited.
//
//	cutter, err := cdc.New(key, cdc.Default)
//	r := cdc.NewReader(cutter, body, nil)
//	for {
//		chunk, err := r.Next() // valid until the next call
//		if err == io.EOF {
//			break
//		}
//		...
//	}
//
// How a cut is found. A gear hash (Xia et al., "FastCDC", USENIX ATC 2016, and IEEE
// TPDS 2020, from which the two bytes a step are too) rolls over the last 63 bytes;
// where nine bits of it are 0 is a candidate. For each candidate SipHash-2-4
// (Aumasson, Bernstein 2012) of the last 64 bytes decides: below a threshold it is
// taken. Bytes before Min are skipped, and the threshold is lower before a normal
// size and higher after it (FastCDC's normalised chunking), which keeps sizes close
// to Avg; it is set so that the true average on random bytes is Avg. The chunk does
// not end at the candidate but up to Avg/32 bytes after it; how many, other bits of
// the same SipHash say.
//
// What holds:
//
//   - The chunks of any input, put together, are the input. Each has Min to Max
//     bytes; the last may have fewer.
//   - Cuts depend on the key, the sizes and the bytes alone: not on how they come in,
//     the machine, or the process.
//   - Between two cuts, only the bytes since the first matter. After a change, cuts
//     are the same again from the first one that both find: soon, since thresholds
//     are nested.
//   - Memory is one buffer of a few MiB a reader.
//
// What the key gives. Whoever sees the sizes of sealed chunks could otherwise cut a
// file that he knows and look for its sizes. Chunkers whose rolling hash alone
// decides give their secret away through the sizes of known or chosen content,
// gear tables too (Truong, Merz, Scarlata, Günther, Paterson: "Breaking and Fixing
// Content-Defined Chunking", CCS 2025; Alexeev, Percival, Zhang: "Chunking Attacks on
// File Backup Services using Content-Defined Chunking", 2025). So here a
// pseudo-random function has the word, as the first of them proposes. To ask it at
// every byte is too slow; the gear hash picks one position in 512. That alone would
// say of each cut that it is a candidate, nine bits for whoever learned the gear
// table with content of his choice. But a chunk ends at a distance from its candidate
// that nobody without the key can tell, and sixteen candidates lie within that
// distance, so it says only that they are a bit denser there: about 0.05 bits a cut
// (1/(2*16) nats), to him who has the table, and nothing to others.
//
// What it does not give. An attacker of that strength still tells a file of some
// hundred MiB, and sooner one in which little varies, where candidates are few.
// Lengths of whole contents stay visible, and what has fewer than Min bytes is one
// chunk, whatever the key. Runs and short periods cut into chunks of equal size. How
// well a chunk can be compressed, and the time it took, depend on its bytes.
//
// The key must outlive the house's: with another key, the same content is cut
// elsewhere and shares nothing with what is stored.
package cdc

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// Params are the sizes of chunks, in bytes.
type Params struct {
	Min int // no chunk is smaller but the last: at least 64, at most Avg/2
	Avg int // the mean on random bytes: at least 4 KiB, at most 256 MiB
	Max int // no chunk is larger: at least 2 Avg, at most 1 GiB
}

// Default is what the house's content is cut with.
var Default = Params{Min: 64 << 10, Avg: 256 << 10, Max: 1 << 20}

// KeySize is the bytes of a key.
const KeySize = 32

// steep is by how much cuts are likelier after the normal size, and less likely
// before it, than once in Avg: FastCDC's level 2.
const steep = 4

// Cutter finds where chunks end. It is safe for concurrent use.
type Cutter struct {
	p           Params
	normal      int       // where the threshold changes from early to late
	spread      uint64    // a power of two: cuts lie 0 to spread-1 bytes after candidates
	early, late uint64    // a candidate whose value is lower is taken
	gears       *gears    // picks candidates
	prf         [2]uint64 // SipHash's key, decides on them
}

// New makes the cutter of a key. Equal keys and sizes cut equally, for ever.
func New(key []byte, p Params) (*Cutter, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("a chunker's key has %d bytes, not %d", KeySize, len(key))
	}
	if p.Min < window || p.Min > p.Avg/2 || p.Avg < 4<<10 || p.Avg > 256<<20 || p.Max/2 < p.Avg || p.Max > 1<<30 {
		return nil, fmt.Errorf("chunks cannot have %d to %d bytes, %d on average", p.Min, p.Max, p.Avg)
	}
	secret, err := hkdf.Key(sha256.New, key, nil, "plumb cas chunker v1", 2*8+256*8)
	if err != nil {
		return nil, fmt.Errorf("derive the chunker's tables: %w", err)
	}
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(secret[8*i:]) }
	c := &Cutter{p: p, gears: new(gears), prf: [2]uint64{word(0), word(1)}}
	for b := range 256 {
		c.gears.one[b] = word(2 + b)
		c.gears.two[b] = word(2+b) << 1
	}
	c.spread = 1 << (bits.Len(uint(p.Avg)) - 1 - 5)
	c.calibrate()
	return c, nil
}

// calibrate sets the thresholds. Beyond Min, a cut comes once in steep*Avg bytes up
// to the normal size, and once in Avg/steep after it; so of chunks, a share of
// e^(-(normal-Min)/(steep*Avg)) pass the normal size, and the mean is
//
//	Min + spread/2 + steep*Avg*(1-share) + Avg/steep*share
//
// Max is so far that it changes nothing. The normal size is rounded, so that the last
// bits of a machine's logarithm do not matter.
func (c *Cutter) calibrate() {
	avg, first := float64(c.p.Avg), float64(c.p.Min)+float64(c.spread-1)/2
	share := (steep*avg + first - avg) / (steep*avg - avg/steep)
	c.normal = c.p.Min + int(math.Round(-steep*avg*math.Log(share)/window))*window
	// A candidate comes once in 1/candidates bytes, so the threshold is 2^64 times
	// candidates times one of the rates above.
	c.early, _ = bits.Div64(candidates/steep, 0, uint64(c.p.Avg))
	c.late, _ = bits.Div64(candidates*steep, 0, uint64(c.p.Avg))
}

// Max returns the most bytes of a chunk.
func (c *Cutter) Max() int { return c.p.Max }

// Cut returns the length of the first chunk in buf, which begins where a chunk
// begins. It is 0 when buf is too short to tell; when eof says that nothing comes
// after buf, it is 0 for an empty one only. With Max bytes in buf it always tells.
func (c *Cutter) Cut(buf []byte, eof bool) int {
	buf = buf[:min(len(buf), c.p.Max)]
	if n := c.find(buf); n <= len(buf) {
		return n
	}
	if eof || len(buf) == c.p.Max {
		return len(buf)
	}
	return 0
}

// never is beyond every buffer.
const never = math.MaxInt

// lane is how many bytes are looked at in one go, and again as many beside them.
const lane = 4 << 10

// find returns where the chunk at buf's beginning ends, which may be beyond buf.
func (c *Cutter) find(buf []byte) int {
	// Cuts lie between Min and Max, so candidates end before Max.
	end := min(len(buf), c.p.Max-int(c.spread)+1)
	judge := judge{c: c, buf: buf}
	var h uint64
	for at := c.p.Min; at < end; {
		// The second lane overlaps the first where what is left is odd.
		n := min(lane, (end-at+1)/2)
		second := min(at+n, end-n)
		if at == c.p.Min {
			h = c.gears.before(buf, at)
		}
		k, later := c.gears.before(buf, second), never
		for i := 0; i < n; {
			var took int
			took, h, k = c.gears.pair(buf[at+i:at+n], buf[second+i:second+n], h, k)
			i += took
			if h&rare == 0 {
				if cut := judge.cut(at+i, h); cut != never {
					return cut
				}
			}
			if k&rare == 0 && later == never {
				later = judge.cut(second+i, k)
			}
		}
		if later != never {
			return later
		}
		at, h = second+n, k
	}
	return never
}

// judge decides on candidates in a buffer.
type judge struct {
	c           *Cutter
	buf         []byte
	last, value uint64 // in a run of equal bytes, SipHash is asked once
	asked       bool
}

// cut returns where the chunk ends for a candidate after at bytes with hash h, or
// never.
func (j *judge) cut(at int, h uint64) int {
	if h <<= 1; h != j.last || !j.asked { // without bit 63, which is not the hash's
		j.last, j.asked = h, true
		j.value = sip(&j.c.prf, (*[window]byte)(j.buf[at-window:]))
	}
	limit := j.c.late
	if at <= j.c.normal {
		limit = j.c.early
	}
	if j.value >= limit {
		return never
	}
	return at + int(j.value&(j.c.spread-1))
}
