package forecast

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"

	"plumb/base/errs"
)

// The language of formulas is Go's own expression syntax, read by go/parser:
//
//	fleet * reports_per_day * report_size
//	prev(fleet, machines) * (1 + growth)
//	when(stored > limit, 1, 0)
//	stored / q("30 day")
//
// Names are inputs and other formulas. Operators: + - * / and the comparisons,
// which give 1 or 0. month is the number of the month, from 1. Functions:
//
//	min(a, b)  max(a, b)           of the same unit
//	ceil(a)  floor(a)  round(a)    in a name's own unit; else in bytes, seconds, things
//	sqrt(a)  exp(a)  log(a)        of plain numbers
//	pow(a, b)                      of plain numbers
//	when(condition, a, b)          a where condition is not 0, else b
//	prev(name, start)              name's value a month ago; start in the first month
//	sum(a)                         a added up from the first month to this one
//	recent(a, n)                   a added up over the last n months, this one included
//	q("30 day/month")              a number with a unit

// opcode is what a node does, and what an instruction of a Program does.
type opcode int

const (
	opNone   opcode = iota
	opNumber        // value, unit
	opName          // name
	opMonth
	opAdd
	opSub
	opMul
	opDiv
	opLess
	opLessEqual
	opEqual
	opNotEqual
	opMin
	opMax
	opCeil
	opFloor
	opRound
	opSqrt
	opExp
	opLog
	opPow
	opWhen
	opPrev
	opSum
	opWindow
)

// node is one operation of a parsed formula.
type node struct {
	op    opcode
	args  []*node
	name  string  // opName, opPrev
	value float64 // opNumber
	unit  Unit    // opNumber
}

var functions = map[string]struct {
	op   opcode
	args int
}{
	"min": {opMin, 2}, "max": {opMax, 2}, "ceil": {opCeil, 1}, "floor": {opFloor, 1}, "round": {opRound, 1},
	"sqrt": {opSqrt, 1}, "exp": {opExp, 1}, "log": {opLog, 1}, "pow": {opPow, 2}, "when": {opWhen, 3},
	"prev": {opPrev, 2}, "sum": {opSum, 1}, "recent": {opWindow, 2}, "q": {opNumber, 1},
}

// binary maps Go's operators; a > b is read as b < a.
var binary = map[token.Token]struct {
	op   opcode
	swap bool
}{
	token.ADD: {opAdd, false}, token.SUB: {opSub, false}, token.MUL: {opMul, false}, token.QUO: {opDiv, false},
	token.LSS: {opLess, false}, token.GTR: {opLess, true}, token.LEQ: {opLessEqual, false}, token.GEQ: {opLessEqual, true},
	token.EQL: {opEqual, false}, token.NEQ: {opNotEqual, false},
}

// parseFormula reads text into a tree. Errors are Invalid, without a place.
func parseFormula(text string, own []string) (*node, error) {
	if len(text) > maxFormula {
		return nil, errs.New(errs.Invalid, "a formula has at most %d bytes, not %d", maxFormula, len(text))
	}
	e, err := parser.ParseExpr(text)
	if err != nil {
		return nil, errs.New(errs.Invalid, "cannot be read: %v", err)
	}
	return walk(e, own, 0)
}

func walk(e ast.Expr, own []string, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, errs.New(errs.Invalid, "is nested more than %d deep", maxDepth)
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		return walk(e.X, own, depth+1)
	case *ast.Ident:
		if e.Name == "month" {
			return &node{op: opMonth}, nil
		}
		return &node{op: opName, name: e.Name}, nil
	case *ast.BasicLit:
		v, err := strconv.ParseFloat(e.Value, 64)
		if err != nil || e.Kind != token.INT && e.Kind != token.FLOAT {
			return nil, errs.New(errs.Invalid, "%s is not a number", e.Value)
		}
		return &node{op: opNumber, value: v, unit: plain()}, nil
	case *ast.UnaryExpr:
		x, err := walk(e.X, own, depth+1)
		if err != nil || e.Op == token.ADD {
			return x, err
		}
		if e.Op != token.SUB {
			return nil, errs.New(errs.Invalid, "unknown operator %s", e.Op)
		}
		return &node{op: opMul, args: []*node{{op: opNumber, value: -1, unit: plain()}, x}}, nil
	case *ast.BinaryExpr:
		b, ok := binary[e.Op]
		if !ok {
			return nil, errs.New(errs.Invalid, "unknown operator %s", e.Op)
		}
		args, err := walkAll([]ast.Expr{e.X, e.Y}, own, depth)
		if err != nil {
			return nil, err
		}
		if b.swap {
			args[0], args[1] = args[1], args[0]
		}
		return &node{op: b.op, args: args}, nil
	case *ast.CallExpr:
		return walkCall(e, own, depth)
	}
	return nil, errs.New(errs.Invalid, "holds something that is no part of a formula; it may have numbers, names, + - * / and functions")
}

func walkAll(es []ast.Expr, own []string, depth int) ([]*node, error) {
	out := make([]*node, len(es))
	for i, e := range es {
		n, err := walk(e, own, depth+1)
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}

func walkCall(e *ast.CallExpr, own []string, depth int) (*node, error) {
	id, ok := e.Fun.(*ast.Ident)
	if !ok {
		return nil, errs.New(errs.Invalid, "only named functions can be called")
	}
	f, ok := functions[id.Name]
	if !ok {
		return nil, errs.New(errs.Invalid, "unknown function %q", id.Name)
	}
	if len(e.Args) != f.args {
		return nil, errs.New(errs.Invalid, "%s needs %d arguments, not %d", id.Name, f.args, len(e.Args))
	}
	if id.Name == "q" {
		return quantity(e.Args[0], own)
	}
	args, err := walkAll(e.Args, own, depth)
	if err != nil {
		return nil, err
	}
	n := &node{op: f.op, args: args}
	if f.op == opPrev {
		// The past is kept for names only: what a column holds has a name.
		if args[0].op != opName {
			return nil, errs.New(errs.Invalid, "prev needs a name first")
		}
		n.name, n.args = args[0].name, args[1:]
	}
	return n, nil
}

// quantity reads q("30 day").
func quantity(e ast.Expr, own []string) (*node, error) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return nil, errs.New(errs.Invalid, `q needs a number with its unit in quotes, such as q("30 day")`)
	}
	text, err := strconv.Unquote(lit.Value)
	if err != nil {
		return nil, errs.New(errs.Invalid, "%s cannot be read", lit.Value)
	}
	r, u, err := ParseRange(strings.TrimSpace(text), own)
	if err != nil {
		return nil, err
	}
	if r.shape != fixed {
		return nil, errs.New(errs.Invalid, "q(%q): a range belongs into an input", text)
	}
	if u.IsZero() {
		u = plain()
	}
	return &node{op: opNumber, value: r.a, unit: u}, nil
}

// names calls fn for every name that n refers to; past says whether it is last
// month's value that is meant.
func (n *node) names(fn func(name string, past bool)) {
	switch n.op {
	case opName:
		fn(n.name, false)
	case opPrev:
		fn(n.name, true)
	}
	for _, a := range n.args {
		a.names(fn)
	}
}
