package once

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/jobs"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

var (
	bg    = context.Background()
	start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
)

func must(tb interface {
	Helper()
	Fatal(...any)
}, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func keeper(tb testing.TB, db *sqldb.DB) *Once {
	tb.Helper()
	o, err := New(bg, db, make([]byte, 32))
	must(tb, err)
	must(tb, db.Write(bg, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE effect (id TEXT NOT NULL, n BIGINT NOT NULL)`)
		return err
	}))
	return o
}

// do sends one request whose effect is a row.
func do(db *sqldb.DB, write func(context.Context, sqldb.Fn) error, o *Once, scope, key, body string, n int64, now time.Time) (a Answer, err error) {
	err = write(bg, func(ctx context.Context, tx *sqldb.Tx) error {
		a, err = o.Do(ctx, tx, scope, key, []byte(body), time.Hour, now, func() (int, []byte, error) {
			_, err := tx.Exec(ctx, `INSERT INTO effect (id, n) VALUES ($1, $2)`, scope+"/"+key, n)
			return 201, []byte(fmt.Sprintf("answer %d", n)), err
		})
		return err
	})
	return a, err
}

func effects(tb testing.TB, db *sqldb.DB) map[string]int64 {
	tb.Helper()
	out := map[string]int64{}
	must(tb, db.Read(bg, func(ctx context.Context, tx *sqldb.Tx) error {
		clear(out)
		rows, err := tx.Query(ctx, `SELECT id, count(*) FROM effect GROUP BY id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			var n int64
			if err := rows.Scan(&id, &n); err != nil {
				return err
			}
			out[id] = n
		}
		return rows.Err()
	}))
	return out
}

func TestTheSecondGetsTheFirstsAnswer(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		o := keeper(t, db)
		first, err := do(db, db.Write, o, "a", "k", "body", 1, start)
		must(t, err)
		second, err := do(db, db.Write, o, "a", "k", "body", 2, start.Add(59*time.Minute))
		must(t, err)
		if first.Repeated || !second.Repeated || second.Status != 201 || string(second.Body) != "answer 1" {
			t.Errorf("%+v, then %+v", first, second)
		}
		if _, err := do(db, db.Write, o, "a", "k", "another", 3, start); !errs.Is(err, errs.Conflict) {
			t.Errorf("another body: %v", err)
		}
		if a, err := do(db, db.Write, o, "b", "k", "another", 4, start); err != nil || a.Repeated {
			t.Errorf("another scope: %+v, %v", a, err)
		}
		// Its time over, the key stands for nothing.
		if a, err := do(db, db.Write, o, "a", "k", "another", 5, start.Add(time.Hour)); err != nil || a.Repeated || string(a.Body) != "answer 5" {
			t.Errorf("after its time: %+v, %v", a, err)
		}
		if a, err := do(db, db.Write, o, "a", "k", "another", 6, start.Add(time.Hour+1)); err != nil || !a.Repeated || string(a.Body) != "answer 5" {
			t.Errorf("repeated after its time: %+v, %v", a, err)
		}
	})
}

func TestAFailedEffectKeepsNothing(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		o := keeper(t, db)
		boom := errors.New("boom")
		err := db.Write(bg, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := o.Do(ctx, tx, "a", "k", nil, time.Hour, start, func() (int, []byte, error) {
				_, err := tx.Exec(ctx, `INSERT INTO effect (id, n) VALUES ('x', 1)`)
				return 200, nil, errors.Join(err, boom)
			})
			return err
		})
		if !errors.Is(err, boom) || len(effects(t, db)) != 0 {
			t.Errorf("%v, effects %v", err, effects(t, db))
		}
		if a, err := do(db, db.Write, o, "a", "k", "", 1, start); err != nil || a.Repeated {
			t.Errorf("the key after a failure: %+v, %v", a, err)
		}
	})
}

func TestKeysAreChecked(t *testing.T) {
	for key, good := range map[string]bool{"": false, "a b": false, "é": false, "a\x00": false, "8e03978e-40d5-43dd-bc93-6894a57f9324": true,
		strings.Repeat("k", MaxKey): true, strings.Repeat("k", MaxKey+1): false} {
		if err := CheckKey(key); (err == nil) != good || err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("%.20q: %v", key, err)
		}
	}
	db := sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{})
	o := keeper(t, db)
	if _, err := do(db, db.Write, o, "a", "a b", "", 1, start); !errs.Is(err, errs.Invalid) {
		t.Error(err)
	}
	err := db.Write(bg, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := o.Do(ctx, tx, "a", "k", nil, time.Hour, start, func() (int, []byte, error) {
			return 200, bytes.Repeat([]byte("x"), MaxAnswer+1), nil
		})
		return err
	})
	if err == nil {
		t.Error("an answer without bounds was kept")
	}
}

