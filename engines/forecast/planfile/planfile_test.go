package planfile

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"plumb/base/errs"
	"plumb/engines/forecast"
)

func model() forecast.Model {
	return forecast.Model{
		Name: "shop", Title: "a shop", Main: "cost", Counts: []string{"order"},
		Inputs: []forecast.Input{
			{Name: "orders", Title: "Orders", Unit: "orders/month", Default: "5k to 20k orders/month", From: "last year", Group: "Trade"},
			{Name: "price", Title: "Cost of an order", Unit: "USD/order", Default: "discrete(1: 0.7, 2: 0.3) USD/order", From: "invoices", Measured: true, Group: "Money"},
			{Name: "growth", Title: "Growth a month", Unit: "%", Default: "-1 to 3 %", From: "a guess", Kind: forecast.Variable, Autocorrelation: 0.5, Signed: true, Group: "Money"},
			{Name: "plain", Title: "A plain number", Default: "3", From: "a guess", Group: "Money"},
		},
		Formulas: []forecast.Formula{
			{Name: "grown", Is: "prev(grown, 1) * (1 + growth)"},
			{Name: "cost", Title: "Costs", Unit: "USD/month", Is: "orders * grown * price * plain", Show: true},
		},
		Scenarios: []forecast.Scenario{{Name: "good", Note: "much trade", Set: map[string]string{"orders": "30k orders/month"}}},
	}
}

func ExampleRead() {
	file := "inputs:\n  orders: 5k to 20k orders/month\n  price: 3 to 2 USD/order\nmont: 12\n"
	_, err := Read("plan.yaml", []byte(file), model())
	fmt.Println(err)
	// Output:
	// plan.yaml:3: inputs.price: low 3 is above high 2
	// plan.yaml:4: mont: unknown key "mont"; there are system, months, samples, seed, scenario, inputs, correlations, scenarios, budget
}

func TestWhatIsWrittenReadsBackAsTheDefaults(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, model()); err != nil {
		t.Fatal(err)
	}
	f, err := Read("plan.yaml", b.Bytes(), model())
	if err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	if !reflect.DeepEqual(f.Model.Inputs, model().Inputs) {
		t.Errorf("%+v", f.Model.Inputs)
	}
	if f.Months != 12 || f.Samples != 20000 || f.Seed != 1 || !f.HasSeed || f.Scenario != forecast.Expected {
		t.Errorf("%+v", f)
	}
	for _, in := range model().Inputs {
		for _, text := range []string{in.Title, in.From, "Default: " + in.Default, "\n  " + in.Name + ":"} {
			if !strings.Contains(b.String(), text) {
				t.Errorf("the file does not say %q", text)
			}
		}
	}
}

const full = `
system: shop
months: 24
samples: 5_000
seed: 42
scenario: mine
inputs:
  orders:
    value: 1k to 2k orders/month
    kind: variable
    autocorrelation: 0.25
    from: counted on 3 November
    measured: true
  price: 2 USD/order
  growth: {kind: unknown}
correlations:
  - {a: price, b: plain, rho: 0.4}
scenarios:
  mine:
    note: what we hope for
    set: {plain: 4}
  good:
    set: {plain: 5}
budget:
  cost: 30k USD
`

func TestAFullFileIsRead(t *testing.T) {
	f, err := Read("p.yaml", []byte(full), model())
	if err != nil {
		t.Fatal(err)
	}
	in := f.Model.Inputs
	if o := in[0]; o.Default != "1k to 2k orders/month" || o.Kind != forecast.Variable || o.Autocorrelation != 0.25 || !o.Measured || o.From != "counted on 3 November" {
		t.Errorf("orders %+v", o)
	}
	if o := in[1]; o.Default != "2 USD/order" || o.Measured || o.From != "p.yaml, line 14" {
		t.Errorf("price %+v", o)
	}
	if o := in[2]; o.Kind != forecast.Unknown || o.Autocorrelation != 0 || o.Default != "-1 to 3 %" {
		t.Errorf("growth %+v", o)
	}
	if f.Months != 24 || f.Samples != 5000 || f.Seed != 42 || f.Scenario != "mine" || f.Budget["cost"] != 30e3 || len(f.Model.Correlations) != 1 {
		t.Errorf("%+v", f)
	}
	// A scenario of the same name replaces the model's.
	if len(f.Model.Scenarios) != 2 || f.Model.Scenarios[1].Name != "good" || f.Model.Scenarios[1].Set["plain"] != "5" {
		t.Errorf("%+v", f.Model.Scenarios)
	}
	if m := model(); !reflect.DeepEqual(m, model()) || m.Inputs[1].Default != "discrete(1: 0.7, 2: 0.3) USD/order" {
		t.Error("the model that was given has changed")
	}
	p, err := forecast.Compile(f.Model)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Run(context.Background(), forecast.Options{Samples: 100, Scenario: "mine"}); err != nil {
		t.Error(err)
	}
}

