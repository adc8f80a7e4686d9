package cas

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"

	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/cas/seal"
	"plumb/engines/cas/squeeze"
	"plumb/engines/sqldb"
)

// source reads chunks, for one goroutine. It keeps what it read last.
type source struct {
	s      *Store
	bucket bucket.Bucket
	file   *os.File // of the pack named pack; nil where the bucket has no files
	pack   string
	until  int64 // where in the pack it is worth reading ahead to

	// An answer of the bucket that is read from front to back.
	stream         io.ReadCloser
	streamAt, rest int64

	raw, plain []byte
	have       Hash // the chunk whose content from byte from on is in view
	from       int64
	view       []byte    // of raw, plain, data or hot; nil: none
	hot        *hotFrame // nil: none
	sake       string
	loose      Hash   // the chunk whose stored bytes are in data
	data       []byte // nil: none

	// Bare chunks have no tags: those that are read from beginning to end are held
	// to their hash.
	sum    hash.Hash
	summed Hash
	next   int64
}

var sources = sync.Pool{New: func() any { return &source{sum: sha256.New()} }}

func newSource(s *Store) *source {
	src := sources.Get().(*source)
	src.s, src.bucket = s, s.n.Bucket
	return src
}

// end gives back what the source holds.
func (src *source) end() {
	src.leave()
	src.clear()
	src.s, src.bucket, src.data, src.next, src.until, src.sake = nil, nil, nil, 0, 0, ""
	sources.Put(src)
}

// clear ends the view.
func (src *source) clear() {
	src.view = nil
	if src.hot != nil {
		src.s.hot.give(src.hot)
		src.hot = nil
	}
}

// leave gives back the pack that was read last.
func (src *source) leave() {
	if src.stream != nil {
		src.stream.Close() // what was not read is of no interest
		src.stream = nil
	}
	if src.file != nil {
		src.s.files.give(src.pack, src.file)
	}
	src.file, src.pack = nil, ""
}

// read returns up to n bytes of a chunk from off on, verified. It reads ahead bytes if
// those are more, and keeps them.
func (src *source) read(ctx context.Context, p place, off, n, ahead int64) ([]byte, error) {
	n = min(n, p.size-off)
	if src.have == p.chunk && off >= src.from && off < src.from+int64(len(src.view)) {
		b := src.view[off-src.from:]
		return b[:min(n, int64(len(b)))], nil
	}
	src.clear()
	frame := hotKey{src.sake, p.chunk, off / seal.FrameSize}
	if len(p.key) > 0 || p.codec != codecNone {
		if src.hot = src.s.hot.get(frame); src.hot != nil {
			src.have, src.from, src.view = p.chunk, frame.n*seal.FrameSize, src.hot.b[:src.hot.n]
			b := src.view[off-src.from:]
			return b[:min(n, int64(len(b)))], nil
		}
	}
	sealer, err := src.s.keys.sealer(p.pack, p.key)
	if err != nil {
		return nil, err
	}
	if p.codec != codecNone {
		if err := src.readWhole(ctx, p, sealer); err != nil {
			return nil, err
		}
		frame.n = 0
		src.s.hot.offer(frame, src.view)
		return src.view[off:][:n], nil
	}
	m := min(max(n, ahead), p.size-off, readStep-off%seal.FrameSize)
	if sealer == nil {
		b, err := src.stored(ctx, p, off, m)
		if err == nil {
			err = src.check(p, off, b)
		}
		if err != nil {
			return nil, err
		}
		src.have, src.from, src.view = p.chunk, off, b
		return b[:min(n, m)], nil
	}
	at := seal.Frames(int(off), int(m), int(p.size))
	b, err := src.stored(ctx, p, int64(at.Off), int64(at.Len))
	if err != nil {
		return nil, err
	}
	src.plain, err = sealer.OpenFrames(src.plain[:0], b, uint64(p.off), p.chunk[:], at.First, int(p.size))
	if err != nil {
		return nil, badBytes(p, err)
	}
	src.have, src.from, src.view = p.chunk, off-int64(at.Skip), src.plain
	src.s.hot.offer(frame, src.plain)
	return src.plain[at.Skip:][:min(n, m)], nil
}

// inner returns a chunk as it was before it was sealed: compressed, if it is. It
// verifies bare ones too.
func (src *source) inner(ctx context.Context, p place) ([]byte, error) {
	sealer, err := src.s.keys.sealer(p.pack, p.key)
	if err != nil {
		return nil, err
	}
	src.clear()
	if sealer == nil {
		if err := src.readWhole(ctx, p, nil); err != nil {
			return nil, err
		}
		if p.codec == codecNone {
			return src.view, nil
		}
		return src.stored(ctx, p, 0, p.stored)
	}
	b, err := src.stored(ctx, p, 0, p.stored)
	if err != nil {
		return nil, err
	}
	if src.plain, err = sealer.Open(src.plain[:0], b, uint64(p.off), p.chunk[:]); err != nil {
		return nil, badBytes(p, err)
	}
	return src.plain, nil
}

