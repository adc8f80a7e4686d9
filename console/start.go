package console

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"plumb/answers"
	"plumb/base/errs"
	"plumb/engines/web"
	"plumb/face"
)

// place is a system's place on the start page, also while it is not built.
type place struct{ name, title, group string }

// places lists the house's fourteen systems. A face's own title and group win.
func places() []place {
	g := face.Groups
	return []place{
		{"vending", "Vending fleet", g[0]}, {"arcade", "Game cards", g[0]},
		{"files", "Public files", g[1]}, {"photos", "Photo sharing", g[1]}, {"music", "Music", g[1]}, {"subtitles", "Subtitles", g[1]},
		{"searchlog", "Query log", g[2]}, {"sales", "Sales XML", g[2]}, {"missing", "Missing IDs", g[2]},
		{"gogame", "Go analysis", g[3]}, {"newsbias", "News bias", g[3]},
		{"friends", "Friend counts", g[4]}, {"campus", "Campus", g[4]}, {"hints", "Crossword hints", g[4]},
	}
}

// card is one system on the start page.
type card struct {
	Name, Title, Asks string
	Numbers           []int // its questions
	Kinds             string
	Here              bool   // served by this process
	Missing           string // why it is not here
	Live              *face.Figure
	Waits             bool // has a figure, which only people who signed in see
	Closed, Concerns  int
}

type group struct {
	Title string
	Cards []card
}

// startView is pages/start.html.
type startView struct {
	Groups []group
	Here   int // systems served
	All    int
	Known  bool // who looks has signed in
}

// start is the first page: the sixteen questions by the systems that answer them.
func (c *Console) start(w http.ResponseWriter, r *http.Request) error {
	v := startView{All: len(places()), Known: web.WhoIs(r.Context()).Kind == "person"}
	figures := map[string]*face.Figure{}
	if v.Known {
		figures = c.figures(r.Context())
	}
	groups := map[string]*group{}
	for _, p := range places() {
		k := c.card(p)
		if k.Here {
			v.Here++
		}
		k.Live = figures[p.name]
		if f, ok := c.face(p.name); ok {
			p.group = f.Group
			k.Waits = f.Live != nil && !v.Known
		}
		if groups[p.group] == nil {
			groups[p.group] = &group{Title: p.group}
		}
		groups[p.group].Cards = append(groups[p.group].Cards, k)
	}
	for _, title := range face.Groups {
		if g := groups[title]; g != nil {
			v.Groups = append(v.Groups, *g)
		}
	}
	view := web.View{Title: "Sixteen design questions, answered by running code", Template: "start", Data: v}
	if len(figures) > 0 {
		view.Refresh = 5 * time.Second
	}
	return c.show(w, r, view)
}

// card tells one system by its face, or by its questions where there is none.
func (c *Console) card(p place) card {
	k := card{Name: p.name, Title: p.title}
	var kinds []string
	for _, q := range c.n.Answers.Of(p.name) {
		k.Numbers = append(k.Numbers, q.Number)
		k.Closed += q.Closed()
		k.Concerns += len(q.Concerns)
		if !slices.Contains(kinds, q.Kind) {
			kinds = append(kinds, q.Kind)
		}
		if k.Asks == "" {
			k.Asks = q.Title
		}
	}
	k.Kinds = strings.Join(kinds, ", ")
	f, ok := c.face(p.name)
	switch {
	case ok:
		k.Here, k.Title, k.Asks = true, f.Title, f.Asks
	case slices.Contains(c.n.Systems, p.name):
		k.Missing = "not served here"
	default:
		k.Missing = "not built yet"
	}
	return k
}

