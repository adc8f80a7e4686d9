// Package simulate plays a night of a fleet against a real server over real
// sockets: machines that are enrolled, wait for their slot, call over HTTP or
// MQTT, and call again as the server says or with full jitter, as engines/fleet's
// own client does.
//
//	r, err := simulate.Run(ctx, simulate.Options{Server: url, Token: admin, Machines: 1000, Window: time.Hour, Speed: 60})
//	fmt.Println(r.Stored, r.Lost, r.TriesMean)
//
// Only the window is played faster than it passes: what the server says to wait,
// and the backoff, are in real time, since the server is real.
package simulate

import (
	"container/heap"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"plumb/base/errs"
	"plumb/engines/fleet/slots"
	"plumb/engines/lab/fault"
)

// How machines call.
const (
	HTTP = "http"
	MQTT = "mqtt"
	Both = "both" // every other machine by MQTT
)

// Options says what is played. Zero fields take the values in brackets.
type Options struct {
	Server    string        // "http://127.0.0.1:8080"
	Broker    string        // host:port, where machines call by MQTT
	Token     string        // of somebody who may enrol machines
	Client    *http.Client  // of who enrols and looks afterwards; nil: a plain one
	City      string        // where the machines stand [Berlin]
	Prefix    string        // of the machines' ids; machines that are there already cannot be played
	Machines  int           // 1 to 2,000,000
	Window    time.Duration // in which the machines call first [1 h]; 0 < it
	Speed     float64       // times as fast as it passes [1]
	Spread    time.Duration // how far the machines' clocks are off [0]; three standard deviations
	Transport string        // HTTP, MQTT or Both [HTTP]
	Keep      bool          // HTTP connections are kept and shared; else each call opens its own
	BadLines  float64       // share of the connections that break at a random byte, 0 to 0.9
	AtOnce    int           // calls that may be under way at once [2,000]
	Patience  time.Duration // after the window: machines that have no answer then are lost [5 min]
	Slots     int           // of each machine [24]
	Seed      uint64
	Progress  func(done, all int, text string) // may be nil
}

// Result is how the night went. Times are real.
type Result struct {
	Machines    int     `json:"machines"`
	Transport   string  `json:"transport"`
	EnrolS      float64 `json:"enrol_s"`
	WindowS     float64 `json:"window_s"` // as played
	TookS       float64 `json:"took_s"`   // until the last report was stored
	Stored      int     `json:"stored"`   // machines whose report is acknowledged
	Duplicates  int     `json:"duplicates"`
	Lost        int     `json:"lost"` // machines without an answer at the end
	Calls       int     `json:"calls"`
	TriesMean   float64 `json:"tries_mean"`
	TriesMost   int     `json:"tries_most"`
	Refused     int     `json:"refused"` // calls that were told to come back
	Failed      int     `json:"failed"`  // calls without an answer
	PeakPerS    int     `json:"peak_per_s"`
	CallP50Ms   float64 `json:"call_p50_ms"`
	CallP99Ms   float64 `json:"call_p99_ms"`
	BehindS     float64 `json:"behind_s"` // the latest that a call began after its time: the simulator's own slowness
	Checked     int     `json:"checked"`  // machines that the server was asked about afterwards
	Missing     int     `json:"missing"`  // of those, whose acknowledged report it does not know
	Interrupted bool    `json:"interrupted,omitempty"`
	FirstError  string  `json:"first_error,omitempty"` // of a call that failed
}

const (
	most       = 2_000_000
	checkMost  = 200
	giveUp     = 10 * time.Second
	usualSlots = 24
)

func (o *Options) fill() error {
	or := func(v *string, d string) {
		if *v == "" {
			*v = d
		}
	}
	or(&o.City, "Berlin")
	or(&o.Transport, HTTP)
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 10 * time.Minute}
	}
	if o.Window == 0 {
		o.Window = time.Hour
	}
	if o.Speed == 0 {
		o.Speed = 1
	}
	if o.AtOnce == 0 {
		o.AtOnce = 2000
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Minute
	}
	if o.Slots == 0 {
		o.Slots = usualSlots
	}
	switch {
	case o.Machines < 1 || o.Machines > most:
		return errs.New(errs.Invalid, "machines must be 1 to %d, not %d", most, o.Machines)
	case o.Window < 0 || o.Window > 24*time.Hour:
		return errs.New(errs.Invalid, "the window must be more than 0 and at most 24 h, not %s", o.Window)
	case !(o.Speed > 0 && o.Speed <= 1e6):
		return errs.New(errs.Invalid, "the speed must be more than 0 and at most 1,000,000, not %g", o.Speed)
	case !(o.BadLines >= 0 && o.BadLines <= 0.9):
		return errs.New(errs.Invalid, "the share of bad lines must be 0 to 90%%, not %g", o.BadLines)
	case o.AtOnce < 1 || o.AtOnce > 100_000:
		return errs.New(errs.Invalid, "calls at once must be 1 to 100,000, not %d", o.AtOnce)
	case o.Slots < 1 || o.Slots > 500:
		return errs.New(errs.Invalid, "slots must be 1 to 500, not %d", o.Slots)
	case !slices.Contains([]string{HTTP, MQTT, Both}, o.Transport):
		return errs.New(errs.Invalid, "the transport must be http, mqtt or both, not %.20q", o.Transport)
	case o.Transport != HTTP && o.Broker == "":
		return errs.New(errs.Invalid, "the broker's address is missing: machines call by MQTT")
	}
	return nil
}

