package console

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/base/units"
	"plumb/engines/forecast"
	"plumb/engines/report"
	"plumb/engines/web"
	"plumb/face"
)

// Plans is what the Plan tab needs to know of the house.
type Plans interface {
	// Models returns every system's model, with measured defaults.
	Models() []forecast.Model
}

// PlanTab is the Plan tab of every system: its inputs as a form, and what they
// come to. Each change is evaluated anew in this process; the address holds all
// that was changed, so that a link is a saved plan. It implements Tab.
type PlanTab struct {
	plans Plans
	turn  chan struct{} // holds one: see inTurn
}

// NewPlan returns the tab.
func NewPlan(plans Plans) *PlanTab { return &PlanTab{plans, make(chan struct{}, 1)} }

// planWait is how long a reader waits for the plans before it.
const planWait = 3 * time.Second

// inTurn lets one plan be computed at a time, and half of the time at most:
// anybody may move a slider, and many at once would take the processor from the
// systems that work here.
func (t *PlanTab) inTurn(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		select {
		case t.turn <- struct{}{}:
		case <-r.Context().Done():
			return r.Context().Err()
		case <-time.After(planWait):
			return errs.TryAfter(planWait, "many plans are being computed just now: try again")
		}
		begun := time.Now()
		defer func() { time.AfterFunc(time.Since(begun), func() { <-t.turn }) }()
		return h(w, r)
	}
}

// Bounds of a plan that a page asks for: 5,000 paths keep a slider's answer
// within 200 ms, and a file is worth waiting for.
const (
	pageSamples = 5000
	fileSamples = 20_000
	pageMonths  = 60
)

// Mount is Tab's. A model that does not compile is the program's fault, and is
// told when the tab is opened.
func (t *PlanTab) Mount(c *Console, f face.Face) {
	root := "/" + f.Name + "/plan"
	models := t.plans.Models()
	at := slices.IndexFunc(models, func(m forecast.Model) bool { return m.Name == f.Name })
	if at < 0 {
		c.Handle(web.Page{Pattern: "GET " + root, Access: web.Public, Handler: c.noTab(f, "plan")})
		return
	}
	p, err := forecast.Compile(models[at])
	c.Handle(web.Page{Pattern: "GET " + root, Access: web.Public, Handler: t.inTurn(func(w http.ResponseWriter, r *http.Request) error {
		if err != nil {
			return fmt.Errorf("the model of %s: %w", f.Name, err)
		}
		v := planPage(r, f, p)
		if r.Header.Get("HX-Request") == "true" { // a moved slider wants the result alone
			var b bytes.Buffer
			if err := c.pages.ExecuteTemplate(&b, "plan-result", v); err != nil {
				return fmt.Errorf("template plan-result: %w", err)
			}
			w.Header().Set("Cache-Control", "private, no-cache")
			w.Header().Add("Vary", "HX-Request") // the same address is also the whole page
			return web.Send(w, r, http.StatusOK, "text/html; charset=utf-8", b.Bytes())
		}
		return c.show(w, r, web.View{System: f.Name, Tab: "plan", Title: "Plan", Template: "plan", Data: v})
	})})
	c.Handle(web.Page{Pattern: "GET " + root + "/download/{format}", Access: web.Public, Handler: t.inTurn(func(w http.ResponseWriter, r *http.Request) error {
		if err != nil {
			return fmt.Errorf("the model of %s: %w", f.Name, err)
		}
		return planFile(w, r, f, p)
	})})
}

// Rows is Tab's.
func (t *PlanTab) Rows(context.Context) ([]Row, error) {
	var rows []Row
	for _, m := range t.plans.Models() {
		rows = append(rows, Row{System: m.Name, Title: m.Title, Path: "/" + m.Name + "/plan"})
	}
	return rows, nil
}

// planAsk is what an address asks of a plan.
type planAsk struct {
	options forecast.Options
	show    string            // the output drawn
	budget  string            // as typed
	texts   map[string]string // inputs as typed, where they differ from the model's
	wrong   map[string]string // what is wrong with one, by its name
}

