// Package planfile reads and writes the YAML file in which a user states the
// inputs of a plan.
//
//	system: vending
//	months: 24
//	inputs:
//	  machines: 150k to 200k machines    # a range with its unit
//	  report_size:                       # or with more to say about it
//	    value: 600 B/report to 3 kB/report
//	    kind: variable
//	    autocorrelation: 0.5
//	    from: counted on 3 November, 1,200 reports
//	    measured: true
//	correlations:
//	  - {a: machines, b: report_size, rho: 0.3}
//	scenarios:
//	  mine:
//	    note: what sales hopes for
//	    set: {machines: 250k machines}
//	budget:
//	  cost: 900k USD
//
// A key that is not known, a range that cannot be, a missing unit: each is an
// error that names file, line and key, and all of them are told at once.
package planfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"plumb/base/errs"
	"plumb/engines/forecast"
)

// MaxSize is the largest file that Read takes, in bytes.
const MaxSize = 1 << 20

// most is how many faults one error tells.
const most = 20

// File is what a plan file says. What it leaves out is zero; Model is the
// given model with the file's inputs, correlations and scenarios in it.
type File struct {
	Model    forecast.Model
	Months   int
	Samples  int
	Seed     uint64
	HasSeed  bool
	Scenario string
	Budget   map[string]float64 // output -> limit, in the unit of its total
}

// reader gathers faults with their lines.
type reader struct {
	name   string
	base   *forecast.Program
	out    File
	faults []string
	more   int
}

// Read reads data over the model m. name is the file's name, for errors, which
// are Invalid and hold a line "name:line: key: what is wrong" for each fault.
func Read(name string, data []byte, m forecast.Model) (File, error) {
	base, err := forecast.Compile(m)
	if err != nil {
		return File{}, err
	}
	if len(data) > MaxSize {
		return File{}, errs.New(errs.TooLarge, "%s: a plan file has at most %d bytes", name, MaxSize)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return File{}, errs.New(errs.Invalid, "%s: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	r := &reader{name: name, base: base}
	r.out.Model = m
	r.out.Model.Inputs = slices.Clone(m.Inputs)
	r.out.Model.Scenarios = slices.Clone(m.Scenarios)
	r.out.Model.Correlations = slices.Clone(m.Correlations)
	if len(doc.Content) > 0 {
		r.document(doc.Content[0])
	}
	if len(r.faults) > 0 {
		text := strings.Join(r.faults, "\n")
		if r.more > 0 {
			text += fmt.Sprintf("\nand %d more", r.more)
		}
		return File{}, errs.New(errs.Invalid, "%s", text)
	}
	return r.out, nil
}

func (r *reader) fault(n *yaml.Node, key, format string, args ...any) {
	if len(r.faults) == most {
		r.more++
		return
	}
	where := fmt.Sprintf("%s:%d: ", r.name, n.Line)
	if key != "" {
		where += key + ": "
	}
	r.faults = append(r.faults, where+fmt.Sprintf(format, args...))
}

// entries calls fn for every key of a mapping, and refuses what is none.
func (r *reader) entries(n *yaml.Node, path string, fn func(key, value *yaml.Node, path string)) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return // "inputs:" with nothing below it
	}
	if n.Kind != yaml.MappingNode {
		r.fault(n, path, "must hold keys with values")
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		at := strings.TrimPrefix(path+"."+k.Value, ".")
		if line, twice := seen[k.Value]; twice {
			r.fault(k, at, "stands twice; first in line %d", line)
			continue
		}
		seen[k.Value] = k.Line
		if v.Kind == yaml.AliasNode || k.Kind != yaml.ScalarNode {
			// An alias can unfold into more than memory holds.
			r.fault(k, at, "aliases and keys that are not words are not read")
			continue
		}
		fn(k, v, at)
	}
}

