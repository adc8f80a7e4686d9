// Package seal encrypts chunks of content so that they can be read in parts, and
// wraps the keys that do it.
//
//	ring, err := seal.NewRing(houseKey, earlierHouseKeys...)
//	dataKey := seal.NewKey()           // one a pack, random
//	wrapped := ring.Wrap(dataKey)      // what is written beside the pack
//
//	s, err := seal.NewSealer(dataKey)
//	buf = s.Seal(buf[:0], chunk, offsetInPack, chunkHash)
//	chunk, err = s.Open(chunk[:0], buf, offsetInPack, chunkHash)
//
//	at := seal.Frames(off, n, len(chunk)) // a range costs its frames only
//	part, err = s.OpenFrames(part[:0], buf[at.Off:at.Off+at.Len], offsetInPack, chunkHash, at.First, len(chunk))
//	part = part[at.Skip:][:n]
//
// The format of a sealed chunk is a row of frames: FrameSize bytes of the chunk
// (the last frame has the rest: 1 to FrameSize bytes, or none for an empty chunk)
// encrypted with AES-256-GCM (NIST SP 800-38D) and followed by its tag of 16 bytes.
// All numbers are big-endian.
//
//	nonce           = place (8 bytes) | number of the frame in its chunk (4 bytes)
//	associated data = id | number of the frame (4 bytes) | 1 for the last frame, else 0 (1 byte)
//
// That is the idea of STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: "Online
// authenticated-encryption and its nonce-reuse misuse-resistance", 2015) with the
// nonce's prefix being where the chunk lies in its pack. A frame therefore opens
// only in its own pack (the key), place, chunk (the id) and position, and a chunk
// that lost its end has no last frame. There is no header: the pack has it.
//
// What the caller must hold, and what follows:
//
//   - Under one data key, a place is sealed once. Two different contents sealed at
//     one place under one key give away their difference and the key to forgeries
//     (SP 800-38D, 8.2.1 lets nonces be counted as long as none comes twice). A pack
//     whose writing is begun anew gets a new data key.
//   - A chunk has at most MaxPlain bytes. 2^36 bytes under one data key (2,048 packs
//     of 32 MiB; a pack has a key of its own) are 2^32 blocks: an attacker's
//     advantage over chance is then below 2^-64. A forged frame is taken with a
//     probability below 2^-115 a try (4,098 blocks of frame and associated data).
//   - Wrapped keys have random nonces: at most 2^32 of them under one house key
//     (SP 800-38D, 8.3), which is 128 PiB in packs of 32 MiB.
//   - Sizes are not hidden: a sealed chunk is SealedSize(n) bytes long.
//   - AES-GCM does not commit to its key: whoever knows two data keys can make bytes
//     that open under both. Content is named by its hash, which says which is meant;
//     the reader of a whole chunk compares it.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
)

const (
	// KeySize is the bytes of house keys and data keys.
	KeySize = 32
	// FrameSize is how many bytes of a chunk a frame holds.
	FrameSize = 64 << 10
	// Overhead is how many bytes a frame adds.
	Overhead = 16
	// MaxPlain is the most bytes that one Seal takes.
	MaxPlain = 1 << 30

	nonceSize   = 12
	sealedFrame = FrameSize + Overhead
)

// ErrBad says that bytes were changed, cut, moved or sealed under another key.
var ErrBad = errors.New("sealed bytes do not open: damaged, moved, or of another key")

// Sealer seals chunks under one data key. It is safe for concurrent use.
type Sealer struct {
	aead    cipher.AEAD
	scratch sync.Pool // of *scratch
}

// scratch holds what would otherwise escape to the heap for each frame.
type scratch struct {
	nonce [nonceSize]byte
	ad    []byte
}

