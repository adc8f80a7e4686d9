// Package answers holds the sixteen system-design questions, a verdict on each,
// and every concern, solution and technique that was named for them with what
// became of it. The text stands in answers.yaml; this package loads it, checks
// that what it points to exists, and tells it.
//
//	book, err := answers.Open()
//	q, ok := book.Question(12)
//	answers.Tell(os.Stdout, q, answers.Extras{}, answers.Look{Width: 80})
//
// Invariants: sixteen questions numbered 1 to 16; the id of a concern is unique,
// begins with its question's number and never changes its meaning; a concern is
// open, or points to what closed it. No figure of a measurement stands in the
// text: it is looked up where it was measured.
package answers

import (
	_ "embed"
	"slices"
	"strings"
)

//go:embed answers.yaml
var source []byte

// File is the path of the embedded text in the project, as faults name it.
const File = "answers/answers.yaml"

// State says what became of a concern.
type State string

// The states, from settled to not.
const (
	Done     State = "done"     // a person can use it: an API operation, a page or a command
	Proven   State = "proven"   // a claim of an experiment measures it
	Sized    State = "sized"    // an input or output of a plan
	Declined State = "declined" // we do something else, for the stated reason
	Unsolved State = "open"     // nothing yet
)

// States lists the states in the order in which they are told.
var States = []State{Done, Proven, Sized, Declined, Unsolved}

// Kinds lists what a row can be.
var Kinds = []string{"concern", "solution", "technique", "input", "advantage", "drawback"}

// Pointer says where a concern was closed.
type Pointer struct {
	Kind string // api, page, command, claim, plan, doc or reason
	To   string // "POST /api/v1/...", "/vending/machines", "vending/herd: ID", "vending: NAME", "docs/vending.md#limits", or the reason's text
	Line int    // line in answers.yaml, from 1
}

// String writes the pointer as answers.yaml does: "claim: vending/herd: lost".
func (p Pointer) String() string { return p.Kind + ": " + p.To }

// Claim splits a claim's pointer into its parts; all are empty for another kind.
func (p Pointer) Claim() (system, experiment, id string) {
	if p.Kind != "claim" {
		return "", "", ""
	}
	path, id, _ := strings.Cut(p.To, ": ")
	system, experiment, _ = strings.Cut(path, "/")
	return system, experiment, id
}

// Plan splits a plan's pointer into its parts; both are empty for another kind.
func (p Pointer) Plan() (system, name string) {
	if p.Kind != "plan" {
		return "", ""
	}
	system, name, _ = strings.Cut(p.To, ": ")
	return system, name
}

// Concern is one row: something that was named for a question.
type Concern struct {
	ID    string // "12.herd": stable, other pages link to it
	Kind  string // one of Kinds
	Text  string // one sentence
	State State
	Where []Pointer // empty only when State is Unsolved
	Line  int       // line in answers.yaml, from 1
}

// Closed says whether something became of the concern.
func (c Concern) Closed() bool { return c.State != Unsolved }

// WhereText joins the pointers into one string; of a declined row it is the reason.
func (c Concern) WhereText() string {
	var parts []string
	for _, p := range c.Where {
		if p.Kind == "reason" {
			parts = append(parts, p.To)
		} else {
			parts = append(parts, p.String())
		}
	}
	return strings.Join(parts, "; ")
}

// Question is one of the sixteen.
type Question struct {
	Number   int      // 1 to 16
	Seed     string   // the document and the number that it has there: "003, Q8"
	System   string   // the system that answers it
	Kind     string   // what is asked for: "trade-off", "estimate", ...
	Title    string   // one line
	Asks     string   // the design that the question describes, and what it asks
	Figures  []string // the numbers that it names
	Verdict  string   // our short answer
	Concerns []Concern
	Line     int // line in answers.yaml, from 1
}

// Count returns how many concerns of q are in state s.
func (q Question) Count(s State) int {
	n := 0
	for _, c := range q.Concerns {
		if c.State == s {
			n++
		}
	}
	return n
}

// Closed returns how many concerns of q are closed.
func (q Question) Closed() int { return len(q.Concerns) - q.Count(Unsolved) }

// Experiments lists the experiments that q's claims stand in, as
// "system/experiment", in the order of the text.
func (q Question) Experiments() []string {
	var out []string
	for _, c := range q.Concerns {
		for _, p := range c.Where {
			if system, experiment, _ := p.Claim(); system != "" && !slices.Contains(out, system+"/"+experiment) {
				out = append(out, system+"/"+experiment)
			}
		}
	}
	return out
}

// Book holds the sixteen questions in their order.
type Book struct {
	Questions []Question
	file      string
}

// Open loads the text that is built into the program.
func Open() (*Book, error) { return Parse(File, source) }

// Question returns question n.
func (b *Book) Question(n int) (Question, bool) {
	for _, q := range b.Questions {
		if q.Number == n {
			return q, true
		}
	}
	return Question{}, false
}

// Of returns the questions that a system answers; photos and music answer two.
func (b *Book) Of(system string) []Question {
	var out []Question
	for _, q := range b.Questions {
		if q.System == system {
			out = append(out, q)
		}
	}
	return out
}

// Concern returns the row with the id, and its question.
func (b *Book) Concern(id string) (Question, Concern, bool) {
	for _, q := range b.Questions {
		for _, c := range q.Concerns {
			if c.ID == id {
				return q, c, true
			}
		}
	}
	return Question{}, Concern{}, false
}
