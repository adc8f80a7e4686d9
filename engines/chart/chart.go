// Package chart draws the house's pictures as SVG, so that pages, reports and
// command-line HTML share them.
//
// A chart is a struct of values; its SVG method returns finished markup:
//
//	picture := chart.Bars{
//		Title: "Reports lost",
//		Unit:  "reports",
//		Bars: []chart.Bar{
//			{Label: "midnight, five tries", Kind: chart.Naive, Value: 178688},
//			{Label: "window and reserved slots", Kind: chart.Built, Value: 0},
//		},
//	}.SVG()
//
// What every picture promises:
//
//   - Text keeps its size at every width. There is no viewBox around text:
//     horizontal positions are percentages of the container, sizes are CSS
//     pixels, and only curves live in an inner drawing that may be stretched
//     (with strokes that don't). Keys and marks are HTML below the drawing, so
//     they wrap as text does.
//   - Nothing is told by colour alone: kinds and parts carry hatchings, lines
//     carry dashes, and each value stands beside its bar.
//   - Any float64 and any string may be given: NaN and infinities are left out
//     of the drawing (and named in the text), labels are cleaned, cut and
//     escaped, and the size of the markup is bounded.
//   - The markup is a pure function of the values: no ids by chance.
//
// The page must hold Style once (or a style sheet that includes it). Without it
// colours still come from presentation attributes; only dark mode and the
// margins beside the axes are missing.
package chart

import (
	"embed"
	"html/template"
	"io/fs"
)

// Style is the CSS of all charts, light and dark, for self-contained files and
// for the console's own style sheet. It reads the tokens --card, --ink, --soft,
// --line, --good, --bad, --mid, --accent where the page defines them.
//
//go:embed chart.css
var Style string

// Chart is any picture of this package.
type Chart interface {
	// SVG returns the picture with its key, safe to place in a page.
	SVG() template.HTML
}

// Kind says which sort of design a bar or a line shows. Each kind has a colour
// and a hatching of its own; the empty kind is drawn in the palette's order.
type Kind string

// The kinds of design that an experiment compares.
const (
	Naive    Kind = "naive"    // as the question describes it
	Textbook Kind = "textbook" // the cheapest fix that people usually name
	Built    Kind = "built"    // what runs here
	Peer     Kind = "peer"     // somebody else's program
	Step     Kind = "step"     // one size or stage of a design
	Target   Kind = "target"   // the user's own design
)

// Bounds on what is drawn; the rest is left out, and the key says how much.
const (
	maxBars    = 60
	maxSeries  = 12
	maxPoints  = 1000
	maxColumns = 120
	maxParts   = 8
	maxMarks   = 8
	maxLabel   = 80 // characters
)

//go:embed chart.css
var files embed.FS

// Files returns a tree that holds Style as chart.css, for a server of static files.
func Files() fs.FS { return files }