// readWhole reads a chunk to its end and unpacks it.
func (src *source) readWhole(ctx context.Context, p place, sealer *seal.Sealer) error {
	src.clear()
	b, err := src.stored(ctx, p, 0, p.stored)
	if err != nil {
		return err
	}
	if sealer != nil {
		if src.plain, err = sealer.Open(src.plain[:0], b, uint64(p.off), p.chunk[:]); err != nil {
			return badBytes(p, err)
		}
		b = src.plain
	}
	if p.codec == codecNone && int64(len(b)) < p.size {
		return badBytes(p, fmt.Errorf("it has %d bytes, not %d", len(b), p.size))
	}
	if p.codec == codecNone && sealer != nil {
		src.plain = src.plain[:p.size]
	} else if p.codec == codecNone {
		src.plain = append(src.plain[:0], b[:p.size]...)
	} else {
		// raw is free again once it was opened, and not before.
		out := src.plain
		if sealer != nil {
			out = src.raw
		}
		out, err = squeeze.Unpack(out, b, p.size)
		if err != nil {
			return badBytes(p, err)
		}
		if sealer != nil {
			src.raw, src.plain = src.plain, out
		} else {
			src.plain = out
		}
	}
	if sealer == nil && Hash(sha256.Sum256(src.plain)) != p.chunk {
		return badBytes(p, errors.New("its hash is another"))
	}
	src.have, src.from, src.view = p.chunk, 0, src.plain
	return nil
}

// stored returns n bytes of a chunk as it lies, from off on.
func (src *source) stored(ctx context.Context, p place, off, n int64) ([]byte, error) {
	if p.loose {
		return src.storedLoose(ctx, p, off, n)
	}
	if src.pack != p.pack {
		src.leave()
		if src.bucket == src.s.n.Bucket {
			file, err := src.s.files.take(ctx, p.pack)
			if err != nil {
				return nil, err
			}
			src.file = file
		}
		src.pack = p.pack
	}
	if int64(cap(src.raw)) < n {
		src.raw = make([]byte, n)
	}
	src.raw = src.raw[:n]
	var err error
	if src.file != nil {
		_, err = src.file.ReadAt(src.raw, p.off+off)
	} else {
		err = src.fill(ctx, p.off+off)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errs.Is(err, errs.Invalid) {
		err = badBytes(p, fmt.Errorf("the pack ends early: %w", err))
	}
	return src.raw, err
}

// fill reads raw from off on out of the bucket. It asks for as much as is worth reading
// ahead, and goes on with the answer where that is near.
func (src *source) fill(ctx context.Context, off int64) error {
	n := int64(len(src.raw))
	if gap := off - src.streamAt; src.stream == nil || gap < 0 || gap > minChunk || gap+n > src.rest {
		if src.stream != nil {
			src.stream.Close()
			src.stream = nil
		}
		ask := max(n, src.until-off)
		r, err := src.bucket.Get(ctx, packKey(src.pack), off, ask)
		if err != nil {
			return err
		}
		src.stream, src.streamAt, src.rest = r, off, ask
	} else if gap > 0 {
		if _, err := io.CopyN(io.Discard, src.stream, gap); err != nil {
			src.streamAt = -1 << 62
			return err
		}
		src.streamAt, src.rest = off, src.rest-gap
	}
	m, err := io.ReadFull(src.stream, src.raw)
	src.streamAt, src.rest = src.streamAt+int64(m), src.rest-int64(m)
	return err
}

func (src *source) storedLoose(ctx context.Context, p place, off, n int64) ([]byte, error) {
	if src.data == nil || src.loose != p.chunk {
		err := src.s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, sqlLooseGet, p.pack, p.off).Scan(&src.data)
		})
		if errors.Is(err, sqldb.ErrNoRows) {
			src.data = nil
			return nil, errs.New(errs.NotFound, "chunk %s is no longer in pack %s", p.chunk, p.pack)
		}
		if err != nil {
			return nil, err
		}
		src.loose = p.chunk
	}
	if off+n > int64(len(src.data)) {
		return nil, badBytes(p, fmt.Errorf("it has %d bytes, not %d", len(src.data), p.stored))
	}
	return src.data[off : off+n], nil
}

// check holds bare bytes to the chunk's hash, when it is read from its beginning on
// and ends here.
func (src *source) check(p place, off int64, b []byte) error {
	if off == 0 {
		src.sum.Reset()
		src.summed, src.next = p.chunk, 0
	}
	if src.summed != p.chunk || src.next != off {
		src.next = -1
		return nil
	}
	src.sum.Write(b)
	src.next += int64(len(b))
	if src.next < p.size {
		return nil
	}
	src.next = -1
	var got Hash
	if src.sum.Sum(got[:0]); got != p.chunk {
		return badBytes(p, errors.New("its hash is another"))
	}
	return nil
}
