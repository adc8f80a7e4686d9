package forecast

import (
	"context"
	"math"
	"sort"
)

// Driver says how much one input moves the main output's total.
type Driver struct {
	Input  string
	Output string
	// Rank is Spearman's rank correlation over the samples, -1 to 1.
	Rank float64
	// Share is the input's part of the sum of squared rank correlations, 0 to 1:
	// roughly, how much of the width of the band it explains.
	Share float64
	// Low and High are the total when this input alone goes to its 10th and 90th
	// percentile and all others stay at their median.
	Low, High float64
	Measured  bool
}

// drivers fills in out.Drivers. Nothing in it depends on the order of samples.
func (r *run) drivers(ctx context.Context, out *Result) error {
	main := 0
	for i := range out.Outputs {
		if out.Outputs[i].Name == out.Main {
			main = i
		}
	}
	var uncertain []int
	for i := range r.ranges {
		if r.inputs[i] != nil {
			uncertain = append(uncertain, i)
		}
	}
	lows, highs, err := r.tornado(ctx, uncertain, main)
	if err != nil {
		return err
	}
	k := newRanker(r.samples)
	total := k.ranks(r.totals[main], make([]float64, r.samples))
	mine, squares := make([]float64, r.samples), 0.0
	for n, i := range uncertain {
		rho := correlation(k.ranks(r.inputs[i], mine), total)
		squares += rho * rho
		out.Drivers = append(out.Drivers, Driver{
			Input: out.Inputs[i].Name, Output: out.Main, Rank: rho, Low: lows[n], High: highs[n], Measured: out.Inputs[i].Measured,
		})
	}
	for i := range out.Drivers {
		if squares > 0 {
			out.Drivers[i].Share = out.Drivers[i].Rank * out.Drivers[i].Rank / squares
		}
	}
	sort.SliceStable(out.Drivers, func(i, j int) bool { return out.Drivers[i].Share > out.Drivers[j].Share })
	return nil
}

// tornado evaluates the model once with a column of 2 values per input: that
// input at its 10th and its 90th percentile, all others at their medians.
func (r *run) tornado(ctx context.Context, uncertain []int, output int) (lows, highs []float64, err error) {
	if len(uncertain) == 0 {
		return nil, nil, nil
	}
	n := 2 * len(uncertain)
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
	if err := t.evaluate(ctx, nil); err != nil {
		return nil, nil, err
	}
	for k := range uncertain {
		lows, highs = append(lows, t.totals[output][2*k]), append(highs, t.totals[output][2*k+1])
	}
	return lows, highs, nil
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

// ranker turns columns into ranks by a radix sort of their bits, four passes
// of 16, an order of magnitude faster than a comparing sort.
type ranker struct {
	keys, spare   []uint64
	order, spareO []int32
	count         []int32
}

func newRanker(n int) *ranker {
	return &ranker{make([]uint64, n), make([]uint64, n), make([]int32, n), make([]int32, n), make([]int32, 1<<16)}
}

// ranks writes the rank of each value of v into dst, equal values sharing the
// mean of their ranks, and returns dst.
func (k *ranker) ranks(v, dst []float64) []float64 {
	for i, x := range v {
		b := math.Float64bits(x + 0) // +0 makes one of the two zeros
		// The usual order of bits: negative numbers reversed and below.
		if b>>63 == 1 {
			b = ^b
		} else {
			b |= 1 << 63
		}
		k.keys[i], k.order[i] = b, int32(i)
	}
	for shift := 0; shift < 64; shift += 16 {
		clear(k.count)
		for _, b := range k.keys {
			k.count[b>>shift&0xffff]++
		}
		if k.count[k.keys[0]>>shift&0xffff] == int32(len(v)) {
			continue // all alike in these bits
		}
		at := int32(0)
		for i, c := range k.count {
			k.count[i] = at
			at += c
		}
		for i, b := range k.keys {
			c := &k.count[b>>shift&0xffff]
			k.spare[*c], k.spareO[*c] = b, k.order[i]
			*c++
		}
		k.keys, k.spare, k.order, k.spareO = k.spare, k.keys, k.spareO, k.order
	}
	return k.assign(dst)
}

// assign gives sorted runs of equal keys their mean rank, from 0.
func (k *ranker) assign(dst []float64) []float64 {
	for i := 0; i < len(k.keys); {
		j := i + 1
		for j < len(k.keys) && k.keys[j] == k.keys[i] {
			j++
		}
		mean := float64(i+j-1) / 2
		for ; i < j; i++ {
			dst[k.order[i]] = mean
		}
	}
	return dst
}

// correlation is Pearson's. Ranks and their means are multiples of one half,
// so with up to 100,000 samples the sums are exact and the order of samples
// cannot matter.
func correlation(a, b []float64) float64 {
	mean := float64(len(a)-1) / 2
	var ab, aa, bb float64
	for i := range a {
		x, y := a[i]-mean, b[i]-mean
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}
