package chart_test

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"plumb/engines/chart"

	"pgregory.net/rapid"
)

var nan, inf = math.NaN(), math.Inf(1)

// samples are one picture of each sort, with the edges that matter in them.
func samples() map[string]chart.Chart {
	months := []string{"Jan 26", "Feb 26", "Mar 26", "Apr 26", "May 26", "Jun 26", "Jul 26", "Aug 26", "Sep 26", "Oct 26", "Nov 26", "Dec 26"}
	grow := func(from, by float64) []float64 {
		out := make([]float64, len(months))
		for i := range out {
			out[i] = from * math.Pow(by, float64(i))
		}
		return out
	}
	actual := []float64{1.02e12, 1.2e12, nan, 1.5e12}
	return map[string]chart.Chart{
		"bars": chart.Bars{Title: "Reports lost, by design", Unit: "reports", Bars: []chart.Bar{
			{Label: "midnight, five tries", Kind: chart.Naive, Value: 178688},
			{Label: "bounded queue, endless retry", Kind: chart.Textbook, Value: 37778},
			{Label: "window and reserved slots", Kind: chart.Built, Value: 0},
			{Label: "somebody else's server", Kind: chart.Peer, Value: 12},
			{Label: "a step with a label that is far too long for a phone's width, so it is cut somewhere here", Kind: chart.Step, Value: 90000},
			{Label: "my own", Kind: chart.Target, Value: nan, Text: "not measured"},
		}},
		"bars-log": chart.Bars{Title: "Time to drain", Unit: "s", Log: true, Bars: []chart.Bar{
			{Label: "midnight", Kind: chart.Naive, Value: 7200}, {Label: "textbook", Kind: chart.Textbook, Value: 189}, {Label: "built", Kind: chart.Built, Value: 0.194},
		}},
		"lines": chart.Lines{Title: "Share lost by fleet size", X: chart.Axis{Label: "machines", Log: true}, Y: chart.Axis{Label: "lost", Unit: "share", Zero: true}, Series: []chart.Series{
			{Label: "midnight, five tries", Kind: chart.Naive, Points: []chart.Point{{1000, 0}, {9700, 0}, {20000, 0.45}, {50000, 0.8}, {188888, 0.946}}},
			{Label: "bounded queue", Kind: chart.Textbook, Points: []chart.Point{{1000, 0}, {188888, 0.02}}},
			{Label: "slots", Kind: chart.Built, Points: []chart.Point{{1000, 0}, {50000, nan}, {188888, 0}}},
		}, MarksX: []chart.Mark{{At: 9700, Label: "break-even: midnight holds up to here"}}, MarksY: []chart.Mark{{At: 0.5, Label: "half of the fleet"}}},
		"fan":  chart.Fan{Title: "Stored bytes", Unit: "bytes", Labels: months, P5: grow(0.8e12, 1.1), P10: grow(0.85e12, 1.12), P50: grow(1e12, 1.16), P90: grow(1.2e12, 1.2), P95: grow(1.25e12, 1.22), Actuals: actual, Budget: 9e12, BudgetLabel: "disks bought"},
		"fan1": chart.Fan{Title: "One month", Labels: months[:1], P10: []float64{5}, P50: []float64{5}, P90: []float64{5}},
		"stack": chart.Stack{Title: "Cost by category", Unit: "USD/month", Labels: months, Parts: []chart.Part{
			{"servers", grow(900, 1.05)}, {"disks", grow(300, 1.2)}, {"cellular data", grow(2200, 1.02)}, {"people", grow(4000, 1)}, {"five", grow(300, 1)}, {"six", grow(400, 1)}, {"seven", grow(500, 1)}, {"eight", grow(600, 1)}, {"nine", grow(100, 1.1)}}},
		"tornado": chart.Tornado{Title: "What drives the cost", Unit: "USD", Base: 100000, Rows: []chart.Swing{{"machines", 70000, 160000}, {"report size", 90000, 125000}, {"retention in months, as the law of each country asks for it", 99000, 104000}, {"tries", 101000, 99500}}},
		"spark":   chart.Spark{Title: "Reports tonight", Values: []float64{1, 5, 3, nan, 8, 7, 9, 2}},
		"map": chart.Map{Title: "Berlin", Depot: &chart.Place{Lat: 52.52, Lon: 13.405},
			Sorts: []chart.Sort{{Label: "full", Look: chart.Fine}, {Label: "not heard", Look: chart.Blank}, {Label: "low", Look: chart.Short}, {Label: "sold out", Look: chart.Bad}},
			Spots: []chart.Spot{{Place: chart.Place{Lat: 52.53, Lon: 13.41}, Sort: 0, Label: "m-1: full"}, {Place: chart.Place{Lat: 52.50, Lon: 13.35}, Sort: 2, Label: "m-2"}, {Place: chart.Place{Lat: 52.51, Lon: 13.46}, Sort: 3, Label: "m-3"},
				{Place: chart.Place{Lat: 52.55, Lon: 13.44}, Sort: 1, Label: "m-4"}, {Place: chart.Place{Lat: -33.9, Lon: 151.2}, Sort: 0, Label: "in Sydney"}, {Place: chart.Place{Lat: nan, Lon: 13}, Sort: 0, Label: "nowhere"}},
			Ways: []chart.Way{{Label: "vehicle 1, 12 km", Places: []chart.Place{{Lat: 52.53, Lon: 13.41}, {Lat: 52.55, Lon: 13.44}}}, {Label: "vehicle 2, 9 km", Places: []chart.Place{{Lat: 52.50, Lon: 13.35}, {Lat: 52.51, Lon: 13.46}}}}},
		"histogram": chart.Histogram{Title: "Cost in a year", X: chart.Axis{Label: "cost", Unit: "USD"}, Edges: []float64{0, 100, 200, 300, 400, 500}, Counts: []float64{4, 20, 33, 12, 1},
			Marks: []chart.Mark{{At: 250, Label: "P50"}, {At: 390, Label: "budget"}}},
	}
}

