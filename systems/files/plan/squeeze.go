package plan

import (
	"bytes"

	"github.com/klauspost/compress/zstd"
)

// What the store does to a chunk before it seals it, by the same rule and the same
// library, so that a sample needs no store. A test holds the two together.

const (
	sampleSize = 4 << 10
	probeSize  = 16 << 10
)

// dense are the first bytes of formats that are compressed already.
var dense = []struct {
	at    int
	magic string
}{
	{0, "\xff\xd8\xff"}, {0, "\x89PNG"}, {0, "GIF8"}, {0, "PK\x03\x04"}, {0, "\x1f\x8b"}, {0, "\x28\xb5\x2f\xfd"}, {0, "\xfd7zXZ"},
	{0, "BZh"}, {0, "7z\xbc\xaf"}, {0, "Rar!"}, {4, "ftyp"}, {0, "\x1a\x45\xdf\xa3"}, {0, "OggS"}, {0, "fLaC"}, {0, "ID3"}, {0, "\xff\xfb"}, {8, "WEBP"},
}

func isDense(head []byte) bool {
	for _, d := range dense {
		if len(head) >= d.at && bytes.HasPrefix(head[d.at:], []byte(d.magic)) {
			return true
		}
	}
	return false
}

// looksRandom says whether a sample's bytes are as even as random ones.
func looksRandom(b []byte) bool {
	var counts [256]int
	for _, c := range b {
		counts[c]++
	}
	sum := 0
	for _, n := range counts {
		sum += n * n
	}
	n := len(b)
	return sum < (n*n/256+n)*21/20
}

// squeezer measures what is left of a chunk after compression. It is not safe for
// concurrent use.
type squeezer struct {
	enc *zstd.Encoder
	out []byte
}

func newSqueezer() (*squeezer, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, err
	}
	return &squeezer{enc: enc}, nil
}

// size returns the bytes that are stored of a chunk of a file that begins with head.
func (s *squeezer) size(plain, head []byte) int {
	if len(plain) < 128 || isDense(head) || looksRandom(plain[:min(len(plain), sampleSize)]) {
		return len(plain)
	}
	pays := func(packed, plain int) bool { return packed < plain-plain/16 }
	if len(plain) > 2*probeSize {
		if s.out = s.enc.EncodeAll(plain[:probeSize], s.out[:0]); !pays(len(s.out), probeSize) {
			return len(plain)
		}
	}
	if s.out = s.enc.EncodeAll(plain, s.out[:0]); !pays(len(s.out), len(plain)) {
		return len(plain)
	}
	return len(s.out)
}
