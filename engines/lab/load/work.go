package load

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"time"
)

// Even returns times at equal distances, perSecond of them.
func Even(perSecond float64) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		for i := 0; yield(time.Duration(float64(i) / perSecond * float64(time.Second))); i++ {
		}
	}
}

// Poisson returns the times of independent calls, perSecond on average.
func Poisson(rng *rand.Rand, perSecond float64) iter.Seq[time.Duration] {
	return Varying(rng, perSecond, func(time.Duration) float64 { return perSecond })
}

// Varying returns the times of independent calls whose rate changes: rate tells
// it at a time, never above most. It is thinning, after Lewis and Shedler (1979).
func Varying(rng *rand.Rand, most float64, rate func(at time.Duration) float64) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		for t := 0.0; ; {
			t += rng.ExpFloat64() / most
			at := time.Duration(t * float64(time.Second))
			if rng.Float64()*most < rate(at) && !yield(at) {
				return
			}
		}
	}
}

// Diurnal returns the rate at a time of a day that begins at midnight: a wave of
// mean calls a second whose top, swing (0 to 1) above the mean, is at peak.
func Diurnal(mean, swing float64, peak time.Duration) func(at time.Duration) float64 {
	return func(at time.Duration) float64 {
		return mean * (1 + swing*math.Cos(2*math.Pi*(at-peak).Hours()/24))
	}
}

// Zipf draws ranks 0..n-1, rank k with a chance in proportion to 1/(k+1)^s: a few
// are popular and most are not. It is not safe for concurrent use.
type Zipf struct {
	rng          *rand.Rand
	n            float64
	s            float64
	first, last  float64 // the integral of the hat at its ends
	acceptAtOnce float64
}

// NewZipf returns a Zipf distribution over n ranks (1 or more) with exponent s
// (positive; 1 is the classic one). It panics on other arguments.
//
// It is rejection-inversion (W. Hörmann, G. Derflinger 1996), which needs no
// table, and unlike math/rand's takes exponents of 1 and below.
func NewZipf(rng *rand.Rand, s float64, n int) *Zipf {
	if n < 1 || !(s > 0) {
		panic(fmt.Sprintf("a Zipf distribution over %d ranks with exponent %v", n, s))
	}
	z := &Zipf{rng: rng, n: float64(n), s: s}
	z.first, z.last = z.area(1.5)-1, z.area(z.n+0.5)
	z.acceptAtOnce = 2 - z.inverse(z.area(2.5)-math.Pow(2, -s))
	return z
}

// Next draws a rank.
func (z *Zipf) Next() int {
	for {
		u := z.last + z.rng.Float64()*(z.first-z.last)
		x := z.inverse(u)
		k := math.Min(math.Max(math.Round(x), 1), z.n)
		if k-x <= z.acceptAtOnce || u >= z.area(k+0.5)-math.Pow(k, -z.s) {
			return int(k) - 1
		}
	}
}

// area is the integral of 1/x^s, and inverse its inverse, without the loss of
// digits near s = 1.
func (z *Zipf) area(x float64) float64 {
	log := math.Log(x)
	return expm1Over((1-z.s)*log) * log
}

func (z *Zipf) inverse(a float64) float64 {
	t := math.Max(a*(1-z.s), -1)
	return math.Exp(log1pOver(t) * a)
}

// expm1Over is (e^x - 1) / x, log1pOver is log(1+x) / x; both are 1 at 0.
func expm1Over(x float64) float64 {
	if math.Abs(x) < 1e-8 {
		return 1 + x/2
	}
	return math.Expm1(x) / x
}

func log1pOver(x float64) float64 {
	if math.Abs(x) < 1e-8 {
		return 1 - x/2
	}
	return math.Log1p(x) / x
}
