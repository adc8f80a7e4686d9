package chart

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"unicode/utf8"
)

// Bar is one horizontal bar.
type Bar struct {
	Label string
	Kind  Kind
	Value float64 // in the chart's unit; NaN and infinities have no bar
	Text  string  // what stands beside it; empty: the value with its unit
}

// Bars are horizontal bars, one below the other, each with its label above it
// and its value at the right: the picture of a proof's metric by design.
type Bars struct {
	Title string // what is shown, for people who can't see it
	Desc  string // a sentence more; empty: the values listed
	Unit  string // "bytes", "s", "share", or any word
	Bars  []Bar
	Log   bool // lengths by magnitude; the key says so
}

// SVG draws the bars. Negative values grow to the left of a zero line.
func (c Bars) SVG() template.HTML {
	s := newSheet()
	bars := c.Bars[:min(len(c.Bars), maxBars)]
	lo, hi := 0.0, 0.0
	var desc []string
	for _, b := range bars {
		if finite(b.Value) {
			lo, hi = math.Min(lo, b.Value), math.Max(hi, b.Value)
		}
		desc = append(desc, clean(b.Label)+": "+b.text(c.Unit))
	}
	scale := c.scale(bars, lo, hi)
	zero, _ := scale.place(0)
	y := 0.0
	for i, b := range bars {
		y += s.caption(y, b.Label, b.text(c.Unit))
		s.bar(scale, zero, b.Value, y, class(b.Kind, i), clean(b.Label)+": "+b.text(c.Unit))
		y += 28
	}
	if scale.log {
		s.key("", "", "Lengths are logarithmic: each step of the same length multiplies.")
	}
	s.more(len(c.Bars), maxBars, "bars")
	if c.Desc == "" {
		c.Desc = strings.Join(desc, "; ")
	}
	return s.done(c.Title, c.Desc, "flat", math.Max(y, 1))
}

func (b Bar) text(unit string) string {
	if b.Text != "" {
		return clean(b.Text)
	}
	return Label(b.Value, unit)
}

// scale is plain from zero; a log one begins a decade below the smallest
// positive value, so that this one is still seen.
func (c Bars) scale(bars []Bar, lo, hi float64) axis {
	if c.Log && lo == 0 && hi > 0 {
		least := hi
		for _, b := range bars {
			if finite(b.Value) && b.Value > 0 {
				least = math.Min(least, b.Value)
			}
		}
		return axis{lo: least / 10, hi: hi, log: true}
	}
	if lo == hi {
		hi = 1
	}
	return axis{lo: lo, hi: hi}
}

// caption writes a label at the left and its value at the right, on two lines
// where both don't fit a phone's width, and returns the height used.
func (s *sheet) caption(y float64, label, value string) float64 {
	label, value = clean(label), clean(value)
	const room = 49 // characters on a phone: 390 px less margins of 64, over glyph
	high := 20.0
	if utf8.RuneCountInString(label)+utf8.RuneCountInString(value)+2 > room {
		s.text("0", y+14, "n", "", cut(label, room))
		y, high = y+17, 37
	} else {
		s.text("0", y+14, "n", "", label)
	}
	s.text("100%", y+14, "v", "end", cut(value, room))
	return high
}

// bar draws the box of value v, and for what is too small to be seen a mark of
// two pixels at its start, so that little and nothing differ.
func (s *sheet) bar(a axis, zero, v, y float64, class, tip string) {
	const thick = 14
	s.vline(zero, y, y+thick, "axis")
	at, ok := a.place(v)
	if !ok || v == 0 {
		return
	}
	s.rect(math.Min(zero, at), math.Abs(at-zero), y, thick, class, tip)
	if math.Abs(at-zero) < 0.01 {
		fmt.Fprintf(&s.b, `<rect class="%s" fill="%s" x="%s" y="%s" width="2" height="%d"/>`, class, colours[class], pct(math.Min(zero, 0.995)), num(y), thick)
	}
}

// Swing is one input's effect on a result: what the result is at the input's
// low and at its high end.
type Swing struct {
	Label     string
	Low, High float64
}

// Tornado ranks inputs by how far they move a result: the widest first, as
// given.
type Tornado struct {
	Title, Desc, Unit string
	Base              float64 // the result with every input at its middle
	Rows              []Swing
}

// SVG draws the tornado.
func (c Tornado) SVG() template.HTML {
	s := newSheet()
	rows := c.Rows[:min(len(c.Rows), maxBars)]
	lo, hi := math.Inf(1), math.Inf(-1)
	if finite(c.Base) {
		lo, hi = c.Base, c.Base
	}
	var desc []string
	for _, r := range rows {
		for _, v := range []float64{r.Low, r.High} {
			if finite(v) {
				lo, hi = math.Min(lo, v), math.Max(hi, v)
			}
		}
		desc = append(desc, clean(r.Label)+": "+r.text(c.Unit))
	}
	if lo >= hi {
		lo, hi = lo-1, lo+1
	}
	a := axis{lo: lo, hi: hi}
	base, hasBase := a.place(c.Base)
	y := 0.0
	for _, r := range rows {
		y += s.caption(y, r.Label, r.text(c.Unit))
		low, ok1 := a.place(r.Low)
		high, ok2 := a.place(r.High)
		if ok1 && ok2 {
			if !hasBase {
				base = low
			}
			// The low end is plain and the high end hatched, whichever side they fall on.
			s.rect(math.Min(low, base), math.Abs(base-low), y, 14, "s0", clean(r.Label)+", low: "+Label(r.Low, c.Unit))
			s.rect(math.Min(high, base), math.Abs(high-base), y, 14, "s1", clean(r.Label)+", high: "+Label(r.High, c.Unit))
		}
		y += 28
	}
	if hasBase && len(rows) > 0 {
		s.vline(base, 0, y-10, "axis")
		s.key("s0", "fill", "input at its low end")
		s.key("s1", "fill", "input at its high end")
		s.key("", "", "line: "+Label(c.Base, c.Unit)+" with every input at its middle")
	}
	s.more(len(c.Rows), maxBars, "inputs")
	if c.Desc == "" {
		c.Desc = strings.Join(desc, "; ")
	}
	return s.done(c.Title, c.Desc, "flat", math.Max(y, 1))
}

// text writes both ends, the unit once where it is a word.
func (r Swing) text(unit string) string {
	return strings.TrimSuffix(Label(r.Low, unit), " "+unit) + " to " + Label(r.High, unit)
}
