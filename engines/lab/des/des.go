// Package des simulates discrete events in virtual time.
//
// Events are values of the caller's own type, kept without an allocation each,
// so that a night of 1.9 million machines takes seconds:
//
//	s := des.New[arrival](1_888_880)
//	s.At(3*time.Second, arrival{machine: 7})
//	for s.Next() {
//		e := s.Event()
//		s.After(10*time.Second, timeout{e.machine}) // from s.Now()
//	}
//
// Events at the same instant come in the order in which they were added, so
// that a run depends on nothing but its seed.
//
// Delays that recur (a timeout of 10 s, a retry after 5 s) come due in the order
// in which they were set; a [Lane] keeps those in a queue at a constant cost,
// where the heap pays a logarithm.
package des

import "time"

// entry is an event in its queue. Order: at, then seq.
type entry[E any] struct {
	at  time.Duration
	seq uint64
	e   E
}

func (a *entry[E]) before(b *entry[E]) bool {
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

// Sim is a simulation. It is not safe for concurrent use.
type Sim[E any] struct {
	now   time.Duration
	seq   uint64
	heap  []entry[E]
	lanes []*Lane[E]
	event E
	ran   int
}

// New returns a simulation at time 0 with room for that many waiting events.
func New[E any](room int) *Sim[E] {
	return &Sim[E]{heap: make([]entry[E], 0, room)}
}

// Now returns the virtual time.
func (s *Sim[E]) Now() time.Duration { return s.now }

// Event returns the event that Next moved to.
func (s *Sim[E]) Event() E { return s.event }

// Ran returns how many events have come so far.
func (s *Sim[E]) Ran() int { return s.ran }

// At adds an event for an instant. An instant that has passed counts as now.
func (s *Sim[E]) At(at time.Duration, e E) {
	s.seq++
	s.heap = append(s.heap, entry[E]{max(at, s.now), s.seq, e})
	s.up(len(s.heap) - 1)
}

// After adds an event for d from now.
func (s *Sim[E]) After(d time.Duration, e E) { s.At(s.now+d, e) }

// Next moves to the next event and its time. It returns false when none is left.
func (s *Sim[E]) Next() bool {
	var lane *Lane[E]
	var first *entry[E]
	if len(s.heap) > 0 {
		first = &s.heap[0]
	}
	for _, l := range s.lanes {
		if l.size > 0 {
			if e := &l.ring[l.head]; first == nil || e.before(first) {
				first, lane = e, l
			}
		}
	}
	if first == nil {
		return false
	}
	s.now, s.event = first.at, first.e
	s.ran++
	if lane != nil {
		lane.pop()
	} else {
		s.pop()
	}
	return true
}

// The heap has four children a node: half the levels of a binary one, and the
// children share cache lines.
func (s *Sim[E]) up(i int) {
	h := s.heap
	e := h[i]
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&h[parent]) {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = e
}

func (s *Sim[E]) pop() {
	n := len(s.heap) - 1
	e := s.heap[n]
	s.heap = s.heap[:n]
	if n == 0 {
		return
	}
	h, i := s.heap, 0
	for {
		first := 4*i + 1
		if first >= n {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, n); c++ {
			if h[c].before(&h[least]) {
				least = c
			}
		}
		if !h[least].before(&e) {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = e
}

// Lane holds events that all come the same delay after they are added.
type Lane[E any] struct {
	sim        *Sim[E]
	delay      time.Duration
	ring       []entry[E] // its length is a power of two
	head, size int
}

// Lane returns a new lane of that delay (not negative).
func (s *Sim[E]) Lane(delay time.Duration) *Lane[E] {
	l := &Lane[E]{sim: s, delay: max(0, delay), ring: make([]entry[E], 16)}
	s.lanes = append(s.lanes, l)
	return l
}

// Add adds an event for the lane's delay from now.
func (l *Lane[E]) Add(e E) {
	if l.size == len(l.ring) {
		bigger := make([]entry[E], 2*len(l.ring))
		n := copy(bigger, l.ring[l.head:])
		copy(bigger[n:], l.ring[:l.head])
		l.ring, l.head = bigger, 0
	}
	l.sim.seq++
	l.ring[(l.head+l.size)&(len(l.ring)-1)] = entry[E]{l.sim.now + l.delay, l.sim.seq, e}
	l.size++
}

func (l *Lane[E]) pop() {
	l.head = (l.head + 1) & (len(l.ring) - 1)
	l.size--
}
