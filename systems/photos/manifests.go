package photos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"plumb/engines/jobs"
	"plumb/engines/sqldb"
	"plumb/systems/photos/internal/shard"
	"plumb/systems/photos/internal/vault"
)

// A manifest holds all rows of a person, in as many buckets as an original has copies.
// With it and the copies their photos, albums and links can be made again without any
// database. It is written some minutes after a change: what a person changed since is in
// the database alone (uploads are not lost: each copy carries its row).
const (
	manifestsEvery = time.Minute
	// A manifest is written that long after the one before, and a second more for each so
	// many rows: it is written whole.
	manifestAge  = 5 * time.Minute
	manifestRows = 500
)

const (
	dueManifestsSQL = `SELECT o.owner, o.rev FROM photos_owners AS o LEFT JOIN photos_manifests AS m ON m.owner = o.owner
		WHERE o.state = 'here' AND o.rev > COALESCE(m.upto, 0) AND COALESCE(m.at + $2 + m.rows * $3, 0) <= $1 AND o.owner > $4 ORDER BY o.owner LIMIT $5`
	noteManifestSQL = `INSERT INTO photos_manifests (owner, upto, rows, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (owner) DO UPDATE SET upto = excluded.upto, rows = excluded.rows, at = excluded.at`
)

// safetyWork lists the jobs that keep copies and manifests as they should be.
func (s *System) safetyWork() []jobs.Work {
	return []jobs.Work{s.repairWork(), {
		Kind: "photos.manifests", Every: manifestsEvery, Unique: true, Max: 1, Timeout: 10 * time.Minute, Tries: 3,
		Run: func(ctx context.Context, _ []byte) error { return s.writeManifests(ctx) },
	}, {
		Kind: "photos.owed", Every: time.Minute, Unique: true, Max: 1, Timeout: 10 * time.Minute, Tries: 3,
		Run: func(ctx context.Context, _ []byte) error { return s.payOwed(ctx) },
	}}
}

// writeManifests writes those that are due.
func (s *System) writeManifests(ctx context.Context) error {
	if s.c.Copies < 2 {
		return nil
	}
	for _, at := range s.set.Shards() {
		for after := ""; ; {
			due, err := s.dueManifests(ctx, at, after)
			if err != nil {
				return fmt.Errorf("look for changed people at shard %s: %w", at.Name, err)
			}
			for _, owner := range due {
				after = owner
				if err := s.writeManifest(ctx, at, owner); err != nil {
					if ctx.Err() != nil {
						return err
					}
					s.n.Log.Warn("a manifest was not written", "owner", owner, "shard", at.Name, "error", err)
				}
			}
			if len(due) == 0 {
				break
			}
		}
	}
	return nil
}

const forgetManifestsSQL = `DELETE FROM photos_manifests WHERE owner IN (SELECT owner FROM photos_manifests ORDER BY owner LIMIT $1)`

// renewManifests has everybody's manifest written again, at once: a bucket in which some
// lay is lost, or leaves, and nobody notes which.
func (s *System) renewManifests(ctx context.Context) error {
	const batch = 500
	for _, at := range s.set.Shards() {
		for n := int64(batch); n == batch; {
			err := at.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
				n, err = tx.Exec(ctx, forgetManifestsSQL, int64(batch))
				return err
			})
			if err != nil {
				return fmt.Errorf("forget the manifests of shard %s: %w", at.Name, err)
			}
		}
	}
	return nil
}

func (s *System) dueManifests(ctx context.Context, at *shard.Shard, after string) (due []string, err error) {
	now := s.now()
	err = at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		due = nil
		rows, err := tx.Query(ctx, dueManifestsSQL, now.UnixMicro(), manifestAge.Microseconds(), int64(time.Second/time.Microsecond/manifestRows), after, int64(100))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var owner string
			var rev int64
			if err := rows.Scan(&owner, &rev); err != nil {
				return err
			}
			due = append(due, owner)
		}
		return rows.Err()
	})
	return due, err
}

// writeManifest writes one, and notes at the owner's shard that it did.
func (s *System) writeManifest(ctx context.Context, at *shard.Shard, owner string) error {
	m, rows, err := s.manifestOf(ctx, owner)
	if err != nil {
		return err
	}
	if _, err := s.vault.PutManifest(ctx, m, at.No, s.c.Copies); err != nil {
		return err
	}
	return at.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, noteManifestSQL, owner, m.Rev, rows, s.now().UnixMicro())
		return err
	})
}

