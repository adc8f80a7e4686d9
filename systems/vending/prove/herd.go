package prove

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"plumb/base/units"
	"plumb/engines/lab"
)

// fleetSize is the question's.
const fleetSize = 188_888

// reaches are the capacities for which the recovery after an outage is claimed.
var reaches = []float64{200, 500, 1000, 2000}

// Herd is the question itself: everybody at midnight, on one server.
func Herd() lab.Experiment {
	return lab.Experiment{
		System: "vending", Name: "herd", Title: "when everybody calls at midnight",
		Question: "188,888 machines call one server at 00:00 and a batch reads their reports at 01:00. Which reports are in?",
		Metrics: []lab.Metric{
			{Name: "lost", Unit: "reports", Text: "not stored by 01:00", Better: "less"},
			{Name: "lost_pct", Unit: "%", Text: "share not stored by 01:00", Better: "less"},
			{Name: "lost_worst_pct", Unit: "%", Text: "not stored, worst of the sweep", Better: "less"},
			{Name: "lost_tls_pct", Unit: "%", Text: "not stored, where refusing costs its TLS", Better: "less"},
			{Name: "tries", Unit: "calls", Text: "calls a machine", Better: "less"},
			{Name: "peak_arrivals_per_s", Unit: "calls/s", Text: "busiest second", Better: "less"},
			{Name: "wasted_pct", Unit: "%", Text: "server's work that stored nothing", Better: "less"},
			{Name: "done_s", Unit: "s", Text: "last report stored, after midnight"},
			{Name: "wait_p99_s", Unit: "s", Text: "from own first call to stored, 99th percentile", Better: "less"},
			{Name: "recovery_lost", Unit: "reports", Text: "after an outage: not stored", Better: "less"},
			{Name: "recovery_tries", Unit: "calls", Text: "after an outage: calls a machine, worst C", Better: "less"},
			{Name: "recovery_over_best", Unit: "", Text: "after an outage: time over N/C, worst C", Better: "less"},
			{Name: "capacity_per_s", Unit: "reports/s", Text: "C: stored by this machine, TLS included", Better: "more"},
			{Name: "report_cpu_ms", Unit: "ms", Text: "server's CPU a report, TLS included", Better: "less"},
		},
		Claims: []lab.Claim{
			{ID: "midnight-loses", Text: "the question's design loses reports", Design: "naive", Metric: "lost", Op: ">", Value: new(0.0)},
			{ID: "built-keeps", Text: "window and slots lose none", Design: "built", Metric: "lost", Op: "==", Value: new(0.0)},
			{ID: "built-keeps-swept", Text: "nor with 1, 5 or endless tries, clocks up to 5 min off, 200 to 2,000 reports/s", Design: "built", Metric: "lost_worst_pct", Op: "==", Value: new(0.0)},
			{ID: "peak", Text: "the busiest second is under a hundredth of midnight's", Design: "built", Metric: "peak_arrivals_per_s", Op: "<",
				Than: &lab.Than{Design: "naive", Metric: "peak_arrivals_per_s", Times: 0.01}},
			{ID: "tries", Text: "and a machine calls less than half as often as with a bounded queue and endless retries", Design: "built", Metric: "tries", Op: "<",
				Than: &lab.Than{Design: "textbook", Metric: "tries", Times: 0.5}},
			{ID: "recovery-lost", Text: "everybody at once after an outage: none lost at any capacity", Design: "built", Metric: "recovery_lost", Op: "==", Value: new(0.0)},
			{ID: "recovery-time", Text: "done within 1.05 of the best possible time", Design: "built", Metric: "recovery_over_best", Op: "<=", Value: new(1.05)},
			{ID: "recovery-tries", Text: "in at most 2 calls a machine", Design: "built", Metric: "recovery_tries", Op: "<=", Value: new(2.0)},
			{ID: "recovery-textbook", Text: "less than a tenth of the bounded queue's", Design: "built", Metric: "recovery_tries", Op: "<",
				Than: &lab.Than{Design: "textbook", Metric: "recovery_tries", Times: 0.1}},
		},
		Picture: []string{"lost_pct", "peak_arrivals_per_s", "tries", "recovery_tries"},
		Target:  targetHelp,
		Run:     runHerd,
	}
}

