// Package lab runs experiments that can fail: the same workload and the same
// faults on several designs, measured, and judged by claims that anybody can
// recompute from the figures.
//
// An experiment is a workload, faults and an oracle; a design is a target. It
// states the question, the metrics with their units, and the claims as data;
// its Run measures the designs:
//
//	lab.Experiment{
//		System: "vending", Name: "herd", Question: "Can they all call at midnight?",
//		Metrics: []lab.Metric{{Name: "lost", Unit: "reports", Text: "reports lost", Better: "less"}},
//		Claims: []lab.Claim{
//			{ID: "kept", Text: "the built design loses nothing", Design: "built", Metric: "lost", Op: "==", Value: new(0.0)},
//			{ID: "fewer", Text: "and loses less than midnight", Design: "built", Metric: "lost", Op: "<", Than: &lab.Than{Design: "midnight", Metric: "lost"}},
//		},
//		Run: func(ctx context.Context, b *lab.Bench) error {
//			b.Design("midnight", lab.Naive).Set("lost", 178_688)
//			b.Design("window", lab.Built, "durable").Set("lost", 0)
//			return nil
//		},
//	}
//
// # Same chances
//
// All designs of an experiment get the same tries, timeouts, bounds, clocks and
// hardware. The assumption that decides the result is named and swept, and the
// result is a break-even, not only a verdict. A claim that compares two designs
// is evaluated again with one design in both places: if it still holds there it
// says nothing, and the lab rejects it (see [Judge]).
//
// # A design of the user's own
//
// Some experiments take --target exec:./mine. The program is started once and
// asked one JSON object a line on its standard input; it answers one JSON
// object a line on its standard output, in the same order (see [Target]). What
// the objects hold stands in the experiment's Target field.
//
// Sub-packages hold the machinery: load (seeded workloads, open-loop load),
// des (virtual time), child (processes of this same binary), fault (cut and
// slow connections), powercut (what a power cut leaves of a folder).
package lab

import (
	"context"
	"fmt"
	"time"
)

// Kind says what part a design plays in an experiment.
type Kind string

// The kinds of design.
const (
	Naive    Kind = "naive"    // as the question describes it, tuned as well as it allows
	Textbook Kind = "textbook" // the cheapest fix that people usually name
	Built    Kind = "built"    // the code that serve runs, never a copy
	Peer     Kind = "peer"     // somebody else's program for the same job
	Step     Kind = "step"     // one size or stage of a design, in experiments that compare those
	Yours    Kind = "target"   // the user's own, from --target
)

// Experiment is one question put to several designs.
type Experiment struct {
	System, Name string // "vending", "herd": the words of plumb prove vending/herd
	Title        string // a few words
	Question     string // one sentence
	Metrics      []Metric
	Claims       []Claim
	Target       string   // what a --target exec: program is asked and answers; empty: takes none
	Picture      []string // names of the metrics that are drawn, one picture each

	// Run measures the designs on b. It is done in about 8 s unless b.Full.
	// It returns an error when it could not measure; a design that fares badly
	// is a figure, not an error.
	Run func(ctx context.Context, b *Bench) error
}

// Path returns "system/name".
func (e Experiment) Path() string { return e.System + "/" + e.Name }

// Metric describes one measured quantity.
type Metric struct {
	Name   string `json:"name"`             // as in Design.Metrics, snake_case
	Unit   string `json:"unit"`             // "s", "reports/s", "machines"; "" for a bare ratio
	Text   string `json:"text"`             // a row's head: "reports lost"
	Better string `json:"better,omitempty"` // "less", "more"; "" where neither is
}

// Design is one target and what was measured on it.
type Design struct {
	Name     string             `json:"name"`
	Kind     Kind               `json:"kind"`
	Text     string             `json:"text,omitempty"` // what it does, in one sentence
	Promises []string           `json:"promises"`       // "durable", "exact", "ordered", ...
	Metrics  map[string]float64 `json:"metrics"`

	answers map[string]string
	fault   error // the first misuse, for Run to report
}

// Set records a metric. The value is finite; a design that never gets there
// records the horizon it was watched to, or nothing.
func (d *Design) Set(metric string, v float64) *Design {
	if v-v != 0 && d.fault == nil { // an infinity or not a number: JSON has no word for it
		d.fault = fmt.Errorf("design %s: metric %s is %v", d.Name, metric, v)
		return d
	}
	d.Metrics[metric] = v
	return d
}

// Answer records what the design answered to what. Where two designs answered
// the same question differently, the lab prints that and no times.
func (d *Design) Answer(what, answer string) *Design {
	d.answers[what] = answer
	return d
}

// Result is one experiment's outcome.
type Result struct {
	System     string       `json:"system"`
	Experiment string       `json:"experiment"`
	Title      string       `json:"title,omitempty"`
	Mode       string       `json:"mode"` // "quick" or "full"
	Question   string       `json:"question"`
	Units      []Metric     `json:"metrics"` // in the order of the tables
	Designs    []*Design    `json:"designs"`
	Claims     []Judged     `json:"claims"`
	BreakEven  *BreakEven   `json:"break_even,omitempty"`
	Sweep      []SweepPoint `json:"sweep,omitempty"`
	Notes      []string     `json:"notes,omitempty"`    // what a reader must know to trust the figures
	Pictures   []string     `json:"pictures,omitempty"` // names of the metrics to draw
	Error      string       `json:"error,omitempty"`    // why it could not be measured
	Seconds    float64      `json:"seconds"`
}

// Holds says whether the experiment was measured and every claim holds.
func (r *Result) Holds() bool {
	for _, c := range r.Claims {
		if !c.Holds {
			return false
		}
	}
	return r.Error == ""
}

// Metric returns the description of a metric; its name alone if it has none.
func (r *Result) Metric(name string) Metric {
	for _, m := range r.Units {
		if m.Name == name {
			return m
		}
	}
	return Metric{Name: name, Text: name}
}

// Find returns the design of that name or, failing that, of that kind.
func (r *Result) Find(nameOrKind string) (*Design, bool) { return find(r.Designs, nameOrKind) }

// BreakEven is where a verdict turns: the value of the assumption from which on
// the naive design no longer does.
type BreakEven struct {
	Assumption string  `json:"assumption"`
	Value      float64 `json:"value"`
	Unit       string  `json:"unit"`
}

// SweepPoint is one design's figures at one setting of the assumptions.
type SweepPoint struct {
	Assumptions map[string]float64 `json:"assumptions"`
	Design      string             `json:"design"`
	Metrics     map[string]float64 `json:"metrics"`
}

// Report is what plumb prove --json prints, and what is kept.
type Report struct {
	Plumb   string    `json:"plumb"` // version
	At      time.Time `json:"at"`
	Machine Machine   `json:"machine"`
	Seed    uint64    `json:"seed"`
	Results []*Result `json:"results"`
}
