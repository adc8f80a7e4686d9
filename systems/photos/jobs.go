package photos

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"plumb/base/errs"
	"plumb/base/units"
	"plumb/engines/cas"
	"plumb/engines/jobs"
	"plumb/engines/sqldb"
	"plumb/systems/photos/internal/shard"
)

// work lists the room's background jobs. Each goes on where an earlier run ended.
func (s *System) work() []jobs.Work {
	at := 2
	if s.n.Farm != nil {
		at = s.n.Farm.Stats().Size
	}
	return append(s.safetyWork(), []jobs.Work{{
		Kind: sizesWork, Unique: true, Max: at, Timeout: 10 * time.Minute, Tries: 10,
		Run: func(ctx context.Context, payload []byte) error {
			var o sizesOrder
			if err := json.Unmarshal(payload, &o); err != nil {
				return errs.Wrap(errs.Invalid, err, "the order of sizes cannot be read")
			}
			return s.makeSizes(ctx, o.Owner, o.Photo)
		},
	}, {
		Kind: "photos.orders", Every: time.Minute, Unique: true, Max: 1, Timeout: 5 * time.Minute, Tries: 2,
		Run: func(ctx context.Context, _ []byte) error { return s.orderSizes(ctx) },
	}, {
		Kind: "photos.watch", Every: time.Minute, Unique: true, Max: 1, Timeout: time.Minute, Tries: 1,
		Run: func(ctx context.Context, _ []byte) error { return s.watch(ctx) },
	}, {
		Kind: "photos.expire", Every: 10 * time.Minute, Unique: true, Max: 1, Timeout: time.Hour, Tries: 3,
		Run: func(ctx context.Context, _ []byte) error { return s.expire(ctx) },
	}, {
		Kind: "photos.collect", Every: s.c.Collect, Unique: true, Max: 1, Timeout: 6 * time.Hour, Tries: 3,
		Run: func(ctx context.Context, _ []byte) error { return s.collect(ctx) },
	}, {
		Kind: "photos.scrub", Every: s.c.Scrub, Unique: true, Max: 1, Timeout: 7 * 24 * time.Hour, Tries: 2,
		Run: func(ctx context.Context, _ []byte) error { return s.scrub(ctx) },
	}}...)
}

// sizesOrder is a job's payload.
type sizesOrder struct {
	Owner string `json:"owner"`
	Photo string `json:"photo"`
}

