package plan

import (
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
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

// open returns the model with every formula as an output, those in between too, with
// its last month as total.
func open() forecast.Model {
	m := Model()
	m.Formulas = slices.Clone(m.Formulas)
	for i := range m.Formulas {
		if !m.Formulas[i].Show {
			m.Formulas[i].Show, m.Formulas[i].Total = true, last
		}
	}
	return m
}

// with runs the model with some inputs set, in their own units.
func with(t testing.TB, p *forecast.Program, o forecast.Options, sets ...map[string]string) *forecast.Result {
	t.Helper()
	o.Set = map[string]forecast.Range{}
	for _, set := range sets {
		for name, text := range set {
			rg, err := p.ReadRange(name, text, true)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			o.Set[name] = rg
		}
	}
	r, err := p.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func near(got, want, tolerance float64) bool {
	return math.Abs(got-want) <= tolerance*max(math.Abs(got), math.Abs(want))
}

// expect compares an output's total, which must be certain, with what was worked out.
func expect(t testing.TB, r *forecast.Result, want map[string]float64) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		got := r.Output(name).Total
		if !near(got.P50, want[name], 1e-9) || got.P5 != got.P95 {
			t.Errorf("%s = %g to %g, by hand %g", name, got.P5, got.P95, want[name])
		}
	}
}

// bare fixes every input, and switches off all but users, photos, size and copies.
var bare = map[string]string{
	"users": "1M", "growth": "0", "churn": "0", "active": "100", "engagement": "0", "photos_per_user": "10", "season": "1",
	"mix_jpeg": "100", "mix_heic": "0", "mix_png": "0", "mix_raw": "0", "mix_other": "0", "size_jpeg": "3", "size_heic": "2", "size_png": "1", "size_raw": "25", "size_other": "1",
	"resolution": "0", "photos_now": "0", "size_now": "2", "edited": "0", "video_from": "999", "videos_per_user": "2", "video_size": "50",
	"removed": "0", "leavers_removed": "0", "keep": "100", "history": "4", "versions_kept": "12", "bin_kept": "0",
	"duplicates": "0", "compression": "0", "store_overhead": "0", "thumbnail_bytes": "0", "metadata_bytes": "0", "index_bytes": "0",
	"copies": "3", "second_site": "0", "second_copies": "1", "backup": "0", "metadata_copies": "1", "coded": "0", "ec_data": "6", "ec_parity": "3", "regions": "1",
	"views": "0", "view_bytes": "100", "downloads": "0", "peak": "3", "hot": "0", "hot_thumbnails": "0", "hit_rate": "0", "zipf": "0.8",
	"hdd_size": "20", "ssd_size": "8", "max_fill": "80", "hdd_iops": "100", "hdd_afr": "0", "ssd_afr": "0", "spare": "0", "disk_life": "5", "hdd_watts": "7", "ssd_watts": "10",
	"hdd_per_server": "36", "hdd_server_height": "4", "ssd_per_server": "24", "ssd_server_height": "2", "least_servers": "0", "resize_cpu": "0", "machine_factor": "1",
	"cores": "32", "cpu_fill": "60", "server_watts": "300", "server_life": "5",
	"rack_height": "40", "rack_power": "8", "rack_life": "7", "network_watts": "400", "pue": "1.5", "power_price": "0.1", "power_trend": "0", "rack_space": "3", "floor_price": "100",
	"line_size": "10", "line_fill": "60", "least_lines": "0", "line_price": "500",
	"hdd_price": "20", "hdd_trend": "0", "ssd_price": "100", "ssd_trend": "0", "hdd_server_price": "6000", "ssd_server_price": "10000", "cpu_server_price": "5000",
	"rack_price": "2000", "network_price": "15000", "maintenance": "6", "staff_servers": "200", "least_staff": "0", "salary": "10000",
	"installed": "100", "lead": "0", "buffer": "0",
}

