package lab

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"plumb/base/errs"
)

// marked finds the blocks of a document that the lab fills in.
var marked = regexp.MustCompile(`(?s)(<!-- figures:([a-z0-9_-]+)/([a-z0-9_-]+) -->\n)(.*?)(<!-- /figures -->)`)

// Figures returns the Markdown document with each block
//
//	<!-- figures:vending/herd -->
//	<!-- /figures -->
//
// filled from the newest result of that experiment, so that nobody types a
// figure. A block whose experiment has no result is an error that names it.
func Figures(doc []byte, rs Results) ([]byte, error) {
	var missing []string
	out := marked.ReplaceAllFunc(doc, func(block []byte) []byte {
		m := marked.FindSubmatch(block)
		s, ok := rs.Latest(string(m[2]), string(m[3]))
		if !ok {
			missing = append(missing, string(m[2])+"/"+string(m[3]))
			return block
		}
		return bytes.Join([][]byte{m[1], Markdown(s), m[5]}, nil)
	})
	if bytes.Count(doc, []byte("<!-- figures:")) != len(marked.FindAll(doc, -1)) {
		return nil, errs.New(errs.Invalid, "a figures block is not closed by <!-- /figures --> on its own line")
	}
	if len(missing) > 0 {
		return nil, errs.New(errs.NotFound, "no result is kept of %s", strings.Join(missing, ", "))
	}
	return out, nil
}

// Markdown writes a result as a table, its claims and where it was taken.
func Markdown(s Stored) []byte {
	var b bytes.Buffer
	b.WriteString("| |")
	for _, d := range s.Designs {
		fmt.Fprintf(&b, " %s (%s) |", d.Name, d.Kind)
	}
	b.WriteString("\n|---|" + strings.Repeat("---:|", len(s.Designs)) + "\n")
	for _, row := range Rows(s.Result) {
		fmt.Fprintf(&b, "| %s | %s |\n", row.Head, strings.Join(row.Cells, " | "))
	}
	b.WriteString("\n")
	for _, c := range s.Claims {
		mark := "holds"
		if !c.Holds {
			mark = "**does not hold**"
		}
		fmt.Fprintf(&b, "- %s: %s (%s)\n", c.Text, mark, c.Figure)
	}
	if e := s.BreakEven; e != nil {
		fmt.Fprintf(&b, "- Break-even: %s %s\n", e.Assumption, quantity(e.Value, e.Unit))
	}
	for _, n := range s.Notes {
		fmt.Fprintf(&b, "- Note: %s\n", n)
	}
	fmt.Fprintf(&b, "\n*`plumb prove %s/%s --%s`, %s, %d CPUs (%s), seed %d.*\n", s.System, s.Experiment, s.Mode,
		s.At.Format("2 January 2006"), s.Machine.CPUs, s.Machine.CPU, s.Seed)
	return b.Bytes()
}
