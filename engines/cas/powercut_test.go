package cas_test

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/cas"
	"plumb/engines/lab/powercut"
	"plumb/engines/sqldb"
)

// The power-cut tests run this program again as a child that works on the served folder
// and says what was acknowledged, one line each:
//
//	put NAME    one more reference to the content of that name is there
//	end NAME    one reference is about to go
//	del NAME    it is gone
//
// A name is "own-WORKER-ROUND" or "shared-ROUND", which all workers put at once.

const cutWorkers = 3

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "cut-child" {
		if err := cutChild(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	if os.Getenv("PLUMB_SOAK") == "" && flag.Lookup("rapid.checks").Value.String() == "100" {
		flag.Set("rapid.checks", "10")
	}
	os.Exit(m.Run())
}

// cutContent is small or large, and compresses or not.
func cutContent(name string) []byte {
	h := sum([]byte(name))
	seed, size := uint64(h[0])|uint64(h[1])<<8, []int{0, 900, 70_000, 200_000, 700_000}[int(h[2])%5]
	body := random(seed, size)
	if h[3]%2 == 0 {
		body = text(seed, size)
	}
	return append(body, name...)
}

type place struct {
	db *sqldb.DB
	s  *cas.Store
	b  bucket.Bucket
}

func openPlace(dir string) (p place, err error) {
	ctx := context.Background()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return p, err
	}
	above, err := os.Open(filepath.Dir(dir)) // the folder's own name is its owner's to keep
	if err == nil {
		err = above.Sync()
		above.Close()
	}
	if err != nil {
		return p, err
	}
	if p.db, err = sqldb.Open(ctx, "sqlite:"+filepath.Join(dir, "plumb.db"), sqldb.Options{}); err != nil {
		return p, err
	}
	if p.b, err = bucket.Folder(filepath.Join(dir, "blobs")); err != nil {
		return p, err
	}
	p.s, err = cas.Open(ctx, cas.Needs{DB: p.db, Bucket: p.b, Key: houseKey, Clock: clock.System{}}, cas.Options{Alone: true})
	return p, err
}

