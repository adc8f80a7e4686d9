package plan

import (
	"context"
	"testing"

	"plumb/engines/forecast"
)

func compiled(t testing.TB, m forecast.Model) *forecast.Program {
	t.Helper()
	p, err := forecast.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// with runs the model with some inputs set, in their own units.
func with(t testing.TB, p *forecast.Program, o forecast.Options, set map[string]string) *forecast.Result {
	t.Helper()
	o.Set = map[string]forecast.Range{}
	for name, text := range set {
		rg, err := p.ReadRange(name, text, true)
		if err != nil {
			t.Fatal(err)
		}
		o.Set[name] = rg
	}
	r, err := p.Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func near(got, want float64) bool {
	d := got - want
	return d <= 1e-9*want && -d <= 1e-9*want
}

// certain fixes every input, so that the plan can be worked out by hand.
var certain = map[string]string{
	"users": "1000", "growth": "0", "start_bytes": "0", "uploads": "10", "file_size": "2", "edited": "20", "removed": "0", "read": "50", "peak": "5",
	"duplicates": "25", "chunk_saved": "10", "version_saved": "80", "compression": "10", "overhead": "1", "waiting": "9", "chunk_size": "256",
	"versions_kept": "3650", "bin_kept": "30", "copies": "2", "upload_cpu": "2", "ingest_cpu": "5", "serve_cpu": "1", "machine_factor": "1", "headroom": "2",
	"cores": "4", "least_servers": "2", "file_rows": "5", "row_bytes": "200", "storage_price": "0.02", "database_price": "0.1", "traffic_price": "0.05", "server_price": "100",
}

func TestCertainInputsGiveWhatOneWorksOutByHand(t *testing.T) {
	r := with(t, compiled(t, Model()), forecast.Options{Months: 12, Samples: 50, Seed: 1}, certain)
	const months, second = 12.0, 365.25 * 86400 / 12.0
	const logical = 20 * months                // 1,000 people x 10 files x 2 MB are 20 GB a month
	const live, past = 16 * months, 4 * months // a fifth of them new versions, all of which stay
	const files = live / 4                     // a quarter of the bytes stand in equal files
	const chunks = live*3/4/10 + past*8/10     // a tenth of the different ones, four fifths of versions
	const chunked = logical - files - chunks   //
	const content = chunked * 9 / 10           //
	const rows = logical*1e9/2e6*5 + chunked*1e9/(256<<10)*2
	const kept = 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 10 + 11 + 12 // months' worth of storage paid for, in the year
	for name, want := range map[string]float64{
		"uploaded_files":    10_000 * months,
		"upload_bytes":      20 * months,
		"live_bytes":        live,
		"past_bytes":        past,
		"bin_bytes":         0,
		"logical_bytes":     logical,
		"saved_files":       files,
		"saved_chunks":      chunks,
		"saved_compression": chunked / 10,
		"content_bytes":     content,
		"stored_bytes":      content * 1.1,
		"disk_bytes":        content * 1.1 * 2,
		"saved_share":       100 * (1 - content*1.1/logical),
		"kept_files":        120_000,
		"db_rows":           rows,
		"db_bytes":          rows * 200 / 1e9,
		"traffic":           0.5 * 16 * kept,
		"peak_in":           20e9 * 8 / 1e6 / second * 5,
		"peak_out":          0.5 * live * 8e9 / 1e6 / second * 5,
		"servers":           2,
		"cost_storage":      content * 1.1 * 2 * 0.02 / months * kept,
		"cost_database":     rows * 200 / 1e9 * 2 * 0.1 / months * kept,
		"cost_traffic":      0.5 * 16 * kept * 0.05,
		"cost_servers":      2 * 100 * months,
		"money_saved":       (logical - content*1.1) * 2 * 0.02 / months * kept,
	} {
		got := r.Output(name).Total
		if !near(got.P50, want) && got.P50 != want || !near(got.P95, got.P5) && got.P5 != got.P95 {
			t.Errorf("%s = %g to %g, by hand %g", name, got.P5, got.P95, want)
		}
	}
}

// A store that is there already is kept, emptied and read like one that grew.
func TestWhatIsThereAtTheBeginning(t *testing.T) {
	p := compiled(t, Model())
	set := map[string]string{"start_bytes": "1000", "uploads": "0", "removed": "10", "bin_kept": "30.4375", "growth": "0"}
	r := with(t, p, forecast.Options{Months: 3, Samples: 10, Seed: 1}, set)
	live, bin := r.Output("live_bytes").Months, r.Output("bin_bytes").Months
	for i, want := range []float64{900, 810, 729} {
		if !near(live[i].P50, want) || !near(bin[i].P50, want/9) {
			t.Errorf("month %d: %g live and %g in the bin, by hand %g and %g", i+1, live[i].P50, bin[i].P50, want, want/9)
		}
	}
}

func TestEarlierVersionsLeaveAfterTheirTime(t *testing.T) {
	p := compiled(t, Model())
	set := map[string]string{"versions_kept": "91.3125", "growth": "0", "edited": "50"} // three months
	past := with(t, p, forecast.Options{Months: 6, Samples: 10, Seed: 1}, set).Output("past_bytes").Months
	if !near(past[5].P50, past[2].P50) || !near(past[2].P50, 3*past[0].P50) {
		t.Errorf("earlier versions by month %v", past)
	}
}

func TestTwiceThePeopleTwiceWhatIsProportional(t *testing.T) {
	p := compiled(t, Model())
	o := forecast.Options{Months: 12, Samples: 3000, Seed: 5}
	one := with(t, p, o, map[string]string{"users": "100k"})
	two := with(t, p, o, map[string]string{"users": "200k"})
	for _, f := range Model().Formulas {
		if a, b := one.Output(f.Name), two.Output(f.Name); f.Show && f.Unit != "%" && f.Name != "servers" && f.Name != "cost_servers" && f.Name != "cost" {
			if a, b := a.Total, b.Total; !near(b.P10, 2*a.P10) || !near(b.P50, 2*a.P50) || !near(b.P90, 2*a.P90) {
				t.Errorf("%s: %g, then %g", f.Name, a.P50, b.P50)
			}
		}
	}
	if a, b := one.Output("saved_share").Total, two.Output("saved_share").Total; !near(a.P50, b.P50) {
		t.Errorf("the share saved depends on how many there are: %g, then %g", a.P50, b.P50)
	}
}

// Where nothing is alike, storing once costs what a file an upload costs, and the
// overhead.
func TestNothingAlikeSavesNothing(t *testing.T) {
	set := map[string]string{"duplicates": "0", "chunk_saved": "0", "version_saved": "0", "compression": "0", "overhead": "0", "waiting": "0"}
	r := with(t, compiled(t, Model()), forecast.Options{Samples: 200, Seed: 1}, set)
	if a, b := r.Output("logical_bytes").Total, r.Output("stored_bytes").Total; a != b || r.Output("money_saved").Total.P95 != 0 {
		t.Errorf("%v kept, %v stored, %v saved", a, b, r.Output("money_saved").Total)
	}
}

func TestEveryDefaultSaysWhereItComesFrom(t *testing.T) {
	m := Model()
	for _, in := range m.Inputs {
		if in.From == "" || in.Title == "" || in.Group == "" {
			t.Errorf("%s: title %q, group %q, from %q", in.Name, in.Title, in.Group, in.From)
		}
	}
	for _, f := range m.Formulas {
		if f.Show && f.Title == "" {
			t.Errorf("%s has no title", f.Name)
		}
	}
	for _, s := range m.Scenarios {
		if _, err := compiled(t, m).Run(context.Background(), forecast.Options{Scenario: s.Name, Samples: 200}); err != nil {
			t.Errorf("scenario %s: %v", s.Name, err)
		}
	}
}

func TestMeasurementsReplaceAssumptionsAndAreMarked(t *testing.T) {
	figures := map[string]float64{"compare/server_cpu_ms": 1.23456, "edits/server_cpu_s_per_gb": 4.5, "edits/serve_cpu_s_per_gb": 0.75}
	m, err := Model().WithMeasured(FromProofs(func(experiment, design, metric string) (float64, string, bool) {
		v, ok := figures[experiment+"/"+metric]
		return v, "3 November", ok && design == "built"
	}))
	if err != nil {
		t.Fatal(err)
	}
	if none := FromProofs(func(string, string, string) (float64, string, bool) { return 0, "", false }); len(none) != 0 {
		t.Errorf("nothing was measured, and yet %v", none)
	}
	want := map[string]float64{"upload_cpu": 1.235, "ingest_cpu": 4.5, "serve_cpu": 0.75}
	for _, u := range with(t, compiled(t, m), forecast.Options{Samples: 100}, nil).Inputs {
		v, ok := want[u.Name]
		if u.Measured != ok || ok && u.P50 != v {
			t.Errorf("%s: measured %v, %v", u.Name, u.Measured, u.P50)
		}
	}
}

// BenchmarkPage is what the console's page does for each move of a slider: it must
// take far less than 200 ms.
func BenchmarkPage(b *testing.B) {
	p := compiled(b, Model())
	for b.Loop() {
		with(b, p, forecast.Options{Months: 12, Samples: 5000, Seed: 1}, map[string]string{"users": "15k to 25k"})
	}
}
