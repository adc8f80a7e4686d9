package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"

	"plumb/engines/forecast"
)

// object is a JSON object whose keys keep their order.
type object []member

type member struct {
	key   string
	value any
}

// MarshalJSON writes the members in order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(m.key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

type band struct {
	P5   float64 `json:"p5"`
	P10  float64 `json:"p10"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	Mean float64 `json:"mean"`
}

type monthBand struct {
	Month int `json:"month"`
	band
}

type totalBand struct {
	Kind string `json:"kind"` // sum, last, peak or mean of the months
	Unit string `json:"unit"`
	band
}

type budget struct {
	Limit   float64 `json:"limit"` // in the total's unit
	Exceeds float64 `json:"exceeds"`
}

type outputJSON struct {
	Title  string      `json:"title"`
	Unit   string      `json:"unit"`
	Months []monthBand `json:"months"`
	Total  totalBand   `json:"total"`
	Budget *budget     `json:"budget,omitempty"`
}

type inputJSON struct {
	Title    string  `json:"title"`
	Group    string  `json:"group,omitempty"`
	Unit     string  `json:"unit"`
	Value    string  `json:"value"` // as a plan file would say it
	Kind     string  `json:"kind"`
	Auto     float64 `json:"autocorrelation,omitempty"`
	From     string  `json:"from"`
	Measured bool    `json:"measured"`
	Changed  string  `json:"changed,omitempty"` // "scenario NAME" or "set"
	band
}

type driverJSON struct {
	Output   string  `json:"output"`
	Input    string  `json:"input"`
	Rank     float64 `json:"rank_correlation"`
	Share    float64 `json:"share"`
	Low      float64 `json:"low"`  // the output's total with this input at its P10
	High     float64 `json:"high"` // at its P90
	Measured bool    `json:"measured"`
}

func bandOf(b forecast.Band) band { return band(b) }

// JSON writes the result as one object, in the order of the model:
//
//	{system, title, scenario, months, samples, seed, main,
//	 inputs: {name: {unit, value, from, measured, p5 ... p95}},
//	 outputs: {name: {unit, months: [{month, p5, p10, p50, p90, p95, mean}], total: {kind, unit, p5 ...}}},
//	 drivers: [{output, input, rank_correlation, share, low, high, measured}]}
func JSON(w io.Writer, r *forecast.Result) error {
	inputs, outputs := object{}, object{}
	for _, u := range r.Inputs {
		inputs = append(inputs, member{u.Name, inputJSON{
			Title: u.Title, Group: u.Group, Unit: u.Unit, Value: u.Text(), Kind: u.Kind.String(), Auto: u.Autocorrelation,
			From: provenance(u), Measured: u.Measured, Changed: u.Changed,
			band: band{u.P5, u.P10, u.P50, u.P90, u.P95, u.Mean},
		}})
	}
	for _, o := range r.Outputs {
		out := outputJSON{Title: o.Title, Unit: o.Unit, Total: totalBand{o.Kind.String(), o.TotalUnit, bandOf(o.Total)}}
		for i, b := range o.Months {
			out.Months = append(out.Months, monthBand{i + 1, bandOf(b)})
		}
		if o.HasBudget {
			out.Budget = &budget{o.Budget, o.Exceeds}
		}
		outputs = append(outputs, member{o.Name, out})
	}
	drivers := make([]driverJSON, len(r.Drivers))
	for i, d := range r.Drivers {
		drivers[i] = driverJSON{d.Output, d.Input, d.Rank, d.Share, d.Low, d.High, d.Measured}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(object{
		{"system", r.System}, {"title", r.Title}, {"scenario", r.Scenario}, {"months", r.Months}, {"samples", r.Samples}, {"seed", r.Seed},
		{"main", r.Main}, {"inputs", inputs}, {"outputs", outputs}, {"drivers", drivers},
	})
}

// provenance says where an input's range comes from: its source, unless this
// run changed it.
func provenance(u forecast.UsedInput) string {
	switch {
	case u.Changed == "set":
		return "set for this run"
	case u.Changed != "":
		return u.Changed
	}
	return u.From
}

// CSV writes a line for each output and month, and one for its total:
// output,month,unit,p5,p10,p50,p90,p95,mean.
func CSV(w io.Writer, r *forecast.Result) error {
	c := csv.NewWriter(w)
	line := func(output, month, unit string, b forecast.Band) {
		row := []string{output, month, unit}
		for _, v := range []float64{b.P5, b.P10, b.P50, b.P90, b.P95, b.Mean} {
			row = append(row, strconv.FormatFloat(v, 'g', -1, 64))
		}
		// The writer keeps its first error, which Error returns at the end.
		_ = c.Write(row)
	}
	_ = c.Write([]string{"output", "month", "unit", "p5", "p10", "p50", "p90", "p95", "mean"})
	for _, o := range r.Outputs {
		for i, b := range o.Months {
			line(o.Name, strconv.Itoa(i+1), o.Unit, b)
		}
		line(o.Name, "total ("+o.Kind.String()+")", o.TotalUnit, o.Total)
	}
	c.Flush()
	return c.Error()
}
