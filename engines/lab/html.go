package lab

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
)

//go:embed report.html
var page string

// HTML renders the report as one self-contained page: it loads nothing.
func HTML(report *Report) ([]byte, error) {
	t, err := template.New("report").Funcs(template.FuncMap{
		"rows":     Rows,
		"quantity": quantity,
	}).Parse(page)
	if err != nil {
		return nil, fmt.Errorf("template of the report: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, report); err != nil {
		return nil, fmt.Errorf("render the report: %w", err)
	}
	return b.Bytes(), nil
}
