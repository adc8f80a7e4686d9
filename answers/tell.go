package answers

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Extras is what other parts of the house know about a question. Every field
// may be nil, which means that nothing is known.
type Extras struct {
	// Figure returns what was measured for a claim: "0 reports lost (== 0), holds".
	Figure func(system, experiment, claim string) (text string, ok bool)
	// BreakEven returns where an experiment's result turns round.
	BreakEven func(system, experiment string) (text string, ok bool)
	// Size returns what the plan of a system says for one of its inputs or
	// outputs, its title first: "Servers: 6 servers (P10 to P90: 6 to 9)".
	Size func(system, name string) (text string, ok bool)
	// Words returns the words that work on a system today, of "prove", "plan" and "serve".
	Words func(system string) []string
}

func (e Extras) figure(system, experiment, claim string) (string, bool) {
	if e.Figure == nil || system == "" {
		return "", false
	}
	return e.Figure(system, experiment, claim)
}

func (e Extras) breakEven(system, experiment string) (string, bool) {
	if e.BreakEven == nil {
		return "", false
	}
	return e.BreakEven(system, experiment)
}

func (e Extras) size(system, name string) (string, bool) {
	if e.Size == nil || system == "" {
		return "", false
	}
	return e.Size(system, name)
}

func (e Extras) words(system string) []string {
	if e.Words == nil {
		return nil
	}
	return e.Words(system)
}

// fact is a name with what was measured or computed for it.
type fact struct{ name, text string }

// measured returns the figures of one row, in the order of its pointers.
func (e Extras) measured(c Concern) []fact {
	var out []fact
	for _, p := range c.Where {
		if text, ok := e.figure(p.Claim()); ok {
			_, _, id := p.Claim()
			out = append(out, fact{id, text})
		}
		if text, ok := e.size(p.Plan()); ok {
			_, name := p.Plan()
			out = append(out, fact{name, text})
		}
	}
	return out
}

// breaks returns the break-even of each experiment of q that has one.
func (e Extras) breaks(q Question) []fact {
	var out []fact
	for _, path := range q.Experiments() {
		system, experiment, _ := strings.Cut(path, "/")
		if text, ok := e.breakEven(system, experiment); ok {
			out = append(out, fact{path, text})
		}
	}
	return out
}

// sizes returns the plan's figure for each name that q's rows point to, once.
func (e Extras) sizes(q Question) []fact {
	var out []fact
	seen := map[string]bool{}
	for _, c := range q.Concerns {
		for _, p := range c.Where {
			system, name := p.Plan()
			if seen[p.To] {
				continue
			}
			if text, ok := e.size(system, name); ok {
				seen[p.To] = true
				out = append(out, fact{name, text})
			}
		}
	}
	return out
}

// List writes the sixteen questions as a table: number, title, system, kind and
// how many of the concerns are closed.
func List(w io.Writer, b *Book, look Look) error {
	p := newPage(w, look)
	system, kind, closed := 11, 26, 7
	if p.width < 80 { // a narrow terminal still shows the title whole
		kind = 0
	}
	title := p.width - 4 - system - kind - closed
	row := func(n, t, s, k, c string, style string) {
		for i, line := range wrap(t, title-2) {
			if i > 0 {
				n, s, k, c = "", "", "", ""
			}
			p.line(0, style, strings.TrimRight(fmt.Sprintf("%2s  %s%s%s%*s", n, pad(line, title), pad(s, system), pad(k, kind)[:kind], closed, c), " "))
		}
	}
	row("#", "Question", "System", "What is asked", "Closed", bold)
	total, open := 0, 0
	for _, q := range b.Questions {
		style := ""
		if q.Closed() == 0 {
			style = dim
		}
		row(strconv.Itoa(q.Number), q.Title, q.System, q.Kind, fmt.Sprintf("%d/%d", q.Closed(), len(q.Concerns)), style)
		total, open = total+len(q.Concerns), open+q.Count(Unsolved)
	}
	p.blank()
	p.text(0, "", fmt.Sprintf("%d concerns, solutions and techniques; %d are closed, %d open. The whole story of one question: plumb answer 12", total, total-open, open))
	return p.err
}

