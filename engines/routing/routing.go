// Package routing plans the routes of vehicles: who visits which stop, in which
// order, with bounds on what a vehicle carries, on when it must be back and on
// when a stop may be served. Stops that may be left out have a price for it, so
// that too few vehicles give the best plan there is and no error.
//
//	places := []routing.Point{{0, 0}, {3, 4}, {6, 8}, {0, 5}} // the depot first
//	p := routing.Problem{
//		Stops:    []routing.Stop{{}, {Demand: 4}, {Demand: 4}, {Demand: 4}},
//		Cost:     routing.Euclid(places, nil),
//		Capacity: 8,
//	}
//	s, err := routing.Solve(ctx, p, routing.Options{CPU: time.Second, Seed: 1})
//	for _, route := range s.Routes { ... } // numbers of stops, the depot left out
//
// The method is ruin and recreate with simulated annealing: J. Christiaens and
// G. Vanden Berghe, "Slack Induction by String Removals for Vehicle Routing
// Problems", Transportation Science 54(2), 2020. Ours undoes a refused step in
// place instead of copying the solution, and tries a stop beside its nearest
// neighbours first, so that a step costs about the same in a city of 100 stops
// and of 1,000.
//
// What holds: a solution that Solve returns passes Problem.Check; with a number
// of iterations instead of a time, the same seed gives the same solution on every
// machine.
package routing

import (
	"math"

	"plumb/base/errs"
)

// MaxStops bounds the stops of a problem, the depot included: the matrix of
// more takes too much memory. Split a larger area into districts.
const MaxStops = 4000

// Stop is a place to serve. The first of a problem is the depot, of which only
// Ready and Due are looked at.
type Stop struct {
	Demand  int64   // units, >= 0
	Service float64 // time spent there, >= 0
	// Service must begin in Ready to Due, in the time of Problem.Time; a
	// vehicle that comes early waits. Due 0: at any time.
	Ready, Due float64
	// Penalty is the cost of leaving the stop out; 0: it must be served.
	Penalty float64
}

// Problem is what is to be planned. Routes begin and end at Stops[0].
type Problem struct {
	Stops    []Stop
	Cost     Matrix  // of driving from a stop to another
	Time     Matrix  // of driving; the zero Matrix: Cost
	Vehicles int     // at most so many routes; 0: any number
	Capacity int64   // units that a vehicle carries; 0: any number
	Limit    float64 // every route begins at time 0 and is back by this; 0: at any time
}

// Solution is a plan.
type Solution struct {
	Routes     [][]int // numbers of stops in the order of driving, the depot left out
	Dropped    []int   // stops that are left out, in ascending order
	Cost       float64 // of driving, and the penalties of what is left out
	Iterations int     // steps that were tried
}

// eps is the tolerance of sums of floating point numbers, relative to them.
const eps = 1e-9

// valid names the first fault of the problem.
func (p *Problem) valid() error {
	n := len(p.Stops)
	bad := func(format string, args ...any) error { return errs.New(errs.Invalid, format, args...) }
	switch {
	case n < 1:
		return bad("a problem needs a depot, its first stop")
	case n > MaxStops:
		return bad("%d stops are more than %d: split them into districts", n, MaxStops)
	case p.Cost.n != n:
		return bad("the cost matrix has %d rows for %d stops", p.Cost.n, n)
	case p.Time.n != 0 && p.Time.n != n:
		return bad("the time matrix has %d rows for %d stops", p.Time.n, n)
	case p.Vehicles < 0 || p.Capacity < 0 || !(p.Limit >= 0) || math.IsInf(p.Limit, 0):
		return bad("vehicles, capacity and limit must not be negative")
	}
	for _, m := range []Matrix{p.Cost, p.Time} {
		for i, v := range m.v {
			if !(v >= 0 && v <= 1e12) {
				return bad("driving from stop %d to stop %d is %g: it must be 0 to 1e12", i/n, i%n, v)
			}
		}
	}
	for i, s := range p.Stops {
		if s.Demand < 0 || s.Demand > 1e12 {
			return bad("stop %d: demand %d must be 0 to 1e12", i, s.Demand)
		}
		for _, v := range []float64{s.Service, s.Ready, s.Due, s.Penalty} {
			if !(v >= 0 && v <= 1e12) {
				return bad("stop %d: service, ready, due and penalty must be 0 to 1e12, not %g", i, v)
			}
		}
		if s.Due > 0 && s.Due < s.Ready {
			return bad("stop %d: its window ends at %g, before it begins at %g", i, s.Due, s.Ready)
		}
		if i > 0 && s.Penalty == 0 {
			if why := p.alone(i); why != "" {
				return bad("stop %d can never be served: %s", i, why)
			}
		}
	}
	return nil
}

