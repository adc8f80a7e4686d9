package prove

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"plumb/engines/lab"
	"plumb/engines/lab/child"
	"plumb/engines/lab/powercut"
)

// PowerCut takes the power away while machines report.
func PowerCut() lab.Experiment {
	return lab.Experiment{
		System: "vending", Name: "powercut", Title: "when the power goes",
		Question: "A machine deletes its report once that is acknowledged. The power goes while thousands report: is every acknowledged report there afterwards, once?",
		Metrics: []lab.Metric{
			{Name: "cuts", Unit: "cuts", Text: "power cuts"},
			{Name: "acknowledged", Unit: "reports", Text: "acknowledged"},
			{Name: "lost", Unit: "reports", Text: "acknowledged, and gone", Better: "less"},
			{Name: "doubled", Unit: "reports", Text: "there more than once", Better: "less"},
			{Name: "losing_cuts", Unit: "cuts", Text: "cuts that lost something", Better: "less"},
			{Name: "ruined", Unit: "cuts", Text: "cuts after which the store did not open", Better: "less"},
			{Name: "unsynced", Unit: "writes", Text: "writes that the cuts dropped or tore"},
		},
		Claims: []lab.Claim{
			{ID: "worked", Text: "reports were acknowledged before the cuts", Design: "built", Metric: "acknowledged", Op: ">", Value: new(0.0)},
			{ID: "kept", Text: "every acknowledged report is there", Design: "built", Metric: "lost", Op: "==", Value: new(0.0)},
			{ID: "once", Text: "none is there twice", Design: "built", Metric: "doubled", Op: "==", Value: new(0.0)},
			{ID: "opens", Text: "the store opens after every cut", Design: "built", Metric: "ruined", Op: "==", Value: new(0.0)},
			{ID: "void", Text: "with its syncs switched off the same server loses some: the cuts do cut", Design: "naive", Metric: "lost", Op: ">", Value: new(0.0)},
			{ID: "less", Text: "so it is the syncs that keep them", Design: "built", Metric: "lost", Op: "<", Apart: true,
				Than: &lab.Than{Design: "naive", Metric: "lost"}},
		},
		Picture: []string{"lost"},
		Run:     runPowerCut,
	}
}

// cutting is what one design is put through.
type cutting struct {
	b        *lab.Bench
	name     string
	args     []string
	machines int
	cuts     int
	fresh    bool // a new store for each cut: what was damaged cannot be carried on with

	acknowledged, lost, doubled, losing, ruined, unsynced int
}

func runPowerCut(ctx context.Context, b *lab.Bench) error {
	built := &cutting{b: b, name: "as served", machines: 64, cuts: 4}
	naive := &cutting{b: b, name: "answers first", args: []string{"--unsafe-no-sync"}, machines: 64, cuts: 2, fresh: true}
	if b.Full {
		built.machines, built.cuts = 2000, 50
		naive.machines, naive.cuts = 2000, 10
	}
	b.Note("The data folder is served by FUSE and forgets what was not synced; half of the cuts treat names as ext4 does, half more strictly. "+
		"%d machines report as fast as they are answered; after each cut all reports ever acknowledged are looked up.", built.machines)
	total := float64(built.cuts + naive.cuts)
	for i, c := range []*cutting{naive, built} {
		from := float64(i) * float64(naive.cuts) / total
		if err := c.run(ctx, from, float64(c.cuts)/total); err != nil {
			return err
		}
	}
	naive.record(b.Design(naive.name, lab.Naive, "once").Describe("The same server with its syncs switched off: it answers before the disk has it."))
	built.record(b.Design(built.name, lab.Built, "once", "durable").Describe("plumb serve vending: an answer follows the fsync of the commit."))
	return nil
}

func (c *cutting) record(d *lab.Design) {
	d.Set("cuts", float64(c.cuts)).Set("acknowledged", float64(c.acknowledged)).Set("lost", float64(c.lost)).Set("doubled", float64(c.doubled)).
		Set("losing_cuts", float64(c.losing)).Set("ruined", float64(c.ruined)).Set("unsynced", float64(c.unsynced))
}

// store is a data folder that outlives power cuts, and what it must hold.
type store struct {
	backing, mount string
	machines       []enrolled
	acked          map[string]map[string]bool // by machine, the report ids acknowledged
}

func (c *cutting) run(ctx context.Context, from, share float64) error {
	var st *store
	for i := range c.cuts {
		c.b.Progress(from+share*float64(i)/float64(c.cuts), "cut %d of %d, %s", i+1, c.cuts, c.name)
		if st == nil || c.fresh {
			var err error
			if st, err = c.newStore(ctx); err != nil {
				return err
			}
		}
		if err := c.cut(ctx, st, i); err != nil {
			return fmt.Errorf("power cut %d of %s: %w", i+1, c.name, err)
		}
		if err := c.look(ctx, st, i); err != nil {
			return fmt.Errorf("after power cut %d of %s: %w", i+1, c.name, err)
		}
	}
	return nil
}

