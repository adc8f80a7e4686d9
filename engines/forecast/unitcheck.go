package forecast

import "plumb/base/errs"

// convert emits the multiplication from one unit to another of the same
// dimension, if it takes one.
func (p *Program) convert(reg int, from, to Unit, depth int) int {
	f := factor(from, to)
	if f == 1 {
		return reg
	}
	p.code = append(p.code, instruction{op: opMul, dst: -depth, a: reg, b: p.constant(f)})
	return -depth
}

func isZeroLiteral(n *node) bool {
	return n.op == opNumber && n.value == 0 && n.unit.IsZero()
}

// unitsOf checks the units of an operation's arguments, converts those that
// must agree, and returns the unit of its result.
func (p *Program) unitsOf(n *node, regs *[3]int, us *[3]Unit, depth int) (Unit, error) {
	agree := func(i, j int, verb string) error {
		switch {
		case us[i].Same(us[j]):
			regs[j] = p.convert(regs[j], us[j], us[i], depth+j)
		case isZeroLiteral(n.args[j]): // 0 is 0 in any unit
		case isZeroLiteral(n.args[i]):
			us[i] = us[j]
		default:
			return errs.New(errs.Invalid, "cannot %s %s and %s", verb, us[i], us[j])
		}
		return nil
	}
	number := func(i int, what string) error {
		if len(us[i].dims) > 0 {
			return errs.New(errs.Invalid, "%s needs a plain number, not %s", what, us[i])
		}
		regs[i] = p.convert(regs[i], us[i], plain(), depth+i)
		return nil
	}
	switch n.op {
	case opAdd:
		err := agree(0, 1, "add")
		return us[0], err
	case opSub:
		err := agree(0, 1, "subtract")
		return us[0], err
	case opMin, opMax:
		err := agree(0, 1, "compare")
		return us[0], err
	case opLess, opLessEqual, opEqual, opNotEqual:
		return plain(), agree(0, 1, "compare")
	case opMul:
		return derived(us[0], us[1], 1), nil
	case opDiv:
		return derived(us[0], us[1], -1), nil
	case opSqrt, opExp, opLog:
		return plain(), number(0, "sqrt, exp or log")
	case opPow:
		if err := number(0, "pow"); err != nil {
			return plain(), err
		}
		return plain(), number(1, "pow")
	case opWhen:
		if err := number(0, "when's condition"); err != nil {
			return plain(), err
		}
		err := agree(1, 2, "choose between")
		return us[1], err
	case opPrev:
		want := p.unitOf(p.register[n.name])
		if !us[0].Same(want) && !isZeroLiteral(n.args[0]) {
			return want, errs.New(errs.Invalid, "prev(%s, ...) starts with %s, but %s is in %s", n.name, us[0], n.name, orNumber(want))
		}
		if us[0].Same(want) {
			regs[0] = p.convert(regs[0], us[0], want, depth)
		}
		return want, nil
	case opCeil, opFloor, opRound:
		// visits/month over visits/vehicle/day is vehicles, but 30 times too many:
		// what was derived is brought to base units before it is rounded.
		if us[0].text == "" {
			whole := Unit{dims: us[0].dims, num: 1, den: 1}
			regs[0] = p.convert(regs[0], us[0], whole, depth)
			return whole, nil
		}
	case opWindow:
		monthUnit := Unit{dims: []dim{{"s", 1}}, num: units["month"].num, den: 1}
		if !us[1].Same(monthUnit) {
			return us[0], errs.New(errs.Invalid, "recent needs a time as its length, not %s", us[1])
		}
		regs[1] = p.convert(regs[1], us[1], monthUnit, depth+1)
	}
	return us[0], nil // sum, recent, and rounding in a name's own unit
}
