package cdc

import "io"

// Reader cuts what it reads. It is not safe for concurrent use.
type Reader struct {
	c    *Cutter
	in   io.Reader
	buf  []byte
	rest []byte // what is read and not yet returned: a part of buf
	err  error  // what the input ended with
}

// NewReader returns a reader of in's chunks. It works in buf; one that is shorter than
// two of the largest chunks is replaced by one of four.
func NewReader(c *Cutter, in io.Reader, buf []byte) *Reader {
	if len(buf) < 2*c.p.Max {
		buf = make([]byte, 4*c.p.Max)
	}
	return &Reader{c: c, in: in, buf: buf, rest: buf[:0]}
}

// Reset turns to another input, in the same buffer.
func (r *Reader) Reset(in io.Reader) { *r = Reader{c: r.c, in: in, buf: r.buf, rest: r.buf[:0]} }

// Next returns the next chunk, which is valid until the next call, and io.EOF after
// the last. An error of the input is returned as it is, in place of what was read
// since the last chunk, and again by every further call.
func (r *Reader) Next() ([]byte, error) {
	// What is there often has a whole chunk; filling only when it has none leaves
	// little to move.
	n := r.c.Cut(r.rest, r.err == io.EOF)
	if n == 0 && r.err == nil {
		r.fill()
		n = r.c.Cut(r.rest, r.err == io.EOF)
	}
	if n == 0 {
		return nil, r.err
	}
	chunk := r.rest[:n:n]
	r.rest = r.rest[n:]
	return chunk, nil
}

// fill reads until the buffer is full or the input ends. A fault leaves nothing.
func (r *Reader) fill() {
	r.rest = r.buf[:copy(r.buf, r.rest)]
	for idle := 0; len(r.rest) < len(r.buf) && r.err == nil; idle++ {
		n, err := r.in.Read(r.buf[len(r.rest):])
		r.rest, r.err = r.buf[:len(r.rest)+n], err
		if n > 0 {
			idle = 0
		} else if idle == 100 && err == nil {
			r.err = io.ErrNoProgress
		}
	}
	if r.err != nil && r.err != io.EOF {
		r.rest = nil
	}
}