// newStore enrols the machines on a good disk: the cuts are about their reports.
func (c *cutting) newStore(ctx context.Context) (*store, error) {
	dir, err := c.b.TempDir()
	if err != nil {
		return nil, err
	}
	st := &store{backing: filepath.Join(dir, "disk"), mount: filepath.Join(dir, "mount"), acked: map[string]map[string]bool{}}
	if err := errors.Join(os.Mkdir(st.backing, 0o700), os.Mkdir(st.mount, 0o700)); err != nil {
		return nil, fmt.Errorf("folders for power cuts: %w", err)
	}
	s, err := child.Start(ctx, child.Options{Systems: []string{"vending"}, Data: st.backing})
	if err != nil {
		return nil, err
	}
	if st.machines, err = enrol(ctx, s, c.machines); err != nil {
		s.Kill9()
		return nil, err
	}
	for _, m := range st.machines {
		st.acked[m.id] = map[string]bool{}
	}
	return st, s.Stop()
}

// cut serves the store on a disk that forgets, has all machines report, and
// takes the power away at a random moment.
func (c *cutting) cut(ctx context.Context, st *store, i int) error {
	rng := lab.Rand(c.b.Seed, c.name+strconv.Itoa(i))
	disk, err := powercut.Open(st.backing, st.mount, powercut.Options{Ext4Names: i%2 == 0})
	if err != nil {
		return err
	}
	s, err := child.Start(ctx, child.Options{Systems: []string{"vending"}, Data: st.mount, Args: c.args})
	if err != nil {
		return errors.Join(err, disk.Close())
	}
	calm := 300 * time.Millisecond
	if c.machines > 1000 {
		calm = 2 * time.Second
	}
	calling, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	var mu sync.Mutex
	first := make(chan struct{})
	once := sync.OnceFunc(func() { close(first) })
	for _, m := range st.machines {
		all.Go(func() {
			c.report(calling, s, m, i, func(id string) {
				mu.Lock()
				defer mu.Unlock()
				st.acked[m.id][id] = true
				c.acknowledged++
				once()
				c.b.Event("acknowledged", found{c.name, i, m.id, id, 1})
			})
		})
	}
	select {
	case <-first:
		wait(ctx, calm/2+time.Duration(rng.Int64N(int64(calm))))
	case <-s.Ended():
	case <-time.After(giveUp):
	}
	// The power: nothing reaches the disk from here on, and then the program is
	// gone. What it had answered until then stays answered.
	disk.Freeze()
	s.Kill9()
	stop()
	all.Wait()
	report, err := disk.Cut(rng.Int64())
	c.unsynced += report.Dropped + report.Torn
	return err
}

// found is a raw event: a report, and how often it was there.
type found struct {
	Design  string `json:"design"`
	Cut     int    `json:"cut"`
	Machine string `json:"machine"`
	Report  string `json:"report"`
	Times   int    `json:"times"`
}

// report has one machine report until the server is gone, a new report after
// each answer.
func (c *cutting) report(ctx context.Context, s *child.Server, m enrolled, cut int, acked func(id string)) {
	for n := 0; ctx.Err() == nil; n++ {
		id := fmt.Sprintf("r-%d-%d", cut, n)
		status, err := post(ctx, s.Client, s.URL+"/api/v1/vending/reports", m.token, reportBody(id, time.Now()), nil)
		switch {
		case err != nil:
			return
		case status == http.StatusOK:
			acked(id)
		default: // refused: nothing was promised
			wait(ctx, 10*time.Millisecond+rand.N(40*time.Millisecond))
		}
	}
}

// look opens what the cut left and counts.
func (c *cutting) look(ctx context.Context, st *store, i int) error {
	s, err := child.Start(ctx, child.Options{Systems: []string{"vending"}, Data: st.backing})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.ruined++
		c.losing++
		for _, ids := range st.acked {
			c.lost += len(ids)
		}
		if !c.fresh { // what was lost is counted once; the next cut needs a store that opens
			return err
		}
		return nil
	}
	defer s.Kill9()
	lost := 0
	for _, m := range st.machines {
		if len(st.acked[m.id]) == 0 {
			continue
		}
		there := map[string]int{}
		list, err := stored(ctx, s, m.id)
		if err != nil && (ctx.Err() != nil || !c.fresh) {
			return err
		}
		for _, id := range list { // of a damaged store the list is short: what can't be read is lost
			there[id]++
			if there[id] == 2 {
				c.doubled++
			}
		}
		for id := range st.acked[m.id] {
			if there[id] == 0 {
				lost++
				delete(st.acked[m.id], id) // counted once
			}
			c.b.Event("found", found{c.name, i, m.id, id, there[id]})
		}
	}
	c.lost += lost
	if lost > 0 {
		c.losing++
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
