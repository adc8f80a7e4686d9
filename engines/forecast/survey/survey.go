// Package survey measures a folder of files for a plan: it walks the folder, hands
// each file to whoever measures it, counts what could not be read, and keeps what is
// known of contents by their hashes in bounded memory.
//
//	known := survey.NewThin[content](1 << 19)
//	w := survey.Walk{Flag: "--calibrate"}
//	err := w.Folder(ctx, "/srv/photos", func(f *os.File, path string) error {
//		...
//		if c := known.At(sha256.Sum256(data)); c != nil {
//			c.times++
//		}
//		return nil
//	})
//	known.Each(func(c *content) { ... })
//
// The walk takes memory in proportion to the depth of folders, a Thin to its limit.
package survey

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"plumb/base/errs"
	"plumb/base/units"
)

// mostFaults are named; the others are counted.
const mostFaults = 5

// Walk walks a folder, and tells what happened.
type Walk struct {
	Flag    string   // what named the folder, for errors
	Skipped int64    // could not be read, or were refused
	Others  int64    // neither files nor folders: links, devices, sockets
	Faults  []string // why, of the first few that were skipped
}

// Folder calls file for each regular file in the folder and all below it, in no order.
// Neither a link nor a pipe is followed or waited for. An error of file skips that
// file, is counted and, of the first few, named. Folder fails with Invalid where the
// folder itself cannot be read, and with ctx's error.
func (w *Walk) Folder(ctx context.Context, folder string, file func(f *os.File, path string) error) error {
	dir, err := os.Open(folder)
	if err == nil {
		err = w.folder(ctx, dir, folder, file)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("measure %s: %w", folder, err)
	}
	if err != nil {
		return errs.New(errs.Invalid, "%s %s: %v", w.Flag, folder, reason(err))
	}
	return nil
}

// folder goes through a folder some entries at a time. An error is that of the folder
// itself.
func (w *Walk) folder(ctx context.Context, dir *os.File, path string, file func(*os.File, string) error) error {
	defer dir.Close()
	for {
		list, err := dir.ReadDir(512)
		for _, e := range list {
			if ctx.Err() != nil {
				return nil
			}
			w.entry(ctx, e, filepath.Join(path, e.Name()), file)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (w *Walk) entry(ctx context.Context, e fs.DirEntry, path string, file func(*os.File, string) error) {
	if !e.IsDir() && !e.Type().IsRegular() {
		w.Others++
		return
	}
	// Neither a link nor a pipe that took the name meanwhile is followed or waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err == nil && e.IsDir() {
		err = w.folder(ctx, f, path, file)
	} else if err == nil {
		err = regular(f, path, file)
	}
	if err != nil && ctx.Err() == nil {
		w.Skipped++
		if len(w.Faults) < mostFaults {
			w.Faults = append(w.Faults, fmt.Sprintf("%s: %v", path, reason(err)))
		}
	}
}

func regular(f *os.File, path string, file func(*os.File, string) error) error {
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return errors.Join(err, errors.New("it is no file any more"))
	}
	return file(f, path)
}

// reason is an error of the file system without the path, which stands before it.
func reason(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// String tells what was not measured, a line each that begins with a line break; ""
// when nothing was left out.
func (w *Walk) String() string {
	out := ""
	if w.Others > 0 {
		out += fmt.Sprintf("\n%s links, devices and the like were not looked at", units.Count(w.Others))
	}
	if w.Skipped > 0 {
		out += fmt.Sprintf("\n%s could not be read:", units.Count(w.Skipped))
		for _, f := range w.Faults {
			out += "\n  " + f
		}
		if more := w.Skipped - int64(len(w.Faults)); more > 0 {
			out += fmt.Sprintf("\n  and %s more", units.Count(more))
		}
	}
	return out
}

// Thin keeps something about each content, named by its hash, in bounded memory. When
// there are more than it may hold, it goes on with a random half of all hashes, then
// with a quarter, and so on. Each content that it knows it has known from its first
// time, so that shares and means over what it holds stay right, with some noise.
type Thin[V any] struct {
	most  int
	below uint64 // hashes from here on are not kept
	by    map[[16]byte]*V
}

// NewThin returns one that holds at most so many contents.
func NewThin[V any](most int) *Thin[V] {
	return &Thin[V]{most: most, below: 1<<64 - 1, by: map[[16]byte]*V{}}
}

// Would says whether a content of this hash is among those that are kept.
func (t *Thin[V]) Would(hash [32]byte) bool { return binary.BigEndian.Uint64(hash[:]) < t.below }

// At returns what is kept about a content, new and empty when it comes the first time;
// nil where it is not among those that are kept.
func (t *Thin[V]) At(hash [32]byte) *V {
	if !t.Would(hash) {
		return nil
	}
	key := [16]byte(hash[:16])
	v, known := t.by[key]
	if !known {
		v = new(V)
		t.by[key] = v
		for len(t.by) > t.most {
			t.halve()
		}
		if !t.Would(hash) {
			return nil
		}
	}
	return v
}

func (t *Thin[V]) halve() {
	t.below /= 2
	for key := range t.by {
		if binary.BigEndian.Uint64(key[:]) >= t.below {
			delete(t.by, key)
		}
	}
}

// Each calls fn for all that is kept, in no order.
func (t *Thin[V]) Each(fn func(v *V)) {
	for _, v := range t.by {
		fn(v)
	}
}
