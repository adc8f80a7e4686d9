package cas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/bucket"
	"plumb/engines/cas/seal"
	"plumb/engines/sqldb"
)

const (
	pageChunks = 64 // chunks that are looked up at once
	sleep      = 24 * time.Hour
)

// limits are sizes that tests make small.
type limits struct {
	packSize   int64 // bytes after which an object takes no more chunks
	packChunks int   // chunks after which one that is written by Puts takes no more
	moveChunks int   // and one that is made of others
	smallPacks int   // small objects that are worth one larger
	looseRows  int   // rows in the database that are worth an object,
	looseBytes int64 // or bytes
}

var usual = limits{packSize: 32 << 20, packChunks: 256, moveChunks: 4096, smallPacks: 16, looseRows: 256, looseBytes: 4 << 20}

// rewriteAll makes objects of what lies in the database, and of packs that are sparse
// or small, one after the other, until nothing is worth it.
func (s *Store) rewriteAll(ctx context.Context, r *CollectResult, progress func(Progress)) error {
	for _, job := range []struct {
		what  string
		picks func(ctx context.Context, tx *sqldb.Tx) ([]string, error)
	}{
		{"small contents into objects", s.pickLoose},
		{"objects with much that is dead", func(ctx context.Context, tx *sqldb.Tx) ([]string, error) { return s.pickPacks(ctx, tx, sqlSparse, 1) }},
		{"small objects", func(ctx context.Context, tx *sqldb.Tx) ([]string, error) {
			return s.pickPacks(ctx, tx, sqlSmall, s.limits.smallPacks)
		}},
	} {
		done := int64(0)
		for {
			var packs []string
			err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
				packs, err = job.picks(ctx, tx)
				return err
			})
			if err != nil {
				return err
			}
			if len(packs) == 0 {
				break
			}
			moved, n, err := s.rewritePacks(ctx, packs)
			if err != nil {
				return err
			}
			done += moved
			r.Moved += moved
			if progress != nil {
				progress(Progress{Done: done, What: job.what})
			}
			if n == 0 {
				break
			}
		}
	}
	return nil
}

// pickLoose returns the packs in the database, if there is enough in them.
func (s *Store) pickLoose(ctx context.Context, tx *sqldb.Tx) ([]string, error) {
	rows, err := tx.Query(ctx, sqlLooseSome, int64(s.limits.looseRows))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	n, size := 0, int64(0)
	for rows.Next() {
		var one int64
		if err := rows.Scan(&one); err != nil {
			return nil, err
		}
		n++
		size += one
	}
	if err := rows.Err(); err != nil || n < s.limits.looseRows && size < s.limits.looseBytes {
		return nil, err
	}
	return readIDs(ctx, tx, sqlLooseIDs)
}

// pickPacks returns packs that fit together into one, if there are enough.
func (s *Store) pickPacks(ctx context.Context, tx *sqldb.Tx, query string, enough int) ([]string, error) {
	rows, err := tx.Query(ctx, query, s.now(), int64(stepRows))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var packs []string
	for size := int64(0); rows.Next(); {
		var id string
		var live int64
		if err := rows.Scan(&id, &live); err != nil {
			return nil, err
		}
		if size += live; size > s.limits.packSize && len(packs) > 0 {
			break
		}
		packs = append(packs, id)
	}
	rows.Close()
	if err := rows.Err(); err != nil || len(packs) < enough {
		return nil, err
	}
	slices.Sort(packs)
	return packs, nil
}

// move is a chunk that was written anew.
type move struct {
	place
	to, stored int64
}

