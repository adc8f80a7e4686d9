package forecast

import (
	"context"
	"slices"
	"testing"
)

// TestWhatNoMonthChangesIsComputedOnce: a formula counts as steady only where this
// run's ranges make it so, and its values are those that every month would give.
func TestWhatNoMonthChangesIsComputedOnce(t *testing.T) {
	names := []string{"steady", "chain", "variable", "by_month", "with_past", "with_sum", "chosen", "nested", "first", "of_first"}
	m := Model{Name: "m", Main: "chain",
		Inputs: []Input{{Name: "x", Default: "5 to 9"}, {Name: "n", Default: "3"}, {Name: "v", Default: "1 to 2", Kind: Variable}},
		Formulas: []Formula{
			{Name: "steady", Is: "pow(x, 2) + n", Show: true, Total: Last}, {Name: "chain", Is: "steady * 2 - x", Show: true, Total: Last},
			{Name: "variable", Is: "steady + v", Show: true, Total: Last}, {Name: "by_month", Is: "steady + month", Show: true, Total: Last},
			{Name: "with_past", Is: "prev(with_past, steady) + 1", Show: true, Total: Last}, {Name: "with_sum", Is: "sum(x)", Show: true, Total: Last},
			{Name: "chosen", Is: "when(n > 2, x, v)", Show: true, Total: Last}, {Name: "nested", Is: "(month*2 + 1) * n", Show: true, Total: Last},
			{Name: "first", Is: "prev(first, month + v*x)", Show: true, Total: Last}, {Name: "of_first", Is: "first * 2", Show: true, Total: Last},
		}}
	p := compiled(t, m)
	same := func(set map[string]Range) []string {
		used, err := p.choose(Options{Scenario: Expected, Set: set})
		if err != nil {
			t.Fatal(err)
		}
		var ranges []Range
		for _, u := range used {
			ranges = append(ranges, u.Range)
		}
		yes, rest := p.steady(ranges)
		var out []string
		for i, name := range names {
			if yes[i] {
				out = append(out, name)
			}
		}
		if len(rest) >= len(p.code) || len(rest) < len(names)-len(out) {
			t.Errorf("%d of %d operations are left, with %v steady", len(rest), len(p.code), out)
		}
		return out
	}
	byMonth, err := Months([]float64{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		set  map[string]Range
		want []string
	}{
		{nil, []string{"steady", "chain", "first", "of_first"}}, {map[string]Range{"v": Number(1)}, []string{"steady", "chain", "variable", "chosen", "first", "of_first"}},
		{map[string]Range{"x": byMonth}, []string{"first", "of_first"}}, {map[string]Range{"n": byMonth}, []string{"first", "of_first"}},
	} {
		if got := same(c.set); !slices.Equal(got, c.want) {
			t.Errorf("with %v: %v are steady, not %v", c.set, got, c.want)
		}
	}
	r, err := p.Run(context.Background(), Options{Months: 4, Samples: 2000, Seed: 1, Set: map[string]Range{"x": byMonth, "v": Number(2)}})
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range []float64{1, 2, 3, 3} {
		want := map[string]float64{"steady": x*x + 3, "chain": 2*(x*x+3) - x, "variable": x*x + 5, "by_month": x*x + 4 + float64(i), "with_past": 4 + float64(i+1), "chosen": x, "nested": 3 * (2*float64(i+1) + 1), "first": 3, "of_first": 6}
		for name, v := range want {
			if got := r.Output(name).Months[i]; got.P5 != v || got.P95 != v {
				t.Errorf("%s in month %d: %v, want %g", name, i+1, got, v)
			}
		}
	}
	r, err = p.Run(context.Background(), Options{Months: 3, Samples: 2000, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	first := r.Output("chain").Months[0]
	if last := r.Output("chain").Months[2]; last != first || first.P5 >= first.P95 {
		t.Errorf("chain is %v, then %v", first, last)
	}
	if a, b := r.Output("by_month").Months[2], r.Output("steady").Months[0]; !near(a.P50, b.P50+3, 1e-12) {
		t.Errorf("steady is %g in the first month, %g in the third", b.P50, a.P50-3)
	}
}

// TestAWindowAsLongAsTheRunIsASum: it gives the same, and keeps nothing by month; one
// that loses something on a single path stays a window.
func TestAWindowAsLongAsTheRunIsASum(t *testing.T) {
	m := one(Input{Name: "x", Default: "10 to 30", Kind: Variable}, "recent(x, span)")
	m.Inputs = append(m.Inputs, Input{Name: "n", Unit: "month", Default: "4 month"})
	m.Formulas = append(m.Formulas, Formula{Name: "span", Unit: "month", Is: "n"}, Formula{Name: "all", Is: "sum(x)", Show: true, Total: Last})
	for _, c := range []struct {
		n     string
		plain bool
	}{{"4", true}, {"1000", true}, {"3.9", false}, {"discrete(3: 0.01, 9: 0.99)", false}, {"discrete(4: 0.5, 9: 0.5)", true}, {"months(9, 9, 1)", false}} {
		m.Inputs[1].Default = c.n + " month"
		p := compiled(t, m)
		r := newRun(p, p.defaults, 3000, 4, 1)
		outs := p.blankOutputs(Options{Months: 4})
		if err := r.evaluate(context.Background(), outs); err != nil {
			t.Fatal(err)
		}
		if got := r.windows[0] == nil; got != c.plain {
			t.Errorf("n = %s: a plain sum %v", c.n, got)
		}
		same := slices.Equal(outs[0].Months, outs[1].Months)
		if same != c.plain {
			t.Errorf("n = %s: the window gives %v, the sum %v", c.n, outs[0].Months[3], outs[1].Months[3])
		}
	}
}
