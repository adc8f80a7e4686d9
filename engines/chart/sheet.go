package chart

import (
	"fmt"
	"hash/fnv"
	"html"
	"html/template"
	"strconv"
	"strings"
)

// The sizes of a drawing, in CSS pixels.
const (
	plotHigh = 200 // height of the plot of lines, fans and columns
	topHigh  = 22  // line above the plot, for the axis name
	footHigh = 24  // line below it, for the ticks

	// narrowPlot is the width that ticks must fit: a phone of 390 px less the
	// page's, the card's and the axis's margins. glyph is a generous mean width
	// of a character.
	narrowPlot, glyph = 246.0, 6.6
)

// colours are the light scheme's, as presentation attributes for places
// without Style; the style sheet's classes override them.
var colours = map[string]string{
	"naive": "#b3372f", "textbook": "#9a6512", "built": "#1c7a4a", "peer": "#5a4fa0", "step": "#0f5c6e", "target": "#8a2f6b",
	"s0": "#0f5c6e", "s1": "#9a6512", "s2": "#5a4fa0", "s3": "#1c7a4a", "s4": "#8a2f6b", "s5": "#4f6b16", "s6": "#2f5fb3", "s7": "#6b6258",
	"soft": "#5b636d", "ink": "#1d2126", "line": "#e3e0d8", "card": "#ffffff",
}

// hatches are the patterns that tell kinds and parts apart without colour,
// as lines of the card's colour cut into a filled tile of 8 x 8.
var hatches = map[string]string{
	"rise":  `<path d="M-2 2l4-4M0 8l8-8M6 10l4-4"/>`,
	"dots":  `<path d="M2 2h1.6M6 6h1.6"/>`,
	"posts": `<path d="M2 0v8M6 0v8"/>`,
	"cross": `<path d="M0 8l8-8M0 0l8 8"/>`,
	"fall":  `<path d="M-2 6l4 4M0 0l8 8M6-2l4 4"/>`,
	"rows":  `<path d="M0 2h8M0 6h8"/>`,
	"grid":  `<path d="M0 1h8M1 0v8"/>`,
}

// hatchOf names the pattern of a class; solid ones have none.
var hatchOf = map[string]string{
	"naive": "rise", "textbook": "dots", "peer": "posts", "step": "", "target": "cross",
	"s1": "rise", "s2": "dots", "s3": "posts", "s4": "cross", "s5": "fall", "s6": "rows", "s7": "grid",
}

// dashes tell lines apart; the first is solid.
var dashes = []string{"", "7 4", "2 3", "9 3 2 3", "12 4", "4 2 1 2 1 2", "1 5", "6 2 6 6"}

// sheet collects the markup of one chart. Labels reach it only through text,
// rect, key and done, which escape them.
type sheet struct {
	b    strings.Builder
	keys strings.Builder
	defs strings.Builder
	used map[string]bool // patterns defined so far
}

// self stands for the chart's id until the markup is whole; no cleaned label
// can hold it.
const self = "\x00"

func newSheet() *sheet { return &sheet{used: map[string]bool{}} }

func esc(s string) string { return html.EscapeString(clean(s)) }

// pct writes a share of the width.
func pct(share float64) string { return num(share*100) + "%" }

func num(v float64) string {
	s := strconv.FormatFloat(v, 'f', 2, 64)
	s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	if s == "-0" || s == "" {
		return "0"
	}
	return s
}

// class names a kind's class, or the palette's i-th when the kind is empty or
// not ours.
func class(k Kind, i int) string {
	switch k {
	case Naive, Textbook, Built, Peer, Step, Target:
		return string(k)
	}
	return "s" + strconv.Itoa(i%maxParts)
}

// text writes s at x (a percentage or pixels), y. class v is for values.
func (s *sheet) text(x string, y float64, class, anchor, label string) {
	fill := colours["soft"]
	if class == "v" || class == "n" {
		fill = colours["ink"]
	}
	if anchor != "" {
		anchor = ` text-anchor="` + anchor + `"`
	}
	fmt.Fprintf(&s.b, `<text class="%s" x="%s" y="%s" fill="%s"%s>%s</text>`, class, x, num(y), fill, anchor, esc(label))
}

// rect draws a filled and hatched box with a tip that says what it is.
func (s *sheet) rect(x, width float64, y, height float64, class, tip string) {
	fmt.Fprintf(&s.b, `<rect %s x="%s" y="%s" width="%s" height="%s"><title>%s</title></rect>`, s.fill(class), pct(x), num(y), pct(width), num(height), esc(tip))
}

