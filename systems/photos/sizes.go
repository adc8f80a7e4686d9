package photos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/farm"
	"plumb/engines/picture"
	"plumb/engines/sqldb"
	"plumb/systems/photos/internal/shard"
)

// Sizes are made in children of the farm, since decoding is where a hostile photo
// strikes. A photo whose sizes cannot be made is Broken, with the reason; its original
// stays.

// sizesWork is the word for a farm's child.
const sizesWork = "photos.sizes"

// Works are what the farm's children can do for this room.
func Works() map[string]farm.Work { return map[string]farm.Work{sizesWork: sizesInChild} }

// sizesParams are a child's orders.
type sizesParams struct {
	Sizes  []picture.Size `json:"sizes"`
	Limits picture.Limits `json:"limits"`
}

// sizesTold is what a child says besides the pictures.
type sizesTold struct {
	Type string `json:"type"`
	Blur string `json:"blur"`
}

// told is the name of the output that holds it.
const told = "told"

// sizesInChild makes all sizes from one decoding.
func sizesInChild(_ context.Context, params json.RawMessage, in *io.SectionReader, out func(name string) io.WriteCloser) error {
	var p sizesParams
	if err := json.Unmarshal(params, &p); err != nil {
		return errs.Wrap(errs.Invalid, err, "the orders cannot be read")
	}
	write := func(name string, b []byte) error {
		w := out(name)
		_, err := w.Write(b)
		return errors.Join(err, w.Close())
	}
	var t sizesTold
	_, err := picture.Resize(in, in.Size(), p.Sizes, p.Limits, func(s picture.Size, r picture.Resized) error {
		t.Type = r.Type
		if r.Blur != "" {
			t.Blur = r.Blur
		}
		return write(s.Name, r.Bytes)
	})
	if err != nil {
		return err
	}
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return write(told, text)
}

// rendered are all sizes of a photo.
type rendered struct {
	sizes [len(Sizes)][]byte
	kind  string // a media type
	blur  string
}

// mostSize is the most bytes of one size: a PNG of 2,000 x 2,000 pixels has no more.
const mostSize = 20 << 20

// render makes all sizes of a photo. Errors: Invalid and TooLarge where it is the photo's
// fault; farm.ErrDied; Busy.
func (s *System) render(ctx context.Context, p Photo, at *shard.Shard) (*rendered, error) {
	if s.n.Farm == nil {
		return nil, errs.TryAfter(time.Minute, "nobody makes sizes here")
	}
	img, err := s.original(ctx, p, at)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	params := sizesParams{Limits: picture.Limits{MaxPixels: s.c.MaxPixels}}
	for _, size := range Sizes {
		params.Sizes = append(params.Sizes, picture.Size{Name: size.Name, Edge: size.Edge})
	}
	var made rendered
	var t sizesTold
	source := &faults{r: img}
	usage, err := s.n.Farm.Do(ctx, farm.Task{Name: sizesWork, Params: params, In: source, Out: func(name string, r io.Reader) error {
		b, err := io.ReadAll(io.LimitReader(r, mostSize+1))
		i := sizeIndex(name)
		switch {
		case err != nil:
			return err
		case name == told:
			return json.Unmarshal(b, &t)
		case i < 0 || len(b) == 0 || len(b) > mostSize:
			return errs.New(errs.TooLarge, "its %.32s size has %d bytes", name, len(b))
		}
		made.sizes[i] = b
		return nil
	}})
	s.measures.rendered(usage, err)
	s.set.Count(p.Owner, 0, 0, usage.Wall, usage.CPU)
	if source.err != nil { // not the photo's fault
		return nil, fmt.Errorf("read photo %s: %w", p.ID, source.err)
	}
	if err != nil {
		return nil, err
	}
	made.kind, made.blur = t.Type, t.Blur
	return &made, made.check()
}

// faults remembers a reader's error.
type faults struct {
	r   io.Reader
	err error
}