func (r *reader) document(n *yaml.Node) {
	var chosen *yaml.Node // looked up at the end: its scenario may stand further down
	keys := map[string]func(key, value *yaml.Node, path string){
		"system": r.system,
		"months": func(k, v *yaml.Node, path string) { r.out.Months = r.whole(v, path, 1, forecast.MaxMonths) },
		"samples": func(k, v *yaml.Node, path string) {
			r.out.Samples = r.whole(v, path, 1, forecast.MaxSamples)
		},
		"seed":     r.seed,
		"scenario": func(k, v *yaml.Node, path string) { chosen = v },
		"inputs":   func(k, v *yaml.Node, path string) { r.entries(v, path, r.input) },
		"scenarios": func(k, v *yaml.Node, path string) {
			r.entries(v, path, r.scenario)
		},
		"budget":       func(k, v *yaml.Node, path string) { r.entries(v, path, r.budget) },
		"correlations": r.correlations,
	}
	r.entries(n, "", func(k, v *yaml.Node, path string) {
		read, ok := keys[k.Value]
		if !ok {
			r.unknown(k, path, "system, months, samples, seed, scenario, inputs, correlations, scenarios, budget")
			return
		}
		read(k, v, path)
	})
	if chosen != nil {
		r.out.Scenario = chosen.Value
		named := func(s forecast.Scenario) bool { return s.Name == chosen.Value }
		if chosen.Value != forecast.Expected && !slices.ContainsFunc(r.out.Model.Scenarios, named) {
			r.fault(chosen, "scenario", "there is no scenario %q", chosen.Value)
		}
	}
}

func (r *reader) unknown(k *yaml.Node, path, known string) {
	r.fault(k, path, "unknown key %q; there are %s", k.Value, known)
}

func (r *reader) system(k, v *yaml.Node, path string) {
	if v.Value != r.out.Model.Name {
		r.fault(v, path, "the file is for %q, not for %s", v.Value, r.out.Model.Name)
	}
}

func (r *reader) whole(v *yaml.Node, path string, low, high int) int {
	n, err := strconv.Atoi(strings.ReplaceAll(v.Value, "_", ""))
	if err != nil || n < low || n > high {
		r.fault(v, path, "must be a whole number of %d to %d, not %q", low, high, v.Value)
		return 0
	}
	return n
}

func (r *reader) seed(k, v *yaml.Node, path string) {
	n, err := strconv.ParseUint(v.Value, 10, 64)
	if err != nil {
		r.fault(v, path, "must be a whole number of 0 or more, not %q", v.Value)
	}
	r.out.Seed, r.out.HasSeed = n, true
}

// text returns a scalar's text; ok is false (and a fault noted) otherwise.
func (r *reader) text(v *yaml.Node, path string) (string, bool) {
	if v.Kind != yaml.ScalarNode || v.Value == "" {
		r.fault(v, path, "needs a value")
		return "", false
	}
	return v.Value, true
}

// input reads "name: range", or a mapping that says more.
func (r *reader) input(k, v *yaml.Node, path string) {
	i := slices.IndexFunc(r.out.Model.Inputs, func(in forecast.Input) bool { return in.Name == k.Value })
	if i < 0 {
		var names []string
		for _, in := range r.out.Model.Inputs {
			names = append(names, in.Name)
		}
		r.unknown(k, path, strings.Join(names, ", "))
		return
	}
	in := &r.out.Model.Inputs[i]
	if v.Kind != yaml.MappingNode {
		r.value(in, v, path, fmt.Sprintf("%s, line %d", r.name, v.Line))
		return
	}
	var from string
	var measured, stated bool
	r.entries(v, path, func(k, v *yaml.Node, path string) {
		switch k.Value {
		case "value":
			r.value(in, v, path, fmt.Sprintf("%s, line %d", r.name, v.Line))
		case "kind":
			r.kind(in, v, path)
		case "autocorrelation":
			f, err := strconv.ParseFloat(v.Value, 64)
			if !(err == nil && f >= 0 && f < 1) {
				r.fault(v, path, "must be 0 to below 1, not %q", v.Value)
				return
			}
			in.Autocorrelation = f
		case "from":
			from, _ = r.text(v, path)
		case "measured":
			if v.Value != "true" && v.Value != "false" {
				r.fault(v, path, "must be true or false, not %q", v.Value)
			}
			measured, stated = v.Value == "true", true
		default:
			r.unknown(k, path, "value, kind, autocorrelation, from, measured")
		}
	})
	if from != "" {
		in.From = from
	}
	if stated {
		in.Measured = measured
	}
	if in.Autocorrelation != 0 && in.Kind != forecast.Variable {
		r.fault(v, path+".autocorrelation", "belongs to an input of kind variable")
	}
}

