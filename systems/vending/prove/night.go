package prove

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"plumb/engines/fleet/slots"
	"plumb/engines/lab"
	"plumb/engines/lab/des"
)

// What machines and server have in common, whatever the design.
const (
	giveUp     = 10 * time.Second // a machine waits this long for its answer
	fixedRetry = 5 * time.Second  // and calls again after this, where it does not know better
	queueBound = 5 * time.Second  // of work that may wait, where a queue is bounded
	openFiles  = 1 << 20          // Linux' fs.nr_open: no queue of connections is longer
	theHour    = time.Hour        // a report that is not stored by 01:00 is lost to the batch

	// The window ends before the batch begins, by the most that a clock is off
	// (5 min) and as much again for a second try.
	reportWindow = 50 * time.Minute
)

// world is what all designs of one comparison share.
type world struct {
	machines  int
	capacity  float64       // reports a second, connection set-up and TLS included
	tries     int           // calls a machine makes at most; 0: endless
	spread    time.Duration // the machines' clocks are off by up to this (three standard deviations)
	abandoned float64       // work on a call whose machine has hung up, as a share of a report's
	refusal   float64       // work on a call that is refused, as a share of a report's
	horizon   time.Duration // watched for this long after midnight
	awayFrom  time.Duration // the server is away from here, after midnight
	awayTo    time.Duration // to here; equal: never
	seed      uint64
}

// design is one way to run the night.
type design struct {
	name   string
	text   string
	window time.Duration // calls are spread over this by the machine's id; 0: all at midnight
	bound  bool          // at most queueBound of work waits; else as many as there are open files
	refuse bool          // whoever finds no room is told at once; else it waits for giveUp
	slots  bool          // who is refused gets a slot, by the very code that serve runs
	double bool          // waits double from try to try, without jitter; else they are fixed
	yours  *decider      // a user's own
}

var (
	midnight = design{name: "midnight", text: "Everybody calls at 00:00; the server takes every connection and works them off in order."}
	bounded  = design{name: "bounded queue", text: "Everybody calls at 00:00; a full queue answers 503 at once, and machines try again every 5 s without end.", bound: true, refuse: true}
	window   = design{name: "window and slots", text: "Each machine has its slot in a window; whoever finds the queue full is given a slot of its own, and unanswered calls back off with full jitter.",
		window: reportWindow, bound: true, refuse: true, slots: true}
)

// outcome is what a night came to.
type outcome struct {
	lost   int           // not stored by the horizon
	tries  float64       // calls a machine, the mean
	peak   int           // calls in the busiest second
	done   time.Duration // the last report stored, after midnight; the horizon where some are lost
	wasted float64       // share of the server's work that stored nothing
	p50    time.Duration // from a machine's own first call until stored, of those stored
	p99    time.Duration

	// After the server was away:
	back    int           // calls in the busiest second
	drained time.Duration // until all who had called before were stored
}

// lostShare is the share of the fleet that is not stored in time.
func (o outcome) lostShare(w world) float64 { return float64(o.lost) / float64(w.machines) }

// record writes what the night came to into a design's row.
func (o outcome) record(d *lab.Design) {
	d.Set("lost", float64(o.lost)).Set("tries", o.tries).Set("peak_arrivals_per_s", float64(o.peak)).Set("wasted_pct", 100*o.wasted).Set("wait_p99_s", o.p99.Seconds())
	if o.lost == 0 {
		d.Set("done_s", o.done.Seconds())
	}
}

// call is an event: a machine calls, unless its report is stored; or, with try
// set, it loses patience with that try.
type call struct{ id, try int32 }

// waiting is a call in the server's queue.
type waiting struct {
	at time.Duration
	id int32
}

// machine is one machine's state.
type machine struct {
	try    int32 // calls made
	first  time.Duration
	stored time.Duration // 0: not yet
}

