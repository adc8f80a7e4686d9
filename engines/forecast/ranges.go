package forecast

import (
	"math"
	"slices"
	"sort"
	"strings"

	"gonum.org/v1/gonum/mathext"

	"plumb/base/errs"
)

type shape int

const (
	fixed shape = iota
	lognormal
	normal
	triangular
	uniform
	beta
	discrete
	samples
	months
	cycle
)

var inf = math.Inf(1)

// z95 is the standard normal's 95th percentile.
const z95 = 1.6448536269514722

// Range is a number that may be uncertain. The zero Range is the number 0.
// Make one with the functions below or with ParseRange; it is immutable.
type Range struct {
	shape      shape
	a, b, c, d float64   // see the constructors
	values     []float64 // discrete, samples (ascending), months, cycle
	weights    []float64 // discrete: cumulative, the last is 1
	between    bool      // written as "low to high"
	table      []float64 // beta: quantiles at i/(len-1)
}

// Number is a range without uncertainty.
func Number(v float64) Range { return Range{a: v} }

// To reads low and high as the 5th and 95th percentile: of a lognormal when
// low is above 0, else of a normal. low = high is that number.
func To(low, high float64) (Range, error) {
	switch {
	case !finite(low, high):
		return Range{}, errs.New(errs.Invalid, "the ends of a range must be numbers")
	case low > high:
		return Range{}, errs.New(errs.Invalid, "low %s is above high %s", number(low), number(high))
	case low == high:
		return Number(low), nil
	case low > 0:
		mu, sigma := (math.Log(low)+math.Log(high))/2, (math.Log(high)-math.Log(low))/(2*z95)
		return Range{shape: lognormal, a: mu, b: sigma, c: low, d: high, between: true}, nil
	}
	return Range{shape: normal, a: low/2 + high/2, b: (high/2 - low/2) / z95, c: low, d: high, between: true}, nil
}

// Normal is a normal distribution; sd is its standard deviation, 0 or more.
func Normal(mean, sd float64) (Range, error) {
	if !finite(mean, sd) || sd < 0 {
		return Range{}, errs.New(errs.Invalid, "normal(mean, sd) needs an sd of 0 or more")
	}
	if sd == 0 {
		return Number(mean), nil
	}
	return Range{shape: normal, a: mean, b: sd}, nil
}

// Triangular rises from low to mode and falls to high.
func Triangular(low, mode, high float64) (Range, error) {
	if !finite(low, mode, high) || low > mode || mode > high {
		return Range{}, errs.New(errs.Invalid, "triangular(low, mode, high) needs low <= mode <= high")
	}
	if low == high {
		return Number(low), nil
	}
	return Range{shape: triangular, a: low, b: mode, c: high}, nil
}

// Uniform is equally likely everywhere between low and high.
func Uniform(low, high float64) (Range, error) {
	if !finite(low, high) || low > high {
		return Range{}, errs.New(errs.Invalid, "uniform(low, high): low %s is above high %s", number(low), number(high))
	}
	if low == high {
		return Number(low), nil
	}
	return Range{shape: uniform, a: low, b: high}, nil
}

// Beta is a beta distribution with shapes alpha and beta (0.1 to 1000),
// stretched from [0, 1] to [low, high].
func Beta(alpha, betaShape, low, high float64) (Range, error) {
	if !finite(alpha, betaShape, low, high) || alpha < 0.1 || betaShape < 0.1 || alpha > 1000 || betaShape > 1000 || low >= high {
		return Range{}, errs.New(errs.Invalid, "beta(a, b, low, high) needs a and b of 0.1 to 1000 and low < high")
	}
	// The inverse is slow (microseconds), so it is tabulated once.
	r := Range{shape: beta, a: alpha, b: betaShape, c: low, d: high, table: make([]float64, 2049)}
	for i := range r.table {
		r.table[i] = low + (high-low)*mathext.InvRegIncBeta(alpha, betaShape, float64(i)/2048)
	}
	return r, nil
}

// Discrete takes each value with its weight; the weights need not add up to 1.
func Discrete(values, weights []float64) (Range, error) {
	if len(values) == 0 || len(values) != len(weights) || !finite(values...) || !finite(weights...) {
		return Range{}, errs.New(errs.Invalid, "discrete needs a weight for each value")
	}
	order := make([]int, len(values))
	total := 0.0
	for i, w := range weights {
		if w < 0 {
			return Range{}, errs.New(errs.Invalid, "discrete: the weight %s is negative", number(w))
		}
		order[i] = i
		total += w
	}
	if total <= 0 || math.IsInf(total, 0) {
		return Range{}, errs.New(errs.Invalid, "discrete: the weights add up to %s", number(total))
	}
	sort.SliceStable(order, func(i, j int) bool { return values[order[i]] < values[order[j]] })
	r, sum := Range{shape: discrete}, 0.0
	for _, i := range order {
		sum += weights[i] / total
		r.values, r.weights = append(r.values, values[i]), append(r.weights, sum)
	}
	r.weights[len(r.weights)-1] = 1
	return r, nil
}

// Samples draws from measured values, each equally likely.
func Samples(values []float64) (Range, error) {
	if len(values) == 0 || !finite(values...) {
		return Range{}, errs.New(errs.Invalid, "samples needs at least one number")
	}
	v := slices.Clone(values)
	slices.Sort(v)
	return Range{shape: samples, values: v}, nil
}

// Months is a table: the first month's value, the second's, and so on; the
// last one holds for all months after it.
func Months(values []float64) (Range, error) {
	if len(values) == 0 || !finite(values...) {
		return Range{}, errs.New(errs.Invalid, "months needs at least one number")
	}
	return Range{shape: months, values: slices.Clone(values)}, nil
}

