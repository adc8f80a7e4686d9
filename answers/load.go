package answers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Limits of the text, so that a broken file ends in a fault and not in a page
// that nobody can read.
const (
	maxFile  = 2 << 20 // bytes
	maxText  = 4000    // bytes of one text
	maxFault = 50      // faults listed at once
)

// pointers names the kinds of pointer with the shape that each must have.
var pointers = map[string]*regexp.Regexp{
	"api":     regexp.MustCompile(`^(GET|HEAD|POST|PUT|PATCH|DELETE) /\S*$`),
	"page":    regexp.MustCompile(`^/\S*$`),
	"command": regexp.MustCompile(`^plumb( \S+)+$`),
	"claim":   regexp.MustCompile(`^[a-z0-9-]+/[a-z0-9-]+: \S.*$`),
	"plan":    regexp.MustCompile(`^[a-z0-9-]+: \S+$`),
	"doc":     regexp.MustCompile(`^\S+\.md(#\S+)?$`),
	"reason":  regexp.MustCompile(`^\S.{9,}$`),
}

// closes says which pointers a state needs one of.
var closes = map[State][]string{
	Done:     {"api", "page", "command"},
	Proven:   {"claim"},
	Sized:    {"plan"},
	Declined: {"reason"},
	Unsolved: {},
}

var (
	system = regexp.MustCompile(`^[a-z]{3,20}$`)
	slug   = regexp.MustCompile(`^([0-9]{1,2})\.[a-z0-9]+(-[a-z0-9]+)*$`)
)

// Parse reads a text of the form of answers.yaml. It is strict: an unknown key,
// a missing or repeated field, a duplicate id, an unknown state, or a pointer of
// an unknown kind or shape is a fault with its file and line. The error joins
// all faults (at most 50); name is the file that they name.
func Parse(name string, text []byte) (*Book, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxFile)
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s:1: empty", name)
		}
		return nil, syntax(name, err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one document", name)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, fmt.Errorf("%s:1: empty", name)
	}
	r := reader{file: name, ids: map[string]int{}}
	book := &Book{file: name}
	top := r.fields(doc.Content[0], "the file", []string{"questions"}, nil)
	for _, n := range r.list(top["questions"], "questions") {
		book.Questions = append(book.Questions, r.question(n))
	}
	if len(r.faults) == 0 {
		r.whole(book)
	}
	return book, errors.Join(r.faults...)
}

// syntax turns the library's "yaml: line 3: ..." into file:line.
func syntax(name string, err error) error {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(msg, "line "); ok {
		if line, what, ok := strings.Cut(rest, ": "); ok {
			return fmt.Errorf("%s:%s: %s", name, line, what)
		}
	}
	return fmt.Errorf("%s:1: %s", name, msg)
}

// reader walks the YAML tree and gathers faults.
type reader struct {
	file   string
	faults []error
	ids    map[string]int // id -> line where it stands
}

func (r *reader) fault(line int, format string, args ...any) {
	if len(r.faults) < maxFault {
		r.faults = append(r.faults, fmt.Errorf("%s:%d: %s", r.file, line, fmt.Sprintf(format, args...)))
	}
}

// fields returns a mapping's values by key, all of must present, and no key
// beyond must and may.
func (r *reader) fields(n *yaml.Node, what string, must, may []string) map[string]*yaml.Node {
	out := map[string]*yaml.Node{}
	if n.Kind != yaml.MappingNode {
		r.fault(n.Line, "%s must have the keys %s", what, strings.Join(must, ", "))
		return out
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case !slices.Contains(must, k.Value) && !slices.Contains(may, k.Value):
			r.fault(k.Line, "%s: unknown key %q; there are %s", what, k.Value, strings.Join(append(slices.Clone(must), may...), ", "))
		case out[k.Value] != nil:
			r.fault(k.Line, "%s: the key %q stands twice", what, k.Value)
		default:
			out[k.Value] = v
		}
	}
	for _, key := range must {
		if out[key] == nil {
			r.fault(n.Line, "%s: the key %q is missing", what, key)
		}
	}
	return out
}

// list returns the items of a sequence that has at least one.
func (r *reader) list(n *yaml.Node, what string) []*yaml.Node {
	if n == nil {
		return nil // told by fields
	}
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		r.fault(n.Line, "%s must be a list that is not empty", what)
		return nil
	}
	return n.Content
}

// text returns a scalar's text, trimmed, which must not be empty.
func (r *reader) text(n *yaml.Node, what string) string {
	if n == nil {
		return ""
	}
	if n.Kind != yaml.ScalarNode {
		r.fault(n.Line, "%s must be text", what)
		return ""
	}
	s := strings.TrimSpace(n.Value)
	switch {
	case s == "":
		r.fault(n.Line, "%s is empty", what)
	case len(s) > maxText:
		r.fault(n.Line, "%s has more than %d bytes", what, maxText)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }):
		r.fault(n.Line, "%s holds a line break or a control character", what)
	}
	return s
}