// night is one simulated night. Virtual time begins one spread before midnight,
// so that no clock is early for it.
type night struct {
	w        world
	d        design
	sim      *des.Sim[call]
	retries  *des.Lane[call] // after a refusal, at the fixed interval
	unheard  *des.Lane[call] // after giving up, at the fixed interval
	timeouts *des.Lane[call] // giving up, where what follows is not fixed
	rng      *rand.Rand
	machines []machine
	callers  []slots.Caller // of a design with slots
	ids      []string
	base     time.Time // the wall clock that slots and admission see at virtual time 0
	midnight time.Duration

	admission *slots.Admission // of a design with slots
	queue     []waiting        // a ring; its length is a power of two
	head      int
	queued    int
	free      time.Duration // when the server has done all it began
	service   time.Duration

	out     outcome
	left    int // machines that are not stored
	calls   int
	seconds []int32 // calls in each second
	useful  float64 // work that stored a report, in reports
	work    float64 // all work, in reports
}

// ending is how one machine's night went. Times are after midnight; a clock that
// is fast makes them negative.
type ending struct {
	id     string
	first  time.Duration // its first call
	stored bool
	at     time.Duration // when it was stored
	tries  int
}

// run simulates the night of d in w. onEach, where not nil, is told each
// machine's ending.
func (w world) run(d design, onEach func(ending)) outcome {
	n := newNight(w, d)
	end := n.midnight + w.horizon
	for n.left > 0 && n.sim.Next() && n.sim.Now() <= end {
		n.serve(n.sim.Now())
		switch e := n.sim.Event(); {
		case n.machines[e.id].stored > 0:
		case e.try > 0:
			n.again(e.id, n.sim.Now(), 0)
		default:
			n.arrive(e.id)
		}
	}
	n.serve(end)
	return n.finish(onEach)
}

func newNight(w world, d design) *night {
	n := &night{w: w, d: d, sim: des.New[call](w.machines), rng: lab.Rand(w.seed, "night"),
		machines: make([]machine, w.machines), ids: make([]string, w.machines),
		midnight: w.spread, left: w.machines, service: time.Duration(float64(time.Second) / w.capacity)}
	n.retries, n.unheard, n.timeouts = n.sim.Lane(fixedRetry), n.sim.Lane(giveUp+fixedRetry), n.sim.Lane(giveUp)
	n.base = time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC).Add(-n.midnight)
	n.seconds = make([]int32, int((n.midnight+w.horizon)/time.Second)+1)
	if d.slots {
		// The server has run before tonight, so that it knows what it can do.
		n.admission = slots.NewAdmission(slots.Limits{Capacity: w.capacity})
		n.callers = make([]slots.Caller, w.machines)
	}
	n.wake()
	return n
}

// wake decides when each machine calls first. Machines are numbered in that
// order: they come round in it again and again, and so memory is read in a row.
func (n *night) wake() {
	type first struct {
		at time.Duration
		id string
		n  int
	}
	open := slots.Window{Start: n.base.Add(n.midnight), Length: n.d.window}
	all := make([]first, n.w.machines)
	for i := range all {
		all[i].id, all[i].n = "m-"+strconv.Itoa(i), i
		at := n.midnight
		switch {
		case n.d.yours != nil:
			at += n.d.yours.first(int32(i))
		case n.d.window > 0:
			at = open.At(all[i].id).Sub(n.base)
		}
		off := max(-1, min(1, n.rng.NormFloat64()/3))
		all[i].at = at + time.Duration(off*float64(n.w.spread))
	}
	if n.d.yours == nil { // a user's own design knows its machines by number
		slices.SortFunc(all, func(a, b first) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.n, b.n)) })
	}
	for i, f := range all {
		n.ids[i], n.machines[i].first = f.id, f.at
		n.sim.At(f.at, call{id: int32(i)})
	}
}

// enqueue adds a call at the end of the queue.
func (n *night) enqueue(q waiting) {
	if n.queued == len(n.queue) {
		bigger := make([]waiting, max(1024, 2*len(n.queue)))
		k := copy(bigger, n.queue[n.head:])
		copy(bigger[k:], n.queue[:n.head])
		n.queue, n.head = bigger, 0
	}
	n.queue[(n.head+n.queued)&(len(n.queue)-1)] = q
	n.queued++
}

