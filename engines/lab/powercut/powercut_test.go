package powercut

import (
	"bufio"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func mounted(t testing.TB, backing string, opt Options) (*Folder, string) {
	t.Helper()
	mnt, err := os.MkdirTemp("", "mnt")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Open(backing, mnt, opt)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() { syscall.Unmount(mnt, syscall.MNT_DETACH); os.Remove(mnt) })
	return p, mnt
}

// run starts a child, kills it after d, and returns the last number it acknowledged.
func run(t testing.TB, d time.Duration, args ...string) (last, count int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"child"}, args...)...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan [2]int)
	first := make(chan bool, 1)
	go func() { // reads to the end of the pipe: all that was acknowledged before the kill
		var got [2]int
		in := bufio.NewReader(out)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				break
			}
			if n, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
				got[0] = max(got[0], n)
				got[1]++
			}
			select {
			case first <- true:
			default:
			}
		}
		close(first)
		lines <- got
	}()
	var got [2]int
	if d < time.Hour {
		<-first // count the time from the first acknowledgement
		time.Sleep(d)
		cmd.Process.Kill()
		got = <-lines
	} else { // until the child fails by itself, frozen out
		select {
		case got = <-lines:
		case <-time.After(10 * time.Second):
			cmd.Process.Kill()
			t.Fatal("the child hangs")
		}
	}
	cmd.Wait()
	if errs.Len() > 0 && d < time.Hour {
		t.Fatal(errs.String())
	}
	return got[0], got[1]
}

// soak says whether the long series is wanted (make soak).
func soak() bool { return os.Getenv("PLUMB_SOAK") != "" }

type tally struct {
	acked, lost, cuts, losing int
	rep                       Report
}

func (a *tally) add(acked, lost int, r Report) {
	a.acked += acked
	a.cuts++
	a.lost += lost
	if lost > 0 {
		a.losing++
	}
	a.rep.Ops += r.Ops
	a.rep.Kept += r.Kept
	a.rep.Torn += r.Torn
	a.rep.Dropped += r.Dropped
	a.rep.NamesKept += r.NamesKept
	a.rep.NamesDropped += r.NamesDropped
}

func (a tally) String() string {
	return fmt.Sprintf("%d cuts, %d acknowledged, %d lost (in %d cuts); %+v", a.cuts, a.acked, a.lost, a.losing, a.rep)
}

func cuts(t *testing.T, n int, opt Options, fn func(backing, mnt string, d time.Duration) (had, acked int), present func(backing string) int) tally {
	var all tally
	var backing string
	for seed := 0; seed < n; seed++ {
		if seed%10 == 0 { // ten cuts in a row on one store, then a new one
			backing = t.TempDir()
		}
		rng := rand.New(rand.NewSource(int64(seed)))
		had := present(backing)
		p, mnt := mounted(t, backing, opt)
		last, count := fn(backing, mnt, time.Duration(rng.Intn(150_000))*time.Microsecond)
		rep, err := p.Cut(int64(seed))
		if err != nil {
			t.Fatal(err)
		}
		now := present(backing)
		all.add(count, max(0, max(had, last)-now), rep)
	}
	return all
}

func journal(backing string) int {
	data, _ := os.ReadFile(filepath.Join(backing, "j"))
	last, _ := scan(data)
	return int(last)
}

func TestPowerCutAppend(t *testing.T) {
	for _, c := range []struct {
		mode string
		opt  Options
		lose bool
	}{
		{"sync", Options{}, false},
		{"sync", Options{Ext4Names: true}, false},
		{"nosync", Options{}, true},
		{"nosync", Options{Ext4Names: true}, true},
		{"sync", Options{LyingDisk: true}, true},
	} {
		n := 100
		if !soak() {
			n = 12
		}
		all := cuts(t, n, c.opt, func(_, mnt string, d time.Duration) (int, int) {
			return run(t, d, "append", filepath.Join(mnt, "j"), c.mode)
		}, journal)
		t.Logf("append %s %+v: %v", c.mode, c.opt, all)
		if c.lose != (all.lost > 0) {
			t.Errorf("lost %d, want loss: %v", all.lost, c.lose)
		}
	}
}

