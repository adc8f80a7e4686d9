package forecast

import (
	"slices"
	"strings"

	"plumb/base/errs"
)

// Program is a checked model, ready to run any number of times, from any
// number of goroutines at once.
type Program struct {
	model       Model
	vocabulary  []string
	inputUnits  []Unit
	defaults    []Range
	outputUnits []Unit         // of formulas, by index
	register    map[string]int // of inputs and formulas
	code        []instruction
	constants   []float64
	outputs     []int // indexes of the formulas that are shown
	kept        []int // registers whose last month is kept, for prev
	keptSlot    map[int]int
	sums        int // running sums, one column each
	windows     int // moving windows, a column a month each
	temps       int
	groups      []group
}

// instruction is one operation on whole columns: dst = op(a, b, c).
type instruction struct {
	op           opcode
	dst, a, b, c int
	slot         int // of opPrev, opSum, opWindow
}

// opMove copies a register; it is no operation of the language.
const opMove = opWindow + 1

// Registers stand in this order: inputs, the month, formulas, constants,
// temporaries.
func (p *Program) monthRegister() int        { return len(p.model.Inputs) }
func (p *Program) formulaRegister(i int) int { return len(p.model.Inputs) + 1 + i }
func (p *Program) constantBase() int         { return len(p.model.Inputs) + 1 + len(p.model.Formulas) }

// tempBase comes after the constants, whose number is known only at the end;
// while compiling, temporaries are negative: -1, -2, ...
func (p *Program) tempBase() int { return p.constantBase() + len(p.constants) }

// Compile checks m and makes it ready to run. Errors are Invalid and name the
// input or formula: a name used twice or unknown, an impossible range, units
// that do not fit, formulas in a circle, correlations that contradict.
func Compile(m Model) (*Program, error) {
	p := &Program{model: m, register: map[string]int{}, keptSlot: map[int]int{}}
	for _, c := range m.Counts {
		p.vocabulary = append(p.vocabulary, singular(c))
	}
	if len(m.Inputs) > MaxInputs || len(m.Formulas) > MaxFormulas {
		return nil, errs.New(errs.Invalid, "model %s: at most %d inputs and %d formulas", m.Name, MaxInputs, MaxFormulas)
	}
	for _, step := range []func() error{p.readInputs, p.readFormulas, p.readCorrelations, p.checkNames} {
		if err := step(); err != nil {
			return nil, errs.New(errs.Invalid, "model %s: %s", m.Name, errs.Message(err))
		}
	}
	base := p.tempBase()
	for i := range p.code {
		for _, r := range []*int{&p.code[i].dst, &p.code[i].a, &p.code[i].b, &p.code[i].c} {
			if *r < 0 {
				*r = base - *r - 1
			}
		}
	}
	return p, nil
}

// Model returns the model as it was compiled. Its slices are shared: read only.
func (p *Program) Model() Model { return p.model }

func (p *Program) declare(name string, register int) error {
	if !nameShape.MatchString(name) {
		return errs.New(errs.Invalid, "%q is no name: it needs a lower-case letter, then letters, digits and _", name)
	}
	if _, err := parseFormula(name, nil); err != nil || name == "month" || functions[name].args > 0 {
		return errs.New(errs.Invalid, "%q is a word of the formula language", name)
	}
	if _, twice := p.register[name]; twice {
		return errs.New(errs.Invalid, "%q is defined twice", name)
	}
	p.register[name] = register
	return nil
}

func (p *Program) readInputs() error {
	for i, in := range p.model.Inputs {
		if err := p.declare(in.Name, i); err != nil {
			return err
		}
		u, err := ParseUnit(in.Unit, p.vocabulary)
		if err != nil {
			return fault("input "+in.Name, "%s", errs.Message(err))
		}
		if u.text == "" {
			u = plain()
		}
		p.inputUnits = append(p.inputUnits, u)
		r, err := p.readRange(i, in.Default, false)
		if err != nil {
			return fault("input "+in.Name, "%q: %s", in.Default, errs.Message(err))
		}
		p.defaults = append(p.defaults, r)
		if in.Autocorrelation < 0 || in.Autocorrelation >= 1 || in.Autocorrelation != 0 && in.Kind != Variable {
			return fault("input "+in.Name, "autocorrelation must be 0 to below 1, and belongs to a variable input")
		}
	}
	return nil
}