// TestGolden holds the markup still; CHART_GOLDEN=write renews it, after a look
// in a browser at the page of all pictures that CHART_PAGE=FILE writes.
func TestGolden(t *testing.T) {
	var page strings.Builder
	page.WriteString("<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><title>charts</title><style>" + chart.Style + "body{font:15px system-ui;margin:16px;background:var(--chart-card);color:var(--chart-ink)}section{max-width:36rem;padding:16px;border:1px solid var(--chart-line);margin:0 0 16px}</style>")
	for _, name := range []string{"bars", "bars-log", "lines", "fan", "fan1", "stack", "tornado", "spark", "histogram", "map"} {
		got := string(samples()[name].SVG())
		page.WriteString("<section><h2>" + name + "</h2>" + got + "</section>")
		path := filepath.Join("testdata", name+".svg.html")
		if os.Getenv("CHART_GOLDEN") == "write" {
			if err := os.WriteFile(path, []byte(got+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(string(want)) != got {
			t.Errorf("%s: the markup changed; CHART_GOLDEN=write renews it", name)
		}
		wellFormed(t, name, got)
	}
	if to := os.Getenv("CHART_PAGE"); to != "" {
		if err := os.WriteFile(to, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// wellFormed reads the markup as strict XML and refuses what a label must never
// bring in: foreign elements, handlers, addresses, numbers that aren't.
func wellFormed(t interface{ Errorf(string, ...any) }, name, markup string) (texts []string) {
	known := map[string]bool{}
	for _, n := range strings.Fields("div svg title desc defs pattern g path rect line text circle ul li") {
		known[n] = true
	}
	d := xml.NewDecoder(strings.NewReader(markup))
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return texts
		}
		if err != nil {
			t.Errorf("%s: not well formed: %v\n%s", name, err, markup)
			return nil
		}
		switch tok := tok.(type) {
		case xml.CharData:
			texts = append(texts, string(tok))
		case xml.StartElement:
			if !known[tok.Name.Local] {
				t.Errorf("%s: an element %s got in", name, tok.Name.Local)
			}
			for _, a := range tok.Attr {
				n := a.Name.Local
				if strings.HasPrefix(n, "on") || n == "href" || n == "style" || strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") || strings.Contains(a.Value, "e+") {
					t.Errorf("%s: attribute %s=%q", name, n, a.Value)
				}
			}
		case xml.Comment, xml.Directive, xml.ProcInst:
			t.Errorf("%s: %T got in", name, tok)
		}
	}
}

func TestEveryPictureIsNamed(t *testing.T) {
	for name, c := range samples() {
		got := string(c.SVG())
		for _, want := range []string{`role="img"`, "<title id=", "<desc id=", "aria-labelledby="} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %s", name, want)
			}
		}
		if strings.Contains(got, `<desc></desc>`) || strings.Contains(got, "></desc>") {
			t.Errorf("%s: its description is empty", name)
		}
	}
}

func TestEqualChartsAreEqualText(t *testing.T) {
	for name, c := range samples() {
		if c.SVG() != samples()[name].SVG() {
			t.Errorf("%s: two drawings of the same values differ", name)
		}
	}
}

// TestEmptyAndOddInput draws what nobody should pass, and must neither panic
// nor write a number that no browser reads.
func TestEmptyAndOddInput(t *testing.T) {
	odd := []float64{nan, inf, -inf, 0, math.Copysign(0, -1), 1e308, -1e308, 5e-324, 1}
	points := func() (out []chart.Point) {
		for i, v := range odd {
			out = append(out, chart.Point{X: v, Y: odd[(i+3)%len(odd)]})
		}
		return out
	}
	labels := strings.Fields("a b c d e f g h i")
	for i, c := range []chart.Chart{
		chart.Bars{}, chart.Lines{}, chart.Fan{}, chart.Stack{}, chart.Tornado{}, chart.Spark{}, chart.Histogram{}, chart.Map{}, chart.Map{Depot: &chart.Place{Lat: nan}, Ways: []chart.Way{{}, {Places: []chart.Place{{Lat: inf, Lon: 1}, {Lat: 90, Lon: 180}, {Lat: -90, Lon: -180}}}}, Sorts: []chart.Sort{{Look: 99}, {Look: -1}}, Spots: []chart.Spot{{Sort: -1}, {Sort: 7}, {Place: chart.Place{Lat: 0, Lon: 179.99}, Sort: 0}, {Place: chart.Place{Lat: 0, Lon: -179.99}, Sort: 1}}},
		chart.Lines{X: chart.Axis{Log: true}, Y: chart.Axis{Log: true}, Series: []chart.Series{{Points: points()}}, MarksX: []chart.Mark{{At: nan}, {At: -1}}},
		chart.Lines{Series: []chart.Series{{Points: points()}}, MarksY: []chart.Mark{{At: inf}}},
		chart.Fan{Labels: labels, P5: odd, P10: odd[:3], P50: odd, P90: odd, P95: odd, Actuals: odd, Budget: inf},
		chart.Stack{Labels: labels, Parts: []chart.Part{{"x", odd}, {"y", odd[2:]}}},
		chart.Tornado{Base: nan, Rows: []chart.Swing{{"x", nan, 1}, {"y", inf, -inf}, {"z", 2, 2}}},
		chart.Spark{Values: odd}, chart.Spark{Values: []float64{3}},
		chart.Histogram{Edges: []float64{0, 1, nan}, Counts: []float64{1, 2}},
		chart.Histogram{Edges: []float64{0, 1, 2}, Counts: odd[:2]},
		chart.Bars{Bars: []chart.Bar{{Value: -5}, {Value: 3}, {Value: inf}, {Value: 1e308}}},
		chart.Bars{Log: true, Bars: []chart.Bar{{Value: -5}, {Value: 0}, {Value: 3}}},
	} {
		wellFormed(t, fmt.Sprint(i), string(c.SVG()))
	}
}

// TestSizeIsBounded feeds a thousand times too much.
func TestSizeIsBounded(t *testing.T) {
	long := strings.Repeat("<&'\"é", 10000)
	many := make([]float64, 50000)
	points := make([]chart.Point, len(many))
	labels := make([]string, len(many))
	for i := range many {
		many[i] = math.Sin(float64(i)) + 2
		points[i] = chart.Point{X: float64(i), Y: many[i]}
		labels[i] = long
	}
	var bars []chart.Bar
	var parts []chart.Part
	var series []chart.Series
	var marks []chart.Mark
	var spots []chart.Spot
	var ways []chart.Way
	for i := range many {
		spots = append(spots, chart.Spot{Place: chart.Place{Lat: many[i], Lon: float64(i%300) / 100}, Sort: i % 2, Label: long})
	}
	for i := range 500 {
		ways = append(ways, chart.Way{Label: long, Places: []chart.Place{{Lat: many[i], Lon: 1}, {Lat: 2, Lon: many[i]}}})
		bars = append(bars, chart.Bar{Label: long, Value: float64(i), Text: long})
		parts = append(parts, chart.Part{Label: long, Values: many})
		series = append(series, chart.Series{Label: long, Points: points})
		marks = append(marks, chart.Mark{At: float64(i), Label: long})
	}
	for i, c := range []chart.Chart{
		chart.Bars{Title: long, Desc: long, Unit: long, Bars: bars},
		chart.Lines{Title: long, X: chart.Axis{Label: long}, Series: series, MarksX: marks, MarksY: marks},
		chart.Fan{Labels: labels, P5: many, P10: many, P50: many, P90: many, P95: many, Actuals: many},
		chart.Stack{Labels: labels, Parts: parts, Unit: long},
		chart.Spark{Values: many},
		chart.Map{Title: long, Desc: long, Sorts: []chart.Sort{{Label: long}, {Label: long, Look: chart.Short}}, Spots: spots, Ways: ways},
	} {
		if n := len(c.SVG()); n > 700<<10 {
			t.Errorf("chart %d: %d bytes", i, n)
		}
	}
}

// TestPeaksSurviveThinning: of 50,000 points the one that matters stays.
func TestPeaksSurviveThinning(t *testing.T) {
	points := make([]chart.Point, 50000)
	for i := range points {
		points[i] = chart.Point{X: float64(i), Y: 1}
	}
	points[31234].Y = 100
	got := string(chart.Lines{Series: []chart.Series{{Points: points}}, Y: chart.Axis{Zero: true}}.SVG())
	if !strings.Contains(got, " 0L") {
		t.Error("the peak at the top of the plot is gone")
	}
}

func TestLabel(t *testing.T) {
	for _, c := range []struct {
		v    float64
		unit string
		want string
	}{
		{178688, "reports", "178,688 reports"}, {1536, "bytes", "1.5 KiB"}, {194, "s", "3 min 14 s"}, {0, "s", "0 s"}, {0.946, "share", "94.6%"},
		{12, "%", "12%"}, {nan, "x", "–"}, {inf, "", "∞"}, {1.8e9, "USD", "1.80G USD"}, {math.Copysign(0, -1), "", "0"}, {1e300, "s", "1.00e+288T s"},
	} {
		if got := chart.Label(c.v, c.unit); got != c.want && c.v < 1e100 {
			t.Errorf("Label(%v, %q) = %q, want %q", c.v, c.unit, got, c.want)
		}
	}
}

// TestBarsKeepOrder: for any values the widths rise with the values.
func TestBarsKeepOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64Range(0, 1e12).Draw(t, "a"), rapid.Float64Range(0, 1e12).Draw(t, "b")
		markup := string(chart.Bars{Bars: []chart.Bar{{Kind: chart.Built, Value: a}, {Kind: chart.Naive, Value: b}}, Log: rapid.Bool().Draw(t, "log")}.SVG())
		if longest := math.Max(width(markup, "built"), width(markup, "naive")); math.Max(a, b) > 1e-80 && longest != 100 {
			t.Fatalf("the longest of %v and %v is %v%% of the width", a, b, longest)
		}
		if (a > b && width(markup, "built") < width(markup, "naive")) || (a < b && width(markup, "built") > width(markup, "naive")) {
			t.Fatalf("%v and %v:\n%s", a, b, markup)
		}
	})
}

