package forecast

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// sortedSummary is what summarise must give, by sorting.
func sortedSummary(column []float64) [len(levels)]float64 {
	s := slices.Clone(column)
	slices.Sort(s)
	var out [len(levels)]float64
	for i, p := range levels {
		k, part := rank(p, len(s))
		out[i] = s[k] + part*(s[min(k+1, len(s)-1)]-s[k])
	}
	return out
}

func TestSelectionFindsWhatSortingFinds(t *testing.T) {
	var q selector
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3000).Draw(t, "n")
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		draw := []func() float64{
			rnd.NormFloat64,
			func() float64 { return math.Exp(20 * rnd.NormFloat64()) },   // nearly all in one bucket
			func() float64 { return float64(rnd.IntN(3)) },               // many equal
			func() float64 { return 1e300 * (rnd.Float64() - 0.5) },      // the span does not overflow
			func() float64 { return 5e-324 * float64(rnd.IntN(10)) },     // subnormal: no bucket width exists
			func() float64 { return 1.7e308 * float64(2*rnd.IntN(2)-1) }, // the span overflows
		}[rapid.IntRange(0, 5).Draw(t, "shape")]
		column := make([]float64, n)
		for i := range column {
			column[i] = draw()
		}
		got, ok := q.summarise(column)
		if !ok {
			// The sum or the span of huge values may be no number.
			if slices.ContainsFunc(column, func(v float64) bool { return math.Abs(v) > 1e300 }) {
				return
			}
			t.Fatal("refused")
		}
		if want := sortedSummary(column); got.at != want {
			t.Fatalf("%v, by sorting %v", got.at, want)
		}
	})
}

func TestAColumnWithoutAnAnswerIsRefused(t *testing.T) {
	var q selector
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, at := range []int{0, 3} {
			column := []float64{1, 2, 3, 4}
			column[at] = bad
			if s, ok := q.summarise(column); ok {
				t.Errorf("%g at %d: %v", bad, at, s)
			}
		}
	}
}

func TestSelectRankOnBadSplits(t *testing.T) {
	v := make([]float64, 5000)
	for i := range v { // an organ pipe is bad for medians of three
		v[i] = float64(min(i, len(v)-i))
	}
	want := slices.Clone(v)
	slices.Sort(want)
	for _, k := range []int{0, 1, 2500, 4999} {
		if got := selectRank(slices.Clone(v), k); got != want[k] {
			t.Errorf("rank %d: %g, want %g", k, got, want[k])
		}
	}
}
