package app

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"plumb/base/errs"
)

// version of the data folder's layout. A folder of a newer one is refused.
const folderVersion = 1

// Folder is the data folder, held by this process until Close.
type Folder struct {
	Path string
	lock *os.File
}

// OpenFolder makes what is missing of the data folder and takes its lock. A
// second process is refused with the first one's id.
func OpenFolder(path string) (*Folder, error) {
	for _, dir := range []string{path, filepath.Join(path, "blobs"), filepath.Join(path, "keys"), filepath.Join(path, "prove")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "data folder %s cannot be made", path)
		}
	}
	f, err := os.OpenFile(filepath.Join(path, "LOCK"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "data folder %s cannot be written", path)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(f.Name())
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errs.New(errs.Conflict, "data folder %s is held by process %s; stop it, or choose another with --data", path, strings.TrimSpace(string(holder)))
		}
		return nil, errs.Wrap(errs.Invalid, err, "data folder %s cannot be locked", path)
	}
	d := &Folder{path, f}
	if err := errors.Join(d.sign(), d.checkVersion()); err != nil {
		f.Close()
		return nil, err
	}
	return d, nil
}

// sign writes who holds the folder; the flock, not this text, is the lock.
func (d *Folder) sign() error {
	if err := d.lock.Truncate(0); err != nil {
		return fmt.Errorf("sign the lock: %w", err)
	}
	_, err := d.lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "data folder %s cannot be written", d.Path)
	}
	return nil
}

func (d *Folder) checkVersion() error {
	path := filepath.Join(d.Path, "VERSION")
	src, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return writeDurably(path, fmt.Appendf(nil, "plumb data %d\n", folderVersion), 0o644)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	text, ok := strings.CutPrefix(strings.TrimSpace(string(src)), "plumb data ")
	v, err := strconv.Atoi(text)
	if !ok || err != nil || v < 1 {
		return errs.New(errs.Invalid, "%s does not name a version of Plumb's data: %.40q", path, src)
	}
	if v > folderVersion {
		return errs.New(errs.Invalid, "data folder %s was written by a newer Plumb (version %d, this one knows %d)", d.Path, v, folderVersion)
	}
	return nil
}

// Key returns the house's 32-byte key from file, or from keys/house.key, which
// it makes at the first start.
func (d *Folder) Key(file string) ([]byte, error) {
	made := file == ""
	if made {
		file = filepath.Join(d.Path, "keys", "house.key")
	}
	src, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && made {
		key := make([]byte, 32)
		rand.Read(key)
		return key, writeDurably(file, []byte(hex.EncodeToString(key)+"\n"), 0o600)
	}
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "read the key file %s", file)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(src)))
	if err != nil || len(key) != 32 {
		return nil, errs.New(errs.Invalid, "key file %s must hold 64 hexadecimal digits", file)
	}
	return key, nil
}

// Close gives the folder back.
func (d *Folder) Close() error { return d.lock.Close() }

// writeDurably writes a small file so that a power cut leaves all of it or none.
func writeDurably(path string, data []byte, mode fs.FileMode) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
