package console

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"plumb/engines/chart"
	"plumb/engines/lab"
)

// sweep draws how the first pictured metric follows the assumption that was
// swept over most values, one line a design. Where several assumptions were
// swept, the others stand where most points have them. It is empty when there
// are fewer than three values to draw.
func sweep(r *lab.Result) template.HTML {
	metric := sweptMetric(r)
	if metric == "" {
		return ""
	}
	// A line is one design along one assumption, everything else held still.
	type line struct{ assumption, rest string }
	lines := map[line]map[string][]chart.Point{}
	for _, p := range r.Sweep {
		y, ok := p.Metrics[metric]
		if !ok {
			continue
		}
		for name, x := range p.Assumptions {
			at := line{name, others(p.Assumptions, name)}
			if lines[at] == nil {
				lines[at] = map[string][]chart.Point{}
			}
			if !slices.ContainsFunc(lines[at][p.Design], func(q chart.Point) bool { return q.X == x }) {
				lines[at][p.Design] = append(lines[at][p.Design], chart.Point{X: x, Y: y})
			}
		}
	}
	var best line
	most := 0
	for at, designs := range lines {
		n := 0
		for _, points := range designs {
			n += len(points)
		}
		if n > most || n == most && (at.assumption+at.rest < best.assumption+best.rest) {
			best, most = at, n
		}
	}
	m := r.Metric(metric)
	c := chart.Lines{Title: m.Text + " by " + words(best.assumption), X: chart.Axis{Label: words(best.assumption)}, Y: chart.Axis{Label: m.Text, Unit: m.Unit, Zero: true}}
	low, high, longest := 0.0, 0.0, 0
	for _, d := range r.Designs {
		points := lines[best][d.Name]
		for _, p := range points {
			if low == 0 || p.X < low {
				low = p.X
			}
			high = max(high, p.X)
		}
		longest = max(longest, len(points))
		if len(points) > 0 {
			c.Series = append(c.Series, chart.Series{Label: d.Name, Kind: chart.Kind(d.Kind), Points: points})
		}
	}
	if longest < 3 {
		return ""
	}
	c.X.Log = low > 0 && high/low >= 20
	if b := r.BreakEven; b != nil && (strings.Contains(b.Assumption, words(best.assumption)) || b.Unit == best.assumption) {
		c.MarksX = []chart.Mark{{At: b.Value, Label: "break-even"}}
	}
	return c.SVG()
}

// sweptMetric is the first pictured metric that the sweep has.
func sweptMetric(r *lab.Result) string {
	if len(r.Sweep) == 0 {
		return ""
	}
	names := slices.Clone(r.Pictures)
	for _, m := range r.Units {
		names = append(names, m.Name)
	}
	for _, name := range names {
		for _, p := range r.Sweep {
			if _, ok := p.Metrics[name]; ok {
				return name
			}
		}
	}
	return ""
}

// others names the assumptions that are held still, as one string.
func others(all map[string]float64, but string) string {
	var parts []string
	for name, v := range all {
		if name != but {
			parts = append(parts, fmt.Sprintf("%s=%v", name, v))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

func words(name string) string { return strings.ReplaceAll(name, "_", " ") }
