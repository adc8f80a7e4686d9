package shard

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"plumb/engines/sqldb"
)

// Somebody new, written by processes with old and new maps at every step of a change, ends
// with one home, and with all that was acknowledged.
func TestSomebodyNewHasOneHome(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		h := newHouse(t, kind, func(_ *Needs, c *Config) { c.Refresh = time.Hour })
		s, stale, staler := h.process(), h.process(), h.process()
		ctx := context.Background()
		want := map[string]map[string]string{}
		var all sync.WaitGroup
		var mu sync.Mutex
		n := 0
		s.hook = func(step string) error {
			// From the fences on they wait for the map, so nobody may wait for them here.
			for i := range 2 {
				owner := fmt.Sprintf("new-%s-%d-%d", step, n, i)
				photos := map[string]string{}
				mu.Lock()
				want[owner] = photos
				mu.Unlock()
				for _, set := range []*Set{stale, staler, s} {
					all.Go(func() {
						id := fmt.Sprintf("%s-%p", owner, set)
						if err := put(ctx, set, owner, id, "text of "+owner); err != nil {
							t.Errorf("%s at %s: %v", owner, step, err)
						}
						mu.Lock()
						photos[id] = "text of " + owner
						mu.Unlock()
					})
				}
			}
			n++
			time.Sleep(30 * time.Millisecond) // so that some of them are through
			return nil
		}
		_, _, err := s.Add(ctx, New{Name: "second"})
		must(t, err)
		all.Wait()
		s.hook = nil
		whole(t, s, want)
		settled(t, s)
		whole(t, stale, want)
		whole(t, s, want)
	})
}

// A shard's fence is what holds the old map's makers off: while it is raised and the map is
// not published, who is new waits and who is known does not.
func TestOnlySomebodyNewWaits(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		h := newHouse(t, kind, func(_ *Needs, c *Config) { c.Refresh = time.Hour })
		s, other, ctx := h.process(), h.process(), context.Background()
		must(t, put(ctx, s, "known", "p", "text"))
		waited := make(chan error, 1)
		looked := false
		s.hook = func(step string) error {
			if step != "again" {
				return nil
			}
			looked = true
			must(t, put(ctx, other, "known", "q", "text"))
			if list, _, err := photosOf(ctx, other, "nobody yet"); err != nil || len(list) != 0 {
				t.Errorf("somebody new cannot be read: %v", err)
			}
			go func() { waited <- put(ctx, other, "new", "r", "text") }()
			select {
			case err := <-waited:
				t.Errorf("somebody new was made behind the fence: %v", err)
			case <-time.After(200 * time.Millisecond):
			}
			return nil
		}
		_, _, err := s.Add(ctx, New{Name: "second"})
		must(t, err)
		if !looked {
			t.Fatal("the step did not come")
		}
		must(t, <-waited)
		settled(t, s)
		whole(t, other, map[string]map[string]string{"known": {"p": "text", "q": "text"}, "new": {"r": "text"}})
	})
}

// On PostgreSQL a maker who looked at the fence before it was raised, and commits after,
// must not be overlooked: the raise waits for them.
func TestTheFenceWaitsForMakers(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		h := newHouse(t, kind)
		s, other, ctx := h.process(), h.process(), context.Background()
		at := other.Shards()[0]
		inside, raised := make(chan bool), make(chan error, 1)
		go func() {
			<-inside
			raised <- raise(ctx, at.DB, 7)
		}()
		once := false
		must(t, s.Write(ctx, "slow", nil, func(ctx context.Context, tx *sqldb.Tx, _ *Shard, _ int64) error {
			if !once {
				once = true
				close(inside)
			}
			select {
			case err := <-raised:
				t.Errorf("the fence was raised beside somebody who looked at it: %v", err)
				raised <- err
			case <-time.After(200 * time.Millisecond):
			}
			return nil
		}))
		must(t, <-raised)
	})
}
