package answers

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// Look says how text is laid out.
type Look struct {
	Width  int  // columns, 40 to 120; 0 stands for 80
	Colour bool // ANSI colours; colour is never the only sign of anything
}

// LookFor returns the look that suits w: a terminal's own width, and colours
// unless NO_COLOR is set (https://no-color.org) or TERM is "dumb"; 80 columns
// without colours for a pipe or a file. env is os.Getenv.
func LookFor(w io.Writer, env func(string) string) Look {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return Look{Width: 80}
	}
	look := Look{Width: 80, Colour: env("NO_COLOR") == "" && env("TERM") != "dumb"}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		look.Width = width
	}
	return look
}

// Styles of a page: SGR parameters.
const (
	bold = "1"
	dim  = "2"
	good = "32"
)

// page writes lines and keeps the first error.
type page struct {
	w      io.Writer
	width  int
	colour bool
	err    error
}

func newPage(w io.Writer, look Look) *page {
	if look.Width == 0 {
		look.Width = 80
	}
	// Longer lines than 120 are hard to read, and shorter ones than 40 hold no table.
	return &page{w: w, width: min(max(look.Width, 40), 120), colour: look.Colour}
}

// line writes one line as it is.
func (p *page) line(indent int, style, s string) {
	if p.err != nil {
		return
	}
	if s != "" {
		s = strings.Repeat(" ", indent) + p.paint(style, s)
	}
	_, p.err = io.WriteString(p.w, s+"\n")
}

// paint wraps s in a style, where there are colours.
func (p *page) paint(style, s string) string {
	if !p.colour || style == "" || s == "" {
		return s
	}
	return "\x1b[" + style + "m" + s + "\x1b[0m"
}

func (p *page) blank() { p.line(0, "", "") }

// text writes s wrapped to the width; every line is indented.
func (p *page) text(indent int, style, s string) {
	for _, l := range wrap(s, p.width-indent) {
		p.line(indent, style, l)
	}
}

func (p *page) head(s string) {
	p.blank()
	p.text(0, bold, s)
}

func (p *page) factsAt(indent int, facts []fact) {
	for _, f := range facts {
		p.text(indent, "", f.name+": "+f.text)
	}
}

// wrap breaks s at spaces into lines of at most width characters; a longer word
// stands alone on its line.
func wrap(s string, width int) []string {
	var lines []string
	var line strings.Builder
	n := 0
	for _, word := range strings.Fields(s) {
		k := utf8.RuneCountInString(word)
		if n > 0 && n+1+k > width {
			lines = append(lines, line.String())
			line.Reset()
			n = 0
		}
		if n > 0 {
			line.WriteByte(' ')
			n++
		}
		line.WriteString(word)
		n += k
	}
	return append(lines, line.String())
}

// pad fills s with spaces up to width characters.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}
