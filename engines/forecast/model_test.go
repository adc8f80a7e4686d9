package forecast

import (
	"context"
	"math"
	"strings"
	"testing"

	"plumb/base/errs"
)

func one(in Input, is string) Model {
	return Model{Name: "one", Main: "y", Counts: []string{"taps"}, Inputs: []Input{in}, Formulas: []Formula{{Name: "y", Is: is, Show: true, Total: Last}}}
}

func TestFaultsOfAModelAreNamed(t *testing.T) {
	number := Input{Name: "x", Default: "5"}
	stored := Input{Name: "x", Unit: "bytes", Default: "5 bytes"}
	two := func(a, b Formula) Model {
		return Model{Name: "two", Main: a.Name, Inputs: []Input{number, {Name: "price", Unit: "USD", Default: "1 USD"}, {Name: "size", Unit: "bytes", Default: "1 GB"}}, Formulas: []Formula{a, b}}
	}
	for _, c := range []struct {
		m    Model
		says string
	}{
		{two(Formula{Name: "y", Unit: "USD", Is: "price + size", Show: true}, Formula{Name: "z", Is: "1"}), "formula y: cannot add USD and bytes"},
		{two(Formula{Name: "y", Unit: "USD", Is: "size", Show: true}, Formula{Name: "z", Is: "1"}), "it gives bytes, but its unit is USD"},
		{two(Formula{Name: "y", Is: "z + 1", Show: true}, Formula{Name: "z", Is: "y * 2"}), "circle: y -> z -> y"},
		{two(Formula{Name: "y", Is: "y", Show: true}, Formula{Name: "z", Is: "1"}), "circle: y -> y"},
		{two(Formula{Name: "x", Is: "1", Show: true}, Formula{Name: "z", Is: "1"}), `"x" is defined twice`},
		{two(Formula{Name: "y", Unit: "requests/s", Is: `q("1 request/s")`, Show: true}, Formula{Name: "z", Is: "1"}), "the sum of months in requests/s means nothing"},
		{two(Formula{Name: "y", Is: "prev(size, 1)", Show: true}, Formula{Name: "z", Is: "1"}), "prev(size, ...) starts with a plain number"},
		{two(Formula{Name: "y", Is: "recent(x, 3)", Show: true}, Formula{Name: "z", Is: "1"}), "recent needs a time"},
		{two(Formula{Name: "y", Is: "exp(size)", Show: true}, Formula{Name: "z", Is: "1"}), "needs a plain number, not bytes"},
		{two(Formula{Name: "y", Is: "when(x > price, 1, 0)", Show: true}, Formula{Name: "z", Is: "1"}), "cannot compare USD and a plain number"},
		{one(number, "nobody"), `unknown name "nobody"`}, {one(number, "x +"), "cannot be read"}, {one(number, "sin(x)"), `unknown function "sin"`},
		{one(number, "min(x)"), "needs 2 arguments"}, {one(number, "x % 2"), "unknown operator %"}, {one(number, "x.y"), "no part of a formula"},
		{one(number, `"text"`), "not a number"}, {one(number, "prev(x + 1, 0)"), "prev needs a name"}, {one(number, `q("1 to 2 s")`), "belongs into an input"},
		{one(number, strings.Repeat("(", 500)+"x"+strings.Repeat(")", 500)), "nested"}, {one(number, strings.Repeat("x+", 2000)+"x"), "at most 2000 bytes"},
		{one(stored, "x + 1"), "cannot add bytes and a plain number"},
		{one(Input{Name: "x", Unit: "bytes", Default: "5"}, "x"), "a unit is missing"},
		{one(Input{Name: "x", Unit: "bytes", Default: "-5 to 7 bytes"}, "x"), "cannot be negative"},
		{one(Input{Name: "x", Unit: "bytes", Default: "0 to 7 bytes"}, "x"), "uniform(0, 7)"},
		{one(Input{Name: "x", Unit: "bytes", Default: "5 USD"}, "x"), "the unit is USD, but x is measured in bytes"},
		{one(Input{Name: "x", Unit: "%", Default: "50 to 120 %", Max: 100}, "x"), "cannot be above 100 %"},
		{one(Input{Name: "X", Default: "5"}, "1"), "is no name"}, {one(Input{Name: "range", Default: "5"}, "1"), "word of the formula language"},
		{one(Input{Name: "x", Default: "5", Autocorrelation: 0.5}, "x"), "autocorrelation"},
		{Model{Name: "m", Inputs: []Input{number}, Formulas: []Formula{{Name: "y", Is: "x"}}}, "no formula is shown"},
		{Model{Name: "m", Main: "z", Inputs: []Input{number}, Formulas: []Formula{{Name: "y", Is: "x", Show: true}}}, `main output "z"`},
		{Model{Name: "m", Main: "y", Inputs: []Input{number}, Formulas: []Formula{{Name: "y", Is: "x", Show: true}}, Scenarios: []Scenario{{Name: "s", Set: map[string]string{"q": "1"}}}}, "scenario s: q: unknown input"},
		{Model{Name: "m", Main: "y", Inputs: []Input{number}, Formulas: []Formula{{Name: "y", Is: "x", Show: true}}, Correlations: []Correlation{{"x", "z", 0.5}}}, "correlation of x and z"},
	} {
		_, err := Compile(c.m)
		if err == nil || !strings.Contains(err.Error(), c.says) || !errs.Is(err, errs.Invalid) {
			t.Errorf("%v; want it to say %q", err, c.says)
		}
	}
}

