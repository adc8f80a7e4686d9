package prove

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
)

// What is looked at after a cut.

// look opens what the cut left, reads, collects and counts.
func (c *cutting) look(ctx context.Context, st *store, all bool) error {
	s, err := startBuilt(ctx, st.backing)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.ruined++
		c.lost += len(st.kept)
		if c.renew > 1 { // what was lost is counted once; the next cut needs a store that opens
			return err
		}
		return nil
	}
	defer s.Kill9()
	names, old := st.news, 50
	if all {
		old = len(st.kept)
	}
	for name := range st.kept { // in no order: other ones each time
		if old--; old < 0 {
			break
		}
		names = append(names, name)
	}
	if err := c.read(ctx, s, st, names); err != nil {
		return err
	}
	for _, name := range st.gone {
		if _, err := s.get(ctx, name); err == nil {
			c.undead++
		} else if !errors.Is(err, errGone) && c.renew > 1 {
			return err
		}
	}
	st.news, st.gone = nil, nil
	if c.renew == 1 {
		return nil // of a damaged store only what is lost matters
	}
	return c.count(ctx, s, st)
}

// read compares files with what they were.
func (c *cutting) read(ctx context.Context, s *built, st *store, names []string) error {
	var mu sync.Mutex
	return each(ctx, 4, len(names), func(ctx context.Context, i int) error {
		mu.Lock()
		want, ok := st.kept[names[i]]
		mu.Unlock()
		if !ok {
			return nil // removed again, or counted as lost
		}
		got, err := s.get(ctx, names[i])
		if ctx.Err() != nil {
			return ctx.Err()
		}
		right := err == nil && sha256.Sum256(got) == want.hash
		c.b.Event("found", map[string]any{"design": c.name, "name": names[i], "right": right})
		if !right {
			mu.Lock()
			delete(st.kept, names[i]) // counted once
			c.lost++
			mu.Unlock()
		}
		return nil
	})
}

// count collects, scrubs, and audits the stopped store.
func (c *cutting) count(ctx context.Context, s *built, st *store) error {
	if err := s.collect(ctx); err != nil {
		return err
	}
	bad, err := s.scrub(ctx)
	if err != nil {
		return err
	}
	if err := s.Stop(); err != nil {
		return err
	}
	found, err := audit(ctx, st.backing)
	c.bad += bad
	c.orphans += found.orphans
	c.missing += found.missing
	c.miscounted += found.miscounted
	return err
}
