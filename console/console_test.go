package console

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"plumb/answers"
	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/accounts"
	"plumb/engines/jobs"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
	"plumb/engines/web"
	"plumb/face"
)

const token = "an-admin-token-for-tests"

var html = "text/html,application/xhtml+xml"

// house is a console with one system, as a browser meets it.
type house struct {
	http.Handler
	c      *Console
	people *accounts.Accounts
	jobs   *queue
	clock  *clock.Manual
	sick   map[string]error
}

// queue is a job queue of three jobs.
type queue struct {
	list []jobs.Job
	did  []string
}

func (q *queue) Counts(context.Context) ([]jobs.Count, error) {
	return []jobs.Count{{Kind: "vending.sweep", State: "running", N: 1}, {Kind: "vending.sweep", State: "discarded", N: 2}}, nil
}

func (q *queue) List(_ context.Context, f jobs.Filter, limit int) ([]jobs.Job, error) {
	var list []jobs.Job
	for _, j := range q.list {
		if (f.State == "" || f.State == j.State) && (f.Kind == "" || f.Kind == j.Kind) {
			list = append(list, j)
		}
	}
	return list, nil
}

func (q *queue) Retry(_ context.Context, id int64) error {
	if id == 9 {
		return errs.New(errs.NotFound, "there is no job 9")
	}
	q.did = append(q.did, "retry")
	return nil
}

func (q *queue) Cancel(context.Context, int64) error { q.did = append(q.did, "cancel"); return nil }

type enrolIn struct {
	City string `path:"city" doc:"where it stands"`
	Body struct {
		ID    string    `json:"id" doc:"chosen by you"`
		Since time.Time `json:"since,omitempty"`
		Slots []struct {
			Slot string `json:"slot"`
		} `json:"slots,omitempty"`
	}
}

type enrolOut struct {
	Body struct {
		Token string `json:"token"`
	}
}

