package cas

import (
	"context"
	"fmt"

	"plumb/engines/sqldb"
)

// Stats counts. It is exact and costs a few index look-ups.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	var st Stats
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		d, err := totals(ctx, tx)
		st = Stats{Blobs: d.blobs, References: d.refs, Logical: d.logical, Unique: d.uniq, Chunked: d.chunked, Stored: d.stored,
			Waiting: d.held - d.stored, Chunks: d.chunks, Packs: d.packs, Loose: d.loose, Bad: d.bad}
		return err
	})
	if err != nil {
		return Stats{}, fmt.Errorf("count what is stored: %w", err)
	}
	return st, nil
}

func totals(ctx context.Context, tx *sqldb.Tx) (d delta, err error) {
	err = tx.QueryRow(ctx, sqlStats).Scan(&d.blobs, &d.refs, &d.logical, &d.uniq, &d.chunks, &d.chunked, &d.stored, &d.bad, &d.packs, &d.loose, &d.held)
	return d, err
}
