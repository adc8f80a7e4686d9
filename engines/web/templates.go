package web

import (
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"math"
	"reflect"
	"time"

	"plumb/base/clock"
	"plumb/base/units"
)

// errorText is the content of an error page, within the house's frame.
const errorText = `{{define "error"}}<h1>{{.Title}}</h1>
{{with .Detail}}<p class="lead">{{.}}</p>{{end}}
{{with .Errors}}<ul>{{range .}}<li>{{with .Location}}<code>{{.}}</code> {{end}}{{.Message}}</li>{{end}}</ul>{{end}}
<p><a href="/">To the start page</a></p>
{{with .ID}}<p class="soft">Request {{.}}</p>{{end}}{{end}}`

// Templates parses the files that the globs name, with the house's functions:
//
//	{{num 188888}}     188,888          {{short 1.89e6}}  1.89M
//	{{bytes 1536}}     1.5 KiB          {{dur .Took}}     3 min 14 s
//	{{time .At}}       22 Nov 2026, 21:40 UTC; the reader's own time where scripts run, UTC on hover
//	{{ago .At}}        3 min ago, the instant on hover; {{ago .At .Now}} under a clock of one's own
//	{{pct 0.946}}      94.6%            {{json .}}        as JSON text
//
// Numbers may be of any Go type. A template that asks for a missing key fails.
func Templates(fsys fs.FS, globs ...string) (*template.Template, error) {
	t, err := template.New("").Funcs(Funcs()).Option("missingkey=error").ParseFS(fsys, globs...)
	if err != nil {
		return nil, fmt.Errorf("parse templates: %w", err)
	}
	return t, nil
}

// Funcs returns the house's template functions.
func Funcs() template.FuncMap {
	return template.FuncMap{
		"num": num, "short": short, "bytes": size, "dur": dur, "pct": pct,
		"time": timeTag, "ago": ago, "json": asJSON,
	}
}

// number returns any Go number as a float64; its own string types and nil are errors.
func number(v any) (float64, error) {
	switch r := reflect.ValueOf(v); {
	case r.CanInt():
		return float64(r.Int()), nil
	case r.CanUint():
		return float64(r.Uint()), nil
	case r.CanFloat():
		return r.Float(), nil
	}
	return 0, fmt.Errorf("%T is not a number", v)
}

func num(v any) (string, error) {
	if r := reflect.ValueOf(v); r.CanInt() { // exact beyond 2^53
		return units.Count(r.Int()), nil
	}
	f, err := number(v)
	if err != nil {
		return "", err
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return units.Count(int64(f)), nil
	}
	return units.Short(f), nil
}

func short(v any) (string, error) {
	f, err := number(v)
	return units.Short(f), err
}

func size(v any) (string, error) {
	f, err := number(v)
	return units.Bytes(f), err
}

// dur takes a time.Duration, or seconds as any other number.
func dur(v any) (string, error) {
	if d, ok := v.(time.Duration); ok {
		return units.Duration(d), nil
	}
	f, err := number(v)
	return units.Duration(time.Duration(f * float64(time.Second))), err
}

// pct writes a share: 1 is 100%.
func pct(v any) (string, error) {
	f, err := number(v)
	switch p := f * 100; {
	case err != nil || math.IsNaN(f):
		return "–", err
	case p == math.Trunc(p):
		return fmt.Sprintf("%.0f%%", p), nil
	case math.Abs(p) < 0.1:
		return fmt.Sprintf("%.2g%%", p), nil
	default:
		return fmt.Sprintf("%.1f%%", p), nil
	}
}

const utc = "2 Jan 2006, 15:04:05 UTC"

// timeTag writes an instant; the shell's script turns it into the reader's time.
func timeTag(t time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, t.Format(time.RFC3339), t.Format(utc), t.Format("2 Jan 2006, 15:04 UTC")))
}

// ago writes how long before now (by default the system's) an instant was.
func ago(t time.Time, now ...time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	at := clock.System{}.Now()
	if len(now) > 0 {
		at = now[0]
	}
	words := "just now"
	switch d := at.Sub(t); {
	case d >= time.Second:
		words = units.Duration(d.Truncate(time.Second)) + " ago"
	case d <= -time.Second:
		words = "in " + units.Duration((-d).Truncate(time.Second))
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time data-ago datetime="%s" title="%s">%s</time>`, t.Format(time.RFC3339), t.Format(utc), words))
}

func asJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}
