package sqldb_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"plumb/base/errs"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

func TestTheQueueIsBounded(t *testing.T) {
	doors(t, sqldb.Options{Queue: 3, Writers: 2, Groups: 1}, func(t *testing.T, db *sqldb.DB, write func(context.Context, sqldb.Fn) error) {
		in, out := make(chan bool), make(chan bool)
		var once sync.Once
		var wg sync.WaitGroup
		wg.Go(func() {
			write(bg, func(context.Context, *sqldb.Tx) error {
				once.Do(func() { close(in) })
				<-out
				return nil
			})
		})
		<-in
		before := db.Stats()
		for i := range 3 {
			wg.Go(func() {
				if err := write(bg, put(int64(i))); err != nil {
					t.Errorf("in the queue: %v", err)
				}
			})
		}
		for db.Queued() < 3 {
			runtime.Gosched()
		}
		if err := write(bg, put(9)); !errs.Is(err, errs.Busy) || errs.RetryAfter(err) == 0 {
			t.Errorf("the fourth: %v", err)
		}
		close(out)
		wg.Wait()
		has(t, db, 0, 1, 2)
		after := db.Stats()
		if after.Refused-before.Refused != 1 || after.Writes-before.Writes != 4 || after.Queued != 0 {
			t.Errorf("from %+v to %+v", before, after)
		}
	})
}

func TestCloseRefusesWhoWaits(t *testing.T) {
	for _, kind := range sqldbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			db, err := sqldb.Open(bg, sqldbtest.URL(t, kind), sqldb.Options{})
			must(t, err)
			must(t, db.Write(bg, statements(schema)))
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() {
					if err := db.Batch(bg, put(int64(i))); err != nil && !errors.Is(err, sqldb.ErrClosed) {
						t.Error(err)
					}
				})
			}
			must(t, db.Close())
			wg.Wait()
			if err := db.Batch(bg, put(99)); !errors.Is(err, sqldb.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
	}
}

func TestTypes(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		must(t, db.Migrate(bg, "types", files("0001.sql", `CREATE TABLE v (i BIGINT, s TEXT, b BYTEA, f DOUBLE PRECISION)`)))
		must(t, db.Write(bg, func(ctx context.Context, tx *sqldb.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO v (i, s, b, f) VALUES ($1, $2, $3, $4)`, int64(1)<<53, "ü\n", []byte{0, 255}, 0.1); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `INSERT INTO v (i, s, b, f) VALUES ($1, $2, $3, $4)`, nil, nil, nil, nil)
			return err
		}))
		must(t, db.Read(bg, func(ctx context.Context, tx *sqldb.Tx) error {
			var i int64
			var s string
			var b []byte
			var f float64
			if err := tx.QueryRow(ctx, `SELECT i, s, b, f FROM v WHERE i IS NOT NULL`).Scan(&i, &s, &b, &f); err != nil {
				return err
			}
			if i != 1<<53 || s != "ü\n" || string(b) != "\x00\xff" || f != 0.1 {
				t.Errorf("read %v %q %v %v", i, s, b, f)
			}
			var pi *int64
			var ps *string
			var pf *float64
			if err := tx.QueryRow(ctx, `SELECT i, s, b, f FROM v WHERE i IS NULL`).Scan(&pi, &ps, &b, &pf); err != nil {
				return err
			}
			if pi != nil || ps != nil || b != nil || pf != nil {
				t.Errorf("read %v %v %v %v for NULL", pi, ps, b, pf)
			}
			var sum int64
			var mean float64
			return tx.QueryRow(ctx, `SELECT CAST(sum(i) AS BIGINT), avg(f) FROM v`).Scan(&sum, &mean)
		}))
		// A value of the wrong type is refused by both.
		err := db.Write(bg, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO v (i) VALUES ($1)`, "twelve")
			return err
		})
		if err == nil {
			t.Error("a text in a BIGINT was taken")
		}
	})
}

func TestSizeStatsPing(t *testing.T) {
	sqldbtest.EachWith(t, sqldb.Options{}, func(t *testing.T, db *sqldb.DB) {
		must(t, db.Ping(bg))
		must(t, db.Write(bg, statements(schema)))
		must(t, db.Batch(bg, put(1)))
		n, err := db.Size(bg)
		if err != nil || n < 4096 {
			t.Errorf("size %d, %v", n, err)
		}
		s := db.Stats()
		if s.Commits != 2 || s.Writes != 2 || s.GroupSize.Mean() != 1 || s.CommitTime.Count != 2 || s.CommitTime.Mean() <= 0 {
			t.Errorf("%+v", s)
		}
		if last := len(s.GroupSize.Counts) - 1; s.GroupSize.Counts[0] != 2 || s.GroupSize.Counts[last] != 2 || s.GroupSize.Bounds[last] != 512 {
			t.Errorf("histogram %+v", s.GroupSize)
		}
	})
}
