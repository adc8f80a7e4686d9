package forecast

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

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

// Band is what an output may be in one month, or in total: quantiles over the
// sampled paths, and their mean. Means of parts add up; quantiles do not.
type Band struct {
	P5, P10, P50, P90, P95, Mean float64
}

// Output is one shown formula's result.
type Output struct {
	Name, Title, Unit string
	Months            []Band // by month
	Kind              Total
	TotalUnit         string // "USD" where Unit is "USD/month"
	Total             Band
	// Budget and Exceeds are set when Options.Budget names the output: the
	// limit, and the share of paths whose total is above it.
	Budget, Exceeds float64
	HasBudget       bool
}

// UsedInput is an input as a run used it.
type UsedInput struct {
	Input
	Range   Range  // in Unit
	Changed string // "", or by what: "scenario NAME", "set"
	P5, P10, P50, P90, P95,
	Mean float64 // of a path's value; of its mean over the months for a variable input
}

// Result is what a run found.
type Result struct {
	System, Title, Scenario string
	Months, Samples         int
	Seed                    uint64
	Main                    string
	Inputs                  []UsedInput
	Outputs                 []Output
	Drivers                 []Driver // of Main, of each stacked output, and of those asked for; the strongest first
	Stacks                  []Stack
}

// DriversOf returns the drivers of one output, the strongest first.
func (r *Result) DriversOf(output string) []Driver {
	var out []Driver
	for _, d := range r.Drivers {
		if d.Output == output {
			out = append(out, d)
		}
	}
	return out
}

// Output returns the named output, nil when there is none.
func (r *Result) Output(name string) *Output {
	for i := range r.Outputs {
		if r.Outputs[i].Name == name {
			return &r.Outputs[i]
		}
	}
	return nil
}

// run is one evaluation: its columns have one number per sample.
type run struct {
	p       *Program
	ranges  []Range
	samples int
	months  int
	seed    uint64
	levels  [][]float64   // input -> value per sample, in place of draws (tornado)
	inputs  [][]float64   // of uncertain inputs: the draw, or its sum over months
	state   [][]float64   // AR(1) state of autocorrelated inputs
	kept    [][]float64   // last month's value of what prev asks for
	sums    [][]float64   // running sums
	windows [][][]float64 // running sums by month
	now     [][]float64   // this month's value of each output
	totals  [][]float64   // each output over all months so far
}