// NewSealer makes the sealer of a data key.
func NewSealer(dataKey []byte) (*Sealer, error) {
	aead, err := newGCM(dataKey)
	if err != nil {
		return nil, fmt.Errorf("make the cipher of a data key: %w", err)
	}
	s := &Sealer{aead: aead}
	s.scratch.New = func() any { return new(scratch) }
	return s, nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("a key has %d bytes, not %d", KeySize, len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// SealedSize returns how long a chunk of plain bytes is when sealed.
func SealedSize(plain int) int { return plain + frames(plain)*Overhead }

// PlainSize returns how long a chunk is whose sealed form has sealed bytes; false
// when no chunk has that form.
func PlainSize(sealed int) (int, bool) {
	rest := sealed % sealedFrame
	plain := sealed - (sealed+sealedFrame-1)/sealedFrame*Overhead
	return plain, rest == 0 && sealed > 0 || rest > Overhead || sealed == Overhead
}

// frames counts the frames of a chunk; an empty one has one frame, which says so.
func frames(plain int) int { return max(1, (plain+FrameSize-1)/FrameSize) }

// Seal appends the sealed form of plain to dst, which must not overlap it, and
// returns the whole. place is unique under this data key; id names the chunk.
// It allocates only where dst has no room for SealedSize(len(plain)) bytes more.
func (s *Sealer) Seal(dst, plain []byte, place uint64, id []byte) []byte {
	if len(plain) > MaxPlain {
		panic(fmt.Sprintf("seal: a chunk of %d bytes", len(plain))) // a mistake of the program
	}
	t := s.begin(place, id)
	dst = slices.Grow(dst, SealedSize(len(plain)))
	for n, last := 0, frames(len(plain))-1; n <= last; n++ {
		frame := plain[n*FrameSize : min((n+1)*FrameSize, len(plain))]
		t.at(n, n == last)
		dst = s.aead.Seal(dst, t.nonce[:], frame, t.ad)
	}
	s.scratch.Put(t)
	return dst
}

// Open appends the chunk whose sealed form is sealed to dst, which must not overlap
// it, and returns the whole. Any fault is ErrBad, and then nothing is returned.
func (s *Sealer) Open(dst, sealed []byte, place uint64, id []byte) ([]byte, error) {
	plain, ok := PlainSize(len(sealed))
	if !ok {
		return nil, ErrBad
	}
	return s.OpenFrames(dst, sealed, place, id, 0, plain)
}

// Span is a run of a sealed chunk's frames.
type Span struct {
	First int // number of the first frame
	Off   int // where the first frame begins in the sealed form
	Len   int // bytes of the sealed form
	Skip  int // bytes of the first frame before what was asked for
}

// Frames returns which part of the sealed form of a chunk of plain bytes holds its
// n bytes from off on. What lies beyond the chunk is left off; an empty range has an
// empty span.
func Frames(off, n, plain int) Span {
	off = min(max(off, 0), plain)
	n = min(max(n, 0), plain-off)
	if n == 0 {
		return Span{}
	}
	first, end := off/FrameSize, (off+n+FrameSize-1)/FrameSize
	from := first * sealedFrame
	return Span{First: first, Off: from, Len: min(end*sealedFrame, SealedSize(plain)) - from, Skip: off % FrameSize}
}

// OpenFrames appends what part holds to dst, which must not overlap it: whole frames
// from number first on of the sealed form of a chunk of plain bytes. Any fault, a
// plain that is not the chunk's in a part with its last frame too, is ErrBad.
func (s *Sealer) OpenFrames(dst, part []byte, place uint64, id []byte, first, plain int) ([]byte, error) {
	if first < 0 || plain < 0 || plain > MaxPlain {
		return nil, ErrBad
	}
	t := s.begin(place, id)
	defer s.scratch.Put(t)
	dst = slices.Grow(dst, len(part))
	for n, last := first, frames(plain)-1; len(part) > 0; n++ {
		size := sealedFrame
		if n == last {
			size = plain - last*FrameSize + Overhead
		}
		if n > last || len(part) < size {
			return nil, ErrBad
		}
		t.at(n, n == last)
		var err error
		if dst, err = s.aead.Open(dst, t.nonce[:], part[:size], t.ad); err != nil {
			return nil, ErrBad
		}
		part = part[size:]
	}
	return dst, nil
}

// begin takes a scratch for the frames of one chunk.
func (s *Sealer) begin(place uint64, id []byte) *scratch {
	t := s.scratch.Get().(*scratch)
	binary.BigEndian.PutUint64(t.nonce[:], place)
	t.ad = append(append(t.ad[:0], id...), 0, 0, 0, 0, 0)
	return t
}

// at turns to frame n.
func (t *scratch) at(n int, last bool) {
	binary.BigEndian.PutUint32(t.nonce[8:], uint32(n))
	end := t.ad[len(t.ad)-5:]
	binary.BigEndian.PutUint32(end, uint32(n))
	end[4] = 0
	if last {
		end[4] = 1
	}
}
