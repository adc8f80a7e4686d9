package routing

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"plumb/base/errs"
)

// anyProblem draws a problem with windows, a limit, prices and few vehicles, each
// now and then. Stops that could never be served get a price.
func anyProblem(t *rapid.T) Problem {
	n := rapid.IntRange(1, 30).Draw(t, "stops")
	places := make([]Point, n)
	p := Problem{Stops: make([]Stop, n)}
	for i := range places {
		places[i] = Point{float64(rapid.IntRange(0, 100).Draw(t, "x")), float64(rapid.IntRange(0, 100).Draw(t, "y"))}
	}
	p.Cost = Euclid(places, nil)
	if rapid.Bool().Draw(t, "one-way streets") {
		p.Cost = FromFunc(n, func(i, j int) float64 { return float64((i*7919+j*104729)%97 + 1) })
	}
	if rapid.Bool().Draw(t, "own times") {
		p.Time = p.Cost.Scaled(0.5)
	}
	p.Capacity = int64(rapid.IntRange(0, 30).Draw(t, "capacity"))
	p.Vehicles = rapid.IntRange(0, 4).Draw(t, "vehicles")
	if rapid.Bool().Draw(t, "limited") {
		p.Limit = float64(rapid.IntRange(1, 600).Draw(t, "limit"))
	}
	windows := rapid.Bool().Draw(t, "windows")
	for i := 1; i < n; i++ {
		s := &p.Stops[i]
		s.Demand, s.Service = int64(rapid.IntRange(0, 10).Draw(t, "demand")), float64(rapid.IntRange(0, 10).Draw(t, "service"))
		if windows && rapid.Bool().Draw(t, "window") {
			s.Ready = float64(rapid.IntRange(0, 200).Draw(t, "ready"))
			s.Due = s.Ready + float64(rapid.IntRange(1, 100).Draw(t, "width"))
		}
		if rapid.Bool().Draw(t, "priced") || p.Vehicles > 0 || p.alone(i) != "" {
			s.Penalty = float64(rapid.IntRange(1, 300).Draw(t, "price"))
		}
	}
	return p
}

func TestSolutionsKeepTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyProblem(t)
		o := Options{Iterations: 300, Seed: rapid.Uint64().Draw(t, "seed")}
		s, err := Solve(context.Background(), p, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Check(s); err != nil {
			t.Fatalf("%v\n%+v", err, s)
		}
		again, err := Solve(context.Background(), p, o)
		if err != nil || !reflect.DeepEqual(s, again) {
			t.Fatalf("the same seed gave another solution: %+v and %+v, %v", s, again, err)
		}
		o.Start = s.Routes
		better, err := Solve(context.Background(), p, o)
		if err != nil || better.Cost > s.Cost*(1+1e-9) {
			t.Fatalf("from %g to %g, %v", s.Cost, better.Cost, err)
		}
		if err := p.Check(better); err != nil {
			t.Fatal(err)
		}
	})
}

// best tries every order of every choice of stops, for one vehicle.
func best(p *Problem, route []int, left []int) float64 {
	lowest := math.Inf(1)
	if _, ok := p.back(route); ok {
		lowest = p.Length(route)
		for _, i := range left {
			lowest += p.Stops[i].Penalty
		}
	}
	for k, i := range left {
		rest := append(append([]int(nil), left[:k]...), left[k+1:]...)
		lowest = min(lowest, best(p, append(route[:len(route):len(route)], i), rest))
	}
	return lowest
}

func TestSmallOnesAreSolvedExactly(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		places := make([]Point, 7)
		for i := range places {
			places[i] = Point{r.Float64() * 100, r.Float64() * 100}
		}
		p := Problem{Stops: make([]Stop, 7), Cost: Euclid(places, nil), Vehicles: 1, Limit: 150 + 250*r.Float64()}
		var all []int
		for i := 1; i < 7; i++ {
			p.Stops[i] = Stop{Service: 5, Penalty: 20 + 100*r.Float64()}
			if r.IntN(3) == 0 {
				p.Stops[i].Ready, p.Stops[i].Due = 40, 120
			}
			all = append(all, i)
		}
		s, err := Solve(context.Background(), p, Options{Iterations: 5000, Seed: 1})
		if want := best(&p, nil, all); err != nil || s.Cost > want*(1+1e-9) {
			t.Errorf("%g, the best is %g; %v", s.Cost, want, err)
		}
	}
}

