package farm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"plumb/base/errs"
)

// small are limits that a test reaches soon. The race detector needs several bytes to
// watch one, so memory is not the smallest.
func small() Limits {
	return Limits{Memory: 256 << 20, CPU: time.Minute, Wall: time.Minute, Input: 1 << 20, Output: 1 << 20}
}

// works shows that the pool is none the worse: the next task is done.
func works(t *testing.T, p *Pool) {
	t.Helper()
	got := answers{}
	if _, err := p.Do(t.Context(), Task{Name: "copy", In: strings.NewReader("good"), Out: got.take}); err != nil || string(got["copy"]) != "good" {
		t.Errorf("the task after it: %q, %v", got["copy"], err)
	}
}

func TestATaskThatGoesOverALimitIsEnded(t *testing.T) {
	quick := small()
	quick.CPU = 400 * time.Millisecond
	p, q := newPool(t, Options{Size: 1, Limits: small()}), newPool(t, Options{Size: 1, Limits: quick})
	cases := []struct{ name, params, want string }{
		{"grow", "", "took more than 256.0 MiB of memory"},
		{"huge", "", "took more than 256.0 MiB of memory"},
		{"spin", "", "took more than 400ms of processor time"},
		{"spins", "", "took more than 400ms of processor time"},
		{"flood", "", "wrote more than 1.0 MiB"},
		{"many", "", "wrote more than 10000 outputs"},
		{"log", "", "wrote more than 1.0 MiB to its log"},
	}
	if shadow == 1 { // what the address space has room for, and the memory not
		cases = append(cases, struct{ name, params, want string }{"hold", "370", "took more than 256.0 MiB of memory"})
	}
	for _, c := range cases {
		p := p
		if strings.HasPrefix(c.name, "spin") {
			p = q
		}
		u, err := p.Do(t.Context(), Task{Name: c.name, Params: c.params})
		if !errs.Is(err, errs.TooLarge) || !strings.Contains(errs.Message(err), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if u.Wall <= 0 || u.CPU <= 0 || c.name == "grow" && u.MaxRSS < 100<<20 {
			t.Errorf("%s: %+v", c.name, u)
		}
		works(t, p)
	}
	if s, z := p.Stats(), q.Stats(); s.Over+z.Over != int64(len(cases)) || s.Died+z.Died != 0 || s.Started+z.Started != int64(len(cases)+2) {
		t.Errorf("%+v, %+v", s, z)
	}
}

func TestATaskThatHangsIsEnded(t *testing.T) {
	l := small()
	l.Wall = 300 * time.Millisecond
	p := newPool(t, Options{Size: 1, Limits: l})
	_, err := p.Do(t.Context(), Task{Name: "sleep", Params: "1h"})
	if !errs.Is(err, errs.TooLarge) || !strings.Contains(err.Error(), "took longer than 300ms") {
		t.Error(err)
	}
	works(t, p)
}

func TestATaskThatTakesItsChildAlongIsTold(t *testing.T) {
	p := newPool(t, Options{Size: 1, Limits: small()})
	cases := []struct{ name, params, want string }{
		{"exit", "", "it ended"},
		{"panic", "the picture \xff is\x1bodd", "panic: the picture \uFFFD is\uFFFDodd"},
		{"panics", "elsewhere", "panic: elsewhere"},
		{"raw", "noise", "a frame of"},
		{"raw", "head 4294967295", "a frame of 4294967295 bytes"},
		{"raw", "head 65537", "a frame of 65537 bytes"},
		{"raw", "h{}", "out of place"},
		{"raw", "b", "out of place"},
		{"raw", "d", "out of place"},
		{"raw", "c", "out of place"},
		{"raw", "z", "out of place"},
		{"raw", "r{", "cannot be read"},
		{"raw", "o", "an output called"},
		{"raw", "o" + strings.Repeat("n", 256), "an output called"},
		{"raw", "oescape\x1b[2J", "an output called"},
		{"raw", "ox\nr{}", "before its output's end"},
		{"raw", "ox\noy", "in an output"},
		{"raw", "r{}\nr{}", "more than a result"},
	}
	for _, c := range cases {
		_, err := p.Do(t.Context(), Task{Name: c.name, Params: c.params})
		if !errors.Is(err, ErrDied) || !errs.Is(err, errs.Internal) || !strings.Contains(err.Error(), c.want) || !utf8.ValidString(err.Error()) {
			t.Errorf("%s %.20q: %v", c.name, c.params, err)
		}
	}
	works(t, p)
	if s := p.Stats(); s.Died != int64(len(cases)) || s.Over != 0 {
		t.Errorf("%+v", s)
	}
}

func TestTheWorksOwnErrorsArriveWithTheirKind(t *testing.T) {
	p := newPool(t, Options{Size: 1, Limits: small()})
	for _, c := range []struct {
		name, params string
		kind         errs.Kind
		message, log string
	}{
		{"invalid", "no picture", errs.Invalid, "no picture", "wrapped: no picture"},
		{"invalid", "\x1b[31m\xff" + strings.Repeat("é", 5000), errs.Invalid, "\uFFFD[31m\uFFFD", "wrapped"},
		{"failure", "a secret path", errs.Internal, "", "a secret path"},
		{"nobody", "", errs.Internal, "", `nobody knows the work "nobody"`},
		{"open", "x", errs.Internal, "", "left an output open"},
		{"twice", "", errs.Internal, "", "open already"},
		{"name", "a\nb", errs.Internal, "", "no output can be called"},
		{"half", strings.Repeat("x", 100_000), errs.Invalid, "cut off", "cut off"},
		{"stdout", "", "", "", ""},
	} {
		_, err := p.Do(t.Context(), Task{Name: c.name, Params: c.params})
		if c.kind == "" && err == nil {
			continue
		}
		if !errs.Is(err, c.kind) || !strings.HasPrefix(errs.Message(err), c.message) || !strings.Contains(err.Error(), c.log) || len(err.Error()) > 4*maxText || !utf8.ValidString(err.Error()) {
			t.Errorf("%s %.20q: kind %s, %q, %v", c.name, c.params, errs.KindOf(err), errs.Message(err), err)
		}
	}
	if s := p.Stats(); s.Started != 1 {
		t.Errorf("an error is no reason for another child: %+v", s)
	}
}

// A child that was taken over may claim what it likes in a result.
func TestAResultIsNotBelieved(t *testing.T) {
	p := newPool(t, Options{Size: 1, Limits: small(), Reuse: 1})
	for params, want := range map[string]errs.Kind{
		`r{"failed":true,"kind":"unknown","text":"sign in again"}`: errs.Internal,
		`r{"failed":true,"kind":"made up","text":"x"}`:             errs.Internal,
		`r{"failed":true,"kind":"too large","text":"x"}`:           errs.TooLarge,
	} {
		_, err := p.Do(t.Context(), Task{Name: "raw", Params: params})
		if !errs.Is(err, want) || errors.Is(err, ErrDied) {
			t.Errorf("%s: %s, %v", params, errs.KindOf(err), err)
		}
	}
}

// The output of a task that fails in the middle never looks whole to who takes it.
func TestAPartOfAnOutputIsNoOutput(t *testing.T) {
	p := newPool(t, Options{Size: 1, Limits: small()})
	for _, name := range []string{"half", "flood"} {
		var seen error
		n := 0
		_, err := p.Do(t.Context(), Task{Name: name, Params: "some", Out: func(_ string, r io.Reader) error {
			b, err := io.ReadAll(r)
			n, seen = len(b), err
			return err
		}})
		if seen == nil || err == nil || n == 0 {
			t.Errorf("%s: Out saw %d bytes and %v; Do returned %v", name, n, seen, err)
		}
	}
}

func TestErrorsOfInAndOutAreTheCallers(t *testing.T) {
	p := newPool(t, Options{Size: 1, Limits: small()})
	mine := errors.New("mine")
	_, err := p.Do(t.Context(), Task{Name: "copy", In: io.MultiReader(strings.NewReader("x"), failing{mine})})
	if !errors.Is(err, mine) {
		t.Error(err)
	}
	_, err = p.Do(t.Context(), Task{Name: "copy", In: io.LimitReader(endless{}, 1<<20+1)})
	if !errs.Is(err, errs.TooLarge) || !strings.Contains(err.Error(), "the input has more than 1.0 MiB") {
		t.Error(err)
	}
	_, err = p.Do(t.Context(), Task{Name: "copy", Params: strings.Repeat("x", 1<<20)})
	if !errs.Is(err, errs.TooLarge) {
		t.Error(err)
	}
	if s := p.Stats(); s.Started != 1 {
		t.Errorf("the child had no part in it: %+v", s)
	}
	_, err = p.Do(t.Context(), Task{Name: "copy", In: io.LimitReader(endless{}, 1<<20), Out: func(string, io.Reader) error { return mine }})
	if !errors.Is(err, mine) || errors.Is(err, ErrDied) {
		t.Error(err)
	}
	// What Out does not read is dropped.
	if _, err = p.Do(t.Context(), Task{Name: "copy", In: io.LimitReader(endless{}, 1<<19), Out: func(string, io.Reader) error { return nil }}); err != nil {
		t.Error(err)
	}
	func() {
		defer func() { _ = recover() }()
		p.Do(t.Context(), Task{Name: "copy", Out: func(string, io.Reader) error { panic("mine") }})
	}()
	works(t, p)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestATaskThatLeavesSomethingRunningCostsItsChild(t *testing.T) {
	p := newPool(t, Options{Size: 1})
	for _, name := range []string{"brief", "empty", "leak", "empty"} { // what ends soon is no leak
		if _, err := p.Do(t.Context(), Task{Name: name, Params: ""}); err != nil {
			t.Error(name, err)
		}
	}
	if s := p.Stats(); s.Started != 2 {
		t.Errorf("%+v", s)
	}
}

// Each of these tasks fits, and all together would not.
func TestAChildIsNotBlamedForItsPredecessors(t *testing.T) {
	p := newPool(t, Options{Size: 1, Limits: Limits{Memory: 256 << 20, CPU: 20 * time.Second}})
	for range 4 {
		u, err := p.Do(t.Context(), Task{Name: "take", Params: "150"})
		if err != nil || u.MaxRSS < 150<<20 {
			t.Fatal(u, err)
		}
	}
	u, err := p.Do(t.Context(), Task{Name: "empty", Params: ""})
	if err != nil || u.MaxRSS > shadow*140<<20 {
		t.Errorf("an empty task is said to hold %d bytes, %v", u.MaxRSS, err)
	}
	if s := p.Stats(); s.Over+s.Died != 0 || shadow == 1 && s.Started != 1 {
		t.Errorf("%+v", s)
	}
}

// Address space that a task leaves reserved is not the next one's: a child that keeps
// much of it is replaced.
func TestAChildIsReplacedWhenItsAddressSpaceIsUsedUp(t *testing.T) {
	p := newPool(t, Options{Size: 1, Limits: small()})
	half := p.o.Limits.room() / 2 >> 20
	for _, mib := range []int64{half / 2, half/2 + 20} { // what one leaves counts with what the next does
		works(t, p)
		if s := p.Stats(); s.Started != 1 {
			t.Errorf("%+v", s)
		}
		if _, err := p.Do(t.Context(), Task{Name: "map", Params: fmt.Sprint(mib)}); err != nil {
			t.Fatal(mib, err)
		}
	}
	works(t, p)
	if s := p.Stats(); s.Started != 2 {
		t.Errorf("%+v", s)
	}
}

// A child that ends its task and then does not take up the next one is replaced.
func TestAChildThatDoesNotTakeUpItsTaskIsReplaced(t *testing.T) {
	p := newPool(t, Options{Size: 1, begin: time.Second})
	if _, err := p.Do(t.Context(), Task{Name: "raw", Params: "r{}"}); err != nil {
		t.Fatal(err)
	}
	works(t, p)
	if s := p.Stats(); s.Started != 2 || s.Died != 0 {
		t.Errorf("%+v", s)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []Options{{Size: -1}, {Queue: -1}, {Reuse: -1}, {Nice: 20}, {Idle: -1}, {Limits: Limits{Memory: 1 << 20}}, {Limits: Limits{CPU: -1}}} {
		if _, err := New(o); !errs.Is(err, errs.Invalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	p, err := New(Options{Program: "/nonexistent/plumb"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Do(context.Background(), Task{Name: "empty"}); err == nil || !strings.Contains(err.Error(), "start a child") {
		t.Error(err)
	}
	// A program that does something else is told apart, with what it said.
	q, err := New(Options{Program: "/bin/ls", Args: []string{"/no such folder"}})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if _, err := q.Do(context.Background(), Task{Name: "empty"}); err == nil || !strings.Contains(err.Error(), "no such folder") {
		t.Error(err)
	}
	if n := p.Stats().Size; n != runtime.GOMAXPROCS(0) {
		t.Error(n)
	}
}
