package bucket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"plumb/base/errs"
)

func (f *folder) List(ctx context.Context, prefix, after string, max int) ([]Info, error) {
	if err := checkList(prefix, after, max); err != nil {
		return nil, err
	}
	w := walk{ctx: ctx, folder: f, prefix: prefix, after: after, max: max}
	if err := w.enter(""); err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("list %s*: %w", prefix, err)
	}
	return w.list, nil
}

// walk visits a tree of files in the order of their keys.
type walk struct {
	ctx           context.Context
	folder        *folder
	prefix, after string
	max           int
	list          []Info
}

var errEnough = errors.New("enough")

// enter lists the folder whose keys begin with dir ("" or "ab/cd/").
func (w *walk) enter(dir string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	entries, err := os.ReadDir(w.folder.path(dir))
	if dir != "" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)) {
		return nil // gone since we read the folder above; the bucket itself must be there
	}
	if err != nil {
		return diskKind(err)
	}
	// Keys sort by their bytes: the folder "a" stands for "a/...", which comes
	// after "a-" and "a." and before "a0".
	keys := make([]string, 0, len(entries))
	for _, e := range entries {
		if e.IsDir() {
			keys = append(keys, dir+e.Name()+"/")
		} else if e.Type().IsRegular() {
			keys = append(keys, dir+e.Name())
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		if err := w.visit(key); err != nil {
			return err
		}
	}
	return nil
}

// visit takes up one file, or one folder whose name ends in a slash.
func (w *walk) visit(key string) error {
	if CheckKey(strings.TrimSuffix(key, "/")) != nil {
		return nil // none of ours
	}
	if strings.HasSuffix(key, "/") {
		// All keys below begin with key, so one look tells whether they are wanted.
		wanted := strings.HasPrefix(key, w.prefix) || strings.HasPrefix(w.prefix, key)
		if wanted && (key > w.after || strings.HasPrefix(w.after, key)) {
			return w.enter(key)
		}
		return nil
	}
	if !strings.HasPrefix(key, w.prefix) || key <= w.after {
		return nil
	}
	info, err := w.folder.Stat(w.ctx, key)
	if errs.Is(err, errs.NotFound) {
		return nil // deleted since we read the folder
	}
	if err != nil {
		return err
	}
	w.list = append(w.list, info)
	if len(w.list) == w.max {
		return errEnough
	}
	return nil
}