// fill returns the attributes that fill a box as a class does: its colour or,
// where it has a hatching, a pattern of both, defined once.
func (s *sheet) fill(class string) string {
	h := hatchOf[class]
	if h == "" {
		return fmt.Sprintf(`class="%s" fill="%s"`, class, colours[class])
	}
	id := self + class
	if !s.used[class] {
		s.used[class] = true
		fmt.Fprintf(&s.defs, `<pattern id="%s" width="8" height="8" patternUnits="userSpaceOnUse"><rect class="%s" fill="%s" width="8" height="8"/><g class="cut" fill="none" stroke="%s" stroke-width="1.6">%s</g></pattern>`,
			id, class, colours[class], colours["card"], hatches[h])
	}
	return `fill="url(#` + id + `)"` // no class: its colour would go before the pattern
}

// hline draws a rule across the whole width.
func (s *sheet) hline(y float64, class string) {
	fmt.Fprintf(&s.b, `<line class="%s" x1="0" x2="100%%" y1="%s" y2="%[2]s" stroke="%s"/>`, class, num(y), colours["line"])
}

// vline draws a rule at a share of the width.
func (s *sheet) vline(x, y1, y2 float64, class string) {
	fmt.Fprintf(&s.b, `<line class="%s" x1="%s" x2="%[2]s" y1="%s" y2="%s" stroke="%s"/>`, class, pct(x), num(y1), num(y2), colours["soft"])
}

// stretch opens a drawing 1000 units wide and high pixels tall that is
// stretched to the container's width; curves in it keep their stroke.
func (s *sheet) stretch(y, high float64) {
	fmt.Fprintf(&s.b, `<svg x="0" y="%s" width="100%%" height="%s" viewBox="0 0 1000 %[2]s" preserveAspectRatio="none">`, num(y), num(high))
}

// key adds a line to the key below the drawing, with a swatch of the class:
// filled when dash is "fill", else a line so dashed. Class "" has none.
func (s *sheet) key(class, dash, label string) {
	s.keys.WriteString(`<li>`)
	switch {
	case class == "":
	case dash == "fill":
		fmt.Fprintf(&s.keys, `<svg width="16" height="12" aria-hidden="true"><rect %s width="16" height="12"/></svg>`, s.fill(class))
	default:
		fmt.Fprintf(&s.keys, `<svg width="22" height="12" aria-hidden="true"><path class="l %s" d="M0 6h22" fill="none" stroke="%s" stroke-width="2"%s/></svg>`, class, colours[class], dashed(dash))
	}
	s.keys.WriteString(esc(label) + `</li>`)
}

func dashed(d string) string {
	if d == "" {
		return ""
	}
	return ` stroke-dasharray="` + d + `"`
}

// done closes the sheet. Charts with an axis at the left get its margin by the
// class "axes".
func (s *sheet) done(title, desc, class string, high float64) template.HTML {
	var o strings.Builder
	fmt.Fprintf(&o, `<div class="chart"><svg class="pic %s" role="img" aria-labelledby="%st %[2]sd" width="100%%" height="%s" overflow="visible" font-family="system-ui, sans-serif" font-size="12">`, class, self, num(high))
	fmt.Fprintf(&o, `<title id="%st">%s</title><desc id="%[1]sd">%s</desc>`, self, esc(title), html.EscapeString(cut(scrub(desc), 900)))
	if s.defs.Len() > 0 {
		fmt.Fprintf(&o, `<defs>%s</defs>`, s.defs.String())
	}
	o.WriteString(s.b.String())
	o.WriteString(`</svg>`)
	if s.keys.Len() > 0 {
		fmt.Fprintf(&o, `<ul class="key">%s</ul>`, s.keys.String())
	}
	o.WriteString(`</div>`)
	// The ids come from the markup itself: equal charts on one page share ids
	// that point at equal patterns, and nothing changes from run to run.
	whole, h := o.String(), fnv.New64a()
	_, _ = h.Write([]byte(whole))
	whole = strings.ReplaceAll(whole, self, "c"+strconv.FormatUint(h.Sum64(), 36))
	return template.HTML(whole) // every label passed esc; the rest is numbers and our own words
}

// more says in the key how many of n were left out beyond limit.
func (s *sheet) more(n, limit int, what string) {
	if n > limit {
		s.key("", "", fmt.Sprintf("%d further %s not drawn", n-limit, what))
	}
}
