package slots

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// call is a machine that arrives, or (id < 0) a report that is committed.
type call struct {
	at time.Duration
	id int
}

type calls []call

func (h calls) Len() int           { return len(h) }
func (h calls) Less(i, j int) bool { return h[i].at < h[j].at }
func (h calls) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *calls) Push(x any)        { *h = append(*h, x.(call)) }
func (h *calls) Pop() any {
	o := *h
	x := o[len(o)-1]
	*h = o[:len(o)-1]
	return x
}

// herd lets n machines arrive around a moment before a server that really does
// real reports a second and believes it does believed, in virtual time. It
// returns how many were stored, the tries a machine, when the last was stored,
// and the longest that one waited in the queue.
func herd(n int, real, believed float64, spread time.Duration) (stored int, tries float64, last, longest time.Duration) {
	r := rand.New(rand.NewPCG(7, 7))
	a := NewAdmission(Limits{Capacity: believed})
	ids := make([]string, n)
	h := make(calls, n)
	for i := range h {
		ids[i] = fmt.Sprint("m-", i)
		h[i] = call{time.Duration(math.Abs(r.NormFloat64()) * float64(spread)), i}
	}
	heap.Init(&h)
	each := time.Duration(float64(time.Second) / real)
	var free time.Duration
	count := 0
	for h.Len() > 0 {
		c := heap.Pop(&h).(call)
		now := midnight.Add(c.at)
		if c.id < 0 {
			a.Done(now, 1, 1)
			stored++
			last = c.at
			continue
		}
		count++
		wait, admitted := a.Arrive(now, ids[c.id], 1)
		if !admitted {
			heap.Push(&h, call{c.at + wait, c.id})
			continue
		}
		free = max(free, c.at) + each
		longest = max(longest, free-c.at)
		heap.Push(&h, call{free, -1})
	}
	return stored, float64(count) / float64(n), last, longest
}

// The reach of the design: a whole fleet at once costs two calls a machine and
// drains at nearly the server's full speed, whatever that is.
func TestAHerdDrainsInTwoCallsEach(t *testing.T) {
	const n = 188_888
	for _, c := range []float64{200, 500, 1000, 2000} {
		stored, tries, last, longest := herd(n, c, c, 2*time.Second)
		limit := time.Duration(1.05 * n / c * float64(time.Second))
		if stored != n || tries > 2 || last > limit || longest > 10*time.Second {
			t.Errorf("at %.0f/s: %d of %d stored, %.3f tries each, the last after %s (limit %s), longest wait %s", c, stored, n, tries, last, limit, longest)
		}
	}
}

// A wrong belief about the capacity costs time or tries, never a report.
func TestAWrongBeliefLosesNothing(t *testing.T) {
	const n = 50_000
	for _, believed := range []float64{100, 500, 1000, 2000} {
		stored, tries, last, _ := herd(n, 500, believed, 2*time.Second)
		t.Logf("500/s believed to be %.0f/s: %.2f tries, the last after %s", believed, tries, last)
		if stored != n || tries > 8 {
			t.Errorf("believed %.0f/s: %d stored, %.2f tries each", believed, stored, tries)
		}
	}
}

func fill(a *Admission, now time.Time) (in int) {
	for i := 0; ; i++ {
		if _, ok := a.Arrive(now, fmt.Sprint("stranger-", i), 1); !ok {
			return in
		}
		in++
	}
}

func TestAPlaceIsKeptForASlot(t *testing.T) {
	a := NewAdmission(Limits{Capacity: 100, Queue: 2 * time.Second})
	now := midnight
	if in := fill(a, now); in != 200 {
		t.Fatalf("%d let in, want 2 s of 100/s", in)
	}
	wait, ok := a.Arrive(now, "m-1", 1)
	if ok || wait < time.Second || wait > 1100*time.Millisecond {
		t.Fatalf("refused=%v, slot after %s; want one a little after the lead of 1 s", !ok, wait)
	}
	if again, ok := a.Arrive(now.Add(100*time.Millisecond), "m-1", 1); ok || again != wait-100*time.Millisecond {
		t.Errorf("before its time it is told %s, want the same slot", again)
	}
	if _, ok := a.Arrive(now.Add(wait), "m-2", 1); ok {
		t.Error("a stranger found room where others stand in line")
	}
	if _, ok := a.Arrive(now.Add(wait), "m-1", 1); !ok {
		t.Error("the queue is full, but its slot was promised")
	}
	if _, ok := a.Arrive(now.Add(wait), "m-1", 1); ok {
		t.Error("one slot was used twice")
	}
}

func TestASlotThatIsMissedEnds(t *testing.T) {
	a := NewAdmission(Limits{Capacity: 100, Hold: 10 * time.Second})
	fill(a, midnight)
	wait := a.Refuse(midnight, "m-1", 1)
	if s := a.State(midnight); s.Reserved != 2 || s.Waiting != 500 || s.Refused != 2 || s.Admitted != 500 || s.Line != wait {
		t.Errorf("%+v", s)
	}
	if s := a.State(midnight.Add(wait + 11*time.Second)); s.Reserved != 0 || s.Line != 0 {
		t.Errorf("after its time: %+v", s)
	}
}