// readFormulas parses all formulas, sorts them so that each comes after those
// it needs, and translates them.
func (p *Program) readFormulas() error {
	fs := p.model.Formulas
	trees := make([]*node, len(fs))
	for i, f := range fs {
		if err := p.declare(f.Name, p.formulaRegister(i)); err != nil {
			return err
		}
		u, err := ParseUnit(f.Unit, p.vocabulary)
		if err != nil {
			return fault("formula "+f.Name, "%s", errs.Message(err))
		}
		if u.text == "" {
			u = plain()
		}
		p.outputUnits = append(p.outputUnits, u)
		if trees[i], err = parseFormula(f.Is, p.vocabulary); err != nil {
			return fault("formula "+f.Name, "%s", errs.Message(err))
		}
		if f.Show {
			p.outputs = append(p.outputs, i)
			// Adding up twelve months of requests per second means nothing.
			if f.Total == Sum && strings.Contains(f.Unit, "/") && u.overMonths() == u.text && u.perTime() {
				return fault("formula "+f.Name, "the sum of months in %s means nothing: state it per month, or choose last, peak or mean as its total", f.Unit)
			}
		}
	}
	if len(p.outputs) == 0 {
		return errs.New(errs.Invalid, "no formula is shown")
	}
	order, err := p.sortFormulas(trees)
	if err != nil {
		return err
	}
	for _, i := range order {
		if err := p.translate(i, trees[i]); err != nil {
			return fault("formula "+fs[i].Name, "%s", errs.Message(err))
		}
	}
	return nil
}

func (u Unit) perTime() bool {
	return slices.Contains(u.dims, dim{"s", -1})
}

// sortFormulas orders formulas by need (depth first) and refuses a circle. A
// reference through prev is to last month and makes no circle.
func (p *Program) sortFormulas(trees []*node) ([]int, error) {
	const busy, done = 1, 2
	state, order, path := make([]int, len(trees)), []int(nil), []string(nil)
	var visit func(i int) error
	visit = func(i int) error {
		path = append(path, p.model.Formulas[i].Name)
		if state[i] == busy {
			from := slices.Index(path, p.model.Formulas[i].Name)
			return errs.New(errs.Invalid, "formulas refer to each other in a circle: %s", strings.Join(path[from:], " -> "))
		}
		if state[i] == 0 {
			state[i] = busy
			var bad error
			trees[i].names(func(name string, past bool) {
				r, ok := p.register[name]
				switch {
				case bad != nil:
				case !ok:
					bad = fault("formula "+p.model.Formulas[i].Name, "unknown name %q", name)
				case r > p.monthRegister() && !past:
					bad = visit(r - p.formulaRegister(0))
				}
			})
			if bad != nil {
				return bad
			}
			state[i] = done
			order = append(order, i)
		}
		path = path[:len(path)-1]
		return nil
	}
	for i := range trees {
		if err := visit(i); err != nil {
			return nil, err
		}
	}
	return order, nil
}

func (p *Program) translate(i int, tree *node) error {
	reg, unit, err := p.emit(tree, 1)
	if err != nil {
		return err
	}
	want := p.outputUnits[i]
	if !unit.Same(want) && !isZeroLiteral(tree) {
		return errs.New(errs.Invalid, "it gives %s, but its unit is %s", unit, orNumber(want))
	}
	if unit.Same(want) {
		reg = p.convert(reg, unit, want, 1)
	}
	p.code = append(p.code, instruction{op: opMove, dst: p.formulaRegister(i), a: reg})
	// The last operation may as well write where the result belongs.
	if n := len(p.code); reg < 0 && n > 1 && p.code[n-2].dst == reg {
		p.code[n-2].dst = p.formulaRegister(i)
		p.code = p.code[:n-1]
	}
	return nil
}