// readAsk reads ?months=&scenario=&seed=&show=&budget=&in.NAME=... What can't be
// read is told by name and left at its default.
func readAsk(q url.Values, p *forecast.Program, samples int) planAsk {
	m := p.Model()
	a := planAsk{
		options: forecast.Options{Months: 12, Samples: samples, Seed: 1, Set: map[string]forecast.Range{}},
		show:    m.Main, texts: map[string]string{}, wrong: map[string]string{},
	}
	if s := q.Get("months"); s != "" {
		if n, err := strconv.Atoi(s); err == nil && n >= 1 && n <= pageMonths {
			a.options.Months = n
		} else {
			a.wrong["months"] = fmt.Sprintf("must be a whole number from 1 to %d", pageMonths)
		}
	}
	if s := q.Get("seed"); s != "" {
		if n, err := strconv.ParseUint(s, 10, 64); err == nil {
			a.options.Seed = n
		} else {
			a.wrong["seed"] = "must be a whole number"
		}
	}
	for _, s := range m.Scenarios {
		if s.Name == q.Get("scenario") {
			a.options.Scenario = s.Name
		}
	}
	for _, f := range m.Formulas {
		if f.Show && f.Name == q.Get("show") {
			a.show = f.Name
		}
	}
	if a.budget = strings.TrimSpace(q.Get("budget")); a.budget != "" {
		v, err := p.ReadAmount(a.show, a.budget, true)
		if err != nil {
			a.wrong["budget"] = errs.Message(err)
		} else {
			a.options.Budget = map[string]float64{a.show: v}
		}
	}
	was := a.options.Scenario
	if q.Has("was") {
		was = q.Get("was")
	}
	for _, in := range m.Inputs {
		text := strings.TrimSpace(q.Get("in." + in.Name))
		// A form without scripts sends every input. Those that stand as it showed
		// them, under the scenario chosen then, are nobody's change.
		if text == "" || text == shown(p, in, was) {
			continue
		}
		a.texts[in.Name] = text
		rg, err := p.ReadRange(in.Name, text, true)
		if err != nil {
			a.wrong[in.Name] = errs.Message(err)
			continue
		}
		a.options.Set[in.Name] = rg
	}
	return a
}

// shown is an input's text under a scenario before anybody changes it.
func shown(p *forecast.Program, in forecast.Input, scenario string) string {
	for _, s := range p.Model().Scenarios {
		if text, ok := s.Set[in.Name]; ok && s.Name == scenario {
			if rg, err := p.ReadRange(in.Name, text, true); err == nil {
				return forecast.UsedInput{Input: in, Range: rg}.Text()
			}
		}
	}
	return in.Default
}

