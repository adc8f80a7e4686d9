// Package forecast puts ranges through formulas over time.
//
// A Model is data: inputs (a number or a range, with a unit and where it
// comes from) and formulas (text, with a unit) that are evaluated month by
// month along many sampled paths. What comes out is a band per output and
// month, and which inputs drive it.
//
//	m := forecast.Model{
//		Name: "photos", Main: "stored",
//		Inputs: []forecast.Input{
//			{Name: "users", Unit: "users", Default: "10k to 40k users", From: "a guess"},
//			{Name: "photo_size", Unit: "MB/file", Default: "2 to 4 MB/file", From: "a sample of 300"},
//			{Name: "uploads", Unit: "files/user/month", Default: "20 files/user/month", From: "a guess"},
//		},
//		Formulas: []forecast.Formula{
//			{Name: "new_bytes", Unit: "GB/month", Is: "users * uploads * photo_size"},
//			{Name: "stored", Unit: "TB", Is: `sum(new_bytes * q("1 month"))`, Show: true, Total: forecast.Last},
//		},
//	}
//	p, err := forecast.Compile(m)
//	r, err := p.Run(ctx, forecast.Options{Months: 12, Samples: 20_000, Seed: 1})
//	fmt.Println(r.Outputs[0].Months[11].P90) // TB after a year, nine chances in ten
//
// What holds:
//
//   - The same model, options and seed give the same bytes, whatever
//     GOMAXPROCS is. Each input has its own stream of random numbers, named
//     after it, so adding an input leaves the draws of the others alone.
//   - An input that is Unknown is drawn once a path; one that is Variable is
//     drawn each month. The same range drawn monthly gives far narrower totals,
//     because months cancel out: choose with care.
//   - Units are checked when the model is compiled. Adding bytes to USD is an
//     error that names both; GB/day assigned to GB/month is converted.
//
// The package imports nothing of the house but plumb/base.
package forecast

import (
	"fmt"
	"regexp"

	"plumb/base/errs"
)

// Limits. A plan beyond them is refused by name rather than left to eat memory.
const (
	MaxMonths   = 120       // ten years
	MaxSamples  = 1_000_000 // paths
	MaxInputs   = 500
	MaxFormulas = 1000
	maxFormula  = 2000      // bytes of one formula's text
	maxDepth    = 200       // nested parentheses and calls
	maxNumbers  = 512 << 20 // that a run keeps, of 8 bytes: 4 GiB
)

// Kind says when an input is drawn.
type Kind int

const (
	// Unknown is one draw per path: we do not know it, but it does not change
	// from month to month. The default.
	Unknown Kind = iota
	// Variable is a draw per month, with the input's Autocorrelation from one
	// month to the next.
	Variable
)

// String returns "unknown" or "variable".
func (k Kind) String() string {
	if k == Variable {
		return "variable"
	}
	return "unknown"
}

// Total says what stands for an output over all months.
type Total int

const (
	// Sum adds the months up: money, traffic. An output per month loses its
	// "/month" in the total. The default.
	Sum Total = iota
	// Last is the value in the last month: bytes stored, machines in the field.
	Last
	// Peak is the largest month: requests per second, connections.
	Peak
	// Mean is the mean of the months: a share, a duration.
	Mean
)

// String returns "sum", "last", "peak" or "mean".
func (t Total) String() string { return [...]string{"sum", "last", "peak", "mean"}[t] }

// Input is one number that the user may change.
type Input struct {
	Name    string // [a-z][a-z0-9_]*, the name that formulas use
	Title   string // in words, for pages and files
	Group   string // heading under which pages and files show it; may be empty
	Unit    string // "bytes/request", "%", "" for a plain number
	Default string // a range as ParseRange reads it, with its unit
	From    string // where the default comes from, in words
	// Measured says that the default was measured, not assumed; every output
	// shows it.
	Measured bool
	Kind     Kind
	// Autocorrelation is that of a Variable input with itself one month
	// earlier: 0 (months independent) up to, not including, 1.
	Autocorrelation float64
	// Min and Max bound the input, in its Unit: a range whose ends lie outside
	// is refused, and a draw outside is set to the bound. Max 0 means no upper
	// bound. Signed inputs (growth) set Signed; all others must not be negative.
	Min, Max float64
	Signed   bool
}

// Formula computes a value for each month.
type Formula struct {
	Name  string // [a-z][a-z0-9_]*
	Title string // in words
	Unit  string // the result is converted to it; another dimension is an error
	Is    string // the formula; see the package's language in expr.go
	Note  string // why it is so, or its source
	Show  bool   // an output: bands are computed for it
	Total Total  // what stands for all months
}

// Correlation states that two inputs move together.
type Correlation struct {
	A, B string
	Rho  float64 // rank correlation, -1 < Rho < 1
}

