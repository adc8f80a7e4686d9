package routing

import (
	"math"
	"slices"
)

// mandatory is the price at which the search leaves a stop out that must be
// served, in multiples of the dearest drive: never worth it, yet better than
// no step at all while vehicles are short.
const mandatory = 100

// beside is how many nearest neighbours of a stop are looked at when it is
// inserted; only where none of them has room, every route is.
const beside = 36

// search is one run: the problem in flat arrays, and the solution under work as
// linked lists, in which a stop moves by writing six numbers.
type search struct {
	p        *Problem
	n        int
	cost     []float64 // row by row
	into     []float64 // the same turned over: into[i*n+j] is the cost from j to i
	time     []float64
	near     [][]int32 // the nearest other stops of each, by cost both ways
	fine     []float64 // of leaving a stop out
	optional []bool    // it has a price

	demand      []int64
	capacity    int64
	timed       bool // windows or a limit: begin and latest are kept
	most        int  // routes
	ready, due  []float64
	service     []float64
	start, back float64 // of every route

	// The solution. route is -1 for a stop that is left out. The depot is 0 and
	// stands in no list: the first of a route has 0 before it, the last 0 behind.
	next, prev, route []int32
	first, last       []int32
	load              []int64
	size              []int32
	begin, latest     []float64 // of service: as planned, and without harm to the rest
	late              []bool    // routes that miss a window or the limit
	free              []int32   // numbers of empty routes
	used              int       // routes that are not empty
	absent            []int32
	kept              []int32 // absent before the step
	total             float64

	rand  random
	done  []undo  // since the last accepted step
	dirty []int32 // routes changed by it, where times are kept
	mark  []uint32
	age   uint32
}

// undo is one change to take back: stop was inserted, or removed from behind prev.
type undo struct {
	stop, prev, route int32
	inserted          bool
}

// random is splitmix64 (Steele, Lea and Flood, 2014): tiny, and good enough to
// choose moves.
type random uint64

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns 0 to n-1.
func (r *random) below(n int) int { return int((r.next() >> 32) * uint64(n) >> 32) }

// unit returns a number in [0, 1).
func (r *random) unit() float64 { return float64(r.next()>>11) / (1 << 53) }

func newSearch(p *Problem, seed uint64) *search {
	n := len(p.Stops)
	s := &search{p: p, n: n, cost: p.Cost.v, time: p.time().v, capacity: p.Capacity, start: p.Stops[0].Ready, back: p.end(), rand: random(seed)}
	s.rand.next()
	if s.capacity == 0 {
		s.capacity = math.MaxInt64
	}
	s.into = s.cost
	if !p.Cost.symmetric() {
		s.into = make([]float64, n*n)
		for i := range n {
			for j := range n {
				s.into[j*n+i] = s.cost[i*n+j]
			}
		}
	}
	s.timed = !math.IsInf(s.back, 1)
	s.demand, s.fine, s.optional = make([]int64, n), make([]float64, n), make([]bool, n)
	s.ready, s.due, s.service = make([]float64, n), make([]float64, n), make([]float64, n)
	dearest := slices.Max(append([]float64{1}, s.cost...))
	for i, stop := range p.Stops {
		s.demand[i], s.ready[i], s.due[i], s.service[i] = stop.Demand, stop.Ready, stop.Due, stop.Service
		if stop.Due == 0 {
			s.due[i] = math.Inf(1)
		} else if i > 0 {
			s.timed = true
		}
		if s.fine[i] = stop.Penalty; stop.Penalty == 0 {
			s.fine[i] = mandatory * dearest
		} else {
			s.optional[i] = true
		}
	}
	s.fine[0] = 0
	s.most = max(n-1, 1)
	if p.Vehicles > 0 {
		s.most = min(s.most, p.Vehicles)
	}
	s.next, s.prev, s.route = make([]int32, n), make([]int32, n), make([]int32, n)
	s.begin, s.latest = make([]float64, n), make([]float64, n)
	s.first, s.last, s.size, s.load = make([]int32, s.most), make([]int32, s.most), make([]int32, s.most), make([]int64, s.most)
	s.mark, s.late = make([]uint32, s.most), make([]bool, s.most)
	for r := s.most - 1; r >= 0; r-- {
		s.free = append(s.free, int32(r))
	}
	for i := 1; i < n; i++ {
		s.route[i] = -1
		s.absent = append(s.absent, int32(i))
		s.total += s.fine[i]
	}
	s.neighbours()
	return s
}

// neighbours sorts, for each stop, the others by the cost of driving there and
// back; for ruins all of them may be wanted, so that the nearest 200 are kept.
func (s *search) neighbours() {
	s.near = make([][]int32, s.n)
	keep := min(s.n-1, 200)
	order := make([]int32, 0, s.n)
	for i := range s.n {
		order = order[:0]
		for j := 1; j < s.n; j++ {
			if j != i {
				order = append(order, int32(j))
			}
		}
		row, col := s.cost[i*s.n:(i+1)*s.n], s.into[i*s.n:(i+1)*s.n]
		slices.SortFunc(order, func(a, b int32) int {
			da, db := row[a]+col[a], row[b]+col[b]
			switch {
			case da < db:
				return -1
			case da > db:
				return 1
			}
			return int(a - b)
		})
		s.near[i] = slices.Clone(order[:min(keep, len(order))])
	}
}

