package prove

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"plumb/base/units"
	"plumb/engines/fleet"
	"plumb/engines/fleet/slots"
	"plumb/engines/lab"
	"plumb/engines/lab/child"
)

// Sockets is the herd again, as far as this machine holds it: real machines'
// code, real TLS connections, a real server.
func Sockets() lab.Experiment {
	return lab.Experiment{
		System: "vending", Name: "sockets", Title: "a herd over real sockets",
		Question: "As many machines as this computer holds call one real server at once, each on a TLS connection of its own. What do they notice?",
		Metrics: []lab.Metric{
			{Name: "machines", Unit: "machines", Text: "machines"},
			{Name: "stored", Unit: "reports", Text: "stored", Better: "more"},
			{Name: "lost", Unit: "reports", Text: "not stored", Better: "less"},
			{Name: "tries", Unit: "calls", Text: "calls a machine", Better: "less"},
			{Name: "at_once", Unit: "connections", Text: "most connections at once", Better: "less"},
			{Name: "call_p99_s", Unit: "s", Text: "a call takes, 99th percentile", Better: "less"},
			{Name: "done_s", Unit: "s", Text: "last report stored after"},
			{Name: "server_cpu_ms", Unit: "ms", Text: "server's CPU a report stored", Better: "less"},
		},
		Claims: []lab.Claim{
			{ID: "window-keeps", Text: "spread over a window, every report is stored", Design: "built", Metric: "lost", Op: "==", Value: new(0.0)},
			{ID: "herd-keeps", Text: "and when all call at once, slots still store every one", Design: "all at once, slots", Metric: "lost", Op: "==", Value: new(0.0)},
			{ID: "herd-tries", Text: "with at most 5 calls a machine", Design: "all at once, slots", Metric: "tries", Op: "<=", Value: new(5.0)},
			{ID: "connections", Text: "a window holds under half as many connections open at once", Design: "built", Metric: "at_once", Op: "<",
				Than: &lab.Than{Design: "naive", Metric: "at_once", Times: 0.5}},
			{ID: "waits", Text: "and a call takes under half as long", Design: "built", Metric: "call_p99_s", Op: "<",
				Than: &lab.Than{Design: "naive", Metric: "call_p99_s", Times: 0.5}},
		},
		Picture: []string{"call_p99_s", "at_once", "tries"},
		Run:     runSockets,
	}
}

// crowd is one design's run: how its machines call.
type crowd struct {
	name   string
	kind   lab.Kind
	text   string
	args   []string
	spread time.Duration // first calls fall into this
	slots  bool          // the machine's own code decides when to call again; else every 5 s
}

func runSockets(ctx context.Context, b *lab.Bench) error {
	machines := 400
	if b.Full {
		machines = 5000
	}
	// So small a crowd would fit into the queue of 5 s as a whole, and never meet
	// a refusal: it gets a queue of fifty reports, until the capacity is measured.
	narrow := []string{"--vending-queue", "250ms", "--vending-capacity", "200"}
	wide := []string{"--vending-queue", "1m", "--vending-capacity", "100000"}
	run := func(share float64, c crowd) (time.Duration, error) {
		b.Progress(share, "%d machines, %s", machines, c.name)
		took, err := c.run(ctx, b, machines)
		if err != nil {
			err = fmt.Errorf("%s over sockets: %w", c.name, err)
		}
		return took, err
	}
	took, err := run(0, crowd{"midnight", lab.Naive, "All at once; the server queues everybody; machines try again every 5 s.", wide, 0, false})
	if err != nil {
		return err
	}
	// The fleet's hour is many times what its server needs for the work; this
	// crowd's window is three times what the herd took.
	spread := min(max(3*took, time.Second), time.Minute)
	if !b.Full {
		spread = min(spread, 5*time.Second)
	}
	b.Note("%d machines, each call on a new TLS connection; machines and server share this computer's processors, so that its figures show the shape and not the scale. "+
		"The window is %.1f s instead of %.0f min, and the bounded queue a quarter second of work instead of %s.", machines, spread.Seconds(), reportWindow.Minutes(), units.Duration(queueBound))
	if _, err := run(0.3, crowd{"window and slots", lab.Built, "Spread over the window by their ids; the machines' and the server's own code.", narrow, spread, true}); err != nil {
		return err
	}
	_, err = run(0.8, crowd{"all at once, slots", lab.Step, "The built design without its window, as after an outage.", narrow, 0, true})
	return err
}