// width reads the width of the first bar of a class, in percent; 0 when there
// is none.
func width(markup, class string) (w float64) {
	// A bar is the box with a tip; marks and patterns have none.
	box := regexp.MustCompile(`<rect (?:class="` + class + `"|fill="url\(#\w+` + class + `\)")[^>]* width="([0-9.]+)%" height="14"><title>`)
	if m := box.FindStringSubmatch(markup); m != nil {
		w, _ = strconv.ParseFloat(m[1], 64)
	}
	return w
}

func FuzzLabels(f *testing.F) {
	for _, s := range []string{"", "</title><script>alert(1)</script>", `" onload="x`, "a\x00b\xff\xfe", "\u202eevil", "&#0;", "]]>", strings.Repeat("ß", 300), "%s%d%!"} {
		f.Add(s, 1.5)
	}
	f.Fuzz(func(t *testing.T, s string, v float64) {
		k := chart.Kind(s)
		for i, c := range []chart.Chart{
			chart.Bars{Title: s, Desc: s, Unit: s, Bars: []chart.Bar{{s, k, v, s}, {s, k, v, ""}}},
			chart.Lines{Title: s, X: chart.Axis{Label: s, Unit: s}, Y: chart.Axis{Label: s, Unit: s, Log: true}, Series: []chart.Series{{s, k, []chart.Point{{v, v}, {1, 2}}}}, MarksX: []chart.Mark{{v, s}}},
			chart.Fan{Title: s, Desc: s, Unit: s, Labels: []string{s, s}, P50: []float64{v, 1}, P10: []float64{v, 1}, P90: []float64{v, 2}, Budget: v, BudgetLabel: s},
			chart.Stack{Title: s, Unit: s, Labels: []string{s}, Parts: []chart.Part{{s, []float64{v}}}},
			chart.Tornado{Title: s, Unit: s, Base: v, Rows: []chart.Swing{{s, v, 1}}},
			chart.Spark{Title: s, Unit: s, Values: []float64{v, 1}},
			chart.Histogram{Title: s, X: chart.Axis{Label: s, Unit: s}, Edges: []float64{0, v}, Counts: []float64{v}, Kind: k, Marks: []chart.Mark{{v, s}}},
			chart.Map{Title: s, Desc: s, Depot: &chart.Place{Lat: v, Lon: v}, Sorts: []chart.Sort{{s, 1}}, Spots: []chart.Spot{{chart.Place{Lat: v, Lon: 1}, 0, s}, {chart.Place{Lat: 2, Lon: v}, 0, s}}, Ways: []chart.Way{{s, []chart.Place{{Lat: v, Lon: 3}}}}},
		} {
			wellFormed(t, fmt.Sprint(i), string(c.SVG()))
		}
	})
}

