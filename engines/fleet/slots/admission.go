package slots

import (
	"math"
	"sync"
	"time"
)

// Limits bounds what Admission lets in. A zero field takes its default.
type Limits struct {
	Capacity float64       // reports a second, until it is measured; 1,000
	Queue    time.Duration // how much work may wait, at the measured capacity; 5 s
	Most     int           // and how many reports at most; 20,000 (each holds some memory)
	Lead     time.Duration // the soonest slot that is given to whoever is refused; 1 s
	Share    float64       // of the capacity that is given away as slots; 0.95
	Hold     time.Duration // how long after its time a slot is kept; 30 s
}

func (l Limits) filled() Limits {
	or := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	or(&l.Queue, 5*time.Second)
	or(&l.Lead, time.Second)
	or(&l.Hold, 30*time.Second)
	if l.Capacity <= 0 {
		l.Capacity = 1000
	}
	if l.Most <= 0 {
		l.Most = 20_000
	}
	if l.Share <= 0 || l.Share > 1 {
		l.Share = 0.95
	}
	return l
}

// Admission stands before the database. Work that fits in the queue is let in;
// anybody else is refused at once, with a slot to come back in, and a place is
// kept for that slot. The slots lie behind each other like a line of people with
// numbers, a little slower than the measured capacity, so that a herd of any
// size costs each machine two calls and drains at 95% of the full speed.
//
// It knows machines by a 64-bit hash and lives in one process: behind a balancer,
// send a machine to the same process, or its slot is news to the other one.
// It is safe for concurrent use.
type Admission struct {
	limits Limits

	mu       sync.Mutex
	waiting  int              // let in, and not yet done
	next     int64            // the last slot given, in nanoseconds; the end of the line
	slots    map[uint64]int64 // whose slot is when; entries end with Hold
	line     []slot           // the same in order of time, for ending them
	head     int              // line before this is over
	capacity float64          // reports a second; measured
	sample   sample
	admitted int64
	refused  int64
}

type slot struct {
	at  int64
	key uint64
}

// State is what Admission knows at one moment.
type State struct {
	Waiting  int           // reports let in, and not yet done
	Reserved int           // slots given and not yet used
	Line     time.Duration // until the last slot given
	Capacity float64       // reports a second
	Admitted int64         // reports let in so far
	Refused  int64         // calls refused so far
}

// NewAdmission returns an empty queue.
func NewAdmission(l Limits) *Admission {
	l = l.filled()
	return &Admission{limits: l, capacity: l.Capacity, slots: make(map[uint64]int64)}
}

// Arrive asks for n reports of machine id to be let in at now. If they are,
// admitted is true and Done must follow; if not, the machine is to come again
// after wait, when a place is kept for it.
func (a *Admission) Arrive(now time.Time, id string, n int) (wait time.Duration, admitted bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, key := now.UnixNano(), Hash(id)
	a.expire(at)
	mine, held := a.slots[key]
	bound := int(math.Min(a.capacity*a.limits.Queue.Seconds(), float64(a.limits.Most)))
	switch {
	case held && at >= mine-int64(a.limits.Lead/4): // a machine's timer may run a little fast
		// Its slot is now. The line alone never fills the queue (it is slower
		// than the capacity), so that twice the bound is room enough.
		bound *= 2
	case a.next > at:
		// Others stand in line: a stranger, or a machine before its time, may
		// only use what would otherwise lie idle.
		bound /= 5
	}
	if a.waiting == 0 || a.waiting < bound { // not waiting+n: a large batch would never get in
		if held {
			delete(a.slots, key)
		}
		a.waiting += n
		a.admitted += int64(n)
		return 0, true
	}
	return a.reserve(at, key, n), false
}

// Refuse gives machine id a slot without asking whether there is room: for a
// server that cannot work just now.
func (a *Admission) Refuse(now time.Time, id string, n int) (wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := now.UnixNano()
	a.expire(at)
	return a.reserve(at, Hash(id), n)
}

// reserve returns the wait until key's slot: the one it has, if that is still
// to come, or the next at the end of the line.
func (a *Admission) reserve(at int64, key uint64, n int) time.Duration {
	a.refused++
	if mine, held := a.slots[key]; held && mine > at {
		return time.Duration(mine - at)
	}
	each := float64(time.Second) / (a.limits.Share * a.capacity)
	a.next = max(a.next, at+int64(a.limits.Lead)) + int64(each*float64(n))
	a.slots[key] = a.next
	a.line = append(a.line, slot{a.next, key})
	return time.Duration(a.next - at)
}

// expire forgets slots whose machine did not come.
func (a *Admission) expire(at int64) {
	for a.head < len(a.line) && a.line[a.head].at+int64(a.limits.Hold) < at {
		s := a.line[a.head]
		if a.slots[s.key] == s.at { // else used, or given anew
			delete(a.slots, s.key)
		}
		a.head++
	}
	if a.head > len(a.line)/2 && a.head > 1024 {
		a.line = append([]slot(nil), a.line[a.head:]...) // a new array: the old one may be a herd's
		a.head = 0
	}
}

// Done notes that n reports left the queue at now, of which stored were
// committed. What failed says nothing about how fast the database is.
func (a *Admission) Done(now time.Time, n, stored int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting -= n
	a.capacity = a.sample.add(now.UnixNano(), stored, a.waiting, a.capacity)
}

// State returns what is known at now.
func (a *Admission) State(now time.Time) State {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := now.UnixNano()
	a.expire(at)
	return State{Waiting: a.waiting, Reserved: len(a.slots), Line: time.Duration(max(0, a.next-at)),
		Capacity: a.capacity, Admitted: a.admitted, Refused: a.refused}
}

const (
	sampleTime = int64(500 * time.Millisecond) // a sample is at least this long
	sampleMost = int64(5 * time.Second)        // a longer one was a standstill, not a speed
	sampleTau  = float64(3 * time.Second)      // older samples fade with this time constant
	deep       = 64                            // waiting reports that keep a group commit busy
	slowest    = 10                            // reports a second; no estimate is below
)

// sample measures the capacity while there is always work: a rate that was
// bounded by the arrivals says nothing. From one Done to another, so that the
// mean is unbiased (the rate of a renewal process).
type sample struct {
	from   int64 // 0: none running
	stored int
	least  int // fewest that waited
}

// add notes stored commits at a moment after which waiting reports were left,
// and returns the capacity as now estimated.
func (s *sample) add(at int64, stored, waiting int, capacity float64) float64 {
	if s.from == 0 {
		if waiting > 0 {
			*s = sample{from: at, least: waiting}
		}
		return capacity
	}
	s.stored += stored
	long := at - s.from
	switch {
	case long > sampleMost:
		*s = sample{}
	case long >= sampleTime:
		rate := float64(s.stored) / (float64(long) / float64(time.Second))
		// A few callers at a time make small, slow groups: they may show that
		// the database is faster than thought, never that it is slower.
		if rate > capacity || s.least >= deep {
			capacity += (rate - capacity) * (1 - math.Exp(-float64(long)/sampleTau))
		}
		*s = sample{}
	case waiting == 0:
		*s = sample{}
		return capacity
	default:
		s.least = min(s.least, waiting)
		return capacity
	}
	if waiting > 0 {
		*s = sample{from: at, least: waiting}
	}
	return max(slowest, capacity)
}
