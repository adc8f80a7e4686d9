package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

var (
	bg      = context.Background()
	errBoom = errors.New("boom")
)

const schema = `CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)`

// doors runs fn with Write and with Batch, on both databases; RunTwice is off
// where a test counts runs or times.
func doors(t *testing.T, opts sqldb.Options, fn func(t *testing.T, db *sqldb.DB, write func(context.Context, sqldb.Fn) error)) {
	sqldbtest.EachWith(t, opts, func(t *testing.T, db *sqldb.DB) {
		must(t, db.Write(bg, statements(schema, `CREATE TABLE child (id BIGINT PRIMARY KEY, t BIGINT NOT NULL REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)`)))
		for name, write := range map[string]func(context.Context, sqldb.Fn) error{"write": db.Write, "batch": db.Batch} {
			t.Run(name, func(t *testing.T) {
				must(t, db.Write(bg, statements(`DELETE FROM child`, `DELETE FROM t`)))
				fn(t, db, write)
			})
		}
	})
}

func put(id int64) sqldb.Fn {
	return func(ctx context.Context, tx *sqldb.Tx) error {
		// Placeholders out of order: they are bound by number on both.
		_, err := tx.Exec(ctx, `INSERT INTO t (n, id) VALUES ($2, $1)`, id, 100+id)
		return err
	}
}

// stored returns the ids in t, and checks that their n fits.
func stored(tb testing.TB, db *sqldb.DB) (ids []int64) {
	tb.Helper()
	must(tb, db.Read(bg, func(ctx context.Context, tx *sqldb.Tx) error {
		ids = nil
		rows, err := tx.Query(ctx, `SELECT id, n FROM t ORDER BY id`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var id, n int64
			if err := rows.Scan(&id, &n); err != nil {
				return err
			}
			if n != id+100 {
				tb.Errorf("row %d holds %d", id, n)
			}
			ids = append(ids, id)
		}
		return rows.Err()
	}))
	return ids
}

func has(tb testing.TB, db *sqldb.DB, want ...int64) {
	tb.Helper()
	if got := stored(tb, db); fmt.Sprint(got) != fmt.Sprint(want) && len(got)+len(want) > 0 {
		tb.Errorf("rows %v, want %v", got, want)
	}
}

