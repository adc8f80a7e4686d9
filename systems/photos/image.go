package photos

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/systems/photos/internal/shard"
)

// Image is a photo in one of its sizes, open. Whoever gets it closes it.
type Image struct {
	io.ReadSeekCloser
	Photo    Photo
	Type     string // a media type
	ETag     string // in quotes
	Bytes    int64
	Modified time.Time
	Name     string // for who saves it
}

// OpenImage opens a photo of the person's in a size: "small", "medium", "large" or
// "original". A size that is not made yet is made at once. Errors: NotFound; Invalid for
// a size of a broken photo; Busy where too many are being made.
func (s *System) OpenImage(ctx context.Context, p Person, id, size string) (*Image, error) {
	photo, at, err := s.locate(ctx, p, id)
	if err != nil {
		return nil, err
	}
	return s.image(ctx, photo, at, size)
}

// image opens a photo, which is on a shard, in a size, and counts it for its owner's load.
func (s *System) image(ctx context.Context, p Photo, at *shard.Shard, size string) (*Image, error) {
	began := s.n.Clock.Now()
	open := s.sized
	if size == Original {
		open = func(ctx context.Context, p Photo, at *shard.Shard, _ string) (*Image, error) {
			return s.original(ctx, p, at)
		}
	}
	img, err := open(ctx, p, at, size)
	if err != nil {
		return nil, err
	}
	img.ReadSeekCloser = &counted{ReadSeekCloser: img.ReadSeekCloser, s: s, owner: p.Owner, took: s.n.Clock.Now().Sub(began)}
	return img, nil
}

// counted counts what is read of an image.
type counted struct {
	io.ReadSeekCloser
	s     *System
	owner string
	took  time.Duration // until it was open, its first bytes read
	n     int64
	done  bool
}

// Read implements io.Reader.
func (c *counted) Read(b []byte) (int, error) {
	n, err := c.ReadSeekCloser.Read(b)
	c.n += int64(n)
	return n, err
}

// Close implements io.Closer.
func (c *counted) Close() error {
	if !c.done {
		c.done = true
		c.s.set.Count(c.owner, 0, c.n, c.took, 0)
		c.s.measures.bytes.WithLabelValues("out").Add(float64(c.n))
	}
	return c.ReadSeekCloser.Close()
}

// sized opens a size that is made, or makes it.
func (s *System) sized(ctx context.Context, p Photo, at *shard.Shard, size string) (*Image, error) {
	i := sizeIndex(size)
	if i < 0 {
		return nil, errs.New(errs.NotFound, "there is no size %.32q: there are small, medium, large and original", size)
	}
	if p.sizes[i] == (cas.Hash{}) {
		var err error
		if p, at, err = s.makeNow(ctx, p); err != nil {
			return nil, err
		}
	}
	img := &Image{Photo: p, Type: p.sized, ETag: `"` + p.sizes[i].String() + `"`, Modified: p.Made, Name: sizedName(p.Name, size, p.sized)}
	r, err := openContent(ctx, at, p.Owner, p.sizes[i])
	if err != nil {
		// Its bucket is away, or lost. From a copy of the original it can be made anew.
		s.n.Log.Warn("a photo's size cannot be read", "photo", p.ID, "size", size, "error", err)
		made, again := s.render(ctx, p, at)
		if again != nil {
			return nil, fmt.Errorf("open the %s size of photo %s: %w", size, p.ID, err)
		}
		img.ReadSeekCloser, img.Bytes = inMemory{bytes.NewReader(made.sizes[i])}, int64(len(made.sizes[i]))
		return img, nil
	}
	img.ReadSeekCloser, img.Bytes = r, r.size
	return img, nil
}

func sizeIndex(name string) int {
	for i, size := range Sizes {
		if size.Name == name {
			return i
		}
	}
	return -1
}

