package chart

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestTicks holds the choices that a person would make.
func TestTicks(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		want   []float64
	}{
		{0, 1, []float64{0, 0.25, 0.5, 0.75, 1}},
		{0, 100, []float64{0, 25, 50, 75, 100}},
		{0, 9.46, []float64{0, 2.5, 5, 7.5, 10}},
		{-3, 7, nil},
		{1970, 2026, nil},
	} {
		got := ticks(c.lo, c.hi, 5)
		if len(got) < 3 || len(got) > 8 {
			t.Errorf("%v..%v: %v", c.lo, c.hi, got)
		}
		for i := range c.want {
			if i >= len(got) || math.Abs(got[i]-c.want[i]) > 1e-9 {
				t.Errorf("%v..%v: got %v, want %v", c.lo, c.hi, got, c.want)
				break
			}
		}
	}
}

// TestAxisCovers: ticks rise, are few, and the axis holds what it was made for.
func TestAxisCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64Range(-1e30, 1e30).Draw(t, "a"), rapid.Float64Range(-1e30, 1e30).Draw(t, "b")
		lo, hi := math.Min(a, b), math.Max(a, b)
		unit := rapid.SampledFrom([]string{"", "bytes", "s", "share", "reports"}).Draw(t, "unit")
		log := rapid.Bool().Draw(t, "log")
		ax := newAxis(lo, hi, unit, log, rapid.Bool().Draw(t, "zero"), 5)
		if len(ax.at) > 16 || len(ax.at) != len(ax.names) {
			t.Fatalf("%v..%v %q: %d ticks", lo, hi, unit, len(ax.at))
		}
		for i := 1; i < len(ax.at); i++ {
			if ax.at[i] <= ax.at[i-1] {
				t.Fatalf("%v..%v: ticks %v", lo, hi, ax.at)
			}
		}
		if !ax.log && hi-lo > 2*least && (ax.lo > lo || ax.hi < hi) {
			t.Fatalf("%v..%v is outside %v..%v", lo, hi, ax.lo, ax.hi)
		}
		if s, ok := ax.place(hi); ok && (s < 0 || s > 1) {
			t.Fatalf("place(%v) = %v", hi, s)
		}
	})
}

// TestAnyBits draws axes for floats of every magnitude: it must end.
func TestAnyBits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.Uint64()
		a := math.Float64frombits(bits.Draw(t, "a"))
		b := rapid.OneOf(rapid.Map(bits, math.Float64frombits), rapid.Just(a*(1+1e-9)), rapid.Just(math.Nextafter(a, 1)), rapid.Just(-a)).Draw(t, "b")
		ax := newAxis(math.Min(a, b), math.Max(a, b), rapid.SampledFrom([]string{"", "bytes", "s", "share"}).Draw(t, "unit"), rapid.Bool().Draw(t, "log"), rapid.Bool().Draw(t, "zero"), 5)
		if len(ax.at) > 700 {
			t.Fatalf("%d ticks", len(ax.at))
		}
	})
}

func BenchmarkTicks(b *testing.B) {
	for b.Loop() {
		_ = ticks(0, 188888, 5)
	}
}
