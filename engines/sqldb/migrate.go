package sqldb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/jackc/pgx/v5"

	"plumb/base/errs"
	"plumb/engines/sqldb/internal/sqltext"
)

const (
	migrationTable = `CREATE TABLE IF NOT EXISTS sqldb_migrations (
	name TEXT NOT NULL, file TEXT NOT NULL, sha TEXT NOT NULL, at BIGINT NOT NULL,
	PRIMARY KEY (name, file))`
	migrationsDone = `SELECT file, sha FROM sqldb_migrations WHERE name = $1`
	migrationDone  = `INSERT INTO sqldb_migrations (name, file, sha, at) VALUES ($1, $2, $3, $4)`

	// migrationLock is any number that no other program uses for its
	// advisory locks: the letters "plumb".
	migrationLock = 0x706c756d62
)

// Migrate brings the tables of one room or engine up to date: the files
// schema/*.sql that were not yet applied, in the order of their names, all in
// one transaction. It is safe for several processes to call at once.
//
// The files speak PostgreSQL's words BIGINT, TEXT, BYTEA and DOUBLE PRECISION;
// SQLite gets its own words for them, and STRICT tables. A file whose name
// ends in .postgres.sql or .sqlite.sql is for that database only.
//
// Errors: Conflict when an applied file's text has changed, or when the data
// was written by a newer version, which has files that schema lacks.
func (db *DB) Migrate(ctx context.Context, name string, schema fs.FS) error {
	files, err := db.migrations(schema)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", name, err)
	}
	fn := func(ctx context.Context, tx *Tx) error { return db.migrate(ctx, tx, name, files) }
	if db.pool == nil {
		err = db.groups.do(ctx, fn)
	} else {
		// Read committed: whoever waited for the lock must see what its
		// holder did, not the snapshot from before.
		err = pgx.BeginTxFunc(ctx, db.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(pg pgx.Tx) error {
			if _, err := pg.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(migrationLock)); err != nil {
				return fromDriver(err)
			}
			return call(ctx, &Tx{pg: pg}, fn)
		})
	}
	if err != nil {
		return fmt.Errorf("migrate %s: %w", name, classify(err))
	}
	return nil
}

type migration struct {
	file, text, sha string
}

// migrations reads the files for this kind of database, in order.
func (db *DB) migrations(schema fs.FS) ([]migration, error) {
	names, err := fs.Glob(schema, "schema/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no files schema/*.sql")
	}
	others := ".postgres.sql"
	if db.Postgres() {
		others = ".sqlite.sql"
	}
	var files []migration
	for _, n := range names {
		if strings.HasSuffix(n, others) {
			continue
		}
		text, err := fs.ReadFile(schema, n)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		files = append(files, migration{path.Base(n), string(text), hex.EncodeToString(sum[:])})
	}
	return files, nil
}

func (db *DB) migrate(ctx context.Context, tx *Tx, name string, files []migration) error {
	if err := db.apply(ctx, tx, migrationTable); err != nil {
		return err
	}
	done, err := applied(ctx, tx, name)
	if err != nil {
		return err
	}
	for _, f := range files {
		sha, was := done[f.file]
		delete(done, f.file)
		if was && sha != f.sha {
			return errs.New(errs.Conflict, "%s of %s was changed after it was applied: add a new file instead", f.file, name)
		}
		if was {
			continue
		}
		for i, q := range sqltext.Split(f.text) {
			if err := db.apply(ctx, tx, q); err != nil {
				return fmt.Errorf("%s, statement %d: %w", f.file, i+1, err)
			}
		}
		if _, err := tx.Exec(ctx, migrationDone, name, f.file, f.sha, db.opts.Clock.Now().UnixMicro()); err != nil {
			return err
		}
	}
	for file := range done {
		return errs.New(errs.Conflict, "the data of %s is of a newer version: %s is applied, and this program does not know it", name, file)
	}
	return nil
}

func (db *DB) apply(ctx context.Context, tx *Tx, q string) error {
	if !db.Postgres() {
		q = sqltext.ToSQLite(q)
	}
	_, err := tx.Exec(ctx, q)
	return err
}

func applied(ctx context.Context, tx *Tx, name string) (map[string]string, error) {
	rows, err := tx.Query(ctx, migrationsDone, name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	done := map[string]string{}
	for rows.Next() {
		var file, sha string
		if err := rows.Scan(&file, &sha); err != nil {
			return nil, err
		}
		done[file] = sha
	}
	return done, rows.Err()
}
