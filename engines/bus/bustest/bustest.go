// Package bustest holds every bus to the one contract, and starts a NATS
// cluster for tests.
//
//	bustest.Suite(t, func(t *testing.T) (a, b bus.Bus) { m := bus.Memory(); return m, m })
//	cluster := bustest.Cluster(t)
//	b, err := bus.NATS(ctx, cluster.URL())
package bustest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/engines/bus"
)

// Suite runs the contract. connect makes a new, empty bus and returns two ends
// of it, as two processes would hold; they may be one and the same. Suite closes them.
func Suite(t *testing.T, connect func(t *testing.T) (a, b bus.Bus)) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, a, b bus.Bus)
	}{
		{"everybody hears", everybodyHears},
		{"wildcards", wildcards},
		{"order", order},
		{"the buffer is the publisher's", ownBuffer},
		{"stop", stops},
		{"a slow subscriber", slowSubscriber},
		{"subjects and sizes", subjectsAndSizes},
		{"publish from a subscriber", publishFromSubscriber},
		{"close", closes},
		{"many at once", manyAtOnce},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := connect(t)
			defer b.Close()
			defer a.Close()
			c.run(t, a, b)
		})
	}
}

// inbox collects what a subscription gets.
type inbox struct {
	mu   sync.Mutex
	got  []string // "subject data"
	news chan bool
}

func listen(t testing.TB, b bus.Bus, pattern string) (*inbox, func()) {
	t.Helper()
	in := &inbox{news: make(chan bool, 1)}
	stop, err := b.Subscribe(pattern, func(subject string, data []byte) {
		if subject == settling && pattern != settling {
			return
		}
		in.mu.Lock()
		in.got = append(in.got, subject+" "+string(data))
		in.mu.Unlock()
		select {
		case in.news <- true:
		default:
		}
	})
	if err != nil {
		t.Fatalf("subscribe %s: %v", pattern, err)
	}
	return in, stop
}

// wait returns what has come once there are n messages.
func (in *inbox) wait(t testing.TB, n int) []string {
	t.Helper()
	for limit := time.After(20 * time.Second); ; {
		in.mu.Lock()
		got := append([]string(nil), in.got...)
		in.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-in.news:
		case <-limit:
			t.Fatalf("%d of %d messages came: %.200q", len(got), n, got)
		}
	}
}

func publish(t testing.TB, b bus.Bus, subject, data string) {
	t.Helper()
	if err := b.Publish(context.Background(), subject, []byte(data)); err != nil {
		t.Fatalf("publish %s: %v", subject, err)
	}
}

const settling = "settle.test" // no inbox with a wildcard counts it

