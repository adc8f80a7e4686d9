package cas

import (
	"context"
	"errors"
	"fmt"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// Take makes one reference to p's content in tx. It may be called again for further
// references, and tx's fn may run twice. Errors: Conflict when the collector ended p,
// which happens only to one that is older than a day.
func (s *Store) Take(ctx context.Context, tx *sqldb.Tx, p *Pending) error {
	if err := s.take(ctx, tx, p); err != nil {
		return fmt.Errorf("take blob %s: %w", p.hash, err)
	}
	return nil
}

func (s *Store) take(ctx context.Context, tx *sqldb.Tx, p *Pending) error {
	if p.later {
		return errs.New(errs.Internal, "Take before Ready")
	}
	if p.known {
		err := s.Add(ctx, tx, p.hash)
		if errs.Is(err, errs.NotFound) {
			err = errLost
		}
		return err
	}
	var id string
	var refs, takes int64
	if err := tx.QueryRow(ctx, sqlBlobTake, p.hash[:], p.id, p.size, p.parts()).Scan(&id, &refs, &takes); err != nil {
		return err
	}
	d := delta{refs: 1, logical: p.size}
	if refs == 1 {
		d.blobs, d.uniq = 1, p.size
	}
	fresh := id == p.id && takes == 1
	err := error(nil)
	if p.small != nil {
		err = s.takeSmall(ctx, tx, p, fresh, &d)
	} else {
		err = s.takeLarge(ctx, tx, p, fresh)
	}
	if err != nil {
		return err
	}
	return s.count(ctx, tx, laneOf(p.hash), d)
}

var errEnded = errs.New(errs.Conflict, "what was put has waited too long: put it again")

// takeLarge makes the blob out of what was put, or leaves that to the collector.
func (s *Store) takeLarge(ctx context.Context, tx *sqldb.Tx, p *Pending, fresh bool) error {
	if !fresh {
		_, err := tx.Exec(ctx, sqlMakingEnd, p.id)
		return err
	}
	n, err := tx.Exec(ctx, sqlMakingTake, p.id, p.count)
	if err == nil && n == 0 {
		err = errEnded
	}
	return err
}

// takeSmall writes the blob's only chunk into the database, whether anybody needs it
// or not, so that nothing tells which it was.
func (s *Store) takeSmall(ctx context.Context, tx *sqldb.Tx, p *Pending, fresh bool, d *delta) error {
	c := p.small
	var kind, state string
	var key []byte
	var size int64
	err := tx.QueryRow(ctx, sqlPackGet, c.pack).Scan(&kind, &state, &key, &size)
	if errors.Is(err, sqldb.ErrNoRows) {
		return errEnded
	}
	if err != nil {
		return err
	}
	waste := int64(1)
	e := entry{chunk: p.hash, size: p.size, off: c.off, stored: int64(len(c.data)), codec: c.codec, refs: 1}
	used := false
	if fresh {
		var all []bool
		if all, err = s.putChunks(ctx, tx, c.pack, []entry{e}, d); err == nil {
			used = all[0]
		}
	} else {
		used, err = s.healSmall(ctx, tx, c.pack, &e, d)
	}
	if err != nil {
		return err
	}
	if used {
		waste = 0
	}
	if waste == 1 && p.trusted {
		return nil
	}
	if waste == 0 { // an earlier Take may have written it for nothing
		n, err := tx.Exec(ctx, sqlLooseUse, c.pack, c.off)
		if err != nil || n == 1 {
			d.loose += n
			return err
		}
	}
	n, err := tx.Exec(ctx, sqlLoosePut, c.pack, c.off, c.data, waste)
	if err != nil {
		return err
	}
	d.held += n * int64(len(c.data))
	d.loose += n * (1 - waste)
	return nil
}

// Add makes one more reference to content that is there. Errors: NotFound.
func (s *Store) Add(ctx context.Context, tx *sqldb.Tx, h Hash) error {
	var size int64
	err := tx.QueryRow(ctx, sqlBlobAdd, h[:]).Scan(&size)
	if errors.Is(err, sqldb.ErrNoRows) {
		return absent(h)
	}
	if err == nil {
		err = s.count(ctx, tx, laneOf(h), delta{refs: 1, logical: size})
	}
	if err != nil {
		return fmt.Errorf("add a reference to blob %s: %w", h, err)
	}
	return nil
}

// Drop takes one reference away. Errors: NotFound when there is none.
func (s *Store) Drop(ctx context.Context, tx *sqldb.Tx, h Hash) error {
	var size, refs int64
	err := tx.QueryRow(ctx, sqlBlobDrop, h[:]).Scan(&size, &refs)
	if errors.Is(err, sqldb.ErrNoRows) {
		return absent(h)
	}
	if err == nil {
		d := delta{refs: -1, logical: -size}
		if refs == 0 {
			d.blobs, d.uniq = -1, -size
		}
		err = s.count(ctx, tx, laneOf(h), d)
	}
	if err != nil {
		return fmt.Errorf("drop a reference to blob %s: %w", h, err)
	}
	s.nudge()
	return nil
}

func absent(h Hash) error { return errs.New(errs.NotFound, "there is no content %s", h) }

// putChunks gives each entry's chunk its references, and a row where it has none yet.
// The entries are sorted by chunk, each chunk once. used says whose bytes in pack are
// the chunk's now: those of new chunks, and those that heal a bad one.
func (s *Store) putChunks(ctx context.Context, tx *sqldb.Tx, pack string, entries []entry, d *delta) (used []bool, err error) {
	used = make([]bool, len(entries))
	var bad []lost
	err = inRows(&sqlChunkPut, len(entries), func(text string, from, to int) error {
		args := make([]any, 0, 8*(to-from))
		for i := from; i < to; i++ {
			e := &entries[i]
			args = append(args, e.chunk[:], pack, e.off, e.stored, e.size, e.codec, e.refs, int64(0))
		}
		rows, err := tx.Query(ctx, text, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		at := make(map[Hash]int, to-from)
		for i := from; i < to; i++ {
			at[entries[i].chunk] = i
		}
		for rows.Next() {
			var id []byte
			var o lost
			var isBad, refs int64
			if err := rows.Scan(&id, &o.pack, &o.off, &o.stored, &isBad, &refs); err != nil {
				return err
			}
			o.entry = at[Hash(id)]
			e := &entries[o.entry]
			switch {
			case refs == e.refs: // a chunk that was there had some
				used[o.entry] = true
				d.chunks++
				d.chunked += e.size
				d.stored += e.stored
			case isBad == 1:
				bad = append(bad, o)
			}
		}
		return rows.Err()
	})
	for _, o := range bad {
		if err == nil {
			used[o.entry] = true
			err = s.heal(ctx, tx, pack, &entries[o.entry], o, d)
		}
	}
	return used, err
}

// lost is where a bad chunk lay.
type lost struct {
	entry       int
	pack        string
	off, stored int64
}

// heal replaces a bad chunk's place by that of its new copy.
func (s *Store) heal(ctx context.Context, tx *sqldb.Tx, pack string, e *entry, o lost, d *delta) error {
	if _, err := tx.Exec(ctx, sqlChunkMove, e.chunk[:], o.pack, o.off, pack, e.off, e.stored, e.codec, int64(1)); err != nil {
		return err
	}
	d.bad--
	d.stored += e.stored - o.stored
	return s.leave(ctx, tx, o.pack, o.off, o.stored, d)
}

// healSmall replaces the place of a known blob's only chunk, if that is bad.
func (s *Store) healSmall(ctx context.Context, tx *sqldb.Tx, pack string, e *entry, d *delta) (bool, error) {
	var o lost
	var bad int64
	err := tx.QueryRow(ctx, sqlChunkWell, e.chunk[:]).Scan(&o.pack, &o.off, &o.stored, &bad)
	if err != nil || bad == 0 {
		return false, err
	}
	return true, s.heal(ctx, tx, pack, e, o, d)
}

// leave frees the place of a chunk that has gone from there.
func (s *Store) leave(ctx context.Context, tx *sqldb.Tx, pack string, off, stored int64, d *delta) error {
	n, err := tx.Exec(ctx, sqlPackLive, pack, -stored)
	if err != nil || n == 1 {
		return err
	}
	n, err = tx.Exec(ctx, sqlLooseDrop, pack, off)
	d.loose -= n
	d.held -= n * stored
	return err
}