// cutChild works until a call fails, which the power cut makes it do.
func cutChild(dir string) error {
	p, err := openPlace(dir)
	if err != nil {
		return err
	}
	p.s.MakeSmall()
	var wg sync.WaitGroup
	for w := range cutWorkers {
		wg.Go(func() {
			for i := 1; cutStep(p, w, i) == nil; i++ {
			}
		})
	}
	wg.Go(func() {
		for {
			if _, err := p.s.Collect(context.Background(), nil); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	wg.Wait()
	return nil
}

func cutStep(p place, w, i int) error {
	ctx := context.Background()
	for _, name := range []string{fmt.Sprintf("own-%d-%d", w, i), fmt.Sprintf("shared-%d", i)} {
		body := cutContent(name)
		pending, err := p.s.Put(ctx, bytes.NewReader(body), cas.PutOptions{})
		if err != nil {
			return err
		}
		err = p.db.BatchBy(ctx, pending.Lane(), func(ctx context.Context, tx *sqldb.Tx) error { return p.s.Take(ctx, tx, pending) })
		pending.Close()
		if err != nil {
			return err
		}
		fmt.Printf("put %s\n", name)
	}
	if i <= 2 {
		return nil
	}
	for _, name := range []string{fmt.Sprintf("own-%d-%d", w, i-2), fmt.Sprintf("shared-%d", i-2)} {
		fmt.Printf("end %s\n", name)
		h := cas.Hash(sum(cutContent(name)))
		if err := p.db.BatchBy(ctx, h.Lane(), func(ctx context.Context, tx *sqldb.Tx) error { return p.s.Drop(ctx, tx, h) }); err != nil {
			return err
		}
		fmt.Printf("del %s\n", name)
	}
	return nil
}

// said is what a child acknowledged.
type said struct {
	put, end, del map[string]int
	lines         int
}

// cut runs a child on a served folder over backing, cuts the power d after its first
// word or at an operation, and returns what the child had acknowledged by then.
func cut(t *testing.T, backing string, opt powercut.Options, d time.Duration, seed int64) said {
	t.Helper()
	mount := t.TempDir()
	folder, err := powercut.Open(backing, mount, opt)
	if err != nil && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(mount, syscall.MNT_DETACH)
	child := exec.Command(os.Args[0], "cut-child", filepath.Join(mount, "data"))
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(30*time.Second, func() { child.Process.Kill() })
	defer limit.Stop()
	s := said{put: map[string]int{}, end: map[string]int{}, del: map[string]int{}}
	for in := bufio.NewScanner(out); in.Scan(); s.lines++ {
		if s.lines == 0 && d > 0 { // counted from here: a busy machine starts slowly
			time.AfterFunc(d, folder.Freeze)
		}
		verb, name, _ := strings.Cut(in.Text(), " ")
		switch verb {
		case "put":
			s.put[name]++
		case "end":
			s.end[name]++
		case "del":
			s.del[name]++
		}
	}
	child.Wait() // how it ended does not matter: it was cut off
	if _, err := folder.Cut(seed); err != nil {
		t.Fatal(err)
	}
	return s
}

// lost checks what a cut left behind, and returns what is wrong.
func (s said) lost(t *testing.T, backing string) (faults []string) {
	t.Helper()
	p, err := openPlace(filepath.Join(backing, "data"))
	if err != nil {
		return []string{err.Error()}
	}
	defer p.db.Close()
	defer p.s.Close()
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for name := range s.put {
		body := cutContent(name)
		r, err := p.s.Open(t.Context(), cas.Hash(sum(body)))
		if errs.Is(err, errs.NotFound) {
			if s.put[name] > s.end[name] {
				fault("%s was put %d times, %d were to go, and it is gone", name, s.put[name], s.end[name])
			}
			continue
		}
		if err != nil {
			fault("%s: %v", name, err)
			continue
		}
		got, err := io.ReadAll(r)
		r.Close()
		if err != nil || !bytes.Equal(got, body) {
			fault("%s: %d of %d bytes, %v", name, len(got), len(body), err)
		}
		if strings.HasPrefix(name, "own") && s.del[name] > 0 {
			fault("%s is back", name)
		}
	}
	before := stats(t, p.s)
	if err := p.s.Check(t.Context()); err != nil {
		fault("%v", err)
	}
	if _, err := p.s.Collect(t.Context(), nil); err != nil {
		fault("%v", err)
	}
	if r, err := p.s.Scrub(t.Context(), nil); err != nil || r.Bad > 0 || r.Orphans > 0 {
		fault("scrub: %+v, %v", r, err)
	}
	if err := p.s.Check(t.Context()); err != nil {
		fault("after the collector: %v", err)
	}
	st := stats(t, p.s)
	if st.References != before.References || st.Chunked > st.Unique {
		fault("%+v, and after the collector %+v", before, st)
	}
	list, err := p.b.List(t.Context(), "", "", 1000)
	if err != nil || int64(len(list)) != st.Packs {
		fault("%d objects for %d packs, %v", len(list), st.Packs, err)
	}
	return faults
}

// TestPowerCuts: whatever was acknowledged when the power goes is there, every count is
// exact, and the collector leaves nothing that nobody refers to.
func TestPowerCuts(t *testing.T) {
	acknowledged, cuts := 0, 6
	if os.Getenv("PLUMB_SOAK") != "" {
		cuts = 200
	}
	for seed := range int64(cuts) {
		backing := t.TempDir()
		opt := powercut.Options{Ext4Names: seed%3 == 0}
		s := cut(t, backing, opt, time.Duration(5+seed*97%600)*time.Millisecond, seed)
		acknowledged += s.lines
		if faults := s.lost(t, backing); len(faults) > 0 {
			t.Errorf("cut %d: %d faults, the first: %s", seed, len(faults), faults[0])
		}
	}
	t.Logf("%d cuts, %d acknowledgements", cuts, acknowledged)
	if acknowledged == 0 {
		t.Error("nothing was acknowledged: nothing was tested")
	}
}

// TestPowerCutAtOperations covers the start and the steps of the first contents.
func TestPowerCutAtOperations(t *testing.T) {
	step := 37
	if os.Getenv("PLUMB_SOAK") != "" {
		step = 2
	}
	for n := 3; n <= 300; n += step {
		backing := t.TempDir()
		s := cut(t, backing, powercut.Options{CutAtOp: n}, 0, int64(n))
		if faults := s.lost(t, backing); len(faults) > 0 {
			t.Errorf("cut at operation %d: %d faults, the first: %s", n, len(faults), faults[0])
		}
	}
}

// TestPowerCutsFindALyingDisk is the control: where a sync does nothing, the test must
// see something lost.
func TestPowerCutsFindALyingDisk(t *testing.T) {
	for seed := range int64(10) {
		backing := t.TempDir()
		s := cut(t, backing, powercut.Options{LyingDisk: true}, 300*time.Millisecond, seed)
		if len(s.lost(t, backing)) > 0 {
			return
		}
	}
	t.Error("ten power cuts on a disk that does not sync lost nothing")
}

// TestFullDisk: a disk that is full refuses as Busy, shows nothing by halves, and goes
// on when there is room.
func TestFullDisk(t *testing.T) {
	backing, mount := t.TempDir(), t.TempDir()
	folder, err := powercut.Open(backing, mount, powercut.Options{})
	if err != nil && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(mount, syscall.MNT_DETACH) // the bucket keeps its folder open
	// The database lies elsewhere: this process may not map a file that it serves.
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "plumb.db"), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	b, err := bucket.Folder(filepath.Join(mount, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, db, struct{ bucket.Bucket }{b}, cas.Options{}) // a bucket that does not tell its room
	c := random(1, 3<<20)
	h := keep(t, db, s, c, cas.PutOptions{})
	folder.SetRoom(1 << 20)
	for range 3 {
		if _, err := s.Put(t.Context(), bytes.NewReader(random(2, 3<<20)), cas.PutOptions{}); !errs.Is(err, errs.Busy) {
			t.Errorf("on a full disk: %v", err)
		}
	}
	if folder.Refused() == 0 {
		t.Error("the disk refused nothing")
	}
	reads(t, s, h, c)
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	folder.SetRoom(-1)
	reads(t, s, keep(t, db, s, random(2, 3<<20), cas.PutOptions{}), random(2, 3<<20))
	if _, err := s.Collect(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if list, err := b.List(t.Context(), "", "", 100); err != nil || int64(len(list)) != stats(t, s).Packs {
		t.Errorf("%d objects, %+v, %v", len(list), stats(t, s), err)
	}
	s.Close()
}
