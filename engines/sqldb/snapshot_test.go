package sqldb_test

import (
	"context"
	"testing"
	"time"

	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// Who asks for a write after another was answered sees what that one wrote, whichever
// group it joins.
func TestAWriteSeesWhatWasCommittedBefore(t *testing.T) {
	sqldbtest.EachWith(t, sqldb.Options{GroupTime: time.Second}, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		do := func(lane string, fn sqldb.Fn) {
			t.Helper()
			if err := db.BatchBy(ctx, lane, fn); err != nil {
				t.Error(err)
			}
		}
		count := func(ctx context.Context, tx *sqldb.Tx) (n int64) {
			if err := tx.QueryRow(ctx, `SELECT count(*) FROM seen`).Scan(&n); err != nil {
				t.Error(err)
			}
			return n
		}
		do("a", func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, `CREATE TABLE seen (id BIGINT)`)
			return err
		})
		for _, other := range []string{"b", "c", "d", "e"} { // some run in another loop than a
			open, committed, seen := make(chan bool), make(chan bool), make(chan int64)
			before := int64(0)
			go do("a", func(ctx context.Context, tx *sqldb.Tx) error {
				before = count(ctx, tx) // the group's snapshot
				open <- true
				select {
				case <-committed:
				case <-time.After(300 * time.Millisecond): // other is in this very loop
				}
				time.Sleep(20 * time.Millisecond) // the one below is queued by now
				return nil
			})
			<-open
			done := make(chan bool)
			go func() {
				do(other, func(ctx context.Context, tx *sqldb.Tx) error {
					_, err := tx.Exec(ctx, `INSERT INTO seen VALUES (1)`)
					return err
				})
				go do("a", func(ctx context.Context, tx *sqldb.Tx) error { seen <- count(ctx, tx); return nil })
				close(done)
			}()
			select {
			case <-done:
				close(committed)
			case <-time.After(400 * time.Millisecond):
			}
			if got := <-seen; got != before+1 {
				t.Errorf("lane %s: %d rows are seen after %d were committed", other, got, before+1)
			}
		}
	})
}
