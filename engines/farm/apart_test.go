package farm

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func has(list []string, part string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, part) })
}

// TestAChildReachesNothing tries from within a child what input that took it over would.
func TestAChildReachesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("PLUMB_ADMIN_TOKEN", "secret")
	look := func(p *Pool) (tries map[string]string, env string) {
		got := answers{}
		if _, err := p.Do(t.Context(), Task{Name: "look", Params: l.Addr().String(), Out: got.take}); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(got["tries"], &tries); err != nil {
			t.Fatal(err)
		}
		return tries, string(got["env"])
	}
	p := newPool(t, Options{Size: 1, Reuse: 1})
	tries, env := look(p)
	if strings.Contains(env, "secret") {
		t.Errorf("it sees the environment: %s", env)
	}
	shut := p.Stats().Isolation
	t.Log("shut in by:", strings.Join(shut, "; "))
	if !has(shut, "seccomp") || !has(shut, "no new privileges") {
		t.Error("a system call filter works everywhere that this is tested")
	}
	// With cgo, as under the race detector, Go does not know all threads.
	_, _, old := syscall.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, 1)
	_, _, cgo := syscall.AllThreadsSyscall(unix.SYS_GETPID, 0, 0, 0)
	if has(shut, "Landlock") != (old == 0 && cgo == 0) {
		t.Errorf("Landlock: the system says %v, Go says %v", old, cgo)
	}
	for what, refusal := range tries {
		switch {
		case refusal != "":
		case (what == "read a file" || what == "list a folder") && !has(shut, "Landlock"):
		default:
			t.Errorf("it can %s", what)
		}
	}
	// Where the system allows no more, the filter alone still holds; and without that the
	// tries succeed, so they are good ones.
	p = newPool(t, Options{Size: 1, Reuse: 1})
	p.level = beside
	if tries, _ := look(p); tries["connect"] == "" || tries["run a program"] == "" || tries["fork"] == "" || tries["kill the parent"] == "" {
		t.Error(tries)
	}
	if shut := p.Stats().Isolation; has(shut, "namespaces") || has(shut, "owns nothing") {
		t.Error(shut)
	}
	p = newPool(t, Options{Size: 1, Reuse: 1, bare: true})
	tries, _ = look(p)
	for _, what := range []string{"read a file", "list a folder", "connect", "run a program", "fork", "kill the parent", "kill its group"} {
		if tries[what] != "" {
			t.Errorf("bare, it cannot %s: %s", what, tries[what])
		}
	}
	if tries["write a file"] == "" || tries["write the input"] == "" || tries["more memory"] == "" && os.Geteuid() != 0 {
		t.Error("limits hold always:", tries)
	}
}

func TestTheKernelHoldsTheLimitsToo(t *testing.T) {
	p := newPool(t, Options{Size: 1, Nice: 7, Reuse: 9})
	works(t, p)
	pid := p.idle[0].proc.Pid()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Max cpu time", "Max file size", "Max core file size", "Max open files", "Max address space"} {
		_, rest, _ := strings.Cut(string(text), name)
		if f := strings.Fields(rest); len(f) < 2 || f[0] == "unlimited" || f[1] == "unlimited" {
			t.Errorf("%s: %.40s", name, rest)
		}
	}
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err != nil || strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))[16] != "7" {
		t.Errorf("nice: %s, %v", stat, err)
	}
	if adj, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid)); err != nil || strings.TrimSpace(string(adj)) != "800" {
		t.Errorf("oom_score_adj: %s, %v", adj, err)
	}
}

func TestHowFarApart(t *testing.T) {
	if a := keepApart(apart, 0, 0); a.Credential.Uid != nobody || a.Cloneflags&unix.CLONE_NEWNET == 0 || a.Cloneflags&unix.CLONE_NEWUSER != 0 {
		t.Errorf("%+v", a)
	}
	if a := keepApart(apart, 1000, 1000); a.Credential != nil || a.Cloneflags&unix.CLONE_NEWUSER == 0 || a.UidMappings[0].HostID != 1000 {
		t.Errorf("%+v", a)
	}
	if a := keepApart(another, 0, 0); a.Credential == nil || a.Cloneflags != 0 {
		t.Errorf("%+v", a)
	}
	if a := keepApart(beside, 0, 0); a.Credential != nil || a.Cloneflags != 0 {
		t.Errorf("%+v", a)
	}
	for err, want := range map[error]bool{unix.EPERM: true, fmt.Errorf("fork/exec: %w", unix.ENOSPC): true, unix.ENOENT: false} {
		if refused(err) != want {
			t.Error(err)
		}
	}
}

// parent runs in a process of its own: a pool with two tasks that sleep, whose
// children's ids it prints, with what shuts them in.
func parent() int {
	p, err := New(Options{Args: []string{"farm"}, Size: 2, Dir: "/tmp"})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for range 2 {
		go p.Do(context.Background(), Task{Name: "sleep", Params: "1h"})
	}
	for p.Stats().Started < 2 {
		unix.Nanosleep(&unix.Timespec{Nsec: 1e6}, nil)
	}
	list, _ := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
	for _, task := range must(os.ReadDir("/proc/self/task")) {
		more, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		list = append(append(list, ' '), more...)
	}
	ids := strings.Fields(string(list))
	slices.Sort(ids)
	fmt.Println(strings.Join(slices.Compact(ids), " "), "|", strings.Join(p.Stats().Isolation, "; "))
	select {}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A pool's children end with its process, whoever runs that.
func TestChildrenEndWithTheirParent(t *testing.T) {
	users := []*syscall.Credential{nil}
	if os.Geteuid() == 0 {
		users = append(users, &syscall.Credential{Uid: 12345, Gid: 12345})
	}
	for _, user := range users {
		cmd := exec.Command("/proc/self/exe", "parent")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
		cmd.Dir, cmd.Env, cmd.Stderr = "/", []string{}, os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		list, shut, _ := strings.Cut(strings.TrimSpace(line), "|")
		t.Logf("run by %v, shut in by:%s", user, shut)
		var pids []int
		for _, s := range strings.Fields(list) {
			pid, err := strconv.Atoi(s)
			if err != nil {
				t.Fatalf("it says %q", line)
			}
			if gone(pid) {
				t.Errorf("%d is gone already", pid)
			}
			pids = append(pids, pid)
		}
		if len(pids) != 2 {
			t.Fatalf("it says %q", line)
		}
		cmd.Process.Kill()
		cmd.Wait()
		for _, pid := range pids {
			await(t, "a child ends with its parent", func() bool { return gone(pid) })
		}
	}
}
