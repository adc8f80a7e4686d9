package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"plumb/base/errs"
)

// folder keeps each object in a file of the same name. A file gets its name
// only after its bytes are synced, and nobody is answered before the name is:
//
//	write .tmp/put-*, fsync it -> link or rename it to its key -> fsync its folder
//
// List reads every folder that it touches whole, so spread keys over folders
// ("ab/cd/abcd..."). Files that are no objects are left alone.
type folder struct {
	root string
	tmp  *os.File // the folder of unfinished files, locked: see sweep

	mu    sync.Mutex
	known map[string]bool // folders whose own names are durable; guarded by mu

	renewed []*os.File // that took the place of tmp, locked for life, too; guarded by mu
}

const tmpName = ".tmp" // no key begins with a dot

// Folder opens the bucket in the folder at path, which it makes if need be.
// Several processes may use one folder.
func Folder(path string) (Bucket, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("bucket folder %s: %w", path, err)
	}
	f := &folder{root: root, known: map[string]bool{}}
	if err := f.ensure(filepath.Join(root, tmpName)); err != nil {
		return nil, fmt.Errorf("bucket folder %s: %w", path, diskKind(err))
	}
	if err := f.sweep(); err != nil {
		return nil, fmt.Errorf("bucket folder %s: clear what was unfinished: %w", path, err)
	}
	return f, nil
}

// ensure makes the folder dir with all its parents, durably. Another process,
// or another goroutine, may have made one of them a moment ago and not have
// synced it yet. So the first use of each folder syncs its parent, whoever made it.
func (f *folder) ensure(dir string) error {
	f.mu.Lock()
	known := f.known[dir]
	f.mu.Unlock()
	if known {
		return nil
	}
	parent := filepath.Dir(dir)
	// Above the bucket, what exists was there before us and is taken as durable.
	inside := len(dir) >= len(f.root)
	if info, err := os.Stat(dir); err == nil && info.IsDir() && !inside {
		return nil
	}
	if err := f.ensure(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		if info, statErr := os.Stat(dir); !errors.Is(err, fs.ErrExist) || statErr != nil {
			return err
		} else if !info.IsDir() {
			return syscall.ENOTDIR
		}
	}
	// The folder above the bucket may belong to somebody else.
	if err := syncFolder(parent); err != nil && (inside && dir != f.root || !errors.Is(err, fs.ErrPermission)) {
		return err
	}
	f.mu.Lock()
	f.known[dir] = true
	f.mu.Unlock()
	return nil
}

// sweep removes what killed processes left unfinished. Every user of the folder
// holds a shared lock for life, so whoever gets it alone knows that all is left over.
func (f *folder) sweep() error {
	tmp, err := os.Open(filepath.Join(f.root, tmpName))
	if err != nil {
		return err
	}
	f.tmp = tmp
	if syscall.Flock(int(tmp.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		left, err := os.ReadDir(tmp.Name())
		if err != nil {
			return err
		}
		for _, e := range left {
			if err := os.Remove(filepath.Join(tmp.Name(), e.Name())); err != nil {
				return err
			}
		}
	}
	return syscall.Flock(int(tmp.Fd()), syscall.LOCK_SH)
}

func (f *folder) path(key string) string { return filepath.Join(f.root, filepath.FromSlash(key)) }

func (f *folder) Put(ctx context.Context, key string, r io.Reader, size int64, opt PutOptions) error {
	b, err := newBody(ctx, key, r, size)
	if err != nil {
		return err
	}
	tmp, err := f.write(b)
	if err != nil {
		return fmt.Errorf("put %s: %w", key, diskKind(err))
	}
	// After a rename there is nothing left to remove.
	defer os.Remove(tmp)
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	err = f.publish(tmp, f.path(key), opt)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTDIR) {
		return exists(key)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", key, diskKind(err))
	}
	return nil
}

