package bucket

import (
	"context"
	"io"

	"plumb/base/errs"
)

// body reads what a Put was given and holds it to its stated size: its last
// byte is handed on only when the source ended there. So an object that is
// too short, too long or cancelled never completes, whatever stores it.
type body struct {
	ctx  context.Context
	key  string
	r    io.Reader
	want int64 // stated size, -1 for unknown
	got  int64
}

func newBody(ctx context.Context, key string, r io.Reader, size int64) (*body, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	if size > MaxSize {
		return nil, errs.New(errs.TooLarge, "object %s: it may have %d bytes, not %d", key, MaxSize, size)
	}
	return &body{ctx: ctx, key: key, r: r, want: max(size, -1)}, nil
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.want >= 0 && b.got == b.want {
		return 0, b.end()
	}
	if b.want >= 0 && int64(len(p)) > b.want-b.got {
		p = p[:b.want-b.got]
	}
	n, err := b.r.Read(p)
	b.got += int64(n)
	switch {
	case b.ctx.Err() != nil: // cancelled while it read
		return 0, b.ctx.Err()
	case b.got > MaxSize:
		return 0, errs.New(errs.TooLarge, "object %s: it may have %d bytes", b.key, MaxSize)
	case b.want >= 0 && b.got == b.want:
		if end := b.end(); end != io.EOF {
			return 0, end
		}
		return n, nil
	case err == io.EOF && b.want >= 0:
		return 0, errs.New(errs.Invalid, "object %s: the body ended after %d of %d bytes", b.key, b.got, b.want)
	}
	return n, err
}

// WriteTo hands a source of unknown size that writes by itself to w, without a copy in
// between.
func (b *body) WriteTo(w io.Writer) (int64, error) {
	from, ok := b.r.(io.WriterTo)
	if !ok || b.want >= 0 {
		return io.Copy(w, onlyReader{b})
	}
	_, err := from.WriteTo(counter{b, w})
	return b.got, err
}

// onlyReader hides a body's WriteTo.
type onlyReader struct{ io.Reader }

// counter holds what is written to the limits of a body.
type counter struct {
	b *body
	w io.Writer
}

func (c counter) Write(p []byte) (int, error) {
	if err := c.b.ctx.Err(); err != nil {
		return 0, err
	}
	if c.b.got+int64(len(p)) > MaxSize {
		return 0, errs.New(errs.TooLarge, "object %s: it may have %d bytes", c.b.key, MaxSize)
	}
	n, err := c.w.Write(p)
	c.b.got += int64(n)
	return n, err
}

// end returns io.EOF when the source has ended, and why not otherwise.
func (b *body) end() error {
	var one [1]byte
	// A reader may answer 0 bytes without an error; io.ReadFull asks again.
	switch n, err := io.ReadFull(b.r, one[:]); {
	case n > 0:
		return errs.New(errs.Invalid, "object %s: the body is longer than its %d bytes", b.key, b.want)
	case err == io.EOF:
		return io.EOF
	default:
		return err
	}
}

// section is a part of an object that closes what it reads from.
type section struct {
	io.Reader
	io.Closer
}