// Duplicates at the same moment, through both doors: each key's effect stays
// exactly once, and all who sent it get one answer.
func TestConcurrentDuplicates(t *testing.T) {
	sqldbtest.EachWith(t, sqldb.Options{}, func(t *testing.T, db *sqldb.DB) {
		o := keeper(t, db)
		const keys, senders = 20, 12
		answers := make([][]Answer, keys)
		var mu sync.Mutex
		var wg sync.WaitGroup
		for s := range senders {
			wg.Go(func() {
				write := db.Write
				if s%2 == 0 {
					write = db.Batch
				}
				for k := range keys {
					for {
						a, err := do(db, write, o, "s", fmt.Sprint("key", k), "same", int64(s), start)
						if errs.Is(err, errs.Busy) {
							continue // as a client does
						}
						if err != nil {
							t.Errorf("key %d: %v", k, err)
						}
						mu.Lock()
						answers[k] = append(answers[k], a)
						mu.Unlock()
						break
					}
				}
			})
		}
		wg.Wait()
		for k, as := range answers {
			firsts := 0
			for _, a := range as {
				if !a.Repeated {
					firsts++
				}
				if !bytes.Equal(a.Body, as[0].Body) {
					t.Errorf("key %d: answers %q and %q", k, a.Body, as[0].Body)
				}
			}
			if firsts != 1 || len(as) != senders {
				t.Errorf("key %d: %d of %d did it", k, firsts, len(as))
			}
		}
		for id, n := range effects(t, db) {
			if n != 1 {
				t.Errorf("%s happened %d times", id, n)
			}
		}
	})
}

// TestModel sends random requests at random times and compares with a map.
func TestModel(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{RunTwice: true})
	o := keeper(t, db)
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		type entry struct {
			body, answer string
			until        time.Time
		}
		round++
		model := map[string]entry{}
		now := start
		for i := range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "minutes")) * time.Minute)
			key := fmt.Sprintf("%d-%d", round, rapid.IntRange(0, 3).Draw(t, "key"))
			body := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "body")
			if rapid.Bool().Draw(t, "sweep") {
				_, err := o.Sweep(bg, now, 100)
				must(t, err)
			}
			a, err := do(db, db.Write, o, "m", key, body, int64(i), now)
			e, known := model[key]
			switch {
			case !known || !e.until.After(now):
				if err != nil || a.Repeated {
					t.Fatalf("first: %+v, %v", a, err)
				}
				model[key] = entry{body, string(a.Body), now.Add(time.Hour)}
			case e.body != body:
				if !errs.Is(err, errs.Conflict) {
					t.Fatalf("other body: %+v, %v", a, err)
				}
			case err != nil || !a.Repeated || string(a.Body) != e.answer:
				t.Fatalf("repeat: %+v, %v, want %q", a, err, e.answer)
			}
		}
	})
}

func TestSweepForgetsOnlyTheOldInBatches(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		o := keeper(t, db)
		for i := range 7 {
			_, err := do(db, db.Write, o, "a", fmt.Sprint("k", i), "", 1, start.Add(time.Duration(i)*time.Minute))
			must(t, err)
		}
		now := start.Add(time.Hour + 4*time.Minute) // five are over
		for _, want := range []int64{3, 2, 0} {
			if n, err := o.Sweep(bg, now, 3); err != nil || n != want {
				t.Fatalf("swept %d, want %d, %v", n, want, err)
			}
		}
		if a, err := do(db, db.Write, o, "a", "k6", "", 1, now); err != nil || !a.Repeated {
			t.Errorf("a live answer was swept: %+v, %v", a, err)
		}
		// The same as a job.
		w := o.Work(clock.NewManual(start.Add(3 * time.Hour)))
		must(t, w.Run(bg, nil))
		if n, err := o.Sweep(bg, start.Add(3*time.Hour), 10); err != nil || n != 0 {
			t.Errorf("the job left %d, %v", n, err)
		}
		q, err := jobs.Open(bg, db, jobs.Config{})
		must(t, err)
		must(t, q.Register(w))
	})
}

func ExampleOnce_Do() {
	dir, err := os.MkdirTemp("", "plumb-once-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	db, err := sqldb.Open(bg, "sqlite:"+dir+"/plumb.db", sqldb.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	o, err := New(bg, db, make([]byte, 32))
	if err != nil {
		fmt.Println(err)
		return
	}
	charge := func() (int, []byte, error) {
		fmt.Println("the card is charged")
		return 201, []byte(`{"charged": 500}`), nil
	}
	for range 2 {
		err := db.Write(bg, func(ctx context.Context, tx *sqldb.Tx) error {
			a, err := o.Do(ctx, tx, "arcade/refill/card-7", "8e03978e", []byte(`{"amount": 500}`), 24*time.Hour, time.Now(), charge)
			if err == nil {
				fmt.Println(a.Status, string(a.Body), a.Repeated)
			}
			return err
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// the card is charged
	// 201 {"charged": 500} false
	// 201 {"charged": 500} true
}

func BenchmarkDo(b *testing.B) {
	for _, kind := range sqldbtest.Kinds() {
		b.Run(kind, func(b *testing.B) {
			db := sqldbtest.Open(b, kind, sqldb.Options{})
			o := keeper(b, db)
			b.SetParallelism(32)
			var mu sync.Mutex
			n := 0
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					mu.Lock()
					n++
					key := fmt.Sprint(n)
					mu.Unlock()
					if _, err := do(db, db.Batch, o, "b", key, "body", 1, start); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func TestAnotherHouseKeyIsRefusedAtStart(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		key := bytes.Repeat([]byte{1}, 32)
		if _, err := New(bg, db, key); err != nil {
			t.Fatal(err)
		}
		if _, err := New(bg, db, key); err != nil {
			t.Errorf("the same key again: %v", err)
		}
		if _, err := New(bg, db, bytes.Repeat([]byte{2}, 32)); !errs.Is(err, errs.Invalid) {
			t.Errorf("another key: %v, want a refusal", err)
		}
	})
}
