package cas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"plumb/engines/sqldb"
)

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