func TestAFormulaDoesWhatItSays(t *testing.T) {
	for is, want := range map[string]float64{ // in month 4 of 4, where x is 10
		"x + 2*3 - 4/8": 15.5, "-x + 1": -9, "min(x, 3) + max(x, 3)": 13, "ceil(x/3)": 4, "floor(x/3)": 3, "round(x/4)": 3,
		"sqrt(x*x)": 10, "log(exp(2))": 2, "pow(x, 2)": 100, "when(x > 5, 1, 2)": 1, "when(x >= 11, 1, 2)": 2, "when(x == 10, 7, 0)": 7, "when(x != 10, 7, 0)": 0, "when(x <= 10, 1, 0)": 1,
		"month": 4, "sum(x)": 40, `recent(x, q("2.5 month"))`: 25, `recent(x, q("2 year"))`: 40, `recent(x, q("0 s"))`: 0, `recent(month, q("2 month"))`: 7,
		"prev(y, 5) + 1": 9 - 0, "prev(x, 3)": 10, `q("1 GB") / q("1 MB")`: 1000, `1 + q("50 %")`: 1.5, "ceil(3 * (x/30))": 1,
	} {
		r := ran(t, one(Input{Name: "x", Default: "10"}, is), Options{Months: 4, Samples: 3})
		if got := r.Outputs[0].Months[3].P50; !near(got, want, 1e-12) {
			t.Errorf("%s = %g, want %g", is, got, want)
		}
	}
}

func TestACycleBeginsAgain(t *testing.T) {
	months := ran(t, one(Input{Name: "x", Default: "cycle(3, 1, 2)"}, "x"), Options{Months: 7, Samples: 2}).Outputs[0].Months
	for i, want := range []float64{3, 1, 2, 3, 1, 2, 3} {
		if got := months[i]; got.P5 != want || got.P95 != want {
			t.Errorf("month %d: %v, want %g", i+1, got, want)
		}
	}
}

func TestAPlanThatMemoryCannotHoldIsRefused(t *testing.T) {
	windows := one(Input{Name: "x", Default: "1 to 2"}, `recent(x, q("1 month")) + recent(2*x, q("1 month")) + recent(3*x, q("1 month")) + recent(4*x, q("1 month")) + recent(5*x, q("1 month"))`)
	p := compiled(t, windows)
	_, err := p.Run(context.Background(), Options{Months: MaxMonths, Samples: MaxSamples})
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "samples") {
		t.Errorf("%v", err)
	}
	if _, err := p.Run(context.Background(), Options{Months: MaxMonths, Samples: 1000}); err != nil {
		t.Error(err)
	}
}