func TestEachFaultIsNamedWithFileLineAndKey(t *testing.T) {
	for file, says := range map[string]string{
		"no_such_key: 5":                                 `bad.yaml:1: no_such_key: unknown key "no_such_key"`,
		"inputs:\n  nobody: 5":                           `bad.yaml:2: inputs.nobody: unknown key "nobody"; there are orders, price, growth, plain`,
		"inputs:\n  orders: 9 to 5 orders":               "bad.yaml:2: inputs.orders: low 9 is above high 5",
		"inputs:\n  orders: 5k to 20k":                   `bad.yaml:2: inputs.orders: a unit is missing: write "5k to 20k orders/month"`,
		"inputs:\n  orders: -5 to 20 orders/month":       "bad.yaml:2: inputs.orders: orders cannot be negative",
		"inputs:\n  orders: 5 bytes":                     "the unit is bytes, but orders is measured in orders/month",
		"inputs:\n  orders: {value: [1]}":                "bad.yaml:2: inputs.orders.value: needs a value",
		"inputs:\n  orders: {valve: 1}":                  `inputs.orders.valve: unknown key "valve"`,
		"inputs:\n  orders: {kind: odd}":                 `must be unknown or variable, not "odd"`,
		"inputs:\n  orders: {autocorrelation: 1}":        "must be 0 to below 1",
		"inputs:\n  orders: {autocorrelation: 0.5}":      "belongs to an input of kind variable",
		"inputs:\n  orders: {measured: 5}":               "must be true or false",
		"inputs:\n  orders: 5 orders/month\n  orders: 6": "bad.yaml:3: inputs.orders: stands twice; first in line 2",
		"inputs: 5":         "bad.yaml:1: inputs: must hold keys with values",
		"- 5":               "bad.yaml:1: must hold keys with values",
		"system: bakery":    `system: the file is for "bakery", not for shop`,
		"scenario: nowhere": `bad.yaml:1: scenario: there is no scenario "nowhere"`,
		"months: many":      "months: must be a whole number of 1 to 120",
		"samples: 0":        "samples: must be a whole number of 1 to",
		"seed: -1":          "seed: must be a whole number",
		"scenarios:\n  s:\n    set:\n      nobody: 5":        `bad.yaml:4: scenarios.s.set.nobody: unknown input "nobody"`,
		"scenarios:\n  s:\n    sets: {}":                     `unknown key "sets"`,
		"scenarios:\n  expected: {}":                         "without changes",
		"budget:\n  nothing: 5 USD":                          `budget.nothing: unknown output "nothing"`,
		"budget:\n  cost: 5":                                 `a unit is missing: write "5 USD"`,
		"correlations: 5":                                    "must be a list",
		"correlations:\n  - {a: plain, b: nobody, rho: 0.5}": "bad.yaml:2: correlations[0]: model shop: correlation of plain and nobody",
		"correlations:\n  - {a: plain, b: price, rho: much}": "is not a number",
		"correlations:\n  - {a: plain, c: price}":            `unknown key "c"`,
		"inputs: &x\n  plain: 5\nbudget: *x":                 "aliases",
		"inputs:\n\t- broken":                                "bad.yaml: line 2",
		"months: 12\nmonths: 13\nno: 1":                      "bad.yaml:2: months: stands twice",
	} {
		_, err := Read("bad.yaml", []byte(file), model())
		if err == nil || !strings.Contains(err.Error(), says) || !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v\nwant it to say %q", file, err, says)
		}
	}
	if _, err := Read("big.yaml", bytes.Repeat([]byte(" "), MaxSize+1), model()); !errs.Is(err, errs.TooLarge) {
		t.Error(err)
	}
	many := strings.Repeat("x: 1\n", 0)
	for i := range 50 {
		many += fmt.Sprintf("key%d: 1\n", i)
	}
	if _, err := Read("bad.yaml", []byte(many), model()); err == nil || strings.Count(err.Error(), "\n") != most || !strings.HasSuffix(err.Error(), "and 30 more") {
		t.Error(err)
	}
}

func TestAnEmptyFileChangesNothing(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "inputs:\n", "---\n"} {
		f, err := Read("p.yaml", []byte(text), model())
		if err != nil || !reflect.DeepEqual(f.Model.Inputs, model().Inputs) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := Write(&b, model()); err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{b.String(), full, "a: &a [*a]", "inputs: {orders: {}}", "? [x]\n: 5", "\x00", "inputs:\n  orders: !!binary 5"} {
		f.Add([]byte(s))
	}
	m := model()
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Read("fuzz.yaml", data, m)
		if err != nil {
			if errs.KindOf(err) == errs.Internal {
				t.Errorf("not classified: %v", err)
			}
			return
		}
		// What was read without a fault must compile.
		if _, err := forecast.Compile(file.Model); err != nil {
			t.Errorf("%q: %v", data, err)
		}
	})
}
