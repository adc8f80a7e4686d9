package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"plumb/engines/chart"
)

// fake is an experiment whose designs score as told.
func fake(name string, naive, built float64) Experiment {
	return Experiment{
		System: "pond", Name: name, Question: "Which loses less?",
		Metrics: []Metric{{Name: "lost", Unit: "frogs", Text: "lost", Better: "less"}, {Name: "unused", Text: "unused"}},
		Claims: []Claim{
			{ID: "none", Text: "built loses none", Design: "built", Metric: "lost", Op: "==", Value: new(0.0)},
			{ID: "fewer", Text: "fewer than naive", Design: "built", Metric: "lost", Op: "<", Than: &Than{Design: "naive", Metric: "lost"}},
		},
		Picture: []string{"lost"},
		Run: func(ctx context.Context, b *Bench) error {
			b.Progress(0.5, "half")
			b.Design("herd", Naive).Set("lost", naive)
			b.Design("slots", Built).Set("lost", built)
			b.Event("counted", map[string]float64{"naive": naive, "built": built})
			b.BreakEven("pond of", 12, "frogs")
			b.Point(map[string]float64{"rain": 3}, "herd", map[string]float64{"lost": naive})
			b.Note("%d of a kind", 2)
			return nil
		},
	}
}

func runIt(t *testing.T, o Options, list ...Experiment) (exit int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	exit = Run(context.Background(), list, o, &out, &errs)
	return exit, out.String(), errs.String()
}

