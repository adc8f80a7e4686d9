package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/cas/seal"
)

// An object: a head, then the note and the content, sealed. Numbers are big-endian.
//
//	"plumb copy" and a zero (11 bytes) | version 1 (1) | note's bytes (4) | content's bytes (8) | data key, wrapped
//	the note, sealed at place 0
//	each MiB of the content, sealed at places 1, 2, ...
//
// The id that they are sealed for is the SHA-256 of the head without its wrapped key and
// of the object's own key, so that neither a length nor a place can be changed.
const (
	magic     = "plumb copy\x00\x01"
	headSize  = len(magic) + 4 + 8
	wholeHead = headSize + seal.WrappedSize
	part      = 1 << 20
)

// maxContent is the most bytes of an object's content.
const maxContent = int64(16) << 30

// sealedSize is how long n bytes of content are in the object.
func sealedSize(n int64) int64 {
	whole, rest := n/part, n%part
	size := whole * int64(seal.SealedSize(part))
	if rest > 0 {
		size += int64(seal.SealedSize(int(rest)))
	}
	return size
}

func head(note int, size int64) []byte {
	h := make([]byte, 0, wholeHead)
	h = append(h, magic...)
	h = binary.BigEndian.AppendUint32(h, uint32(note))
	return binary.BigEndian.AppendUint64(h, uint64(size))
}

func sealID(head []byte, key string) []byte {
	h := sha256.New()
	h.Write(head)
	io.WriteString(h, key)
	return h.Sum(nil)
}

// write stores one object.
func (v *Vault) write(ctx context.Context, b bucket.Bucket, key string, note []byte, r io.ReaderAt, size int64) error {
	if size < 0 || size > maxContent {
		return errs.New(errs.TooLarge, "a copy has up to %d bytes, not %d", maxContent, size)
	}
	dataKey := seal.NewKey() // a new one each time: a place is sealed once under a key
	s, err := seal.NewSealer(dataKey)
	if err != nil {
		return fmt.Errorf("seal a copy: %w", err)
	}
	h := head(len(note), size)
	w := &sealing{sealer: s, id: sealID(h, key), from: r, left: size}
	w.out = s.Seal(append(h, v.ring.Wrap(dataKey)...), note, 0, w.id)
	return b.Put(ctx, key, w, int64(len(w.out))+sealedSize(size), bucket.PutOptions{})
}

// sealing reads content sealed.
type sealing struct {
	sealer *seal.Sealer
	id     []byte
	from   io.ReaderAt
	done   int64 // of the content
	left   int64
	place  uint64
	plain  []byte
	buf    []byte // what out lies in
	out    []byte // sealed and not read yet
}

func (w *sealing) Read(p []byte) (int, error) {
	if len(w.out) == 0 {
		if w.left == 0 {
			return 0, io.EOF
		}
		n := min(w.left, part)
		if w.plain == nil {
			w.plain = make([]byte, n)
		}
		if got, err := w.from.ReadAt(w.plain[:n], w.done); int64(got) < n {
			return 0, fmt.Errorf("read what is to be copied: %w", noEOF(err))
		}
		w.place++
		w.done, w.left = w.done+n, w.left-n
		w.buf = w.sealer.Seal(w.buf[:0], w.plain[:n], w.place, w.id)
		w.out = w.buf
	}
	n := copy(p, w.out)
	w.out = w.out[n:]
	return n, nil
}

// noEOF says that the end came too early.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Reader reads a copy's content: io.ReadSeekCloser and io.ReaderAt, by one goroutine.
type Reader struct {
	Note   []byte
	Holder int64 // the shard that it lies at

	ctx    context.Context
	b      bucket.Bucket
	key    string
	sealer *seal.Sealer
	id     []byte
	size   int64
	start  int64 // of the content in the object
	pos    int64
	at     int64 // the part that plain holds; -1: none
	sealed []byte
	plain  []byte
}

// open reads an object's head and note.
func (v *Vault) open(ctx context.Context, b bucket.Bucket, key string) (*Reader, error) {
	in, err := b.Get(ctx, key, 0, int64(wholeHead+seal.SealedSize(MaxNote)))
	if err != nil {
		return nil, err
	}
	defer in.Close()
	h := make([]byte, wholeHead)
	if _, err := io.ReadFull(in, h); err != nil || !bytes.HasPrefix(h, []byte(magic)) {
		return nil, errs.New(errs.Internal, "%s is no copy", key)
	}
	note, size := binary.BigEndian.Uint32(h[len(magic):]), int64(binary.BigEndian.Uint64(h[len(magic)+4:]))
	if note > MaxNote || size < 0 || size > maxContent {
		return nil, errs.New(errs.Internal, "%s is damaged: its head tells of %d and %d bytes", key, note, size)
	}
	dataKey, err := v.ring.Unwrap(h[headSize:])
	if err != nil {
		return nil, errs.Wrap(errs.Internal, err, "open %s", key)
	}
	s, err := seal.NewSealer(dataKey)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", key, err)
	}
	sealed := make([]byte, seal.SealedSize(int(note)))
	if _, err := io.ReadFull(in, sealed); err != nil {
		return nil, errs.New(errs.Internal, "%s is damaged: it ends in its note", key)
	}
	r := &Reader{ctx: ctx, b: b, key: key, sealer: s, id: sealID(h[:headSize], key), size: size, start: int64(wholeHead + len(sealed)), at: -1}
	if r.Note, err = s.Open(nil, sealed, 0, r.id); err != nil {
		return nil, errs.Wrap(errs.Internal, err, "open %s", key)
	}
	return r, nil
}

// Size returns the content's bytes.
func (r *Reader) Size() int64 { return r.size }

// Close ends the reader.
func (r *Reader) Close() error { return nil }

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.ReadAt(p, r.pos)
	r.pos += int64(n)
	if n > 0 {
		return n, nil
	}
	return n, err
}

// Seek implements io.Seeker.
func (r *Reader) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += r.pos
	case io.SeekEnd:
		off += r.size
	}
	if off < 0 {
		return 0, errs.New(errs.Invalid, "seek before the beginning of %s", r.key)
	}
	r.pos = off
	return off, nil
}

// ReadAt implements io.ReaderAt. It keeps the part that it read last.
func (r *Reader) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		if off >= r.size {
			return n, io.EOF
		}
		if err := r.load(off / part); err != nil {
			return n, err
		}
		got := copy(p[n:], r.plain[off%part:])
		n, off = n+got, off+int64(got)
	}
	return n, nil
}

// load opens one part.
func (r *Reader) load(no int64) error {
	if r.at == no {
		return nil
	}
	n := min(r.size-no*part, part)
	sealed := seal.SealedSize(int(n))
	in, err := r.b.Get(r.ctx, r.key, r.start+no*int64(seal.SealedSize(part)), int64(sealed))
	if err != nil {
		return fmt.Errorf("read %s: %w", r.key, err)
	}
	defer in.Close()
	if cap(r.sealed) < sealed {
		r.sealed = make([]byte, sealed)
	}
	r.sealed, r.at = r.sealed[:sealed], -1
	if _, err := io.ReadFull(in, r.sealed); err != nil {
		return errs.New(errs.Internal, "%s is damaged: it ends in part %d", r.key, no+1)
	}
	if r.plain, err = r.sealer.Open(r.plain[:0], r.sealed, uint64(no)+1, r.id); err != nil {
		return errs.Wrap(errs.Internal, err, "%s: part %d", r.key, no+1)
	}
	r.at = no
	return nil
}
