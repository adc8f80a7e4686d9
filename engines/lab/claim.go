package lab

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"plumb/base/units"
)

// Claim is a sentence that the figures can refute: a design's metric against a
// value, or against another design's metric.
type Claim struct {
	ID     string `json:"id"`
	Text   string `json:"text"`
	Design string `json:"design"` // a name or a kind
	Metric string `json:"metric"`
	Op     string `json:"op"` // < <= == >= > !=

	Value *float64 `json:"value,omitempty"`
	Than  *Than    `json:"than,omitempty"`

	// Apart says that the designs promise different things and that this
	// difference is the point. Without it such a pair is not comparable.
	Apart bool `json:"promises_differ,omitempty"`
}

// Than is the other side of a comparison: Times the metric of another design.
type Than struct {
	Design string  `json:"design"`
	Metric string  `json:"metric"`
	Times  float64 `json:"times,omitempty"` // 0 stands for 1
}

func (t *Than) times() float64 {
	if t.Times == 0 {
		return 1
	}
	return t.Times
}

// Judged is a claim with its verdict.
type Judged struct {
	Claim
	Holds  bool   `json:"holds"`
	Figure string `json:"figure"` // the figures that decide, in words
	// Control says how a comparison fared with one design in both places:
	// "fails" is what it must do there; anything else names where it still
	// held, and the claim is rejected as empty.
	Control string `json:"control,omitempty"`
}

var operators = map[string]func(a, b float64) bool{
	"<":  func(a, b float64) bool { return a < b },
	"<=": func(a, b float64) bool { return a <= b },
	"==": func(a, b float64) bool { return a == b },
	">=": func(a, b float64) bool { return a >= b },
	">":  func(a, b float64) bool { return a > b },
	"!=": func(a, b float64) bool { return a != b },
}

// Check says what is wrong with the claim's form, before anything is measured.
func (c Claim) Check() error {
	switch {
	case c.ID == "" || c.Text == "" || c.Design == "" || c.Metric == "":
		return fmt.Errorf("claim %q: id, text, design and metric must be set", c.ID)
	case operators[c.Op] == nil:
		return fmt.Errorf("claim %s: unknown operator %q", c.ID, c.Op)
	case (c.Value == nil) == (c.Than == nil):
		return fmt.Errorf("claim %s: either a value or a comparison, not both or neither", c.ID)
	case c.Than != nil && (c.Than.Design == "" || c.Than.Metric == ""):
		return fmt.Errorf("claim %s: the comparison needs a design and a metric", c.ID)
	}
	return nil
}

// Judge computes whether the claim holds for the measured designs.
//
// A comparison is evaluated again with each of these in both places: the two
// designs that it names, the naive one and the built one. If it holds for any
// of them it would hold whatever was measured, so it is rejected as empty: it
// does not hold, and Control names the design that betrayed it. To claim "at
// least half of what the peer does", measure the share as a metric and claim
// it against a value.
func (c Claim) Judge(r *Result) Judged {
	out := Judged{Claim: c}
	if err := c.Check(); err != nil {
		out.Figure = err.Error()
		return out
	}
	d, left, ok := value(r.Designs, c.Design, c.Metric)
	if !ok {
		out.Figure = fmt.Sprintf("not measured: %s of %s", c.Metric, c.Design)
		return out
	}
	unit := r.Metric(c.Metric).Unit
	if c.Than == nil {
		out.Holds = operators[c.Op](left, *c.Value)
		out.Figure = fmt.Sprintf("%s %s %s", quantity(left, unit), sign(c.Op, out.Holds), quantity(*c.Value, unit))
		return out
	}
	other, right, ok := value(r.Designs, c.Than.Design, c.Than.Metric)
	if !ok {
		out.Figure = fmt.Sprintf("not measured: %s of %s", c.Than.Metric, c.Than.Design)
		return out
	}
	if !c.Apart && !samePromises(d, other) {
		out.Figure = fmt.Sprintf("not comparable: %s promises %s, %s promises %s", d.Name, listed(d.Promises), other.Name, listed(other.Promises))
		out.Control = "not comparable"
		return out
	}
	out.Holds = operators[c.Op](left, right*c.Than.times())
	out.Figure = compared(d.Name, left, other.Name, right, c, unit, out.Holds)
	out.Control = c.control(r, d, other)
	if out.Control != "fails" {
		out.Holds = false
		out.Figure += "; rejected as empty: it " + out.Control
	}
	return out
}

// control evaluates the comparison with one design in both places.
func (c Claim) control(r *Result, d, other *Design) string {
	trial := []*Design{d, other}
	for _, x := range r.Designs {
		if x.Kind == Naive || x.Kind == Built {
			trial = append(trial, x)
		}
	}
	tried := 0
	for _, x := range trial {
		a, hasA := x.Metrics[c.Metric]
		b, hasB := x.Metrics[c.Than.Metric]
		if !hasA || !hasB {
			continue
		}
		tried++
		if operators[c.Op](a, b*c.Than.times()) {
			return "holds with " + x.Name + " in both places"
		}
	}
	if tried == 0 {
		return "cannot be evaluated: no design has both metrics"
	}
	return "fails"
}

// value finds the metric as anybody would who only has the JSON: the first
// design of that name or kind that has it.
func value(designs []*Design, name, metric string) (*Design, float64, bool) {
	for _, d := range designs {
		if d.Name == name || string(d.Kind) == name {
			if v, ok := d.Metrics[metric]; ok {
				return d, v, true
			}
		}
	}
	return nil, 0, false
}

func find(designs []*Design, name string) (*Design, bool) {
	for _, d := range designs {
		if d.Name == name {
			return d, true
		}
	}
	for _, d := range designs {
		if string(d.Kind) == name {
			return d, true
		}
	}
	return nil, false
}

func samePromises(a, b *Design) bool {
	x, y := slices.Clone(a.Promises), slices.Clone(b.Promises)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(slices.Compact(x), slices.Compact(y))
}

func listed(promises []string) string {
	if len(promises) == 0 {
		return "nothing"
	}
	return strings.Join(promises, ", ")
}

// quantity writes a value with its unit: "189k reports", "3 min 14 s" stays
// "194 s" so that it can be compared by eye with the value claimed.
func quantity(v float64, unit string) string {
	s := units.Short(v)
	if a := math.Abs(v); a < 1e7 && (a >= 1000 || v == math.Trunc(v)) {
		s = units.Count(int64(math.Round(v)))
	}
	if unit == "" {
		return s
	}
	return s + " " + unit
}

// sign writes the operator as printed; a refuted claim shows what is the case.
func sign(op string, holds bool) string {
	pretty := map[string]string{"<": "<", "<=": "≤", "==": "=", ">=": "≥", ">": ">", "!=": "≠"}
	if holds {
		return pretty[op]
	}
	return map[string]string{"<": "≥", "<=": ">", "==": "≠", ">=": "<", ">": "≤", "!=": "="}[op]
}

func compared(a string, left float64, b string, right float64, c Claim, unit string, holds bool) string {
	if c.Than.times() == 1 {
		return fmt.Sprintf("%s: %s %s %s: %s", a, quantity(left, unit), sign(c.Op, holds), b, quantity(right, unit))
	}
	return fmt.Sprintf("%s: %s %s %s × %s: %s", a, quantity(left, unit), sign(c.Op, holds), units.Short(c.Than.Times), b, quantity(right, unit))
}
