package chart

import (
	"fmt"
	"html/template"
	"math"
	"sort"
	"strings"
)

// Point is one measured place on a line. A NaN or infinite Y breaks the line.
type Point struct{ X, Y float64 }

// Series is one line. Points are drawn in the order of X.
type Series struct {
	Label  string
	Kind   Kind // colours and dashes it as its design; empty: by position
	Points []Point
}

// Axis names one direction.
type Axis struct {
	Label string // "machines"
	Unit  string // "bytes", "s", "share", or a word; ticks carry the first three
	Log   bool
	Zero  bool // begin at zero
}

// Mark is a value worth a rule across the picture: a break-even, a budget, the
// best possible. It stands with a letter in the drawing and in words below.
type Mark struct {
	At    float64
	Label string
}

// Lines are series over a common X: a sweep, a latency by load.
type Lines struct {
	Title, Desc string
	X, Y        Axis
	Series      []Series
	MarksX      []Mark // rules upright, at values of X
	MarksY      []Mark // rules across, at values of Y
}

// plot is the common frame of pictures with two axes.
type plot struct {
	*sheet
	x, y axis
	mark int // marks so far
}

// top and bottom of the plot, in pixels.
const plotTop, plotEnd = topHigh, topHigh + plotHigh

// ypix returns where v stands in the drawing's pixels.
func (p *plot) ypix(v float64) (float64, bool) {
	share, ok := p.y.place(v)
	return plotEnd - share*plotHigh, ok
}

// frame draws rules and ticks of the Y axis and its name above it.
func (p *plot) frame(name string) {
	if name != "" {
		p.text("0", 12, "t", "", name)
	}
	for i, v := range p.y.at {
		y, ok := p.ypix(v)
		if !ok {
			continue
		}
		p.hline(y, "rule")
		p.text("-8", y+4, "t", "end", p.y.names[i])
	}
}

// ticksX writes the names below the plot, at most as many as a phone's width
// takes; those at the ends are set inward.
func (p *plot) ticksX(at []float64, names []string) {
	longest := 1
	for _, n := range names {
		longest = max(longest, len([]rune(n)))
	}
	fit := max(2, int(narrowPlot/(float64(longest)*glyph+14)))
	every := max(1, (len(at)+fit-1)/fit)
	for i := 0; i < len(at); i += every {
		anchor := "middle"
		if at[i] > 0.93 {
			anchor = "end"
		}
		p.vline(at[i], plotEnd, plotEnd+4, "axis")
		p.text(pct(at[i]), plotEnd+18, "t", anchor, names[i])
	}
}

// rules draws marks; their words go to the key, so that a long one fits too.
func (p *plot) rules(marks []Mark, upright bool, unit string) {
	for _, m := range marks[:min(len(marks), maxMarks)] {
		letter := string(rune('A' + p.mark))
		if upright {
			x, ok := p.x.place(m.At)
			if !ok {
				continue
			}
			p.vline(x, plotTop, plotEnd, "mark")
			p.text(pct(x), plotTop-4, "v", "middle", letter)
		} else {
			y, ok := p.ypix(m.At)
			if !ok {
				continue
			}
			p.hline(y, "mark")
			p.text("100%", y-4, "v", "end", letter)
		}
		p.mark++
		p.key("", "", letter+": "+m.Label+" ("+Label(m.At, unit)+")")
	}
}

// path draws a polyline, broken at what can't be drawn; at returns a point's
// share of the width and its value.
func (p *plot) path(n int, at func(i int) (x, y float64), class, dash string) {
	var d strings.Builder
	down, alone := false, []int{}
	for i := range n {
		x, v := at(i)
		share, ok := p.y.place(v)
		if !ok || !finite(x) {
			down = false
			continue
		}
		verb := "L"
		if !down {
			verb = "M"
			if i+1 >= n {
				alone = append(alone, i)
			} else if _, next := at(i + 1); !finite(next) {
				alone = append(alone, i)
			}
		}
		fmt.Fprintf(&d, "%s%s %s", verb, num(x*1000), num(plotHigh-share*plotHigh))
		down = true
	}
	p.stretch(plotTop, plotHigh)
	fmt.Fprintf(&p.b, `<path class="l %s" d="%s" fill="none" stroke="%s" stroke-width="2" vector-effect="non-scaling-stroke" stroke-linejoin="round"%s/></svg>`, class, d.String(), colours[class], dashed(dash))
	for _, i := range alone { // a point without neighbours has no line
		x, v := at(i)
		y, _ := p.ypix(v)
		fmt.Fprintf(&p.b, `<circle class="%s" fill="%s" cx="%s" cy="%s" r="3"/>`, class, colours[class], pct(x), num(y))
	}
}