// TestTheWellKnownFormula is the one that the question's usual answer gives: users
// times photos times size times growth times copies, and metadata. Here the growth
// factor of a year is what twelve months of compound growth add up to.
func TestTheWellKnownFormula(t *testing.T) {
	r := with(t, compiled(t, Model()), forecast.Options{Months: 12, Samples: 20, Seed: 1}, bare, map[string]string{
		"users": "2M to 2M", "growth": "5 to 5 %", "photos_per_user": "12 to 12", "size_jpeg": "3 to 3", "metadata_bytes": "2", "metadata_copies": "3",
	})
	const users, photos, size, growth, copies, metadata = 2e6, 12.0, 3e6, 0.05, 3.0, 3 * 2e3
	factor := (math.Pow(1+growth, 12) - 1) / growth // 1 + 1.05 + ... + 1.05^11
	storage := users*photos*size*factor*copies + users*photos*factor*metadata
	expect(t, r, map[string]float64{"copied_bytes": storage / 1e12, "photos": users * photos * factor, "logical_bytes": users * photos * size * factor / 1e12})
}

func TestTheBandOfAProductHasItsClosedForm(t *testing.T) {
	r := with(t, compiled(t, Model()), forecast.Options{Months: 1, Samples: 30_000, Seed: 3}, bare, map[string]string{"users": "1M to 4M", "photos_per_user": "5 to 40"})
	// Logarithms add: so do the means and the variances of lognormals' logarithms.
	const z90, z95 = 1.2815515655446004, 1.6448536269514722
	half := math.Hypot(math.Log(4)/2/z95, math.Log(8)/2/z95)
	middle := math.Sqrt(1e6*4e6) * math.Sqrt(5*40)
	got := r.Output("uploaded_photos").Total
	for _, c := range []struct{ got, want float64 }{{got.P50, middle}, {got.P90, middle * math.Exp(z90*half)}, {got.P10, middle * math.Exp(-z90*half)}} {
		if !near(c.got, c.want, 0.02) {
			t.Errorf("%g, closed form %g", c.got, c.want)
		}
	}
}

// proportional are the outputs without whole things in them.
var proportional = []string{
	"people", "uploaded_photos", "uploaded_bytes", "photos", "logical_bytes", "stored_bytes", "stored_photos", "stored_versions", "stored_thumbnails", "stored_metadata",
	"first_site_bytes", "second_site_bytes", "backup_bytes", "egress", "site_traffic", "peak_out", "rebuild_traffic",
}

func TestTwiceTheUsersTwiceWhatIsProportional(t *testing.T) {
	p := compiled(t, Model())
	o := forecast.Options{Months: 12, Samples: 500, Seed: 3}
	one, two := with(t, p, o, map[string]string{"users": "1M"}), with(t, p, o, map[string]string{"users": "2M"})
	for _, name := range proportional {
		a, b := one.Output(name).Total, two.Output(name).Total
		if !near(b.P10, 2*a.P10, 1e-9) || !near(b.P50, 2*a.P50, 1e-9) || !near(b.P90, 2*a.P90, 1e-9) || a.P50 == 0 {
			t.Errorf("%s: %g, then %g", name, a.P50, b.P50)
		}
	}
	// Whole disks: twice as many but for rounding, of which a year has a dozen.
	if a, b := one.Output("hdd_disks").Total.P50, two.Output("hdd_disks").Total.P50; math.Abs(b-2*a) > 2 {
		t.Errorf("disks: %g, then %g", a, b)
	}
	// A cache grows more slowly than what it caches: the popular stay so.
	if a, b := one.Output("cache_bytes").Total.P50, two.Output("cache_bytes").Total.P50; b <= a || b >= 2.2*a {
		t.Errorf("cache: %g, then %g", a, b)
	}
}

func TestWithoutUsersThereIsNothing(t *testing.T) {
	r := with(t, compiled(t, Model()), forecast.Options{Months: 12, Samples: 500, Seed: 1}, map[string]string{"users": "0", "video_from": "3"})
	for _, o := range r.Outputs {
		if o.Name == "photo_size" {
			continue // of a photo, were there one
		}
		if o.Total.P5 != 0 || o.Total.P95 != 0 {
			t.Errorf("%s: %g to %g", o.Name, o.Total.P5, o.Total.P95)
		}
	}
}