func TestGrowthCompoundsAlongThePath(t *testing.T) {
	m := one(Input{Name: "g", Unit: "%", Default: "10 %", Signed: true}, "prev(y, 100) * (1 + g)")
	if got := ran(t, m, Options{Months: 3, Samples: 1}).Outputs[0].Months[2].P50; !near(got, 133.1, 1e-12) {
		t.Errorf("three months of 10%% make %g of 100", got)
	}
	// An unknown growth compounds its own error; a variable one averages out.
	spread := func(kind Kind) float64 {
		m.Inputs[0].Default, m.Inputs[0].Kind = "-5 to 15 %", kind
		b := ran(t, m, Options{Months: 12, Samples: 5000, Seed: 1}).Outputs[0].Months[11]
		return math.Log(b.P90 / b.P10)
	}
	if u, v := spread(Unknown), spread(Variable); u < 2.5*v || u > 4.5*v {
		t.Errorf("unknown growth spreads by %g, monthly by %g: not some sqrt(12) apart", u, v)
	}
}

func TestDrawsHaveTheStatedShapesAndCorrelations(t *testing.T) {
	m := Model{Name: "c", Main: "y",
		Inputs: []Input{
			{Name: "a", Default: "5 to 20"}, {Name: "b", Default: "uniform(0, 10)"}, {Name: "c", Default: "beta(2, 5)"},
			{Name: "v", Default: "triangular(0, 1, 4)", Kind: Variable, Autocorrelation: 0.7}, {Name: "w", Default: "normal(5, 1)", Kind: Variable, Autocorrelation: 0.7},
		},
		Correlations: []Correlation{{"a", "b", 0.8}, {"b", "c", -0.5}, {"v", "w", 0.6}},
		Formulas: []Formula{{Name: "y", Is: "a + b + c", Show: true, Total: Last}, {Name: "ya", Is: "a", Show: true, Total: Last}, {Name: "yb", Is: "b", Show: true, Total: Last},
			{Name: "yc", Is: "c", Show: true, Total: Last}, {Name: "yv", Is: "v", Show: true, Total: Last}, {Name: "yw", Is: "w", Show: true, Total: Last}, {Name: "before", Is: "prev(v, v)", Show: true, Total: Last}},
	}
	p := compiled(t, m)
	r := newRun(p, p.defaults, 100_000, 3, 1)
	if err := r.evaluate(context.Background(), p.blankOutputs(Options{Months: 3})); err != nil {
		t.Fatal(err)
	}
	col := map[string][]float64{}
	for i, f := range p.outputs {
		col[m.Formulas[f].Name] = r.now[i]
	}
	for _, c := range []struct {
		a, b string
		want float64
	}{{"ya", "yb", 0.8}, {"yb", "yc", -0.5}, {"yv", "yw", 0.6}, {"ya", "yc", 0}, {"ya", "yv", 0}} {
		got := spearman(col[c.a], col[c.b])
		if c.want != 0 && math.Abs(got-c.want) > 0.01 || c.a == "ya" && c.b == "yv" && math.Abs(got) > 0.01 {
			t.Errorf("rank correlation of %s and %s is %.3f, stated %g", c.a, c.b, got, c.want)
		}
	}
	// An AR(1) of normals with 0.7 has the rank correlation 6/pi asin(0.35).
	if got := spearman(col["yv"], col["before"]); math.Abs(got-6/math.Pi*math.Asin(0.35)) > 0.01 {
		t.Errorf("autocorrelation of ranks %.3f", got)
	}
	for name, in := range map[string]string{"ya": "a", "yb": "b", "yc": "c", "yv": "v", "yw": "w"} {
		rg := p.defaults[p.model.input(in)]
		want := []float64{rg.Quantile(0.05), rg.Quantile(0.1), rg.Quantile(0.5), rg.Quantile(0.9), rg.Quantile(0.95)}
		for i, got := range sortedSummary(col[name]) {
			if math.Abs(got-want[i]) > 0.02*math.Abs(want[i])+0.01 {
				t.Errorf("%s: quantile %g is %g, want %g", in, levels[i], got, want[i])
			}
		}
	}
}

