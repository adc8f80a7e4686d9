package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestStaticFiles(t *testing.T) {
	css := strings.Repeat("body { margin: 0 }\n", 200)
	s, err := NewStatic(fstest.MapFS{"a.css": {Data: []byte("old")}, "b.svg": {Data: []byte("<svg/>")}}, fstest.MapFS{"a.css": {Data: []byte(css)}})
	if err != nil {
		t.Fatal(err)
	}
	g := NewGate(people, quiet())
	mux := http.NewServeMux()
	mux.Handle("GET /static/{name...}", g.Wrap(Public, s.Serve))
	h := House(mux, g, Options{})
	w := do(h, ask{path: s.URL("a.css"), header: map[string]string{"Accept-Encoding": "br, gzip"}})
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err, w.Header())
	}
	if b, _ := io.ReadAll(z); string(b) != css || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/css") {
		t.Error(w.Header())
	}
	for _, c := range []struct {
		path   string
		header map[string]string
		status int
		plain  bool
	}{
		{"/static/a.css", nil, 200, true},
		{"/static/a.css", map[string]string{"Accept-Encoding": "gzip;q=0"}, 200, true},
		{"/static/a.css", map[string]string{"If-None-Match": `"x", ` + w.Header().Get("ETag")}, 304, true},
		{"/static/b.svg?v=wrong", map[string]string{"Accept-Encoding": "gzip"}, 200, true},
		{"/static/none", nil, 404, true},
		{"/static/../web.go", nil, 307, true},
	} {
		got := do(h, ask{path: c.path, header: c.header})
		if got.Code != c.status || c.plain && got.Header().Get("Content-Encoding") != "" || strings.Contains(got.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", c.path, got.Code, got.Header())
		}
	}
	if s.Has("none") || !s.Has("b.svg") || s.Bytes("b.svg") == nil || s.URL("none") != "/static/none" {
		t.Error("files are not told apart")
	}
}

func TestTemplateFunctions(t *testing.T) {
	at := time.Date(2026, 11, 22, 21, 40, 5, 0, time.UTC)
	for src, want := range map[string]string{
		`{{num 188888}} {{num .F}}`:    "188,888 1.50",
		`{{short 1888880}}`:            "1.89M",
		`{{bytes 1536}}`:               "1.5 KiB",
		`{{dur .D}} {{dur 0.0012}}`:    "3 min 14 s 1.2 ms",
		`{{pct 0.946}} {{pct 1}}`:      "94.6% 100%",
		`{{pct 0.00042}}`:              "0.042%",
		`{{time .At}}`:                 `<time datetime="2026-11-22T21:40:05Z" title="22 Nov 2026, 21:40:05 UTC">22 Nov 2026, 21:40 UTC</time>`,
		`{{ago .At .Now}}`:             `<time data-ago datetime="2026-11-22T21:40:05Z" title="22 Nov 2026, 21:40:05 UTC">3 min 14 s ago</time>`,
		`{{ago .Now .At}}`:             `<time data-ago datetime="2026-11-22T21:43:19Z" title="22 Nov 2026, 21:43:19 UTC">in 3 min 14 s</time>`,
		`{{time .None}}{{ago .None}}`:  "––",
		`<i data-x="{{json .M}}"></i>`: `<i data-x="{&#34;a&#34;:1}"></i>`,
	} {
		tpl, err := Templates(fstest.MapFS{"p.html": {Data: []byte(`{{define "p"}}` + src + `{{end}}`)}}, "*.html")
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		err = tpl.ExecuteTemplate(&b, "p", map[string]any{"F": 1.5, "D": 194 * time.Second, "At": at, "Now": at.Add(194 * time.Second), "None": time.Time{}, "M": map[string]int{"a": 1}})
		if err != nil || b.String() != want {
			t.Errorf("%s = %s, %v", src, b.String(), err)
		}
	}
	tpl, err := Templates(fstest.MapFS{"p.html": {Data: []byte(`{{define "p"}}{{num .S}}{{end}}`)}}, "*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []any{map[string]any{"S": "text"}, map[string]any{}} {
		if err := tpl.ExecuteTemplate(io.Discard, "p", data); err == nil {
			t.Errorf("%v was shown as a number", data)
		}
	}
}
