package prove

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"plumb/base/units"
	"plumb/engines/lab"
	"plumb/systems/vending/internal/gate"
)

// Gated is the batch: at a fixed hour, or when the reports are in.
func Gated() lab.Experiment {
	return lab.Experiment{
		System: "vending", Name: "gated", Title: "the batch that waits for the late",
		Question: "At 01:00 some reports are not in. What comes of planning without them, and what of waiting?",
		Metrics: []lab.Metric{
			{Name: "stale_pct", Unit: "%", Text: "machines planned without this night's report", Better: "less"},
			{Name: "stale_worst_pct", Unit: "%", Text: "of the worst night", Better: "less"},
			{Name: "lost_sales_pct", Unit: "%", Text: "sales lost to empty slots and faults", Better: "less"},
			{Name: "lost_stale_pct", Unit: "%", Text: "sales lost at machines that were planned so", Better: "less"},
			{Name: "soldout_pct", Unit: "%", Text: "slots that are empty in the evening", Better: "less"},
			{Name: "carried_back_pct", Unit: "%", Text: "of the load carried back: it did not fit", Better: "less"},
			{Name: "faults_missed_pct", Unit: "%", Text: "faults that the morning's technicians were not told", Better: "less"},
			{Name: "ready_mean_min", Unit: "min", Text: "plan begun, after midnight", Better: "less"},
			{Name: "ready_quiet_min", Unit: "min", Text: "the same in quiet nights", Better: "less"},
			{Name: "ready_worst_min", Unit: "min", Text: "the same, worst night", Better: "less"},
			{Name: "visits", Unit: "visits/night", Text: "visits"},
		},
		Claims: []lab.Claim{
			{ID: "fixed-is-stale", Text: "at a fixed 01:00 machines are planned on yesterday's report", Design: "naive", Metric: "stale_pct", Op: ">", Value: new(0.0)},
			{ID: "gated-is-fresher", Text: "the gate plans under two thirds as many so", Design: "built", Metric: "stale_pct", Op: "<", Than: &lab.Than{Design: "naive", Metric: "stale_pct", Times: 0.667}},
			{ID: "carried-back", Text: "and what is forecast halves what is carried for nothing", Design: "built", Metric: "carried_back_pct", Op: "<", Than: &lab.Than{Design: "naive", Metric: "carried_back_pct", Times: 0.5}},
			{ID: "lost-sales", Text: "fewer sales are lost", Design: "built", Metric: "lost_sales_pct", Op: "<", Than: &lab.Than{Design: "naive", Metric: "lost_sales_pct"}},
			{ID: "faults", Text: "fewer faults wait for another day", Design: "built", Metric: "faults_missed_pct", Op: "<", Than: &lab.Than{Design: "naive", Metric: "faults_missed_pct", Times: 0.8}},
			{ID: "sooner", Text: "in quiet nights the plan begins sooner than at a later fixed hour", Design: "built", Metric: "ready_quiet_min", Op: "<", Than: &lab.Than{Design: "textbook", Metric: "ready_quiet_min", Times: 0.75}},
			{ID: "deadline", Text: "and never after 02:00", Design: "built", Metric: "ready_worst_min", Op: "<=", Value: new(120.0)},
		},
		Picture: []string{"stale_pct", "lost_sales_pct", "carried_back_pct", "ready_mean_min"},
		Run:     runGated,
	}
}

// batch is one way to decide when to plan, and from what.
type batch struct {
	name     string
	text     string
	fixed    time.Duration // after midnight; 0: the gate decides
	forecast bool          // late machines are planned from what they should have sold; else from their last report as it is
}

// When a night is planned, as the room's defaults have it.
var (
	usualGate   = gate.Gate{Share: 0.99, Earliest: time.Hour, Deadline: 2 * time.Hour}
	usualWindow = time.Hour
)

func runGated(ctx context.Context, b *lab.Bench) error {
	f := field{machines: 240, warm: 7, nights: 14, steps: 2_500, seed: b.Seed}
	if b.Full {
		f = field{machines: 500, warm: 21, nights: 28, steps: 60_000, seed: b.Seed}
	}
	town := newTown(f)
	b.Note("A city of %s machines for %d nights, after %d from which demand is learnt; the same sales, faults and delays for all designs; gate, forecast and routes are the code that runs. "+
		"In quiet nights 1.5%% of the machines are 20 minutes late on average, 2%% have a bad line and are late every other night, 0.3%% stay silent; two nights in fourteen the network delays 30%% of them by 45 minutes on average, one in fourteen 60%% by two hours.",
		units.Count(int64(f.machines)), f.nights, f.warm)
	b.Note("Reports come within %s of midnight. Vehicles leave at 06:00 whatever the design: what is planned later is not fresher for the driver, but there is less time to load.", units.Duration(usualWindow))
	batches := []batch{
		{"01:00", "The batch runs at 01:00; whoever is late is planned from its last report.", time.Hour, false},
		{"02:00", "The batch runs at 02:00 instead; else the same.", 2 * time.Hour, false},
		{"gated", "The batch runs when 99% are in, between 01:00 and 02:00; whoever is late is planned from its last report, what it should have sold since, and what was brought.", 0, true},
		{"01:00, forecast", "The fixed hour with the forecast: what the waiting alone is worth.", time.Hour, true},
	}
	sums := make([]*tally, len(batches))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.NumCPU())
	var done atomic.Int64
	all := int64(len(batches) * (f.warm + f.nights))
	for i, d := range batches {
		g.Go(func() error {
			play := town.open()
			for n := range f.warm + f.nights {
				if err := play.night(gctx, n, d); err != nil {
					return fmt.Errorf("night %d of the batch %s: %w", n+1, d.name, err)
				}
				b.Progress(float64(done.Add(1))/float64(all), "night %d, %s", n+1, d.name)
			}
			sums[i] = play.sum
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, kind := range []lab.Kind{lab.Naive, lab.Textbook, lab.Built, lab.Step} {
		sums[i].record(b.Design(batches[i].name, kind, "idempotent").Describe(batches[i].text))
	}
	return nil
}

// tally sums what the nights of one design came to.
type tally struct {
	nights                 int
	machines, stale, worst float64
	wanted, lost           float64 // items, over the days
	wantedStale, lostStale float64 // at machines that were planned without their report
	slots, empty           float64 // slot evenings
	loaded, carried        float64 // items
	faults, missed         float64 // fault mornings
	ready, quiet           []float64
	visits                 float64
}

func share(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * part / whole
}

func (t *tally) record(d *lab.Design) {
	mean := func(list []float64) float64 {
		sum := 0.0
		for _, v := range list {
			sum += v
		}
		return sum / float64(max(1, len(list)))
	}
	d.Set("stale_pct", share(t.stale, t.machines)).Set("stale_worst_pct", 100*t.worst).
		Set("lost_sales_pct", share(t.lost, t.wanted)).Set("lost_stale_pct", share(t.lostStale, t.wantedStale)).
		Set("soldout_pct", share(t.empty, t.slots)).Set("carried_back_pct", share(t.carried, t.loaded)).
		Set("faults_missed_pct", share(t.missed, t.faults)).
		Set("ready_mean_min", mean(t.ready)).Set("ready_quiet_min", mean(t.quiet)).Set("ready_worst_min", slices.Max(append(t.ready, 0))).
		Set("visits", t.visits/float64(max(1, t.nights)))
}
