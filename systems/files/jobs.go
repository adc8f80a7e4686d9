package files

import (
	"context"
	"fmt"
	"time"

	"plumb/base/errs"
	"plumb/base/units"
	"plumb/engines/cas"
	"plumb/engines/jobs"
	"plumb/engines/sqldb"
)

// work lists the room's background jobs. Each goes on where an earlier run ended.
func (s *System) work() []jobs.Work {
	list := []jobs.Work{{
		Kind: "files.collect", Every: s.c.Collect, Unique: true, Max: 1, Timeout: time.Hour, Tries: 3,
		Run: func(ctx context.Context, _ []byte) error { _, err := s.Collect(ctx, nil); return err },
	}, {
		Kind: "files.expire", Every: time.Hour, Unique: true, Max: 1, Timeout: time.Hour, Tries: 3,
		Run: func(ctx context.Context, _ []byte) error { return s.expire(ctx) },
	}}
	scrub := jobs.Work{
		Kind: "files.scrub", Every: s.c.Scrub, Unique: true, Max: 1, Timeout: 72 * time.Hour, Tries: 2,
		Run: func(ctx context.Context, _ []byte) error { _, err := s.Scrub(ctx, nil); return err },
	}
	return append(list, scrub) // without a period it runs when an operator asks
}

// Collect frees what nothing refers to any more. progress may be nil.
func (s *System) Collect(ctx context.Context, progress func(cas.Progress)) (cas.CollectResult, error) {
	r, err := s.n.CAS.Collect(ctx, progress)
	s.measures.freed.Add(float64(r.Freed))
	if err != nil {
		return r, fmt.Errorf("collect: %w", err)
	}
	if r.Freed > 0 {
		s.n.Log.Info("contents that nothing refers to were freed", "freed", units.Bytes(float64(r.Freed)), "contents", r.Blobs)
	}
	return r, nil
}

// Scrub reads and verifies all contents, repairs from the replica where there is one,
// and sets aside what is bad. progress may be nil.
func (s *System) Scrub(ctx context.Context, progress func(cas.Progress)) (cas.ScrubResult, error) {
	r, err := s.n.CAS.Scrub(ctx, progress)
	if err != nil {
		return r, fmt.Errorf("scrub: %w", err)
	}
	s.measures.scrubs.Inc()
	s.measures.bad.Set(float64(r.Bad - r.Repaired))
	for _, fault := range r.Faults {
		s.n.Log.Error("a scrub found bad bytes", "fault", fault)
	}
	return r, nil
}

// mostChecked is how many nodes Check looks at: enough to notice, cheap enough to ask
// often.
const mostChecked = 1000

// Check says whether the room works: the database answers, and each of the newest
// files has its content.
func (s *System) Check(ctx context.Context) error {
	_, err := read(ctx, s, "check files", func(ctx context.Context, tx *sqldb.Tx) (int, error) {
		list, err := s.store.nodes(ctx, tx, newestSQL, int64(20))
		if err != nil {
			return 0, err
		}
		for _, n := range list {
			var used int64
			if err := tx.QueryRow(ctx, usedOfSQL, n.Owner).Scan(&used); err != nil && err != sqldb.ErrNoRows {
				return 0, err
			}
			if used < n.Size {
				return 0, errs.New(errs.Internal, "person %s keeps %d bytes by their quota's row, and a file of %d", n.Owner, used, n.Size)
			}
		}
		return 0, nil
	})
	return err
}

// CheckAll compares every quota with what it counts, and every file with its content;
// it reads all rows, so it is for tests and for stopped stores.
func (s *System) CheckAll(ctx context.Context) error {
	_, err := read(ctx, s, "check all files", func(ctx context.Context, tx *sqldb.Tx) (int, error) {
		var person string
		var used, files, bytes, nodes int64
		err := tx.QueryRow(ctx, wrongQuotaSQL).Scan(&person, &used, &files, &bytes, &nodes)
		if err == nil {
			return 0, errs.New(errs.Internal, "the quota of %s says %d bytes in %d files; there are %d in %d", person, used, files, bytes, nodes)
		}
		if err != sqldb.ErrNoRows {
			return 0, err
		}
		var orphan string
		err = tx.QueryRow(ctx, orphanSQL).Scan(&orphan)
		if err == nil {
			return 0, errs.New(errs.Internal, "node %s lies in a folder that is not there", orphan)
		}
		if err != sqldb.ErrNoRows {
			return 0, err
		}
		return 0, nil
	})
	if err != nil {
		return err
	}
	if err := s.checkContents(ctx); err != nil {
		return err
	}
	return s.n.CAS.Check(ctx)
}

// checkContents opens what each file refers to.
func (s *System) checkContents(ctx context.Context) error {
	for after := ""; ; {
		list, err := read(ctx, s, "check contents", func(ctx context.Context, tx *sqldb.Tx) ([]Node, error) {
			return s.store.nodes(ctx, tx, allFilesSQL, after, int64(mostChecked))
		})
		if err != nil || len(list) == 0 {
			return err
		}
		for _, n := range list {
			r, err := s.n.CAS.Open(ctx, n.Hash)
			if err != nil {
				return fmt.Errorf("content of node %s: %w", n.ID, err)
			}
			size := r.Size()
			if err := r.Close(); err != nil {
				return err
			}
			if size != n.Size {
				return errs.New(errs.Internal, "node %s has %d bytes, its content %d", n.ID, n.Size, size)
			}
			after = n.ID
		}
	}
}

const (
	newestSQL   = `SELECT ` + nodeColumns + ` FROM files_nodes AS n WHERE n.folder = 0 ORDER BY n.id DESC LIMIT $1`
	allFilesSQL = `SELECT ` + nodeColumns + ` FROM files_nodes AS n WHERE n.folder = 0 AND n.id > $1 ORDER BY n.id LIMIT $2`
	usedOfSQL   = `SELECT used FROM files_quota WHERE person = $1`
	orphanSQL   = `SELECT n.id FROM files_nodes AS n WHERE n.parent <> '' AND NOT EXISTS (SELECT 1 FROM files_nodes AS p WHERE p.id = n.parent AND p.owner = n.owner) LIMIT 1`
	// A quota's row that differs from the sum of what it counts.
	wrongQuotaSQL = `SELECT q.person, q.used, q.files, CAST(COALESCE(f.bytes, 0) + COALESCE(v.bytes, 0) AS BIGINT), CAST(COALESCE(f.files, 0) AS BIGINT)
		FROM files_quota AS q
		LEFT JOIN (SELECT owner, sum(size) AS bytes, count(*) AS files FROM files_nodes WHERE folder = 0 GROUP BY owner) AS f ON f.owner = q.person
		LEFT JOIN (SELECT n.owner AS owner, sum(v.size) AS bytes FROM files_versions AS v JOIN files_nodes AS n ON n.id = v.node GROUP BY n.owner) AS v ON v.owner = q.person
		WHERE q.used <> COALESCE(f.bytes, 0) + COALESCE(v.bytes, 0) OR q.files <> COALESCE(f.files, 0) LIMIT 1`
)

// Rekey wraps all data keys anew with the house's present key, so that an earlier one
// can go.
func (s *System) Rekey(ctx context.Context) (packs int64, err error) {
	packs, err = s.n.CAS.Rekey(ctx)
	if err != nil {
		return packs, fmt.Errorf("rekey: %w", err)
	}
	s.n.Log.Info("data keys were wrapped anew", "packs", packs)
	return packs, nil
}