func TestFaultsAreNamed(t *testing.T) {
	square := Euclid([]Point{{0, 0}, {0, 10}, {10, 0}}, nil)
	good := func() Problem { return Problem{Stops: make([]Stop, 3), Cost: square} }
	for name, change := range map[string]func(*Problem){
		"no depot":            func(p *Problem) { p.Stops = nil },
		"another matrix":      func(p *Problem) { p.Stops = p.Stops[:2] },
		"negative demand":     func(p *Problem) { p.Stops[1].Demand = -1 },
		"no number":           func(p *Problem) { p.Stops[1].Service = math.NaN() },
		"too much":            func(p *Problem) { p.Stops[1].Demand, p.Capacity = 5, 4 },
		"too far":             func(p *Problem) { p.Limit = 19 },
		"window ends first":   func(p *Problem) { p.Stops[1].Ready, p.Stops[1].Due = 5, 4 },
		"window out of reach": func(p *Problem) { p.Stops[1].Due = 9 },
		"negative drive":      func(p *Problem) { p.Cost = square.Scaled(-1) },
	} {
		p := good()
		change(&p)
		if _, err := Solve(context.Background(), p, Options{Iterations: 1}); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := good()
	if _, err := Solve(context.Background(), p, Options{}); !errs.Is(err, errs.Invalid) {
		t.Errorf("without a budget: %v", err)
	}
	p.Stops[1].Demand, p.Stops[2].Demand, p.Capacity, p.Vehicles = 3, 3, 4, 1
	if s, err := Solve(context.Background(), p, Options{Iterations: 10}); !errs.Is(err, errs.Conflict) || len(s.Dropped) != 1 {
		t.Errorf("too few vehicles: %+v, %v", s, err)
	}
	p.Stops[2].Penalty = 1
	s, err := Solve(context.Background(), p, Options{Iterations: 10})
	if err != nil || !reflect.DeepEqual(s.Dropped, []int{2}) {
		t.Errorf("a stop with a price: %+v, %v", s, err)
	}
	s.Cost--
	if p.Check(s) == nil {
		t.Error("Check believes a wrong cost")
	}
	s.Cost, s.Routes = 0, [][]int{{1, 1}}
	if p.Check(s) == nil {
		t.Error("Check lets a stop stand twice")
	}
}

func TestSolveEndsWithItsContext(t *testing.T) {
	p := city(200, 7)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	s, err := Solve(ctx, p, Options{CPU: time.Hour, Seed: 1})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if err := p.Check(s); err != nil {
		t.Error(err)
	}
}

// A city of stops about a depot, such as a night's visits: about ten to a route.
func city(n int, seed uint64) Problem {
	r := rand.New(rand.NewPCG(seed, 0))
	places, stops := make([]Point, n), make([]Stop, n)
	for i := range places {
		places[i] = Point{math.Round(r.Float64() * 1000), math.Round(r.Float64() * 1000)}
		if i > 0 {
			stops[i].Demand = 1 + r.Int64N(100)
		}
	}
	return Problem{Stops: stops, Cost: Euclid(places, Nearest), Capacity: 500}
}

func TestBetterThanSavings(t *testing.T) {
	for _, n := range []int{100, 200} {
		p := city(n, 3)
		s, err := Solve(context.Background(), p, Options{Iterations: 100_000, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		plain := savings(&p)
		if gain := 100 * (1 - s.Cost/plain); gain < 2 {
			t.Errorf("%d stops: %.0f, only %.1f%% better than savings with %.0f", n, s.Cost, gain, plain)
		}
	}
}

// savings is the heuristic of Clarke and Wright (1964), the usual yardstick.
func savings(p *Problem) float64 {
	n := len(p.Stops)
	route, load := make([]int, n), make([]int64, n)
	routes := make([][]int, n)
	for i := 1; i < n; i++ {
		route[i], load[i], routes[i] = i, p.Stops[i].Demand, []int{i}
	}
	for {
		bi, bj, most := 0, 0, 1e-9
		for i := 1; i < n; i++ {
			for j := 1; j < n; j++ {
				a, b := route[i], route[j]
				if a == b || load[a]+load[b] > p.Capacity || routes[a][len(routes[a])-1] != i || routes[b][0] != j {
					continue
				}
				if v := p.Cost.At(i, 0) + p.Cost.At(0, j) - p.Cost.At(i, j); v > most {
					bi, bj, most = i, j, v
				}
			}
		}
		if bi == 0 {
			break
		}
		a, b := route[bi], route[bj]
		for _, v := range routes[b] {
			route[v] = a
		}
		routes[a], load[a], routes[b] = append(routes[a], routes[b]...), load[a]+load[b], nil
	}
	sum := 0.0
	for _, r := range routes {
		if r != nil {
			sum += p.Length(r)
		}
	}
	return sum
}

func ExampleSolve() {
	places := []Point{{0, 0}, {3, 4}, {6, 8}, {0, 5}} // the depot first
	p := Problem{
		Stops:    []Stop{{}, {Demand: 4}, {Demand: 4}, {Demand: 4}},
		Cost:     Euclid(places, nil),
		Capacity: 8,
	}
	s, err := Solve(context.Background(), p, Options{Iterations: 1000, Seed: 1})
	fmt.Println(len(s.Routes), "routes, cost", s.Cost, err)
	// Output: 2 routes, cost 30 <nil>
}

// The gap to the best solution known is measured by `plumb vending route`, which
// knows the .sol files beside the instances; this is the speed of a step.
func BenchmarkStep(b *testing.B) {
	for _, n := range []int{100, 200, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := city(n, 1)
			b.ReportAllocs()
			if _, err := Solve(context.Background(), p, Options{Iterations: b.N, Seed: 1}); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkSavings sets the plain heuristic beside a second of search.
func BenchmarkSavings(b *testing.B) {
	p := city(200, 1)
	for b.Loop() {
		b.ReportMetric(savings(&p), "cost")
	}
	s, err := Solve(context.Background(), p, Options{CPU: time.Second, Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(s.Cost, "cost-after-1s")
}
