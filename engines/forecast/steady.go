package forecast

// steady finds the formulas that give a path the same value in every month, because
// they need nothing but constants, inputs that are drawn once, and each other. A run
// computes them in its first month and keeps them. It returns them by index, and the
// code of all the others.
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