func runHerd(ctx context.Context, b *lab.Bench) error {
	b.Progress(0, "measuring what one server stores, with TLS")
	cost, err := measureIngest(ctx, b)
	if err != nil {
		return err
	}
	b.Event("capacity", cost)
	w := world{machines: fleetSize, capacity: cost.Reports, spread: 2 * time.Second, abandoned: cost.abandoned(),
		horizon: theHour, seed: b.Seed}
	b.Note("A server's capacity of %s reports/s was measured on plumb serve with a new TLS connection for each report, client and server sharing %d CPUs; "+
		"by its own %.2f ms of CPU a report, a server that had them to itself would store up to %s. "+
		"A call whose machine has hung up costs %.0f%% of a report, and one that is refused %.0f%%.",
		units.Short(cost.Reports), runtime.NumCPU(), 1e3*cost.ReportCPU, units.Short(float64(runtime.NumCPU())/cost.ReportCPU), 100*cost.abandoned(), 100*cost.refusal())
	b.Note("The same for all: endless tries, %s of patience, %s between tries where the server names no time, clocks up to %s off, at most %s of work waiting where a queue is bounded. "+
		"A refusal is taken to cost nothing, which flatters the bounded queue most; the row with TLS counts it.", units.Duration(giveUp), units.Duration(fixedRetry), units.Duration(w.spread), units.Duration(queueBound))
	b.Note("Window and slots spread the fleet over %s, so that late clocks and second tries are in before the batch.", units.Duration(reportWindow))

	designs := []design{midnight, bounded, window}
	rows := map[string]*lab.Design{}
	for i, kind := range []lab.Kind{lab.Naive, lab.Textbook, lab.Built} {
		rows[designs[i].name] = b.Design(designs[i].name, kind, "durable", "once").Describe(designs[i].text)
	}
	rows[window.name].Set("capacity_per_s", cost.Reports).Set("report_cpu_ms", 1e3*cost.ReportCPU)
	h := &herd{b: b, w: w, cost: cost, rows: rows}
	for _, step := range []func(context.Context) error{h.headline, h.sweep, h.recovery, h.targets} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// herd is one run of the experiment.
type herd struct {
	b    *lab.Bench
	w    world
	cost ingest
	rows map[string]*lab.Design
}

// sim is one night to simulate, and what it came to.
type sim struct {
	w   world
	d   design
	out outcome
}

// all simulates the nights, as many at a time as there are processors.
func (h *herd) all(ctx context.Context, from, to float64, what string, sims []*sim) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.NumCPU())
	var done atomic.Int64
	for _, s := range sims {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			s.out = s.w.run(s.d, nil)
			h.b.Progress(from+(to-from)*float64(done.Add(1))/float64(len(sims)), "%s, %s", what, s.d.name)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// headline is the night itself, at full size, and the fleet with which midnight
// begins to lose.
func (h *herd) headline(ctx context.Context) error {
	h.b.Progress(0.3, "the night of %s machines", units.Count(int64(h.w.machines)))
	outs := map[string]*outcome{midnight.name: {}, bounded.name: {}, window.name: {}}
	var breaks int
	var found bool
	g, ctx := errgroup.WithContext(ctx)
	night := func(d design) {
		*outs[d.name] = h.w.run(d, h.recorder(d))
	}
	g.Go(func() error { // by far the longest
		night(midnight)
		return ctx.Err()
	})
	g.Go(func() error {
		night(bounded)
		night(window)
		h.b.Progress(0.5, "the fleet at which midnight breaks")
		breaks, found = lab.FirstToBreak(1000, 10*fleetSize, func(n int) bool {
			w := h.w
			w.machines = n
			return ctx.Err() == nil && w.run(midnight, nil).lost > 0
		})
		return ctx.Err()
	})
	if err := g.Wait(); err != nil {
		return fmt.Errorf("simulate the night: %w", err)
	}
	for name, out := range outs {
		out.record(h.rows[name])
		h.rows[name].Set("lost_pct", 100*out.lostShare(h.w))
	}
	if found {
		h.b.BreakEven(fmt.Sprintf("at %s reports/s and clocks %s off, midnight on one server loses reports from a fleet of", units.Short(h.w.capacity), units.Duration(h.w.spread)), float64(breaks), "machines")
	}
	return nil
}

// recorder writes each machine's end as a raw event, where that is asked for.
func (h *herd) recorder(d design) func(ending) {
	if !h.b.Recording() {
		return nil
	}
	type end struct {
		Design  string   `json:"design"`
		Machine string   `json:"machine"`
		FirstS  float64  `json:"first_s"`            // its first call, after midnight
		StoredS *float64 `json:"stored_s,omitempty"` // absent: never
		Tries   int      `json:"tries"`
	}
	return func(e ending) {
		out := end{Design: d.name, Machine: e.id, FirstS: e.first.Seconds(), Tries: e.tries}
		if e.stored {
			out.StoredS = new(e.at.Seconds())
		}
		h.b.Event("machine", out)
	}
}

// sweep varies every assumption for every design alike. Outside a full run it
// does so with a twentieth of the fleet on a twentieth of the capacity.
func (h *herd) sweep(ctx context.Context) error {
	scale, spreads := 20, []time.Duration{2 * time.Second, 5 * time.Minute}
	if h.b.Full || h.b.Sweep {
		scale, spreads = 1, []time.Duration{2 * time.Second, 30 * time.Second, 5 * time.Minute}
	}
	var worlds []world
	vary := func(change func(w *world)) {
		w := h.w
		change(&w)
		worlds = append(worlds, w)
	}
	vary(func(w *world) { w.refusal = h.cost.refusal() }) // first: see below
	for _, tries := range []int{1, 5, 0} {
		for _, spread := range spreads {
			for _, c := range []float64{200, 2000} {
				vary(func(w *world) { w.tries, w.spread, w.capacity = tries, spread, c })
			}
		}
	}
	for _, n := range []int{1000, 5000, 10_000, 20_000, 50_000, 100_000, fleetSize} {
		vary(func(w *world) { w.machines = n })
	}
	vary(func(w *world) { w.abandoned = 0 })
	designs := []design{midnight, bounded, window}
	var sims []*sim
	for _, w := range worlds {
		w.machines, w.capacity = w.machines/scale, w.capacity/float64(scale)
		for _, d := range designs {
			sims = append(sims, &sim{w: w, d: d})
		}
	}
	if err := h.all(ctx, 0.65, 0.85, "sweep", sims); err != nil {
		return err
	}
	worst := map[string]float64{}
	for i, s := range sims {
		w, pct := worlds[i/len(designs)], 100*s.out.lostShare(s.w)
		if i < len(designs) {
			h.rows[s.d.name].Set("lost_tls_pct", pct)
		} else {
			worst[s.d.name] = max(worst[s.d.name], pct)
		}
		// The shares are those of the whole fleet, and so it stands in the point.
		h.b.Point(map[string]float64{"machines": float64(w.machines), "capacity_per_s": w.capacity, "tries": float64(w.tries),
			"clock_spread_s": w.spread.Seconds(), "abandoned_cost": w.abandoned, "refusal_cost": w.refusal}, s.d.name,
			map[string]float64{"lost_pct": pct, "tries": s.out.tries, "peak_arrivals_per_s": float64(s.out.peak * scale), "wasted_pct": 100 * s.out.wasted})
	}
	for _, d := range designs {
		h.rows[d.name].Set("lost_worst_pct", worst[d.name])
	}
	return nil
}

// recovery is the herd that no window prevents: the server was away for ten
// minutes, and everybody calls when it is back.
func (h *herd) recovery(ctx context.Context) error {
	var sims []*sim
	for _, c := range reaches {
		for _, d := range []design{midnight, bounded, window} {
			if !h.b.Full && (d.name == midnight.name || d.name == bounded.name && c != reaches[0]) {
				continue // midnight fares as on any night; the bounded queue's worst is the smallest capacity
			}
			d.window = 0
			w := h.w
			w.capacity = c
			sims = append(sims, &sim{w: w, d: d})
		}
	}
	if err := h.all(ctx, 0.85, 1, "recovery", sims); err != nil {
		return err
	}
	type worst struct{ lost, tries, over float64 }
	found := map[string]worst{}
	for _, s := range sims {
		over := s.out.done.Seconds() / (float64(s.w.machines) / s.w.capacity)
		x := found[s.d.name]
		found[s.d.name] = worst{max(x.lost, float64(s.out.lost)), max(x.tries, s.out.tries), max(x.over, over)}
		h.b.Point(map[string]float64{"recovery": 1, "capacity_per_s": s.w.capacity, "machines": float64(s.w.machines)}, s.d.name,
			map[string]float64{"recovery_lost": float64(s.out.lost), "recovery_tries": s.out.tries, "recovery_over_best": over})
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		x := found[name]
		h.rows[name].Set("recovery_lost", x.lost).Set("recovery_tries", x.tries).Set("recovery_over_best", x.over)
	}
	return nil
}
