package routing

import (
	"math"
	"slices"
)

// The parameters of the ruin, as the paper names them.
const (
	averageRemoved = 10   // c-bar: stops removed in a step, on average
	longestString  = 10   // L-max: of neighbours removed from one route
	splitChance    = 0.5  // alpha: a string keeps a part in its middle
	splitDeeper    = 0.01 // beta: that part grows by one more
	blinkEvery     = 100  // 1/gamma: a place is overlooked once in so many

	// Where many stops are left out, a step tries about so many of them beside
	// those that it removed itself: its time does not grow with their number.
	retried = 24
)

// ruin removes strings of stops that are close to each other from some routes.
func (s *search) ruin() {
	served := s.n - 1 - len(s.absent)
	if served == 0 {
		return
	}
	longest := min(longestString, float64(served)/float64(s.used))
	strings := 4*averageRemoved/(1+longest) - 1
	left := int(s.rand.unit()*strings) + 1
	seed := int32(1 + s.rand.below(s.n-1))
	s.age++
	s.tear(seed, longest, &left)
	for _, c := range s.near[seed] {
		if left == 0 {
			break
		}
		s.tear(c, longest, &left)
	}
	if s.timed {
		for _, r := range s.dirty {
			s.schedule(r)
		}
	}
}

// tear removes a string that contains stop c from its route, if that was not torn
// in this step.
func (s *search) tear(c int32, longest float64, left *int) {
	r := s.route[c]
	if r < 0 || s.mark[r] == s.age {
		return
	}
	s.mark[r] = s.age
	*left--
	size := int(s.size[r])
	length := int(s.rand.unit()*min(float64(size), longest)) + 1
	keep := 0
	if length > 1 && length < size && s.rand.unit() < splitChance {
		for keep = 1; length+keep < size && s.rand.unit() < splitDeeper; keep++ {
		}
	}
	whole := length + keep
	// The string begins up to whole-1 stops before c, as the route has them.
	before, after := 0, 0
	for i := c; before < whole-1 && s.prev[i] != 0; i = s.prev[i] {
		before++
	}
	for i := c; after < whole-1 && s.next[i] != 0; i = s.next[i] {
		after++
	}
	least := max(0, whole-1-after)
	from := c
	for range least + s.rand.below(before-least+1) {
		from = s.prev[from]
	}
	hole := length // first position that is kept
	if keep > 0 {
		hole = 1 + s.rand.below(length-1)
	}
	for k, i := 0, from; k < whole; k++ {
		next := s.next[i]
		if k < hole || k >= hole+keep {
			s.remove(i)
			s.absent = append(s.absent, i)
		}
		i = next
	}
	if s.timed {
		s.dirty = append(s.dirty, r)
	}
}

// recreate inserts absent stops, each at its cheapest place as seen with a blink
// now and then, in an order drawn for the step. Stops stay out where that is
// cheaper, but not when generous: a route that pays begins with a stop that does
// not, and the whole is judged afterwards.
func (s *search) recreate(from int, generous bool) {
	s.order(s.absent[from:])
	left := s.absent[:from]
	for _, c := range s.absent[from:] {
		limit := s.fine[c]
		if s.optional[c] {
			// Two stops far out may pay together where neither does alone, and
			// the best set of stops is seldom the one of the cheapest places.
			limit *= 0.5 + 1.5*s.rand.unit()
			if generous {
				limit = math.Inf(1)
			}
		}
		if prev, r, delta, ok := s.place(c, limit); ok {
			s.insert(c, prev, r, delta)
		} else {
			left = append(left, c)
		}
	}
	s.absent = left
}

// rest moves optional stops that a step does not try to the front of those that
// were absent before it, and returns how many they are.
func (s *search) rest(absent int) (from int) {
	if absent <= retried {
		return 0
	}
	for i := range absent {
		if c := s.absent[i]; s.optional[c] && s.rand.below(absent) >= retried {
			s.absent[i], s.absent[from] = s.absent[from], c
			from++
		}
	}
	return from
}

