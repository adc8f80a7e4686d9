package cas

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// What Check counts anew. Each of the second kind finds rows that contradict each other.
const (
	checkTotals = `SELECT
		(SELECT COUNT(*) FROM cas_blobs WHERE refs > 0),
		(SELECT CAST(COALESCE(SUM(refs), 0) AS BIGINT) FROM cas_blobs),
		(SELECT CAST(COALESCE(SUM(refs * size), 0) AS BIGINT) FROM cas_blobs),
		(SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM cas_blobs WHERE refs > 0),
		(SELECT COUNT(*) FROM cas_chunks),
		(SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM cas_chunks),
		(SELECT CAST(COALESCE(SUM(stored), 0) AS BIGINT) FROM cas_chunks),
		(SELECT CAST(COALESCE(SUM(bad), 0) AS BIGINT) FROM cas_chunks),
		(SELECT COUNT(*) FROM cas_packs WHERE kind = 'object' AND size > 0),
		(SELECT COUNT(*) FROM cas_loose WHERE waste = 0),
		(SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM cas_packs) + (SELECT CAST(COALESCE(SUM(LENGTH(data)), 0) AS BIGINT) FROM cas_loose)`

	checkRefs = `WITH held AS (SELECT chunk AS id, COUNT(*) AS n FROM cas_parts GROUP BY chunk
			UNION ALL SELECT hash, 1 FROM cas_blobs WHERE parts = 0
			UNION ALL SELECT chunk, 1 FROM cas_making WHERE LENGTH(chunk) > 0),
		sums AS (SELECT id, CAST(SUM(n) AS BIGINT) AS n FROM held GROUP BY id)
		SELECT 'a chunk has ' || c.refs || ' references in its row and ' || COALESCE(s.n, 0) || ' that are held'
			FROM cas_chunks c LEFT JOIN sums s ON s.id = c.id WHERE c.refs <> COALESCE(s.n, 0)
		UNION ALL SELECT 'a chunk is held ' || s.n || ' times and has no row'
			FROM sums s LEFT JOIN cas_chunks c ON c.id = s.id WHERE c.id IS NULL
		LIMIT 10`
	checkPacks = `WITH sums AS (SELECT pack, CAST(SUM(stored) AS BIGINT) AS n FROM cas_chunks GROUP BY pack)
		SELECT 'pack ' || k.id || ' has ' || k.live || ' live bytes in its row and ' || COALESCE(s.n, 0) || ' in its chunks'
			FROM cas_packs k LEFT JOIN sums s ON s.pack = k.id WHERE k.kind = 'object' AND k.live <> COALESCE(s.n, 0)
		UNION ALL SELECT 'pack ' || s.pack || ' has chunks and no row'
			FROM sums s LEFT JOIN cas_packs k ON k.id = s.pack WHERE k.id IS NULL
		UNION ALL SELECT 'pack ' || k.id || ' is being deleted and holds chunks' FROM cas_packs k WHERE k.state = 'deleting' AND k.live > 0
		LIMIT 10`
	checkLoose = `SELECT 'a chunk of pack ' || k.id || ' at ' || c.off || ' has no bytes'
			FROM cas_packs k JOIN cas_chunks c ON c.pack = k.id LEFT JOIN cas_loose l ON l.pack = c.pack AND l.off = c.off AND l.waste = 0 AND LENGTH(l.data) = c.stored
			WHERE k.kind = 'loose' AND l.pack IS NULL AND c.bad = 0
		UNION ALL SELECT 'bytes of pack ' || l.pack || ' at ' || l.off || ' are of no chunk'
			FROM cas_loose l LEFT JOIN cas_chunks c ON c.pack = l.pack AND c.off = l.off WHERE l.waste = 0 AND c.id IS NULL
		LIMIT 10`
	checkParts = `WITH sums AS (SELECT p.blob, COUNT(*) AS n, MAX(p.off_end) AS off_end, CAST(SUM(c.size) AS BIGINT) AS size
			FROM cas_parts p LEFT JOIN cas_chunks c ON c.id = p.chunk GROUP BY p.blob)
		SELECT 'blob ' || b.id || ' of ' || b.size || ' bytes has ' || b.parts || ' parts in its row, and ' || COALESCE(s.n, 0) || ' parts of ' || COALESCE(s.size, 0) || ' bytes'
			FROM cas_blobs b LEFT JOIN sums s ON s.blob = b.id
			WHERE b.parts > 0 AND (s.n IS NULL OR s.n <> b.parts OR s.off_end <> b.size OR s.size <> b.size)
		UNION ALL SELECT 'the unfinished blob ' || m.id || ' has ' || m.parts || ' parts in its row, and ' || COALESCE(s.n, 0)
			FROM cas_making m LEFT JOIN sums s ON s.blob = m.id WHERE LENGTH(m.chunk) = 0 AND COALESCE(s.n, 0) <> m.parts
		UNION ALL SELECT 'parts of blob ' || s.blob || ', which nobody knows'
			FROM sums s LEFT JOIN cas_blobs b ON b.id = s.blob LEFT JOIN cas_making m ON m.id = s.blob WHERE b.id IS NULL AND m.id IS NULL
		LIMIT 10`

	checkReach   = `SELECT COALESCE(MAX(off + stored), 0) FROM cas_chunks WHERE pack = $1 AND bad = 0`
	checkObjects = `SELECT id FROM cas_packs WHERE kind = 'object' AND size > 0 AND id > $1 ORDER BY id LIMIT $2`
)

