package shard

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// Shards returns those that can be used, by number: open, and neither lost nor removed.
func (s *Set) Shards() []*Shard {
	d := s.dir.Load()
	list := make([]*Shard, 0, len(d.shards))
	for _, at := range d.shards {
		list = append(list, at)
	}
	slices.SortFunc(list, func(a, b *Shard) int { return cmp.Compare(a.No, b.No) })
	return list
}

// Shard returns a shard that can be used. Errors: NotFound, Busy.
func (s *Set) Shard(name string) (*Shard, error) {
	d := s.dir.Load()
	r, err := d.named(name)
	if err != nil {
		return nil, err
	}
	return d.shard(r.No)
}

// Number returns a shard's number, whether or not it can be reached. Errors: NotFound.
func (s *Set) Number(name string) (int64, error) {
	r, err := s.dir.Load().named(name)
	return r.No, err
}

// ByNo returns a shard that can be used. Errors: Busy.
func (s *Set) ByNo(no int64) (*Shard, error) { return s.dir.Load().shard(no) }

// Owners returns up to limit owners that a shard holds, by their ids, after an id.
func (s *Set) Owners(ctx context.Context, at *Shard, after string, limit int) (list []Owner, err error) {
	err = at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, sqlOwners, after, int64(min(max(limit, 1), 10_000)))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var o Owner
			var made int64
			if err := rows.Scan(&o.ID, &o.Rev, &o.Photos, &o.Bytes, &made); err != nil {
				return err
			}
			o.Made = time.UnixMicro(made).UTC()
			list = append(list, o)
		}
		return rows.Err()
	})
	return list, err
}

// Check says whether the set works: every shard that should answer does, and knows who it
// is and which map holds.
func (s *Set) Check(ctx context.Context) error {
	for name, err := range s.Live(ctx) {
		if err != nil {
			return errs.Wrap(errs.Busy, err, "shard %s does not answer", name)
		}
	}
	return nil
}

// Live says per shard whether it answers; shards that were given up are left out.
func (s *Set) Live(ctx context.Context) map[string]error {
	d := s.dir.Load()
	var mu sync.Mutex
	var all sync.WaitGroup
	live := map[string]error{}
	for _, r := range d.records {
		if r.State == Lost {
			continue
		}
		all.Go(func() {
			err := d.answers(ctx, r)
			mu.Lock()
			defer mu.Unlock()
			live[r.Name] = err
		})
	}
	all.Wait()
	return live
}

func (d *directory) answers(ctx context.Context, r record) error {
	at, err := d.shard(r.No)
	if err != nil {
		return err
	}
	err = at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var no int64
		var house string
		if err := tx.QueryRow(ctx, sqlClaimed).Scan(&no, &house); err != nil {
			return err
		}
		if no != r.No {
			return errs.New(errs.Internal, "the database of shard %s says that it is number %d, not %d", r.Name, no, r.No)
		}
		var epoch int64
		if err := tx.QueryRow(ctx, sqlFence).Scan(&epoch); err != nil {
			return err
		}
		if epoch < d.epoch {
			return errs.New(errs.Internal, "the fence of shard %s stands at %d, below the map's %d", r.Name, epoch, d.epoch)
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = at.Bucket.List(ctx, "", "", 1) // finds a lost folder or bucket too
	return err
}