func TestContradictingCorrelationsAreRefused(t *testing.T) {
	m := Model{Name: "c", Main: "y", Inputs: []Input{{Name: "a", Default: "1 to 2"}, {Name: "b", Default: "1 to 2"}, {Name: "c", Default: "1 to 2"}},
		Correlations: []Correlation{{"a", "b", 0.9}, {"b", "c", 0.9}, {"a", "c", -0.9}}, Formulas: []Formula{{Name: "y", Is: "a", Show: true}}}
	if _, err := Compile(m); err == nil || !strings.Contains(err.Error(), "contradict") {
		t.Error(err)
	}
}

func TestAnInputMoreLeavesTheOthersDrawsAlone(t *testing.T) {
	m := one(Input{Name: "x", Default: "5 to 20"}, "x")
	before := ran(t, m, Options{Months: 1, Samples: 2000, Seed: 4}).Outputs[0]
	m.Inputs = append([]Input{{Name: "new", Default: "1 to 2"}}, m.Inputs...)
	if after := ran(t, m, Options{Months: 1, Samples: 2000, Seed: 4}).Outputs[0]; after.Months[0] != before.Months[0] {
		t.Errorf("%v became %v", before.Months[0], after.Months[0])
	}
}

func TestDrawsStayWithinBounds(t *testing.T) {
	m := one(Input{Name: "x", Unit: "%", Default: "normal(95, 20) %", Max: 100}, "x")
	b := ran(t, m, Options{Months: 1, Samples: 5000, Seed: 4}).Outputs[0].Months[0]
	if b.P95 != 1 {
		t.Errorf("a share goes up to %g", b.P95)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	p := compiled(t, photos("10k to 40k users", "2 to 4 MB/file"))
	neg := Number(-1)
	for says, o := range map[string]Options{
		"months must be":      {Months: MaxMonths + 1},
		"samples must be":     {Samples: -1},
		`unknown scenario "x`: {Scenario: "x"},
		`unknown input "x"`:   {Set: map[string]Range{"x": neg}},
		"cannot be negative":  {Set: map[string]Range{"users": neg}},
	} {
		if _, err := p.Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Run(ctx, Options{}); err != context.Canceled {
		t.Error(err)
	}
	if _, err := compiled(t, one(Input{Name: "x", Default: "0"}, "1/x")).Run(context.Background(), Options{}); err == nil || !strings.Contains(err.Error(), "y is not a finite number in month 1") {
		t.Error(err)
	}
}

func TestScenariosAndBudgets(t *testing.T) {
	m := photos("10k to 40k users", "2 to 4 MB/file")
	m.Scenarios = []Scenario{{Name: "big", Set: map[string]string{"users": "100k users"}}}
	r := ran(t, m, Options{Scenario: "big", Samples: 4000, Seed: 1, Budget: map[string]float64{"new_bytes": 12 * 100e3 * 20 * math.Sqrt(8) / 1000}})
	if r.Inputs[0].Changed != "scenario big" || r.Inputs[0].P50 != 100e3 {
		t.Errorf("%+v", r.Inputs[0])
	}
	// The limit is the closed-form median: half of the paths exceed it.
	if o := r.Output("new_bytes"); !o.HasBudget || math.Abs(o.Exceeds-0.5) > 0.03 {
		t.Errorf("exceeds with %g", o.Exceeds)
	}
	p := compiled(t, m)
	if v, err := p.ReadAmount("new_bytes", "2 TB", false); err != nil || v != 2000 {
		t.Error(v, err)
	}
	for _, bad := range []string{"2", "2 USD", "1 to 2 TB", "x"} {
		if v, err := p.ReadAmount("new_bytes", bad, false); err == nil {
			t.Errorf("%q = %g", bad, v)
		}
	}
}
