package slots

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRateAllowsABurstAndThenTheRate(t *testing.T) {
	r := Rate{PerSecond: 10, Burst: 20}
	if _, ok := r.Take(midnight, "m-1", 20); !ok {
		t.Fatal("the burst was refused")
	}
	wait, ok := r.Take(midnight, "m-1", 1)
	if ok || wait != 100*time.Millisecond {
		t.Errorf("after the burst: %v, come again in %s; want 100 ms", ok, wait)
	}
	if _, ok := r.Take(midnight.Add(wait), "m-1", 1); !ok {
		t.Error("it came when it was told, and was refused")
	}
	if _, ok := r.Take(midnight, "m-2", 20); !ok {
		t.Error("one machine's burst was counted against another")
	}
	if _, ok := r.Take(midnight.Add(time.Hour), "m-1", 21); ok {
		t.Error("more than a burst was granted at once")
	}
}

// However a machine calls, it is granted no more than the burst and the rate.
func TestRateIsABound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rate{PerSecond: rapid.Float64Range(0.5, 2000).Draw(t, "rate"), Burst: rapid.IntRange(1, 500).Draw(t, "burst")}
		now, granted := midnight, 0
		for range 200 {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "gap")))
			n := rapid.IntRange(1, 100).Draw(t, "n")
			wait, ok := r.Take(now, "m", n)
			if ok {
				granted += n
			} else if n <= r.Burst {
				if _, ok := r.Take(now.Add(wait+time.Microsecond), "m", n); !ok {
					t.Fatal("it came when it was told, and was refused")
				}
				now = now.Add(wait + time.Microsecond)
				granted += n
			}
			if most := float64(r.Burst) + r.PerSecond*now.Sub(midnight).Seconds() + 1; float64(granted) > most {
				t.Fatalf("%d granted, at most %.0f are due", granted, most)
			}
		}
	})
}

func TestRateForgetsTheSilent(t *testing.T) {
	r := Rate{PerSecond: 1000, Burst: 1000}
	for i := range 100_000 {
		r.Take(midnight.Add(time.Duration(i)*10*time.Millisecond), fmt.Sprint("m-", i), 1)
	}
	if len(r.due) > 2000 {
		t.Errorf("%d machines are remembered, of which one is active", len(r.due))
	}
}