// figures asks every system for its live figure, all at once, and does without
// those that take longer than a third of a second.
func (c *Console) figures(ctx context.Context) map[string]*face.Figure {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	found := map[string]*face.Figure{}
	for _, f := range c.faces {
		if f.Live == nil {
			continue
		}
		wg.Go(func() {
			fig, err := f.Live(ctx)
			if err != nil {
				c.n.Log.Warn("a system's live figure is missing", "system", f.Name, "error", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			found[f.Name] = &fig
		})
	}
	wg.Wait()
	return found
}

// answerView is pages/answer.html: one question told whole.
type answerView struct {
	Q          answers.Question
	System     card
	States     []stateCount
	Groups     []concernGroup
	BreakEvens []string
	Commands   []string
	Before     *answers.Question
	After      *answers.Question
}

type stateCount struct {
	State answers.State
	N     int
}

type concernGroup struct {
	Kind string // "concerns", "solutions"
	Rows []concernRow
}

// concernRow is one concern with what became of it.
type concernRow struct {
	answers.Concern
	Where []pointer
}

// pointer is one place where a concern was closed, as a link where there is one.
type pointer struct {
	Text string
	Path string // empty: nothing to link to here
	Note string // a claim's figure, a plan's size
}

// answer tells question n.
func (c *Console) answer(w http.ResponseWriter, r *http.Request) error {
	n, err := strconv.Atoi(r.PathValue("n"))
	q, ok := c.n.Answers.Question(n)
	if err != nil || !ok {
		return errs.New(errs.NotFound, "there is no question %s; they are numbered 1 to 16", r.PathValue("n"))
	}
	v := answerView{Q: q}
	for _, p := range places() {
		if p.name == q.System {
			v.System = c.card(p)
		}
	}
	for _, s := range answers.States {
		if n := q.Count(s); n > 0 {
			v.States = append(v.States, stateCount{s, n})
		}
	}
	for _, kind := range answers.Kinds {
		g := concernGroup{Kind: kind + "s"}
		for _, k := range q.Concerns {
			if k.Kind == kind {
				g.Rows = append(g.Rows, c.row(k))
			}
		}
		if len(g.Rows) > 0 {
			v.Groups = append(v.Groups, g)
		}
	}
	for _, e := range q.Experiments() {
		if system, name, ok := strings.Cut(e, "/"); ok && c.n.Extras.BreakEven != nil {
			if text, ok := c.n.Extras.BreakEven(system, name); ok {
				v.BreakEvens = append(v.BreakEvens, text)
			}
		}
	}
	v.Commands = []string{fmt.Sprintf("plumb answer %d", q.Number)}
	if c.n.Extras.Words != nil {
		for _, word := range c.n.Extras.Words(q.System) {
			v.Commands = append(v.Commands, "plumb "+word+" "+q.System)
		}
	}
	if b, ok := c.n.Answers.Question(n - 1); ok {
		v.Before = &b
	}
	if a, ok := c.n.Answers.Question(n + 1); ok {
		v.After = &a
	}
	return c.show(w, r, web.View{Title: q.Title, Template: "answer", Data: v})
}

// row turns a concern's pointers into links.
func (c *Console) row(k answers.Concern) concernRow {
	row := concernRow{Concern: k}
	for _, p := range k.Where {
		to := pointer{Text: p.To}
		switch p.Kind {
		case "page":
			to.Path = p.To
			if system, _, _ := strings.Cut(strings.TrimPrefix(p.To, "/"), "/"); !c.serves(system) {
				to.Path = ""
			}
		case "api":
			_, path, _ := strings.Cut(p.To, " ")
			if parts := strings.Split(path, "/"); len(parts) > 3 && c.serves(parts[3]) {
				to.Path = "/" + parts[3] + "/api#" + anchor(p.To)
			}
		case "claim":
			system, experiment, id := p.Claim()
			if c.serves(system) {
				to.Path = "/" + system + "/prove"
			}
			if c.n.Extras.Figure != nil {
				to.Note, _ = c.n.Extras.Figure(system, experiment, id)
			}
		case "plan":
			system, name := p.Plan()
			if c.serves(system) {
				to.Path = "/" + system + "/plan"
			}
			if c.n.Extras.Size != nil {
				to.Note, _ = c.n.Extras.Size(system, name)
			}
		case "doc":
			to.Path = c.docPath(p.To)
		}
		row.Where = append(row.Where, to)
	}
	return row
}

func (c *Console) serves(system string) bool {
	_, ok := c.face(system)
	return ok
}