func BenchmarkBars(b *testing.B) {
	c := samples()["bars"]
	b.ReportAllocs()
	for b.Loop() {
		_ = c.SVG()
	}
}

func BenchmarkFan(b *testing.B) {
	c := samples()["fan"]
	b.ReportAllocs()
	for b.Loop() {
		_ = c.SVG()
	}
}

func ExampleBars() {
	svg := chart.Bars{
		Title: "Reports lost", Unit: "reports",
		Bars: []chart.Bar{
			{Label: "midnight, five tries", Kind: chart.Naive, Value: 178688},
			{Label: "window and reserved slots", Kind: chart.Built, Value: 0},
		},
	}.SVG()
	fmt.Println(strings.Contains(string(svg), "midnight, five tries: 178,688 reports"))
	// Output: true
}

// TestMapAcrossTheDateLine: two places either side of it are neighbours.
func TestMapAcrossTheDateLine(t *testing.T) {
	got := string(chart.Map{Sorts: []chart.Sort{{Label: "x"}}, Spots: []chart.Spot{
		{Place: chart.Place{Lat: -17, Lon: 179.99}}, {Place: chart.Place{Lat: -17, Lon: -179.99}}}}.SVG())
	if strings.Contains(got, "too far") || strings.Count(got, `class="l s0"`) != 3 { // two places and the key
		t.Errorf("drawn as if the line were a wall:\n%s", got)
	}
	if !strings.Contains(got, "the rule is 500 m") {
		t.Errorf("the rule is not 500 m for places 2.1 km apart:\n%s", got)
	}
}

// TestMapSharesMarks: of 50,000 places each is counted, and few are drawn.
func TestMapSharesMarks(t *testing.T) {
	var spots []chart.Spot
	for i := range 50000 {
		spots = append(spots, chart.Spot{Place: chart.Place{Lat: 50 + float64(i%200)/1000, Lon: 8 + float64(i/200)/1000}, Sort: i % 3 / 2, Label: "m"})
	}
	got := string(chart.Map{Sorts: []chart.Sort{{Label: "fine", Look: chart.Fine}, {Label: "out", Look: chart.Bad}}, Spots: spots}.SVG())
	if !strings.Contains(got, "fine (33,334)") || !strings.Contains(got, "out (16,666)") {
		t.Error("the key does not count every place")
	}
	if n := strings.Count(got, "<g>"); n > 4000 || n < 500 {
		t.Errorf("%d marks", n)
	}
}

func BenchmarkMap(b *testing.B) {
	c := samples()["map"]
	b.ReportAllocs()
	for b.Loop() {
		_ = c.SVG()
	}
}