// rows opens a copy of the database on the plain folder and returns the highest id.
// A gap in the ids or a failed integrity_check counts as nothing present.
func rows(t *testing.T, bad *int) func(string) int {
	return func(backing string) int {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(backing)); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "db")); err != nil {
			return 0
		}
		db, err := openDB(filepath.Join(dir, "db"), "FULL")
		if err != nil {
			t.Log("open: ", err)
			*bad++
			return 0
		}
		defer db.Close()
		var check string
		var top, count int
		if err := db.QueryRow("pragma integrity_check").Scan(&check); err != nil || check != "ok" {
			t.Logf("integrity_check: %.60q %v", check, err)
			*bad++
			return 0
		}
		if err := db.QueryRow("select ifnull(max(id),0), count(*) from t").Scan(&top, &count); err != nil || top != count {
			t.Log("rows: ", top, count, err)
			*bad++
			return 0
		}
		return top
	}
}

func TestPowerCutSQLite(t *testing.T) {
	for _, c := range []struct {
		mode string
		opt  Options
		lose bool
	}{
		{"FULL", Options{}, false},
		{"FULL", Options{Ext4Names: true}, false},
		{"OFF", Options{Ext4Names: true}, true},
		{"NORMAL", Options{Ext4Names: true}, true},
	} {
		bad := 0
		var all tally
		if !c.lose {
			n := 30
			if !soak() {
				n = 6
			}
			all = cuts(t, n, c.opt, func(_, mnt string, d time.Duration) (int, int) {
				return run(t, d, "sqlite", filepath.Join(mnt, "db"), c.mode, "a")
			}, rows(t, &bad))
		} else { // a damaged database can't be carried on with: a new one each time
			for seed := 0; seed < 30 && (soak() || all.lost == 0); seed++ {
				backing := t.TempDir()
				p, mnt := mounted(t, backing, c.opt)
				last, count := run(t, time.Duration(seed*5)*time.Millisecond, "sqlite", filepath.Join(mnt, "db"), c.mode, "a")
				rep, err := p.Cut(int64(seed))
				if err != nil {
					t.Fatal(err)
				}
				all.add(count, max(0, last-rows(t, &bad)(backing)), rep)
			}
		}
		t.Logf("sqlite %s %+v: %v; damaged %d", c.mode, c.opt, all, bad)
		if c.lose != (all.lost > 0) || !c.lose && bad > 0 {
			t.Errorf("lost %d, damaged %d, want loss: %v", all.lost, bad, c.lose)
		}
	}
}

// Two processes write one WAL database: -shm is shared memory on the mount.
func TestPowerCutSQLiteTwoProcesses(t *testing.T) {
	backing, bad := t.TempDir(), 0
	p, mnt := mounted(t, backing, Options{})
	run(t, 0, "sqlite", filepath.Join(mnt, "db"), "FULL", "x") // makes the table
	type res struct{ last, n int }
	got := make(chan res, 2)
	for _, who := range []string{"a", "b"} {
		go func() {
			last, n := run(t, time.Second, "sqlite", filepath.Join(mnt, "db"), "FULL", who)
			got <- res{last, n}
		}()
	}
	a, b := <-got, <-got
	rep, err := p.Cut(1)
	if err != nil {
		t.Fatal(err)
	}
	top := rows(t, &bad)(backing)
	t.Logf("two processes acknowledged %v and %v; present %d, damaged %d; %+v", a, b, top, bad, rep)
	if top < max(a.last, b.last) || bad > 0 {
		t.Error("lost rows")
	}
}

func TestPowerCutOps(t *testing.T) {
	for _, ext4 := range []bool{false, true} {
		seen := map[string]map[string]int{}
		for seed := int64(0); seed < 30; seed++ {
			backing := t.TempDir()
			p, mnt := mounted(t, backing, Options{Ext4Names: ext4})
			out, err := exec.Command(os.Args[0], "child", "ops", mnt).CombinedOutput()
			if err != nil || string(out) != "ok\n" {
				t.Fatalf("%s %v", out, err)
			}
			if _, err := p.Cut(seed); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"ops", "ops2", "closed", "named", "synced", "both", "sub/both", "sub/dsync", "last", "mapped"} {
				data, err := os.ReadFile(filepath.Join(backing, name))
				s := fmt.Sprintf("%.20q", strings.TrimRight(string(data), "\x00"))
				if err != nil {
					s = "absent"
				}
				if seen[name] == nil {
					seen[name] = map[string]int{}
				}
				seen[name][s]++
			}
		}
		for _, name := range []string{"sub/both", "sub/dsync"} { // bytes and name are synced
			if want := fmt.Sprintf("%q", "data of "+filepath.Base(name)); seen[name][want] != 30 {
				t.Errorf("ext4 %v: %s was synced, yet is %v", ext4, name, seen[name])
			}
		}
		for _, name := range []string{"closed", "last"} { // close is no sync
			if len(seen[name]) < 2 {
				t.Errorf("ext4 %v: %s was not synced, yet is always %v", ext4, name, seen[name])
			}
		}
		for name, s := range seen {
			t.Logf("ext4 %v: %-9s %v", ext4, name, s)
		}
	}
}

