package forecast

import "slices"

// steady finds the formulas that give a path the same value in every month: those that
// need nothing but constants, inputs that are drawn once, and each other; and those that
// keep their first month's value, by prev of themselves. A run computes them in its
// first month and keeps them. It returns them by index, and the code of all the others.
func (p *Program) steady(ranges []Range) ([]bool, []instruction) {
	first := p.formulaRegister(0)
	still := make([]bool, p.tempBase()+p.temps)
	for i, rg := range ranges {
		still[i] = rg.shape == fixed || p.model.Inputs[i].Kind == Unknown && rg.shape != months && rg.shape != cycle
	}
	for i := range p.constants {
		still[p.constantBase()+i] = true
	}
	out, rest := make([]bool, len(p.model.Formulas)), make([]instruction, 0, len(p.code))
	begin := 0
	for k, in := range p.code {
		// A formula's code ends where its register is written. Only the registers
		// that an operation takes count: the others are those of input 0.
		same := in.op != opPrev && in.op != opSum && in.op != opWindow
		for n, reg := range [...]int{in.a, in.b, in.c} {
			same = same && (n >= in.op.args() || still[reg])
		}
		same = same || in.op == opPrev && p.kept[in.slot] == in.dst
		still[in.dst] = same // only now: it may be one of those it was made from
		if in.dst < first || in.dst >= p.constantBase() {
			continue
		}
		if i := in.dst - first; still[in.dst] {
			out[i] = true
		} else {
			rest = append(rest, p.code[begin:k+1]...)
		}
		begin = k + 1
	}
	return out, rest
}

// args is the number of registers that an instruction reads.
func (op opcode) args() int {
	switch op {
	case opMove, opCeil, opFloor, opRound, opSqrt, opExp, opLog, opPrev, opSum:
		return 1
	case opWhen:
		return 3
	}
	return 2
}

// openWindows makes room for a month's running sums. After the first month it finds
// the windows that are as long as the run on every path: they never lose anything, so
// they become plain sums, which need neither the memory nor the look back.
func (r *run) openWindows(month int) {
	if month == 0 {
		for i := range r.windows {
			r.windows[i] = [][]float64{make([]float64, r.samples)}
		}
		return
	}
	for i := range r.later {
		in := &r.later[i]
		if in.op != opWindow {
			continue
		}
		history := r.windows[in.slot]
		if month == 1 && r.least(in.b) >= float64(r.months) {
			r.windows[in.slot] = nil
			in.op, in.slot = opSum, len(r.sums)
			r.sums = append(r.sums, history[0])
			continue
		}
		r.windows[in.slot] = append(history, make([]float64, r.samples))
	}
}

// least is the smallest value that a register has on any path in any month, as far as
// that is known; else 0.
func (r *run) least(reg int) float64 {
	p := r.p
	switch {
	case reg < len(r.ranges) && r.ranges[reg].shape == fixed:
		return r.ranges[reg].a
	case reg >= p.constantBase() && reg < p.tempBase():
		return p.constants[reg-p.constantBase()]
	case reg >= p.formulaRegister(0) && reg < p.constantBase():
		if column := r.steady[reg-p.formulaRegister(0)]; column != nil {
			return slices.Min(column)
		}
	}
	return 0
}
