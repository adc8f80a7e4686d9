package bucket_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/lab/powercut"
)

// The power-cut tests run this program again as a child that works on the
// served folder and says what was acknowledged, one line each:
//
//	put KEY VERSION    the object is there, at least in this version
//	del KEY            the object is gone

// cutWorkers share one bucket in the child.
const cutWorkers = 4

// cutBody is version v of an object: it tells its key and version all along.
func cutBody(key string, v int) string {
	return strings.Repeat(fmt.Sprintf("%s %d\n", key, v), 1+v%3*400)
}

// cutChild works until a call fails, which the power cut makes it do.
func cutChild(dir string) error {
	b, err := bucket.Open(context.Background(), "dir:"+dir)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for w := range cutWorkers {
		wg.Go(func() {
			for i := 1; cutStep(b, w, i) == nil; i++ {
			}
		})
	}
	wg.Wait()
	return nil
}

// cutStep is one round of a worker: an object of its own, one that all workers
// race for, a new version of one, and the end of an older one.
func cutStep(b bucket.Bucket, w, i int) error {
	ctx := context.Background()
	own, shared, live := fmt.Sprintf("own/%d/%02d/%d", w, i/5, i), fmt.Sprintf("shared/%02d/%d", i/5, i), fmt.Sprintf("live/%d", w)
	for _, p := range []struct {
		key  string
		v    int
		once bool
	}{{own, 1, true}, {shared, 1, true}, {live, i, false}} {
		text := cutBody(p.key, p.v)
		err := b.Put(ctx, p.key, strings.NewReader(text), int64(len(text)), bucket.PutOptions{IfAbsent: p.once})
		// The loser of the race may rely on the object, too.
		if err != nil && !(p.key == shared && errs.Is(err, errs.Conflict)) {
			return err
		}
		fmt.Printf("put %s %d\n", p.key, p.v)
	}
	if i <= 3 {
		return nil
	}
	old := fmt.Sprintf("own/%d/%02d/%d", w, (i-3)/5, i-3)
	fmt.Printf("end %s\n", old) // from here on it may be gone
	if err := b.Delete(ctx, old); err != nil {
		return err
	}
	fmt.Printf("del %s\n", old)
	return nil
}

// said is what a child acknowledged.
type said struct {
	version map[string]int // by key; at least this one
	ended   map[string]bool
	gone    map[string]bool
	lines   int
}

// cut runs a child on a served folder over backing, cuts the power d after its
// first word or at an operation, and returns what the child had acknowledged by then.
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
	child := exec.Command(os.Args[0], "cut-child", filepath.Join(mount, "data", "blobs"))
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(20*time.Second, func() { child.Process.Kill() })
	defer limit.Stop()
	s := said{version: map[string]int{}, ended: map[string]bool{}, gone: map[string]bool{}}
	for in := bufio.NewScanner(out); in.Scan(); s.lines++ {
		if s.lines == 0 && d > 0 { // counted from here: a busy machine starts slowly
			time.AfterFunc(d, folder.Freeze)
		}
		w := strings.Fields(in.Text())
		switch w[0] {
		case "put":
			v, _ := strconv.Atoi(w[2])
			s.version[w[1]] = max(s.version[w[1]], v)
		case "end":
			s.ended[w[1]] = true
		case "del":
			s.gone[w[1]] = true
		}
	}
	child.Wait() // how it ended does not matter: it was cut off
	if _, err := folder.Cut(seed); err != nil {
		t.Fatal(err)
	}
	return s
}

// lost checks the folder that a cut left behind, and returns what is wrong.
func (s said) lost(t *testing.T, backing string) (faults []string) {
	t.Helper()
	b := open(t, "dir:"+filepath.Join(backing, "data", "blobs"))
	here := map[string]int{}
	for after := ""; ; {
		infos, err := b.List(t.Context(), "", after, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range infos {
			after = info.Key
			r, err := b.Get(t.Context(), info.Key, 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(r)
			r.Close()
			if err != nil {
				t.Fatal(err)
			}
			var key string
			var v int
			fmt.Sscanf(string(text), "%s %d", &key, &v)
			if key != info.Key || string(text) != cutBody(key, v) {
				faults = append(faults, fmt.Sprintf("%s is not whole: %d bytes, %.40q", info.Key, len(text), text))
			}
			here[info.Key] = v
		}
		if len(infos) < 100 {
			break
		}
	}
	for key, v := range s.version {
		if here[key] < v && !s.ended[key] {
			faults = append(faults, fmt.Sprintf("%s is at version %d, %d was acknowledged", key, here[key], v))
		}
	}
	for key := range s.gone {
		if here[key] != 0 {
			faults = append(faults, key+" was deleted and is back")
		}
	}
	if left, err := os.ReadDir(filepath.Join(backing, "data", "blobs", ".tmp")); err != nil || len(left) != 0 {
		faults = append(faults, fmt.Sprintf("%d unfinished files are left, %v", len(left), err))
	}
	return faults
}

// TestPowerCuts: whatever was acknowledged when the power goes is there, and
// no object is there by halves.
func TestPowerCuts(t *testing.T) {
	acknowledged, cuts := 0, 12
	if os.Getenv("PLUMB_SOAK") != "" {
		cuts = 200
	}
	for seed := range int64(cuts) {
		backing := t.TempDir()
		opt := powercut.Options{Ext4Names: seed%3 == 0}
		s := cut(t, backing, opt, time.Duration(1+seed*7%200)*time.Millisecond, seed)
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

// TestPowerCutAtEachOperation covers what random cuts rarely hit: the start,
// and each step of the first objects.
func TestPowerCutAtEachOperation(t *testing.T) {
	for n := 1; n <= 60; n++ {
		backing := t.TempDir()
		s := cut(t, backing, powercut.Options{CutAtOp: n}, 0, int64(n))
		if faults := s.lost(t, backing); len(faults) > 0 {
			t.Errorf("cut at operation %d: %d faults, the first: %s", n, len(faults), faults[0])
		}
	}
}

// TestPowerCutsFindALyingDisk is the control: where a sync does nothing, the
// test must see objects lost.
func TestPowerCutsFindALyingDisk(t *testing.T) {
	for seed := range int64(10) {
		backing := t.TempDir()
		s := cut(t, backing, powercut.Options{LyingDisk: true}, 100*time.Millisecond, seed)
		if len(s.lost(t, backing)) > 0 {
			return
		}
	}
	t.Error("ten power cuts on a disk that does not sync lost nothing")
}
