package chart

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// Part is one category of a stack; its values run along the stack's labels.
type Part struct {
	Label  string
	Values []float64 // zero or more; negative and missing values count as zero
}

// Stack are upright columns, each the sum of its parts: a cost by category and
// month. Beyond eight parts the last are drawn as one, "other".
type Stack struct {
	Title, Desc, Unit string
	Labels            []string
	Parts             []Part
}

// SVG draws the stack.
func (c Stack) SVG() template.HTML {
	s := newSheet()
	labels := c.Labels[:min(len(c.Labels), maxColumns)]
	n := len(labels)
	parts := fold(c.Parts, n)
	sums := make([]float64, n)
	for _, p := range parts {
		for i := range sums {
			sums[i] += amount(p.Values, i)
		}
	}
	top := 0.0
	for _, v := range sums {
		top = math.Max(top, v)
	}
	p := &plot{sheet: s, y: newAxis(0, top, c.Unit, false, true, 5)}
	p.frame(named(Axis{Unit: c.Unit}))
	below := make([]float64, n)
	for k, part := range parts {
		name := class("", k)
		for i := range n {
			v := amount(part.Values, i)
			if v > 0 {
				y, _ := p.ypix(below[i] + v)
				end, _ := p.ypix(below[i])
				p.column(i, n, y, end-y, name, fmt.Sprintf("%s, %s: %s", clean(labels[i]), clean(part.Label), Label(v, c.Unit)))
			}
			below[i] += v
		}
		s.key(name, "fill", part.Label)
	}
	p.ticksX(middles(n), labels)
	s.more(len(c.Labels), maxColumns, "columns")
	if c.Desc == "" && n > 0 {
		c.Desc = fmt.Sprintf("%s: %s; %s: %s", clean(labels[0]), Label(sums[0], c.Unit), clean(labels[n-1]), Label(sums[n-1], c.Unit))
	}
	return s.done(c.Title, c.Desc, "axes", plotEnd+footHigh)
}

// column draws a box in the i-th of n places, with a gap of a fifth.
func (p *plot) column(i, n int, y, high float64, class, tip string) {
	wide := 1 / float64(n)
	p.rect((float64(i)+0.1)*wide, wide*0.8, y, high, class, tip)
}

func middles(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = (float64(i) + 0.5) / float64(n)
	}
	return out
}

// amount is a part's drawable value at i.
func amount(v []float64, i int) float64 {
	if i >= len(v) || !finite(v[i]) || v[i] < 0 {
		return 0
	}
	return v[i]
}

// fold sums the parts that have no pattern of their own.
func fold(parts []Part, n int) []Part {
	if len(parts) <= maxParts {
		return parts
	}
	out := append([]Part(nil), parts[:maxParts-1]...)
	rest := Part{Label: fmt.Sprintf("other (%d)", len(parts)-maxParts+1), Values: make([]float64, n)}
	for _, p := range parts[maxParts-1:] {
		for i := range rest.Values {
			rest.Values[i] += amount(p.Values, i)
		}
	}
	return append(out, rest)
}

// Histogram shows how often values fall between edges.
type Histogram struct {
	Title, Desc string
	X           Axis
	Edges       []float64 // rising; one more than Counts
	Counts      []float64 // zero or more
	Kind        Kind
	Marks       []Mark // values of X worth a rule: a P50, a budget
}

// SVG draws the histogram. Edges that don't rise or don't fit Counts leave it
// empty, and it says so.
func (c Histogram) SVG() template.HTML {
	s := newSheet()
	if !c.sound() {
		s.text("0", 14, "t", "", "Nothing to draw: the edges do not fit the counts.")
		return s.done(c.Title, c.Desc, "flat", 24)
	}
	n := len(c.Counts)
	top, most := 0.0, 0
	for i := range c.Counts {
		if v := amount(c.Counts, i); v > top {
			top, most = v, i
		}
	}
	p := &plot{sheet: s, x: axis{lo: c.Edges[0], hi: c.Edges[n], log: c.X.Log}, y: newAxis(0, top, "", false, true, 4)}
	p.frame("count")
	for i := range n {
		v := amount(c.Counts, i)
		if v == 0 {
			continue
		}
		from, _ := p.x.place(c.Edges[i])
		to, _ := p.x.place(c.Edges[i+1])
		y, _ := p.ypix(v)
		s.rect(from, (to-from)*0.94, y, plotEnd-y, class(c.Kind, 0), fmt.Sprintf("%s to %s: %s", Label(c.Edges[i], c.X.Unit), Label(c.Edges[i+1], c.X.Unit), number(v)))
	}
	nice := newAxis(c.Edges[0], c.Edges[n], c.X.Unit, c.X.Log, false, 5)
	var shares []float64
	var names []string
	for i, v := range nice.at {
		if v < c.Edges[0] || v > c.Edges[n] {
			continue
		}
		share, _ := p.x.place(v)
		shares, names = append(shares, share), append(names, nice.names[i])
	}
	p.ticksX(shares, names)
	if c.X.Label != "" {
		p.text("100%", plotEnd+36, "t", "end", named(c.X))
	}
	p.rules(c.Marks, true, c.X.Unit)
	if c.Desc == "" {
		c.Desc = strings.TrimSpace(fmt.Sprintf("most, %s, between %s and %s", number(top), Label(c.Edges[most], c.X.Unit), Label(c.Edges[most+1], c.X.Unit)))
	}
	return s.done(c.Title, c.Desc, "axes", plotEnd+footHigh+20)
}

// sound checks the shape, and bounds it at 200 columns.
func (c Histogram) sound() bool {
	if len(c.Counts) == 0 || len(c.Counts) > 200 || len(c.Edges) != len(c.Counts)+1 {
		return false
	}
	for i, e := range c.Edges {
		if !finite(e) || i > 0 && e <= c.Edges[i-1] || c.X.Log && e <= 0 {
			return false
		}
	}
	return true
}
