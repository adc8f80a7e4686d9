package console

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"plumb/answers"
	"plumb/base/clock"
	"plumb/engines/chart"
	"plumb/engines/forecast"
	"plumb/engines/forecast/planfile"
	"plumb/engines/lab"
	"plumb/engines/web"
	"plumb/face"
)

// bearers knows two people by their tokens.
type bearers struct{}

func (bearers) Authenticate(r *http.Request) (web.Who, error) {
	switch r.Header.Get("Authorization") {
	case "Bearer op":
		return web.Who{Kind: "person", ID: "1", Name: "Olga", Roles: []web.Access{web.Operator}}, nil
	case "Bearer anybody":
		return web.Who{Kind: "person", ID: "2", Name: "Ann"}, nil
	}
	return web.Who{}, nil
}

// bench is console.Proofs with a shell script in place of plumb prove.
type bench struct {
	script string
	kept   lab.Results
}

func (b *bench) Experiments(system string) []lab.Experiment {
	return []lab.Experiment{
		{System: "vending", Name: "herd", Title: "When everybody calls at midnight", Question: "Can <188,888> machines call at once?"},
		{System: "vending", Name: "lines", Title: "Bad lines", Question: "What do cut connections lose?"},
	}
}

func (b *bench) Results() (lab.Results, error) { return b.kept, nil }

func (b *bench) Command(experiment string, full bool) (string, []string, error) {
	return "/bin/sh", []string{"-c", b.script, "prove", experiment, strconv.FormatBool(full)}, nil
}

type models []forecast.Model

func (m models) Models() []forecast.Model { return m }

// photos is a small model, with every sort of input that the form shows.
func photos() forecast.Model {
	return forecast.Model{
		Name: "vending", Title: "photos", Main: "cost", Counts: []string{"user"},
		Inputs: []forecast.Input{
			{Name: "users", Title: "Users", Group: "People", Unit: "users", Default: "10k to 40k users", From: "a guess", Max: 1e9},
			{Name: "growth", Title: "Growth", Group: "People", Unit: "%", Default: "2 %", From: "a guess", Kind: forecast.Variable, Signed: true, Min: -50, Max: 100},
			{Name: "price", Title: "Price", Group: "Money", Unit: "USD/user/month", Default: "0.1 to 0.3 USD/user/month", From: "an invoice", Measured: true},
			{Name: "share", Title: "Share", Group: "Money", Unit: "%", Default: "months(50, 100) %", From: "the question", Max: 100},
		},
		Formulas: []forecast.Formula{
			{Name: "cost", Title: "Costs", Unit: "USD/month", Is: "users * price * share * (1 + growth)", Show: true},
			{Name: "held", Title: "Users held", Unit: "users", Is: "users * share", Show: true, Total: forecast.Last},
		},
		Scenarios: []forecast.Scenario{{Name: "dear", Set: map[string]string{"price": "1 to 2 USD/user/month"}}},
		Stacks:    []forecast.Stack{{Of: "cost", Parts: []string{"cost"}}},
	}
}

