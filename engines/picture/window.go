package picture

import (
	"errors"
	"io"

	"plumb/base/errs"
)

const windowSize = 32 << 10

// window reads a file at offsets, through one buffer.
type window struct {
	r    io.ReaderAt
	size int64
	base int64 // where buf begins
	buf  []byte
	name string // what is being read, for errors: "JPEG"
}

func newWindow(r io.ReaderAt, size int64) *window {
	return &window{r: r, size: size, buf: make([]byte, 0, windowSize), name: "picture"}
}

// cut is the error of a file that ends before its picture does.
func (w *window) cut(where string) error {
	return errs.New(errs.Invalid, "the %s file ends at byte %d inside %s: it was cut off", w.name, w.size, where)
}

func (w *window) broken(at int64, what string) error {
	return errs.New(errs.Invalid, "the %s file is broken at byte %d: %s", w.name, at, what)
}

// peek returns n bytes from offset at, or as many as there are; at most windowSize.
// They are valid until the next call.
func (w *window) peek(at int64, n int) ([]byte, error) {
	if at < 0 || at >= w.size {
		return nil, nil
	}
	n = int(min(int64(n), w.size-at, windowSize))
	if at < w.base || at+int64(n) > w.base+int64(len(w.buf)) {
		want := min(windowSize, w.size-at)
		k, err := w.r.ReadAt(w.buf[:want], at)
		w.base, w.buf = at, w.buf[:k]
		if int64(k) < want {
			if err != nil && !errors.Is(err, io.EOF) {
				w.buf = w.buf[:0]
				return nil, err
			}
			w.size = at + int64(k) // shorter than it was said to be
			n = min(n, k)
		}
	}
	return w.buf[at-w.base:][:n], nil
}

// read returns n bytes from at; where names them when they are not all there.
func (w *window) read(at int64, n int, where string) ([]byte, error) {
	b, err := w.peek(at, n)
	if err == nil && len(b) < n {
		err = w.cut(where)
	}
	return b, err
}

// each calls f with the bytes of a span, a piece at a time.
func (w *window) each(s span, f func([]byte) error) error {
	for s.n > 0 {
		b, err := w.peek(s.at, int(min(s.n, windowSize)))
		if err != nil {
			return err
		}
		if len(b) == 0 {
			return w.cut("the picture's data")
		}
		if err := f(b); err != nil {
			return err
		}
		s.at, s.n = s.at+int64(len(b)), s.n-int64(len(b))
	}
	return nil
}

// span is a part of a file.
type span struct{ at, n int64 }

// bytes reads a span of at most most bytes into memory of its own; nil when it is longer.
func (w *window) bytes(s span, most int64) ([]byte, error) {
	if s.n > most {
		return nil, nil
	}
	out := make([]byte, s.n)
	if _, err := w.r.ReadAt(out, s.at); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return out, nil
}

// section is a span as a reader.
func (w *window) section(s span) io.Reader { return io.NewSectionReader(w.r, s.at, s.n) }