func TestIdleCapacityIsUsedByWhoeverComes(t *testing.T) {
	a := NewAdmission(Limits{Capacity: 100, Queue: 5 * time.Second})
	fill(a, midnight)
	for i := range 1000 {
		a.Refuse(midnight, fmt.Sprint("sleeper-", i), 1)
	}
	a.Done(midnight.Add(time.Second), 500, 500)
	in := 0
	for i := range 200 {
		if _, ok := a.Arrive(midnight.Add(time.Second), fmt.Sprint("m-", i), 1); ok {
			in++
		}
	}
	if in != 100 {
		t.Errorf("%d strangers let in while the line is elsewhere; want a fifth of the queue, 100", in)
	}
	if _, ok := a.Arrive(midnight.Add(time.Second), "large", 100_000); ok {
		t.Error("a batch of a stranger overtook the line")
	}
	a.Done(midnight.Add(2*time.Second), 100, 100)
	if _, ok := a.Arrive(midnight.Add(2*time.Second), "large", 100_000); !ok {
		t.Error("an idle server refused a large batch")
	}
}

func TestCapacityIsMeasuredOnlyUnderLoad(t *testing.T) {
	run := func(rate float64, waiting int) float64 {
		a := NewAdmission(Limits{Capacity: 1000})
		now := midnight
		a.waiting = waiting
		for range 20 * int(rate) {
			now = now.Add(time.Duration(float64(time.Second) / rate))
			a.waiting++
			a.Done(now, 1, 1)
		}
		return a.capacity
	}
	if c := run(4000, 500); c < 3800 || c > 4100 {
		t.Errorf("a server that does 4,000/s is taken for %.0f/s", c)
	}
	if c := run(250, 500); c < 240 || c > 270 {
		t.Errorf("a server that does 250/s is taken for %.0f/s", c)
	}
	if c := run(250, 3); c != 1000 {
		t.Errorf("few callers made it look slow: %.0f/s", c)
	}
	if c := run(250, 0); c != 1000 {
		t.Errorf("arrivals were taken for capacity: %.0f/s", c)
	}
}

func TestAStandstillIsNotASpeed(t *testing.T) {
	a := NewAdmission(Limits{Capacity: 1000})
	fill(a, midnight)
	a.Done(midnight.Add(time.Second), 1, 1)
	a.Done(midnight.Add(time.Hour), 100, 100)
	if a.capacity != 1000 {
		t.Errorf("an hour without the database left a capacity of %.2f/s", a.capacity)
	}
}

func TestAdmissionIsSafeForConcurrentUse(t *testing.T) {
	a := NewAdmission(Limits{Capacity: 50})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				now := midnight.Add(time.Duration(i) * time.Millisecond)
				if _, ok := a.Arrive(now, fmt.Sprint(g, "-", i%50), 1); ok {
					a.Done(now, 1, 1)
				}
				a.State(now)
			}
		})
	}
	wg.Wait()
	if s := a.State(midnight); s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}

func TestBreaker(t *testing.T) {
	b := Breaker{Failures: 3, Pause: time.Second, Longest: 3 * time.Second}
	now := midnight
	fail := func(want bool) {
		t.Helper()
		if got := b.Allow(now); got != want {
			t.Fatalf("at %s allowed=%v", now.Sub(midnight), got)
		}
		if want {
			b.Report(now, false)
		}
	}
	for range 3 {
		fail(true)
	}
	b.Report(now, false) // one that was under way: no longer pause
	if open, probe := b.Open(now); !open || probe != time.Second {
		t.Error(open, probe)
	}
	fail(false)
	for _, pause := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second} {
		now = now.Add(pause - 1)
		fail(false)
		now = now.Add(1)
		fail(true) // the probe
		fail(false)
	}
	now = now.Add(3 * time.Second)
	if !b.Allow(now) || b.Allow(now) {
		t.Error("one probe, not more")
	}
	now = now.Add(3 * time.Second)
	if !b.Allow(now) {
		t.Error("a probe that never came back closed the door for good")
	}
	b.Report(now, true)
	if open, _ := b.Open(now); open || !b.Allow(now) || !b.Allow(now) {
		t.Error("still open after a good probe")
	}
}

func BenchmarkArrive(b *testing.B) {
	a := NewAdmission(Limits{})
	for b.Loop() {
		if _, ok := a.Arrive(midnight, "machine-188888", 1); ok {
			a.Done(midnight, 1, 1)
		}
	}
}

func BenchmarkRefuseAHerd(b *testing.B) {
	a := NewAdmission(Limits{Capacity: 500})
	fill(a, midnight)
	ids := make([]string, 188_888)
	for i := range ids {
		ids[i] = fmt.Sprint("m-", i)
	}
	i := 0
	for b.Loop() {
		a.Arrive(midnight.Add(time.Duration(i)*time.Microsecond), ids[i%len(ids)], 1)
		i++
	}
}

func ExampleAdmission() {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	a := NewAdmission(Limits{Capacity: 200})
	in := 0
	var wait time.Duration
	for i, ok := 0, true; ok; i++ {
		if wait, ok = a.Arrive(now, fmt.Sprint("machine-", i), 1); ok {
			in++
		}
	}
	fmt.Println(in, "let in; the next is to come again in", wait.Round(time.Millisecond))
	// Output: 1000 let in; the next is to come again in 1.005s
}