// SVG draws the lines.
func (c Lines) SVG() template.HTML {
	s := newSheet()
	series := make([]Series, 0, maxSeries)
	for _, one := range c.Series[:min(len(c.Series), maxSeries)] {
		one.Points = tidy(one.Points, c.X.Log)
		series = append(series, one)
	}
	loX, hiX, loY, hiY := c.extent(series)
	p := &plot{sheet: s, x: newAxis(loX, hiX, c.X.Unit, c.X.Log, c.X.Zero, 5), y: newAxis(loY, hiY, c.Y.Unit, c.Y.Log, c.Y.Zero, 5)}
	p.frame(named(c.Y))
	shares := make([]float64, len(p.x.at))
	for i, v := range p.x.at {
		shares[i], _ = p.x.place(v)
	}
	p.ticksX(shares, p.x.names)
	if c.X.Label != "" {
		p.text("100%", plotEnd+36, "t", "end", named(c.X))
	}
	var desc []string
	for i, one := range series {
		k, dash := class(one.Kind, i), dashes[i%len(dashes)]
		p.path(len(one.Points), func(i int) (float64, float64) {
			x, ok := p.x.place(one.Points[i].X)
			if !ok {
				return math.NaN(), math.NaN()
			}
			return x, one.Points[i].Y
		}, k, dash)
		p.key(k, dash, one.Label)
		if n := len(one.Points); n > 0 {
			desc = append(desc, fmt.Sprintf("%s: from %s at %s to %s at %s", clean(one.Label), Label(one.Points[0].Y, c.Y.Unit), Label(one.Points[0].X, c.X.Unit), Label(one.Points[n-1].Y, c.Y.Unit), Label(one.Points[n-1].X, c.X.Unit)))
		}
	}
	p.rules(c.MarksX, true, c.X.Unit)
	p.rules(c.MarksY, false, c.Y.Unit)
	s.more(len(c.Series), maxSeries, "lines")
	if c.Desc == "" {
		c.Desc = strings.Join(desc, "; ")
	}
	return s.done(c.Title, c.Desc, "axes", plotEnd+footHigh+20)
}

// named writes an axis's label with its unit and scale.
func named(a Axis) string {
	name := a.Label
	switch a.Unit {
	case "", "bytes", "B", "s", "seconds", "share", "%", a.Label:
	default:
		name = strings.TrimPrefix(name+", "+a.Unit, ", ")
	}
	if a.Log {
		name += ", log scale"
	}
	return name
}

// extent is the range of all points and marks.
func (c Lines) extent(series []Series) (loX, hiX, loY, hiY float64) {
	loX, hiX, loY, hiY = math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	grow := func(lo, hi *float64, v float64, log bool) {
		if finite(v) && (!log || v > 0) {
			*lo, *hi = math.Min(*lo, v), math.Max(*hi, v)
		}
	}
	for _, s := range series {
		for _, p := range s.Points {
			if finite(p.Y) {
				grow(&loX, &hiX, p.X, c.X.Log)
				grow(&loY, &hiY, p.Y, c.Y.Log)
			}
		}
	}
	for _, m := range c.MarksX {
		grow(&loX, &hiX, m.At, c.X.Log)
	}
	for _, m := range c.MarksY {
		grow(&loY, &hiY, m.At, c.Y.Log)
	}
	return loX, hiX, loY, hiY
}

// tidy sorts points by X, drops those without a place, and thins a long line
// to the lowest and the highest of each stretch, so that peaks stay.
func tidy(in []Point, log bool) []Point {
	out := make([]Point, 0, min(len(in), maxPoints))
	for _, p := range in {
		if finite(p.X) && (!log || p.X > 0) {
			out = append(out, p)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].X < out[j].X })
	if len(out) <= maxPoints {
		return out
	}
	thin := make([]Point, 0, maxPoints)
	stretches := maxPoints / 2
	for k := range stretches {
		part := out[k*len(out)/stretches : (k+1)*len(out)/stretches]
		lo, hi := 0, 0
		for i, p := range part {
			if p.Y < part[lo].Y || !finite(part[lo].Y) {
				lo = i
			}
			if p.Y > part[hi].Y || !finite(part[hi].Y) {
				hi = i
			}
		}
		thin = append(thin, part[min(lo, hi)])
		if lo != hi {
			thin = append(thin, part[max(lo, hi)])
		}
	}
	return thin
}
