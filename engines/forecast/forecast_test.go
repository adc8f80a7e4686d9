package forecast

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"sync"
	"testing"
)

// compiled compiles m or ends the test.
func compiled(t testing.TB, m Model) *Program {
	t.Helper()
	p, err := Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ran(t testing.TB, m Model, o Options) *Result {
	t.Helper()
	r, err := compiled(t, m).Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// near says whether got is within the share tol of want.
func near(got, want, tol float64) bool { return math.Abs(got-want) <= tol*math.Abs(want) }

func photos(users, size string) Model {
	return Model{
		Name: "photos", Main: "stored",
		Inputs: []Input{
			{Name: "users", Unit: "users", Default: users, From: "a guess"},
			{Name: "photo_size", Unit: "MB/file", Default: size, From: "a sample of 300"},
			{Name: "uploads", Unit: "files/user/month", Default: "20 files/user/month", From: "a guess"},
		},
		Formulas: []Formula{
			{Name: "stored", Unit: "TB", Is: `sum(new_bytes * q("1 month"))`, Show: true, Total: Last},
			{Name: "new_bytes", Unit: "GB/month", Is: "users * uploads * photo_size", Show: true},
		},
	}
}

func Example() {
	p, err := Compile(Model{
		Name: "photos", Main: "stored",
		Inputs: []Input{
			{Name: "users", Unit: "users", Default: "10k to 40k users", From: "a guess"},
			{Name: "photo_size", Unit: "MB/file", Default: "2 to 4 MB/file", From: "a sample of 300"},
			{Name: "uploads", Unit: "files/user/month", Default: "20 files/user/month", From: "a guess"},
		},
		Formulas: []Formula{
			{Name: "new_bytes", Unit: "GB/month", Is: "users * uploads * photo_size"},
			{Name: "stored", Unit: "TB", Is: `sum(new_bytes * q("1 month"))`, Show: true, Total: Last},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := p.Run(context.Background(), Options{Months: 12, Samples: 20_000, Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("after a year, nine chances in ten: at most %.0f TB\n", r.Outputs[0].Months[11].P90)
	fmt.Printf("driven most by %s\n", r.Drivers[0].Input)
	// Output:
	// after a year, nine chances in ten: at most 25 TB
	// driven most by users
}

func TestCertainInputsGiveTheFormulaExactly(t *testing.T) {
	r := ran(t, photos("1000 to 1000 users", "3 to 3 MB/file"), Options{Months: 12, Samples: 100, Seed: 1})
	for i, b := range r.Output("stored").Months {
		want := 1000 * 20 * 3 * float64(i+1) / 1e6 // MB to TB
		if b.P5 != b.P95 || !near(b.P50, want, 1e-12) {
			t.Errorf("month %d: %+v, want %g TB", i+1, b, want)
		}
	}
	if got := r.Output("new_bytes").Total.P50; !near(got, 720, 1e-12) || r.Output("new_bytes").TotalUnit != "GB" {
		t.Errorf("a year's new bytes: %g %s, want 720 GB", got, r.Output("new_bytes").TotalUnit)
	}
}

func TestProductOfLognormalsIsTheClosedForm(t *testing.T) {
	r := ran(t, photos("10k to 40k users", "2 to 4 MB/file"), Options{Months: 1, Samples: 200_000, Seed: 7})
	mu := (math.Log(10e3)+math.Log(40e3))/2 + (math.Log(2)+math.Log(4))/2 + math.Log(20)
	sigma := math.Hypot(math.Log(4)/(2*z95), math.Log(2)/(2*z95))
	got := r.Output("new_bytes").Months[0]
	for _, c := range []struct{ p, got float64 }{{0.05, got.P5}, {0.1, got.P10}, {0.5, got.P50}, {0.9, got.P90}, {0.95, got.P95}} {
		want := math.Exp(mu+sigma*normalQuantile(c.p)) / 1000 // MB to GB
		if !near(c.got, want, 0.01) {
			t.Errorf("P%g = %g, closed form %g", 100*c.p, c.got, want)
		}
	}
}

func TestDoublingAProportionalInputDoublesTheOutput(t *testing.T) {
	p := compiled(t, photos("10k to 40k users", "2 to 4 MB/file"))
	total := func(text string) float64 {
		rg, err := p.ReadRange("users", text, true)
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Run(context.Background(), Options{Samples: 4000, Seed: 3, Set: map[string]Range{"users": rg}})
		if err != nil {
			t.Fatal(err)
		}
		return r.Output("stored").Total.P50
	}
	if one, two := total("1_000_000"), total("2M"); !near(two, 2*one, 1e-12) {
		t.Errorf("one million users store %g, two million %g", one, two)
	}
}

func TestTheSameSeedGivesTheSameResultOnAnyNumberOfProcessors(t *testing.T) {
	m := photos("10k to 40k users", "2 to 4 MB/file")
	m.Inputs[2].Kind, m.Inputs[2].Autocorrelation, m.Inputs[2].Default = Variable, 0.5, "10 to 30 files/user/month"
	o := Options{Months: 6, Samples: 5000, Seed: 9}
	one := ran(t, m, o)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(7))
	if many := ran(t, m, o); !reflect.DeepEqual(one, many) {
		t.Error("the result depends on GOMAXPROCS")
	}
	o.Seed = 10
	if other := ran(t, m, o); reflect.DeepEqual(one.Outputs, other.Outputs) {
		t.Error("another seed gave the same samples")
	}
}

func TestOneProgramServesManyAtOnce(t *testing.T) {
	p := compiled(t, photos("10k to 40k users", "2 to 4 MB/file"))
	o := Options{Months: 3, Samples: 3000, Seed: 1}
	want, err := p.Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if got, err := p.Run(context.Background(), o); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("beside others: %v, %v", got, err)
			}
		})
	}
	all.Wait()
}