// together runs fns so that they meet in one group: a first fn holds the
// writers until all of them wait.
func together(tb testing.TB, db *sqldb.DB, fns ...sqldb.Fn) []error {
	tb.Helper()
	out := make([]error, len(fns))
	var wg sync.WaitGroup
	full := make(chan bool)
	var holders sync.WaitGroup
	for range 2 { // as many as PostgreSQL's group workers
		holders.Add(1)
		var once sync.Once
		wg.Go(func() {
			err := db.Batch(bg, func(context.Context, *sqldb.Tx) error {
				once.Do(holders.Done)
				<-full
				return nil
			})
			if err != nil {
				tb.Error(err)
			}
		})
		if !db.Postgres() {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	holders.Wait()
	for i, fn := range fns {
		wg.Go(func() { out[i] = db.Batch(bg, fn) })
		for n := i + 1; db.Queued() < n; {
			runtime.Gosched()
		}
	}
	close(full)
	wg.Wait()
	return out
}

func TestAFailureUndoesOnlyItself(t *testing.T) {
	for name, bad := range map[string]sqldb.Fn{
		"error": func(ctx context.Context, tx *sqldb.Tx) error { return errors.Join(put(2)(ctx, tx), errBoom) },
		"panic": func(ctx context.Context, tx *sqldb.Tx) error { put(2)(ctx, tx); panic("boom") },
		"duplicate": func(ctx context.Context, tx *sqldb.Tx) error {
			if err := put(2)(ctx, tx); err != nil {
				return err
			}
			return put(2)(ctx, tx)
		},
		"syntax": func(ctx context.Context, tx *sqldb.Tx) error {
			put(2)(ctx, tx)
			_, err := tx.Exec(ctx, `NONSENSE`)
			return err
		},
		"swallowed": func(ctx context.Context, tx *sqldb.Tx) error { put(2)(ctx, tx); put(2)(ctx, tx); return nil },
		"rows left open": func(ctx context.Context, tx *sqldb.Tx) error {
			put(2)(ctx, tx)
			if _, err := tx.Query(ctx, `SELECT id FROM t`); err != nil {
				return err
			}
			return errBoom
		},
	} {
		t.Run(name, func(t *testing.T) {
			sqldbtest.EachWith(t, sqldb.Options{}, func(t *testing.T, db *sqldb.DB) {
				must(t, db.Write(bg, statements(schema)))
				for range 3 { // the first group runs without savepoints, those after it with
					got := together(t, db, put(1), bad, put(3), bad, put(4))
					for i, err := range got {
						if (err != nil) != (i%2 == 1) {
							t.Errorf("fn %d: %v", i, err)
						}
					}
					has(t, db, 1, 3, 4)
					must(t, db.Write(bg, statements(`DELETE FROM t`)))
				}
			})
		})
	}
}

func TestAFailedCommitFailsTheGroup(t *testing.T) {
	sqldbtest.EachWith(t, sqldb.Options{Groups: 1}, func(t *testing.T, db *sqldb.DB) {
		must(t, db.Write(bg, statements(schema, `CREATE TABLE child (id BIGINT PRIMARY KEY, t BIGINT NOT NULL REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)`)))
		in := make(chan bool)
		var once sync.Once
		var innocent, guilty error
		var wg sync.WaitGroup
		wg.Go(func() {
			// It holds the loop until both are queued: they are in one group, this one's or the next.
			_ = db.Batch(bg, func(ctx context.Context, tx *sqldb.Tx) error {
				once.Do(func() {
					close(in)
					for db.Queued() < 2 {
						runtime.Gosched()
					}
				})
				return nil
			})
		})
		<-in
		wg.Go(func() { innocent = db.Batch(bg, put(1)) })
		wg.Go(func() { guilty = db.Batch(bg, statements(`INSERT INTO child (id, t) VALUES (1, 999)`)) })
		wg.Wait()
		if innocent == nil || guilty == nil {
			t.Errorf("acknowledged without a commit: %v, %v", innocent, guilty)
		}
		has(t, db)
		must(t, db.Batch(bg, put(7))) // and on it goes
		has(t, db, 7)
	})
}

func TestASpoiltTransactionTakesNothingMore(t *testing.T) {
	doors(t, sqldb.Options{}, func(t *testing.T, db *sqldb.DB, write func(context.Context, sqldb.Fn) error) {
		must(t, write(bg, put(1)))
		err := write(bg, func(ctx context.Context, tx *sqldb.Tx) error {
			if err := put(1)(ctx, tx); !sqldb.IsUnique(err) {
				t.Errorf("a duplicate: %v", err)
			}
			if err := put(2)(ctx, tx); !errors.Is(err, sqldb.ErrSpoilt) {
				t.Errorf("after a failed statement: %v", err)
			}
			return nil
		})
		if !errors.Is(err, sqldb.ErrSpoilt) || !sqldb.IsUnique(err) {
			t.Errorf("the fn: %v", err)
		}
		has(t, db, 1)
		// The way to expect a duplicate.
		must(t, write(bg, func(ctx context.Context, tx *sqldb.Tx) error {
			n, err := tx.Exec(ctx, `INSERT INTO t (id, n) VALUES (1, 0) ON CONFLICT (id) DO NOTHING`)
			if err != nil || n != 0 {
				t.Errorf("on conflict: %d, %v", n, err)
			}
			return put(2)(ctx, tx)
		}))
		has(t, db, 1, 2)
	})
}

func TestRules(t *testing.T) {
	doors(t, sqldb.Options{}, func(t *testing.T, db *sqldb.DB, write func(context.Context, sqldb.Fn) error) {
		err := write(bg, func(ctx context.Context, tx *sqldb.Tx) error { return write(ctx, put(1)) })
		if !errors.Is(err, sqldb.ErrNested) {
			t.Errorf("a Write in a Write: %v", err)
		}
		must(t, write(bg, put(1)))
		must(t, write(bg, put(2)))
		err = write(bg, func(ctx context.Context, tx *sqldb.Tx) error {
			rows, err := tx.Query(ctx, `SELECT id FROM t ORDER BY id`)
			if err != nil {
				return err
			}
			defer rows.Close()
			rows.Next()
			return put(3)(ctx, tx)
		})
		if !errors.Is(err, sqldb.ErrRowsOpen) {
			t.Errorf("a statement while rows are open: %v", err)
		}
		must(t, db.Read(bg, func(ctx context.Context, tx *sqldb.Tx) error {
			var n int64
			if err := tx.QueryRow(ctx, `SELECT n FROM t WHERE id = $1`, 99).Scan(&n); !errors.Is(err, sqldb.ErrNoRows) {
				t.Errorf("no row: %v", err)
			}
			return tx.QueryRow(ctx, `SELECT n FROM t WHERE id = $1`, 1).Scan(&n) // which spoils nothing
		}))
		if err := db.Read(bg, put(3)); err == nil {
			t.Error("a Read wrote")
		}
		err = write(bg, func(context.Context, *sqldb.Tx) error { panic("boom") })
		if !errors.Is(err, sqldb.ErrPanic) || !strings.Contains(err.Error(), "trap_test.go") || errs.Message(err) != "" {
			t.Errorf("a panic: %v", err)
		}
		kinded := errs.New(errs.Denied, "not you")
		if err := write(bg, func(context.Context, *sqldb.Tx) error { return kinded }); !errs.Is(err, errs.Denied) {
			t.Errorf("a room's own error: %v", err)
		}
		has(t, db, 1, 2)
	})
}

// A caller that goes away while it waits is let go at once; while it runs, it
// is stopped between statements, and never in the middle of one.
func TestCancel(t *testing.T) {
	doors(t, sqldb.Options{Groups: 1}, func(t *testing.T, db *sqldb.DB, write func(context.Context, sqldb.Fn) error) {
		ctx, cancel := context.WithCancel(bg)
		err := write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			if err := put(1)(ctx, tx); err != nil {
				return err
			}
			cancel()
			return put(2)(ctx, tx)
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled between statements: %v", err)
		}
		if err := write(ctx, put(3)); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled before: %v", err)
		}
		has(t, db)
	})
	sqldbtest.EachWith(t, sqldb.Options{Groups: 1}, func(t *testing.T, db *sqldb.DB) {
		must(t, db.Write(bg, statements(schema)))
		in, out := make(chan bool), make(chan bool)
		var once sync.Once
		var wg sync.WaitGroup
		wg.Go(func() {
			err := db.Batch(bg, func(ctx context.Context, tx *sqldb.Tx) error {
				once.Do(func() { close(in) })
				<-out
				return put(1)(ctx, tx)
			})
			if err != nil {
				t.Errorf("the innocent: %v", err)
			}
		})
		<-in
		ctx, cancel := context.WithCancel(bg)
		wg.Go(func() {
			for db.Queued() == 0 {
				runtime.Gosched()
			}
			cancel()
		})
		if err := db.Batch(ctx, put(2)); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled in the queue: %v", err)
		}
		close(out) // had the one in the queue waited for it, it would never have come here
		wg.Wait()
		has(t, db, 1)
	})
}

