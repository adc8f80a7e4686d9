package prove

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"plumb/engines/lab"
)

// The designs that lend originals, and the disks on which they do.

// otherDisk finds a folder on another file system than that of dir.
func otherDisk(dir string) (path, what string, err error) {
	device := func(p string) (uint64, bool) {
		var st syscall.Stat_t
		if err := syscall.Stat(p, &st); err != nil {
			return 0, false
		}
		return uint64(st.Dev), true
	}
	mine, _ := device(dir)
	for _, at := range []string{"/dev/shm", os.Getenv("XDG_RUNTIME_DIR"), "/run/shm", "/var/tmp", "/tmp", os.Getenv("HOME"), "."} {
		if d, ok := device(at); at == "" || !ok || d == mine {
			continue
		}
		if path, err = os.MkdirTemp(at, "plumb-lab-"); err == nil {
			return path, at, nil
		}
	}
	return "", "", errors.New("this needs a second file system, such as /dev/shm, and there is none to write to")
}

// links are folders on two disks.
type links struct{ here, there, prefix string }

func (l links) at(name string) string { return filepath.Join(l.here, l.prefix+"-"+name) }

func (l links) other(name string) string { return filepath.Join(l.there, l.prefix+"-"+name) }

// linkedDisk shares by links of one kind or the other.
type linkedDisk struct {
	links
	hard bool
}

func (l *linkedDisk) share(_ context.Context, original string, copies []string, body []byte) (apart int, err error) {
	if err := os.WriteFile(l.at(original), body, 0o600); err != nil {
		return 0, err
	}
	for i, c := range copies {
		to := l.at(c)
		if i%4 == 3 { // this one lies on the other disk
			to = l.other(c)
		}
		link := os.Symlink
		if l.hard {
			link = os.Link
		}
		err := link(l.at(original), to)
		if l.hard && errors.Is(err, syscall.EXDEV) {
			apart++
			err = os.WriteFile(to, body, 0o600)
		}
		if err != nil {
			return apart, err
		}
	}
	return apart, nil
}

func (l *linkedDisk) befall(_ context.Context, fate, original string, after []byte) (apart int, err error) {
	path := l.at(original)
	switch fate {
	case "remove":
		return 0, os.Remove(path)
	case "replace": // as editors save: a new file takes the name
		return 0, errors.Join(os.WriteFile(path+".new", after, 0o600), os.Rename(path+".new", path))
	case "edit":
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return 0, err
		}
		_, err = f.WriteAt(after, 0)
		return 0, errors.Join(err, f.Close())
	case "rename":
		return 0, os.Rename(path, path+".moved")
	}
	// Move to the other disk, as mv does: copied there, removed here.
	if err := os.Rename(path, l.other(original)+".moved"); !errors.Is(err, syscall.EXDEV) {
		return 0, fmt.Errorf("a rename to the other disk: %v", err)
	}
	if l.hard { // the copies keep the file here: it is stored twice from now on
		apart = 1
	}
	return apart, errors.Join(os.WriteFile(l.other(original)+".moved", after, 0o600), os.Remove(path))
}

func (l *linkedDisk) settle(context.Context) error { return nil }

func (l *linkedDisk) read(_ context.Context, name string) ([]byte, error) {
	for _, path := range []string{l.at(name), l.other(name)} {
		if _, err := os.Lstat(path); err == nil {
			return os.ReadFile(path)
		}
	}
	return nil, errGone
}

// servedDisk shares through a server.
type servedDisk struct {
	b      *lab.Bench
	there  string
	server *built
	ids    map[string]string
	stored int64 // of contents, when all was shared
}

func (l *servedDisk) share(ctx context.Context, original string, copies []string, body []byte) (apart int, err error) {
	if l.server == nil {
		l.ids = map[string]string{}
		if l.server, err = newBuilt(ctx, l.b); err != nil {
			return 0, err
		}
		if _, err := l.server.do(ctx, "POST", l.server.api("/folders/elsewhere"), nil); err != nil {
			return 0, err
		}
	}
	for _, name := range append([]string{original}, copies...) {
		if l.ids[name], err = l.server.put(ctx, "lent/"+name, body); err != nil {
			return 0, err
		}
	}
	st, err := l.server.stats(ctx)
	l.stored++
	return int(max(0, st.Blobs-l.stored)), err // beyond one content an original
}

func (l *servedDisk) befall(ctx context.Context, fate, original string, after []byte) (apart int, err error) {
	switch fate {
	case "remove":
		return 0, l.server.end(ctx, "lent/"+original, l.ids[original])
	case "replace", "edit":
		_, err := l.server.put(ctx, "lent/"+original, after)
		return 0, err
	}
	to := "lent/" + original + ".moved"
	if fate == "move" {
		to = "elsewhere/" + original + ".moved"
	}
	body := fmt.Sprintf(`{"from":%s,"to":%s}`, strconv.Quote("lent/"+original), strconv.Quote(to))
	_, err = l.server.do(ctx, "POST", l.server.api("/move"), []byte(body))
	return 0, err
}

// settle collects, stops the server, moves its data to the other disk, and starts it
// there.
func (l *servedDisk) settle(ctx context.Context) error {
	if err := l.server.collect(ctx); err != nil {
		return err
	}
	if err := l.server.Stop(); err != nil {
		return err
	}
	from, to := l.server.data, filepath.Join(l.there, "data")
	l.server = nil
	err := copyTree(from, to)
	if err == nil {
		err = os.RemoveAll(from)
	}
	if err == nil {
		l.server, err = startBuilt(ctx, to)
	}
	return err
}

func (l *servedDisk) read(ctx context.Context, name string) ([]byte, error) {
	got, err := l.server.get(ctx, "lent/"+name)
	if errors.Is(err, errGone) {
		return l.server.get(ctx, "elsewhere/"+name)
	}
	return got, err
}

func (l *servedDisk) close() {
	if l.server != nil {
		l.server.Kill9()
	}
}

// copyTree copies folders and files.
func copyTree(from, to string) error {
	list, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	for _, e := range list {
		a, b := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		if e.IsDir() {
			err = copyTree(a, b)
		} else if e.Type().IsRegular() {
			err = copyFile(a, b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	a, err := os.Open(from)
	if err != nil {
		return err
	}
	defer a.Close()
	st, err := a.Stat()
	if err != nil {
		return err
	}
	b, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, st.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(b, a)
	return errors.Join(err, b.Close())
}
