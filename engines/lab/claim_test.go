package lab

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// pair is a result of a naive and a built design with one metric.
func pair(naive, built float64) *Result {
	return &Result{
		Units: []Metric{{Name: "x", Unit: "s", Text: "x"}},
		Designs: []*Design{
			{Name: "old", Kind: Naive, Promises: []string{"durable"}, Metrics: map[string]float64{"x": naive}},
			{Name: "new", Kind: Built, Promises: []string{"durable"}, Metrics: map[string]float64{"x": built}},
		},
	}
}

func against(op string, times float64) Claim {
	return Claim{ID: "c", Text: "c", Design: "built", Metric: "x", Op: op, Than: &Than{Design: "naive", Metric: "x", Times: times}}
}

// A claim holds exactly if its figures satisfy it and no design does so against
// itself.
func TestVerdictFollowsTheFigures(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := float64(rapid.IntRange(-5, 5).Draw(t, "naive")), float64(rapid.IntRange(-5, 5).Draw(t, "built"))
		op := rapid.SampledFrom([]string{"<", "<=", "==", ">=", ">", "!="}).Draw(t, "op")
		times := rapid.SampledFrom([]float64{0, 0.5, 1, 2}).Draw(t, "times")
		c := against(op, times)
		j := c.Judge(pair(a, b))
		f := c.Than.times()
		empty := operators[op](a, a*f) || operators[op](b, b*f)
		if want := operators[op](b, a*f) && !empty; j.Holds != want {
			t.Fatalf("%v %s %v × %v: holds %v, want %v (%s)", b, op, f, a, j.Holds, want, j.Figure)
		}
		if (j.Control == "fails") == empty {
			t.Fatalf("control %q, yet empty is %v", j.Control, empty)
		}
	})
}

// A comparison that every design passes against itself says nothing.
func TestAnEmptyClaimIsRejected(t *testing.T) {
	for _, c := range []Claim{against("<=", 1), against("<", 1000), against(">=", 0.001)} {
		j := c.Judge(pair(100, 10))
		if c.Op == ">=" {
			j = c.Judge(pair(10, 100))
		}
		if j.Holds || !strings.Contains(j.Control, "in both places") || !strings.Contains(j.Figure, "rejected as empty") {
			t.Errorf("%s × %v: %+v", c.Op, c.Than.Times, j)
		}
	}
	if j := against("<", 0.5).Judge(pair(100, 10)); !j.Holds || j.Control != "fails" {
		t.Errorf("a claim that says something is rejected: %+v", j)
	}
}

func TestOtherPromisesAreNotComparable(t *testing.T) {
	r := pair(100, 10)
	r.Designs[0].Promises = nil
	c := against("<", 1)
	if j := c.Judge(r); j.Holds || j.Control != "not comparable" || !strings.Contains(j.Figure, "new promises durable, old promises nothing") {
		t.Errorf("%+v", j)
	}
	c.Apart = true
	if j := c.Judge(r); !j.Holds {
		t.Errorf("the difference is the point: %+v", j)
	}
	r.Designs[0].Promises, r.Designs[1].Promises = []string{"b", "a"}, []string{"a", "b", "b"}
	c.Apart = false
	if j := c.Judge(r); !j.Holds {
		t.Errorf("the order of promises matters: %+v", j)
	}
}

func TestWhatWasNotMeasuredDoesNotHold(t *testing.T) {
	for _, c := range []Claim{
		{ID: "a", Text: "a", Design: "built", Metric: "y", Op: "==", Value: new(0.0)},
		{ID: "b", Text: "b", Design: "nobody", Metric: "x", Op: "==", Value: new(0.0)},
		{ID: "c", Text: "c", Design: "built", Metric: "x", Op: "<", Than: &Than{Design: "naive", Metric: "y"}},
	} {
		if j := c.Judge(pair(1, 0)); j.Holds || !strings.HasPrefix(j.Figure, "not measured") {
			t.Errorf("%s: %+v", c.ID, j)
		}
	}
}

func TestMalformedClaims(t *testing.T) {
	for _, c := range []Claim{
		{},
		{ID: "a", Text: "a", Design: "built", Metric: "x", Op: "=", Value: new(0.0)},
		{ID: "a", Text: "a", Design: "built", Metric: "x", Op: "=="},
		{ID: "a", Text: "a", Design: "built", Metric: "x", Op: "==", Value: new(0.0), Than: &Than{Design: "naive", Metric: "x"}},
		{ID: "a", Text: "a", Design: "built", Metric: "x", Op: "==", Than: &Than{}},
	} {
		if c.Check() == nil || c.Judge(pair(0, 0)).Holds {
			t.Errorf("%+v passes", c)
		}
	}
}

func TestFigureSaysWhatIsTheCase(t *testing.T) {
	c := Claim{ID: "a", Text: "a", Design: "new", Metric: "x", Op: "<=", Value: new(2.0)}
	if j := c.Judge(pair(1, 188_888)); j.Holds || j.Figure != "188,888 s > 2 s" {
		t.Errorf("%q", j.Figure)
	}
	if j := against("<", 0.5).Judge(pair(100, 10)); j.Figure != "new: 10 s < 0.5 × old: 100 s" {
		t.Errorf("%q", j.Figure)
	}
}