// rewritePacks moves the chunks of packs into a new object, as many as fit.
func (s *Store) rewritePacks(ctx context.Context, packs []string) (bytes int64, chunks int, err error) {
	return s.rewrite(ctx, s.n.Bucket, func(yield func(place) error) error {
		for _, id := range packs {
			err := s.eachChunk(ctx, id, func(p place) error {
				if p.bad == 1 {
					return nil
				}
				return yield(p)
			})
			if err != nil {
				return err
			}
			// What could not be moved is not tried again all the time.
			if _, err := s.forIDs(ctx, sqlPackThereID, []any{id}, func(ctx context.Context, tx *sqldb.Tx, id string) error {
				_, err := tx.Exec(ctx, sqlPackSleep, id, s.now()+sleep.Microseconds())
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachChunk calls fn for the chunks of a pack, in order.
func (s *Store) eachChunk(ctx context.Context, pack string, fn func(place) error) error {
	for after := int64(-1); ; {
		var page []place
		err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			page, err = chunkPage(ctx, tx, pack, after)
			return err
		})
		if err != nil {
			return err
		}
		for _, p := range page {
			if err := fn(p); err != nil {
				return err
			}
			after = p.off
		}
		if len(page) < pageChunks {
			return nil
		}
	}
}

func chunkPage(ctx context.Context, tx *sqldb.Tx, pack string, after int64) ([]place, error) {
	var kind, state string
	var key []byte
	var size int64
	err := tx.QueryRow(ctx, sqlPackGet, pack).Scan(&kind, &state, &key, &size)
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, sqlPackChunks, pack, after, int64(pageChunks))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []place
	for rows.Next() {
		p := place{pack: pack, key: key, loose: kind == "loose", until: size + packHeader}
		var id []byte
		if err := rows.Scan(&id, &p.off, &p.stored, &p.size, &p.codec, &p.bad); err != nil {
			return nil, err
		}
		p.chunk = Hash(id)
		page = append(page, p)
	}
	return page, rows.Err()
}

var errFull = errors.New("the object is full")

// rewrite writes the chunks that each yields into a new object, read from a bucket, and
// then moves them there, as many as one object takes. Chunks that are damaged, or went
// meanwhile, stay.
func (s *Store) rewrite(ctx context.Context, from bucket.Bucket, each func(yield func(place) error) error) (size int64, n int, err error) {
	now := s.n.Clock.Now()
	id := ids.New(now)
	wrapped, sealer, err := s.newKey()
	if err == nil {
		err = s.register(ctx, id, wrapped, now)
	}
	if err != nil {
		return 0, 0, err
	}
	r, w := io.Pipe()
	var moves []move
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		var err error
		moves, err = s.feed(ctx, w, from, sealer, each)
		w.CloseWithError(err) // nil: the end
	}()
	err = s.n.Bucket.Put(ctx, packKey(id), r, -1, bucket.PutOptions{})
	r.CloseWithError(err)
	<-fed
	if err == nil {
		err = s.commitMoves(ctx, id, moves)
	}
	if err != nil {
		s.endPack(id, err)
		if errors.Is(err, errNothing) {
			return 0, 0, nil
		}
		return 0, 0, fmt.Errorf("write pack %s from others: %w", id, err)
	}
	for _, m := range moves {
		size += m.stored
	}
	return size, len(moves), nil
}

var errNothing = errors.New("there is nothing to move")

// feed writes the object.
func (s *Store) feed(ctx context.Context, w io.Writer, from bucket.Bucket, sealer *seal.Sealer, each func(func(place) error) error) (moves []move, err error) {
	if _, err := w.Write(s.header(sealer != nil)); err != nil {
		return nil, err
	}
	src := newSource(s)
	src.bucket = from
	defer src.end()
	off := int64(packHeader)
	var out []byte
	err = each(func(p place) error {
		src.until = p.until
		inner, err := src.inner(ctx, p)
		switch {
		case err == nil:
		case errs.Is(err, errs.NotFound), isDamage(err):
			s.n.Log.Warn("a chunk is not moved", "chunk", p.chunk.String(), "pack", p.pack, "err", err)
			return nil
		default:
			return err
		}
		out = sealInto(out[:0], sealer, inner, uint64(off), p.chunk)
		if _, err := w.Write(out); err != nil {
			return err
		}
		moves = append(moves, move{p, off, int64(len(out))})
		off += int64(len(out))
		if off >= s.limits.packSize || len(moves) >= s.limits.moveChunks {
			return errFull
		}
		return nil
	})
	if err == errFull {
		err = nil
	}
	if err == nil && len(moves) == 0 {
		err = errNothing
	}
	return moves, err
}

// commitMoves turns to the new places, in steps. Until the last one the pack counts as
// being written, so that nobody takes it for empty.
func (s *Store) commitMoves(ctx context.Context, id string, moves []move) error {
	last := moves[len(moves)-1]
	size := last.to + last.stored - packHeader
	err := s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if n, err := tx.Exec(ctx, sqlPackSized, id, size); err != nil || n == 0 {
			return cmpErr(err, errPackEnded)
		}
		return s.count(ctx, tx, ownLane, delta{packs: 1, held: size})
	})
	if err != nil {
		return err
	}
	for step := range slices.Chunk(moves, stepRows) {
		slices.SortFunc(step, func(a, b move) int { return bytes.Compare(a.chunk[:], b.chunk[:]) })
		if err := s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.moveSome(ctx, tx, id, step) }); err != nil {
			return err
		}
	}
	return s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, sqlPackDone, id)
		return err
	})
}

func cmpErr(err, other error) error {
	if err == nil {
		err = other
	}
	return err
}

// moveSome moves those chunks that still lie where they were read.
func (s *Store) moveSome(ctx context.Context, tx *sqldb.Tx, id string, moves []move) error {
	var d delta
	live := int64(0)
	left := leaving{}
	for _, m := range moves {
		n, err := tx.Exec(ctx, sqlChunkMove, m.chunk[:], m.pack, m.off, id, m.to, m.stored, m.codec, m.bad)
		if err != nil {
			return err
		}
		if n == 1 {
			live += m.stored
			d.stored += m.stored - m.place.stored
			d.bad -= m.bad
			left.add(m.pack, m.off, m.place.stored)
		}
	}
	if n, err := tx.Exec(ctx, sqlPackGrow, id, live); err != nil || n == 0 {
		return cmpErr(err, errPackEnded)
	}
	if err := s.leaveAll(ctx, tx, left, &d); err != nil {
		return err
	}
	return s.count(ctx, tx, ownLane, d)
}