// write copies b into a synced file of its own and returns its path.
func (f *folder) write(b *body) (path string, err error) {
	t, err := os.CreateTemp(f.tmp.Name(), "put-*")
	if errors.Is(err, fs.ErrNotExist) {
		if err = f.renew(); err == nil {
			t, err = os.CreateTemp(f.tmp.Name(), "put-*")
		}
	}
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, t.Close())
		if err != nil {
			os.Remove(t.Name())
		}
	}()
	if _, err := io.Copy(t, b); err != nil {
		return "", err
	}
	return t.Name(), t.Sync()
}

// renew makes the folders of a bucket again whose disk was emptied, or replaced, while it
// is in use. The root itself is not made: where it is missing, a disk is.
func (f *folder) renew() error {
	if _, err := os.Stat(f.root); err != nil {
		return err
	}
	f.mu.Lock()
	f.known = map[string]bool{f.root: true}
	f.mu.Unlock()
	if err := f.ensure(f.tmp.Name()); err != nil {
		return err
	}
	tmp, err := os.Open(f.tmp.Name())
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.renewed = append(f.renewed, tmp)
	f.mu.Unlock()
	return syscall.Flock(int(tmp.Fd()), syscall.LOCK_SH)
}

// publish gives the synced file tmp its name.
func (f *folder) publish(tmp, path string, opt PutOptions) error {
	dir := filepath.Dir(path)
	if err := f.ensure(dir); err != nil {
		return err
	}
	var err error
	if opt.IfAbsent {
		// link(2) fails when the name is taken: the file system picks the winner.
		err = os.Link(tmp, path)
	} else {
		err = os.Rename(tmp, path)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Even the loser syncs: it is told that the object is there, and its caller
	// may rely on that before the winner's own sync is through.
	if syncErr := syncFolder(dir); syncErr != nil {
		return syncErr
	}
	return err
}

// OpenFile implements Opener.
func (f *folder) OpenFile(ctx context.Context, key string) (*os.File, error) {
	file, _, err := f.open(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", key, err)
	}
	return file, nil
}

// open opens an object and returns its size.
func (f *folder) open(ctx context.Context, key string) (*os.File, int64, error) {
	if err := CheckKey(key); err != nil {
		return nil, 0, err
	}
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	file, err := os.Open(f.path(key))
	if err != nil {
		return nil, 0, absent(key, err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = missing(key)
	}
	if err != nil {
		file.Close()
		return nil, 0, err
	}
	return file, info.Size(), nil
}

func (f *folder) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	file, size, err := f.open(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	n, err = checkRange(key, off, n, size)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	return section{io.NewSectionReader(file, off, n), file}, nil
}

func (f *folder) Stat(ctx context.Context, key string) (Info, error) {
	if err := CheckKey(key); err != nil {
		return Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	info, err := os.Lstat(f.path(key))
	if err == nil && !info.Mode().IsRegular() {
		err = missing(key)
	}
	if err != nil {
		return Info{}, fmt.Errorf("stat %s: %w", key, absent(key, err))
	}
	return Info{key, info.Size(), info.ModTime()}, nil
}

func (f *folder) Delete(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	path := f.path(key)
	// unlink(2), not os.Remove: a folder of that name is no object and stays.
	err := syscall.Unlink(path)
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.EPERM) && isFolder(path):
		// Gone already; perhaps by somebody whose sync is not through yet.
		err = syncFolder(filepath.Dir(path))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			err = nil
		}
	case err == nil:
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("delete %s: %w", key, diskKind(err))
	}
	return nil
}

func isFolder(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

// syncFolder makes the names in dir durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// absent turns the file system's words for "not there" into ours.
func absent(key string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return missing(key)
	}
	return diskKind(err)
}

// diskKind makes the faults that pass Busy: nothing was stored, and it will
// work again when there is room.
func diskKind(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return errs.Wrap(errs.Busy, fmt.Errorf("%w: %w", errs.ErrFull, err), "the disk is full")
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return errs.Wrap(errs.Busy, err, "too many files are open")
	}
	return err
}