// insert puts stop behind prev (0: first) into route r, at the cost delta.
func (s *search) insert(stop, prev, r int32, delta float64) {
	s.link(stop, prev, r)
	s.total += delta - s.fine[stop]
	s.done = append(s.done, undo{stop, prev, r, true})
	if s.timed {
		s.schedule(r)
		s.dirty = append(s.dirty, r)
	}
}

func (s *search) link(stop, prev, r int32) {
	var next int32
	if prev == 0 {
		next = s.first[r]
		s.first[r] = stop
	} else {
		next = s.next[prev]
		s.next[prev] = stop
	}
	if next == 0 {
		s.last[r] = stop
	} else {
		s.prev[next] = stop
	}
	s.next[stop], s.prev[stop], s.route[stop] = next, prev, r
	s.load[r] += s.demand[stop]
	if s.size[r]++; s.size[r] == 1 {
		s.used++
		s.take(r)
	}
}

// take removes r from the free routes; it is the last of them, but for undone
// steps.
func (s *search) take(r int32) {
	i := len(s.free) - 1
	for s.free[i] != r {
		i--
	}
	s.free = slices.Delete(s.free, i, i+1)
}

// remove takes stop out of its route. Times of the route are stale afterwards.
func (s *search) remove(stop int32) {
	r, prev, next := s.route[stop], s.prev[stop], s.next[stop]
	n := s.n
	s.total += s.cost[int(prev)*n+int(next)] - s.cost[int(prev)*n+int(stop)] - s.cost[int(stop)*n+int(next)] + s.fine[stop]
	s.done = append(s.done, undo{stop, prev, r, false})
	s.unlink(stop)
}

func (s *search) unlink(stop int32) {
	r, prev, next := s.route[stop], s.prev[stop], s.next[stop]
	if prev == 0 {
		s.first[r] = next
	} else {
		s.next[prev] = next
	}
	if next == 0 {
		s.last[r] = prev
	} else {
		s.prev[next] = prev
	}
	s.route[stop] = -1
	s.load[r] -= s.demand[stop]
	if s.size[r]--; s.size[r] == 0 {
		s.used--
		s.free = append(s.free, r)
	}
}

// rollback takes back all changes since the last accepted step.
func (s *search) rollback(total float64) {
	for i := len(s.done) - 1; i >= 0; i-- {
		if u := s.done[i]; u.inserted {
			s.unlink(u.stop)
		} else {
			s.link(u.stop, u.prev, u.route)
		}
	}
	s.total = total
	if s.timed {
		for _, u := range s.done {
			s.dirty = append(s.dirty, u.route)
		}
		s.age++
		for _, r := range s.dirty {
			if s.mark[r] != s.age {
				s.mark[r] = s.age
				s.schedule(r)
			}
		}
	}
}

// schedule computes when service begins at each stop of a route, and how late it
// may begin so that all later ones are still in time; and whether the route is late
// as it stands: without a stop it may be, where the way over the stop was shorter.
func (s *search) schedule(r int32) {
	s.late[r] = false
	t, at, n := s.start, int32(0), s.n
	for i := s.first[r]; i != 0; i = s.next[i] {
		t = max(t+s.time[int(at)*n+int(i)], s.ready[i])
		s.begin[i] = t
		s.late[r] = s.late[r] || t > s.due[i]*(1+eps)
		t += s.service[i]
		at = i
	}
	s.late[r] = s.late[r] || at != 0 && t+s.time[int(at)*n] > s.back*(1+eps)
	limit, at := s.back, 0
	for i := s.last[r]; i != 0; i = s.prev[i] {
		limit = min(s.due[i], limit-s.time[int(i)*n+int(at)]-s.service[i])
		s.latest[i] = limit
		at = i
	}
}

// intime says whether stop fits between prev and next of a route with a schedule.
func (s *search) intime(stop, prev, next int32) bool {
	n := s.n
	t := s.start
	if prev != 0 {
		t = s.begin[prev] + s.service[prev]
	}
	t = max(t+s.time[int(prev)*n+int(stop)], s.ready[stop])
	if t > s.due[stop] {
		return false
	}
	t += s.service[stop] + s.time[int(stop)*n+int(next)]
	if next == 0 {
		return t <= s.back
	}
	return t <= s.latest[next]
}

// snapshot is a solution that the search may return to.
type snapshot struct {
	next, first []int32
	absent      []int32
	total       float64
}

func (s *search) save(to *snapshot) {
	to.next = append(to.next[:0], s.next...)
	to.first = append(to.first[:0], s.first...)
	for r, size := range s.size {
		if size == 0 {
			to.first[r] = 0
		}
	}
	to.absent = append(to.absent[:0], s.absent...)
	to.total = s.total
}

// routes writes the snapshot as a solution.
func (b *snapshot) solution(p *Problem, iterations int) Solution {
	sol := Solution{Iterations: iterations}
	for _, i := range b.first {
		var route []int
		for ; i != 0; i = b.next[i] {
			route = append(route, int(i))
		}
		if route != nil {
			sol.Routes = append(sol.Routes, route)
			sol.Cost += p.Length(route)
		}
	}
	for _, i := range b.absent {
		sol.Dropped = append(sol.Dropped, int(i))
		sol.Cost += p.Stops[i].Penalty
	}
	slices.Sort(sol.Dropped)
	return sol
}