// A caller that goes away in mid-statement: the statement is finished, and
// the group lives.
func TestCancelInMidStatement(t *testing.T) {
	sqldbtest.EachWith(t, sqldb.Options{}, func(t *testing.T, db *sqldb.DB) {
		must(t, db.Write(bg, statements(schema)))
		long := `INSERT INTO t (id, n) WITH RECURSIVE c(x) AS (SELECT 1000 UNION ALL SELECT x+1 FROM c WHERE x < 100000) SELECT x, x+100 FROM c`
		slow := func(_ context.Context, tx *sqldb.Tx) error {
			ctx, cancel := context.WithTimeout(bg, 5*time.Millisecond)
			defer cancel()
			_, err := tx.Exec(ctx, long)
			return err
		}
		for i, err := range together(t, db, put(2), slow, put(3)) {
			if err != nil {
				t.Errorf("fn %d: %v", i, err)
			}
		}
		must(t, db.Write(bg, statements(`DELETE FROM t WHERE id >= 1000`)))
		has(t, db, 2, 3)
	})
}

// A server that does not answer is away for who waits for it.
func TestAnEndlessStatementHasALimit(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.Postgres, sqldb.Options{Limit: 200 * time.Millisecond})
	must(t, db.Write(bg, statements(schema)))
	err := db.Batch(bg, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `SELECT pg_sleep(600)`)
		return err
	})
	if !errs.Is(err, errs.Busy) || !errors.Is(err, sqldb.ErrAway) || errors.Is(err, sqldb.ErrUncertain) {
		t.Errorf("%v", err)
	}
	for errs.Is(err, errs.Busy) { // a busy machine may not keep the limit at once
		err = db.Batch(bg, put(1))
	}
	must(t, err)
	has(t, db, 1)
}