// query writes what differs from the defaults: the address of this plan.
func (a planAsk) query(m forecast.Model) string {
	q := url.Values{}
	if a.options.Months != 12 {
		q.Set("months", strconv.Itoa(a.options.Months))
	}
	if a.options.Seed != 1 {
		q.Set("seed", strconv.FormatUint(a.options.Seed, 10))
	}
	if a.options.Scenario != "" {
		q.Set("scenario", a.options.Scenario)
	}
	if a.show != m.Main {
		q.Set("show", a.show)
	}
	if a.budget != "" {
		q.Set("budget", a.budget)
	}
	for name, text := range a.texts {
		q.Set("in."+name, text)
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// planView is pages/plan.html.
type planView struct {
	System    string
	Model     forecast.Model
	Months    int
	MostMonth int
	Scenario  string
	Show      string
	Budget    string
	Seed      uint64
	Query     string // of this plan, for its links
	Groups    []inputGroup
	Choices   []forecast.Formula // outputs that may be drawn
	Wrong     map[string]string
	Faults    []fault // the same in words, in the order of the form
	Trouble   string  // why nothing could be computed

	Result      *forecast.Result
	Output      *forecast.Output
	Contingency string
	Held        string // spare room by rule of thumb, which is in the figures
	Fan         template.HTML
	Stacks      []picture
	Tornado     template.HTML
	Drivers     []driverView
}

type fault struct{ Where, What string }

// inputGroup is a fold of the form.
type inputGroup struct {
	Name    string
	Open    bool
	Changed int
	Inputs  []inputView
}

// inputView is one input: the text that counts, and the slider's ends.
type inputView struct {
	forecast.Input
	Text    string
	Before  string // the text before anybody changes it
	Changed bool   // by somebody, or by the scenario
	Slider  bool
	Low     float64 // ends now
	High    float64
	Range   bool // has two ends
	Min     float64
	Max     float64
	Log     bool
	Wrong   string
}

type driverView struct {
	Title, Name string
	Share       float64
	Measured    bool
}

// planPage evaluates what the address asks and gathers what the page shows.
func planPage(r *http.Request, f face.Face, p *forecast.Program) planView {
	m := p.Model()
	a := readAsk(r.URL.Query(), p, pageSamples)
	v := planView{
		System: f.Name, Model: m, Months: a.options.Months, MostMonth: pageMonths, Scenario: a.options.Scenario,
		Show: a.show, Budget: a.budget, Seed: a.options.Seed, Query: a.query(m), Wrong: a.wrong,
	}
	for _, formula := range m.Formulas {
		if formula.Show {
			v.Choices = append(v.Choices, formula)
		}
	}
	for _, name := range []string{"months", "seed", "budget"} {
		if w := a.wrong[name]; w != "" {
			v.Faults = append(v.Faults, fault{name, w})
		}
	}
	for _, in := range m.Inputs {
		if w := a.wrong[in.Name]; w != "" {
			v.Faults = append(v.Faults, fault{in.Title, w})
		}
	}
	a.options.Drivers = []string{a.show}
	res, err := p.Run(r.Context(), a.options)
	if err != nil {
		v.Trouble = errs.Message(err)
		if v.Trouble == "" {
			v.Trouble = "it took too long"
		}
	}
	v.Groups = groups(p, a)
	if res != nil {
		v.fill(res)
	}
	return v
}

// fill draws the result.
func (v *planView) fill(res *forecast.Result) {
	v.Result, v.Output = res, res.Output(v.Show)
	if share, ok := res.Contingency(v.Show); ok {
		v.Contingency = units.Short(100*share) + "%"
	}
	if u, ok := res.Held(); ok {
		v.Held = u.Text()
	}
	v.Fan = report.Fan(res, v.Show).SVG()
	for _, s := range res.Stacks {
		c := report.Stack(res, s)
		v.Stacks = append(v.Stacks, picture{Caption: c.Title, SVG: c.SVG()})
	}
	t := report.Tornado(res, v.Show)
	if len(t.Rows) > 0 {
		v.Tornado = t.SVG()
	}
	titles := map[string]string{}
	for _, in := range res.Inputs {
		titles[in.Name] = in.Title
	}
	for _, d := range res.DriversOf(v.Show) {
		if len(v.Drivers) < 8 && d.Share >= 0.005 {
			v.Drivers = append(v.Drivers, driverView{titles[d.Input], d.Input, d.Share, d.Measured})
		}
	}
}

// groups lays the inputs out by their groups; each that holds a change or a
// fault is open. A script opens the first where there is room.
func groups(p *forecast.Program, a planAsk) []inputGroup {
	var out []inputGroup
	for _, in := range p.Model().Inputs {
		if len(out) == 0 || out[len(out)-1].Name != in.Group {
			out = append(out, inputGroup{Name: in.Group})
		}
		g := &out[len(out)-1]
		v := inputView{Input: in, Before: shown(p, in, a.options.Scenario), Wrong: a.wrong[in.Name]}
		v.Text, v.Changed = v.Before, v.Before != in.Default
		if text, ok := a.texts[in.Name]; ok {
			v.Text, v.Changed = text, true
		}
		if v.Changed || v.Wrong != "" {
			g.Changed, g.Open = g.Changed+1, true
		}
		v.slide(p)
		g.Inputs = append(g.Inputs, v)
	}
	return out
}

// slide gives the input sliders where its text is a number or "low to high".
// They reach a tenth below and ten times above the default, within the input's
// own bounds; by magnitude, unless it may be zero or negative.
func (v *inputView) slide(p *forecast.Program) {
	base, err := p.ReadRange(v.Name, v.Default, true)
	now, err2 := p.ReadRange(v.Name, v.Text, true)
	if err != nil {
		return
	}
	if err2 != nil {
		now = base
	}
	if strings.Contains(now.String(), "(") || strings.Contains(base.String(), "(") {
		return // normal(...), months(...) and the like: by hand
	}
	v.Low, v.High, v.Range = now.Quantile(0.05), now.Quantile(0.95), !now.Certain() || !base.Certain()
	low, high := base.Quantile(0.05), base.Quantile(0.95)
	v.Slider = true
	if low > 0 && !v.Signed {
		v.Min, v.Max, v.Log = low/10, high*10, true
	} else {
		reach := max(high-low, high, -low, 1)
		v.Min, v.Max = low-reach, high+reach
		if !v.Signed {
			v.Min = 0
		}
	}
	if v.Input.Min != 0 {
		v.Min = max(v.Min, v.Input.Min)
	}
	if v.Input.Max > 0 {
		v.Max = min(v.Max, v.Input.Max)
	}
	v.Min, v.Max = min(v.Min, v.Low), max(v.Max, v.High)
	for _, x := range []*float64{&v.Low, &v.High, &v.Min, &v.Max} {
		*x, _ = strconv.ParseFloat(strconv.FormatFloat(*x, 'g', 6, 64), 64) // quantiles carry rounding that nobody should read
	}
	v.Slider = v.Max > v.Min && (!v.Log || v.Min > 0)
}
