package forecast

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// spearman is the textbook's: ranks by sorting, ties sharing their mean.
func spearman(a, b []float64) float64 {
	ranks := func(v []float64) []float64 {
		order := make([]int, len(v))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(i, j int) int {
			if v[i] < v[j] {
				return -1
			}
			return 1
		})
		out := make([]float64, len(v))
		for i := 0; i < len(order); {
			j := i
			for j < len(order) && v[order[j]] == v[order[i]] {
				j++
			}
			for k := i; k < j; k++ {
				out[order[k]] = float64(i+j)/2 - float64(len(v))/2
			}
			i = j
		}
		return out
	}
	var ab, aa, bb float64
	x, y := ranks(a), ranks(b)
	for i := range x {
		ab, aa, bb = ab+x[i]*y[i], aa+x[i]*x[i], bb+y[i]*y[i]
	}
	return ab / math.Sqrt(aa*bb)
}

func TestRankCorrelationIsSpearmansAndKnowsNoOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for name, draw := range map[string]func() (float64, float64){
		"normal": func() (float64, float64) { x := rnd.NormFloat64(); return x, x + rnd.NormFloat64() },
		"long tails": func() (float64, float64) {
			x := 3 * rnd.NormFloat64()
			return math.Exp(x), math.Exp(2*x + rnd.NormFloat64())
		},
		"discrete": func() (float64, float64) { x := float64(rnd.IntN(4)); return x, x * x * float64(rnd.IntN(3)) },
		"falling":  func() (float64, float64) { x := rnd.Float64(); return x, 1 / (0.1 + x) },
	} {
		a, b := make([]float64, 20_000), make([]float64, 20_000)
		for i := range a {
			a[i], b[i] = draw()
		}
		var k ranker
		got, want := k.correlate(a, k.ranks(b)), spearman(a, b)
		if math.Abs(got-want) > 1e-5 {
			t.Errorf("%s: %g, Spearman %g", name, got, want)
		}
		rnd.Shuffle(len(a), func(i, j int) { a[i], a[j], b[i], b[j] = a[j], a[i], b[j], b[i] })
		if shuffled := k.correlate(a, k.ranks(b)); shuffled != got {
			t.Errorf("%s: %g, in another order %g", name, got, shuffled)
		}
	}
}

func TestDriversAreRankedAndTheTornadoMovesOneAtATime(t *testing.T) {
	m := Model{
		Name: "d", Main: "y",
		Inputs: []Input{
			{Name: "small", Default: "9 to 11"}, {Name: "big", Default: "2 to 50"}, {Name: "against", Default: "4 to 9"}, {Name: "sure", Default: "3"},
		},
		Formulas: []Formula{{Name: "y", Is: "small * big / against + sure", Show: true, Total: Last}},
	}
	p := compiled(t, m)
	r := ran(t, m, Options{Months: 3, Samples: 20_000, Seed: 1})
	var order []string
	share := 0.0
	for _, d := range r.Drivers {
		order = append(order, d.Input)
		share += d.Share
	}
	if !slices.Equal(order, []string{"big", "against", "small"}) || !near(share, 1, 1e-9) {
		t.Errorf("order %v, shares add up to %g", order, share)
	}
	if r.Drivers[1].Rank > -0.1 {
		t.Errorf("a divisor has the rank correlation %g", r.Drivers[1].Rank)
	}
	if more := ran(t, m, Options{Samples: 100, Drivers: []string{"y"}}); len(more.Drivers) != 3 {
		t.Errorf("asked twice, %d drivers", len(more.Drivers))
	}
	if _, err := p.Run(context.Background(), Options{Samples: 100, Drivers: []string{"no"}}); err == nil {
		t.Error("an unknown output has drivers")
	}
	at := func(name string, q float64) float64 { return p.defaults[p.model.input(name)].Quantile(q) }
	big := r.Drivers[0]
	low, high := at("small", 0.5)*at("big", 0.1)/at("against", 0.5)+3, at("small", 0.5)*at("big", 0.9)/at("against", 0.5)+3
	if !near(big.Low, low, 1e-9) || !near(big.High, high, 1e-9) || !near(big.Base, at("small", 0.5)*at("big", 0.5)/at("against", 0.5)+3, 1e-9) {
		t.Errorf("big swings from %g to %g, want %g to %g", big.Low, big.High, low, high)
	}
}

func TestAVariableInputSwingsLessThanAnUnknownOne(t *testing.T) {
	swing := func(kind Kind, auto float64) float64 {
		r := ran(t, Model{Name: "s", Main: "y", Inputs: []Input{{Name: "x", Default: "5 to 20", Kind: kind, Autocorrelation: auto}},
			Formulas: []Formula{{Name: "y", Is: "x", Show: true}}}, Options{Months: 12, Samples: 500, Seed: 1})
		return r.Drivers[0].High - r.Drivers[0].Low
	}
	fixed, sticky, free := swing(Unknown, 0), swing(Variable, 0.8), swing(Variable, 0)
	if !(fixed > sticky && sticky > free) {
		t.Errorf("unknown %g, autocorrelated %g, independent %g", fixed, sticky, free)
	}
}
