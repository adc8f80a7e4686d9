package forecast

import (
	"cmp"
	"context"
	"math"
	"slices"

	"plumb/base/errs"
)

// Driver says how much one input moves one output's total.
type Driver struct {
	Output string
	Input  string
	// Rank is Spearman's rank correlation over the samples, -1 to 1.
	Rank float64
	// Share is the input's part of the sum of squared rank correlations, 0 to 1:
	// roughly, how much of the width of the band it explains.
	Share float64
	// Base is the total with every input at its median; Low and High when this
	// input alone goes to its 10th and 90th percentile.
	Base, Low, High float64
	Measured        bool
}

// drivers fills in out.Drivers, for the main output, for every output that is a
// stack of others, and for those asked for. Nothing in it depends on the order of samples.
func (r *run) drivers(ctx context.Context, out *Result, asked []string) error {
	var uncertain []int
	for i := range r.ranges {
		if r.inputs[i] != nil {
			uncertain = append(uncertain, i)
		}
	}
	swings, err := r.tornado(ctx, uncertain)
	if err != nil {
		return err
	}
	names := []string{out.Main}
	for _, s := range out.Stacks {
		asked = append([]string{s.Of}, asked...)
	}
	for _, name := range asked {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	var k ranker
	for _, name := range names {
		at := slices.IndexFunc(out.Outputs, func(o Output) bool { return o.Name == name })
		if at < 0 {
			return errs.New(errs.Invalid, "unknown output %q", name)
		}
		total, first, squares := k.ranks(r.totals[at]), len(out.Drivers), 0.0
		for n, i := range uncertain {
			rho := k.correlate(r.inputs[i], total)
			squares += rho * rho
			out.Drivers = append(out.Drivers, Driver{
				Output: name, Input: out.Inputs[i].Name, Rank: rho, Base: swings[at][2*len(uncertain)], Low: swings[at][2*n], High: swings[at][2*n+1], Measured: out.Inputs[i].Measured,
			})
		}
		mine := out.Drivers[first:]
		for i := range mine {
			if squares > 0 {
				mine[i].Share = mine[i].Rank * mine[i].Rank / squares
			}
		}
		slices.SortStableFunc(mine, func(a, b Driver) int { return cmp.Compare(b.Share, a.Share) })
	}
	return nil
}

// tornado evaluates the model once with 2 samples per input: that input at its
// 10th and its 90th percentile, all others at their medians; and one more with
// all at their medians. It returns the totals of every output.
func (r *run) tornado(ctx context.Context, uncertain []int) ([][]float64, error) {
	if len(uncertain) == 0 {
		return make([][]float64, len(r.totals)), nil
	}
	n := 2*len(uncertain) + 1
	t := newRun(r.p, r.ranges, n, r.months, 0)
	t.levels = make([][]float64, len(r.ranges))
	for k, i := range uncertain {
		column := make([]float64, n)
		fill(column, r.ranges[i].Quantile(0.5))
		z := normalQuantile(0.9) * r.p.model.Inputs[i].spread(r.months)
		column[2*k] = r.ranges[i].Quantile(math.Erfc(z/math.Sqrt2) / 2)
		column[2*k+1] = r.ranges[i].Quantile(math.Erfc(-z/math.Sqrt2) / 2)
		r.clamp(i, column)
		t.levels[i] = column
	}
	return t.totals, t.evaluate(ctx, nil)
}

// spread is how much narrower the mean over months of the normals beneath is
// than one month's: a variable input's months partly cancel out, and its
// swing must not be judged as if it were stuck for a year.
func (in *Input) spread(months int) float64 {
	if in.Kind != Variable {
		return 1
	}
	sum := 0.0
	for i := range months {
		for j := range months {
			sum += math.Pow(in.Autocorrelation, math.Abs(float64(i-j)))
		}
	}
	return math.Sqrt(sum) / float64(months)
}

// bins is how finely ranks are told apart.
const bins = 1 << 14

// ranker turns columns into ranks without sorting: values are counted into
// bins, and all in one bin share the mean of their ranks. The bins are equal
// steps of the value or, where all values are positive, of its bits (nearly
// its logarithm), so that a long tail does not crowd the rest into a few bins.
// Against exact ranks the correlation changes in its sixth digit at most.
type ranker struct {
	mean  [bins]float64
	count [bins]int32
}

// binning maps a column's values to bins.
type binning struct {
	bits       bool
	low, scale float64
}

func binned(v []float64) binning {
	low, high := v[0], v[0]
	for _, x := range v {
		if x < low {
			low = x
		}
		if x > high {
			high = x
		}
	}
	if low == high {
		return binning{}
	}
	if low > 0 {
		from, to := float64(math.Float64bits(low)), float64(math.Float64bits(high))
		return binning{true, from, (bins - 1) / max(to-from, 1)}
	}
	return binning{false, low, (bins - 1) / (high - low)}
}

// of returns x's bin.
func (b binning) of(x float64) uint {
	if b.bits {
		x = float64(math.Float64bits(x))
	}
	return uint(int((x-b.low)*b.scale)) % bins
}

// rank prepares k.mean for the column v: the mean rank of each bin, less that
// of the whole column.
func (k *ranker) rank(v []float64, b binning) {
	clear(k.count[:])
	for _, x := range v {
		k.count[b.of(x)]++
	}
	below, middle := 0, float64(len(v))/2
	for i, c := range k.count {
		k.mean[i] = float64(below) + float64(c)/2 - middle
		below += int(c)
	}
}

// ranks returns the centred rank of each of v.
func (k *ranker) ranks(v []float64) []float64 {
	b := binned(v)
	k.rank(v, b)
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = k.mean[b.of(x)]
	}
	return out
}

// correlate returns the correlation of v's ranks with other centred ranks.
// Ranks are multiples of one half, so up to some 200,000 samples the sums are
// exact, and the order of samples cannot matter.
func (k *ranker) correlate(v, other []float64) float64 {
	b := binned(v)
	k.rank(v, b)
	var ab, aa, bb float64
	for i, x := range v {
		r, o := k.mean[b.of(x)], other[i]
		ab, aa, bb = ab+r*o, aa+r*r, bb+o*o
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}
