package prove

import (
	"context"
	"fmt"
	"path/filepath"

	"plumb/engines/sqldb"
)

// audited is what a stopped store's rows say, counted by statements of this package and
// not by those of the code that is under test.
type audited struct {
	blobs      int64 // contents
	miscounted int64 // contents, chunks and quotas whose count is not that of what refers to them
	orphans    int64 // packs in the bucket that no row has
	missing    int64 // rows of packs that the bucket does not have
}

const (
	blobsSQL = `SELECT count(*) FROM cas_blobs`
	// References to contents: the names and earlier versions that have them.
	refsSQL = `WITH named AS (SELECT hash, count(*) AS n FROM (SELECT hash FROM files_nodes WHERE folder = 0 UNION ALL SELECT hash FROM files_versions) AS u GROUP BY hash)
		SELECT (SELECT count(*) FROM cas_blobs AS b LEFT JOIN named ON named.hash = b.hash WHERE b.refs <> COALESCE(named.n, 0))
		+ (SELECT count(*) FROM named LEFT JOIN cas_blobs AS b ON b.hash = named.hash WHERE b.hash IS NULL)`
	// References to chunks: those in contents' parts, and contents of one chunk.
	chunksSQL = `WITH used AS (SELECT chunk, count(*) AS n FROM (SELECT chunk FROM cas_parts UNION ALL SELECT hash FROM cas_blobs WHERE parts = 0
			UNION ALL SELECT chunk FROM cas_making WHERE parts = 1 AND length(chunk) > 0) AS u GROUP BY chunk)
		SELECT (SELECT count(*) FROM cas_chunks AS c LEFT JOIN used ON used.chunk = c.id WHERE c.refs <> COALESCE(used.n, 0))
		+ (SELECT count(*) FROM used LEFT JOIN cas_chunks AS c ON c.id = used.chunk WHERE c.id IS NULL)`
	quotaSQL = `SELECT count(*) FROM files_quota AS q WHERE q.used <>
		(SELECT COALESCE(sum(n.size), 0) FROM files_nodes AS n WHERE n.owner = q.person AND n.folder = 0)
		+ (SELECT COALESCE(sum(v.size), 0) FROM files_versions AS v JOIN files_nodes AS n ON n.id = v.node WHERE n.owner = q.person)`
	packsSQL = `SELECT id, state FROM cas_packs WHERE kind = 'object'`
)

// audit reads a stopped store.
func audit(ctx context.Context, data string) (out audited, err error) {
	db, err := sqldb.Open(ctx, "sqlite:"+filepath.Join(data, "plumb.db"), sqldb.Options{})
	if err != nil {
		return out, fmt.Errorf("audit the store: %w", err)
	}
	defer db.Close()
	there, err := objects(data)
	if err != nil {
		return out, fmt.Errorf("audit the store: %w", err)
	}
	err = db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		out = audited{}
		if err := tx.QueryRow(ctx, blobsSQL).Scan(&out.blobs); err != nil {
			return err
		}
		for _, q := range []string{refsSQL, chunksSQL, quotaSQL} {
			var n int64
			if err := tx.QueryRow(ctx, q).Scan(&n); err != nil {
				return err
			}
			out.miscounted += n
		}
		rows, err := tx.Query(ctx, packsSQL)
		if err != nil {
			return err
		}
		defer rows.Close()
		known := 0
		for rows.Next() {
			var id, state string
			if err := rows.Scan(&id, &state); err != nil {
				return err
			}
			if there[id] {
				known++
			} else if state == "stored" { // not one that is only being written, or removed
				out.missing++
			}
		}
		out.orphans = int64(len(there) - known)
		return rows.Err()
	})
	if err != nil {
		return out, fmt.Errorf("audit the store: %w", err)
	}
	return out, nil
}
