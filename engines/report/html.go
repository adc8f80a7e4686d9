package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"

	"plumb/base/units"
	"plumb/engines/chart"
	"plumb/engines/forecast"
)

//go:embed report.html
var pageText string

// page is what report.html shows.
type page struct {
	Title, Lead  string
	Style        template.CSS
	Result       *forecast.Result
	Counted      string
	Main         *forecast.Output
	Contingency  string // how far P90 of the main total lies above P50, in percent; "" when that has no sense
	Held         string // the room that is within all figures by rule of thumb; "" for none
	Fan, Tornado figure
	Stacks       []figure
	Others       []figure // fans of the outputs that no picture above shows
	Groups       []group
	Next         string
	Command      string
}

// figure is a picture below its title.
type figure struct {
	Title   string
	Picture template.HTML
}

// group is a heading with its inputs.
type group struct {
	Name   string
	Inputs []forecast.UsedInput
}

// HTML writes one file that needs nothing else: pictures, all bands, and every
// input with where it comes from.
func HTML(w io.Writer, r *forecast.Result) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"short": units.Short, "count": func(n int) string { return units.Count(int64(n)) },
		"inc": func(i int) int { return i + 1 }, "from": provenance, "percent": percent,
	}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("parse the report's template: %w", err)
	}
	if err := t.Execute(w, newPage(r)); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

func newPage(r *forecast.Result) page {
	p := page{
		Title: "Plan of " + r.System, Lead: r.Title, Style: template.CSS(chart.Style), Result: r, Counted: counted(r),
		Main: r.Output(r.Main), Next: worthMeasuring(r),
	}
	fan, tornado := Fan(r, r.Main), Tornado(r, r.Main)
	p.Fan, p.Tornado = figure{fan.Title, fan.SVG()}, figure{tornado.Title, tornado.SVG()}
	if share, ok := r.Contingency(r.Main); ok {
		p.Contingency = strconv.Itoa(int(100*share + 0.5))
	}
	if u, ok := r.Held(); ok {
		p.Held = u.Text()
	}
	shown := map[string]bool{r.Main: true}
	for _, s := range r.Stacks {
		c := Stack(r, s)
		p.Stacks = append(p.Stacks, figure{c.Title, c.SVG()})
		for _, part := range s.Parts {
			shown[part] = true
		}
	}
	for _, o := range r.Outputs {
		if !shown[o.Name] {
			p.Others = append(p.Others, figure{o.Title, Fan(r, o.Name).SVG()})
		}
	}
	for _, u := range r.Inputs {
		if len(p.Groups) == 0 || p.Groups[len(p.Groups)-1].Name != u.Group {
			p.Groups = append(p.Groups, group{Name: u.Group})
		}
		g := &p.Groups[len(p.Groups)-1]
		g.Inputs = append(g.Inputs, u)
	}
	p.Command = command(r)
	return p
}

// command is the line that gives this result again, but for a plan file.
func command(r *forecast.Result) string {
	s := fmt.Sprintf("plumb plan %s --months %d --samples %d --seed %d", r.System, r.Months, r.Samples, r.Seed)
	if r.Scenario != forecast.Expected {
		s += " --scenario " + r.Scenario
	}
	for _, u := range r.Inputs {
		if u.Changed == "set" {
			s += fmt.Sprintf(" --set '%s=%s'", u.Name, u.Text())
		}
	}
	return s
}

func percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 1, 64) + "%" }

func monthLabels(n int) []string {
	labels := make([]string, n)
	for i := range labels {
		labels[i] = strconv.Itoa(i + 1)
	}
	return labels
}

// Fan is the picture of one output's bands by month. It panics when r has no
// such output.
func Fan(r *forecast.Result, output string) chart.Fan {
	o := r.Output(output)
	f := chart.Fan{Title: o.Title + ", by month", Unit: o.Unit, Labels: monthLabels(len(o.Months)), Zero: true}
	for _, b := range o.Months {
		f.P5, f.P10, f.P50 = append(f.P5, b.P5), append(f.P10, b.P10), append(f.P50, b.P50)
		f.P90, f.P95 = append(f.P90, b.P90), append(f.P95, b.P95)
	}
	return f
}

// Stack is the picture of an output's parts by month. It shows means: they add
// up to the mean of the whole, where medians would not.
func Stack(r *forecast.Result, s forecast.Stack) chart.Stack {
	of := r.Output(s.Of)
	c := chart.Stack{Title: of.Title + ": what it is made of, mean by month", Unit: of.Unit, Labels: monthLabels(r.Months)}
	for _, name := range s.Parts {
		o := r.Output(name)
		part := chart.Part{Label: o.Title}
		for _, b := range o.Months {
			part.Values = append(part.Values, b.Mean)
		}
		c.Parts = append(c.Parts, part)
	}
	return c
}

// Tornado is the picture of an output's drivers, those of at least half a
// percent of its spread.
func Tornado(r *forecast.Result, output string) chart.Tornado {
	o := r.Output(output)
	c := chart.Tornado{Title: "What drives " + lower(o.Title), Unit: o.TotalUnit, Base: o.Total.P50}
	for _, d := range r.DriversOf(output) {
		c.Base = d.Base
		if d.Share >= 0.005 && len(c.Rows) < 12 {
			c.Rows = append(c.Rows, chart.Swing{Label: inputTitle(r, d.Input), Low: d.Low, High: d.High})
		}
	}
	return c
}

func inputTitle(r *forecast.Result, name string) string {
	for _, u := range r.Inputs {
		if u.Name == name && u.Title != "" {
			return u.Title
		}
	}
	return name
}

func lower(s string) string { return strings.ToLower(s[:min(1, len(s))]) + s[min(1, len(s)):] }