func (f *faults) Read(b []byte) (int, error) {
	n, err := f.r.Read(b)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// check believes no child: what it made must be what pages may show.
func (m *rendered) check() error {
	magic := map[string]string{picture.JPEG: "\xff\xd8\xff", picture.PNG: "\x89PNG\r\n\x1a\n"}[m.kind]
	ok := magic != "" && len(m.blur) <= 72 && strings.Trim(m.blur, "0123456789abcdef") == ""
	for _, b := range m.sizes {
		ok = ok && bytes.HasPrefix(b, []byte(magic))
	}
	if !ok {
		return fmt.Errorf("%w: what it made are no sizes", farm.ErrDied)
	}
	return nil
}

// makeSizes makes a photo's sizes, unless they are there, and keeps them. A photo that is
// at fault itself becomes Broken, which is no error.
func (s *System) makeSizes(ctx context.Context, owner, id string) error {
	who := Person{ID: owner}
	for try := 1; ; try++ {
		p, at, err := s.locate(ctx, who, id)
		if errs.Is(err, errs.NotFound) || err == nil && p.State != Fresh {
			return nil // removed meanwhile, or somebody was first
		}
		if err != nil {
			return err
		}
		made, err := s.render(ctx, p, at)
		if fault := faultOf(err); fault != "" {
			return s.breakPhoto(ctx, who, p, fault)
		}
		if err != nil {
			return fmt.Errorf("make the sizes of photo %s: %w", id, err)
		}
		err = s.keepSizes(ctx, who, p, made)
		if errors.Is(err, shard.ErrMoved) && try < mostTries {
			continue
		}
		return err
	}
}

// faultOf says why a photo is broken; "" where that is not its fault.
func faultOf(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, farm.ErrDied):
		return "the decoder ended while it worked on this photo"
	case errs.Is(err, errs.Invalid), errs.Is(err, errs.TooLarge):
		return cut(errs.Message(err), 500)
	}
	return ""
}

// breakPhoto marks a photo as broken.
func (s *System) breakPhoto(ctx context.Context, who Person, p Photo, fault string) error {
	_, err := write(ctx, s, "mark a broken photo", who, nil, nil, func(ctx context.Context, tx *sqldb.Tx, a act) (int64, error) {
		return tx.Exec(ctx, brokenSQL, a.owner, p.ID, a.rev, fault)
	})
	if err == nil {
		s.n.Log.Warn("a photo is broken: its sizes cannot be made", "photo", p.ID, "type", p.Type, "fault", fault)
		s.measures.broken.Inc()
		s.changed(ctx, p.Owner, "broken", p.ID)
	}
	return err
}

// keepSizes stores the sizes and names them in the photo's row.
func (s *System) keepSizes(ctx context.Context, who Person, p Photo, made *rendered) error {
	home, err := s.set.Home(ctx, who.ID)
	if err != nil {
		return err
	}
	// All of them in one object, with one sync; none cut, so that a view reads once.
	var list [len(Sizes)]*cas.Pending
	for i, b := range made.sizes {
		if list[i], err = home.CAS.Put(ctx, bytes.NewReader(b), cas.PutOptions{Whole: true, Later: true}); err != nil {
			return err
		}
		defer list[i].Close()
	}
	for _, pending := range list {
		if err := pending.Ready(ctx); err != nil {
			return err
		}
	}
	_, err = write(ctx, s, "keep sizes", who, home, nil, func(ctx context.Context, tx *sqldb.Tx, a act) (int64, error) {
		now, found, err := photoBy(ctx, tx, byIDSQL, a.owner, p.ID)
		if err != nil || !found || now.State != Fresh {
			return 0, err
		}
		args := []any{a.owner, p.ID, a.rev, made.blur, made.kind}
		for _, pending := range list {
			if err := a.at.CAS.Take(ctx, tx, pending); err != nil {
				return 0, err
			}
			args = append(args, hexOf(pending.Hash()))
		}
		return tx.Exec(ctx, sizesSQL, args...)
	})
	if err == nil {
		s.changed(ctx, p.Owner, "ready", p.ID)
	}
	return err
}

// Bounds of sizes that somebody waits for.
const (
	patience = 20 * time.Second // of who waits
	rushTime = 2 * time.Minute  // of the work, which goes on without them
)

// makeNow makes sizes that somebody wants to see, once for all who want them.
func (s *System) makeNow(ctx context.Context, p Photo) (Photo, *shard.Shard, error) {
	if p.State == Broken {
		return p, nil, errs.New(errs.Invalid, "this photo is broken: %s", p.Fault)
	}
	if s.n.Farm != nil {
		if st := s.n.Farm.Stats(); st.Waiting > 4*st.Size {
			return p, nil, errs.TryAfter(5*time.Second, "this size is not made yet, and many wait: ask again")
		}
	}
	done := s.making.DoChan(p.ID, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rushTime)
		defer cancel()
		return nil, s.makeSizes(ctx, p.Owner, p.ID)
	})
	select {
	case r := <-done:
		if r.Err != nil {
			return p, nil, errs.Wrap(errs.Busy, r.Err, "this size cannot be made now: ask again")
		}
	case <-s.n.Clock.After(patience):
		return p, nil, errs.TryAfter(2*time.Second, "this size is being made: ask again")
	case <-ctx.Done():
		return p, nil, ctx.Err()
	}
	p, at, err := s.locate(ctx, Person{ID: p.Owner}, p.ID)
	if err == nil && p.State != Ready {
		err = errs.New(errs.Invalid, "this photo is broken: %s", p.Fault)
	}
	return p, at, err
}
