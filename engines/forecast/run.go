package forecast

import (
	"context"
	"maps"
	"slices"

	"plumb/base/errs"
)

// Options say how to run a Program.
type Options struct {
	Months   int    // 1 to MaxMonths; 0 means 12
	Samples  int    // 1 to MaxSamples; 0 means 20,000
	Seed     uint64 // the same seed gives the same bytes
	Scenario string // "" means Expected
	// Set overrides inputs for this run, over the scenario; make the ranges
	// with Program.ReadRange, in the input's unit.
	Set map[string]Range
	// Budget asks for the probability that an output's total (in the total's
	// unit) exceeds a limit.
	Budget map[string]float64
	// Drivers names outputs whose drivers are wanted too, besides the main one
	// and those that are stacked.
	Drivers []string
}

// Run draws the samples and returns the bands. It uses as many goroutines as
// GOMAXPROCS allows; the result does not depend on it. Errors are Invalid
// (an option out of range, an unknown scenario or input, a formula whose
// result is no number) or ctx's own.
func (p *Program) Run(ctx context.Context, o Options) (*Result, error) {
	if o.Months == 0 {
		o.Months = 12
	}
	if o.Samples == 0 {
		o.Samples = 20_000
	}
	if o.Scenario == "" {
		o.Scenario = Expected
	}
	if o.Months < 1 || o.Months > MaxMonths {
		return nil, errs.New(errs.Invalid, "months must be 1 to %d, not %d", MaxMonths, o.Months)
	}
	if o.Samples < 1 || o.Samples > MaxSamples {
		return nil, errs.New(errs.Invalid, "samples must be 1 to %d, not %d", MaxSamples, o.Samples)
	}
	used, err := p.choose(o)
	if err != nil {
		return nil, err
	}
	ranges := make([]Range, len(used))
	for i := range used {
		ranges[i] = used[i].Range
	}
	if a := p.columns(ranges, o.Months); a*o.Samples > maxNumbers {
		return nil, errs.New(errs.Invalid, "%d samples over %d months are more than memory should hold for this model: at most %d samples, or fewer months", o.Samples, o.Months, maxNumbers/a)
	}
	r := newRun(p, ranges, o.Samples, o.Months, o.Seed)
	out := &Result{
		System: p.model.Name, Title: p.model.Title, Scenario: o.Scenario, Months: o.Months, Samples: o.Samples, Seed: o.Seed,
		Main: p.model.Main, Reserve: p.model.Reserve, Inputs: used, Outputs: p.blankOutputs(o), Stacks: p.model.Stacks,
	}
	if err := r.evaluate(ctx, out.Outputs); err != nil {
		return nil, err
	}
	for i := range used {
		r.describe(&used[i], i)
	}
	if err := r.drivers(ctx, out, o.Drivers); err != nil {
		return nil, err
	}
	return out, nil
}

// choose settles each input's range: the default, over it the scenario's, over
// that what is set for this run.
func (p *Program) choose(o Options) ([]UsedInput, error) {
	used := make([]UsedInput, len(p.model.Inputs))
	for i, in := range p.model.Inputs {
		used[i] = UsedInput{Input: in, Range: p.defaults[i]}
	}
	at := slices.IndexFunc(p.model.Scenarios, func(s Scenario) bool { return s.Name == o.Scenario })
	if at < 0 && o.Scenario != Expected {
		names := Expected
		for _, s := range p.model.Scenarios {
			names += ", " + s.Name
		}
		return nil, errs.New(errs.Invalid, "unknown scenario %q; there are %s", o.Scenario, names)
	}
	if at >= 0 {
		s := p.model.Scenarios[at]
		for _, name := range slices.Sorted(maps.Keys(s.Set)) {
			rg, err := p.ReadRange(name, s.Set[name], false)
			if err != nil {
				return nil, err
			}
			i := p.model.input(name)
			used[i].Range, used[i].Changed, used[i].Measured = rg, "scenario "+s.Name, false
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Set)) {
		i := p.model.input(name)
		if i < 0 {
			return nil, errs.New(errs.Invalid, "unknown input %q; the model %s has %s", name, p.model.Name, p.inputNames())
		}
		if err := p.model.Inputs[i].check(o.Set[name]); err != nil {
			return nil, err
		}
		used[i].Range, used[i].Changed, used[i].Measured = o.Set[name], "set", false
	}
	return used, nil
}

func (p *Program) blankOutputs(o Options) []Output {
	outs := make([]Output, len(p.outputs))
	for i, f := range p.outputs {
		m := p.model.Formulas[f]
		outs[i] = Output{Name: m.Name, Title: m.Title, Unit: m.Unit, Kind: m.Total, TotalUnit: m.Unit, Months: make([]Band, o.Months)}
		if m.Total == Sum {
			outs[i].TotalUnit = p.outputUnits[f].overMonths()
		}
		outs[i].Budget, outs[i].HasBudget = o.Budget[m.Name]
	}
	return outs
}

// describe fills in what the run's draws of an input looked like.
func (r *run) describe(u *UsedInput, i int) {
	if r.inputs[i] == nil {
		v := 0.0
		for m := range r.months {
			v += u.Range.InMonth(m) / float64(r.months)
		}
		if u.Range.shape == fixed {
			v = u.Range.a
		}
		u.P5, u.P10, u.P50, u.P90, u.P95, u.Mean = v, v, v, v, v, v
		return
	}
	if u.Kind == Variable {
		for s := range r.inputs[i] {
			r.inputs[i][s] /= float64(r.months)
		}
		var q selector
		s, _ := q.summarise(r.inputs[i])
		u.P5, u.P10, u.P50, u.P90, u.P95, u.Mean = s.at[0], s.at[1], s.at[2], s.at[3], s.at[4], s.mean
		return
	}
	// What is drawn once is known without looking at the draws.
	at := []float64{0.05, 0.1, 0.5, 0.9, 0.95}
	for k, p := range at {
		at[k] = u.Range.Quantile(p)
	}
	r.clamp(i, at)
	u.P5, u.P10, u.P50, u.P90, u.P95, u.Mean = at[0], at[1], at[2], at[3], at[4], u.Range.Mean()
}

// ReadAmount reads text as a limit for an output's total and returns it in the
// total's unit. A number without a unit is taken in that unit when bare is
// true, and refused otherwise. Errors are Invalid.
func (p *Program) ReadAmount(output, text string, bare bool) (float64, error) {
	i := slices.IndexFunc(p.outputs, func(i int) bool { return p.model.Formulas[i].Name == output })
	if i < 0 {
		return 0, errs.New(errs.Invalid, "unknown output %q", output)
	}
	blank := p.blankOutputs(Options{})[i]
	want, err := ParseUnit(blank.TotalUnit, p.vocabulary)
	if err != nil {
		return 0, err
	}
	if want.text == "" {
		want = plain()
	}
	rg, unit, err := ParseRange(text, p.vocabulary)
	switch {
	case err != nil:
		return 0, err
	case rg.shape != fixed:
		return 0, errs.New(errs.Invalid, "a limit is one number, not a range")
	case unit.IsZero() && (bare || want.text == ""):
		return rg.a, nil
	case unit.IsZero():
		return 0, errs.New(errs.Invalid, "a unit is missing: write %q", text+" "+want.text)
	case !unit.Same(want):
		return 0, errs.New(errs.Invalid, "the unit is %s, but the total of %s is in %s", unit, output, orNumber(want))
	}
	return rg.a * factor(unit, want), nil
}
