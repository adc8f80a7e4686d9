package prove

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// keeper is a design that is a program of this package.
type keeper interface {
	// put keeps what r gives under a name, in place of what was there. What it
	// acknowledges is on the disk.
	put(name string, r io.Reader) error
	// open opens what a name has. Errors: fs.ErrNotExist.
	open(name string) (io.ReadCloser, error)
	// remove ends a name. Errors: fs.ErrNotExist.
	remove(name string) error
}

// linkStore is the question's design: an upload is compared, byte by byte, with every
// file of its length, and becomes a symbolic link to the one that equals it.
//
// It is tuned as far as that goes: the files of each length are known in memory, a
// comparison ends with the first block that differs, uploads are spooled and renamed,
// so that nothing is seen half-made, and comparisons run beside each other.
type linkStore struct {
	dir string // files/NAME is a file or a link to one, spool/ what comes in

	mu     sync.Mutex
	length map[int64][]string // names of the files that have it; never changed in place

	opened atomic.Int64 // files that were compared with
	read   atomic.Int64 // bytes of them that were read
	serial atomic.Int64
}

func newLinkStore(dir string) (*linkStore, error) {
	s := &linkStore{dir: dir, length: map[int64][]string{}}
	return s, errors.Join(os.Mkdir(filepath.Join(dir, "files"), 0o700), os.Mkdir(filepath.Join(dir, "spool"), 0o700))
}

func (s *linkStore) path(name string) string { return filepath.Join(s.dir, "files", name) }

func (s *linkStore) put(name string, r io.Reader) error {
	spooled := filepath.Join(s.dir, "spool", fmt.Sprint(s.serial.Add(1)))
	size, err := spool(spooled, r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	candidates := s.length[size]
	s.mu.Unlock()
	equal, err := s.equal(spooled, candidates, size)
	if err != nil {
		return err
	}
	if equal != "" {
		return s.link(equal, spooled, name)
	}
	if err := os.Rename(spooled, s.path(name)); err != nil {
		return err
	}
	s.mu.Lock()
	s.length[size] = append(s.length[size], name)
	s.mu.Unlock()
	return syncFolder(filepath.Join(s.dir, "files"))
}

// link makes name a link to the file of the name to, in one step.
func (s *linkStore) link(to, spooled, name string) error {
	err := os.Symlink(to, spooled+".link")
	if err == nil {
		err = os.Rename(spooled+".link", s.path(name))
	}
	return errors.Join(err, os.Remove(spooled), syncFolder(filepath.Join(s.dir, "files")))
}

// equal returns the name of the first file that equals the spooled one; "" for none.
func (s *linkStore) equal(spooled string, candidates []string, size int64) (string, error) {
	if len(candidates) == 0 {
		return "", nil
	}
	f, err := os.Open(spooled)
	if err != nil {
		return "", err
	}
	defer f.Close()
	c := &comparison{of: f, size: size, mine: make([]byte, 128<<10), theirs: make([]byte, 128<<10)}
	if c.first = make([]byte, min(4<<10, size)); size > 0 {
		if _, err := f.ReadAt(c.first, 0); err != nil {
			return "", err
		}
	}
	for _, name := range candidates {
		same, err := c.same(s.path(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		s.opened.Add(1)
		if err != nil || same {
			s.read.Add(c.read)
			return name, err
		}
	}
	s.read.Add(c.read)
	return "", nil
}

// comparison is that of one upload with other files: their first 4 KiB, which mostly
// tell, and then the rest in larger steps.
type comparison struct {
	of           *os.File
	size         int64
	first        []byte // its first 4 KiB
	mine, theirs []byte // room
	read         int64  // bytes of the others
}

func (c *comparison) same(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	for at := int64(0); at < c.size; {
		mine := c.first
		if at > 0 {
			mine = c.mine[:min(int64(len(c.mine)), c.size-at)]
			if _, err := c.of.ReadAt(mine, at); err != nil {
				return false, err
			}
		}
		n, err := f.ReadAt(c.theirs[:len(mine)], at)
		c.read += int64(n)
		if err == io.EOF {
			return false, nil // it has another length now
		}
		if err != nil || !bytes.Equal(mine, c.theirs[:n]) {
			return false, err
		}
		at += int64(n)
	}
	return true, nil
}

func (s *linkStore) open(name string) (io.ReadCloser, error) { return os.Open(s.path(name)) }

func (s *linkStore) remove(name string) error {
	st, err := os.Lstat(s.path(name))
	if err == nil {
		err = os.Remove(s.path(name))
	}
	if err != nil {
		return err
	}
	if st.Mode().IsRegular() {
		s.mu.Lock()
		kept := make([]string, 0, len(s.length[st.Size()]))
		for _, n := range s.length[st.Size()] {
			if n != name {
				kept = append(kept, n)
			}
		}
		s.length[st.Size()] = kept
		s.mu.Unlock()
	}
	return syncFolder(filepath.Join(s.dir, "files"))
}

// fill puts a file there as an upload without equals would, quickly: without the
// comparisons and syncs. What its size has beyond data is zeros that take no room.
func (s *linkStore) fill(name string, data []byte, size int64) error {
	if err := errors.Join(os.WriteFile(s.path(name), data, 0o600), os.Truncate(s.path(name), size)); err != nil {
		return err
	}
	s.length[size] = append(s.length[size], name)
	return nil
}

// spool writes what comes to a new file, durably, and returns its length.
func spool(path string, r io.Reader) (int64, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return n, errors.Join(err, os.Remove(path))
	}
	return n, nil
}

// syncFolder makes a folder's names durable.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// regular counts the files of a folder that are no links, and their bytes.
func regular(dir string) (files int, bytes int64, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		st, err := e.Info()
		if err == nil {
			files++
			bytes += st.Size()
		}
		return err
	})
	return files, bytes, err
}
