package chart

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// Fan is a forecast: the middle line, the bands of 80% and 90% around it, and
// where they exist the actual figures and a budget. All slices run along
// Labels; a shorter one ends early, a NaN leaves a gap.
type Fan struct {
	Title, Desc, Unit      string
	Labels                 []string // months or days
	P5, P10, P50, P90, P95 []float64
	Actuals                []float64
	Budget                 float64 // 0: none
	BudgetLabel            string  // empty: "budget"
	Zero                   bool    // begin the axis at zero
}

// SVG draws the fan.
func (c Fan) SVG() template.HTML {
	s := newSheet()
	labels := c.Labels[:min(len(c.Labels), maxColumns)]
	n := len(labels)
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, series := range [][]float64{c.P5, c.P10, c.P50, c.P90, c.P95, c.Actuals} {
		for _, v := range series[:min(len(series), n)] {
			if finite(v) {
				lo, hi = math.Min(lo, v), math.Max(hi, v)
			}
		}
	}
	if finite(c.Budget) && c.Budget != 0 {
		lo, hi = math.Min(lo, c.Budget), math.Max(hi, c.Budget)
	}
	p := &plot{sheet: s, x: axis{lo: 0, hi: 1}, y: newAxis(lo, hi, c.Unit, false, c.Zero, 5)}
	p.frame(named(Axis{Unit: c.Unit}))
	at := func(i int) float64 {
		if n < 2 {
			return 0.5
		}
		return float64(i) / float64(n-1)
	}
	shares := make([]float64, n)
	for i := range shares {
		shares[i] = at(i)
	}
	p.band(n, at, c.P5, c.P95, "b95")
	p.band(n, at, c.P10, c.P90, "b90")
	p.ticksX(shares, labels)
	line := func(v []float64, class, dash string) {
		p.path(min(n, len(v)), func(i int) (float64, float64) { return at(i), v[i] }, class, dash)
	}
	line(c.P50, "s0", "")
	p.key("s0", "", "P50, as likely above as below")
	p.swatch("b90", "80% of the futures (P10 to P90)")
	p.swatch("b95", "90% (P5 to P95)")
	if len(c.Actuals) > 0 {
		line(c.Actuals, "ink", "2 3")
		p.key("ink", "2 3", "actual")
	}
	if finite(c.Budget) && c.Budget != 0 {
		if c.BudgetLabel == "" {
			c.BudgetLabel = "budget"
		}
		p.rules([]Mark{{At: c.Budget, Label: c.BudgetLabel}}, false, c.Unit)
	}
	s.more(len(c.Labels), maxColumns, "months")
	if c.Desc == "" && n > 0 {
		c.Desc = c.describe(labels)
	}
	return s.done(c.Title, c.Desc, "axes", plotEnd+footHigh)
}

// describe tells the first and the last month.
func (c Fan) describe(labels []string) string {
	get := func(v []float64, i int) string {
		if i >= len(v) {
			return "–"
		}
		return Label(v[i], c.Unit)
	}
	var out []string
	for _, i := range []int{0, len(labels) - 1} {
		out = append(out, fmt.Sprintf("%s: P10 %s, P50 %s, P90 %s", clean(labels[i]), get(c.P10, i), get(c.P50, i), get(c.P90, i)))
	}
	return strings.Join(out, "; ")
}

// band fills the space between two series, in pieces where one has a gap.
func (p *plot) band(n int, at func(int) float64, low, high []float64, class string) {
	n = min(n, len(low), len(high))
	var d strings.Builder
	for from := 0; from < n; {
		to := from
		for to < n && finite(low[to]) && finite(high[to]) {
			to++
		}
		if to > from {
			verb := "M"
			write := func(i int, v float64) {
				share, _ := p.y.place(v)
				fmt.Fprintf(&d, "%s%s %s", verb, num(at(i)*1000), num(plotHigh-share*plotHigh))
				verb = "L"
			}
			for i := from; i < to; i++ {
				write(i, high[i])
			}
			for i := to - 1; i >= from; i-- {
				write(i, low[i])
			}
			d.WriteString("Z")
		}
		from = to + 1
	}
	p.stretch(plotTop, plotHigh)
	fmt.Fprintf(&p.b, `<path class="%s" d="%s" fill="%s" fill-opacity="%s"/></svg>`, class, d.String(), colours["s0"], opacity(class))
}

func opacity(class string) string {
	if class == "b95" {
		return ".16"
	}
	return ".26"
}

// swatch adds a band to the key.
func (p *plot) swatch(class, label string) {
	fmt.Fprintf(&p.keys, `<li><svg width="16" height="12" aria-hidden="true"><rect class="%s" fill="%s" fill-opacity="%s" width="16" height="12"/></svg>%s</li>`, class, colours["s0"], opacity(class), esc(label))
}

// Spark is a small line without axes, for a table cell or beside a figure.
type Spark struct {
	Title  string
	Unit   string
	Values []float64
}

// SVG draws the spark, 28 pixels high and as wide as its place. It has no key;
// its title tells the first, the last and the highest value.
func (c Spark) SVG() template.HTML {
	s := newSheet()
	points := make([]Point, len(c.Values))
	lo, hi := math.Inf(1), math.Inf(-1)
	for i, v := range c.Values {
		points[i] = Point{float64(i), v}
		if finite(v) {
			lo, hi = math.Min(lo, v), math.Max(hi, v)
		}
	}
	points = tidy(points, false)
	var desc string
	if n := len(c.Values); n > 0 {
		desc = fmt.Sprintf("from %s to %s", Label(c.Values[0], c.Unit), Label(c.Values[n-1], c.Unit))
	}
	if lo <= hi {
		desc += ", at most " + Label(hi, c.Unit)
	}
	if lo >= hi {
		lo, hi = lo-1, hi+1
	}
	if !finite(lo) || !finite(hi) {
		lo, hi = 0, 1
	}
	var d strings.Builder
	verb := "M"
	for _, p := range points {
		if !finite(p.Y) {
			verb = "M"
			continue
		}
		fmt.Fprintf(&d, "%s%s %s", verb, num(1000*p.X/math.Max(1, float64(len(c.Values)-1))), num(26-24*(p.Y-lo)/(hi-lo)))
		verb = "L"
	}
	s.stretch(0, 28)
	fmt.Fprintf(&s.b, `<path class="l s0" d="%s" fill="none" stroke="%s" stroke-width="1.6" vector-effect="non-scaling-stroke" stroke-linejoin="round"/></svg>`, d.String(), colours["s0"])
	return s.done(c.Title, desc, "flat", 28)
}