func TestRunPrintsAndJudges(t *testing.T) {
	exit, out, _ := runIt(t, Options{}, fake("calm", 10, 0))
	for _, want := range []string{"pond/calm", "Which loses less?", "lost (frogs)", "holds  built loses none", "0 frogs = 0 frogs", "control fails, as it must", "break-even: pond of 12 frogs", "note: 2 of a kind"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if exit != ExitHolds || strings.Contains(out, "unused") {
		t.Errorf("exit %d\n%s", exit, out)
	}
	exit, out, _ = runIt(t, Options{}, fake("calm", 10, 0), fake("storm", 10, 1))
	if exit != ExitFails || !strings.Contains(out, "FAILS  built loses none") {
		t.Errorf("exit %d\n%s", exit, out)
	}
}

// The JSON is what scripts rely on.
func TestJSONShape(t *testing.T) {
	exit, out, _ := runIt(t, Options{JSON: true, Version: "1.2", Seed: 7}, fake("calm", 10, 0))
	var got struct {
		Plumb   string         `json:"plumb"`
		Machine map[string]any `json:"machine"`
		Seed    int            `json:"seed"`
		Results []struct {
			System, Experiment, Mode, Question string
			Designs                            []struct {
				Name, Kind string
				Promises   []string
				Metrics    map[string]float64
			}
			Claims []struct {
				ID, Text, Design, Metric, Op, Figure, Control string
				Value                                         *float64
				Than                                          *struct{ Design, Metric string }
				Holds                                         bool
			}
			BreakEven *struct {
				Assumption, Unit string
				Value            float64
			} `json:"break_even"`
			Seconds *float64
		}
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	r := got.Results[0]
	if exit != 0 || got.Plumb != "1.2" || got.Seed != 7 || got.Machine["cpus"] == nil || r.System != "pond" || r.Mode != "quick" || r.Seconds == nil {
		t.Errorf("%s", out)
	}
	if len(r.Designs) != 2 || r.Designs[0].Kind != "naive" || r.Designs[0].Promises == nil || r.Designs[1].Metrics["lost"] != 0 {
		t.Errorf("%+v", r.Designs)
	}
	if c := r.Claims; len(c) != 2 || c[0].Value == nil || c[0].Control != "" || !c[1].Holds || c[1].Than.Design != "naive" || c[1].Control != "fails" || c[1].Figure == "" {
		t.Errorf("%+v", r.Claims)
	}
	if r.BreakEven == nil || r.BreakEven.Value != 12 {
		t.Errorf("%+v", r.BreakEven)
	}
}

func TestUsage(t *testing.T) {
	for _, o := range []Options{
		{Only: []string{"lake"}}, {Only: []string{"pond/none"}}, {Progress: "loud"},
		{Targets: []string{"http://x"}}, {Targets: []string{"exec:"}}, {Targets: []string{"exec:./mine"}},
	} {
		exit, out, errs := runIt(t, o, fake("calm", 10, 0))
		if exit != ExitUsage || out != "" || errs == "" {
			t.Errorf("%+v: exit %d, %q, %q", o, exit, out, errs)
		}
	}
	exit, _, _ := runIt(t, Options{Only: []string{"pond/calm"}}, fake("calm", 10, 0), fake("storm", 10, 9))
	if exit != ExitHolds {
		t.Error("only the one that was named is to run")
	}
}

// One experiment's trouble is told, does not hold, and hides nobody's figures.
func TestTroubleIsTold(t *testing.T) {
	broken := fake("broken", 10, 0)
	broken.Run = func(ctx context.Context, b *Bench) error {
		b.Design("herd", Naive).Set("lost", 10)
		b.Design("slots", Built).Set("lost", 0)
		return errors.New("the pond is dry")
	}
	one := fake("one", 10, 0)
	one.Run = func(ctx context.Context, b *Bench) error { b.Design("slots", Built).Set("lost", 0); return nil }
	inf := fake("inf", 10, 0)
	inf.Run = func(ctx context.Context, b *Bench) error {
		zero := 0.0
		b.Design("herd", Naive).Set("lost", 1/zero)
		b.Design("slots", Built).Set("lost", 0)
		return nil
	}
	answers := fake("answers", 10, 0)
	answers.Run = func(ctx context.Context, b *Bench) error {
		b.Design("herd", Naive).Set("lost", 10).Answer("frogs", "7")
		b.Design("slots", Built).Set("lost", 0).Answer("frogs", "8")
		return nil
	}
	dumb := fake("dumb", 10, 0)
	dumb.Claims = nil
	for want, e := range map[string]Experiment{"the pond is dry": broken, "a proof needs two": one, "is +Inf": inf, `answer frogs differently`: answers, "claims nothing": dumb} {
		exit, out, _ := runIt(t, Options{}, e, fake("calm", 10, 0))
		if exit != ExitFails || !strings.Contains(out, want) || strings.Count(out, "holds ") != 2 {
			t.Errorf("exit %d, want %q in\n%s", exit, want, out)
		}
	}
}

func TestEventsProgressAndKeeping(t *testing.T) {
	dir := t.TempDir()
	events, kept := filepath.Join(dir, "events"), filepath.Join(dir, "prove")
	exit, _, errs := runIt(t, Options{EventsDir: events, KeepDir: kept, TreeDir: dir, Progress: "ndjson", HTML: filepath.Join(dir, "r.html"), Full: true}, fake("calm", 10, 0))
	if exit != ExitHolds {
		t.Fatal(exit, errs)
	}
	raw, err := os.ReadFile(filepath.Join(events, "pond-calm.ndjson"))
	if lines := strings.Split(strings.TrimSpace(string(raw)), "\n"); err != nil || len(lines) != 2 || !strings.Contains(lines[1], `"event":"counted"`) {
		t.Errorf("%v %s", err, raw)
	}
	var kinds []string
	for _, line := range strings.Split(strings.TrimSpace(errs), "\n") {
		var p Progress
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		kinds = append(kinds, p.Event)
	}
	if got := strings.Join(kinds, " "); got != "begin progress result end" {
		t.Error(got)
	}
	page, err := os.ReadFile(filepath.Join(dir, "r.html"))
	if err != nil || !bytes.Contains(page, []byte("<svg")) || bytes.Contains(page, []byte("src=\"http")) {
		t.Errorf("%v, %d bytes of HTML", err, len(page))
	}
	rs, err := LoadResults(os.DirFS(kept))
	if err != nil || len(rs) != 1 || rs[0].Mode != "full" || rs[0].Seed != 1 {
		t.Errorf("%v %+v", err, rs)
	}
	if one, err := LoadResults(os.DirFS(filepath.Join(dir, "systems/pond/prove/results"))); err != nil || len(one) != 1 || one[0].Experiment != "calm" {
		t.Errorf("%v %+v", err, one)
	}
	if v, m, ok := rs.Figure("pond", "calm", "naive", "lost"); !ok || v != 10 || m.Unit != "frogs" {
		t.Error(v, m, ok)
	}
}

func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	e := fake("calm", 10, 0)
	e.Run = func(ctx context.Context, b *Bench) error { cancel(); return ctx.Err() }
	var out, errs bytes.Buffer
	if exit := Run(ctx, []Experiment{e, fake("never", 10, 0)}, Options{}, &out, &errs); exit != ExitFails || strings.Contains(out.String(), "never") {
		t.Error(exit, out.String())
	}
}

func TestResultsAreNewestFirst(t *testing.T) {
	file := func(at, text string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(`{"plumb":"x","at":"` + at + `","machine":{},"seed":1,"results":[{"system":"pond","experiment":"calm","question":"` + text + `"}]}`)}
	}
	fsys := fstest.MapFS{"a/old.json": file("2026-01-01T00:00:00Z", "old"), "b.json": file("2026-02-01T00:00:00Z", "new"), "README.md": {Data: []byte("x")}}
	rs, err := LoadResults(fsys)
	if err != nil || len(rs) != 2 {
		t.Fatal(err, len(rs))
	}
	if s, ok := rs.Latest("pond", "calm"); !ok || s.Question != "new" {
		t.Errorf("%+v", s.Result)
	}
	if one := rs.System("pond"); len(one) != 1 || one[0].Question != "new" {
		t.Error(len(one))
	}
	if _, ok := rs.Latest("pond", "storm"); ok {
		t.Error("a result that nobody took")
	}
	if rs, err := LoadResults(os.DirFS(filepath.Join(t.TempDir(), "absent"))); err != nil || len(rs) != 0 {
		t.Error(rs, err)
	}
	fsys["bad.json"] = &fstest.MapFile{Data: []byte("{")}
	if _, err := LoadResults(fsys); err == nil || !strings.Contains(err.Error(), "bad.json") {
		t.Error(err)
	}
}