// settle returns once the subscriptions of the other end are known everywhere:
// behind other nodes of a cluster that takes an instant.
func settle(t testing.TB, from, to bus.Bus) {
	t.Helper()
	in, stop := listen(t, to, settling)
	defer stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		publish(t, from, settling, "")
		select {
		case <-in.news:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatal("the two ends never heard each other")
}

func everybodyHears(t *testing.T, a, b bus.Bus) {
	if err := errors.Join(a.Ping(t.Context()), b.Ping(t.Context())); err != nil {
		t.Fatal(err)
	}
	one, _ := listen(t, a, "news")
	two, _ := listen(t, a, "news")
	far, _ := listen(t, b, "news")
	other, _ := listen(t, b, "weather")
	settle(t, a, b)
	publish(t, a, "news", "hello")
	publish(t, a, "nobody.listens", "hello")
	publish(t, a, "weather", "")
	for _, in := range []*inbox{one, two, far} {
		if got := in.wait(t, 1); got[0] != "news hello" {
			t.Errorf("got %q", got)
		}
	}
	if got := other.wait(t, 1); len(got) != 1 || got[0] != "weather " {
		t.Errorf("got %q", got)
	}
	if s := a.Stats(); s.Published < 3 || s.Dropped != 0 {
		t.Errorf("stats: %+v", s)
	}
}

func wildcards(t *testing.T, a, b bus.Bus) {
	patterns := map[string]string{ // pattern: the subjects that match
		"a.b":   "a.b",
		"a.*":   "a.b a.c",
		"*.b":   "a.b x.b",
		"*":     "a end",
		">":     "a a.b a.b.c a.c x.b x.y.b end",
		"a.>":   "a.b a.b.c a.c",
		"*.*.b": "x.y.b",
		"a.*.>": "a.b.c",
	}
	boxes := map[string]*inbox{}
	for p := range patterns {
		boxes[p], _ = listen(t, b, p)
	}
	ends, _ := listen(t, b, "end")
	settle(t, a, b)
	for _, s := range strings.Fields(patterns[">"]) {
		publish(t, a, s, "")
	}
	ends.wait(t, 1)
	for p, want := range patterns {
		got := boxes[p].wait(t, len(strings.Fields(want)))
		if strings.TrimSpace(strings.Join(got, "")) != want {
			t.Errorf("%s: got %q, want %q", p, got, want)
		}
	}
}

func order(t *testing.T, a, b bus.Bus) {
	in, _ := listen(t, b, "n.*")
	settle(t, a, b)
	const n = 3000
	for i := range n {
		publish(t, a, fmt.Sprintf("n.%d", i%3), fmt.Sprint(i))
	}
	for i, got := range in.wait(t, n) {
		if want := fmt.Sprintf("n.%d %d", i%3, i); got != want {
			t.Fatalf("message %d: got %q, want %q", i, got, want)
		}
	}
}

func ownBuffer(t *testing.T, a, b bus.Bus) {
	in, _ := listen(t, b, "k")
	settle(t, a, b)
	buf := []byte("before")
	if err := a.Publish(t.Context(), "k", buf); err != nil {
		t.Fatal(err)
	}
	copy(buf, "after!")
	if got := in.wait(t, 1); got[0] != "k before" {
		t.Errorf("got %q", got)
	}
}

func stops(t *testing.T, a, b bus.Bus) {
	in, stop := listen(t, b, "k")
	kept, _ := listen(t, b, "k")
	var calls atomic.Int64
	var self func()
	ready := make(chan bool)
	self, err := b.Subscribe("k", func(string, []byte) { <-ready; calls.Add(1); self() })
	if err != nil {
		t.Fatal(err)
	}
	close(ready)
	settle(t, a, b)
	publish(t, a, "k", "1")
	in.wait(t, 1)
	kept.wait(t, 1)
	stop()
	stop()
	for i := range 100 {
		publish(t, a, "k", fmt.Sprint(i))
	}
	kept.wait(t, 101)
	waitFor(t, "the first call", func() bool { return calls.Load() > 0 })
	publish(t, a, "k", "last")
	kept.wait(t, 102)
	if got := in.wait(t, 1); len(got) != 1 {
		t.Errorf("after stop: %d messages", len(got))
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("a subscription that stopped itself at the first message got %d", n)
	}
}

// slowSubscriber: one that stands still drops, is counted, and holds up neither
// the publisher nor its neighbours.
func slowSubscriber(t *testing.T, a, b bus.Bus) {
	release := make(chan bool)
	var slow atomic.Int64
	_, err := b.Subscribe("k", func(string, []byte) { <-release; slow.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	var quick atomic.Int64
	if _, err := b.Subscribe("k", func(string, []byte) { quick.Add(1) }); err != nil {
		t.Fatal(err)
	}
	settle(t, a, b)
	const n = 20_000
	for i := range n {
		publish(t, a, "k", "x")
		// Stay within the quick one's queue: it is not on trial.
		for i%1000 == 0 && quick.Load() < int64(i-4000) {
			time.Sleep(time.Millisecond)
		}
	}
	waitFor(t, "the quick subscriber", func() bool { return quick.Load() == n })
	waitFor(t, "drops", func() bool { return b.Stats().Dropped > 0 })
	close(release)
	waitFor(t, "every message delivered or counted", func() bool { return slow.Load()+b.Stats().Dropped == n })
	if slow.Load() == 0 {
		t.Error("the slow subscriber got nothing at all")
	}
}

func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func subjectsAndSizes(t *testing.T, a, b bus.Bus) {
	kind := func(what string, err error, want errs.Kind) {
		t.Helper()
		if !errs.Is(err, want) {
			t.Errorf("%s: want kind %q, got %v", what, want, err)
		}
	}
	for _, s := range []string{"", ".", "a.", ".a", "a..b", "a b", "a\r\nPUB x 0", "$SYS.x", "é", "a.*b", "a/b", "a\x00", strings.Repeat("a", bus.MaxSubject+1)} {
		kind(fmt.Sprintf("publish %.20q", s), a.Publish(t.Context(), s, nil), errs.Invalid)
		_, err := a.Subscribe(s, func(string, []byte) {})
		kind(fmt.Sprintf("subscribe %.20q", s), err, errs.Invalid)
	}
	for _, s := range []string{"*", "a.*", ">", "a.>"} {
		kind("publish "+s, a.Publish(t.Context(), s, nil), errs.Invalid)
	}
	_, err := a.Subscribe("a.>.b", func(string, []byte) {})
	kind("subscribe a.>.b", err, errs.Invalid)
	kind("a large message", a.Publish(t.Context(), "k", make([]byte, bus.MaxPayload+1)), errs.TooLarge)
	longest := strings.Repeat("a", bus.MaxSubject)
	in, _ := listen(t, b, longest)
	settle(t, a, b)
	publish(t, a, longest, strings.Repeat("x", bus.MaxPayload))
	if got := in.wait(t, 1); len(got[0]) != bus.MaxSubject+1+bus.MaxPayload {
		t.Errorf("got %d bytes", len(got[0]))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Publish(ctx, "k", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("publish, cancelled: %v", err)
	}
}

func publishFromSubscriber(t *testing.T, a, b bus.Bus) {
	in, _ := listen(t, a, "pong")
	if _, err := b.Subscribe("ping", func(_ string, data []byte) { b.Publish(context.Background(), "pong", data) }); err != nil {
		t.Fatal(err)
	}
	settle(t, a, b)
	settle(t, b, a)
	publish(t, a, "ping", "1")
	if got := in.wait(t, 1); got[0] != "pong 1" {
		t.Errorf("got %q", got)
	}
}

// closes: Close waits for the call under way, lets none begin after it, and
// leaves a bus that says so.
func closes(t *testing.T, a, b bus.Bus) {
	entered, leave := make(chan bool), make(chan bool)
	var after atomic.Int64
	var ended atomic.Bool
	if _, err := a.Subscribe("k", func(string, []byte) {
		if after.Add(1) == 1 {
			close(entered)
			<-leave
			ended.Store(true)
		}
	}); err != nil {
		t.Fatal(err)
	}
	publish(t, a, "k", "1")
	publish(t, a, "k", "2")
	<-entered
	time.AfterFunc(20*time.Millisecond, func() { close(leave) })
	if err := a.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if !ended.Load() {
		t.Error("Close did not wait for the call under way")
	}
	begun := after.Load()
	if err := a.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
	_, subErr := a.Subscribe("k", func(string, []byte) {})
	for verb, err := range map[string]error{"publish": a.Publish(t.Context(), "k", nil), "ping": a.Ping(t.Context()), "subscribe": subErr} {
		if !errs.Is(err, errs.Busy) {
			t.Errorf("%s after close: %v", verb, err)
		}
	}
	if n := after.Load(); n != begun {
		t.Errorf("%d calls began after Close", n-begun)
	}
}

func manyAtOnce(t *testing.T, a, b bus.Bus) {
	var got atomic.Int64
	if _, err := b.Subscribe("many.>", func(string, []byte) { got.Add(1) }); err != nil {
		t.Fatal(err)
	}
	settle(t, a, b)
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 200 {
				if err := a.Publish(t.Context(), fmt.Sprintf("many.%d", w), bytes.Repeat([]byte("x"), i)); err != nil {
					t.Errorf("publish: %v", err)
				}
				if stop, err := b.Subscribe("other", func(string, []byte) {}); err == nil && i%50 == 0 {
					stop()
				} else if err == nil {
					defer stop()
				}
			}
		})
	}
	wg.Wait()
	waitFor(t, "all messages", func() bool { return got.Load() == 16*200 })
}
