package prove

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"plumb/engines/lab"
	"plumb/engines/lab/powercut"
)

// PowerCut takes the power away while files are uploaded.
func PowerCut() lab.Experiment {
	return lab.Experiment{
		System: "files", Name: "powercut", Title: "when the power goes",
		Question: "People delete their own copy once an upload is acknowledged. The power goes, or the server is killed, while files are uploaded and removed: is every acknowledged file there afterwards, and nothing that nobody has?",
		Metrics: []lab.Metric{
			{Name: "cuts", Unit: "cuts", Text: "power cuts"},
			{Name: "kills", Unit: "kills", Text: "kill -9"},
			{Name: "acknowledged", Unit: "files", Text: "uploads acknowledged"},
			{Name: "removed", Unit: "files", Text: "removals acknowledged"},
			{Name: "lost", Unit: "files", Text: "acknowledged, and gone or not as they were", Better: "less"},
			{Name: "undead", Unit: "files", Text: "removed for good, and there", Better: "less"},
			{Name: "ruined", Unit: "cuts", Text: "cuts after which the store did not open", Better: "less"},
			{Name: "orphans", Unit: "objects", Text: "objects that no row has, after a collection", Better: "less"},
			{Name: "missing", Unit: "objects", Text: "rows without their object", Better: "less"},
			{Name: "miscounted", Unit: "counts", Text: "counts that are not exact", Better: "less"},
			{Name: "bad", Unit: "chunks", Text: "chunks that do not verify", Better: "less"},
			{Name: "unsynced", Unit: "writes", Text: "writes that the cuts dropped or tore"},
		},
		Claims: []lab.Claim{
			{ID: "worked", Text: "uploads were acknowledged before the cuts", Design: "built", Metric: "acknowledged", Op: ">", Value: new(0.0)},
			{ID: "kept", Text: "every acknowledged file is read as it was", Design: "built", Metric: "lost", Op: "==", Value: new(0.0)},
			{ID: "gone", Text: "every removed one is gone", Design: "built", Metric: "undead", Op: "==", Value: new(0.0)},
			{ID: "opens", Text: "the store opens after every cut", Design: "built", Metric: "ruined", Op: "==", Value: new(0.0)},
			{ID: "no-orphan", Text: "after a collection no object is left that no row has", Design: "built", Metric: "orphans", Op: "==", Value: new(0.0)},
			{ID: "no-hole", Text: "and no row without its object", Design: "built", Metric: "missing", Op: "==", Value: new(0.0)},
			{ID: "exact", Text: "all counts are exact", Design: "built", Metric: "miscounted", Op: "==", Value: new(0.0)},
			{ID: "verifies", Text: "everything verifies", Design: "built", Metric: "bad", Op: "==", Value: new(0.0)},
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
	b       *lab.Bench
	name    string
	args    []string
	clients int
	rounds  int  // cuts, and kills where kills is set
	kills   bool // every third round is a kill -9 on a disk that keeps what it has
	renew   int  // a new store after so many rounds; 1: for each

	cuts, killed, acknowledged, removed, lost, undead, ruined, unsynced int
	orphans, missing, miscounted, bad                                   int64
}

func runPowerCut(ctx context.Context, b *lab.Bench) error {
	built := &cutting{b: b, name: "as served", clients: 8, rounds: 3, kills: true, renew: 20}
	naive := &cutting{b: b, name: "answers first", args: []string{"--unsafe-no-sync"}, clients: 8, rounds: 2, renew: 1}
	if b.Full {
		built.rounds, naive.rounds = 90, 6
	}
	b.Note("The data folder is served by FUSE and forgets what was not synced; half of the cuts treat names as ext4 does, half more strictly. "+
		"%d clients upload files of 1 to 600 KiB, some with the same bytes, and remove some for good; after each cut everything that was acknowledged since the last, and some of what came before, is read and compared, "+
		"the collector runs, and the store's rows and objects are counted by statements of the experiment's own.", built.clients)
	total := float64(built.rounds + naive.rounds)
	if err := naive.run(ctx, 0, float64(naive.rounds)/total); err != nil {
		return err
	}
	if err := built.run(ctx, float64(naive.rounds)/total, float64(built.rounds)/total); err != nil {
		return err
	}
	naive.record(b.Design(naive.name, lab.Naive, "once").Describe("The same server with its database's syncs switched off: it answers before the disk has it."))
	built.record(b.Design(built.name, lab.Built, "once", "durable").Describe("plumb serve files: an answer follows the fsync of content and rows."))
	return nil
}

func (c *cutting) record(d *lab.Design) {
	for name, v := range map[string]int{"cuts": c.cuts, "kills": c.killed, "acknowledged": c.acknowledged, "removed": c.removed, "lost": c.lost, "undead": c.undead,
		"ruined": c.ruined, "unsynced": c.unsynced, "orphans": int(c.orphans), "missing": int(c.missing), "miscounted": int(c.miscounted), "bad": int(c.bad)} {
		d.Set(name, float64(v))
	}
}

// store is a data folder that outlives power cuts, and what it must hold.
type store struct {
	backing, mount string

	mu   sync.Mutex
	kept map[string]kept // acknowledged, by name; guarded by mu
	gone []string        // removed, and acknowledged; guarded by mu
	news []string        // acknowledged since the last look; guarded by mu
}

// kept is what an acknowledged file must read as.
type kept struct {
	id   string
	size int
	hash [sha256.Size]byte
}

func (c *cutting) run(ctx context.Context, from, share float64) error {
	var st *store
	for i := range c.rounds {
		c.b.Progress(from+share*float64(i)/float64(c.rounds), "cut %d of %d, %s", i+1, c.rounds, c.name)
		if st == nil || i%c.renew == 0 {
			var err error
			if st, err = c.newStore(ctx); err != nil {
				return err
			}
		}
		var err error
		if c.kills && i%3 == 1 {
			err = c.kill(ctx, st, i)
		} else {
			err = c.cut(ctx, st, i)
		}
		if err != nil {
			return fmt.Errorf("power cut %d of %s: %w", i+1, c.name, err)
		}
		last := i+1 == c.rounds || (i+1)%c.renew == 0
		if err := c.look(ctx, st, last); err != nil {
			return fmt.Errorf("after power cut %d of %s: %w", i+1, c.name, err)
		}
	}
	return nil
}

// newStore makes a store on a good disk: the cuts are about what comes into it.
func (c *cutting) newStore(ctx context.Context) (*store, error) {
	dir, err := c.b.TempDir()
	if err != nil {
		return nil, err
	}
	st := &store{backing: filepath.Join(dir, "disk"), mount: filepath.Join(dir, "mount"), kept: map[string]kept{}}
	if err := errors.Join(os.Mkdir(st.backing, 0o700), os.Mkdir(st.mount, 0o700)); err != nil {
		return nil, fmt.Errorf("folders for power cuts: %w", err)
	}
	s, err := startBuilt(ctx, st.backing)
	if err != nil {
		return nil, err
	}
	return st, s.Stop()
}

// cut serves the store on a disk that forgets, has clients work, and takes the power
// away at a random moment.
func (c *cutting) cut(ctx context.Context, st *store, round int) error {
	rng := lab.Rand(c.b.Seed, c.name+strconv.Itoa(round))
	disk, err := powercut.Open(st.backing, st.mount, powercut.Options{Ext4Names: round%2 == 0})
	if err != nil {
		return err
	}
	s, err := startBuilt(ctx, st.mount, c.args...)
	if err != nil {
		return errors.Join(err, disk.Close())
	}
	c.cuts++
	c.work(ctx, s, st, round, 200*time.Millisecond+time.Duration(rng.Int64N(int64(500*time.Millisecond))), disk.Freeze)
	report, err := disk.Cut(rng.Int64())
	c.unsynced += report.Dropped + report.Torn
	return err
}

// kill is the same on a disk that keeps what it was given: only the server goes.
func (c *cutting) kill(ctx context.Context, st *store, round int) error {
	rng := lab.Rand(c.b.Seed, c.name+strconv.Itoa(round))
	s, err := startBuilt(ctx, st.backing, c.args...)
	if err != nil {
		return err
	}
	c.killed++
	c.work(ctx, s, st, round, 200*time.Millisecond+time.Duration(rng.Int64N(int64(500*time.Millisecond))), func() {})
	return nil
}

// work has clients upload and remove until the power goes, calm after the first answer.
func (c *cutting) work(ctx context.Context, s *built, st *store, round int, calm time.Duration, power func()) {
	working, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	first := make(chan struct{})
	once := sync.OnceFunc(func() { close(first) })
	for k := range c.clients {
		all.Go(func() { c.client(working, s, st, round, k, once) })
	}
	all.Go(func() { // the collector works beside them
		for working.Err() == nil {
			if s.collect(working) != nil {
				return
			}
			wait(working, 100*time.Millisecond)
		}
	})
	select {
	case <-first:
		wait(ctx, calm)
	case <-s.Ended():
	case <-time.After(30 * time.Second):
	}
	// Nothing reaches the disk from here on, and then the program is gone. What it had
	// answered until then stays answered.
	power()
	s.Kill9()
	stop()
	all.Wait()
}

// client uploads one file after the other, and removes two of three of its own again,
// so that stores stay small.
func (c *cutting) client(ctx context.Context, s *built, st *store, round, k int, acked func()) {
	rng := lab.Rand(c.b.Seed, fmt.Sprint(c.name, " client ", round, " ", k))
	var mine []string
	for n := 0; ctx.Err() == nil; n++ {
		name := fmt.Sprintf("c%d/r%d-%d", k, round, n)
		of, size := name, 1<<10+rng.IntN(40<<10)
		if rng.IntN(3) == 0 {
			size = 150<<10 + rng.IntN(450<<10)
		}
		if rng.IntN(4) == 0 { // what others upload too
			shared := rng.IntN(6)
			of, size = fmt.Sprintf("shared %d %d", round, shared), 1<<10+shared*100<<10
		}
		body := noise(c.b.Seed, of, size)
		id, err := s.put(ctx, name, body)
		if err != nil {
			return
		}
		acked()
		c.b.Event("acknowledged", map[string]any{"design": c.name, "round": round, "name": name})
		st.mu.Lock()
		st.kept[name] = kept{id, size, sha256.Sum256(body)}
		st.news = append(st.news, name)
		c.acknowledged++
		st.mu.Unlock()
		if mine = append(mine, name); len(mine) > 1 && rng.IntN(3) < 2 {
			at := rng.IntN(len(mine))
			name := mine[at]
			mine[at] = mine[len(mine)-1]
			mine = mine[:len(mine)-1]
			st.mu.Lock()
			id := st.kept[name].id
			delete(st.kept, name) // until it is answered, both may be
			st.mu.Unlock()
			if s.end(ctx, name, id) != nil {
				return
			}
			st.mu.Lock()
			st.gone = append(st.gone, name)
			c.removed++
			st.mu.Unlock()
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
