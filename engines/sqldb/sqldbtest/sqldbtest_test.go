package sqldbtest

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

func TestEachGivesFreshDatabases(t *testing.T) {
	ctx := context.Background()
	for range 2 {
		Each(t, func(t *testing.T, db *sqldb.DB) {
			ran := 0
			err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				ran++
				_, err := tx.Exec(ctx, `CREATE TABLE fresh (id BIGINT PRIMARY KEY)`)
				return err
			})
			if err != nil || ran != 2 {
				t.Fatalf("ran %d times, %v", ran, err)
			}
		})
	}
}

func TestClusterStopsAndStarts(t *testing.T) {
	s := Cluster(t)
	s.Stop(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := sqldb.Open(ctx, s.URL(), sqldb.Options{}); !errs.Is(err, errs.Busy) || !errors.Is(err, sqldb.ErrAway) {
		t.Fatalf("a stopped server: %v", err)
	}
	s.Start(t)
	s.Kill(t)
	s.Start(t)
	db, err := sqldb.Open(ctx, s.URL(), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	dir := s.dir
	s.leash.Close() // as when this process ends
	s.wait()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the cluster's folder is still there: %v", err)
	}
}