func TestEveryDefaultSaysWhereItComesFrom(t *testing.T) {
	m := Model()
	year := regexp.MustCompile(`\b(19|20)[0-9]{2}\b`)
	titles := map[string]bool{}
	for _, in := range m.Inputs {
		if titles[in.Title] {
			t.Errorf("%s: the title %q stands twice", in.Name, in.Title)
		}
		titles[in.Title] = true
		known := year.MatchString(in.From) || strings.Contains(in.From, "ssumption") || strings.Contains(in.From, "the question") || strings.Contains(in.From, "the room") || strings.Contains(in.From, "usual rule")
		if in.Title == "" || in.Group == "" || !known {
			t.Errorf("%s: title %q, group %q, from %q: neither a source with its year nor an assumption", in.Name, in.Title, in.Group, in.From)
		}
	}
	for _, f := range m.Formulas {
		if f.Show && (f.Title == "" || len(f.Title) > 34) { // a terminal cuts longer ones
			t.Errorf("%s: the title %q is missing or too long", f.Name, f.Title)
		}
	}
	for _, s := range append(m.Scenarios, forecast.Scenario{Name: forecast.Expected}) {
		r := with(t, compiled(t, m), forecast.Options{Scenario: s.Name, Months: 36, Samples: 200})
		if c := r.Output("cost").Total; c.P10 <= 0 || c.P10 > c.P50 || c.P50 > c.P90 {
			t.Errorf("scenario %s costs %v", s.Name, c)
		}
	}
}

func TestScenariosLieInTheirOrder(t *testing.T) {
	p := compiled(t, Model())
	for _, output := range []string{"cost", "stored_bytes", "copied_bytes", "hdd_disks"} {
		total := func(scenario string) float64 {
			return with(t, p, forecast.Options{Scenario: scenario, Months: 12, Samples: 500, Seed: 1}).Output(output).Total.P50
		}
		if a, e, c := total("aggressive"), total(forecast.Expected), total("conservative"); !(a < e && e < c) {
			t.Errorf("%s: aggressive %g, expected %g, conservative %g", output, a, e, c)
		}
	}
}