// worker is what one goroutine needs; registers are columns of one block.
type worker struct {
	reg    [][]float64
	own    [][]float64 // the buffers behind the registers
	latent [][]float64
	pcg    *rand.PCG
	rand   *rand.Rand
	lo, n  int // the block's samples
	quant  selector
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
	r := newRun(p, ranges, o.Samples, o.Months, o.Seed)
	out := &Result{
		System: p.model.Name, Title: p.model.Title, Scenario: o.Scenario, Months: o.Months, Samples: o.Samples, Seed: o.Seed,
		Main: p.model.Main, Inputs: used, Outputs: p.blankOutputs(o), Stacks: p.model.Stacks,
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

func newRun(p *Program, ranges []Range, n, months int, seed uint64) *run {
	columns := func(count int) [][]float64 {
		all := make([][]float64, count)
		for i := range all {
			all[i] = make([]float64, n)
		}
		return all
	}
	r := &run{
		p: p, ranges: ranges, samples: n, months: months, seed: seed,
		inputs: make([][]float64, len(ranges)), state: make([][]float64, len(ranges)),
		kept: columns(len(p.kept)), sums: columns(p.sums), now: columns(len(p.outputs)), totals: columns(len(p.outputs)),
		windows: make([][][]float64, p.windows),
	}
	for i := range r.windows {
		r.windows[i] = columns(months)
	}
	for i := range ranges {
		if !ranges[i].Certain() {
			r.inputs[i] = make([]float64, n)
		}
		if p.model.Inputs[i].Autocorrelation != 0 {
			r.state[i] = make([]float64, n)
		}
	}
	return r
}

func (r *run) newWorker() *worker {
	registers := r.p.tempBase() + r.p.temps
	most := 1
	for _, g := range r.p.groups {
		most = max(most, len(g.inputs))
	}
	// One allocation for all buffers, and none for each sample.
	room := make([]float64, (registers+most)*blockSize)
	w := &worker{reg: make([][]float64, registers), pcg: &rand.PCG{}}
	w.rand = rand.New(w.pcg)
	for i := range registers + most {
		b := room[i*blockSize : (i+1)*blockSize : (i+1)*blockSize]
		if i < registers {
			w.own = append(w.own, b)
		} else {
			w.latent = append(w.latent, b)
		}
	}
	return w
}

// evaluate goes through the months; in each, first the blocks of samples, then
// the outputs are shared among the workers. outs may be nil (then only totals
// are wanted).
func (r *run) evaluate(ctx context.Context, outs []Output) error {
	blocks := (r.samples + blockSize - 1) / blockSize
	workers := make([]*worker, min(runtime.GOMAXPROCS(0), max(blocks, len(outs))))
	for i := range workers {
		workers[i] = r.newWorker()
	}
	bad := make([]bool, len(outs))
	for month := range r.months {
		if err := ctx.Err(); err != nil {
			return err
		}
		share(workers, blocks, func(w *worker, b int) { r.block(w, b, month) })
		share(workers, len(outs), func(w *worker, i int) {
			if s, ok := w.quant.summarise(r.now[i]); ok {
				outs[i].Months[month] = s.band()
			} else {
				bad[i] = true
			}
		})
		if i := slices.Index(bad, true); i >= 0 {
			return errs.New(errs.Invalid, "%s is not a finite number in month %d: a division by zero, or a range too wide?", outs[i].Name, month+1)
		}
	}
	share(workers, len(outs), func(w *worker, i int) {
		if s, ok := w.quant.summarise(r.totals[i]); ok {
			outs[i].Total = s.band()
		} else {
			bad[i] = true
		}
		if outs[i].HasBudget {
			over := 0
			for _, v := range r.totals[i] {
				if v > outs[i].Budget {
					over++
				}
			}
			outs[i].Exceeds = float64(over) / float64(r.samples)
		}
	})
	if i := slices.Index(bad, true); i >= 0 {
		return errs.New(errs.Invalid, "the total of %s is not a finite number", outs[i].Name)
	}
	return nil
}

func (s summary) band() Band {
	return Band{P5: s.at[0], P10: s.at[1], P50: s.at[2], P90: s.at[3], P95: s.at[4], Mean: s.mean}
}

// share runs fn(w, 0..n-1), each exactly once, on the workers.
func share(workers []*worker, n int, fn func(w *worker, i int)) {
	if len(workers) == 1 || n == 1 {
		for i := range n {
			fn(workers[0], i)
		}
		return
	}
	var wg sync.WaitGroup
	for k, w := range workers {
		wg.Go(func() {
			for i := k; i < n; i += len(workers) {
				fn(w, i)
			}
		})
	}
	wg.Wait()
}

// block computes one block of samples for one month.
func (r *run) block(w *worker, block, month int) {
	w.lo = block * blockSize
	w.n = min(blockSize, r.samples-w.lo)
	for i := range w.reg {
		w.reg[i] = w.own[i][:w.n]
	}
	r.fillInputs(w, block, month)
	fill(w.reg[r.p.monthRegister()], float64(month+1))
	for i, c := range r.p.constants {
		fill(w.reg[r.p.constantBase()+i], c)
	}
	r.exec(w, month)
	for slot, reg := range r.p.kept {
		copy(r.kept[slot][w.lo:], w.reg[reg])
	}
	for i, f := range r.p.outputs {
		v := w.reg[r.p.formulaRegister(f)]
		copy(r.now[i][w.lo:], v)
		r.p.model.Formulas[f].Total.add(r.totals[i][w.lo:w.lo+w.n], v, month, r.months)
	}
}

// fillInputs makes the input registers hold this month's values.
func (r *run) fillInputs(w *worker, block, month int) {
	for i, column := range r.levels {
		if column != nil {
			w.reg[i] = column[w.lo : w.lo+w.n]
		} else {
			fill(w.reg[i], r.ranges[i].InMonth(month))
		}
	}
	if r.levels != nil {
		return
	}
	for i := range r.p.groups {
		g := &r.p.groups[i]
		unknown := r.p.model.Inputs[g.inputs[0]].Kind == Unknown
		for _, k := range g.inputs {
			// An unknown input's register is its column, drawn in the first month.
			if unknown && r.inputs[k] != nil {
				w.reg[k] = r.inputs[k][w.lo : w.lo+w.n]
			}
		}
		if !unknown || month == 0 || len(g.inputs) == 1 && r.ranges[g.inputs[0]].Certain() {
			r.draw(w, g, block, month)
		} else {
			r.certain(w, g, month)
		}
		for _, k := range g.inputs {
			if !unknown && r.inputs[k] != nil {
				add(r.inputs[k][w.lo:w.lo+w.n], w.reg[k])
			}
		}
	}
}

// certain fills the members of a correlated group that carry no uncertainty
// in this run and so have no column.
func (r *run) certain(w *worker, g *group, month int) {
	for _, k := range g.inputs {
		if r.inputs[k] == nil {
			fill(w.reg[k], r.ranges[k].InMonth(month))
		}
	}
}

func add(sum, v []float64) {
	for s := range sum {
		sum[s] += v[s]
	}
}

// add puts one month's values into the totals.
func (t Total) add(total, v []float64, month, months int) {
	switch {
	case t == Last || t == Peak && month == 0:
		copy(total, v)
	case t == Peak:
		for s := range total {
			total[s] = max(total[s], v[s])
		}
	case t == Mean:
		for s := range total {
			total[s] += v[s] / float64(months)
		}
	default:
		add(total, v)
	}
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

// Text writes the range with its unit, as ParseRange reads it.
func (u UsedInput) Text() string {
	if u.Unit == "" {
		return u.Range.String()
	}
	return fmt.Sprintf("%s %s", u.Range, u.Unit)
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
