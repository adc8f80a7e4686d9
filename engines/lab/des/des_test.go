package des_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"plumb/engines/lab/des"
)

// Events come in the order of their time, and of their adding where that ties,
// whether they came through the heap or a lane.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type ev struct{ at, added int }
		s := des.New[ev](0)
		lane := s.Lane(7)
		var want, got []ev
		added := 0
		add := func() {
			for range rapid.IntRange(0, 4).Draw(t, "burst") {
				added++
				if rapid.Bool().Draw(t, "lane") {
					e := ev{int(s.Now()) + 7, added}
					lane.Add(e)
					want = append(want, e)
				} else {
					e := ev{int(s.Now()) + rapid.IntRange(0, 20).Draw(t, "delay"), added}
					s.At(time.Duration(e.at), e)
					want = append(want, e)
				}
			}
		}
		for range 10 {
			add()
			for range rapid.IntRange(0, 5).Draw(t, "steps") {
				if s.Next() {
					got = append(got, s.Event())
					if int(s.Now()) != s.Event().at {
						t.Fatalf("event %v at %d", s.Event(), s.Now())
					}
				}
			}
		}
		for s.Next() {
			got = append(got, s.Event())
		}
		slices.SortFunc(want, func(a, b ev) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.added, b.added)) })
		if !slices.Equal(got, want) {
			t.Fatalf("got %v\nwant %v", got, want)
		}
	})
}

// An M/D/1 queue's mean wait is known in closed form (Pollaczek, Khinchine):
// rho / (2 (1 - rho)) service times.
func TestClosedForm(t *testing.T) {
	for _, rho := range []float64{0.3, 0.7, 0.9} {
		want := rho / (2 * (1 - rho))
		got := waitMD1(rho, 2_000_000, 1)
		if math.Abs(got-want)/want > 0.03 {
			t.Errorf("rho %.1f: mean wait %.4f service times, want %.4f", rho, got, want)
		}
	}
}

// waitMD1 returns the mean wait, in service times, of n Poisson arrivals at
// utilisation rho before one server with a constant service time of 1 ms.
func waitMD1(rho float64, n int, seed uint64) float64 {
	const service = time.Millisecond
	rng := rand.New(rand.NewPCG(seed, 0))
	s := des.New[int](2) // 0: an arrival, 1: the server is done
	done := s.Lane(service)
	var queue []time.Duration
	head, busy := 0, false
	var waited time.Duration
	s.At(0, 0)
	for arrived := 0; s.Next(); {
		if s.Event() == 0 {
			if arrived++; arrived < n {
				s.After(time.Duration(rng.ExpFloat64()*float64(service)/rho), 0)
			}
			queue = append(queue, s.Now())
		} else {
			busy = false
		}
		if !busy && head < len(queue) {
			waited += s.Now() - queue[head]
			head++
			busy = true
			done.Add(1)
		}
	}
	return float64(waited) / float64(n) / float64(service)
}

func TestSameSeedSameRun(t *testing.T) {
	if a, b := waitMD1(0.8, 10_000, 5), waitMD1(0.8, 10_000, 5); a != b {
		t.Errorf("%v and %v", a, b)
	}
}

// A waiting event costs no allocation.
func TestNoAllocation(t *testing.T) {
	s := des.New[int](1000)
	lane := s.Lane(5)
	for i := range 500 {
		s.At(time.Duration(i), i)
		lane.Add(i)
	}
	if n := testing.AllocsPerRun(1000, func() { s.Next(); s.After(100, 1); s.Next(); lane.Add(1) }); n != 0 {
		t.Errorf("%v allocations an event", n)
	}
}

func ExampleSim() {
	s := des.New[string](8)
	s.At(2*time.Second, "opens")
	s.At(1*time.Second, "arrives")
	for s.Next() {
		fmt.Println(s.Now(), s.Event())
	}
	// Output:
	// 1s arrives
	// 2s opens
}

func BenchmarkHeap(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	s := des.New[[2]int32](1 << 20)
	for range 1_000_000 {
		s.At(time.Duration(rng.Int64N(int64(time.Hour))), [2]int32{})
	}
	for b.Loop() {
		s.Next()
		s.After(time.Duration(rng.Int64N(int64(time.Hour))), [2]int32{})
	}
}

func BenchmarkLane(b *testing.B) {
	s := des.New[[2]int32](0)
	lane := s.Lane(5 * time.Second)
	for range 1_000_000 {
		lane.Add([2]int32{})
	}
	for b.Loop() {
		s.Next()
		lane.Add([2]int32{})
	}
}