// sizedName is the name of a file that holds a size.
func sizedName(name, size, kind string) string {
	ending := ".jpg"
	if kind == "image/png" {
		ending = ".png"
	}
	if name = stem(name); name == "" {
		name = "photo"
	}
	return cut(name, MaxName-len(size)-len(ending)-1) + "-" + size + ending
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// original opens what came. Where the shard's bucket fails, at whatever byte, the rest is
// read from a copy.
func (s *System) original(ctx context.Context, p Photo, at *shard.Shard) (*Image, error) {
	img := &Image{Photo: p, Type: p.Type, ETag: `"` + p.Hash.String() + `"`, Bytes: p.Size, Modified: p.Made, Name: p.Name}
	r, err := openContent(ctx, at, p.Owner, p.Hash)
	if err == nil {
		img.ReadSeekCloser = &either{ReadSeekCloser: r, other: func() (io.ReadSeekCloser, error) { return s.copyOf(ctx, p) }}
		return img, nil
	}
	copied, again := s.copyOf(ctx, p)
	if again != nil {
		return nil, fmt.Errorf("open the original of photo %s: %w", p.ID, err)
	}
	s.n.Log.Warn("an original was read from its copy", "photo", p.ID, "error", err)
	img.ReadSeekCloser = copied
	return img, nil
}

// copyOf opens a copy of an original.
func (s *System) copyOf(ctx context.Context, p Photo) (io.ReadSeekCloser, error) {
	held := holders(p.copies)
	if len(held) == 0 {
		return nil, errs.New(errs.NotFound, "there is no copy of photo %s", p.ID)
	}
	r, err := s.vault.Open(ctx, p.Owner, p.ID, held)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// content is an open content, whose first bytes were read.
type content struct {
	r    *cas.Reader
	size int64
	head []byte // those
	pos  int64
}

// Close implements io.Closer.
func (c *content) Close() error { return c.r.Close() }

// headBytes is how much is read to see that a content can be read at all. It is what cas
// reads at once at least.
const headBytes = 64 << 10

// openContent opens a content and reads its beginning.
func openContent(ctx context.Context, at *shard.Shard, owner string, h cas.Hash) (*content, error) {
	r, err := at.CAS.OpenFor(ctx, h, owner)
	if err != nil {
		return nil, err
	}
	c := &content{r: r, size: r.Size()}
	c.head = make([]byte, min(c.size, headBytes))
	if _, err := io.ReadFull(r, c.head); err != nil {
		r.Close()
		return nil, err
	}
	return c, nil
}

// Read implements io.Reader.
func (c *content) Read(b []byte) (int, error) {
	if c.pos < int64(len(c.head)) {
		n := copy(b, c.head[c.pos:])
		c.pos += int64(n)
		return n, nil
	}
	n, err := c.r.Read(b)
	c.pos += int64(n)
	return n, err
}

// Seek implements io.Seeker.
func (c *content) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += c.pos
	case io.SeekEnd:
		off += c.size
	}
	if off < 0 {
		return 0, errs.New(errs.Invalid, "there is nothing before the beginning")
	}
	if _, err := c.r.Seek(max(off, int64(len(c.head))), io.SeekStart); err != nil {
		return 0, err
	}
	c.pos = off
	return off, nil
}

// either reads one, and after its first fault the other from the same byte on.
type either struct {
	io.ReadSeekCloser
	other func() (io.ReadSeekCloser, error) // nil once it was asked
	pos   int64
}

// Read implements io.Reader.
func (e *either) Read(b []byte) (int, error) {
	n, err := e.ReadSeekCloser.Read(b)
	e.pos += int64(n)
	if n > 0 || err == nil || err == io.EOF || e.other == nil {
		return n, err
	}
	next, again := e.other()
	e.other = nil
	if again != nil {
		return 0, err
	}
	if _, again = next.Seek(e.pos, io.SeekStart); again != nil {
		next.Close()
		return 0, err
	}
	e.ReadSeekCloser.Close()
	e.ReadSeekCloser = next
	return e.Read(b)
}

// Seek implements io.Seeker.
func (e *either) Seek(off int64, whence int) (int64, error) {
	at, err := e.ReadSeekCloser.Seek(off, whence)
	if err == nil {
		e.pos = at
	}
	return at, err
}
