package cas

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// finishPack commits a pack whose object is durable.
func (s *Store) finishPack(ctx context.Context, p *pack) error {
	if s.o.VerifyOnHit {
		if err := s.compareKnown(ctx, p); err != nil {
			return err
		}
	}
	return s.commitPack(ctx, p)
}

// commitPack makes the chunks of a durable object known, and the parts of the blobs that
// they are for, in one transaction of at most limits.packChunks chunks.
func (s *Store) commitPack(ctx context.Context, p *pack) error {
	for {
		var lost []*Pending
		live := false
		err := s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			live, lost, err = s.commitOnce(ctx, tx, p)
			return err
		})
		if err == errLost {
			for _, b := range lost {
				b.lost.Store(true)
				b.gone.Store(true)
			}
			continue // without those
		}
		if err == errPackEnded && s.wasStored(ctx, p.id) {
			err = nil
		}
		if err == nil && !live {
			s.nudge()
		}
		return err
	}
}

// commitOnce does it, unless blobs count on chunks that went: it returns those.
func (s *Store) commitOnce(ctx context.Context, tx *sqldb.Tx, p *pack) (live bool, lost []*Pending, err error) {
	entries := notGone(p.entries)
	kept, bare := uniqueChunks(entries)
	for _, e := range bare {
		n, err := tx.Exec(ctx, sqlChunkAdd, e.chunk[:], e.refs)
		if err != nil {
			return false, nil, err
		}
		if n > 0 {
			continue
		}
		for _, o := range entries {
			if o.chunk == e.chunk {
				lost = append(lost, o.blob)
			}
		}
	}
	if len(lost) > 0 {
		return false, lost, errLost
	}
	d := delta{}
	used, err := s.putChunks(ctx, tx, p.id, kept, &d)
	if err != nil {
		return false, nil, err
	}
	bytes, size := int64(0), p.off-packHeader
	for i, e := range kept {
		if used[i] {
			bytes += e.stored
		}
	}
	if size > 0 {
		d.packs, d.held = 1, size
	}
	state := "stored"
	if bytes == 0 {
		state = "deleting"
	}
	n, err := tx.Exec(ctx, sqlPackStored, p.id, state, size, bytes)
	if err == nil && n == 0 {
		err = errPackEnded
	}
	if err == nil {
		err = s.putParts(ctx, tx, entries)
	}
	if err == nil {
		err = s.count(ctx, tx, ownLane, d)
	}
	return bytes > 0, nil, err
}

var errPackEnded = errs.New(errs.Conflict, "the collector ended a pack that was being written")

// wasStored says whether an earlier try, whose answer was lost, committed the pack.
func (s *Store) wasStored(ctx context.Context, id string) bool {
	var kind, state string
	var key []byte
	var size int64
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, sqlPackGet, id).Scan(&kind, &state, &key, &size)
	})
	return err == nil && size > 0
}

// notGone returns the entries whose blobs were not given up.
func notGone(all []entry) []entry {
	kept := make([]entry, 0, len(all))
	for _, e := range all {
		if !e.blob.gone.Load() {
			kept = append(kept, e)
		}
	}
	return kept
}

// uniqueChunks returns each chunk once, with its references, and in order, so that two
// transactions never wait for each other crosswise: those that have bytes in the pack,
// and those that have not.
func uniqueChunks(entries []entry) (kept, bare []entry) {
	all := slices.Clone(entries)
	slices.SortStableFunc(all, func(a, b entry) int {
		if c := bytes.Compare(a.chunk[:], b.chunk[:]); c != 0 || a.bare == b.bare {
			return c
		}
		if a.bare {
			return 1
		}
		return -1
	})
	for i := 0; i < len(all); {
		e := all[i]
		for e.refs = 0; i < len(all) && all[i].chunk == e.chunk; i++ {
			e.refs++
		}
		if e.bare {
			bare = append(bare, e)
		} else {
			kept = append(kept, e)
		}
	}
	return kept, bare
}

// putParts writes the parts of the blobs in a pack, and what their makers hold.
func (s *Store) putParts(ctx context.Context, tx *sqldb.Tx, entries []entry) error {
	var parts []entry
	type holder struct {
		id    string
		chunk []byte
		parts int64
	}
	var holders []holder
	at := map[*Pending]int{}
	for _, e := range entries {
		i, known := at[e.blob]
		if !known {
			i = len(holders)
			at[e.blob] = i
			holders = append(holders, holder{id: e.blob.id, chunk: []byte{}})
		}
		holders[i].parts++
		if e.only {
			holders[i].chunk = e.chunk[:]
		} else {
			parts = append(parts, e)
		}
	}
	err := inRows(&sqlPartPut, len(parts), func(text string, from, to int) error {
		args := make([]any, 0, 3*(to-from))
		for _, e := range parts[from:to] {
			args = append(args, e.blob.id, e.end, e.chunk[:])
		}
		_, err := tx.Exec(ctx, text, args...)
		return err
	})
	if err != nil {
		return err
	}
	until := s.n.Clock.Now().Add(lease).UnixMicro()
	slices.SortFunc(holders, func(a, b holder) int { return cmp.Compare(a.id, b.id) })
	for _, h := range holders {
		if _, err := tx.Exec(ctx, sqlMakingAdd, h.id, h.chunk, h.parts, until); err != nil {
			return err
		}
	}
	return nil
}