// emit translates n; temporaries from depth on are free. It returns the
// register of the result and its unit.
func (p *Program) emit(n *node, depth int) (int, Unit, error) {
	p.temps = max(p.temps, depth)
	switch n.op {
	case opNumber:
		return p.constant(n.value), n.unit, nil
	case opMonth:
		return p.monthRegister(), plain(), nil
	case opName:
		r := p.register[n.name]
		return r, p.unitOf(r), nil
	}
	if other, unit := n.byOne(); other != nil {
		reg, u, err := p.emit(other, depth)
		if err == nil {
			u = derived(u, unit, 1)
		}
		return reg, u, err
	}
	regs, us := [3]int{}, [3]Unit{}
	for i, a := range n.args {
		var err error
		if regs[i], us[i], err = p.emit(a, depth+i); err != nil {
			return 0, Unit{}, err
		}
	}
	unit, err := p.unitsOf(n, &regs, &us, depth)
	if err != nil {
		return 0, unit, err
	}
	in := instruction{op: n.op, dst: -depth, a: regs[0], b: regs[1], c: regs[2]}
	switch n.op {
	case opPrev:
		in.slot = p.keep(p.register[n.name])
	case opSum:
		in.slot = p.sums
		p.sums++
	case opWindow:
		in.slot = p.windows
		p.windows++
	}
	p.code = append(p.code, in)
	return in.dst, unit, nil
}

// byOne finds what q("1 month") and its like are written for: a factor or a divisor
// that changes the unit alone, and takes no operation. other is nil for all else.
func (n *node) byOne() (other *node, unit Unit) {
	one := func(a *node) bool { return a.op == opNumber && a.value == 1 }
	switch {
	case n.op == opMul && one(n.args[1]):
		return n.args[0], n.args[1].unit
	case n.op == opMul && one(n.args[0]):
		return n.args[1], n.args[0].unit
	case n.op == opDiv && one(n.args[1]):
		return n.args[0], derived(plain(), n.args[1].unit, -1)
	}
	return nil, Unit{}
}

// keep asks for a register's value of the month before.
func (p *Program) keep(register int) int {
	slot, ok := p.keptSlot[register]
	if !ok {
		slot = len(p.kept)
		p.kept, p.keptSlot[register] = append(p.kept, register), slot
	}
	return slot
}

func (p *Program) unitOf(register int) Unit {
	if register < len(p.inputUnits) {
		return p.inputUnits[register]
	}
	return p.outputUnits[register-p.formulaRegister(0)]
}

func (p *Program) constant(v float64) int {
	i := slices.Index(p.constants, v)
	if i < 0 {
		i = len(p.constants)
		p.constants = append(p.constants, v)
	}
	return p.constantBase() + i
}

// checkNames checks what a model says about its own parts.
func (p *Program) checkNames() error {
	shown := func(name string) bool {
		return slices.ContainsFunc(p.outputs, func(i int) bool { return p.model.Formulas[i].Name == name })
	}
	if !shown(p.model.Main) {
		return errs.New(errs.Invalid, "main output %q is no formula that is shown", p.model.Main)
	}
	if r := p.model.Reserve; r != "" && p.model.input(r) < 0 {
		return errs.New(errs.Invalid, "reserve %q is no input", r)
	}
	for _, s := range p.model.Stacks {
		for _, name := range append([]string{s.Of}, s.Parts...) {
			if !shown(name) {
				return errs.New(errs.Invalid, "stack: %q is no formula that is shown", name)
			}
		}
	}
	for _, s := range p.model.Scenarios {
		for name, text := range s.Set {
			if _, err := p.ReadRange(name, text, false); err != nil {
				return fault("scenario "+s.Name, "%s: %s", name, errs.Message(err))
			}
		}
	}
	return nil
}