func open(t testing.TB) *house {
	t.Helper()
	h := &house{clock: clock.NewManual(time.Date(2026, 11, 22, 21, 40, 0, 0, time.UTC)), sick: map[string]error{"database": nil, "bus": nil}}
	log := slog.New(slog.DiscardHandler)
	db := sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{})
	var err error
	if h.people, err = accounts.New(t.Context(), accounts.Needs{DB: db, Clock: h.clock, Log: log}); err != nil {
		t.Fatal(err)
	}
	if err := h.people.SetAdminToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	book, err := answers.Open()
	if err != nil {
		t.Fatal(err)
	}
	h.jobs = &queue{list: []jobs.Job{{ID: 7, Kind: "vending.sweep", State: "retryable", Try: 2, Most: 25, Created: h.clock.Now(), LastError: "<b>disk</b>"}}}
	mux := http.NewServeMux()
	gate := web.NewGate(h.people, log)
	h.c, err = New(Needs{
		Mux: mux, Gate: gate, API: web.NewAPI(mux, gate, "0.1"), Answers: book, People: h.people, Jobs: h.jobs, Clock: h.clock, Log: log,
		Health:  func(context.Context) map[string]error { return h.sick },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("plumb_up 1\n")) }),
		Static:  []fs.FS{fstest.MapFS{"console.css": {Data: []byte("body{}")}}},
		Systems: []string{"vending", "arcade"}, Build: Build{Version: "0.1", Mode: "this machine only"},
		Commands: []Command{{"plumb vending simulate", "plays a fleet"}},
		Docs:     fstest.MapFS{"vending.md": {Data: []byte("# The vending fleet\n\n## Limits\n\nNone.\n")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.c.Mount([]face.Face{vending(t, h.c)}); err != nil {
		t.Fatal(err)
	}
	h.Handler = web.House(mux, gate, web.Options{})
	return h
}

func vending(t testing.TB, shell web.Shell) face.Face {
	pages, err := web.Templates(fstest.MapFS{"p.html": {Data: []byte(`{{define "fleet"}}<h2>Fleet</h2><p>{{num .}} machines</p>{{end}}`)}}, "*.html")
	if err != nil {
		t.Fatal(err)
	}
	f := face.Face{
		Name: "vending", Title: "Vending fleet", Asks: "188,888 machines report at midnight. What breaks?", Group: face.Groups[0], Questions: []int{12},
		Pages: []web.Page{{Pattern: "GET /{$}", Access: web.Person, Handler: func(w http.ResponseWriter, r *http.Request) error {
			return shell.Show(w, r, pages, web.View{System: "vending", Tab: "use", Title: "Fleet", Template: "fleet", Data: 188888, Refresh: 5 * time.Second})
		}}},
		API: []web.Op{web.Operation(web.Operator, huma.Operation{Method: "POST", Path: "/api/v1/vending/cities/{city}/machines", Summary: "Enrol a machine"},
			func(context.Context, *enrolIn) (*enrolOut, error) { return &enrolOut{}, nil })},
		Live: func(context.Context) (face.Figure, error) {
			return face.Figure{Value: "181,204", Label: "reported"}, nil
		},
		Links: []face.Link{{Title: "Fleet", Path: "/vending/"}, {Title: "Late machines", Path: "/vending/late"}, {Title: "Secret works", Path: "/vending/works", Access: web.Operator}},
		About: face.About{Limits: []string{"Not more than <so> many."}, Docs: "docs/vending.md"},
	}
	if err := f.Valid(); err != nil {
		t.Fatal(err)
	}
	return f
}

type ask struct {
	method, path, cookie, body, remote, accept string
	bearer                                     bool
}

func (h *house) do(a ask) *httptest.ResponseRecorder {
	if a.method == "" {
		a.method = "GET"
	}
	r := httptest.NewRequest(a.method, a.path, strings.NewReader(a.body))
	r.Header.Set("Accept", html)
	if a.accept != "" {
		r.Header.Set("Accept", a.accept)
	}
	if a.method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if a.cookie != "" {
		r.AddCookie(&http.Cookie{Name: accounts.Cookie, Value: a.cookie})
	}
	if a.bearer {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if a.remote != "" {
		r.RemoteAddr = a.remote
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// signIn returns an admin's cookie and the session's CSRF token.
func (h *house) signIn(t *testing.T) (cookie, csrf string) {
	t.Helper()
	w := h.do(ask{method: "POST", path: "/signin", body: "token=" + token})
	for _, c := range w.Result().Cookies() {
		cookie = c.Value
	}
	m := regexp.MustCompile(`name="csrf" content="([0-9a-f]{64})"`).FindStringSubmatch(h.do(ask{path: "/", cookie: cookie}).Body.String())
	if w.Code != 303 || cookie == "" || m == nil {
		t.Fatalf("sign-in: %d %v", w.Code, w.Header())
	}
	return cookie, m[1]
}

func TestEveryPageOpensWithinTheFrame(t *testing.T) {
	h := open(t)
	for _, path := range []string{"/", "/answers/12", "/answers/1", "/proofs", "/plans", "/search", "/search?q=midnight", "/docs/", "/docs/vending",
		"/account", "/ops", "/ops/jobs", "/ops/people", "/ops/audit", "/vending/", "/vending/prove", "/vending/plan", "/vending/api", "/vending/about"} {
		w := h.do(ask{path: path, bearer: true})
		body := w.Body.String()
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %s", path, w.Code, body)
			continue
		}
		for _, want := range []string{`<a class="skip" href="#main">`, `<main class="wrap" id="main"`, `lang="en"`, `name="viewport"`, `role="search"`, `<title>`} {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %s", path, want)
			}
		}
		if n := strings.Count(body, "<h1"); n != 1 {
			t.Errorf("%s has %d first headings", path, n)
		}
		if foreign := regexp.MustCompile(`(src|href)=["']?(https?:)?//[^"' >]+`).FindString(body); foreign != "" {
			t.Errorf("%s loads %s", path, foreign)
		}
		if inline := regexp.MustCompile(` (on[a-z]+|style)=`).FindString(body); inline != "" {
			t.Errorf("%s has%s, which the content security policy forbids", path, inline)
		}
		if strings.Contains(body, "ZgotmplZ") {
			t.Errorf("%s: a template put a value where it may not stand", path)
		}
	}
}

func TestStrangersSeeTheQuestionsAndAreAskedToSignIn(t *testing.T) {
	h := open(t)
	start := h.do(ask{path: "/"}).Body.String()
	for _, want := range []string{`href="/vending/"`, `href="/vending/prove"`, `href="/answers/12"`, "not built yet", "not served here", "188,888 machines", `aria-current="page">Questions`, "1 of 14 systems"} {
		if !strings.Contains(start, want) {
			t.Errorf("the start page lacks %q", want)
		}
	}
	for n := 1; n <= 16; n++ {
		if !strings.Contains(start, `href="/answers/`+strconv.Itoa(n)+`"`) {
			t.Errorf("the start page does not lead to answer %d", n)
		}
	}
	if strings.Contains(start, "181,204") || strings.Contains(start, "/ops") {
		t.Error("a stranger sees what is not theirs")
	}
	if known := h.do(ask{path: "/", bearer: true}).Body.String(); !strings.Contains(known, "181,204") || !strings.Contains(known, `href="/ops"`) {
		t.Error("the admin sees no live figure or no operations")
	}
	w := h.do(ask{path: "/vending/?a=1&b=2"})
	if w.Code != 303 || w.Header().Get("Location") != "/signin?next="+url.QueryEscape("/vending/?a=1&b=2") {
		t.Error(w.Code, w.Header())
	}
	if w := h.do(ask{path: "/vending/", accept: "application/json"}); w.Code != 401 || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Error(w.Code, w.Header())
	}
	if w := h.do(ask{path: "/arcade/"}); w.Code != 404 || !strings.Contains(w.Body.String(), "Not found") {
		t.Error(w.Code)
	}
	if w := h.do(ask{path: "/vending"}); w.Code != 308 || w.Header().Get("Location") != "/vending/" {
		t.Error(w.Code, w.Header())
	}
	for _, path := range []string{"/answers/0", "/answers/17", "/answers/x", "/docs/none", "/docs/..%2fREADME"} {
		if w := h.do(ask{path: path}); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestASystemsPageHasItsTabs(t *testing.T) {
	h := open(t)
	body := h.do(ask{path: "/vending/", bearer: true}).Body.String()
	for _, want := range []string{"<h1>Vending fleet</h1>", `<a href="/vending/" aria-current="page">Use</a>`, `href="/vending/prove"`, `href="/vending/plan"`, `href="/vending/api"`, `href="/vending/about"`,
		"<p>188,888 machines</p>", `data-refresh="5"`, `<a href="/vending/late">Late machines</a>`, "<title>Fleet, Vending fleet"} {
		if !strings.Contains(body, want) {
			t.Errorf("lacks %s", want)
		}
	}
	about := h.do(ask{path: "/vending/about"}).Body.String()
	for _, want := range []string{"Not more than &lt;so&gt; many.", `href="/docs/vending"`, `href="/answers/12"`} {
		if !strings.Contains(about, want) {
			t.Errorf("About lacks %s", want)
		}
	}
}

func TestTheAPITabShowsCallsThatWork(t *testing.T) {
	h := open(t)
	body := h.do(ask{path: "/vending/api"}).Body.String()
	for _, want := range []string{`id="post--api-v1-vending-cities-city-machines"`, "Enrol a machine", "<code>slots[].slot</code>", "where it stands", "chosen by you",
		"curl -X POST \\\n  -H &#34;Authorization: Bearer $PLUMB_TOKEN&#34;", "&#39;http://example.com/api/v1/vending/cities/CITY/machines&#39;", "operator"} {
		if !strings.Contains(body, want) {
			t.Errorf("lacks %s", want)
		}
	}
	ops := describe(h.c.n.API.Document(), "vending", "http://h")
	if len(ops) != 1 {
		t.Fatal(len(ops))
	}
	// The example body is one that the operation takes.
	_, after, _ := strings.Cut(ops[0].Curl, "-d '")
	example, _, _ := strings.Cut(after, "'")
	r := httptest.NewRequest("POST", "/api/v1/vending/cities/Berlin/machines", strings.NewReader(example))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 200 {
		t.Errorf("the example is refused: %d %s\n%s", w.Code, w.Body, example)
	}
	if got := quote("it's"); got != `'it'\''s'` {
		t.Error(got)
	}
}

func TestSearch(t *testing.T) {
	h := open(t)
	for q, want := range map[string]string{
		"vending":       `href="/vending/"`,
		"late mach":     `href="/vending/late"`,
		"midnight":      `href="/answers/12`,
		"post machines": `/vending/api#post--api-v1-vending-cities-city-machines`,
		"simulate":      `<code>plumb vending simulate</code>`,
		"limits":        `href="/docs/vending"`,
		"xyzzy":         "Nothing has all of these words",
		"<script>":      "&lt;script&gt;",
	} {
		w := h.do(ask{path: "/search?q=" + url.QueryEscape(q)})
		if w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%q does not find %s", q, want)
		}
	}
	if body := h.do(ask{path: "/search?q=audit"}).Body.String(); strings.Contains(body, "/ops/audit") {
		t.Error("a stranger finds the operations")
	}
	if body := h.do(ask{path: "/search?q=secret"}).Body.String(); strings.Contains(body, "/vending/works") {
		t.Error("a stranger finds a page that is for operators")
	}
	if body := h.do(ask{path: "/search?q=secret", bearer: true}).Body.String(); !strings.Contains(body, "/vending/works") {
		t.Error("an operator does not find a page for operators")
	}
	part := h.do(ask{path: "/search?part=1&q=vending"})
	if strings.Contains(part.Body.String(), "<html") || strings.Count(part.Body.String(), "<li>") != mostQuick {
		t.Error(part.Body)
	}
}

func TestHealth(t *testing.T) {
	h := open(t)
	if w := h.do(ask{path: "/readyz"}); w.Code != 200 || !strings.Contains(w.Body.String(), `"database":"ok"`) {
		t.Error(w.Code, w.Body)
	}
	if foot := h.do(ask{path: "/"}).Body.String(); !strings.Contains(foot, `aria-hidden="true"></i>database</span>`) {
		t.Error("the foot does not show the engines")
	}
	h.sick["database"] = errors.New("no route to 10.0.0.7")
	h.clock.Advance(time.Second)
	w := h.do(ask{path: "/readyz"})
	if w.Code != 503 || strings.Contains(w.Body.String(), "10.0.0.7") || !strings.Contains(w.Body.String(), `"database":"down"`) {
		t.Error(w.Code, w.Body)
	}
	if w := h.do(ask{path: "/readyz", bearer: true}); !strings.Contains(w.Body.String(), "10.0.0.7") {
		t.Error("the operator is not told why")
	}
	if w := h.do(ask{path: "/healthz"}); w.Code != 200 {
		t.Error(w.Code)
	}
	h.sick["database"] = nil
	h.sick["bus"] = errors.New("no server")
	h.c.n.Vital = []string{"database"}
	h.clock.Advance(time.Second)
	if w := h.do(ask{path: "/readyz"}); w.Code != 200 || !strings.Contains(w.Body.String(), "degraded") || !strings.Contains(w.Body.String(), `"bus":"down"`) {
		t.Error("all processes share the bus: its absence is no reason to send requests elsewhere", w.Code, w.Body)
	}
	h.sick["bus"] = nil
	h.clock.Advance(time.Second)
	if w := h.do(ask{path: "/readyz"}); w.Code != 200 {
		t.Error("does not recover", w.Code)
	}
	h.c.Drain()
	if w := h.do(ask{path: "/readyz"}); w.Code != 503 || !strings.Contains(w.Body.String(), "ending") {
		t.Error(w.Code, w.Body)
	}
}

func TestMetricsAreForThisMachineAndOperators(t *testing.T) {
	h := open(t)
	for _, c := range []struct {
		ask  ask
		want int
	}{
		{ask{path: "/metrics", remote: "127.0.0.1:5"}, 200}, {ask{path: "/metrics", remote: "[::1]:5"}, 200},
		{ask{path: "/metrics", remote: "10.0.0.1:5", accept: "*/*"}, 401}, {ask{path: "/metrics", remote: "10.0.0.1:5", bearer: true}, 200},
	} {
		if w := h.do(c.ask); w.Code != c.want {
			t.Errorf("%+v: %d", c.ask, w.Code)
		}
	}
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.RemoteAddr = "127.0.0.1:5"
	r.Header.Set("X-Forwarded-For", "198.51.100.1")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 401 {
		t.Errorf("through a proxy: %d", w.Code)
	}
}

func TestCollidingFacesAreRefused(t *testing.T) {
	h := open(t)
	f := face.Face{Name: "arcade", Pages: []web.Page{{Pattern: "GET /api", Access: web.Public, Handler: h.c.healthz}}}
	if err := h.c.Mount([]face.Face{f}); err == nil || !strings.Contains(err.Error(), "arcade") {
		t.Error(err)
	}
	if err := h.c.Mount([]face.Face{{Name: "files", Pages: []web.Page{{Pattern: "/x", Access: web.Public, Handler: h.c.healthz}}}}); err == nil {
		t.Error("a pattern without a method was taken")
	}
}

// BenchmarkStartPage is the whole way of the start page, as an admin sees it.
func BenchmarkStartPage(b *testing.B) {
	h := open(b)
	b.ReportAllocs()
	for b.Loop() {
		if w := h.do(ask{path: "/", bearer: true}); w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
}
