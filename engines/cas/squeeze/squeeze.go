// Package squeeze compresses chunks where it pays, by a measurement of each, and costs
// next to nothing where it does not: content that is compressed already, or encrypted,
// is told by its first bytes and by how evenly they are spread.
//
//	packed, ok := squeeze.Pack(nil, chunk, head) // head: how the whole content begins
//	if ok {
//		chunk, err = squeeze.Unpack(nil, packed, int64(len(chunk)))
//	}
//
// The format is Zstandard's (RFC 8878), without checksums: whoever keeps chunks has
// better ones.
package squeeze

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// MaxSize is the most bytes of a chunk.
const MaxSize = 1 << 20

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

// looksRandom says whether a sample's bytes are as even as random ones: the sum of the
// squares of their counts is n²/256 + n on average there.
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

// Pack compresses a chunk of content that begins with head, into dst, where a
// measurement of the chunk's beginning, and then the chunk itself, say that more than a
// sixteenth is saved. false: it stays as it is; dst may be written to all the same.
func Pack(dst, plain, head []byte) (packed []byte, ok bool) {
	if len(plain) < 128 || isDense(head) || looksRandom(plain[:min(len(plain), sampleSize)]) {
		return dst, false
	}
	enc := encoders.Get().(*zstd.Encoder)
	defer encoders.Put(enc)
	if len(plain) > 2*probeSize {
		if dst = enc.EncodeAll(plain[:probeSize], dst[:0]); !pays(len(dst), probeSize) {
			return dst, false
		}
	}
	dst = enc.EncodeAll(plain, dst[:0])
	return dst, pays(len(dst), len(plain))
}

func pays(packed, plain int) bool { return packed < plain-plain/16 }

var encoders = sync.Pool{New: func() any {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(MaxSize), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false),
		zstd.WithAllLitEntropyCompression(true)) // what looks random was sorted out before
	if err != nil {
		panic(err) // the options are constants
	}
	return e
}}

var decoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxSize), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(err)
	}
	return d
}}

// Unpack undoes Pack, into dst. What does not unpack to size bytes is an error.
func Unpack(dst, packed []byte, size int64) ([]byte, error) {
	d := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(d)
	out, err := d.DecodeAll(packed, dst[:0])
	if err == nil && int64(len(out)) != size {
		err = fmt.Errorf("it unpacks to %d bytes, not %d", len(out), size)
	}
	return out, err
}
