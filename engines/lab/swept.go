package lab

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"plumb/engines/chart"
)

// Swept draws how the first pictured metric follows the assumption that was
// swept over most values, a line for each design, all other assumptions held
// still. It is nil where fewer than three values would be drawn.
func Swept(r *Result) chart.Chart {
	metric := sweptMetric(r)
	lines := sweptLines(r, metric)
	var best *sweptLine
	for _, l := range lines {
		if best == nil || l.points > best.points {
			best = l
		}
	}
	if best == nil {
		return nil
	}
	m := r.Metric(metric)
	name := strings.ReplaceAll(best.assumption, "_", " ")
	c := chart.Lines{Title: m.Text + " by " + name, X: chart.Axis{Label: name}, Y: chart.Axis{Label: m.Text, Unit: m.Unit, Zero: true}}
	low, high, longest := 0.0, 0.0, 0
	for _, d := range r.Designs {
		points := best.designs[d.Name]
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
		return nil
	}
	c.X.Log = low > 0 && high/low >= 20
	if b := r.BreakEven; b != nil && b.Unit == best.assumption {
		c.MarksX = []chart.Mark{{At: b.Value, Label: "break-even"}}
	}
	return c
}

// sweptLine is every design along one assumption, with the rest held still.
type sweptLine struct {
	assumption string
	points     int
	designs    map[string][]chart.Point
}

// sweptLines returns the lines in the order in which their first points stand.
func sweptLines(r *Result, metric string) []*sweptLine {
	var lines []*sweptLine
	byKey := map[string]*sweptLine{}
	for _, p := range r.Sweep {
		y, ok := p.Metrics[metric]
		if !ok {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(p.Assumptions)) {
			x := p.Assumptions[name]
			key := name + ":" + heldStill(p.Assumptions, name)
			l := byKey[key]
			if l == nil {
				l = &sweptLine{assumption: name, designs: map[string][]chart.Point{}}
				byKey[key] = l
				lines = append(lines, l)
			}
			if !slices.ContainsFunc(l.designs[p.Design], func(q chart.Point) bool { return q.X == x }) {
				l.designs[p.Design] = append(l.designs[p.Design], chart.Point{X: x, Y: y})
				l.points++
			}
		}
	}
	return lines
}

// sweptMetric is the first pictured metric, else the first of all, that the
// sweep has.
func sweptMetric(r *Result) string {
	names := slices.Clone(r.Pictures)
	for _, m := range r.Units {
		names = append(names, m.Name)
	}
	for _, name := range names {
		if slices.ContainsFunc(r.Sweep, func(p SweepPoint) bool { _, ok := p.Metrics[name]; return ok }) {
			return name
		}
	}
	return ""
}

// heldStill names the other assumptions and their values.
func heldStill(all map[string]float64, but string) string {
	var parts []string
	for name, v := range all {
		if name != but {
			parts = append(parts, fmt.Sprintf("%s=%v", name, v))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}
