package sqldb_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"plumb/base/errs"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// files makes a schema folder of names and texts.
func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m["schema/"+pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

func TestMigrate(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		one := files("0001_a.sql", "-- a; comment\nCREATE TABLE a (id BIGINT PRIMARY KEY, s TEXT NOT NULL DEFAULT ';');\n\nINSERT INTO a (id) VALUES (1);\n",
			"0001_only.sqlite.sql", `CREATE TABLE lite (id BIGINT);`, "0001_only.postgres.sql", `CREATE TABLE gres (id BIGINT)`)
		two := files("0001_a.sql", string(one["schema/0001_a.sql"].Data), "0002_b.sql", "ALTER TABLE a ADD COLUMN b BYTEA",
			"0001_only.sqlite.sql", `CREATE TABLE lite (id BIGINT);`, "0001_only.postgres.sql", `CREATE TABLE gres (id BIGINT)`)
		for _, schema := range []fstest.MapFS{one, one, two, two} {
			must(t, db.Migrate(bg, "room", schema))
		}
		must(t, db.Migrate(bg, "other", files("0001_a.sql", "CREATE TABLE other (id BIGINT)"))) // names are apart
		only := "lite"
		if db.Postgres() {
			only = "gres"
		}
		must(t, db.Read(bg, func(ctx context.Context, tx *sqldb.Tx) error {
			var n, none int64
			if err := tx.QueryRow(ctx, `SELECT count(*) FROM a WHERE b IS NULL AND s = ';'`).Scan(&n); err != nil || n != 1 {
				t.Errorf("%d rows, %v", n, err)
			}
			return tx.QueryRow(ctx, `SELECT count(*) FROM `+only).Scan(&none)
		}))

		if err := db.Migrate(bg, "room", one); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "newer version") {
			t.Errorf("data of a newer version: %v", err)
		}
		two["schema/0001_a.sql"].Data = append(two["schema/0001_a.sql"].Data, ' ')
		if err := db.Migrate(bg, "room", two); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "0001_a.sql") {
			t.Errorf("a changed file: %v", err)
		}
		// A file that fails leaves nothing of its migration.
		bad := files("0001.sql", "CREATE TABLE half (id BIGINT);", "0002.sql", "CREATE TABLE half (id BIGINT);")
		if err := db.Migrate(bg, "bad", bad); err == nil || !strings.Contains(err.Error(), "0002.sql, statement 1") {
			t.Errorf("a failing file: %v", err)
		}
		must(t, db.Migrate(bg, "good", files("0001.sql", "CREATE TABLE half (id BIGINT);")))
		if err := db.Migrate(bg, "none", fstest.MapFS{}); err == nil {
			t.Error("no files, and no error")
		}
	})
}

func TestMigrateFromManyProcesses(t *testing.T) {
	for _, kind := range sqldbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			url := sqldbtest.URL(t, kind)
			schema := files("0001.sql", "CREATE TABLE m (id BIGINT PRIMARY KEY)", "0002.sql", "INSERT INTO m (id) VALUES (1)")
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					db, err := sqldb.Open(bg, url, sqldb.Options{})
					if err == nil {
						err = db.Migrate(bg, "m", schema)
						db.Close()
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		})
	}
}

// Statements that were prepared before a migration, here or by another process, are
// prepared anew, in whichever way they are run.
func TestMigrateUnderPreparedStatements(t *testing.T) {
	url := sqldbtest.URL(t, sqldbtest.Postgres)
	db, err := sqldb.Open(bg, url, sqldb.Options{Readers: 3, Writers: 4})
	must(t, err)
	defer db.Close()
	other, err := sqldb.Open(bg, url, sqldb.Options{})
	must(t, err)
	defer other.Close()
	one := files("0001.sql", "CREATE TABLE wide (id BIGINT PRIMARY KEY, v BIGINT NOT NULL); INSERT INTO wide (id, v) VALUES (1, 7);")
	must(t, db.Migrate(bg, "wide", one))
	fn := func(want string) sqldb.Fn {
		return func(ctx context.Context, tx *sqldb.Tx) error {
			var v any
			rows, err := tx.Query(ctx, `SELECT v FROM wide WHERE id = $1`, int64(1))
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				if want == "7" {
					var n int64
					err, v = rows.Scan(&n), n
				} else {
					var s string
					err, v = rows.Scan(&s), s
				}
				if err != nil {
					return err
				}
			}
			if err := rows.Err(); err != nil {
				return fmt.Errorf("wrapped by a room: %w", err)
			}
			if got := fmt.Sprint(v); got != want {
				t.Errorf("read %s, want %s", got, want)
			}
			return nil
		}
	}
	ways := map[string]func(context.Context, sqldb.Fn) error{"read": db.Read, "write": db.Write, "batch": db.Batch}
	spread := func(want string) { // over all connections
		var wg sync.WaitGroup
		for name, way := range ways {
			for range 40 {
				wg.Go(func() {
					if err := way(bg, fn(want)); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				})
			}
		}
		wg.Wait()
	}
	spread("7")
	one["schema/0002.sql"] = files("x", "ALTER TABLE wide ALTER COLUMN v TYPE TEXT USING v || 'th'")["schema/x"]
	must(t, other.Migrate(bg, "wide", one))
	spread("7th")
}
