package routing

import (
	"context"
	"math"
	"runtime"
	"slices"
	"time"

	"plumb/base/errs"
)

// Options say how long to search.
type Options struct {
	// CPU is the processor time to use; on systems that do not tell a thread's,
	// time by the clock. Iterations bounds the steps instead, or besides, and
	// alone makes the result the same on every machine. One of both must be given.
	CPU        time.Duration
	Iterations int
	Seed       uint64
	// Start are routes to begin from, such as yesterday's, or those to which a
	// stop is added: then only small changes for the better are made at first.
	// Stops that break a rule there are taken out and inserted anew.
	Start [][]int
	// Progress is called some times a second; nil: nobody asks.
	Progress func(Progress)
}

// Progress is how far a search is.
type Progress struct {
	Share      float64 // of the budget that is used, 0 to 1
	Iterations int
	Cost       float64 // of the best solution so far
}

// The annealing begins at a temperature of hot times the mean drive of the first
// solution, and ends at cold times that.
const (
	hot  = 0.12
	warm = 0.02 // from given routes
	cold = 0.002

	// generousEvery is how often stops are inserted whatever they cost.
	generousEvery = 16

	// stride is how many steps are made between two looks at the clock.
	stride = 128
)

// Solve searches until its budget is used or ctx ends; then it returns the best
// solution so far, in the second case with ctx's error beside it. Errors: Invalid
// for a problem that is not sound; Conflict, with the solution, when there are
// too few vehicles for the stops that must be served.
func Solve(ctx context.Context, p Problem, o Options) (Solution, error) {
	if err := p.valid(); err != nil {
		return Solution{}, err
	}
	if o.CPU <= 0 && o.Iterations <= 0 {
		return Solution{}, errs.New(errs.Invalid, "a search needs a time or a number of iterations")
	}
	if len(p.Stops) == 1 {
		return Solution{}, ctx.Err()
	}
	runtime.LockOSThread() // the time is this thread's
	defer runtime.UnlockOSThread()
	s := newSearch(&p, o.Seed)
	begin := hot
	if len(o.Start) > 0 {
		begin = warm
		s.adopt(o.Start)
	}
	var best snapshot
	s.save(&best)
	s.recreate(0, true)
	if s.total < best.total {
		s.save(&best)
	}
	iterations := s.anneal(ctx, o, begin, &best)
	sol := best.solution(&p, iterations)
	for _, i := range sol.Dropped {
		if p.Stops[i].Penalty == 0 {
			return sol, errs.New(errs.Conflict, "%d stops are left out for want of vehicles, and stop %d of them must be served", len(sol.Dropped), i)
		}
	}
	return sol, ctx.Err()
}

// budget tells which share of time and steps is used.
type budget struct {
	cpu, from time.Duration
	steps     int
}

func (b budget) used(done int) float64 {
	share := 0.0
	if b.steps > 0 {
		share = float64(done) / float64(b.steps)
	}
	if b.cpu > 0 {
		share = max(share, float64(threadTime()-b.from)/float64(b.cpu))
	}
	return share
}

// anneal makes steps while the temperature falls, and keeps the best in best.
func (s *search) anneal(ctx context.Context, o Options, begin float64, best *snapshot) (done int) {
	b := budget{o.CPU, threadTime(), o.Iterations}
	mean := max(s.paid(), 1e-9) / float64(s.n-len(s.absent)+s.used)
	t, cooling := begin*mean, math.Log(cold/begin)
	told := time.Duration(0)
	for {
		if done%stride == 0 {
			share := b.used(done)
			if share >= 1 || ctx.Err() != nil {
				return done
			}
			t = begin * mean * math.Exp(cooling*share)
			if now := threadTime(); o.Progress != nil && now-told > 200*time.Millisecond {
				told = now
				o.Progress(Progress{share, done, best.total})
			}
		}
		if b.steps > 0 && done == b.steps {
			return done
		}
		done++
		s.step(t, best)
	}
}

// paid is the cost without that of stops which must be served and are not.
func (s *search) paid() float64 {
	sum := s.total
	for _, i := range s.absent {
		if !s.optional[i] {
			sum -= s.fine[i]
		}
	}
	return sum
}

// step ruins and recreates, and goes back unless the result is better, or worse
// by no more than the temperature allows.
func (s *search) step(t float64, best *snapshot) {
	before := s.total
	s.kept = append(s.kept[:0], s.absent...)
	s.done, s.dirty = s.done[:0], s.dirty[:0]
	from := s.rest(len(s.absent))
	s.ruin()
	s.recreate(from, len(s.absent) > 0 && s.rand.below(generousEvery) == 0)
	if s.total >= before-t*math.Log(s.rand.unit()+1e-300) || s.timed && s.anyLate() {
		s.rollback(before)
		s.absent = append(s.absent[:0], s.kept...)
		return
	}
	if s.total < best.total*(1-1e-12) {
		s.save(best)
	}
}

// anyLate says whether the step left a route late.
func (s *search) anyLate() bool {
	return slices.ContainsFunc(s.dirty, func(r int32) bool { return s.late[r] })
}

// adopt takes over given routes as far as they keep the rules.
func (s *search) adopt(routes [][]int) {
	for _, route := range routes {
		if len(s.free) == 0 {
			break
		}
		if s.adoptWhole(route) {
			continue
		}
		r, prev := s.free[len(s.free)-1], int32(0)
		for _, stop := range route {
			c := int32(stop)
			if stop < 1 || stop >= s.n || s.route[c] >= 0 || s.load[r]+s.demand[c] > s.capacity || s.timed && !s.intime(c, prev, 0) {
				continue
			}
			n := s.n
			s.insert(c, prev, r, s.cost[int(prev)*n+stop]+s.cost[stop*n]-s.cost[int(prev)*n])
			prev = c
		}
	}
	s.absent = slices.DeleteFunc(s.absent, func(i int32) bool { return s.route[i] >= 0 })
}

// adoptWhole takes a route over as it is, or leaves it be where it breaks a rule.
func (s *search) adoptWhole(route []int) bool {
	seen, load := map[int]bool{}, int64(0)
	for _, stop := range route {
		if stop < 1 || stop >= s.n || s.route[stop] >= 0 || seen[stop] {
			return false
		}
		seen[stop] = true
		load += s.demand[stop]
	}
	if len(route) == 0 || load > s.capacity {
		return false
	}
	before := s.total
	s.done, s.dirty = s.done[:0], s.dirty[:0]
	r, prev, n := s.free[len(s.free)-1], int32(0), s.n
	for _, stop := range route {
		s.insert(int32(stop), prev, r, s.cost[int(prev)*n+stop]+s.cost[stop*n]-s.cost[int(prev)*n])
		prev = int32(stop)
	}
	if s.timed && s.late[r] {
		s.rollback(before)
		return false
	}
	return true
}
