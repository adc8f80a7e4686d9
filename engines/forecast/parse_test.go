package forecast

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRangesAreRead(t *testing.T) {
	for _, c := range []struct {
		text, unit string
		p, want    float64
	}{
		{"188,888 machines", "machines", 0.5, 188888},
		{"5k to 20k", "a plain number", 0.05, 5000}, {"5k to 20k", "a plain number", 0.95, 20000}, {"5k to 20k", "a plain number", 0.5, 10000},
		{"2.5 to 4 GB", "GB", 0.95, 4}, {"600 B to 3 kB", "kB", 0.05, 0.6},
		{"-2% to 4%", "%", 0.5, 1}, {"0 to 10", "a plain number", 0.5, 5},
		{"normal(10, 2) requests/s", "requests/s", 0.5, 10}, {"lognormal(5, 20)", "a plain number", 0.95, 20},
		{"triangular(1, 2, 5)", "a plain number", 0.25, 2}, {"triangular(1, 2, 5) USD", "USD", 1 - 1e-12, 5},
		{"uniform(0, 5 GB)", "GB", 0.4, 2}, {"beta(2, 2)", "a plain number", 0.5, 0.5}, {"beta(1, 1, 10, 20) USD", "USD", 0.3, 13},
		{"discrete(1: 0.7, 2: 0.3)", "a plain number", 0.6, 1}, {"discrete(1: 0.7, 2: 0.3)", "a plain number", 0.8, 2}, {"discrete(5: 1, 4: 3) USD", "USD", 0.7, 4},
		{"samples(30, 10, 20) bytes", "bytes", 0.5, 20}, {"months(10k, 20k) users", "users", 0.5, 10000}, {"cycle(3, 1)", "a plain number", 0.5, 3},
		{"1e3 bytes", "bytes", 0.5, 1000}, {"3%", "%", 0.5, 3}, {"2 /month", "/month", 0.5, 2}, {"5k/month", "/month", 0.5, 5000}, {"1_000_000", "a plain number", 0.5, 1e6},
		{"3 to 3 USD", "USD", 0.9, 3},
	} {
		r, u, err := ParseRange(c.text, nil)
		if err != nil || u.String() != c.unit {
			t.Errorf("%q: unit %s, %v", c.text, u, err)
			continue
		}
		if got := r.Quantile(c.p); !near(got, c.want, 1e-6) {
			t.Errorf("%q at %g = %g, want %g", c.text, c.p, got, c.want)
		}
	}
}

func TestImpossibleRangesSayWhy(t *testing.T) {
	for text, why := range map[string]string{
		"": "missing", "20k to 5k": "low 20000 is above high 5000", "much": "not a number", "5 parsecs": `"parsecs"`, "1 to": "unknown unit",
		"5 to 6 to 7": "unknown unit", "5 GB to 7 USD": "same thing", "normal(1)": "needs 2 numbers", "normal(1, -1)": "sd", "lognormal(0, 5)": "above 0",
		"triangular(1, 9, 5)": "low <= mode <= high", "uniform(5, 1)": "above high", "beta(0, 1)": "0.1 to 1000", "beta(1)": "2 or 4", "beta(1,2,3)": "2 or 4",
		"discrete(1, 2)": "value: weight", "discrete(1: -1)": "negative", "discrete(1: 0)": "add up to 0", "samples()": "not a number", "gamma(1, 2)": "unknown distribution",
		"normal(1, 2": "closing parenthesis", "1e999": "not a number", "NaN": "not a number", "Inf to Inf": "not a number", "months(10,000, 20,000)": "commas separate",
		"normal(5 USD, 2 GB)": "same thing", strings.Repeat("1", maxRange+1): "at most", "5\xff": "valid text",
	} {
		r, _, err := ParseRange(text, nil)
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%.40q = %v, error %v, want one with %q", text, r, err, why)
		}
	}
}

func TestAWrittenRangeReadsBackTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float64Range(-1e9, 1e9)
		pos := rapid.Float64Range(1e-6, 1e9)
		a, b, c := v.Draw(t, "a"), pos.Draw(t, "b"), pos.Draw(t, "c")
		var r Range
		var err error
		switch rapid.IntRange(0, 9).Draw(t, "shape") {
		case 0:
			r = Number(a)
		case 1:
			r, err = To(min(b, c), max(b, c))
		case 2:
			r, err = To(min(a, b), max(a, b))
		case 3:
			r, err = Normal(a, b)
		case 4:
			r, err = Triangular(a, a+b, a+b+c)
		case 5:
			r, err = Uniform(a, a+b)
		case 6:
			r, err = Beta(1+b/1e7, 1+c/1e7, a, a+b)
		case 7:
			r, err = Samples([]float64{a, b, c})
		case 8:
			r, err = Months([]float64{a, b, c})
		case 9:
			r, err = Cycle([]float64{a, b, c})
		}
		if err != nil {
			t.Skip(err) // rounding may make two ends equal
		}
		back, _, err := ParseRange(r.String(), nil)
		if err != nil {
			t.Fatalf("%s: %v", r, err)
		}
		for _, p := range []float64{0.05, 0.5, 0.95} {
			if x, y := r.Quantile(p), back.Quantile(p); math.Abs(x-y) > 1e-9*math.Abs(x) {
				t.Fatalf("%s at %g: %g, read back %g", r, p, x, y)
			}
		}
	})
}

func TestAScaledRangeIsTheSameInAnotherUnit(t *testing.T) {
	for _, text := range []string{"5", "5 to 20", "-5 to 20", "normal(5, 2)", "triangular(1, 2, 5)", "uniform(1, 5)", "beta(2, 5, 1, 4)", "discrete(1: 0.7, 2: 0.3)", "samples(1, 2, 9)", "months(3, 4)", "cycle(3, 4)"} {
		r, _, err := ParseRange(text, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := r.scaled(1000)
		for _, p := range []float64{0.05, 0.5, 0.95} {
			if !near(s.Quantile(p), 1000*r.Quantile(p), 1e-12) {
				t.Errorf("%s at %g: %g, scaled %g", text, p, r.Quantile(p), s.Quantile(p))
			}
		}
		if !near(s.Mean(), 1000*r.Mean(), 1e-12) || s.Certain() != r.Certain() {
			t.Errorf("%s: mean %g, scaled %g", text, r.Mean(), s.Mean())
		}
	}
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"5k to 20k", "2.5 GB", "normal(10, 2) USD", "beta(2,5,0,10)", "discrete(1: 0.7, 2: 0.3)", "samples(1,2)", "months(1) %", "1 /month", "(", "a(b)c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, _, err := ParseRange(s, []string{"tap"})
		if err != nil {
			return
		}
		low, mid, high := r.Quantile(0.05), r.Quantile(0.5), r.Quantile(0.95)
		if math.IsNaN(low) || math.IsNaN(mid) || math.IsNaN(high) || low > mid || mid > high {
			t.Errorf("%q: quantiles %g, %g, %g", s, low, mid, high)
		}
		if _, _, err := ParseRange(r.String(), nil); err != nil && finite(low, high) {
			t.Errorf("%q is written as %q, which cannot be read: %v", s, r, err)
		}
	})
}

func FuzzFormula(f *testing.F) {
	for _, s := range []string{"a + b*c", "prev(a, 0)", `q("30 day")`, "when(a > b, 1, 0)", "recent(a, q(\"3 month\"))", "-(a)", "func(){}", "a[1]", "((((", "'x'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, _ = Compile(Model{
			Name: "fuzz", Main: "x", Inputs: []Input{{Name: "a", Default: "1"}, {Name: "b", Default: "1 to 2"}, {Name: "c", Unit: "bytes", Default: "1 bytes"}},
			Formulas: []Formula{{Name: "x", Is: s, Show: true}},
		})
	})
}