func (r *reader) question(n *yaml.Node) Question {
	q := Question{Line: n.Line}
	f := r.fields(n, "question", []string{"number", "seed", "system", "kind", "title", "asks", "verdict", "concerns"}, []string{"figures"})
	number := r.text(f["number"], "number")
	if v, err := strconv.Atoi(number); err == nil && v >= 1 && v <= 16 && strconv.Itoa(v) == number {
		q.Number = v
	} else if number != "" {
		r.fault(f["number"].Line, "number must be 1 to 16, not %q", number)
	}
	q.Seed, q.Kind = r.text(f["seed"], "seed"), r.text(f["kind"], "kind")
	q.Title, q.Asks, q.Verdict = r.text(f["title"], "title"), r.text(f["asks"], "asks"), r.text(f["verdict"], "verdict")
	if q.System = r.text(f["system"], "system"); q.System != "" && !system.MatchString(q.System) {
		r.fault(f["system"].Line, "system must be a system's name, not %q", q.System)
	}
	if f["figures"] != nil {
		for _, item := range r.list(f["figures"], "figures") {
			q.Figures = append(q.Figures, r.text(item, "figure"))
		}
	}
	for _, item := range r.list(f["concerns"], "concerns") {
		q.Concerns = append(q.Concerns, r.concern(item, q.Number))
	}
	return q
}

func (r *reader) concern(n *yaml.Node, number int) Concern {
	c := Concern{Line: n.Line}
	f := r.fields(n, "concern", []string{"id", "kind", "text", "state"}, []string{"where"})
	c.ID, c.Kind, c.Text = r.text(f["id"], "id"), r.text(f["kind"], "kind"), r.text(f["text"], "text")
	if c.ID != "" {
		switch m := slug.FindStringSubmatch(c.ID); {
		case m == nil:
			r.fault(c.Line, "id must be like 12.some-words, not %q", c.ID)
		case number != 0 && m[1] != strconv.Itoa(number):
			r.fault(c.Line, "%s stands under question %d", c.ID, number)
		case r.ids[c.ID] != 0:
			r.fault(c.Line, "%s stands at line %d already", c.ID, r.ids[c.ID])
		default:
			r.ids[c.ID] = c.Line
		}
	}
	if c.Kind != "" && !slices.Contains(Kinds, c.Kind) {
		r.fault(f["kind"].Line, "%s: kind must be one of %s, not %q", c.ID, strings.Join(Kinds, ", "), c.Kind)
	}
	c.State = State(r.text(f["state"], "state"))
	needs, known := closes[c.State]
	if c.State != "" && !known {
		r.fault(f["state"].Line, "%s: unknown state %q; there are %s", c.ID, c.State, joinStates())
		return c
	}
	if f["where"] != nil {
		for _, item := range r.list(f["where"], c.ID+": where") {
			c.Where = append(c.Where, r.pointer(item, c.ID)...)
		}
	}
	r.agree(c, needs)
	return c
}

// pointer reads one entry of where: a mapping with one key, its kind.
func (r *reader) pointer(n *yaml.Node, id string) []Pointer {
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 {
		r.fault(n.Line, "%s: a pointer is one line such as `api: POST /api/v1/...`", id)
		return nil
	}
	p := Pointer{Kind: n.Content[0].Value, To: r.text(n.Content[1], id+": "+n.Content[0].Value), Line: n.Line}
	shape, ok := pointers[p.Kind]
	switch {
	case !ok:
		r.fault(n.Line, "%s: unknown kind of pointer %q; there are api, page, command, claim, plan, doc, reason", id, p.Kind)
	case p.To != "" && !shape.MatchString(p.To):
		r.fault(n.Line, "%s: %q is not of the form of a pointer to %s", id, p.To, p.Kind)
	}
	return []Pointer{p}
}

// agree holds a row's pointers to its state.
func (r *reader) agree(c Concern, needs []string) {
	has := func(kinds ...string) bool {
		return slices.ContainsFunc(c.Where, func(p Pointer) bool { return slices.Contains(kinds, p.Kind) })
	}
	switch {
	case c.State == "":
	case c.State == Unsolved && len(c.Where) > 0:
		r.fault(c.Line, "%s is open, yet points somewhere", c.ID)
	case len(needs) > 0 && !has(needs...):
		r.fault(c.Line, "%s is %s, so where must name its %s", c.ID, c.State, strings.Join(needs, ", "))
	case c.State == Declined && len(c.Where) != 1:
		r.fault(c.Line, "%s is declined, so where must hold its reason and nothing else", c.ID)
	case c.State != Declined && has("reason"):
		r.fault(c.Line, "%s is %s, so it has no reason", c.ID, c.State)
	}
	for i, p := range c.Where {
		if slices.ContainsFunc(c.Where[:i], func(o Pointer) bool { return o.Kind == p.Kind && o.To == p.To }) {
			r.fault(p.Line, "%s points to %s twice", c.ID, p)
		}
	}
}

// whole checks what no single row shows: all sixteen, in order.
func (r *reader) whole(b *Book) {
	for i, q := range b.Questions {
		if q.Number != i+1 {
			r.fault(q.Line, "question %d stands where question %d belongs", q.Number, i+1)
			return
		}
	}
	if len(b.Questions) != 16 {
		r.fault(1, "there are sixteen questions, not %d", len(b.Questions))
	}
}

func joinStates() string {
	words := make([]string, len(States))
	for i, s := range States {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}