// Cycle is a table by month that begins again after its end: twelve values are
// a season, of which the first is that of the first month.
func Cycle(values []float64) (Range, error) {
	if len(values) == 0 || !finite(values...) {
		return Range{}, errs.New(errs.Invalid, "cycle needs at least one number")
	}
	return Range{shape: cycle, values: slices.Clone(values)}, nil
}

func finite(vs ...float64) bool {
	for _, v := range vs {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

// Certain says whether every path draws the same.
func (r Range) Certain() bool { return r.shape == fixed || r.shape == months || r.shape == cycle }

// InMonth returns a certain range's value in a month, counted from 0.
func (r Range) InMonth(month int) float64 {
	switch r.shape {
	case months:
		return r.values[min(month, len(r.values)-1)]
	case cycle:
		return r.values[month%len(r.values)]
	}
	return r.a
}

// Quantile returns the value below which the share p (0 < p < 1) of draws lie;
// of a table by month, its first month.
func (r Range) Quantile(p float64) float64 {
	switch r.shape {
	case lognormal:
		return math.Exp(r.a + r.b*normalQuantile(p))
	case normal:
		return r.a + r.b*normalQuantile(p)
	case fixed, months, cycle:
		return r.InMonth(0)
	}
	return r.at(p)
}

// Mean returns the expected value; of a table by month, its first month.
func (r Range) Mean() float64 {
	switch r.shape {
	case lognormal:
		return math.Exp(r.a + r.b*r.b/2)
	case triangular:
		return (r.a + r.b + r.c) / 3
	case uniform:
		return (r.a + r.b) / 2
	case beta:
		return r.c + (r.d-r.c)*r.a/(r.a+r.b)
	case discrete:
		sum, before := 0.0, 0.0
		for i, v := range r.values {
			sum, before = sum+v*(r.weights[i]-before), r.weights[i]
		}
		return sum
	case samples:
		sum := 0.0
		for _, v := range r.values {
			sum += v / float64(len(r.values))
		}
		return sum
	}
	return r.InMonth(0)
}

// at inverts the distributions that are drawn from a uniform u in [0, 1).
func (r *Range) at(u float64) float64 {
	switch r.shape {
	case triangular:
		// Kotz & van Dorp, Beyond Beta, 2004, chapter 1: both branches of the inverse.
		if cut := (r.b - r.a) / (r.c - r.a); u < cut {
			return r.a + math.Sqrt(u*(r.c-r.a)*(r.b-r.a))
		}
		return r.c - math.Sqrt((1-u)*(r.c-r.a)*(r.c-r.b))
	case uniform:
		return r.a + (r.b-r.a)*u
	case beta:
		x := u * float64(len(r.table)-1)
		i := min(int(x), len(r.table)-2)
		return r.table[i] + (x-float64(i))*(r.table[i+1]-r.table[i])
	case discrete:
		return r.values[min(sort.Search(len(r.weights), func(i int) bool { return r.weights[i] > u }), len(r.values)-1)]
	case samples:
		return r.values[min(int(u*float64(len(r.values))), len(r.values)-1)]
	}
	return r.a
}

func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// ends returns what was written as the lowest and highest, for checks.
func (r Range) ends() (low, high float64) {
	switch r.shape {
	case lognormal:
		return r.c, r.d
	case normal:
		if r.between {
			return r.c, r.d
		}
		return r.a, r.a // its tails are cut at the bounds; only the mean is judged
	case triangular:
		return r.a, r.c
	case uniform:
		return r.a, r.b
	case beta:
		return r.c, r.d
	case discrete, samples, months, cycle:
		return slices.Min(r.values), slices.Max(r.values)
	}
	return r.a, r.a
}

// scaled returns the range multiplied by f > 0.
func (r Range) scaled(f float64) Range {
	if f == 1 {
		return r
	}
	switch r.shape {
	case fixed:
		r.a *= f
	case lognormal:
		r.a += math.Log(f)
		r.c, r.d = r.c*f, r.d*f
	case beta:
		r.c, r.d = r.c*f, r.d*f
	default:
		r.a, r.b, r.c, r.d = r.a*f, r.b*f, r.c*f, r.d*f
	}
	r.values, r.table = times(r.values, f), times(r.table, f)
	return r
}

func times(v []float64, f float64) []float64 {
	if v == nil {
		return nil
	}
	out := make([]float64, len(v))
	for i := range v {
		out[i] = v[i] * f
	}
	return out
}

// String writes the range as ParseRange reads it, without a unit.
func (r Range) String() string {
	switch r.shape {
	case lognormal:
		return number(r.c) + " to " + number(r.d)
	case normal:
		if r.between {
			return number(r.c) + " to " + number(r.d)
		}
		return call("normal", r.a, r.b)
	case triangular:
		return call("triangular", r.a, r.b, r.c)
	case uniform:
		return call("uniform", r.a, r.b)
	case beta:
		return call("beta", r.a, r.b, r.c, r.d)
	case discrete:
		parts, before := make([]string, len(r.values)), 0.0
		for i, v := range r.values {
			parts[i] = number(v) + ": " + number(r.weights[i]-before)
			before = r.weights[i]
		}
		return "discrete(" + strings.Join(parts, ", ") + ")"
	case samples:
		return call("samples", r.values...)
	case months:
		return call("months", r.values...)
	case cycle:
		return call("cycle", r.values...)
	}
	return number(r.a)
}

func call(name string, args ...float64) string {
	parts := make([]string, len(args))
	for i, a := range args {
		parts[i] = number(a)
	}
	return name + "(" + strings.Join(parts, ", ") + ")"
}
