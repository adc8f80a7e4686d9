package forecast

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// twelve is a one-month model of twelve uncertain inputs: the size at which
// other estimators were measured.
func twelve() Model {
	m := Model{Name: "twelve", Main: "cost", Counts: []string{"thing"}}
	is := []string{}
	for i := range 12 {
		name := fmt.Sprintf("v%d", i)
		m.Inputs = append(m.Inputs, Input{Name: name, Default: fmt.Sprintf("%d to %d", i+1, 4*(i+1)), From: "test"})
		is = append(is, name)
	}
	m.Formulas = []Formula{{Name: "cost", Show: true, Is: strings.Join(is[:6], "*") + " + " + strings.Join(is[6:], "*")}}
	return m
}

// large is sixty shown formulas over thirty inputs, a third of them monthly.
func large() Model {
	m := Model{Name: "large", Main: "f59"}
	for i := range 30 {
		in := Input{Name: fmt.Sprintf("v%d", i), Default: fmt.Sprintf("%d to %d", i+1, 3*(i+1)), From: "test"}
		if i%3 == 0 {
			in.Kind, in.Autocorrelation = Variable, 0.6
		}
		m.Inputs = append(m.Inputs, in)
	}
	for i := range 60 {
		f := Formula{Name: fmt.Sprintf("f%d", i), Show: true, Is: fmt.Sprintf("v%d * v%d + v%d", i%30, (i+7)%30, (i+11)%30)}
		if i > 0 {
			f.Is += fmt.Sprintf(" + 0.5 * f%d", i-1)
		}
		if i%10 == 9 {
			f.Is = fmt.Sprintf("prev(f%d, f%d) * 1.01 + v%d", i, i-1, i%30)
		}
		m.Formulas = append(m.Formulas, f)
	}
	return m
}

// cpuSeconds is what this process has used, on all processors.
func cpuSeconds(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

func runs(b *testing.B, m Model, o Options) {
	p := compiled(b, m)
	b.ReportAllocs()
	before := cpuSeconds(b)
	for b.Loop() {
		if _, err := p.Run(context.Background(), o); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(o.Samples)*float64(b.N)/(cpuSeconds(b)-before)/1e6, "Msamples/cpu-s")
}

func BenchmarkTwelveVariables(b *testing.B) {
	runs(b, twelve(), Options{Months: 1, Samples: 100_000, Seed: 1})
}

func BenchmarkSixtyFormulasThirtySixMonths(b *testing.B) {
	runs(b, large(), Options{Months: 36, Samples: 20_000, Seed: 1})
}

func BenchmarkQuantiles(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	column := make([]float64, 20_000)
	for i := range column {
		column[i] = rnd.ExpFloat64()
	}
	b.Run("selection", func(b *testing.B) {
		var q selector
		for b.Loop() {
			q.summarise(column)
		}
	})
	b.Run("sorting", func(b *testing.B) {
		spare := make([]float64, len(column))
		for b.Loop() {
			copy(spare, column)
			slices.Sort(spare)
		}
	})
}