// machine is one machine's night.
type machine struct {
	id, token string
	mqtt      bool
	due       time.Time // of its next call
	tries     int
	done      bool // it has an answer
	caller    slots.Caller
}

// line is a way to bring a report; it is used by many machines at once.
type line interface {
	// bring returns "stored" or "duplicate". Errors: Busy with the time to wait;
	// others where there was no good answer.
	bring(ctx context.Context, m *machine, report []byte) (status string, err error)
}

// agenda orders machines by their next call.
type agenda []*machine

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].due.Before(a[j].due) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(*machine)) }
func (a *agenda) Pop() any {
	old := *a
	m := old[len(old)-1]
	*a = old[:len(old)-1]
	return m
}

// night is a run.
type night struct {
	o     Options
	http  line
	mqtt  line
	start time.Time

	mu      sync.Mutex
	waiting agenda
	more    chan struct{} // a machine was put back
	left    int           // machines without an answer
	out     Result
	calls   []float64 // ms
	seconds []int
	rng     *rand.Rand
}

// Run plays a night. When ctx ends early, the result tells what was done until
// then, and says so. Errors: Invalid; those of enrolling.
func Run(ctx context.Context, o Options) (Result, error) {
	if err := o.fill(); err != nil {
		return Result{}, err
	}
	n := &night{o: o, more: make(chan struct{}, 1), rng: rand.New(rand.NewPCG(o.Seed, 12))}
	n.out = Result{Machines: o.Machines, Transport: o.Transport, WindowS: o.Window.Seconds() / o.Speed}
	begun := time.Now()
	machines, err := n.enrol(ctx)
	if err != nil {
		return n.out, fmt.Errorf("enrol %d machines: %w", o.Machines, err)
	}
	n.out.EnrolS = time.Since(begun).Seconds()
	server, broker := o.Server, o.Broker
	for _, at := range []*string{&server, &broker} {
		if o.BadLines == 0 || *at == "" {
			continue
		}
		bad, err := badLine(*at, o)
		if err != nil {
			return n.out, err
		}
		defer bad.Close()
		*at = replaceHost(*at, bad.Addr())
	}
	n.http, n.mqtt = newHTTPLine(server, o), &mqttLine{broker: broker}
	n.play(ctx, machines)
	if ctx.Err() == nil {
		n.check(ctx, machines)
	}
	return n.out, nil
}

// badLine stands before a server and breaks connections, on the way there and on
// the way back.
func badLine(at string, o Options) (*fault.Proxy, error) {
	p, err := fault.NewProxy(host(at), fault.Options{CutShare: o.BadLines, CutBytes: 120 * o.Slots, CutBack: 300, Seed: o.Seed})
	if err != nil {
		return nil, fmt.Errorf("make bad lines: %w", err)
	}
	return p, nil
}

