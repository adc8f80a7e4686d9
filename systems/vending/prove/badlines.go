package prove

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"plumb/engines/fleet"
	"plumb/engines/fleet/slots"
	"plumb/engines/lab"
	"plumb/engines/lab/child"
	"plumb/engines/lab/fault"
)

// BadLines cuts one call in twenty at a random byte.
func BadLines() lab.Experiment {
	return lab.Experiment{
		System: "vending", Name: "badlines", Title: "when the line drops",
		Question: "One cellular connection in twenty drops at a random byte, on the way there or on the way back. Which reports are lost, and which are counted twice?",
		Metrics: []lab.Metric{
			{Name: "reports", Unit: "reports", Text: "reports to bring"},
			{Name: "cuts", Unit: "calls", Text: "calls that were cut"},
			{Name: "lost", Unit: "reports", Text: "not stored", Better: "less"},
			{Name: "doubled", Unit: "reports", Text: "stored more than once", Better: "less"},
			{Name: "tries", Unit: "calls", Text: "calls a report", Better: "less"},
		},
		Claims: []lab.Claim{
			{ID: "once-loses", Text: "sent once and forgotten, reports are lost", Design: "naive", Metric: "lost", Op: ">", Value: new(0.0)},
			{ID: "again-doubles", Text: "sent again until answered, some are stored twice", Design: "textbook", Metric: "doubled", Op: ">", Value: new(0.0)},
			{ID: "built-keeps", Text: "sent again under the same id, none is lost", Design: "built", Metric: "lost", Op: "==", Value: new(0.0)},
			{ID: "built-once", Text: "and none is there twice", Design: "built", Metric: "doubled", Op: "==", Value: new(0.0)},
			{ID: "less-lost", Text: "fewer lost than without a second try", Design: "built", Metric: "lost", Op: "<", Than: &lab.Than{Design: "naive", Metric: "lost"}, Apart: true},
			{ID: "less-doubled", Text: "fewer doubled than without an id", Design: "built", Metric: "doubled", Op: "<", Than: &lab.Than{Design: "textbook", Metric: "doubled"}, Apart: true},
		},
		Picture: []string{"lost", "doubled"},
		Run:     runBadLines,
	}
}

// bringer brings one report, known as id, to the server, and returns the calls made.
type bringer func(ctx context.Context, client *fleet.Client, id string) (tries int)

func runBadLines(ctx context.Context, b *lab.Bench) error {
	reports := 1200
	if b.Full {
		reports = 20_000
	}
	b.Note("Each call is a new connection to a real server through a line that cuts 5%% of them: half within the request, half within the answer. " +
		"Machines wait 20 ms to 2 s between tries instead of 20 s to 15 min, by the same code.")
	for i, d := range []struct {
		name     string
		kind     lab.Kind
		promises []string
		text     string
		bring    bringer
	}{
		{"once", lab.Naive, nil, "The report is sent once; nobody looks at the answer.", sendOnce},
		{"again", lab.Textbook, []string{"at least once"}, "The report is sent again until it is answered; the server gives it a number when it comes.", sendAgain},
		{"again, same id", lab.Built, []string{"at least once", "once"}, "The machine's own code: the report has an id chosen by the machine, and is sent again until it is answered.", deliver},
	} {
		from := float64(i) / 3
		row := b.Design(d.name, d.kind, d.promises...).Describe(d.text)
		if err := brought(ctx, b, row, reports, d.bring, func(share float64) { b.Progress(from+share/3, "%d reports, %s", reports, d.name) }); err != nil {
			return fmt.Errorf("bad lines, %s: %w", d.name, err)
		}
	}
	return nil
}

func sendOnce(ctx context.Context, client *fleet.Client, id string) int {
	_, _ = client.Send(ctx, reportBody(id, time.Now())) // the point of this design: nobody looks
	return 1
}

// sendAgain gives each try an id of its own: a server that numbers what comes in
// cannot know that it is the same report.
func sendAgain(ctx context.Context, client *fleet.Client, id string) int {
	for try := 1; ; try++ {
		if _, err := client.Send(ctx, reportBody(id+"."+strconv.Itoa(try), time.Now())); err == nil || ctx.Err() != nil {
			return try
		}
		wait(ctx, 20*time.Millisecond+rand.N(20*time.Millisecond))
	}
}

func deliver(ctx context.Context, client *fleet.Client, id string) int {
	before := client.Tries
	_, _ = client.Deliver(ctx, reportBody(id, time.Now())) // what is not delivered is found missing below
	return client.Tries - before
}

// brought has machines bring reports over a bad line and counts what arrived.
func brought(ctx context.Context, b *lab.Bench, row *lab.Design, reports int, bring bringer, progress func(share float64)) error {
	dir, err := b.TempDir()
	if err != nil {
		return err
	}
	s, err := child.Start(ctx, child.Options{Systems: []string{"vending"}, Data: dir})
	if err != nil {
		return err
	}
	defer s.Kill9()
	machines, err := enrol(ctx, s, callers)
	if err != nil {
		return err
	}
	line, err := fault.NewProxy(s.Addr, fault.Options{CutShare: 0.05, CutBytes: 2800, CutBack: 300, Seed: b.Seed})
	if err != nil {
		return err
	}
	defer line.Close()
	var all sync.WaitGroup
	var tries, done atomic.Int64
	for k, m := range machines {
		all.Go(func() {
			client := &fleet.Client{URL: "http://" + line.Addr() + "/api/v1/vending/reports", Token: m.token, Rand: rand.New(rand.NewPCG(b.Seed, uint64(k))),
				HTTP:    &http.Client{Timeout: giveUp, Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}},
				Backoff: slots.Backoff{Base: 10 * time.Millisecond, Cap: 2 * time.Second}}
			for i := k; i < reports && ctx.Err() == nil; i += callers {
				tries.Add(int64(bring(ctx, client, "b-"+strconv.Itoa(i))))
				progress(float64(done.Add(1)) / float64(reports))
			}
		})
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	there := map[string]int{} // by what was to be brought
	for _, m := range machines {
		list, err := stored(ctx, s, m.id)
		if err != nil {
			return err
		}
		for _, id := range list {
			name, _, _ := strings.Cut(id, ".")
			there[name]++
		}
	}
	lost, doubled := 0, 0
	for i := range reports {
		id := "b-" + strconv.Itoa(i)
		switch n := there[id]; {
		case n == 0:
			lost++
		case n > 1:
			doubled++
		}
		b.Event("found", found{Design: row.Name, Machine: machines[i%callers].id, Report: id, Times: there[id]})
	}
	_, cuts := line.Counts()
	row.Set("reports", float64(reports)).Set("cuts", float64(cuts)).Set("lost", float64(lost)).Set("doubled", float64(doubled)).
		Set("tries", float64(tries.Load())/float64(reports))
	return nil
}