// Tell writes the whole story of one question.
func Tell(w io.Writer, q Question, e Extras, look Look) error {
	p := newPage(w, look)
	p.text(0, bold, fmt.Sprintf("%d. %s", q.Number, q.Title))
	about := q.System + ", " + q.Kind + " (" + q.Seed + ")"
	if len(q.Figures) > 0 {
		about += ": " + strings.Join(q.Figures, "; ")
	}
	p.text(4, dim, about)

	p.head("The question")
	p.text(2, "", q.Asks)
	p.head("The answer")
	p.text(2, "", q.Verdict)
	if q.Closed() == 0 {
		p.blank()
		p.text(2, dim, "This answer is argued and not shown yet: every row below is open.")
	}
	if facts := e.breaks(q); len(facts) > 0 {
		p.head("Where it turns round")
		p.factsAt(2, facts)
	}
	if facts := e.sizes(q); len(facts) > 0 {
		p.head("What it takes")
		for _, f := range facts {
			p.text(2, "", f.text)
		}
	}
	column := 0 // where the rows' sentences begin
	for _, c := range q.Concerns {
		column = max(column, 2+len(c.ID)+2)
	}
	for _, s := range States {
		if n := q.Count(s); n > 0 {
			p.head(fmt.Sprintf("%s (%d of %d)", stateTitles[s], n, len(q.Concerns)))
			for _, c := range q.Concerns {
				if c.State == s {
					p.concern(c, e, column)
				}
			}
		}
	}
	if words := e.words(q.System); len(words) > 0 {
		p.head("See for yourself")
		for _, word := range words {
			p.line(2, "", "plumb "+word+" "+q.System)
		}
	}
	return p.err
}

var stateTitles = map[State]string{
	Done:     "Done: use it",
	Proven:   "Proven: measured beside the question's own design",
	Sized:    "Sized: the plan says what it takes",
	Declined: "Declined, for a reason",
	Unsolved: "Open",
}

// concern writes one row: its id at the left; beside it, in a column that
// begins at column at, the sentence, what was measured, and where to look.
// What a plan says stands once, further up, and not at each row again.
func (p *page) concern(c Concern, e Extras, at int) {
	style := ""
	switch c.State {
	case Done, Proven, Sized:
		style = good
	case Unsolved:
		style = dim
	}
	for i, l := range wrap(c.Text, p.width-at) {
		if i > 0 {
			p.line(at, "", l)
			continue
		}
		p.line(2, "", p.paint(style, c.ID)+strings.Repeat(" ", max(1, at-2-len(c.ID)))+l)
	}
	p.factsAt(at, Extras{Figure: e.Figure}.measured(c))
	for _, w := range c.Where {
		p.text(at, dim, w.String())
	}
}

// wire is the JSON of a question; the names are a contract.
type wire struct {
	Number    int        `json:"number"`
	Seed      string     `json:"seed"`
	System    string     `json:"system"`
	Kind      string     `json:"kind"`
	Title     string     `json:"title"`
	Asks      string     `json:"asks"`
	Figures   []string   `json:"figures"`
	Verdict   string     `json:"verdict"`
	BreakEven []wireFact `json:"break_even,omitempty"`
	Sizing    []wireFact `json:"sizing,omitempty"`
	Concerns  []wireRow  `json:"concerns"`
	Commands  []string   `json:"commands"`
}

type wireFact struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

type wireRow struct {
	ID      string     `json:"id"`
	Kind    string     `json:"kind"`
	Text    string     `json:"text"`
	State   State      `json:"state"`
	Where   string     `json:"where"` // joined by "; "; the reason of a declined row; empty only when open
	Figures []wireFact `json:"figures,omitempty"`
}

// JSON writes {"questions": [...]} with the same content as Tell.
func JSON(w io.Writer, questions []Question, e Extras) error {
	out := struct {
		Questions []wire `json:"questions"`
	}{Questions: []wire{}}
	for _, q := range questions {
		v := wire{
			Number: q.Number, Seed: q.Seed, System: q.System, Kind: q.Kind, Title: q.Title, Asks: q.Asks,
			Figures: append([]string{}, q.Figures...), Verdict: q.Verdict, Commands: []string{},
			BreakEven: wireFacts(e.breaks(q)), Sizing: wireFacts(e.sizes(q)),
		}
		for _, c := range q.Concerns {
			v.Concerns = append(v.Concerns, wireRow{c.ID, c.Kind, c.Text, c.State, c.WhereText(), wireFacts(e.measured(c))})
		}
		for _, word := range e.words(q.System) {
			v.Commands = append(v.Commands, "plumb "+word+" "+q.System)
		}
		out.Questions = append(out.Questions, v)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false) // "<= 0" and "->" are for people
	if err := enc.Encode(out); err != nil {
		return fmt.Errorf("write the questions as JSON: %w", err)
	}
	return nil
}

func wireFacts(facts []fact) []wireFact {
	var out []wireFact
	for _, f := range facts {
		out = append(out, wireFact{f.name, f.text})
	}
	return out
}
