package cas

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"plumb/engines/sqldb"
)

const (
	stepRows = 256 // rows that a step of the collector changes, about
	stepBlob = 64  // blobs, packs that a step looks at
	foldRows = 128 // rows of other stores in cas_totals that are worth adding up
	// pause is between the first thing that there is to free and the collector's coming.
	pause = 5 * time.Second
)

// nudge tells the collector that there is something to free.
func (s *Store) nudge() {
	select {
	case s.knock <- struct{}{}:
	default:
	}
}

// giveUp notes a Pending that nobody will take, or that was taken: the collector finds
// out.
func (s *Store) giveUp(id string) {
	s.upMu.Lock()
	s.up = append(s.up, id)
	s.upMu.Unlock()
	s.nudge()
}

// background frees what needs no rewriting, soon after there is something.
func (s *Store) background() {
	defer s.work.Done()
	for {
		select {
		case <-s.knock:
		case <-s.ctx.Done():
			return
		}
		select {
		case <-s.n.Clock.After(pause):
		case <-s.ctx.Done():
			return
		}
		var r CollectResult
		if err := s.free(s.ctx, &r); err != nil && s.ctx.Err() == nil {
			s.n.Log.Warn("the collector did not get through", "err", err)
		}
	}
}

// Collect frees what nothing refers to, and rewrites packs with much dead in them,
// until nothing is left to do or ctx ends. progress may be nil.
func (s *Store) Collect(ctx context.Context, progress func(Progress)) (CollectResult, error) {
	var r CollectResult
	err := s.free(ctx, &r)
	if err == nil {
		err = s.rewriteAll(ctx, &r, progress)
	}
	if err == nil {
		err = s.free(ctx, &r) // the packs that were emptied
	}
	if err == nil {
		err = s.foldTotals(ctx)
	}
	if err != nil {
		return r, fmt.Errorf("collect what nothing refers to: %w", err)
	}
	return r, nil
}

// free takes all the steps that rewrite nothing, each until there is nothing for it.
func (s *Store) free(ctx context.Context, r *CollectResult) error {
	if err := s.endGivenUp(ctx); err != nil {
		return err
	}
	steps := []func(context.Context, *CollectResult) (bool, error){
		s.killBlobs, s.takeApart, s.dropWaste, s.endWriting, s.endEmpty, s.deletePacks, s.dropLoosePacks}
	for _, step := range steps {
		for more := true; more; {
			var err error
			if more, err = step(ctx, r); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return nil
}

// endGivenUp ends the leases of Pendings that were closed.
func (s *Store) endGivenUp(ctx context.Context) error {
	s.upMu.Lock()
	up := s.up
	s.up = nil
	s.upMu.Unlock()
	for len(up) > 0 {
		n := min(len(up), stepRows)
		err := s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			for _, id := range up[:n] {
				if _, err := tx.Exec(ctx, sqlMakingEnd, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			s.upMu.Lock()
			s.up = append(s.up, up...)
			s.upMu.Unlock()
			return err
		}
		up = up[n:]
	}
	return nil
}

// dropWaste removes what was written for content that was known.
func (s *Store) dropWaste(ctx context.Context, r *CollectResult) (more bool, err error) {
	var d delta
	err = s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		d, more = delta{}, false
		l := leaving{}
		rows, err := tx.Query(ctx, sqlWaste, int64(stepRows))
		if err != nil {
			return err
		}
		defer rows.Close()
		n := 0
		for ; rows.Next(); n++ {
			var pack string
			var off, size int64
			if err := rows.Scan(&pack, &off, &size); err != nil {
				return err
			}
			l.add(pack, off, size)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		more = n == stepRows
		for pack, places := range l {
			for _, p := range places {
				n, err := tx.Exec(ctx, sqlWasteDrop, pack, p.off)
				if err != nil {
					return err
				}
				d.held -= n * p.stored
			}
		}
		return s.count(ctx, tx, ownLane, d)
	})
	if err == nil {
		r.Freed -= d.held
	}
	return more, err
}

// forIDs runs query, which answers with names of packs, and then fn for each, in one
// transaction.
func (s *Store) forIDs(ctx context.Context, query string, args []any, fn func(ctx context.Context, tx *sqldb.Tx, id string) error) (n int, err error) {
	err = s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		ids, err := readIDs(ctx, tx, query, args...)
		n = len(ids)
		for _, id := range ids {
			if err == nil {
				err = fn(ctx, tx, id)
			}
		}
		return err
	})
	return n, err
}