// socketEnd is the raw event of one machine's run.
type socketEnd struct {
	Design  string  `json:"design"`
	Machine string  `json:"machine"`
	Tries   int     `json:"tries"`
	StoredS float64 `json:"stored_s"` // since the start
	Error   string  `json:"error,omitempty"`
}

// run has n machines call a server of their own, and returns how long it took
// until the last report was stored.
func (c crowd) run(ctx context.Context, b *lab.Bench, n int) (time.Duration, error) {
	dir, err := b.TempDir()
	if err != nil {
		return 0, err
	}
	s, err := child.Start(ctx, child.Options{Systems: []string{"vending"}, Data: dir, TLS: true, Args: c.args})
	if err != nil {
		return 0, err
	}
	defer s.Kill9()
	machines, err := enrol(ctx, s, n)
	if err != nil {
		return 0, err
	}
	before, err := s.CPU()
	if err != nil {
		return 0, err
	}
	// Nobody tries for longer than this; who is not stored then is lost. A
	// machine that got no answer waits for minutes, in the worst case.
	patience := 10*time.Second + 2*c.spread
	if b.Full {
		patience = 5*time.Minute + 2*c.spread
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m := &meter{next: &http.Transport{TLSClientConfig: s.TLS, DisableKeepAlives: true, DisableCompression: true}}
	var all sync.WaitGroup
	var tries, stored, last atomic.Int64
	start := time.Now()
	window := slots.Window{Start: start, Length: c.spread}
	for i, machine := range machines {
		all.Go(func() {
			wait(ctx, time.Until(window.At(machine.id)))
			client := &fleet.Client{URL: s.URL + "/api/v1/vending/reports", Token: machine.token,
				HTTP: &http.Client{Transport: m, Timeout: giveUp}, Rand: rand.New(rand.NewPCG(b.Seed, uint64(i)))}
			err := c.deliver(ctx, client, reportBody("night-1", start))
			end := socketEnd{Design: c.name, Machine: machine.id, Tries: client.Tries}
			tries.Add(int64(client.Tries))
			if err != nil {
				end.Error = err.Error()
			} else {
				took := time.Since(start)
				stored.Add(1)
				end.StoredS = took.Seconds()
				for was := last.Load(); int64(took) > was && !last.CompareAndSwap(was, int64(took)); was = last.Load() {
				}
			}
			b.Event("machine", end)
		})
	}
	all.Wait()
	after, err := s.CPU()
	if err != nil {
		return 0, err
	}
	d := b.Design(c.name, c.kind, "durable", "once").Describe(c.text)
	d.Set("machines", float64(n)).Set("stored", float64(stored.Load())).Set("lost", float64(n)-float64(stored.Load())).
		Set("tries", float64(tries.Load())/float64(n)).Set("at_once", float64(m.most)).Set("call_p99_s", m.quantile(0.99).Seconds())
	if stored.Load() > 0 {
		d.Set("done_s", time.Duration(last.Load()).Seconds()).Set("server_cpu_ms", 1e3*(after-before).Seconds()/float64(stored.Load()))
	}
	return time.Duration(last.Load()), nil
}

// deliver is the machine's own code, or, in designs without slots, the same call
// again every 5 s.
func (c crowd) deliver(ctx context.Context, client *fleet.Client, report []byte) error {
	if c.slots {
		_, err := client.Deliver(ctx, report)
		return err
	}
	for {
		if _, err := client.Send(ctx, report); err == nil {
			return nil
		}
		wait(ctx, fixedRetry)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// meter notes how long calls take and how many there are at once.
type meter struct {
	next http.RoundTripper

	mu    sync.Mutex
	now   int
	most  int
	calls []time.Duration
}

// RoundTrip counts a call that was begun, however it ends.
func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	m.now++
	m.most = max(m.most, m.now)
	m.mu.Unlock()
	start := time.Now()
	res, err := m.next.RoundTrip(r)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now--
	m.calls = append(m.calls, time.Since(start))
	return res, err
}

func (m *meter) quantile(share float64) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.calls) == 0 {
		return 0
	}
	slices.Sort(m.calls)
	return m.calls[int(share*float64(len(m.calls)-1))]
}
