package cas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
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

// killBlobs ends blobs without references. From that transaction on nobody can refer
// to them, and the same content makes a new blob.
func (s *Store) killBlobs(ctx context.Context, r *CollectResult) (more bool, err error) {
	type blob struct {
		hash  []byte
		id    string
		parts int64
	}
	var dead []blob
	err = s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		dead = nil
		rows, err := tx.Query(ctx, sqlUnused, int64(stepBlob))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var b blob
			if err := rows.Scan(&b.hash, &b.id, &b.parts); err != nil {
				return err
			}
			dead = append(dead, b)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		slices.SortFunc(dead, func(a, b blob) int { return bytes.Compare(a.hash, b.hash) })
		for _, b := range dead {
			if _, err := tx.Exec(ctx, sqlUnusedDrop, b.hash); err != nil {
				return err
			}
			only, parts := []byte{}, b.parts
			if parts == 0 {
				only, parts = b.hash, 1
			}
			if _, err := tx.Exec(ctx, sqlMakingAdd, b.id, only, parts, int64(0)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		r.Blobs += int64(len(dead))
	}
	return len(dead) == stepBlob, err
}

// takeApart frees the chunks of blobs that ended, and of what was put and not taken.
func (s *Store) takeApart(ctx context.Context, r *CollectResult) (more bool, err error) {
	var d delta
	err = s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		d = delta{}
		unref := map[Hash]int64{}
		more, err = s.dropParts(ctx, tx, unref)
		if err == nil {
			err = s.unref(ctx, tx, unref, &d)
		}
		if err != nil {
			return err
		}
		return s.count(ctx, tx, ownLane, d)
	})
	if err == nil {
		r.Chunks -= d.chunks
		r.Freed -= d.held
	}
	return more, err
}

// dropParts removes up to stepRows parts of blobs that ended, and notes their chunks.
func (s *Store) dropParts(ctx context.Context, tx *sqldb.Tx, unref map[Hash]int64) (more bool, err error) {
	type blob struct {
		id    string
		chunk []byte
		parts int64
	}
	var ended []blob
	rows, err := tx.Query(ctx, sqlEnded, s.now(), int64(stepBlob))
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for rows.Next() {
		var b blob
		if err := rows.Scan(&b.id, &b.chunk, &b.parts); err != nil {
			return false, err
		}
		ended = append(ended, b)
	}
	if err := rows.Err(); err != nil {
		return false, err
	}
	left := int64(stepRows)
	for _, b := range ended {
		n := int64(1)
		if len(b.chunk) > 0 {
			unref[Hash(b.chunk)]++
		} else if n, err = s.dropSome(ctx, tx, b.id, left, unref); err != nil {
			return false, err
		}
		if left -= n; left <= 0 { // there may be more of this one
			_, err := tx.Exec(ctx, sqlMakingLess, b.id, n)
			return true, err
		}
		if _, err := tx.Exec(ctx, sqlMakingDrop, b.id); err != nil {
			return false, err
		}
	}
	return len(ended) == stepBlob, nil
}

// dropSome removes up to n parts of one blob.
func (s *Store) dropSome(ctx context.Context, tx *sqldb.Tx, id string, n int64, unref map[Hash]int64) (int64, error) {
	rows, err := tx.Query(ctx, sqlEndedParts, id, n)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var last, count int64
	for rows.Next() {
		var chunk []byte
		if err := rows.Scan(&last, &chunk); err != nil {
			return 0, err
		}
		unref[Hash(chunk)]++
		count++
	}
	if err := rows.Err(); err != nil || count == 0 {
		return 0, err
	}
	_, err = tx.Exec(ctx, sqlPartsDrop, id, last)
	return count, err
}

// unref takes references from chunks, in order. A chunk goes with its last one.
func (s *Store) unref(ctx context.Context, tx *sqldb.Tx, unref map[Hash]int64, d *delta) error {
	left := leaving{}
	for _, id := range slices.SortedFunc(maps.Keys(unref), func(a, b Hash) int { return bytes.Compare(a[:], b[:]) }) {
		var refs, off, stored, size, bad int64
		var pack string
		err := tx.QueryRow(ctx, sqlChunkUnref, id[:], unref[id]).Scan(&refs, &pack, &off, &stored, &size, &bad)
		if errors.Is(err, sqldb.ErrNoRows) {
			return fmt.Errorf("chunk %s has no row, and a blob that refers to it", id)
		}
		if err != nil {
			return err
		}
		if refs > 0 {
			continue
		}
		if _, err := tx.Exec(ctx, sqlChunkDrop, id[:]); err != nil {
			return err
		}
		d.chunks--
		d.chunked -= size
		d.stored -= stored
		d.bad -= bad
		left.add(pack, off, stored)
	}
	return s.leaveAll(ctx, tx, left, d)
}

// leaving are the places that chunks leave, by pack.
type leaving map[string][]struct{ off, stored int64 }

func (l leaving) add(pack string, off, stored int64) {
	l[pack] = append(l[pack], struct{ off, stored int64 }{off, stored})
}

// leaveAll frees the places of chunks that have gone from there.
func (s *Store) leaveAll(ctx context.Context, tx *sqldb.Tx, l leaving, d *delta) error {
	for _, pack := range slices.Sorted(maps.Keys(l)) {
		bytes := int64(0)
		for _, p := range l[pack] {
			bytes += p.stored
		}
		n, err := tx.Exec(ctx, sqlPackLive, pack, -bytes)
		if err != nil {
			return err
		}
		for _, p := range l[pack] {
			if n == 1 {
				break
			}
			m, err := tx.Exec(ctx, sqlLooseDrop, pack, p.off)
			if err != nil {
				return err
			}
			d.loose -= m
			d.held -= m * p.stored
		}
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