// Scenario is a named set of overrides.
type Scenario struct {
	Name string
	Note string
	Set  map[string]string // input -> range as ParseRange reads it
}

// Stack names the outputs that add up to another one, for a stacked picture.
type Stack struct {
	Of    string   // an output
	Parts []string // outputs of the same unit
}

// Model is a set of inputs and formulas. It is a value: copy it, change it,
// compile it.
type Model struct {
	Name         string // the system's name
	Title        string
	Main         string // the output whose drivers are reported
	Reserve      string // the input that adds spare room by rule of thumb; "" when there is none
	Counts       []string
	Inputs       []Input
	Formulas     []Formula
	Correlations []Correlation
	Scenarios    []Scenario
	Stacks       []Stack
}

// Expected is the scenario without overrides; every model has it.
const Expected = "expected"

// Measurement is a measured value for an input.
type Measurement struct {
	Range string // as ParseRange reads it, with its unit
	From  string // what was measured, when, on how many samples
}

// WithMeasured returns m with the defaults of the named inputs replaced by
// what was measured, and marked so. A name that m does not have is Invalid.
func (m Model) WithMeasured(measured map[string]Measurement) (Model, error) {
	inputs := append([]Input(nil), m.Inputs...)
	found := 0
	for i := range inputs {
		if v, ok := measured[inputs[i].Name]; ok {
			inputs[i].Default, inputs[i].From, inputs[i].Measured = v.Range, v.From, true
			found++
		}
	}
	if found != len(measured) {
		for name := range measured {
			if m.input(name) < 0 {
				return m, errs.New(errs.Invalid, "measured value for %q, which is no input of the model %s", name, m.Name)
			}
		}
	}
	m.Inputs = inputs
	return m, nil
}

// input returns the index of the named input, -1 when there is none.
func (m *Model) input(name string) int {
	for i := range m.Inputs {
		if m.Inputs[i].Name == name {
			return i
		}
	}
	return -1
}

var nameShape = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// ReadRange reads text as a range for the input, converts it to the input's
// unit and checks it against the input's bounds. A number without a unit is
// taken in the input's unit when bare is true, and refused otherwise.
// The error is Invalid and says what is wrong, not where: the caller knows the
// file and the line.
func (p *Program) ReadRange(input, text string, bare bool) (Range, error) {
	i := p.model.input(input)
	if i < 0 {
		return Range{}, errs.New(errs.Invalid, "unknown input %q; the model %s has %s", input, p.model.Name, p.inputNames())
	}
	return p.readRange(i, text, bare)
}

func (p *Program) readRange(i int, text string, bare bool) (Range, error) {
	in := &p.model.Inputs[i]
	r, unit, err := ParseRange(text, p.vocabulary)
	if err != nil {
		return r, err
	}
	want := p.inputUnits[i]
	switch {
	case unit.IsZero() && want.text != "" && !bare:
		return r, errs.New(errs.Invalid, "a unit is missing: write %q", text+" "+want.text)
	case unit.IsZero():
	case !unit.Same(want):
		return r, errs.New(errs.Invalid, "the unit is %s, but %s is measured in %s", unit, in.Name, orNumber(want))
	default:
		r = r.scaled(factor(unit, want))
	}
	if err := in.check(r); err != nil {
		return r, err
	}
	return r, nil
}

// check refuses a range that can't be, for this input.
func (in *Input) check(r Range) error {
	low, high := r.ends()
	least, most, _ := in.bounds()
	switch {
	case !in.Signed && low < 0:
		return errs.New(errs.Invalid, "%s cannot be negative", in.Name)
	case !in.Signed && r.shape == normal && r.between:
		return errs.New(errs.Invalid, "a range from 0 has no lognormal: write uniform(0, %g) or a low end above 0", high)
	case low < least:
		return errs.New(errs.Invalid, "%s cannot be below %g %s", in.Name, least, in.Unit)
	case high > most:
		return errs.New(errs.Invalid, "%s cannot be above %g %s", in.Name, most, in.Unit)
	}
	return nil
}

// bounds returns where draws are cut off; ok is false when they are not.
func (in *Input) bounds() (low, high float64, ok bool) {
	low, high = in.Min, in.Max
	if high == 0 {
		high = inf
	}
	if in.Signed && in.Min == 0 {
		low = -inf
	}
	return low, high, low != -inf || high != inf
}

func orNumber(u Unit) string {
	if u.text == "" {
		return "plain numbers"
	}
	return u.text
}

func (p *Program) inputNames() string {
	s := ""
	for i, in := range p.model.Inputs {
		if i > 0 {
			s += ", "
		}
		s += in.Name
	}
	return s
}

// fault is an Invalid error about one named part of a model.
func fault(where, format string, args ...any) error {
	return errs.New(errs.Invalid, "%s: %s", where, fmt.Sprintf(format, args...))
}
