package prove

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"plumb/engines/lab"
)

// live grows the built design.
func (a adding) live(ctx context.Context, b *lab.Bench, row *lab.Design, _ string) error {
	h, l, err := a.furnished(ctx, b, row.Name, a.from, a.people, a.most)
	if err != nil {
		return err
	}
	defer func() { h.Kill9() }()
	was, err := h.board(ctx)
	if err != nil {
		return err
	}
	total, photos := l.bytes, len(l.kept)
	before := l.under(ctx, a.people, "before", a.rate, a.calm, nil)
	var m migration
	during, took, err := a.beside(ctx, l, "adding", func(ctx context.Context) (err error) {
		if m, err = h.addShard(ctx, "extra"); err == nil {
			m, err = h.moved(ctx, m)
		}
		return err
	})
	if err != nil {
		return err
	}
	now, err := h.board(ctx)
	if err != nil {
		return err
	}
	b.Event("board", map[string]any{"before": was, "after": now, "migration": m})
	extra := now["extra"]
	a.figures(row, l, before, during, tally{extra.Photos, min(extra.Bytes, m.Bytes), took}, total)
	row.Set("photos", float64(photos)).Set("moved_pct", 100*float64(m.PhotosDone)/float64(photos)).Set("copied_over", float64(m.BytesDone)/(float64(total)/float64(a.from+1)))
	drain, took, err := a.beside(ctx, l, "draining", func(ctx context.Context) error {
		var m migration
		if err := h.admin(ctx, "POST", "/shards/extra/drain", nil, &m); err != nil {
			return err
		}
		_, err := h.moved(ctx, m)
		return err
	})
	if err != nil {
		return err
	}
	if now, err = h.board(ctx); err != nil {
		return err
	}
	row.Set("drain_s", took.Seconds()).Set("left", float64(now["extra"].People))
	if a.kill {
		if err := a.killed(ctx, row, h); err != nil {
			return err
		}
	}
	if err := a.settled(ctx, row, l, during.Calls+drain.Calls); err != nil {
		return err
	}
	if err := h.Stop(); err != nil {
		return err
	}
	n, err := astray(ctx, h.data, h.people)
	row.Set("astray", float64(n))
	if err == nil && a.grow {
		err = a.growLive(ctx, b, row)
	}
	return err
}

// furnished is a house with shards and photos.
func (a adding) furnished(ctx context.Context, b *lab.Bench, design string, shards, people, most int) (*house, *library, error) {
	h, err := newHouse(ctx, b, people, "--photos-throttle", strconv.Itoa(a.throttle))
	if err != nil {
		return nil, nil, err
	}
	for i := range shards - 1 {
		if _, err := h.addShard(ctx, fmt.Sprintf("shard-%02d", i+2)); err != nil {
			h.Kill9()
			return nil, nil, err
		}
	}
	l := newLibrary(b, design, h)
	if err := errors.Join(l.fill(ctx, people, most, a.typical), h.sizesMade(ctx)); err != nil {
		h.Kill9()
		return nil, nil, err
	}
	return h, l, nil
}

// killed adds a shard again, kills the server in the middle of the move and starts it
// again: the move must go on by itself.
func (a adding) killed(ctx context.Context, row *lab.Design, h *house) error {
	m, err := h.addShard(ctx, "again")
	if err != nil {
		return err
	}
	for m.State != "done" && m.BytesDone < m.Bytes/4 || m.State == "planning" {
		if !pause(ctx, 20*time.Millisecond) {
			return ctx.Err()
		}
		if err := h.admin(ctx, "GET", "/migrations/"+m.ID, nil, &m); err != nil {
			return err
		}
	}
	if m.State == "done" {
		return errors.New("the move was over before the kill")
	}
	h.Kill9()
	began := time.Now()
	if err := h.start(ctx, h.data); err != nil {
		return err
	}
	if m, err = h.moved(ctx, m); err != nil {
		return err
	}
	row.Set("kills", 1).Set("after_kill_s", time.Since(began).Seconds())
	return nil
}

// growLive goes from 1 to 2 to 4. Two shards are added one after the other: the second
// migration begins while the first goes on.
func (a adding) growLive(ctx context.Context, b *lab.Bench, row *lab.Design) error {
	h, l, err := a.furnished(ctx, b, row.Name+" 1, 2, 4", 1, 60, 4)
	if err != nil {
		return err
	}
	defer func() { h.Kill9() }()
	moved := int64(0)
	for _, names := range [][]string{{"b"}, {"c", "d"}} {
		for _, name := range names {
			m, err := h.addShard(ctx, name)
			if err == nil {
				m, err = h.moved(ctx, m)
			}
			if err != nil {
				return err
			}
			moved += m.Bytes
		}
	}
	row.Set("grown_over", float64(moved)/float64(l.bytes))
	lost, err := l.lost(ctx)
	row.Metrics["lost"] += float64(lost)
	return err
}
