package plan

import (
	"context"
	"math"
	"testing"
	"time"

	"plumb/engines/forecast"
	"plumb/systems/vending/internal/world"
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

func near(got, want float64) bool { return got-want <= 1e-9*want && want-got <= 1e-9*want }

// certain fixes every input, so that the plan can be worked out by hand.
var certain = map[string]string{
	"machines": "188888", "rolled_out": "100", "growth": "0", "silent": "0", "cities": "100", "busiest_midnight": "100",
	"clock_spread": "10", "report_bytes": "2000", "overhead_bytes": "6000", "tries": "1", "call_seconds": "2",
	"report_cpu": "2", "machine_factor": "1", "server_price": "100", "rows": "1", "stored_factor": "2", "storage_price": "0.1",
	"sim_price": "1", "data_price": "10", "restocks": "4", "stops": "20", "vehicle_price": "5000", "repairs": "0.1", "repair_stops": "10",
	"technician_price": "6000", "working_days": "100",
}

func TestCertainInputsGiveWhatOneWorksOutByHand(t *testing.T) {
	r := with(t, compiled(t, Model()), forecast.Options{Months: 12, Samples: 50, Seed: 1}, certain)
	const daysPerMonth = 365.25 / 12
	month := 188888 * daysPerMonth // reports
	for name, want := range map[string]float64{
		"fleet":       188888,
		"reports":     12 * month,
		"window_rate": 188888.0 / 3600, // "about 53 reports a second"
		// Poisson: mean plus 3.6 deviations.
		"peak_rate":      188888.0/3600 + 3.6*math.Sqrt(188888.0/3600),
		"midnight_rate":  18888.8,
		"connections":    2 * (188888.0/3600 + 3.6*math.Sqrt(188888.0/3600)),
		"servers":        6,
		"db_rows":        12 * month, // 400 days are more than the year
		"db_bytes":       12 * month * 2000 * 2 / 1e9,
		"cellular_bytes": 12 * month * 8000 / 1e9,
		"visits":         12 * 4 * 188888,
		// 1,888.88 machines a city, 248.2 visits a day there, 12.4 vehicles: 13.
		"vehicles": 1300,
		// 6.2 repairs a day in a city: one technician.
		"technicians":     100,
		"cost_servers":    12 * 6 * 100,
		"cost_storage":    month * 4000 / 1e9 * 3 * 0.1 * 78, // 1 + 2 + ... + 12 months kept
		"cost_cellular":   12*188888 + 12*month*8000/1e9*10,
		"cost_restocking": 12 * 1300 * 5000,
		"cost_repair":     12 * 100 * 6000,
	} {
		got := r.Output(name).Total
		if d := got.P50/want - 1; d > 1e-9 || d < -1e-9 || got.P5 != got.P95 {
			t.Errorf("%s = %g to %g, by hand %g", name, got.P5, got.P95, want)
		}
	}
}

func TestTheOldestReportsLeaveAfterTheRetention(t *testing.T) {
	p := compiled(t, Model())
	set := map[string]string{"retention": "91.3125", "rows": "1", "rolled_out": "100", "silent": "0"} // three months
	r := with(t, p, forecast.Options{Months: 6, Samples: 10, Seed: 1}, set)
	rows := r.Output("db_rows").Months
	if !near(rows[5].P50, rows[2].P50) || !near(rows[2].P50, 3*rows[0].P50) {
		t.Errorf("rows by month %v", rows)
	}
}

func TestTwiceTheMachinesTwiceWhatIsProportional(t *testing.T) {
	p := compiled(t, Model())
	o := forecast.Options{Months: 12, Samples: 3000, Seed: 5}
	one := with(t, p, o, map[string]string{"machines": "100k"})
	two := with(t, p, o, map[string]string{"machines": "200k"})
	for _, name := range []string{"fleet", "reports", "window_rate", "midnight_rate", "db_rows", "db_bytes", "cellular_bytes", "visits", "cost_cellular", "cost_storage"} {
		a, b := one.Output(name).Total, two.Output(name).Total
		if !near(b.P10, 2*a.P10) || !near(b.P50, 2*a.P50) || !near(b.P90, 2*a.P90) {
			t.Errorf("%s: %g, then %g", name, a.P50, b.P50)
		}
	}
	// Spreading is better than proportional: the busiest second grows more slowly.
	if a, b := one.Output("peak_rate").Total.P50, two.Output("peak_rate").Total.P50; b >= 2*a || b <= a {
		t.Errorf("peak %g, then %g", a, b)
	}
}

func TestTenTimesTheFleetFitsTheWindow(t *testing.T) {
	p := compiled(t, Model())
	r, err := p.Run(context.Background(), forecast.Options{Scenario: "tenfold", Seed: 1, Samples: 1000, Set: map[string]forecast.Range{
		"busiest_midnight": forecast.Number(100), "tries": forecast.Number(1), "silent": forecast.Number(0),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Output("window_rate").Total.P50; got < 524 || got > 525.5 {
		t.Errorf("ten times the fleet in an hour needs %g calls/s, not some 525", got)
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
	m, err := Model().WithMeasured(FromProofs(func(experiment, design, metric string) (float64, string, bool) {
		return 0.61234567, "3 November", experiment == "sockets" && metric == "server_cpu_ms"
	}))
	if err != nil {
		t.Fatal(err)
	}
	if none := FromProofs(func(string, string, string) (float64, string, bool) { return 0, "", false }); len(none) != 0 {
		t.Errorf("nothing was measured, and yet %v", none)
	}
	r := with(t, compiled(t, m), forecast.Options{Samples: 100}, nil)
	for _, u := range r.Inputs {
		if u.Name == "report_cpu" && (u.P50 != 0.6123 || u.From != "plumb prove vending/sockets, 3 November") {
			t.Errorf("%+v", u)
		}
		if u.Measured != (u.Name == "report_cpu") {
			t.Errorf("%s: measured %v", u.Name, u.Measured)
		}
	}
	for _, bad := range []map[string]forecast.Measurement{
		{"no_such": {Range: "1"}},
	} {
		if _, err := Model().WithMeasured(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestAKnownFleetSetsCitiesAndMidnights(t *testing.T) {
	winter := time.Date(2025, 1, 15, 12, 0, 0, 0, time.UTC)
	m, err := ByCity(map[string]int{"Berlin": 300, "Paris": 200, "Tokyo": 500, "Lagos": 1000}, winter)
	if err != nil {
		t.Fatal(err)
	}
	// Berlin, Paris and Lagos share UTC+1 in winter.
	if m["busiest_midnight"].Range != "75 %" || m["machines"].Range != "2000 machines" || m["cities"].Range != "4 cities" {
		t.Errorf("%v", m)
	}
	model, err := Model().WithMeasured(m)
	if err != nil {
		t.Fatal(err)
	}
	if r := with(t, compiled(t, model), forecast.Options{Samples: 100}, nil); r.Output("fleet").Total.P50 != 2000 {
		t.Errorf("fleet %v", r.Output("fleet").Total)
	}
	for _, bad := range []map[string]int{{"Atlantis": 1}, {"Berlin": -1}, {}} {
		if _, err := ByCity(bad, winter); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

func oneEach() map[string]int {
	all := map[string]int{}
	for _, c := range world.All() {
		all[c.Name] = 1
	}
	return all
}

// TestTheTableOfCitiesSaysWhatTheDefaultClaims holds the provenance of
// busiest_midnight to the table that it quotes.
func TestTheTableOfCitiesSaysWhatTheDefaultClaims(t *testing.T) {
	m, err := ByCity(oneEach(), time.Date(2025, 1, 15, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if got := m["cities"].Range; got != "478 cities" {
		t.Errorf("the table has %s; the provenance of two inputs says 478", got)
	}
	if got := m["busiest_midnight"].Range; got < "22.3" || got > "22.4" {
		t.Errorf("the busiest midnight has %s of the cities; the provenance says 107 of 478", got)
	}
}

// BenchmarkPage is what the console's page does for each move of a slider: it
// must take far less than 200 ms.
func BenchmarkPage(b *testing.B) {
	p := compiled(b, Model())
	for b.Loop() {
		with(b, p, forecast.Options{Months: 12, Samples: 5000, Seed: 1}, map[string]string{"machines": "150k to 250k", "window": "30"})
	}
}

// BenchmarkYear is the command's default: 20,000 paths over twelve months.
func BenchmarkYear(b *testing.B) {
	p := compiled(b, Model())
	for b.Loop() {
		with(b, p, forecast.Options{Months: 12, Samples: 20_000, Seed: 1}, nil)
	}
}
