package cas

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Codecs of a chunk.
const (
	codecNone = 0
	codecZstd = 1
)

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

// squeeze compresses a chunk where a measurement of its beginning, and then the chunk
// itself, say that more than a sixteenth is saved. nil: it stays as it is.
func (s *Store) squeeze(plain, head []byte) (*buffer, int64) {
	if len(plain) < 128 || isDense(head) || looksRandom(plain[:min(len(plain), sampleSize)]) {
		return nil, codecNone
	}
	enc := encoders.Get().(*zstd.Encoder)
	defer encoders.Put(enc)
	out := s.takeBuffer()
	if len(plain) > 2*probeSize {
		out.b = enc.EncodeAll(plain[:probeSize], out.b[:0])
		if !pays(len(out.b), probeSize) {
			s.giveBuffer(out)
			return nil, codecNone
		}
	}
	out.b = enc.EncodeAll(plain, out.b[:0])
	if !pays(len(out.b), len(plain)) {
		s.giveBuffer(out)
		return nil, codecNone
	}
	return out, codecZstd
}

func pays(packed, plain int) bool { return packed < plain-plain/16 }

var encoders = sync.Pool{New: func() any {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(maxChunk), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false),
		zstd.WithAllLitEntropyCompression(true)) // what looks random was sorted out before
	if err != nil {
		panic(err) // the options are constants
	}
	return e
}}

var decoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxChunk), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(err)
	}
	return d
}}

// expand undoes squeeze, into dst.
func expand(dst, packed []byte, size int64) ([]byte, error) {
	d := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(d)
	out, err := d.DecodeAll(packed, dst[:0])
	if err == nil && int64(len(out)) != size {
		err = fmt.Errorf("it unpacks to %d bytes, not %d", len(out), size)
	}
	return out, err
}
