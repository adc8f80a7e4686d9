package sqldb_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// Callers that change the same rows in any order, many at a time: by their key they
// never wait for each other's locks, so that nothing has to be run again.
func TestBatchByNeverDeadlocks(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := context.Background()
		const keys, callers, rounds = 20, 40, 25
		err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			if _, err := tx.Exec(ctx, `CREATE TABLE counted (id TEXT PRIMARY KEY, n BIGINT NOT NULL)`); err != nil {
				return err
			}
			for k := range keys {
				if _, err := tx.Exec(ctx, `INSERT INTO counted (id, n) VALUES ($1, 0)`, fmt.Sprint("k-", k)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		before := deadlocks(t, db)
		var all sync.WaitGroup
		for c := range callers {
			all.Go(func() {
				for i := range rounds {
					key := fmt.Sprint("k-", (c*7+i*(c%2*2-1)+keys*rounds)%keys) // half of them up, half down
					err := db.BatchBy(ctx, key, func(ctx context.Context, tx *sqldb.Tx) error {
						_, err := tx.Exec(ctx, `UPDATE counted SET n = n + 1 WHERE id = $1`, key)
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		var sum int64
		err = db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, `SELECT CAST(SUM(n) AS BIGINT) FROM counted`).Scan(&sum)
		})
		if err != nil || sum != callers*rounds {
			t.Errorf("%d counted, want %d; %v", sum, callers*rounds, err)
		}
		if n := deadlocks(t, db) - before; n > 0 {
			t.Errorf("%d deadlocks", n)
		}
	})
}

// deadlocks returns how many PostgreSQL has seen in this database; 0 on SQLite,
// which has one writer.
func deadlocks(t *testing.T, db *sqldb.DB) (n int64) {
	t.Helper()
	if !strings.HasSuffix(t.Name(), "/"+sqldbtest.Postgres) {
		return 0
	}
	time.Sleep(1100 * time.Millisecond) // a connection tells its counts once a second
	err := db.Read(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
