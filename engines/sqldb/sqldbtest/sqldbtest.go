// Package sqldbtest gives tests a fresh database of each kind.
//
//	func TestEnrol(t *testing.T) {
//		sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
//			...
//		})
//	}
//
// The test runs on SQLite and on PostgreSQL, and every fn that it gives to
// Read, Write or Batch runs twice (sqldb.Options.RunTwice): a fn that may not
// run twice fails here rather than on a busy day.
//
// PostgreSQL is a throw-away cluster, started for this test process as an
// unprivileged user and ended with it whatever happens. PLUMB_TEST_POSTGRES
// names another server instead, where databases will be made and dropped.
// Without PostgreSQL its half of a test skips on a laptop, and fails where CI
// is set.
package sqldbtest

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"plumb/base/ids"
	"plumb/engines/sqldb"
)

// The kinds of database.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// Kinds lists them, for a benchmark's loop.
func Kinds() []string { return []string{SQLite, Postgres} }

// Each runs fn as a subtest on a fresh database of each kind, every
// transaction twice.
func Each(t *testing.T, fn func(t *testing.T, db *sqldb.DB)) {
	EachWith(t, sqldb.Options{RunTwice: true}, fn)
}

// EachWith is Each with options of the caller's.
func EachWith(t *testing.T, opts sqldb.Options, fn func(t *testing.T, db *sqldb.DB)) {
	for _, kind := range Kinds() {
		t.Run(kind, func(t *testing.T) { fn(t, Open(t, kind, opts)) })
	}
}

// Open opens a fresh database and closes it with the test.
func Open(tb testing.TB, kind string, opts sqldb.Options) *sqldb.DB {
	tb.Helper()
	db, err := sqldb.Open(context.Background(), URL(tb, kind), opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

// URL makes a fresh, empty database and returns its address; it is dropped
// with the test.
func URL(tb testing.TB, kind string) string {
	tb.Helper()
	if kind == SQLite {
		return "sqlite:" + filepath.Join(tb.TempDir(), "plumb.db")
	}
	server := os.Getenv("PLUMB_TEST_POSTGRES")
	if server == "" {
		server = shared(tb)
	}
	return database(tb, server)
}

// database makes a database on server, as a copy of the server's template.
func database(tb testing.TB, server string) string {
	tb.Helper()
	u, err := url.Parse(server)
	if err != nil {
		tb.Fatal(err)
	}
	name := "plumb_" + ids.Hash(ids.Token())[:16]
	if err := admin(server, "CREATE DATABASE "+name); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := admin(server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Error(err)
		}
	})
	u.Path = "/" + name
	return u.String()
}

func admin(server, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}
