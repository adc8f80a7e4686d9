package load_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"plumb/engines/lab/load"
)

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// One slow answer delays all that were planned behind it. A generator that
// waits would report one slow call; this one reports them all.
func TestNoCoordinatedOmission(t *testing.T) {
	const stall = 300 * time.Millisecond
	r := load.Run(context.Background(), load.Plan{Times: load.Even(500), For: 400 * time.Millisecond, Flying: 1}, func(ctx context.Context, i int) error {
		if i == 0 {
			time.Sleep(stall)
		}
		return nil
	})
	if r.Calls != 200 || r.Failed != 0 {
		t.Fatalf("%d calls, %d failed", r.Calls, r.Failed)
	}
	// Half of the calls are planned in the first 200 ms, so each waits 100 ms or more.
	if p50, plain := r.Quantile(0.51), r.Uncorrected(0.51); p50 < 95*time.Millisecond || plain >= p50 {
		t.Errorf("median %s, uncorrected %s; the stall of %s is hidden", p50, plain, stall)
	}
	if r.Took < stall || r.Quantile(1) < stall {
		t.Errorf("took %s, longest %s", r.Took, r.Quantile(1))
	}
}

func TestFailuresAreCountedApart(t *testing.T) {
	bad := errors.New("bad")
	r := load.Run(context.Background(), load.Plan{Times: load.Even(1e6), For: 100 * time.Microsecond}, func(ctx context.Context, i int) error {
		if i%2 == 0 {
			return bad
		}
		return nil
	})
	if r.Calls != 100 || r.Failed != 50 || r.First != bad || r.PerSecond() <= 0 {
		t.Errorf("%+v", r)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r = load.Run(ctx, load.Plan{Times: load.Even(1000), For: time.Hour}, func(ctx context.Context, i int) error {
		cancel()
		return nil
	})
	if r.Calls > 100 {
		t.Errorf("%d calls after the end", r.Calls)
	}
}

func TestPoisson(t *testing.T) {
	const rate, seconds = 100.0, 2000
	counts := make([]float64, seconds)
	n := 0
	for at := range load.Poisson(rng(1), rate) {
		if at >= seconds*time.Second {
			break
		}
		counts[at/time.Second]++
		n++
	}
	mean := float64(n) / seconds
	variance := 0.0
	for _, c := range counts {
		variance += (c - mean) * (c - mean) / seconds
	}
	// A Poisson count's variance is its mean.
	if math.Abs(mean-rate) > 1 || math.Abs(variance/mean-1) > 0.15 {
		t.Errorf("mean %.2f, variance %.2f", mean, variance)
	}
}

func TestDiurnal(t *testing.T) {
	rate := load.Diurnal(10, 0.5, 20*time.Hour)
	if got := rate(20 * time.Hour); math.Abs(got-15) > 1e-9 {
		t.Error(got)
	}
	if got := rate(8 * time.Hour); math.Abs(got-5) > 1e-9 {
		t.Error(got)
	}
	hours := make([]int, 24)
	for at := range load.Varying(rng(1), 15, rate) {
		if at >= 24*time.Hour {
			break
		}
		hours[at/time.Hour]++
	}
	if ratio := float64(hours[20]) / float64(hours[8]); ratio < 2.6 || ratio > 3.4 {
		t.Errorf("the top hour has %.2f times the calls of the lowest, want 3: %v", ratio, hours)
	}
}

// The ranks drawn come as often as the law says, for exponents on both sides of 1.
func TestZipf(t *testing.T) {
	for _, s := range []float64{0.5, 0.99, 1, 1.5} {
		for _, n := range []int{1, 2, 50} {
			total := 0.0
			for k := range n {
				total += math.Pow(float64(k+1), -s)
			}
			const draws = 200_000
			got := make([]int, n)
			z := load.NewZipf(rng(uint64(n)), s, n)
			for range draws {
				got[z.Next()]++
			}
			chi := 0.0
			for k := range n {
				want := draws * math.Pow(float64(k+1), -s) / total
				chi += (float64(got[k]) - want) * (float64(got[k]) - want) / want
			}
			if chi > float64(n-1)+6*math.Sqrt(2*float64(n)) {
				t.Errorf("s %.2f over %d ranks: chi-squared %.0f with %d degrees of freedom", s, n, chi, n-1)
			}
		}
	}
}

func TestSameSeedSameWorkload(t *testing.T) {
	draw := func(seed uint64) (s string) {
		r := rng(seed)
		z := load.NewZipf(r, 1, 1000)
		for at := range load.Poisson(r, 10) {
			if len(s) > 200 {
				return s
			}
			s += fmt.Sprint(at, z.Next(), " ")
		}
		return s
	}
	if a, b, other := draw(1), draw(1), draw(2); a != b || a == other {
		t.Error("the workload does not follow its seed")
	}
}

func ExampleRun() {
	r := load.Run(context.Background(), load.Plan{Times: load.Even(1000), For: 50 * time.Millisecond},
		func(ctx context.Context, i int) error { return nil })
	fmt.Println(r.Calls, "calls,", r.Failed, "failed")
	// Output: 50 calls, 0 failed
}

func BenchmarkZipf(b *testing.B) {
	z := load.NewZipf(rng(1), 1, 1_000_000)
	for b.Loop() {
		z.Next()
	}
}