// arrive is a machine's call.
func (n *night) arrive(id int32) {
	now, m := n.sim.Now(), &n.machines[id]
	m.try++
	n.calls++
	n.seconds[now/time.Second]++
	if after := now - n.midnight; after >= n.w.awayFrom && after < n.w.awayTo {
		n.queued = 0 // what waited is gone; its machines lose patience
		n.free = n.midnight + n.w.awayTo
		n.again(id, now, 0) // nobody listens: the connection is refused at once
		return
	}
	wait, admitted := time.Duration(0), true
	switch {
	case n.d.yours != nil:
		wait, admitted = n.d.yours.arrive(now-n.midnight, id, m.try, n.queued)
	case n.admission != nil:
		wait, admitted = n.admission.Arrive(n.base.Add(now), n.ids[id], 1)
	case n.d.bound:
		admitted = float64(n.queued) < n.w.capacity*queueBound.Seconds()
	default:
		admitted = n.queued < openFiles
	}
	if admitted {
		n.enqueue(waiting{now, id})
	}
	switch {
	case !admitted && (n.d.refuse || n.d.yours != nil):
		if n.queued == 0 {
			n.free = max(n.free, now)
		}
		n.free += time.Duration(n.w.refusal * float64(n.service))
		n.work += n.w.refusal
		n.again(id, now, wait)
	case n.d.slots:
		n.timeouts.Add(call{id, m.try})
	case n.more(m):
		n.unheard.Add(call{id: id})
	}
}

// more says whether the machine may try again.
func (n *night) more(m *machine) bool { return n.w.tries == 0 || int(m.try) < n.w.tries }

// again has the machine call once more, after wait if the server named one.
func (n *night) again(id int32, now, wait time.Duration) {
	switch {
	case !n.more(&n.machines[id]):
	case n.d.yours != nil:
		n.sim.At(now+wait, call{id: id})
	case n.d.slots:
		// The machine's own code: it comes exactly when it was told, and backs
		// off with full jitter when it was told nothing.
		n.sim.At(now+n.callers[id].Refused(wait, n.rng), call{id: id})
	case n.d.double:
		tried := slots.Patient.Bound(int(n.machines[id].try)) / 2
		n.sim.At(now+tried, call{id: id})
	default:
		n.retries.Add(call{id: id})
	}
}

// serve works off the queue, first come, first served, up to now.
func (n *night) serve(now time.Duration) {
	for n.queued > 0 {
		q := n.queue[n.head]
		m := &n.machines[q.id]
		begin := max(n.free, q.at)
		// The machine hangs up when its patience ends, also half way through.
		there := m.stored == 0 && begin+n.service <= q.at+giveUp
		cost := 1.0
		if !there {
			cost = n.w.abandoned
		}
		end := begin + time.Duration(cost*float64(n.service))
		if end > now {
			break
		}
		n.free = end
		n.head = (n.head + 1) & (len(n.queue) - 1)
		n.queued--
		n.work += cost
		stored := 0
		if there {
			m.stored, stored = end, 1
			n.useful++
			n.left--
			n.out.done = end - n.midnight
		}
		if n.admission != nil {
			n.admission.Done(n.base.Add(end), 1, stored)
		}
	}
}

func (n *night) finish(onEach func(ending)) outcome {
	o := n.out
	o.lost = n.left
	o.tries = float64(n.calls) / float64(n.w.machines)
	o.peak = int(slices.Max(n.seconds))
	if o.lost > 0 {
		o.done = n.w.horizon
	}
	if n.work > 0 {
		o.wasted = 1 - n.useful/n.work
	}
	back := n.midnight + n.w.awayTo
	if n.w.awayTo > 0 {
		o.back = int(slices.Max(n.seconds[back/time.Second:]))
	}
	var delays []time.Duration
	for i := range n.machines {
		m := &n.machines[i]
		if m.stored > 0 {
			delays = append(delays, m.stored-m.first)
			if m.first < back {
				o.drained = max(o.drained, m.stored-back)
			}
		}
		if onEach != nil {
			onEach(ending{n.ids[i], m.first - n.midnight, m.stored > 0, m.stored - n.midnight, int(m.try)})
		}
	}
	if len(delays) > 0 {
		slices.Sort(delays)
		o.p50, o.p99 = delays[len(delays)/2], delays[int(math.Ceil(float64(len(delays))*0.99))-1]
	}
	return o
}
