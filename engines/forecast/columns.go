package forecast

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"plumb/base/errs"
)

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
	windows [][][]float64 // running sums by month; nil for one that became a plain sum
	now     [][]float64   // this month's value of each output
	totals  [][]float64   // each output over all months so far
	steady  [][]float64   // formula -> its values where no month changes them, else nil
	later   []instruction // what months after the first have to do
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
	same, later := p.steady(ranges)
	r.steady, r.later = make([][]float64, len(same)), later
	for i, yes := range same {
		if yes {
			r.steady[i] = make([]float64, n)
		}
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

// columns counts the columns that newRun makes.
func (p *Program) columns(ranges []Range, months int) int {
	n := len(p.kept) + p.sums + 2*len(p.outputs) + p.windows*months
	same, _ := p.steady(ranges)
	for _, yes := range same {
		if yes {
			n++
		}
	}
	for i := range ranges {
		if !ranges[i].Certain() {
			n++
		}
		if p.model.Inputs[i].Autocorrelation != 0 {
			n++
		}
	}
	return n
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
		r.openWindows(month)
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
	for i, column := range r.steady {
		if column != nil {
			w.reg[r.p.formulaRegister(i)] = column[w.lo : w.lo+w.n]
		}
	}
	if month == 0 {
		r.exec(w, month, r.p.code)
	} else {
		r.exec(w, month, r.later)
	}
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
