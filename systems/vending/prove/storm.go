package prove

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"plumb/base/units"
	"plumb/engines/lab"
)

// Storm takes the server away in the middle of the night's window.
func Storm() lab.Experiment {
	return lab.Experiment{
		System: "vending", Name: "storm", Title: "when the server comes back",
		Question: "The server is away for ten minutes in the middle of the window. With what force do the machines call when it is back, and how long until all are stored?",
		Metrics: []lab.Metric{
			{Name: "peak_back_per_s", Unit: "calls/s", Text: "busiest second once it is back", Better: "less"},
			{Name: "over_normal", Unit: "", Text: "that, over a normal night's busiest second", Better: "less"},
			{Name: "drained_s", Unit: "s", Text: "until all who had called before are stored", Better: "less"},
			{Name: "tries", Unit: "calls", Text: "calls a machine", Better: "less"},
			{Name: "lost", Unit: "reports", Text: "not stored by 01:00", Better: "less"},
		},
		Claims: []lab.Claim{
			{ID: "kept", Text: "with full jitter none is lost", Design: "built", Metric: "lost", Op: "==", Value: new(0.0)},
			{ID: "force", Text: "the server meets a tenth of the calls that a fixed interval sends", Design: "built", Metric: "peak_back_per_s", Op: "<",
				Than: &lab.Than{Design: "naive", Metric: "peak_back_per_s", Times: 0.1}},
			{ID: "capacity", Text: "in no second more than it can store", Design: "built", Metric: "peak_back_per_s", Op: "<=", Value: new(stormCapacity)},
			{ID: "tries", Text: "and machines call a third as often", Design: "built", Metric: "tries", Op: "<", Than: &lab.Than{Design: "naive", Metric: "tries", Times: 0.33}},
			{ID: "price", Text: "what it costs is time: at most the longest wait, a quarter of an hour", Design: "built", Metric: "drained_s", Op: "<=", Value: new(905.0)},
		},
		Picture: []string{"peak_back_per_s", "tries", "drained_s"},
		Run:     runStorm,
	}
}

// stormCapacity is what the server stores in a second. It decides nothing here
// but how a fixed interval fares, and is swept.
const stormCapacity = 500.0

func runStorm(ctx context.Context, b *lab.Bench) error {
	w := world{machines: fleetSize, capacity: stormCapacity, spread: 2 * time.Second, abandoned: 1, horizon: theHour,
		awayFrom: 15 * time.Minute, awayTo: 25 * time.Minute, seed: b.Seed}
	fixed := design{name: "every 5 s", text: "Machines call again every 5 s; a full queue answers 503.", window: reportWindow, bound: true, refuse: true}
	double := design{name: "doubling", text: "The wait doubles from try to try, 10 s to 7.5 min, without jitter.", window: reportWindow, bound: true, refuse: true, double: true}
	built := window
	built.name, built.text = "full jitter", "The machines' own code: an even draw from nothing to a bound that doubles, 20 s to 15 min, and slots where the queue is full."
	b.Note("The fleet calls over %s in all three; a server of %s reports/s (swept: 200 to 2,000) is away from 00:15 to 00:25; while it is away connections are refused at once. "+
		"In virtual time; the jitter, the slots and the admission are the code that runs.", units.Duration(reportWindow), units.Short(w.capacity))
	designs := []design{fixed, double, built}
	outs := make([]outcome, len(designs))
	var quiet int
	g, _ := errgroup.WithContext(ctx)
	g.SetLimit(2)
	g.Go(func() error {
		calm := w
		calm.awayFrom, calm.awayTo = 0, 0
		quiet = calm.run(built, nil).peak
		return ctx.Err()
	})
	for i, d := range designs {
		g.Go(func() error {
			b.Progress(float64(i)/6, "the outage, %s", d.name)
			outs[i] = w.run(d, nil)
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("simulate the outage: %w", err)
	}
	for i, kind := range []lab.Kind{lab.Naive, lab.Textbook, lab.Built} {
		o := outs[i]
		d := b.Design(designs[i].name, kind, "durable", "once").Describe(designs[i].text)
		d.Set("peak_back_per_s", float64(o.back)).Set("over_normal", float64(o.back)/float64(max(1, quiet))).Set("tries", o.tries).
			Set("lost", float64(o.lost)).Set("drained_s", o.drained.Seconds())
	}
	for k, c := range reaches {
		for _, d := range designs {
			if err := ctx.Err(); err != nil {
				return err
			}
			at := w
			at.capacity = c
			o := at.run(d, nil)
			b.Point(map[string]float64{"capacity_per_s": c}, d.name, map[string]float64{"peak_back_per_s": float64(o.back),
				"drained_s": o.drained.Seconds(), "tries": o.tries, "lost": float64(o.lost)})
		}
		b.Progress(0.5+float64(k+1)/8, "%s reports/s", units.Short(c))
	}
	return nil
}
