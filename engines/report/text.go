package report

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"plumb/base/units"
	"plumb/engines/forecast"
)

// Text writes the result for a terminal of 100 columns.
func Text(w io.Writer, r *forecast.Result) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "Plan of %s: %d months, %s paths, seed %d, scenario %s\n", r.System, r.Months, units.Count(int64(r.Samples)), r.Seed, r.Scenario)
	fmt.Fprintf(b, "P50: as likely above as below. P10 to P90: eight chances in ten.\n%s\n\n", counted(r))
	textOutputs(b, r)
	textFan(b, r)
	textDrivers(b, r)
	textBudgets(b, r)
	textChanged(b, r)
	return b.Flush()
}

// counted tells how much of the plan stands on measurements.
func counted(r *forecast.Result) string {
	measured := 0
	for _, u := range r.Inputs {
		if u.Measured {
			measured++
		}
	}
	return fmt.Sprintf("Of %d inputs %d measured, the others stated or assumed.", len(r.Inputs), measured)
}

func textOutputs(b *bufio.Writer, r *forecast.Result) {
	fmt.Fprintf(b, "%-34s      %10s %10s %10s  %-12s %s\n", "", "P10", "P50", "P90", "", "P50 by month")
	for _, o := range r.Outputs {
		fmt.Fprintf(b, "%s %s %10s %10s %10s  %-12s %s\n", padded(o.Title, 34), kinds[o.Kind],
			units.Short(o.Total.P10), units.Short(o.Total.P50), units.Short(o.Total.P90), o.TotalUnit, spark(o.Months))
	}
	fmt.Fprintf(b, "Sum of the months, the last one (end), the highest (peak), or their mean.\n")
}

// kinds says in four letters what stands for all months.
var kinds = map[forecast.Total]string{forecast.Sum: "sum ", forecast.Last: "end ", forecast.Peak: "peak", forecast.Mean: "mean"}

// padded cuts or fills s to n columns; a name too long ends in an ellipsis.
func padded(s string, n int) string {
	if c := utf8.RuneCountInString(s); c <= n {
		return s + strings.Repeat(" ", n-c)
	}
	return string([]rune(s)[:n-1]) + "…"
}

var steps = []rune("▁▂▃▄▅▆▇█")

// spark draws at most 12 months, evenly chosen, as a row of bars from zero.
func spark(months []forecast.Band) string {
	every := (len(months) + 11) / 12
	top := 0.0
	for _, m := range months {
		top = max(top, m.P50)
	}
	var s strings.Builder
	for i := every - 1; i < len(months); i += every {
		k := 0
		if top > 0 && months[i].P50 > 0 {
			k = int(math.Round(months[i].P50 / top * float64(len(steps)-1)))
		}
		s.WriteRune(steps[k])
	}
	return s.String()
}

// textFan draws the main output's bands, a line for each month.
func textFan(b *bufio.Writer, r *forecast.Result) {
	o := r.Output(r.Main)
	low, high := 0.0, 0.0
	for _, m := range o.Months {
		low, high = min(low, m.P5), max(high, m.P95)
	}
	if high == low {
		return
	}
	const width = 60
	at := func(v float64) int { return int(math.Round((v - low) / (high - low) * (width - 1))) }
	fmt.Fprintf(b, "\n%s, %s: ░ P5 to P95, ▒ P10 to P90, █ P50\n", o.Title, o.Unit)
	every := (len(o.Months) + 23) / 24
	for i := every - 1; i < len(o.Months); i += every {
		m, line := o.Months[i], []rune(strings.Repeat(" ", width))
		for k := at(m.P5); k <= at(m.P95); k++ {
			line[k] = '░'
		}
		for k := at(m.P10); k <= at(m.P90); k++ {
			line[k] = '▒'
		}
		line[at(m.P50)] = '█'
		fmt.Fprintf(b, "month %3d %s %s\n", i+1, string(line), units.Short(m.P50))
	}
	t := o.Total
	if share, ok := r.Contingency(r.Main); ok {
		fmt.Fprintf(b, "In all %s %s; for nine chances in ten %s, which is %.0f%% above the middle.\n",
			units.Short(t.P50), o.TotalUnit, units.Short(t.P90), 100*share)
	}
	if u, ok := r.Held(); ok {
		fmt.Fprintf(b, "In all %s %s, with %s of spare room by rule of thumb in it: plan with P50, and add nothing.\n", units.Short(t.P50), o.TotalUnit, u.Text())
	}
}

// textDrivers ranks the inputs for the main output and for each stack.
func textDrivers(b *bufio.Writer, r *forecast.Result) {
	last := ""
	shown := 0
	for _, d := range r.Drivers {
		o := r.Output(d.Output)
		if d.Output != last {
			last, shown = d.Output, 0
			fmt.Fprintf(b, "\nWhat drives %s (%s when one input goes to its P10 and P90, the others stay)\n", lower(o.Title), o.TotalUnit)
		}
		if shown++; shown > 8 || d.Share < 0.005 {
			continue
		}
		how := "assumed"
		if d.Measured {
			how = "measured"
		}
		fmt.Fprintf(b, "  %s %s %3.0f%%  %9s to %-9s %s\n", padded(d.Input, 20), bar(d.Share, 20), 100*d.Share, units.Short(d.Low), units.Short(d.High), how)
	}
	if next := worthMeasuring(r); next != "" {
		fmt.Fprintf(b, "Worth measuring next: %s.\n", next)
	}
}

// worthMeasuring names the assumed input that explains most of the main band.
func worthMeasuring(r *forecast.Result) string {
	for _, d := range r.DriversOf(r.Main) {
		if !d.Measured && d.Share > 0.05 {
			return d.Input
		}
	}
	return ""
}

func bar(share float64, width int) string {
	n := int(math.Round(share * float64(width)))
	return strings.Repeat("█", n) + strings.Repeat("·", width-n)
}

func textBudgets(b *bufio.Writer, r *forecast.Result) {
	for _, o := range r.Outputs {
		if o.HasBudget {
			fmt.Fprintf(b, "\nBudget: %s exceeds %s %s with a probability of %.1f%%.\n", o.Name, units.Short(o.Budget), o.TotalUnit, 100*o.Exceeds)
		}
	}
}

// textChanged lists the inputs that are not at the model's default, and those
// that were measured.
func textChanged(b *bufio.Writer, r *forecast.Result) {
	first := true
	for _, u := range r.Inputs {
		if u.Changed == "" && !u.Measured {
			continue
		}
		if first {
			fmt.Fprintf(b, "\nInputs changed or measured\n")
			first = false
		}
		mark := ""
		if u.Measured {
			mark = "measured: "
		}
		fmt.Fprintf(b, "  %s %s  (%s%s)\n", padded(u.Name, 20), u.Text(), mark, provenance(u))
	}
}
