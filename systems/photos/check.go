package photos

import (
	"context"
	"fmt"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/systems/photos/internal/shard"
)

// Check says whether the room works: the directory and the shards answer.
func (s *System) Check(ctx context.Context) error { return s.set.Check(ctx) }

// CheckAll compares every count with what it counts, and every photo with its contents;
// it reads everything, so it is for tests.
func (s *System) CheckAll(ctx context.Context) error {
	if err := s.Check(ctx); err != nil {
		return err
	}
	return s.everywhere(ctx, "check", func(ctx context.Context, at *shard.Shard) error {
		var faults []string
		if err := at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			faults = nil
			for _, query := range []string{wrongTallySQL, wrongAlbumSQL, strayPlaceSQL} {
				var what string
				err := tx.QueryRow(ctx, query).Scan(&what)
				if err == nil {
					faults = append(faults, what)
				} else if err != sqldb.ErrNoRows {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
		if len(faults) > 0 {
			return errs.New(errs.Internal, "%v", faults)
		}
		if err := s.checkContents(ctx, at); err != nil {
			return err
		}
		return at.CAS.Check(ctx)
	})
}

// checkContents reads what each photo refers to.
func (s *System) checkContents(ctx context.Context, at *shard.Shard) error {
	for after := ""; ; {
		var list []Photo
		err := at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			list, err = photos(ctx, tx, allHereSQL, after, int64(sweepBatch))
			return err
		})
		if err != nil || len(list) == 0 {
			return err
		}
		for _, p := range list {
			for _, h := range append([]cas.Hash{p.Hash}, p.sizes[:]...) {
				if h == (cas.Hash{}) {
					continue
				}
				r, err := at.CAS.Open(ctx, h)
				if err != nil {
					return fmt.Errorf("content of photo %s: %w", p.ID, err)
				}
				r.Close()
			}
			after = p.ID
		}
	}
}

const (
	allHereSQL    = `SELECT ` + photoColumns + ` FROM photos_photos AS p WHERE p.gone = 0 AND p.id > $1` + hereSQL + ` ORDER BY p.id LIMIT $2`
	wrongTallySQL = `SELECT 'the tally of ' || o.owner FROM photos_owners AS o
		LEFT JOIN (SELECT owner, count(*) AS n, sum(size) AS bytes FROM photos_photos WHERE gone = 0 GROUP BY owner) AS f ON f.owner = o.owner
		WHERE o.state IN ('here', 'leaving') AND (o.photos <> COALESCE(f.n, 0) OR o.bytes <> COALESCE(f.bytes, 0)) LIMIT 1`
	wrongAlbumSQL = `SELECT 'the count of album ' || al.id FROM photos_albums AS al WHERE al.gone = 0 AND al.photos <>
		(SELECT count(*) FROM photos_placed AS a JOIN photos_photos AS p ON p.owner = a.owner AND p.id = a.photo
			WHERE a.owner = al.owner AND a.album = al.id AND a.gone = 0 AND p.gone = 0 AND p.bin_at = 0) LIMIT 1`
	strayPlaceSQL = `SELECT 'photo ' || a.photo || ' in no album' FROM photos_placed AS a WHERE a.gone = 0 AND NOT EXISTS
		(SELECT 1 FROM photos_albums AS al WHERE al.owner = a.owner AND al.id = a.album AND al.gone = 0) LIMIT 1`
)