// order sorts absent stops: by chance, demand, distance from the depot, or
// window.
func (s *search) order(a []int32) {
	for i := len(a) - 1; i > 0; i-- {
		j := s.rand.below(i + 1)
		a[i], a[j] = a[j], a[i]
	}
	kinds := 11
	if s.timed {
		kinds = 17
	}
	var key func(i int32) float64
	switch k := s.rand.below(kinds); {
	case k < 4:
		return
	case k < 8:
		key = func(i int32) float64 { return -float64(s.demand[i]) }
	case k < 10:
		key = func(i int32) float64 { return -s.cost[i] }
	case k < 11:
		key = func(i int32) float64 { return s.cost[i] }
	case k < 13:
		key = func(i int32) float64 { return s.due[i] - s.ready[i] }
	case k < 15:
		key = func(i int32) float64 { return s.ready[i] }
	default:
		key = func(i int32) float64 { return -s.due[i] }
	}
	// By insertion: there are about ten.
	if len(a) > 64 {
		slices.SortStableFunc(a, func(x, y int32) int {
			switch kx, ky := key(x), key(y); {
			case kx < ky:
				return -1
			case kx > ky:
				return 1
			}
			return 0
		})
		return
	}
	for i := 1; i < len(a); i++ {
		c, k := a[i], key(a[i])
		j := i
		for ; j > 0 && key(a[j-1]) > k; j-- {
			a[j] = a[j-1]
		}
		a[j] = c
	}
}

// place finds where stop c is inserted for less than limit: behind prev in route r.
func (s *search) place(c int32, limit float64) (prev, r int32, delta float64, ok bool) {
	n := s.n
	to, from := s.into[int(c)*n:int(c)*n+n], s.cost[int(c)*n:int(c)*n+n] // drives to c, and from c
	room := s.capacity - s.demand[c]
	best := limit
	blink := 1 + s.rand.below(2*blinkEvery)
	for _, u := range s.near[c][:min(beside, len(s.near[c]))] {
		ru := s.route[u]
		if ru < 0 || s.load[ru] > room {
			continue
		}
		if blink--; blink == 0 {
			blink = 1 + s.rand.below(2*blinkEvery)
			continue
		}
		before, behind := s.prev[u], s.next[u]
		if d := to[u] + from[behind] - s.cost[int(u)*n+int(behind)]; d < best && (!s.timed || s.intime(c, u, behind)) {
			best, prev, r, ok = d, u, ru, true
		}
		if d := to[before] + from[u] - s.cost[int(before)*n+int(u)]; d < best && (!s.timed || s.intime(c, before, u)) {
			best, prev, r, ok = d, before, ru, true
		}
	}
	if !ok {
		prev, r, best, ok = s.anywhere(c, room, best)
	}
	if len(s.free) > 0 {
		if d := to[0] + from[0]; d < best && (!s.timed || s.intime(c, 0, 0)) && room >= 0 {
			return 0, s.free[len(s.free)-1], d, true
		}
	}
	return prev, r, best, ok
}

// anywhere looks at every place of every route with room.
func (s *search) anywhere(c int32, room int64, best float64) (prev, r int32, delta float64, ok bool) {
	n := s.n
	to, from := s.into[int(c)*n:int(c)*n+n], s.cost[int(c)*n:int(c)*n+n]
	for q := range s.first {
		if s.size[q] == 0 || s.load[q] > room {
			continue
		}
		for u, v := int32(0), s.first[q]; ; u, v = v, s.next[v] {
			if d := to[u] + from[v] - s.cost[int(u)*n+int(v)]; d < best && (!s.timed || s.intime(c, u, v)) {
				best, prev, r, ok = d, u, int32(q), true
			}
			if v == 0 {
				break
			}
		}
	}
	return prev, r, best, ok
}
