package bus_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"plumb/base/errs"
	"plumb/engines/bus"
	"plumb/engines/bus/bustest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	bustest.Suite(t, func(*testing.T) (a, b bus.Bus) {
		m := bus.Memory()
		return m, m
	})
}

// TestNATS holds two ends at different nodes of one cluster to the contract.
func TestNATS(t *testing.T) {
	c := bustest.Cluster(t)
	bustest.Suite(t, func(t *testing.T) (a, b bus.Bus) {
		return connect(t, c.NodeURL(0)), connect(t, c.NodeURL(2))
	})
}

func connect(t testing.TB, url string) bus.Bus {
	t.Helper()
	b, err := bus.NATS(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// resumes waits until what one end publishes reaches the other.
func resumes(t *testing.T, what string, from bus.Bus, got *atomic.Int64) {
	t.Helper()
	before := got.Load()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		from.Publish(t.Context(), "news.today", []byte("x"))
		if got.Load() > before && from.Ping(t.Context()) == nil {
			return
		}
	}
	t.Fatalf("%s: messages do not come through again: %v", what, from.Ping(t.Context()))
}

// TestNATSRestarts: a node goes, then all go; the bus says so, and resumes by
// itself, with its subscriptions.
func TestNATSRestarts(t *testing.T) {
	c := bustest.Cluster(t)
	from, to := connect(t, c.URL()), connect(t, c.URL())
	var got atomic.Int64
	if _, err := to.Subscribe("news.*", func(string, []byte) { got.Add(1) }); err != nil {
		t.Fatal(err)
	}
	resumes(t, "at first", from, &got)
	for i := range 3 {
		c.Stop(i)
		resumes(t, fmt.Sprintf("node %d stopped", i), from, &got)
		c.Start(i)
		resumes(t, fmt.Sprintf("node %d started", i), from, &got)
	}
	for i := range 3 {
		c.Stop(i)
	}
	if err := from.Ping(t.Context()); !errs.Is(err, errs.Busy) {
		t.Errorf("ping while all nodes are away: %v", err)
	}
	// What is published meanwhile is kept up to a bound, then refused.
	var err error
	large := make([]byte, bus.MaxPayload)
	for range 100 {
		if err = from.Publish(t.Context(), "nobody", large); err != nil {
			break
		}
	}
	if !errs.Is(err, errs.Busy) {
		t.Errorf("25 MiB published while all nodes are away: %v", err)
	}
	late := make(chan bool, 1)
	if _, err := to.Subscribe("late", func(string, []byte) {
		select {
		case late <- true:
		default:
		}
	}); err != nil {
		t.Errorf("subscribe while all nodes are away: %v", err)
	}
	for i := range 3 {
		c.Start(i)
	}
	resumes(t, "all nodes restarted", from, &got)
	for limit := time.After(20 * time.Second); ; {
		from.Publish(t.Context(), "late", nil)
		select {
		case <-late:
			return
		case <-limit:
			t.Fatal("a subscription made while NATS was away hears nothing")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestNATSRefuses(t *testing.T) {
	t.Setenv("PLUMB_NATS_PASSWORD", "")
	for _, url := range []string{"", "host", "http://host", "nats://", "nats://a,", "nats://u:hunter2@host:4222", "nats://%zz"} {
		_, err := bus.NATS(t.Context(), url)
		if !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := bus.NATS(ctx, "nats://127.0.0.1:1"); !errs.Is(err, errs.Busy) {
		t.Errorf("nobody there: %v", err)
	}
}

// FuzzSubject: a subject that is accepted arrives as it was, and holds nothing
// that NATS's protocol gives a meaning to.
func FuzzSubject(f *testing.F) {
	for _, s := range []string{"a.b", "a.*", "a.>", "..", "a\r\nb", "$SYS"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		m := bus.Memory()
		defer m.Close()
		got := make(chan string, 1)
		if _, err := m.Subscribe(">", func(s string, _ []byte) { got <- s }); err != nil {
			t.Fatal(err)
		}
		if m.Publish(context.Background(), subject, nil) != nil {
			return
		}
		if s := <-got; s != subject || strings.ContainsAny(s, " \r\n\t*>$") {
			t.Errorf("published %q, got %q", subject, s)
		}
	})
}

func BenchmarkBus(b *testing.B) {
	for _, kind := range []string{"memory", "nats"} {
		for _, size := range []int{128, 16 << 10} {
			b.Run(fmt.Sprintf("%s/%dB", kind, size), func(b *testing.B) {
				one := bus.Memory()
				if kind == "nats" {
					one = connect(b, bustest.Cluster(b).NodeURL(0))
				}
				defer one.Close()
				data := make([]byte, size)
				got := make(chan bool, 1)
				if _, err := one.Subscribe("k.*", func(string, []byte) { got <- true }); err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(size))
				for b.Loop() { // there and back: one message under way at a time
					if err := one.Publish(b.Context(), "k.1", data); err != nil {
						b.Fatal(err)
					}
					<-got
				}
			})
		}
	}
}

func Example() {
	b := bus.Memory()
	heard := make(chan string)
	stop, err := b.Subscribe("vending.report.*", func(subject string, data []byte) {
		heard <- subject + ": " + string(data)
	})
	if err != nil {
		panic(err)
	}
	defer stop()
	b.Publish(context.Background(), "vending.report.berlin", []byte("machine 7"))
	fmt.Println(<-heard)
	b.Close()
	// Output: vending.report.berlin: machine 7
}
