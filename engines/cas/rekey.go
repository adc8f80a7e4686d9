package cas

import (
	"context"
	"fmt"

	"plumb/engines/sqldb"
)

// Rekey wraps all data keys anew with Needs.Key, so that Needs.Old can go. No content
// is written. It can be called again where it was interrupted, while everything goes
// on, once every process has the new key.
func (s *Store) Rekey(ctx context.Context) (packs int64, err error) {
	for after, more := "", true; more; {
		var n int64
		var last string
		err := s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			last, n, more, err = s.rekeySome(ctx, tx, after)
			return err
		})
		if err != nil {
			return packs, fmt.Errorf("wrap the data keys anew: %w", err)
		}
		packs += n
		after = last
	}
	err = s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var old []byte
		if err := tx.QueryRow(ctx, sqlMetaGet, metaChunker).Scan(&old); err != nil {
			return err
		}
		fresh, err := s.rewrap(old)
		if err == nil && fresh != nil {
			_, err = tx.Exec(ctx, sqlMetaSwap, metaChunker, old, fresh)
		}
		return err
	})
	if err != nil {
		return packs, fmt.Errorf("wrap the key for cutting anew: %w", err)
	}
	return packs, nil
}

func (s *Store) rekeySome(ctx context.Context, tx *sqldb.Tx, after string) (last string, n int64, more bool, err error) {
	type row struct {
		id  string
		key []byte
	}
	var page []row
	rows, err := tx.Query(ctx, sqlKeyPage, after, int64(stepRows))
	if err != nil {
		return after, 0, false, err
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.id, &r.key); err != nil {
			return after, 0, false, err
		}
		page = append(page, r)
	}
	if err := rows.Err(); err != nil {
		return after, 0, false, err
	}
	last = after
	for _, r := range page {
		last = r.id
		if len(r.key) == 0 {
			continue
		}
		fresh, err := s.rewrap(r.key)
		if err != nil {
			return after, 0, false, fmt.Errorf("pack %s: %w", r.id, err)
		}
		if fresh == nil {
			continue
		}
		m, err := tx.Exec(ctx, sqlPackKey, r.id, r.key, fresh)
		if err != nil {
			return after, 0, false, err
		}
		n += m
	}
	return last, n, len(page) == stepRows, nil
}

// rewrap returns nil for what is wrapped with the newest key already.
func (s *Store) rewrap(wrapped []byte) ([]byte, error) {
	if s.ring.Current(wrapped) {
		return nil, nil
	}
	key, err := s.ring.Unwrap(wrapped)
	if err != nil {
		return nil, err
	}
	return s.ring.Wrap(key), nil
}