// tabbed is a console with both tabs.
func tabbed(t testing.TB, b *bench) http.Handler {
	t.Helper()
	book, err := answers.Open()
	if err != nil {
		t.Fatal(err)
	}
	life, end := context.WithCancel(t.Context())
	prove := NewProve(life, b)
	t.Cleanup(func() {
		end()
		if err := prove.runner.stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	mux := http.NewServeMux()
	gate := web.NewGate(bearers{}, slog.New(slog.DiscardHandler))
	c, err := New(Needs{
		Mux: mux, Gate: gate, API: web.NewAPI(mux, gate, "0.1"), Answers: book, Log: slog.New(slog.DiscardHandler), Clock: clock.System{},
		Health: func(context.Context) map[string]error { return nil }, Static: []fs.FS{fstest.MapFS{"console.css": {Data: []byte("body{}")}}},
		Prove: prove, Plan: NewPlan(models{photos()}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Mount([]face.Face{vending(t, c)}); err != nil {
		t.Fatal(err)
	}
	return web.House(mux, gate, web.Options{})
}

func call(h http.Handler, method, path, who string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Accept", "text/html")
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if who != "" {
		r.Header.Set("Authorization", "Bearer "+who)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// stored is a kept result of the herd with hostile texts in it.
func stored() lab.Results {
	r := &lab.Result{
		System: "vending", Experiment: "herd", Mode: "quick", Question: "?", Seconds: 7.3,
		Units: []lab.Metric{{Name: "lost", Unit: "reports", Text: "reports lost", Better: "less"}},
		Designs: []*lab.Design{
			{Name: "midnight", Kind: lab.Naive, Text: "five tries & <gone>", Metrics: map[string]float64{"lost": 178688}},
			{Name: "window", Kind: lab.Built, Metrics: map[string]float64{"lost": 0}},
		},
		BreakEven: &lab.BreakEven{Assumption: "midnight loses reports from a fleet of", Value: 9700, Unit: "machines"},
	}
	for _, n := range []float64{100, 1000, 10_000, 100_000} {
		for _, d := range []string{"midnight", "window"} {
			r.Sweep = append(r.Sweep, lab.SweepPoint{Assumptions: map[string]float64{"machines": n, "tries": 5}, Design: d, Metrics: map[string]float64{"lost": n - 100}})
		}
	}
	for _, c := range []lab.Claim{
		{ID: "kept", Text: "The built design loses nothing", Design: "built", Metric: "lost", Op: "==", Value: new(0.0)},
		{ID: "never", Text: "and midnight neither", Design: "midnight", Metric: "lost", Op: "==", Value: new(0.0)},
	} {
		r.Claims = append(r.Claims, c.Judge(r))
	}
	return lab.Results{{Plumb: "0.1", At: time.Date(2026, 11, 22, 21, 40, 0, 0, time.UTC), Machine: lab.Machine{CPUs: 2}, Seed: 1, Result: r}}
}

func TestProveShowsTheLastResult(t *testing.T) {
	h := tabbed(t, &bench{kept: stored()})
	page := call(h, "GET", "/vending/prove", "", nil)
	body := page.Body.String()
	for _, want := range []string{
		"When everybody calls at midnight", "Can &lt;188,888&gt; machines", "midnight: 178,688 reports", "five tries &amp; &lt;gone&gt;",
		`class="yes"`, `class="no"`, "178,688 reports ≠ 0 reports", "Break-even:</strong> midnight loses reports from a fleet of 9,700 machines",
		`<time datetime="2026-11-22T21:40:00Z"`, "seed 1", "2 CPUs", "reports lost by machines", "Nothing was measured yet", "plumb prove vending/herd",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if page.Code != 200 || strings.Contains(body, "<gone>") || strings.Contains(body, "<form class=\"row no-print\"") {
		t.Errorf("status %d; a stranger sees raw text or a Run button", page.Code)
	}
	if op := call(h, "GET", "/vending/prove", "op", nil).Body.String(); !strings.Contains(op, `action="/vending/prove/herd/run"`) {
		t.Error("an operator sees no Run button")
	}
	file := call(h, "GET", "/vending/prove/herd/result.json", "", nil)
	report, err := lab.ParseReport(file.Body.Bytes())
	if err != nil || len(report.Results) != 1 || report.Seed != 1 {
		t.Errorf("the download: %d %v %+v", file.Code, err, report)
	}
	if w := call(h, "GET", "/vending/prove/lines/result.json", "", nil); w.Code != 404 {
		t.Errorf("a result that is not there: %d", w.Code)
	}
	if w := call(h, "GET", "/proofs", "", nil); !strings.Contains(w.Body.String(), "1 of 2 claims hold") || !strings.Contains(w.Body.String(), "Bad lines") {
		t.Error("the overview lacks a result")
	}
}

func TestRunIsForOperatorsAndOneAtATime(t *testing.T) {
	started := filepath.Join(t.TempDir(), "pid")
	h := tabbed(t, &bench{script: `echo $$ >` + started + `; echo '{"event":"progress","share":0.5,"text":"half way"}' >&2; exec sleep 300`})
	for _, who := range []string{"", "anybody"} {
		if w := call(h, "POST", "/vending/prove/herd/run", who, nil); w.Code != 303 && w.Code != 403 || w.Code == 303 && !strings.HasPrefix(w.Header().Get("Location"), "/signin") {
			t.Errorf("%q may run: %d %s", who, w.Code, w.Header())
		}
	}
	if w := call(h, "POST", "/vending/prove/none/run", "op", nil); w.Code != 404 {
		t.Errorf("an experiment that is not there: %d", w.Code)
	}
	if w := call(h, "POST", "/vending/prove/herd/run", "op", nil); w.Code != 303 || w.Header().Get("Location") != "/vending/prove#herd" {
		t.Fatalf("run: %d %s", w.Code, w.Body)
	}
	if w := call(h, "POST", "/vending/prove/lines/run", "op", nil); w.Code != 503 {
		t.Errorf("a second run beside the first: %d", w.Code)
	}
	// The stream tells the progress, and then that it is done.
	server := httptest.NewServer(h)
	defer server.Close()
	res, err := http.Get(server.URL + "/vending/prove/events")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	await := func(part string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), part) {
				return
			}
		}
		t.Fatalf("the stream ended before %q", part)
	}
	await("half way")
	if body := call(h, "GET", "/vending/prove", "op", nil).Body.String(); !strings.Contains(body, "half way") || !strings.Contains(body, `action="/vending/prove/stop"`) {
		t.Error("the page does not show the running experiment")
	}
	if w := call(h, "POST", "/vending/prove/stop", "anybody", nil); w.Code != 403 {
		t.Errorf("anybody may stop: %d", w.Code)
	}
	if w := call(h, "POST", "/vending/prove/stop", "op", nil); w.Code != 303 {
		t.Errorf("stop: %d", w.Code)
	}
	await("event: done")
	pid, err := os.ReadFile(started)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(pid)))
	if err != nil || syscall.Kill(n, 0) == nil {
		t.Errorf("the child %d still lives (%v)", n, err)
	}
	if body := call(h, "GET", "/vending/prove", "op", nil).Body.String(); strings.Contains(body, "could not be completed") {
		t.Error("a stopped run is told as a failure")
	}
}

func TestFailedRunIsTold(t *testing.T) {
	h := tabbed(t, &bench{script: `echo "plumb prove: no <space> left" >&2; head -c 100000 /dev/zero >&2; echo >&2; exit 1`})
	call(h, "POST", "/vending/prove/herd/run", "op", nil)
	deadline := time.Now().Add(20 * time.Second)
	for {
		body := call(h, "GET", "/vending/prove", "op", nil).Body.String()
		if strings.Contains(body, "could not be completed") {
			if len(body) > 60_000 {
				t.Errorf("%d bytes", len(body))
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the failure is never told")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestPlanPage(t *testing.T) {
	h := tabbed(t, &bench{})
	body := call(h, "GET", "/vending/plan", "", nil).Body.String()
	for _, want := range []string{
		`id="in-users" name="in.users" type="text" value="10k to 40k users"`, `data-low="10000" data-high="40000" data-min="1000" data-max="400000" data-log`,
		"an invoice", `<span class="good">measured</span>`, "differs from month to month", "Costs, by month", "What drives it", `download/yaml"`, `<option>dear</option>`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if n := strings.Count(body, "data-min="); n != 3 {
		t.Errorf("%d inputs with sliders; months(...) has none", n)
	}
	changed := call(h, "GET", "/vending/plan?in.users=100k&scenario=dear&months=6&budget=1&show=held", "", nil).Body.String()
	for _, want := range []string{`value="100k"`, `selected>dear`, "over 6 months", "Chance to exceed 1 users", "100%", "download/csv?budget=1&amp;in.users=100k&amp;months=6&amp;scenario=dear&amp;show=held"} {
		if !strings.Contains(changed, want) {
			t.Errorf("the changed page lacks %q", want)
		}
	}
	if wrong := call(h, "GET", "/vending/plan?in.users=9+to+3&months=x&budget=many&seed=-1", "", nil); wrong.Code != 200 || strings.Count(wrong.Body.String(), "<li>") < 4 || !strings.Contains(wrong.Body.String(), "low 9 is above high 3") {
		t.Errorf("faults are not told: %d", wrong.Code)
	}
}

// TestFormWithoutScripts sends what a browser without scripts sends: every
// input, as the page showed it. Nothing may count as changed, and choosing a
// scenario must have its effect.
func TestFormWithoutScripts(t *testing.T) {
	h := tabbed(t, &bench{})
	page := call(h, "GET", "/vending/plan", "", nil).Body.String()
	form := url.Values{"was": {""}, "months": {"12"}, "scenario": {"dear"}, "show": {"cost"}, "budget": {""}}
	for _, m := range regexp.MustCompile(`name="(in\.[a-z]+)" type="text" value="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		form.Set(m[1], m[2])
	}
	if len(form) != 9 {
		t.Fatalf("the form has %v", form)
	}
	after := call(h, "GET", "/vending/plan?"+form.Encode(), "", nil).Body.String()
	if !strings.Contains(after, `value="1 to 2 USD/user/month"`) || !strings.Contains(after, `download/html?scenario=dear"`) {
		t.Error("the scenario chosen has no effect, or untouched inputs count as changed")
	}
}

func TestPlanFiles(t *testing.T) {
	h := tabbed(t, &bench{})
	query := "?in.users=100k&months=6&scenario=dear&seed=7"
	get := func(format string) string {
		w := call(h, "GET", "/vending/plan/download/"+format+query, "", nil)
		if w.Code != 200 || !strings.Contains(w.Header().Get("Content-Disposition"), "plan-vending."+format) {
			t.Errorf("%s: %d %v", format, w.Code, w.Header())
		}
		return w.Body.String()
	}
	var result map[string]any
	if err := json.Unmarshal([]byte(get("json")), &result); err != nil || result["outputs"] == nil {
		t.Errorf("json: %v", err)
	}
	if rows, err := csv.NewReader(strings.NewReader(get("csv"))).ReadAll(); err != nil || len(rows) < 7 {
		t.Errorf("csv: %v, %d rows", err, len(rows))
	}
	if page := get("html"); !strings.HasPrefix(page, "<!doctype html>") || strings.Contains(page, "src=") {
		t.Error("the report is no page of its own")
	}
	f, err := planfile.Read("plan.yaml", []byte(get("yaml")), photos())
	if err != nil || f.Months != 6 || f.Seed != 7 || f.Model.Inputs[0].Default != "100000 users" || f.Model.Inputs[2].Default != "1 to 2 USD/user/month" {
		t.Errorf("yaml: %v %+v", err, f)
	}
	for path, status := range map[string]int{"/vending/plan/download/exe": 404, "/vending/plan/download/json?in.users=x": 422} {
		if w := call(h, "GET", path, "", nil); w.Code != status && w.Code != 400 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func FuzzPlanQuery(f *testing.F) {
	h := tabbed(f, &bench{})
	for _, q := range []string{"in.users=1+to+2", "months=60&in.growth=-3%25", "in.users=<script>", "budget=1e308&show=held", "seed=18446744073709551615", "in.price=normal(1,9)", "in.users=1e300+to+1e308", "a=%zz;&&="} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, q string) {
		r := httptest.NewRequest("GET", "/vending/plan", nil)
		r.URL.RawQuery = q
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 200 || strings.Contains(w.Body.String(), "<script>") {
			t.Errorf("%q: %d", q, w.Code)
		}
	})
}

// BenchmarkPlanPage is what a moved slider costs the server.
func BenchmarkPlanPage(b *testing.B) {
	h := tabbed(b, &bench{})
	for b.Loop() {
		call(h, "GET", "/vending/plan?in.users=100k", "", nil)
	}
}

// TestChartStyleIsServed: the frame must ask for what the pictures need.
func TestChartStyleIsServed(t *testing.T) {
	if _, err := fs.Stat(chart.Files(), "chart.css"); err != nil || !strings.Contains(chart.Style, ".chart svg.axes") {
		t.Error("the charts' style sheet is not where the frame looks for it")
	}
}
