package lab

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"

	"plumb/engines/chart"
)

//go:embed report.html
var page string

// HTML renders the report as one self-contained page: it loads nothing.
func HTML(report *Report) ([]byte, error) {
	t, err := template.New("report").Funcs(template.FuncMap{
		"rows":     Rows,
		"quantity": quantity,
		"pictures": Pictures,
		"swept":    Swept,
		"style":    func() template.CSS { return template.CSS(chart.Style) },
	}).Parse(page)
	if err != nil {
		return nil, fmt.Errorf("template of the report: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, report); err != nil {
		return nil, fmt.Errorf("render the report: %w", err)
	}
	return b.Bytes(), nil
}

// Picture is one metric drawn as bars, design by design.
type Picture struct {
	Metric Metric
	Chart  chart.Chart
}

// Pictures returns the result's pictures: of the metrics that the experiment
// names, else of its first. A metric that spans more than three
// magnitudes is drawn by magnitude.
func Pictures(r *Result) []Picture {
	var out []Picture
	names := r.Pictures
	if len(names) == 0 && len(r.Units) > 0 {
		names = []string{r.Units[0].Name}
	}
	for _, name := range names {
		m := r.Metric(name)
		bars := chart.Bars{Title: m.Text, Unit: m.Unit}
		least, most := math.Inf(1), 0.0
		for _, d := range r.Designs {
			v, ok := d.Metrics[name]
			if !ok {
				continue
			}
			if v > 0 {
				least, most = min(least, v), max(most, v)
			}
			bars.Bars = append(bars.Bars, chart.Bar{Label: d.Name, Kind: chart.Kind(d.Kind), Value: v, Text: quantity(v, m.Unit)})
		}
		bars.Log = most > 1000*least
		if len(bars.Bars) > 0 {
			out = append(out, Picture{m, bars})
		}
	}
	return out
}