// The same single-threaded calls, the same seed: the same bytes.
func TestPowerCutSeed(t *testing.T) {
	sum := func(seed int64) string {
		backing := t.TempDir()
		p, mnt := mounted(t, backing, Options{CutAtOp: 60})
		exec.Command(os.Args[0], "child", "append", filepath.Join(mnt, "j"), "nosync").Run() // ends with EIO
		if _, err := p.Cut(seed); err != nil {
			t.Fatal(err)
		}
		data, _ := os.ReadFile(filepath.Join(backing, "j"))
		return string(data)
	}
	differ := 0
	for seed := int64(0); seed < 10; seed++ {
		once, again, other := sum(seed), sum(seed), sum(seed+1)
		if once != again {
			t.Errorf("seed %d differs from itself", seed)
		}
		if once != other {
			differ++
		}
	}
	if differ == 0 {
		t.Error("every seed leaves the same")
	}
}

// Cuts at each of the first steps: a mistake in the order of steps shows every time.
func TestPowerCutSweep(t *testing.T) {
	bad := 0
	for _, c := range []struct {
		what, mode string
		ext4       bool
		lose       bool
		steps      int
	}{
		{"append", "sync", false, false, 40},
		{"append", "sync", true, false, 40},
		{"append", "early", true, true, 40},
		{"append", "nodir", false, true, 40},
		{"append", "nodir", true, false, 40},
		{"sqlite", "FULL", false, false, 150},
		{"sqlite", "FULL", true, false, 150},
	} {
		var all tally
		present, file := journal, "j"
		if c.what == "sqlite" {
			present, file = rows(t, &bad), "db"
		}
		stride := 1
		if !soak() && c.steps > 40 {
			stride = 7 // start-up has some 60 steps; the seed moves which are met
		}
		for step := 1; step <= c.steps; step += stride {
			backing := t.TempDir()
			p, mnt := mounted(t, backing, Options{Ext4Names: c.ext4, CutAtOp: step})
			last, count := run(t, time.Hour, c.what, filepath.Join(mnt, file), c.mode, "a")
			rep, err := p.Cut(int64(step))
			if err != nil {
				t.Fatal(err)
			}
			all.add(count, max(0, last-present(backing)), rep)
		}
		t.Logf("sweep %s %s ext4 %v: %v; damaged %d", c.what, c.mode, c.ext4, all, bad)
		if c.lose != (all.lost > 0) || bad > 0 {
			t.Errorf("lost %d, damaged %d, want loss: %v", all.lost, bad, c.lose)
		}
	}
}

// A full disk refuses what does not fit, keeps what was there, and goes on when
// there is room again.
func TestDiskFull(t *testing.T) {
	backing := t.TempDir()
	p, mnt := mounted(t, backing, Options{})
	p.SetRoom(64 << 10)
	out, err := exec.Command(os.Args[0], "child", "append", filepath.Join(mnt, "j"), "sync").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no space left on device") {
		t.Fatalf("a writer without end came to an end with %v: %.200s", err, out)
	}
	if p.Refused() == 0 {
		t.Error("nothing was refused")
	}
	p.SetRoom(-1)
	last, _ := run(t, 50*time.Millisecond, "append", filepath.Join(mnt, "j"), "sync")
	if _, err := p.Cut(1); err != nil {
		t.Fatal(err)
	}
	if had := journal(backing); had < last || last < 10 {
		t.Errorf("%d acknowledged with room again, %d present", last, had)
	}
}