// askSizes orders a photo's sizes. The photo's row says that they are to be made, so that
// an order that is lost is given again: see orderSizes.
func (s *System) askSizes(ctx context.Context, list ...Photo) {
	if s.n.Jobs == nil {
		return
	}
	err := s.n.DB.Batch(context.WithoutCancel(ctx), func(ctx context.Context, tx *sqldb.Tx) error {
		for _, p := range list {
			if err := s.n.Jobs.Add(ctx, tx, sizesWork, sizesOrder{p.Owner, p.ID}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.n.Log.Warn("sizes were not ordered; they will be within minutes", "error", err)
	}
}

// Bounds of the jobs' steps.
const (
	orderAfter = time.Minute // what is new for longer has no order, or one that waits
	sweepBatch = 500
)

// orderSizes orders sizes of photos that are new for long. Those that are ordered already
// are passed over.
func (s *System) orderSizes(ctx context.Context) error {
	before := s.now().Add(-orderAfter).UnixMicro()
	return s.everywhere(ctx, "order sizes", func(ctx context.Context, at *shard.Shard) error {
		rows, err := photosAt(ctx, at, newSQL, before, int64(sweepBatch))
		if err == nil && len(rows) > 0 {
			s.askSizes(ctx, rows...)
		}
		return err
	})
}

// everywhere runs fn for each shard. One that fails does not stop the others; its error
// is returned at the end.
func (s *System) everywhere(ctx context.Context, what string, fn func(ctx context.Context, at *shard.Shard) error) error {
	var last error
	for _, at := range s.set.Shards() {
		if err := fn(ctx, at); err != nil {
			last = fmt.Errorf("%s at shard %s: %w", what, at.Name, err)
			s.n.Log.Warn("a shard's turn failed", "what", what, "shard", at.Name, "error", err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return last
}

// photosAt runs a query for owners, ids and copies on one shard, for people who are
// there; of those who were moved away it has rows too, for a while.
func photosAt(ctx context.Context, at *shard.Shard, query string, args ...any) (list []Photo, err error) {
	err = at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var p Photo
			if err := rows.Scan(&p.Owner, &p.ID, &p.copies); err != nil {
				return err
			}
			list = append(list, p)
		}
		return rows.Err()
	})
	return list, err
}

// expire ends what was in the bin for long enough, and copies of what ended.
func (s *System) expire(ctx context.Context) error {
	before := s.now().Add(-s.c.Bin).UnixMicro()
	return s.everywhere(ctx, "empty bins", func(ctx context.Context, at *shard.Shard) error {
		for {
			list, err := photosAt(ctx, at, oldBinSQL, before, int64(sweepBatch))
			if err != nil {
				return err
			}
			done := 0
			for len(list) > 0 {
				n := 1
				for n < len(list) && list[n].Owner == list[0].Owner {
					n++
				}
				names := make([]string, n)
				for i := range names {
					names[i] = list[i].ID
				}
				m, err := s.Purge(ctx, Person{ID: list[0].Owner}, names...)
				if err != nil {
					return err
				}
				done, list = done+m, list[n:]
			}
			if done == 0 {
				return s.expireCopies(ctx, at)
			}
		}
	})
}

// expireCopies removes copies of photos that ended, and says so in their rows.
func (s *System) expireCopies(ctx context.Context, at *shard.Shard) error {
	for {
		list, err := photosAt(ctx, at, goneCopiesSQL, int64(sweepBatch))
		if err != nil {
			return err
		}
		done := false
		for _, p := range list {
			if !s.dropCopies(ctx, p.Owner, p.ID, holders(p.copies)) {
				continue
			}
			done = true
			if err := s.set.Write(ctx, p.Owner, nil, func(ctx context.Context, tx *sqldb.Tx, _ *shard.Shard, rev int64) error {
				_, err := tx.Exec(ctx, noCopiesSQL, p.Owner, p.ID, rev)
				return err
			}); err != nil {
				return err
			}
		}
		if !done {
			return nil
		}
	}
}

// collect frees what nothing refers to any more.
func (s *System) collect(ctx context.Context) error {
	return s.everywhere(ctx, "collect", func(ctx context.Context, at *shard.Shard) error {
		r, err := at.CAS.Collect(ctx, nil)
		if err == nil && r.Freed > 0 {
			s.n.Log.Info("contents that nothing refers to were freed", "shard", at.Name, "freed", units.Bytes(float64(r.Freed)))
		}
		return err
	})
}

// scrub reads and verifies everything.
func (s *System) scrub(ctx context.Context) error {
	return s.everywhere(ctx, "scrub", func(ctx context.Context, at *shard.Shard) error {
		r, err := at.CAS.Scrub(ctx, func(cas.Progress) {})
		for _, fault := range r.Faults {
			s.n.Log.Error("a scrub found bad bytes", "shard", at.Name, "fault", fault)
		}
		if err == nil && r.Bad > 0 {
			_, err = s.startRepair(ctx, &Repair{Kind: Heal, Shard: at.Name, no: at.No})
		}
		return err
	})
}

// hereSQL leaves people who were moved away out of a shard's rows.
const hereSQL = ` AND EXISTS (SELECT 1 FROM photos_owners AS o WHERE o.owner = p.owner AND o.state IN ('here', 'leaving'))`

const (
	newSQL        = `SELECT p.owner, p.id, p.copies FROM photos_photos AS p WHERE p.state = 'new' AND p.gone = 0 AND p.made < $1` + hereSQL + ` ORDER BY p.made, p.owner, p.id LIMIT $2`
	oldBinSQL     = `SELECT p.owner, p.id, p.copies FROM photos_photos AS p WHERE p.bin_at > 0 AND p.bin_at < $1 AND p.gone = 0` + hereSQL + ` ORDER BY p.bin_at, p.owner, p.id LIMIT $2`
	goneCopiesSQL = `SELECT p.owner, p.id, p.copies FROM photos_photos AS p WHERE p.gone > 0 AND p.copies <> ''` + hereSQL + ` ORDER BY p.gone, p.owner, p.id LIMIT $1`
	noCopiesSQL   = `UPDATE photos_photos SET rev = $3, copies = '' WHERE owner = $1 AND id = $2 AND gone > 0`
)