func FuzzParseReport(f *testing.F) {
	f.Add([]byte(`{"results":[{"system":"a","experiment":"b","designs":[{"name":"n","metrics":{"x":1}}],"claims":[{"than":{}}]}]}`))
	f.Add([]byte(`{"results":[null]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseReport(data)
		if err != nil {
			return
		}
		for _, s := range r.Stored() {
			Markdown(s)
			for _, c := range s.Claims {
				c.Claim.Judge(s.Result)
			}
		}
		if _, err := HTML(r); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFiguresFillMarkedBlocks(t *testing.T) {
	r := pair(100, 10)
	r.System, r.Experiment, r.Mode = "pond", "calm", "full"
	r.Claims = []Judged{against("<", 0.5).Judge(r)}
	rs := Results{{At: time.Unix(0, 0).UTC(), Result: r}}
	doc := "# Pond\n<!-- figures:pond/calm -->\nold\n<!-- /figures -->\ntail\n"
	out, err := Figures([]byte(doc), rs)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Pond\n<!-- figures:pond/calm -->\n| |", "| x (s) | 100 | 10 |", "- c: holds (new: 10 s < 0.5 × old: 100 s)", "<!-- /figures -->\ntail\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if again, err := Figures(out, rs); err != nil || !bytes.Equal(again, out) {
		t.Errorf("not the same the second time: %v\n%s", err, again)
	}
	if _, err := Figures([]byte("<!-- figures:pond/storm -->\n<!-- /figures -->"), rs); err == nil {
		t.Error("an experiment without a result")
	}
	if _, err := Figures([]byte("<!-- figures:pond/calm -->\n"), rs); err == nil {
		t.Error("an open block")
	}
}

func TestTargetSpeaksLines(t *testing.T) {
	target, err := StartTarget(context.Background(), "exec:cat")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		var got struct{ N int }
		if err := target.Ask(map[string]int{"n": i}, &got); err != nil || got.N != i {
			t.Fatal(got, err)
		}
	}
	if err := target.Close(); err != nil {
		t.Error(err)
	}
	target, err = StartTarget(context.Background(), "exec:true")
	if err != nil {
		t.Fatal(err)
	}
	if err := target.Ask(1, new(int)); err == nil {
		t.Error("a program that ended answered")
	}
	target.Close()
	if _, err := StartTarget(context.Background(), "exec:/no/such/program"); err == nil {
		t.Error("it started")
	}
}

func TestSideBySideAndBreakEven(t *testing.T) {
	var order []string
	run := func(name string, values ...float64) func(context.Context) (map[string]float64, error) {
		i := 0
		return func(context.Context) (map[string]float64, error) {
			order = append(order, name)
			i++
			return map[string]float64{"x": values[i-1]}, nil
		}
	}
	got, err := SideBySide(context.Background(), 3, run("a", 1, 9, 2), run("b", 5, 6, 7))
	if err != nil || got[0]["x"] != 2 || got[1]["x"] != 6 {
		t.Error(got, err)
	}
	first := map[string]bool{}
	for i := 0; i < len(order); i += 2 {
		first[order[i]] = true
	}
	if !first["a"] || !first["b"] {
		t.Errorf("one always runs first: %v", order)
	}
	if n, ok := FirstToBreak(1, 1_000_000, func(n int) bool { return n >= 9_700 }); !ok || n < 9_700 || n > 9_800 {
		t.Error(n, ok)
	}
	if _, ok := FirstToBreak(1, 10, func(int) bool { return false }); ok {
		t.Error("nothing breaks")
	}
	if n, ok := FirstToBreak(5, 10, func(int) bool { return true }); !ok || n != 5 {
		t.Error(n, ok)
	}
	if Median(nil) != 0 || Median([]float64{3, 1, 2}) != 2 || Median([]float64{4, 1}) != 2.5 {
		t.Error("median")
	}
}

// The picture follows the assumption with the most values, the rest held still.
func TestSweptPicture(t *testing.T) {
	r := pair(1, 2)
	r.Pictures = []string{"x"}
	if Swept(r) != nil {
		t.Error("a picture of nothing")
	}
	for _, rain := range []float64{1, 10, 100} {
		for _, wind := range []float64{0, 5} {
			if wind == 0 || rain == 10 {
				r.Sweep = append(r.Sweep, SweepPoint{map[string]float64{"rain_mm": rain, "wind": wind}, "old", map[string]float64{"x": rain}})
			}
		}
	}
	r.BreakEven = &BreakEven{"rain", 30, "rain_mm"}
	lines, ok := Swept(r).(chart.Lines)
	if !ok || lines.X.Label != "rain mm" || !lines.X.Log || len(lines.Series) != 1 || len(lines.Series[0].Points) != 3 || len(lines.MarksX) != 1 {
		t.Errorf("%+v", lines)
	}
}

func ExampleRun() {
	exit := Run(context.Background(), []Experiment{{
		System: "pond", Name: "calm", Question: "Which loses less?",
		Metrics: []Metric{{Name: "lost", Unit: "frogs", Text: "lost"}},
		Claims:  []Claim{{ID: "none", Text: "slots lose none", Design: "built", Metric: "lost", Op: "==", Value: new(0.0)}},
		Run: func(ctx context.Context, b *Bench) error {
			b.Design("herd", Naive).Set("lost", 7)
			b.Design("slots", Built, "durable").Set("lost", 0)
			return nil
		},
	}}, Options{JSON: true}, new(bytes.Buffer), os.Stderr)
	os.Stdout.WriteString(map[int]string{0: "every claim holds\n", 1: "a claim fails\n"}[exit])
	// Output: every claim holds
}
