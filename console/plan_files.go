package console

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"plumb/base/errs"
	"plumb/engines/forecast"
	"plumb/engines/forecast/planfile"
	"plumb/engines/report"
	"plumb/engines/web"
	"plumb/face"
)

// planFile sends the plan as a file: a report to print (html), the result for
// programs (json, csv), or the plan itself, to go on with (yaml).
func planFile(w http.ResponseWriter, r *http.Request, f face.Face, p *forecast.Program) error {
	a := readAsk(r.URL.Query(), p, fileSamples)
	for name, what := range a.wrong {
		return errs.New(errs.Invalid, "%s: %s", name, what)
	}
	var b bytes.Buffer
	format := r.PathValue("format")
	kind := map[string]string{"html": "text/html; charset=utf-8", "json": "application/json", "csv": "text/csv; charset=utf-8", "yaml": "application/yaml"}[format]
	if kind == "" {
		return errs.New(errs.NotFound, "a plan can be had as html, json, csv or yaml, not as %q", format)
	}
	var err error
	if format == "yaml" {
		err = planText(&b, p, a)
	} else {
		var res *forecast.Result
		if res, err = p.Run(r.Context(), a.options); err != nil {
			return err
		}
		switch format {
		case "html":
			err = report.HTML(&b, res)
		case "json":
			err = report.JSON(&b, res)
		case "csv":
			err = report.CSV(&b, res)
		}
	}
	if err != nil {
		return fmt.Errorf("write the plan of %s as %s: %w", f.Name, format, err)
	}
	w.Header().Set("Content-Disposition", `attachment; filename="plan-`+f.Name+"."+format+`"`)
	return web.Send(w, r, http.StatusOK, kind, b.Bytes())
}

// planText writes the plan file of what was asked: the model's own with the
// changed inputs in their places. A scenario's values are written as inputs,
// since in a file a scenario goes before them.
func planText(b *bytes.Buffer, p *forecast.Program, a planAsk) error {
	m := p.Model()
	m.Inputs = slices.Clone(m.Inputs)
	for i := range m.Inputs {
		in := &m.Inputs[i]
		if rg, ok := a.options.Set[in.Name]; ok {
			in.Default, in.From, in.Measured = forecast.UsedInput{Input: *in, Range: rg}.Text(), "set on the page", false
		} else if text := shown(p, *in, a.options.Scenario); text != in.Default {
			in.Default, in.From, in.Measured = text, "scenario "+a.options.Scenario, false
		}
	}
	if err := planfile.Write(b, m); err != nil {
		return err
	}
	text := strings.Replace(b.String(), "\nmonths: 12\n", fmt.Sprintf("\nmonths: %d\n", a.options.Months), 1)
	text = strings.Replace(text, "\nseed: 1\n", fmt.Sprintf("\nseed: %d\n", a.options.Seed), 1)
	b.Reset()
	b.WriteString(text)
	return nil
}