// Check compares every count with what it counts, and looks for every object; nil when
// all are exact. It reads all rows, in one snapshot, and no content: see Scrub.
func (s *Store) Check(ctx context.Context) error {
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var faults []string
		want, got := delta{}, delta{}
		err := tx.QueryRow(ctx, checkTotals).Scan(&want.blobs, &want.refs, &want.logical, &want.uniq, &want.chunks, &want.chunked, &want.stored, &want.bad, &want.packs, &want.loose, &want.held)
		if err == nil {
			got, err = totals(ctx, tx)
		}
		if err == nil && got != want {
			faults = append(faults, fmt.Sprintf("the totals are %+v and should be %+v", got, want))
		}
		for _, q := range []string{checkRefs, checkPacks, checkLoose, checkParts} {
			if err == nil {
				var more []string
				more, err = readIDs(ctx, tx, q)
				faults = append(faults, more...)
			}
		}
		if err != nil {
			return err
		}
		if len(faults) > 0 {
			return errs.New(errs.Internal, "the counts are wrong: %s", strings.Join(faults, "; "))
		}
		return nil
	})
	if err == nil {
		err = s.checkObjects(ctx)
	}
	if err != nil {
		return fmt.Errorf("check the content store: %w", err)
	}
	return nil
}

// checkObjects asks the bucket for the size of every object.
func (s *Store) checkObjects(ctx context.Context) error {
	for after := ""; ; {
		var ids []string
		err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			ids, err = readIDs(ctx, tx, checkObjects, after, int64(stepRows))
			return err
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := s.checkObject(ctx, id); err != nil {
				return err
			}
			after = id
		}
		if len(ids) < stepRows {
			return nil
		}
	}
}

func (s *Store) checkObject(ctx context.Context, id string) error {
	info, statErr := s.n.Bucket.Stat(ctx, packKey(id))
	if statErr != nil && !errs.Is(statErr, errs.NotFound) {
		return statErr
	}
	var kind, state string
	var key []byte
	var size, reach int64
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		err := tx.QueryRow(ctx, sqlPackGet, id).Scan(&kind, &state, &key, &size)
		if err == nil {
			err = tx.QueryRow(ctx, checkReach, id).Scan(&reach)
		}
		return err
	})
	if errors.Is(err, sqldb.ErrNoRows) || err == nil && (state == "deleting" || reach == 0) {
		return nil // gone, or about to be
	}
	if err == nil && statErr != nil {
		err = errs.Wrap(errs.Internal, statErr, "the object of pack %s is missing", id)
	}
	if err == nil && info.Size < reach {
		err = errs.New(errs.Internal, "the object of pack %s has %d bytes, and chunks up to %d", id, info.Size, reach)
	}
	return err
}
