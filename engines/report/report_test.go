package report

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"plumb/base/errs"
	"plumb/engines/forecast"
)

func ExampleEvaluate() {
	r, err := Evaluate(context.Background(), model(), Options{Months: 12, Set: []string{"orders=10k", "price=2"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	cost := r.Output("cost").Total
	fmt.Printf("%.0f to %.0f USD\n", cost.P10, cost.P90)
	// Output: 250800 to 250800 USD
}

func model() forecast.Model {
	return forecast.Model{
		Name: "shop", Title: "a <b>shop</b> & more", Main: "cost", Counts: []string{"order"},
		Inputs: []forecast.Input{
			{Name: "orders", Title: "Orders", Unit: "orders/month", Default: "5k to 20k orders/month", From: "last year", Group: "Trade"},
			{Name: "price", Title: "Cost of an order <script>", Unit: "USD/order", Default: "2 to 3 USD/order", From: "invoices of 2025", Measured: true, Group: "Money"},
			{Name: "rent", Title: "Rent", Unit: "USD/month", Default: "900 USD/month", From: "contract", Group: "Money"},
		},
		Formulas: []forecast.Formula{
			{Name: "cost", Title: "Costs", Unit: "USD/month", Is: "goods + rooms", Show: true},
			{Name: "goods", Title: "Goods", Unit: "USD/month", Is: "orders * price", Show: true},
			{Name: "rooms", Title: "Rooms", Unit: "USD/month", Is: "rent", Show: true},
			{Name: "busiest", Title: "Orders in the busiest month", Unit: "orders/month", Is: "orders", Show: true, Total: forecast.Peak},
		},
		Stacks:    []forecast.Stack{{Of: "cost", Parts: []string{"goods", "rooms"}}},
		Scenarios: []forecast.Scenario{{Name: "good", Set: map[string]string{"orders": "30k to 40k orders/month"}}},
	}
}

func out(t *testing.T, o Options) string {
	t.Helper()
	var b bytes.Buffer
	if o.Samples == 0 {
		o.Samples = 2000
	}
	if err := Run(context.Background(), model(), o, &b, io.Discard); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestJSONHasTheStatedShapeAndIsTheSameForASeed(t *testing.T) {
	a := out(t, Options{JSON: true, Months: 3, Seed: 1, HasSeed: true})
	if b := out(t, Options{JSON: true, Months: 3, Seed: 1, HasSeed: true}); a != b {
		t.Error("the same seed gave other bytes")
	}
	if b := out(t, Options{JSON: true, Months: 3, Seed: 2, HasSeed: true}); a == b {
		t.Error("another seed gave the same bytes")
	}
	var got struct {
		System, Scenario, Main string
		Months, Samples        int
		Seed                   uint64
		Inputs                 map[string]struct {
			Unit, Value, From string
			Measured          bool
			P5, P95           float64
		}
		Outputs map[string]struct {
			Unit   string
			Months []struct {
				Month                  int
				P5, P10, P50, P90, P95 float64
			}
			Total struct {
				Kind, Unit string
				P50        float64
			}
		}
		Drivers []struct {
			Output, Input string
			Rank          float64 `json:"rank_correlation"`
			Share         float64
		}
	}
	d := json.NewDecoder(strings.NewReader(a))
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.System != "shop" || got.Months != 3 || got.Samples != 2000 || got.Seed != 1 || got.Scenario != "expected" || got.Main != "cost" {
		t.Errorf("%+v", got)
	}
	if p := got.Inputs["price"]; !p.Measured || p.From != "invoices of 2025" || p.Value != "2 to 3 USD/order" || p.P5 < 1.99 || p.P95 > 3.01 {
		t.Errorf("price %+v", p)
	}
	cost := got.Outputs["cost"]
	if cost.Unit != "USD/month" || cost.Total.Unit != "USD" || cost.Total.Kind != "sum" || len(cost.Months) != 3 || len(got.Outputs) != 4 {
		t.Errorf("cost %+v", cost)
	}
	for i, m := range cost.Months {
		if m.Month != i+1 || !(m.P5 < m.P10 && m.P10 < m.P50 && m.P50 < m.P90 && m.P90 < m.P95) {
			t.Errorf("month %+v", m)
		}
	}
	if got.Drivers[0].Input != "orders" || got.Drivers[0].Output != "cost" || got.Drivers[0].Rank < 0.9 {
		t.Errorf("drivers %+v", got.Drivers)
	}
	// Names stand in the model's order, not the alphabet's.
	if strings.Index(a, `"orders": {`) > strings.Index(a, `"price": {`) || strings.Index(a, `"cost": {`) > strings.Index(a, `"busiest": {`) {
		t.Error("the order of the model is lost")
	}
}

func TestCSVHasALineForEachOutputAndMonth(t *testing.T) {
	rows, err := csv.NewReader(strings.NewReader(out(t, Options{CSV: true, Months: 6}))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1+4*7 || len(rows[0]) != 9 || rows[0][5] != "p50" {
		t.Errorf("%d rows, head %v", len(rows), rows[0])
	}
	if r := rows[7]; r[0] != "cost" || r[1] != "total (sum)" || r[2] != "USD" {
		t.Errorf("%v", r)
	}
}

func TestTextTellsBandsDriversAndWhatWasChanged(t *testing.T) {
	text := out(t, Options{Set: []string{"rent=2k"}, Scenario: "good"})
	for _, want := range []string{
		"Plan of shop: 12 months, 2,000 paths, seed 1, scenario good", "Of 3 inputs 1 measured", "Orders in the busiest month        peak", "month  12 ", "nine chances in ten",
		"What drives costs", "rent                 2000 USD/month  (set for this run)", "orders               30000 to 40000 orders/month  (scenario good)", "(measured: invoices of 2025)",
		"Worth measuring next: orders.", "█",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	for line := range strings.Lines(text) {
		if n := len([]rune(line)); n > 101 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestHTMLNeedsNothingElseAndEscapes(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "r.html")
	var said bytes.Buffer
	plan := filepath.Join(dir, "plan.yaml")
	if err := os.WriteFile(plan, []byte("budget:\n  cost: 300k USD\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Run(context.Background(), model(), Options{File: plan, HTML: name, Set: []string{"rent=2k"}}, io.Discard, &said); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	if strings.Count(page, "<svg") < 4 || !strings.Contains(page, "<figcaption>Costs, by month") || !strings.Contains(page, "What drives costs") {
		t.Error("pictures are missing")
	}
	if m := regexp.MustCompile(`(?i)(src|href)\s*=|@import|url\(\s*['"]?http`).FindString(page); m != "" {
		t.Errorf("the file asks for something else: %q", m)
	}
	if strings.Contains(page, "<script>") || strings.Contains(page, "<b>shop") || strings.Contains(page, "ZgotmplZ") {
		t.Error("a title was not escaped, or a value was refused by the template")
	}
	for _, want := range []string{"last year", "invoices of 2025", "measured</span>", "set for this run", "--set &#39;rent=2000 USD/month&#39;", "300k USD", "probability"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if !strings.Contains(said.String(), name) {
		t.Errorf("said %q", said.String())
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".plan-*")); len(left) > 0 {
		t.Error("a temporary file stayed")
	}
}

func TestFileAndFlagsAgreeOnWhoGoesFirst(t *testing.T) {
	plan := filepath.Join(t.TempDir(), "plan.yaml")
	if err := os.WriteFile(plan, []byte("months: 5\nsamples: 300\nseed: 9\nscenario: good\ninputs:\n  rent: 1k USD/month\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Evaluate(context.Background(), model(), Options{File: plan})
	if err != nil {
		t.Fatal(err)
	}
	if r.Months != 5 || r.Samples != 300 || r.Seed != 9 || r.Scenario != "good" || r.Inputs[2].P50 != 1000 || !strings.HasSuffix(r.Inputs[2].From, "plan.yaml, line 6") {
		t.Errorf("%+v", r.Inputs[2])
	}
	r, err = Evaluate(context.Background(), model(), Options{File: plan, Months: 2, Samples: 100, HasSeed: true, Scenario: "expected", Set: []string{"rent=3k"}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Months != 2 || r.Samples != 100 || r.Seed != 0 || r.Scenario != "expected" || r.Inputs[2].P50 != 3000 {
		t.Errorf("%+v", r)
	}
}

func TestWrongUsageIsInvalidAndNamesWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("no_such_key: 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for says, o := range map[string]Options{
		"bad.yaml:1: no_such_key":                    {File: bad},
		"missing.yaml":                               {File: filepath.Join(dir, "missing.yaml")},
		"--set orders: write INPUT=VALUE":            {Set: []string{"orders"}},
		`--set x=5: unknown input "x"`:               {Set: []string{"x=5"}},
		"--set orders=9 to 5: low 9 is above high 5": {Set: []string{"orders=9 to 5"}},
		"--set orders=5 GB: the unit is GB":          {Set: []string{"orders=5 GB"}},
		"unknown scenario":                           {Scenario: "bad"},
		"months must be 1 to 120":                    {Months: 500},
		"exclude":                                    {JSON: true, CSV: true},
		"write report " + filepath.Join(dir, "no/r"): {HTML: filepath.Join(dir, "no/r")},
	} {
		var b bytes.Buffer
		err := Run(context.Background(), model(), o, &b, io.Discard)
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), says) || b.Len() > 0 {
			t.Errorf("%v, want %q; printed %q", err, says, b.String())
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestAFullDiskIsNotASuccess(t *testing.T) {
	for _, o := range []Options{{}, {JSON: true}, {CSV: true}} {
		o.Samples = 100
		if err := Run(context.Background(), model(), o, fullDisk{}, io.Discard); err == nil {
			t.Errorf("%+v: written to a full disk", o)
		}
	}
}

func TestInitIsAFileThatRuns(t *testing.T) {
	var b bytes.Buffer
	if err := Init(model(), &b); err != nil {
		t.Fatal(err)
	}
	plan := filepath.Join(t.TempDir(), "plan.yaml")
	if err := os.WriteFile(plan, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	with, without := out(t, Options{JSON: true, File: plan}), out(t, Options{JSON: true})
	if with != without {
		t.Error("the file at its defaults gives another plan")
	}
}

// TestRoomByRuleOfThumbAndTheBandAreNeverBothOffered: who holds spare room already
// must not be told to add the way from P50 to P90 to it.
func TestRoomByRuleOfThumbAndTheBandAreNeverBothOffered(t *testing.T) {
	m := model()
	m.Reserve = "spare"
	m.Inputs = append(m.Inputs, forecast.Input{Name: "spare", Title: "Spare", Unit: "%", Default: "0 %", From: "a rule", Group: "Money"})
	m.Formulas[0].Is = "(goods + rooms) * (1 + spare)"
	both := func(set ...string) string {
		r, err := Evaluate(context.Background(), m, Options{Samples: 500, Set: set})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := errors.Join(Text(&b, r), HTML(&b, r)); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	band, thumb := []string{"above the middle", "nine times in ten"}, []string{"25 %</b>is within", "with 25 % of spare room"}
	without, with := both(), both("spare=25")
	for i := range band {
		if !strings.Contains(without, band[i]) || strings.Contains(without, thumb[i]) {
			t.Errorf("without room: %q or %q", band[i], thumb[i])
		}
		if strings.Contains(with, band[i]) || !strings.Contains(with, thumb[i]) {
			t.Errorf("with room: %q or %q", band[i], thumb[i])
		}
	}
	m.Reserve = "nothing"
	if _, err := forecast.Compile(m); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("a reserve that is no input: %v", err)
	}
}