// t.Fatal in a fn ends the goroutine that commits for everybody.
func TestAFnThatEndsItsGoroutine(t *testing.T) {
	sqldbtest.EachWith(t, sqldb.Options{}, func(t *testing.T, db *sqldb.DB) {
		must(t, db.Write(bg, statements(schema)))
		for range 5 {
			err := db.Batch(bg, func(ctx context.Context, tx *sqldb.Tx) error {
				put(1)(ctx, tx)
				runtime.Goexit()
				return nil
			})
			if err == nil {
				t.Error("acknowledged")
			}
		}
		must(t, db.Batch(bg, put(2)))
		has(t, db, 2)
	})
}

// Read-modify-write from many callers through both doors loses no update.
func TestCounters(t *testing.T) {
	sqldbtest.EachWith(t, sqldb.Options{}, func(t *testing.T, db *sqldb.DB) {
		must(t, db.Write(bg, statements(schema, `INSERT INTO t (id, n) VALUES (0, 0), (1, 0), (2, 0)`)))
		var kept [3]atomic.Int64
		var wg sync.WaitGroup
		for c := range 8 {
			wg.Go(func() {
				write := db.Write
				if c%2 == 0 {
					write = db.Batch
				}
				for i := range 25 {
					id := (c + i) % 3
					err := write(bg, func(ctx context.Context, tx *sqldb.Tx) error {
						var n int64
						if err := tx.QueryRow(ctx, `SELECT n FROM t WHERE id = $1`, int64(id)).Scan(&n); err != nil {
							return err
						}
						_, err := tx.Exec(ctx, `UPDATE t SET n = $2 WHERE id = $1`, int64(id), n+1)
						return err
					})
					switch {
					case err == nil:
						kept[id].Add(1)
					case !errs.Is(err, errs.Busy):
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		must(t, db.Read(bg, func(ctx context.Context, tx *sqldb.Tx) error {
			for id := range kept {
				var n int64
				if err := tx.QueryRow(ctx, `SELECT n FROM t WHERE id = $1`, int64(id)).Scan(&n); err != nil {
					return err
				}
				if n != kept[id].Load() {
					t.Errorf("counter %d stands at %d after %d acknowledged steps", id, n, kept[id].Load())
				}
			}
			return nil
		}))
	})
}

// TestNoText: what PostgreSQL takes for no text is the caller's fault, not ours.
// SQLite takes it, and finds nothing.
func TestNoText(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		for _, text := range []string{"a\x00b", "\xff"} {
			err := db.Read(bg, func(ctx context.Context, tx *sqldb.Tx) error {
				var n int64
				return tx.QueryRow(ctx, `SELECT count(*) FROM (SELECT 'a' AS word) t WHERE word = $1`, text).Scan(&n)
			})
			if db.Postgres() && !errs.Is(err, errs.Invalid) || !db.Postgres() && err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}