// play lets every machine call until all have an answer, patience ends, or ctx.
func (n *night) play(ctx context.Context, machines []*machine) {
	n.start = time.Now().Add(100 * time.Millisecond)
	window := slots.Window{Start: n.start, Length: n.o.Window}
	for i, m := range machines {
		off := window.At(m.id).Sub(n.start) + time.Duration(max(-1, min(1, n.rng.NormFloat64()/3))*float64(n.o.Spread))
		m.due = n.start.Add(time.Duration(float64(max(0, off)) / n.o.Speed))
		m.mqtt = n.o.Transport == MQTT || n.o.Transport == Both && i%2 == 1
	}
	n.waiting = append(agenda(nil), machines...)
	heap.Init(&n.waiting)
	n.left = len(machines)
	end := n.start.Add(time.Duration(float64(n.o.Window+n.o.Spread)/n.o.Speed) + n.o.Patience)
	run, stop := context.WithDeadline(ctx, end)
	defer stop()
	room := make(chan struct{}, n.o.AtOnce)
	var calls sync.WaitGroup
	tell := time.NewTicker(time.Second)
	defer tell.Stop()
	for run.Err() == nil {
		m, wait, done := n.next()
		if done {
			break
		}
		if m == nil {
			select {
			case <-run.Done():
			case <-n.more:
			case <-tell.C:
				n.tell()
			case <-time.After(wait):
			}
			continue
		}
		select {
		case <-run.Done():
			n.put(m)
			continue
		case room <- struct{}{}:
		}
		calls.Go(func() {
			n.call(run, m)
			<-room
		})
		select {
		case <-tell.C:
			n.tell()
		default:
		}
	}
	calls.Wait()
	n.finish(ctx)
}

// next returns a machine whose time has come, or how long nobody's has.
func (n *night) next() (m *machine, wait time.Duration, done bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.left == 0 {
		return nil, 0, true
	}
	if len(n.waiting) == 0 {
		return nil, time.Second, false
	}
	if wait = time.Until(n.waiting[0].due); wait > 0 {
		return nil, wait, false
	}
	return heap.Pop(&n.waiting).(*machine), 0, false
}

// put gives a machine back for its next call.
func (n *night) put(m *machine) {
	n.mu.Lock()
	heap.Push(&n.waiting, m)
	n.mu.Unlock()
	n.wake()
}

func (n *night) wake() {
	select {
	case n.more <- struct{}{}:
	default:
	}
}

// call is one call of a machine.
func (n *night) call(ctx context.Context, m *machine) {
	began := time.Now()
	by := n.http
	if m.mqtt {
		by = n.mqtt
	}
	one, stop := context.WithTimeout(ctx, giveUp)
	status, err := by.bring(one, m, report(reportID, n.start, n.o.Slots, m.id))
	stop()
	m.tries++
	now := time.Now()
	n.mu.Lock()
	n.count(m, began, now)
	again := false
	switch {
	case err == nil:
		m.done = true
		n.left--
		n.out.Stored++
		if status == "duplicate" {
			n.out.Duplicates++
		}
		n.out.TookS = max(n.out.TookS, now.Sub(n.start).Seconds())
	case ctx.Err() != nil: // the end of the night, not of the call
	case errs.Is(err, errs.Busy):
		n.out.Refused++
		m.due, again = now.Add(m.caller.Refused(errs.RetryAfter(err), n.rng)), true
	default:
		n.out.Failed++
		if n.out.FirstError == "" {
			n.out.FirstError = errs.Message(err)
			if errs.Is(err, errs.Internal) {
				n.out.FirstError = err.Error()
			}
		}
		m.due, again = now.Add(m.caller.Failed(n.rng)), true
	}
	n.mu.Unlock()
	if again {
		n.put(m)
		return
	}
	n.wake()
}

// count notes a call; n.mu is held.
func (n *night) count(m *machine, began, ended time.Time) {
	n.out.Calls++
	n.out.TriesMost = max(n.out.TriesMost, m.tries)
	n.out.BehindS = max(n.out.BehindS, began.Sub(m.due).Seconds())
	n.calls = append(n.calls, float64(ended.Sub(began).Microseconds())/1000)
	for second := max(0, int(began.Sub(n.start)/time.Second)); ; {
		if second < len(n.seconds) {
			n.seconds[second]++
			return
		}
		n.seconds = append(n.seconds, make([]int, second+1-len(n.seconds))...)
	}
}

func (n *night) tell() {
	if n.o.Progress == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.o.Progress(n.out.Stored, n.o.Machines, fmt.Sprintf("%d calls, %d refused, %d failed", n.out.Calls, n.out.Refused, n.out.Failed))
}

func (n *night) finish(ctx context.Context) {
	o := &n.out
	o.Lost, o.Interrupted = n.left, ctx.Err() != nil
	o.TriesMean = float64(o.Calls) / float64(o.Machines)
	if len(n.seconds) > 0 {
		o.PeakPerS = slices.Max(n.seconds)
	}
	if len(n.calls) > 0 {
		slices.Sort(n.calls)
		at := func(share float64) float64 { return n.calls[int(math.Ceil(share*float64(len(n.calls))))-1] }
		o.CallP50Ms, o.CallP99Ms = at(0.5), at(0.99)
	}
	if n.o.Progress != nil {
		n.o.Progress(o.Stored, o.Machines, "done")
	}
}