// manifestOf writes all rows of a person down.
func (s *System) manifestOf(ctx context.Context, owner string) (m vault.Manifest, rows int64, err error) {
	var all bytes.Buffer
	m.Owner = owner
	for range 5 { // a row that changes meanwhile comes with the next export
		upto, err := s.set.Export(ctx, owner, m.Rev, func(row shard.Row) error {
			line, err := json.Marshal(row)
			if err != nil {
				return err
			}
			rows++
			all.Write(line)
			return all.WriteByte('\n')
		})
		if err != nil {
			return m, rows, fmt.Errorf("read the rows of %s: %w", owner, err)
		}
		if upto <= m.Rev {
			break
		}
		m.Rev = upto
	}
	m.Rows = all.Bytes()
	return m, rows, nil
}

const (
	owedSQL = `SELECT ` + photoColumns + ` FROM photos_photos AS p WHERE p.owed > $1 AND p.gone = 0` + hereSQL + `
	AND (p.owner, p.id) > ($2, $3) ORDER BY p.owner, p.id LIMIT $4`
	// What was copied to a shard before its owner moved there lies beside its original.
	besideSQL = `SELECT ` + photoColumns + ` FROM photos_photos AS p WHERE p.copies = $1 AND p.gone = 0` + hereSQL + `
	AND (p.owner, p.id) > ($2, $3) ORDER BY p.owner, p.id LIMIT $4`
	nextCopiesSQL = `SELECT p.copies FROM photos_photos AS p WHERE p.copies > $1 AND p.gone = 0 ORDER BY p.copies LIMIT 1`
)

// payOwed makes copies that are missing: their bucket was away, there were too few, or
// their owner moved to where they are.
func (s *System) payOwed(ctx context.Context) error {
	takers := 0
	for _, p := range s.places() {
		if p.Takes {
			takers++
		}
	}
	// What there are no buckets for stays owed.
	out := max(int64(s.c.Copies-takers), 0)
	if takers < 2 || out >= int64(s.c.Copies-1) {
		return nil
	}
	var r Repair // counts only
	for _, at := range s.set.Shards() {
		if err := s.recopyAll(ctx, &r, at, 0, owedSQL, out); err != nil {
			return fmt.Errorf("copy what is owed at shard %s: %w", at.Name, err)
		}
		beside, err := copiesBeside(ctx, at)
		for _, copies := range beside {
			if err == nil {
				err = s.recopyAll(ctx, &r, at, at.No, besideSQL, copies)
			}
		}
		if err != nil {
			return fmt.Errorf("copy elsewhere what lies beside its original at shard %s: %w", at.Name, err)
		}
	}
	if r.Fixed > 0 {
		s.n.Log.Info("copies that were owed were made", "photos", r.Fixed, "bytes", r.Bytes)
	}
	return nil
}

// recopyAll copies the photos of a query on one shard; but is a shard whose copies do not
// count, or 0.
func (s *System) recopyAll(ctx context.Context, r *Repair, at *shard.Shard, but int64, query string, arg any) error {
	owner, id := "", ""
	for {
		var list []Photo
		err := at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			list, err = photos(ctx, tx, query, arg, owner, id, int64(64))
			return err
		})
		if err == nil {
			err = besides(ctx, list, func(ctx context.Context, p Photo) error { return s.recopy(ctx, r, p, but) })
		}
		if err != nil || len(list) == 0 {
			return err
		}
		owner, id = list[len(list)-1].Owner, list[len(list)-1].ID
	}
}

// copiesBeside returns what rows of a shard say of their copies, where the shard itself is
// among them. Each different text costs one step in an index.
func copiesBeside(ctx context.Context, at *shard.Shard) (list []string, err error) {
	err = at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		for last := ""; ; {
			err := tx.QueryRow(ctx, nextCopiesSQL, last).Scan(&last)
			if errors.Is(err, sqldb.ErrNoRows) {
				return nil
			}
			if err != nil {
				return err
			}
			if slices.Contains(holders(last), at.No) {
				list = append(list, last)
			}
		}
	})
	return list, err
}
