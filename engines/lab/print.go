package lab

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"plumb/base/units"
)

// Print writes the result for a terminal: the question, metrics by designs, and
// a line for each claim.
func Print(out io.Writer, r *Result) {
	w := new(bytes.Buffer) // whole or not at all: a progress bar may share the terminal
	defer func() { out.Write(w.Bytes()) }()
	fmt.Fprintf(w, "\n%s/%s  (%s, %.1f s)\n%s\n\n", r.System, r.Experiment, r.Mode, r.Seconds, r.Question)
	if r.Error != "" {
		fmt.Fprintf(w, "  could not be measured: %s\n", r.Error)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	heads, kinds := []string{""}, []string{""}
	for _, d := range r.Designs {
		heads, kinds = append(heads, d.Name), append(kinds, string(d.Kind))
	}
	fmt.Fprintln(t, strings.Join(heads, "\t")+"\t")
	fmt.Fprintln(t, strings.Join(kinds, "\t")+"\t")
	for _, row := range Rows(r) {
		fmt.Fprintln(t, row.Head+"\t"+strings.Join(row.Cells, "\t")+"\t")
	}
	t.Flush()
	fmt.Fprintln(w)
	for _, c := range r.Claims {
		mark := "holds "
		if !c.Holds {
			mark = "FAILS "
		}
		control := ""
		if c.Than != nil && c.Holds {
			control = "; control fails, as it must"
		}
		fmt.Fprintf(w, "  %s %s  [%s%s]\n", mark, c.Text, c.Figure, control)
	}
	if b := r.BreakEven; b != nil {
		fmt.Fprintf(w, "  break-even: %s %s\n", b.Assumption, quantity(b.Value, b.Unit))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "  note: %s\n", n)
	}
	if len(r.Sweep) > 0 {
		fmt.Fprintf(w, "  swept: %d settings; --json or --html shows them\n", len(r.Sweep))
	}
}

// Row is one line of a result's table: a metric and its value in each design.
type Row struct {
	Metric Metric
	Head   string   // text and unit
	Cells  []string // in the order of the designs; "–" where not measured
}

// Rows returns the result's table, metrics that nobody measured left out.
func Rows(r *Result) []Row {
	var rows []Row
	for _, m := range r.Units {
		row := Row{Metric: m, Head: m.Text}
		if m.Unit != "" && !slices.Contains(strings.Fields(m.Text), m.Unit) {
			row.Head += " (" + m.Unit + ")"
		}
		measured := false
		for _, d := range r.Designs {
			v, ok := d.Metrics[m.Name]
			if !ok {
				row.Cells = append(row.Cells, "–")
				continue
			}
			measured = true
			row.Cells = append(row.Cells, quantity(v, ""))
		}
		if measured {
			rows = append(rows, row)
		}
	}
	return rows
}

// Short writes a metric's value with its unit, for a sentence.
func (m Metric) Short(v float64) string {
	if m.Unit == "" {
		return units.Short(v)
	}
	return quantity(v, m.Unit)
}
