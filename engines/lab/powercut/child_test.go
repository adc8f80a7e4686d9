package powercut

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

// The workloads run in a child process: a process must not serve a mount and use it.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "child" {
		if err := child(os.Args[2], os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(what string, args []string) error {
	switch what {
	case "append":
		return appendRecords(args[0], args[1])
	case "sqlite":
		return insertRows(args[0], args[1], args[2])
	case "ops":
		return checkOps(args[0])
	}
	return fmt.Errorf("unknown %q", what)
}

// A record is: length, checksum of the body, body (number, then filler).
func record(n uint64, rng *rand.Rand) []byte {
	body := make([]byte, 8+rng.Intn(6000))
	rng.Read(body)
	binary.LittleEndian.PutUint64(body, n)
	head := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	head = binary.LittleEndian.AppendUint32(head, crc32.ChecksumIEEE(body))
	return append(head, body...)
}

// scan returns the number of the last good record and where it ends.
func scan(data []byte) (last uint64, end int) {
	for len(data)-end >= 16 {
		size := int(binary.LittleEndian.Uint32(data[end:]))
		if size < 8 || size > len(data)-end-8 {
			break
		}
		body := data[end+8 : end+8+size]
		if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(data[end+4:]) ||
			binary.LittleEndian.Uint64(body) != last+1 {
			break
		}
		last, end = last+1, end+8+size
	}
	return last, end
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// appendRecords has the modes sync (right), nosync, early (acknowledges before
// the fsync) and nodir (never syncs the folder).
func appendRecords(path, mode string) error {
	data, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	last, end := scan(data)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	if err := f.Truncate(int64(end)); err != nil {
		return err
	}
	if mode == "sync" || mode == "early" {
		if err := f.Sync(); err != nil {
			return err
		}
		if err := syncDir(filepath.Dir(path)); err != nil {
			return err
		}
	}
	rng := rand.New(rand.NewSource(int64(last)))
	for n := last + 1; ; n++ {
		if _, err := f.Write(record(n, rng)); err != nil {
			return err
		}
		if mode == "early" {
			fmt.Println(n)
		}
		if mode != "nosync" {
			if err := f.Sync(); err != nil {
				return err
			}
		}
		if mode != "early" {
			fmt.Println(n)
		}
	}
}

func openDB(path, mode string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)"+
		"&_pragma=wal_autocheckpoint(40)&_pragma=synchronous("+mode+")")
	if err == nil {
		_, err = db.Exec("create table if not exists t (id integer primary key, who text, body blob)")
	}
	return db, err
}

func insertRows(path, mode, who string) error {
	db, err := openDB(path, mode)
	if err != nil {
		return err
	}
	var journal, locking string
	if err := db.QueryRow("pragma journal_mode").Scan(&journal); err != nil {
		return err
	}
	if err := db.QueryRow("pragma locking_mode").Scan(&locking); err != nil {
		return err
	}
	if journal != "wal" || locking != "normal" {
		return fmt.Errorf("journal_mode %s, locking_mode %s", journal, locking)
	}
	for i := 0; ; i++ {
		res, err := db.Exec("insert into t (who, body) values (?, ?)", who, bytes.Repeat([]byte(who), 50+i*37%4000))
		if err != nil {
			return err
		}
		id, _ := res.LastInsertId()
		fmt.Println(id)
	}
}

// checkOps goes through the calls that a store needs, on a live mount.
func checkOps(dir string) error {
	path := filepath.Join(dir, "ops")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := f.Truncate(3 * 4096); err != nil {
		return err
	}
	fd := int(f.Fd())
	mem, err := syscall.Mmap(fd, 0, 3*4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("shared mmap: %w", err)
	}
	f2, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	copy(mem[5000:], "from mmap")
	got := make([]byte, 9)
	if _, err := f2.ReadAt(got, 5000); err != nil || string(got) != "from mmap" {
		return fmt.Errorf("mmap then read: %q %v", got, err)
	}
	if _, err := f2.WriteAt([]byte("by write"), 100); err != nil || string(mem[100:108]) != "by write" {
		return fmt.Errorf("write then mmap: %q %v", mem[100:108], err)
	}
	if err := syscall.Fdatasync(fd); err != nil {
		return fmt.Errorf("fdatasync: %w", err)
	}
	if err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("flock: %w", err)
	}
	if err := syscall.Flock(int(f2.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != syscall.EWOULDBLOCK {
		return fmt.Errorf("second flock: %v, want EWOULDBLOCK", err)
	}
	// Open-file-description locks, so that one process can be both sides.
	lk := syscall.Flock_t{Type: syscall.F_WRLCK, Start: 10, Len: 5}
	if err := syscall.FcntlFlock(f.Fd(), 37, &lk); err != nil { // F_OFD_SETLK
		return fmt.Errorf("fcntl lock: %w", err)
	}
	lk.Start = 12
	if err := syscall.FcntlFlock(f2.Fd(), 37, &lk); err != syscall.EAGAIN {
		return fmt.Errorf("second fcntl lock: %v, want EAGAIN", err)
	}
	if err := os.Rename(path, filepath.Join(dir, "ops2")); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, "ops2")); err != nil {
		return err
	}
	if _, err := f2.ReadAt(got, 5000); err != nil || string(got) != "from mmap" {
		return fmt.Errorf("read after unlink: %q %v", got, err)
	}
	w := func(name string) *os.File {
		f, e := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_RDWR, 0o644)
		if e == nil {
			_, e = f.WriteString("data of " + name)
		}
		if e != nil {
			err = e
		}
		return f
	}
	w("closed").Close() // no sync at all
	w("named").Close()  // the folder is synced, not the data
	if e := syncDir(dir); e != nil {
		return fmt.Errorf("fsync of a folder: %w", e)
	}
	w("synced").Sync() // data synced, name not
	w("both").Sync()   // data and, below, name
	os.Mkdir(filepath.Join(dir, "sub"), 0o755)
	os.Rename(filepath.Join(dir, "both"), filepath.Join(dir, "sub", "both"))
	if e := syncDir(filepath.Join(dir, "sub")); e != nil {
		return e
	}
	d, e := os.OpenFile(filepath.Join(dir, "sub", "dsync"), os.O_CREATE|os.O_RDWR|syscall.O_DSYNC, 0o644)
	if e != nil {
		return e
	}
	if _, e := d.WriteString("data of dsync"); e != nil {
		return e
	}
	syncDir(filepath.Join(dir, "sub"))
	w("last").Close()
	m := w("mapped")
	m.Truncate(4096)
	mem, e = syscall.Mmap(int(m.Fd()), 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if e != nil {
		return e
	}
	copy(mem, "DATA")
	m.Sync()
	copy(mem, "LOST") // after the sync, unmapped by exit
	list, e := os.ReadDir(dir)
	if e != nil || len(list) != 6 {
		return fmt.Errorf("readdir: %v %v", list, e)
	}
	fmt.Println("ok")
	time.Sleep(10 * time.Millisecond)
	return err
}