// alone says why no vehicle can serve stop i even on a route of its own; "" when
// one can.
func (p *Problem) alone(i int) string {
	s := p.Stops[i]
	if p.Capacity > 0 && s.Demand > p.Capacity {
		return "its demand is more than a vehicle carries"
	}
	if _, ok := p.back([]int{i}); !ok {
		return "it is not reached in its window, or the vehicle is not back in time"
	}
	return ""
}

// time returns the matrix of driving times.
func (p *Problem) time() Matrix {
	if p.Time.n == 0 {
		return p.Cost
	}
	return p.Time
}

// end is when a vehicle must be back.
func (p *Problem) end() float64 {
	end := math.Inf(1)
	if p.Limit > 0 {
		end = p.Limit
	}
	if d := p.Stops[0].Due; d > 0 {
		end = min(end, d)
	}
	return end
}

// back drives a route and returns when the vehicle is back, and whether every
// window and the limit are kept.
func (p *Problem) back(route []int) (float64, bool) {
	t, m, at := p.Stops[0].Ready, p.time(), 0
	for _, i := range route {
		t += m.At(at, i)
		s := p.Stops[i]
		t = max(t, s.Ready)
		if s.Due > 0 && t > s.Due*(1+eps) {
			return t, false
		}
		t += s.Service
		at = i
	}
	t += m.At(at, 0)
	return t, t <= p.end()*(1+eps)
}

// Times returns when service begins at each stop of a route, and when the
// vehicle is back.
func (p *Problem) Times(route []int) (begin []float64, back float64) {
	t, m, at := p.Stops[0].Ready, p.time(), 0
	for _, i := range route {
		t = max(t+m.At(at, i), p.Stops[i].Ready)
		begin = append(begin, t)
		t += p.Stops[i].Service
		at = i
	}
	return begin, t + m.At(at, 0)
}

// Length returns the cost of driving a route.
func (p *Problem) Length(route []int) float64 {
	c, at := 0.0, 0
	for _, i := range route {
		c += p.Cost.At(at, i)
		at = i
	}
	return c + p.Cost.At(at, 0)
}

// Check drives the whole solution anew and returns an error (Invalid) that names
// the first rule which it breaks: every stop once or left out, capacity, windows,
// limit, vehicles, cost.
func (p *Problem) Check(s Solution) error {
	bad := func(format string, args ...any) error { return errs.New(errs.Invalid, format, args...) }
	if err := p.valid(); err != nil {
		return err
	}
	if p.Vehicles > 0 && len(s.Routes) > p.Vehicles {
		return bad("%d routes for %d vehicles", len(s.Routes), p.Vehicles)
	}
	seen := make([]bool, len(p.Stops))
	once := func(i int) error {
		if i < 1 || i >= len(p.Stops) {
			return bad("there is no stop %d", i)
		}
		if seen[i] {
			return bad("stop %d stands twice", i)
		}
		seen[i] = true
		return nil
	}
	cost := 0.0
	for k, route := range s.Routes {
		if len(route) == 0 {
			return bad("route %d is empty", k+1)
		}
		var load int64
		for _, i := range route {
			if err := once(i); err != nil {
				return err
			}
			load += p.Stops[i].Demand
		}
		if p.Capacity > 0 && load > p.Capacity {
			return bad("route %d carries %d of %d", k+1, load, p.Capacity)
		}
		if back, ok := p.back(route); !ok {
			return bad("route %d misses a window, or is back at %g only", k+1, back)
		}
		cost += p.Length(route)
	}
	for _, i := range s.Dropped {
		if err := once(i); err != nil {
			return err
		}
		if p.Stops[i].Penalty == 0 {
			return bad("stop %d is left out, and must be served", i)
		}
		cost += p.Stops[i].Penalty
	}
	for i := 1; i < len(seen); i++ {
		if !seen[i] {
			return bad("stop %d is neither served nor left out", i)
		}
	}
	if math.Abs(cost-s.Cost) > 1e-6*max(1, cost) {
		return bad("the cost is %g, not %g", cost, s.Cost)
	}
	return nil
}