// TestEachConcernOfTheQuestionHasItsPlace: every row of question 14 in the answers
// points at an input or an output of this model.
func TestEachConcernOfTheQuestionHasItsPlace(t *testing.T) {
	text, err := os.ReadFile("../../../answers/answers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m := Model()
	known := map[string]bool{}
	for _, in := range m.Inputs {
		known[in.Name] = true
	}
	for _, f := range m.Formulas {
		known[f.Name] = known[f.Name] || f.Show
	}
	rows := regexp.MustCompile(`id: (14\.[a-z-]+)`).FindAllStringSubmatch(string(text), -1)
	if len(rows) < 31 {
		t.Errorf("%d rows of question 14", len(rows))
	}
	for _, row := range rows {
		names := concerns[row[1]]
		if len(names) == 0 {
			t.Errorf("%s has no input, formula or output", row[1])
		}
		for _, name := range names {
			if !known[name] {
				t.Errorf("%s: %s is neither an input nor an output", row[1], name)
			}
		}
	}
}

// concerns are what the answers' rows of question 14 point at.
var concerns = map[string][]string{
	"14.stored-now": {"photos_now", "size_now"}, "14.users-now": {"users"}, "14.user-history": {"growth"}, "14.photos-per-user": {"photos_per_user"}, "14.seasons": {"season"},
	"14.size": {"size_jpeg", "photo_size"}, "14.formats": {"mix_jpeg", "mix_heic", "mix_png", "mix_raw"}, "14.resolution": {"resolution"}, "14.new-users": {"growth", "churn"},
	"14.engagement": {"active", "engagement"}, "14.features": {"video_from", "videos_per_user", "edited", "resolution"}, "14.lifecycle": {"keep", "removed", "leavers_removed"},
	"14.compression": {"compression"}, "14.duplicates": {"duplicates"}, "14.metadata": {"metadata_bytes", "index_bytes", "thumbnail_bytes"}, "14.replication": {"copies", "coded"},
	"14.backup": {"backup"}, "14.disaster": {"second_site"}, "14.disk-mix": {"hot", "ssd_bytes"}, "14.caching": {"hit_rate", "cache_bytes"}, "14.regions": {"regions"},
	"14.hardware": {"hdd_price", "hdd_server_price", "network_price"}, "14.space": {"rack_space", "racks"}, "14.power": {"power_price", "pue", "energy"},
	"14.connectivity": {"line_price", "peak_out"}, "14.replacement": {"disk_life", "server_life"}, "14.staff": {"staff_servers", "salary"}, "14.buffer": {"buffer"},
	"14.formula": {"copied_bytes", "stored_bytes"}, "14.cost-formula": {"cost", "cash"}, "14.band": {"cost", "stored_bytes"}, "14.own-photos": {"size_jpeg", "duplicates", "thumbnail_bytes"}, "14.watch": {"hdd_to_buy", "hdd_fill", "lead"}, "14.cash-and-cost": {"cash", "cost"}, "14.late-orders": {"lead", "short_bytes"},
}

func TestMeasurementsReplaceAssumptionsAndAreMarked(t *testing.T) {
	m, err := Model().WithMeasured(FromProofs(func(experiment, design, metric string) (float64, string, bool) {
		return 0.34567891, "3 November", metric == "thumbnail_cpu_s"
	}))
	if err != nil {
		t.Fatal(err)
	}
	if none := FromProofs(func(string, string, string) (float64, string, bool) { return 0, "", false }); len(none) != 0 {
		t.Errorf("nothing was measured, and yet %v", none)
	}
	for _, u := range with(t, compiled(t, m), forecast.Options{Samples: 100}).Inputs {
		if u.Measured != (u.Name == "resize_cpu") {
			t.Errorf("%s: measured %v", u.Name, u.Measured)
		}
		if u.Name == "resize_cpu" && (u.P50 != 0.3457 || !strings.Contains(u.From, "3 November")) {
			t.Errorf("%+v", u)
		}
	}
}

func TestTheSameSeedGivesTheSamePlan(t *testing.T) {
	p := compiled(t, Model())
	text := func(seed uint64) string {
		return fmt.Sprint(with(t, p, forecast.Options{Months: 6, Samples: 700, Seed: seed}).Outputs)
	}
	if a, b := text(1), text(1); a != b || a == text(2) {
		t.Error("the seed does not decide")
	}
}

// BenchmarkPage is what the console's page does for each move of a slider: it must take
// far less than 200 ms.
func BenchmarkPage(b *testing.B) {
	p := compiled(b, Model())
	for b.Loop() {
		with(b, p, forecast.Options{Months: 12, Samples: 5000, Seed: 1}, map[string]string{"users": "1M to 2M"})
	}
}

// BenchmarkThreeYears is 20,000 paths over 36 months: under a second of processor time.
func BenchmarkThreeYears(b *testing.B) {
	p := compiled(b, Model())
	before := cpuTime()
	for b.Loop() {
		with(b, p, forecast.Options{Months: 36, Samples: 20_000, Seed: 1})
	}
	b.ReportMetric((cpuTime()-before).Seconds()/float64(b.N), "cpu-s/op")
}

// TestPartsAddUpToTheWhole on each path: what a stack shows is all there is.
func TestPartsAddUpToTheWhole(t *testing.T) {
	m := Model()
	for i, s := range m.Stacks {
		m.Formulas = append(m.Formulas, forecast.Formula{Name: fmt.Sprint("gap_", i), Is: fmt.Sprintf("(%s) / %s - 1", strings.Join(s.Parts, " + "), s.Of), Show: true, Total: mean})
	}
	r := with(t, compiled(t, m), forecast.Options{Months: 12, Samples: 300, Seed: 1, Scenario: "conservative"})
	for i, s := range m.Stacks {
		if gap := r.Output(fmt.Sprint("gap_", i)).Total; math.Abs(gap.P5) > 1e-12 || math.Abs(gap.P95) > 1e-12 {
			t.Errorf("the parts of %s leave out %v of it", s.Of, gap)
		}
	}
}