func readIDs(ctx context.Context, tx *sqldb.Tx, query string, args ...any) (ids []string, err error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, rows.Err()
}

// exec is a fn for forIDs that runs statements on a pack.
func exec(statements ...string) func(context.Context, *sqldb.Tx, string) error {
	return func(ctx context.Context, tx *sqldb.Tx, id string) error {
		for _, q := range statements {
			if _, err := tx.Exec(ctx, q, id); err != nil {
				return err
			}
		}
		return nil
	}
}

// endWriting ends packs whose writers are gone. One that chunks were moved into already
// is durable, and stays.
func (s *Store) endWriting(ctx context.Context, r *CollectResult) (bool, error) {
	n, err := s.forIDs(ctx, sqlWriting, []any{s.now(), int64(stepBlob)}, exec(sqlPackKeep, sqlPackEnd))
	return n == stepBlob, err
}

// endEmpty ends packs that no chunk lies in.
func (s *Store) endEmpty(ctx context.Context, r *CollectResult) (bool, error) {
	n, err := s.forIDs(ctx, sqlEmpty, []any{int64(stepBlob)}, exec(sqlEmptyEnd))
	return n == stepBlob, err
}

// dropLoosePacks forgets the keys of packs in the database that are empty for good.
func (s *Store) dropLoosePacks(ctx context.Context, r *CollectResult) (bool, error) {
	n, err := s.forIDs(ctx, sqlLooseEnded, []any{s.now(), int64(stepBlob)}, exec(sqlLooseEnd))
	return n == stepBlob, err
}

// deletePacks removes objects, and then what is known of them.
func (s *Store) deletePacks(ctx context.Context, r *CollectResult) (bool, error) {
	var ids []string
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		ids, err = readIDs(ctx, tx, sqlDeleting, int64(stepBlob))
		return err
	})
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		if err := s.n.Bucket.Delete(ctx, packKey(id)); err != nil {
			return false, err
		}
		s.files.forget(id)
	}
	var packs, bytes int64
	err = s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var d delta
		for _, id := range ids {
			var size int64
			err := tx.QueryRow(ctx, sqlPackDrop, id).Scan(&size)
			if errors.Is(err, sqldb.ErrNoRows) {
				continue // another process did it
			}
			if err != nil {
				return err
			}
			if size > 0 { // it was counted
				d.packs--
				d.held -= size
			}
		}
		packs, bytes = -d.packs, -d.held
		return s.count(ctx, tx, ownLane, d)
	})
	if err == nil {
		r.Packs += packs
		r.Freed += bytes
	}
	return len(ids) == stepBlob, err
}

func (s *Store) now() int64 { return s.n.Clock.Now().UnixMicro() }

// foldTotals adds the rows of stores that are closed, or have gone, to this one's: a
// few hundred at most stay. A store that is still there begins new ones.
func (s *Store) foldTotals(ctx context.Context) error {
	return s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		rows, err := tx.Query(ctx, sqlTotalsOld, s.id, int64(stepRows))
		if err != nil {
			return err
		}
		defer rows.Close()
		type row struct {
			store string
			lane  int64
			delta
		}
		var old []row
		for rows.Next() {
			var o row
			if err := rows.Scan(&o.store, &o.lane, &o.blobs, &o.refs, &o.logical, &o.uniq, &o.chunks, &o.chunked, &o.stored, &o.bad, &o.packs, &o.loose, &o.held); err != nil {
				return err
			}
			old = append(old, o)
		}
		if err := rows.Err(); err != nil || len(old) < foldRows {
			return err
		}
		var sum delta
		for _, o := range old {
			if _, err := tx.Exec(ctx, sqlTotalsDrop, o.store, o.lane); err != nil {
				return err
			}
			sum.add(o.delta)
		}
		return s.count(ctx, tx, ownLane, sum)
	})
}

func (d *delta) add(o delta) {
	d.blobs += o.blobs
	d.refs += o.refs
	d.logical += o.logical
	d.uniq += o.uniq
	d.chunks += o.chunks
	d.chunked += o.chunked
	d.stored += o.stored
	d.bad += o.bad
	d.packs += o.packs
	d.loose += o.loose
	d.held += o.held
}