func (r *reader) kind(in *forecast.Input, v *yaml.Node, path string) {
	switch v.Value {
	case "unknown":
		in.Kind, in.Autocorrelation = forecast.Unknown, 0
	case "variable":
		in.Kind = forecast.Variable
	default:
		r.fault(v, path, "must be unknown or variable, not %q", v.Value)
	}
}

// value sets an input's range. A range other than the default is the file's
// word, and no longer what was measured.
func (r *reader) value(in *forecast.Input, v *yaml.Node, path, from string) {
	text, ok := r.text(v, path)
	if !ok {
		return
	}
	if _, err := r.base.ReadRange(in.Name, text, false); err != nil {
		r.fault(v, path, "%s", errs.Message(err))
		return
	}
	if text != in.Default {
		in.Default, in.From, in.Measured = text, from, false
	}
}

func (r *reader) scenario(k, v *yaml.Node, path string) {
	s := forecast.Scenario{Name: k.Value, Set: map[string]string{}}
	if s.Name == forecast.Expected {
		r.fault(k, path, "%q is the scenario without changes: change the inputs", s.Name)
	}
	r.entries(v, path, func(k, v *yaml.Node, path string) {
		switch k.Value {
		case "note":
			s.Note, _ = r.text(v, path)
		case "set":
			r.entries(v, path, func(k, v *yaml.Node, path string) {
				text, ok := r.text(v, path)
				if !ok {
					return
				}
				if _, err := r.base.ReadRange(k.Value, text, false); err != nil {
					r.fault(k, path, "%s", errs.Message(err))
				}
				s.Set[k.Value] = text
			})
		default:
			r.unknown(k, path, "note, set")
		}
	})
	same := func(t forecast.Scenario) bool { return t.Name == s.Name }
	r.out.Model.Scenarios = append(slices.DeleteFunc(r.out.Model.Scenarios, same), s)
}

// correlations reads a list of {a, b, rho}, and has each tried on the model,
// so that the one that contradicts the others is named by its line.
func (r *reader) correlations(k, v *yaml.Node, path string) {
	if v.Kind != yaml.SequenceNode {
		r.fault(v, path, "must be a list of {a: input, b: input, rho: -1 to 1}")
		return
	}
	for i, item := range v.Content {
		var c forecast.Correlation
		at, before := fmt.Sprintf("%s[%d]", path, i), len(r.faults)
		r.entries(item, at, func(k, v *yaml.Node, path string) {
			switch k.Value {
			case "a":
				c.A, _ = r.text(v, path)
			case "b":
				c.B, _ = r.text(v, path)
			case "rho":
				f, err := strconv.ParseFloat(v.Value, 64)
				if err != nil {
					r.fault(v, path, "%q is not a number", v.Value)
				}
				c.Rho = f
			default:
				r.unknown(k, path, "a, b, rho")
			}
		})
		if len(r.faults) > before {
			continue
		}
		r.out.Model.Correlations = append(r.out.Model.Correlations, c)
		if _, err := forecast.Compile(r.out.Model); err != nil {
			r.fault(item, at, "%s", errs.Message(err))
			return
		}
	}
}

// budget reads "output: amount", in a unit like that of the output's total.
func (r *reader) budget(k, v *yaml.Node, path string) {
	text, ok := r.text(v, path)
	if !ok {
		return
	}
	limit, err := r.base.ReadAmount(k.Value, text, false)
	if err != nil {
		r.fault(k, path, "%s", errs.Message(err))
		return
	}
	if r.out.Budget == nil {
		r.out.Budget = map[string]float64{}
	}
	r.out.Budget[k.Value] = limit
}
