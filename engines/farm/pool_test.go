package farm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"plumb/base/clock"
	"plumb/base/errs"
)

// await waits until ok, for as long as a busy machine may need.
func await(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for range 3000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	tb.Fatalf("waited in vain: %s", what)
}

// gone says whether a process is no more, or dead and not yet collected.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return strings.Contains(string(b), ") Z ")
}

// asleep starts a task that sleeps, and returns when it does so. Its result comes later.
func asleep(t *testing.T, ctx context.Context, p *Pool) <-chan error {
	t.Helper()
	up, done := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := p.Do(ctx, Task{Name: "sleep", Params: "1h", Out: func(string, io.Reader) error { close(up); return nil }})
		done <- err
	}()
	select {
	case <-up:
	case err := <-done:
		t.Fatal(err)
	}
	return done
}

func TestManyTasksShareFewChildren(t *testing.T) {
	p := newPool(t, Options{Size: 2, Reuse: 1000})
	var wg sync.WaitGroup
	for n := range 200 {
		wg.Go(func() {
			got := answers{}
			want := strings.Repeat(fmt.Sprint(n), n)
			if _, err := p.Do(t.Context(), Task{Name: "copy", Params: n, In: strings.NewReader(want), Out: got.take}); err != nil {
				t.Error(err)
			}
			if string(got["copy"]) != want || string(got["params"]) != fmt.Sprint(n) {
				t.Errorf("task %d got another's answer", n)
			}
			if s := p.Stats(); s.Running > 2 || s.Idle > 2 {
				t.Errorf("%+v", s)
			}
		})
	}
	wg.Wait()
	if s := p.Stats(); s.Started != 2 || s.Done != 200 || s.Running+s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}

func TestWhoWaitsIsServedInTheOrderOfComing(t *testing.T) {
	p := newPool(t, Options{Size: 1, Queue: 10})
	ctx, cancel := context.WithCancel(t.Context())
	first := asleep(t, ctx, p)
	var mu sync.Mutex
	var order []int
	var wg sync.WaitGroup
	for n := range 10 {
		wg.Go(func() {
			_, err := p.Do(t.Context(), Task{Name: "copy", Out: func(name string, _ io.Reader) error {
				if name == "copy" {
					mu.Lock()
					order = append(order, n)
					mu.Unlock()
				}
				return nil
			}})
			if err != nil {
				t.Error(err)
			}
		})
		await(t, "the next one waits", func() bool { return p.Stats().Waiting == n+1 })
	}
	if _, err := p.Do(t.Context(), Task{Name: "empty"}); !errs.Is(err, errs.Busy) || !strings.Contains(err.Error(), "10 tasks wait already") {
		t.Error(err)
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	wg.Wait()
	if !slices.IsSorted(order) || len(order) != 10 {
		t.Error(order)
	}
}

func TestACancelledTaskEndsWithItsChild(t *testing.T) {
	p := newPool(t, Options{Size: 1})
	if _, err := p.Do(t.Context(), Task{Name: "empty", Params: ""}); err != nil {
		t.Fatal(err)
	}
	pid := p.idle[0].proc.Pid()
	ctx, cancel := context.WithCancel(t.Context())
	done := asleep(t, ctx, p)
	short, end := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer end()
	if _, err := p.Do(short, Task{Name: "empty"}); !errs.Is(err, errs.Busy) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(errs.Message(err), "all 1 places") {
		t.Error(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if !gone(pid) {
		t.Error("its child goes on")
	}
	works(t, p)
	if _, err := p.Do(ctx, Task{Name: "empty"}); err == nil {
		t.Error("a cancelled caller's task is done")
	}
	if s := p.Stats(); s.Over+s.Died != 0 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAKilledChild(t *testing.T) {
	p := newPool(t, Options{Size: 1})
	works(t, p)
	// While it works, the task fails.
	pid := p.idle[0].proc.Pid()
	done := asleep(t, t.Context(), p)
	syscall.Kill(pid, syscall.SIGKILL)
	if err := <-done; !errors.Is(err, ErrDied) || !strings.Contains(err.Error(), "signal: killed") {
		t.Error(err)
	}
	// While it is idle, however short ago, nobody notices.
	for range 30 {
		works(t, p)
		p.mu.Lock()
		pid := p.idle[0].proc.Pid()
		p.mu.Unlock()
		syscall.Kill(pid, syscall.SIGKILL)
	}
	if s := p.Stats(); s.Died != 1 || s.Done != 31 || s.Started < 30 {
		t.Errorf("%+v", s)
	}
}

func TestAChildIsReplacedAfterItsShare(t *testing.T) {
	p := newPool(t, Options{Size: 1, Reuse: 3})
	for range 7 {
		works(t, p)
	}
	if s := p.Stats(); s.Started != 3 || s.Idle != 1 {
		t.Errorf("%+v", s)
	}
}

func TestIdleChildrenEnd(t *testing.T) {
	c := clock.NewManual(time.Date(2026, 11, 28, 14, 0, 0, 0, time.UTC))
	p := newPool(t, Options{Size: 1, Idle: time.Minute, Clock: c})
	works(t, p)
	pid := p.idle[0].proc.Pid()
	await(t, "the idle child ends", func() bool { c.Advance(10 * time.Second); return p.Stats().Idle == 0 })
	await(t, "it is gone", func() bool { return gone(pid) })
	works(t, p)
	if s := p.Stats(); s.Started != 2 {
		t.Errorf("%+v", s)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	p := newPool(t, Options{Size: 2, Limits: small()})
	works(t, p)
	pid := p.idle[0].proc.Pid()
	running := asleep(t, t.Context(), p)
	other := asleep(t, t.Context(), p)
	waiting := make(chan error, 1)
	go func() {
		_, err := p.Do(t.Context(), Task{Name: "empty"})
		waiting <- err
	}()
	await(t, "one waits", func() bool { return p.Stats().Waiting == 1 })
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for _, c := range []<-chan error{running, other, waiting} {
		if err := <-c; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
	if _, err := p.Do(t.Context(), Task{Name: "empty"}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if !gone(pid) {
		t.Error("a child is left")
	}
	p.Close() // once more does no harm
}

// Of all ways to end, none keeps a descriptor, a goroutine or a process.
func TestNothingIsLeftOpen(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	p := newPool(t, Options{Size: 1, Limits: small()})
	if err := p.Close(); err != nil { // what the runtime opens once is open now
		t.Fatal(err)
	}
	before := count()
	p = newPool(t, Options{Size: 2, Limits: small(), Reuse: 2})
	for range 3 {
		works(t, p)
		for _, name := range []string{"exit", "panic", "flood", "huge", "invalid", "leak", "half"} {
			if _, err := p.Do(t.Context(), Task{Name: name, Params: "x"}); err == nil && name != "leak" {
				t.Error(name, "succeeds")
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := asleep(t, ctx, p)
		cancel()
		<-done
	}
	p.Close()
	if after := count(); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}
