package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

var bg = context.Background()

type note struct {
	N int `json:"n"`
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// open returns a queue of the works, not yet started.
func open(tb testing.TB, db *sqldb.DB, c Config, works ...Work) *Queue {
	tb.Helper()
	c.Poll = 20 * time.Millisecond
	q, err := Open(bg, db, c)
	must(tb, err)
	must(tb, q.Register(works...))
	return q
}

func start(tb testing.TB, q *Queue) {
	tb.Helper()
	must(tb, q.Start(bg))
	tb.Cleanup(func() { must(tb, q.Stop(bg)) })
}

func add(tb testing.TB, db *sqldb.DB, q *Queue, kind string, payload any, opts ...Option) {
	tb.Helper()
	must(tb, db.Write(bg, func(ctx context.Context, tx *sqldb.Tx) error { return q.Add(ctx, tx, kind, payload, opts...) }))
}

// await waits until ok, for as long as a busy machine may need.
func await(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for range 3000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	tb.Fatalf("waited in vain: %s", what)
}

// seen collects what ran.
type seen struct {
	mu sync.Mutex
	ns []int
}

func (s *seen) run(_ context.Context, payload []byte) error {
	var n note
	if err := json.Unmarshal(payload, &n); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ns = append(s.ns, n.N)
	return nil
}

func (s *seen) sorted() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.ns))
}

func TestAJobExistsOnlyIfItsTransactionCommits(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		var s seen
		q := open(t, db, Config{}, Work{Kind: "test.note", Run: s.run})
		boom := errors.New("boom")
		var wg sync.WaitGroup
		for n := range 40 {
			wg.Go(func() { // together, so that they share groups
				err := db.Batch(bg, func(ctx context.Context, tx *sqldb.Tx) error {
					if err := q.Add(ctx, tx, "test.note", note{n}); err != nil {
						return err
					}
					if n%4 == 0 {
						return boom
					}
					return nil
				})
				if (n%4 == 0) != errors.Is(err, boom) {
					t.Errorf("%d: %v", n, err)
				}
			})
		}
		wg.Wait()
		start(t, q)
		await(t, "30 jobs", func() bool { return len(s.sorted()) >= 30 })
		want := []int{}
		for n := range 40 {
			if n%4 != 0 {
				want = append(want, n)
			}
		}
		if got := s.sorted(); !slices.Equal(got, want) {
			t.Errorf("ran %v", got)
		}
	})
}

func TestACancelledCallerSparesTheGroup(t *testing.T) {
	sqldbtest.EachWith(t, sqldb.Options{}, func(t *testing.T, db *sqldb.DB) {
		var s seen
		q := open(t, db, Config{}, Work{Kind: "test.note", Run: s.run})
		var wg sync.WaitGroup
		var kept atomic.Int64
		for n := range 60 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(bg)
				defer cancel()
				err := db.Batch(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
					if n%3 == 0 {
						cancel() // before River's insert
					}
					return q.Add(ctx, tx, "test.note", note{n})
				})
				if err == nil {
					kept.Add(1)
				} else if !errors.Is(err, context.Canceled) || n%3 != 0 {
					t.Errorf("%d: %v", n, err)
				}
			})
		}
		wg.Wait()
		list, err := q.List(bg, Filter{Kind: "test.note"}, 1000)
		if err != nil || int64(len(list)) != kept.Load() || kept.Load() < 40 {
			t.Errorf("%d jobs for %d kept transactions, %v", len(list), kept.Load(), err)
		}
	})
}

func TestUniqueAndDelayed(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		var s seen
		q := open(t, db, Config{}, Work{Kind: "test.note", Unique: true, Run: s.run})
		for range 3 {
			add(t, db, q, "test.note", note{1})
			add(t, db, q, "test.note", note{2})
		}
		add(t, db, q, "test.note", note{3}, At(time.Now().Add(time.Hour)))
		counts, err := q.Counts(bg)
		must(t, err)
		want := []Count{{"test.note", "available", 2}, {"test.note", "scheduled", 1}}
		if !slices.Equal(counts, want) {
			t.Fatalf("counts %v", counts)
		}
		start(t, q)
		await(t, "two jobs", func() bool { return len(s.sorted()) >= 2 })
		await(t, "both completed", func() bool {
			done, err := q.List(bg, Filter{State: "completed"}, 10)
			must(t, err)
			return len(done) == 2
		})
		add(t, db, q, "test.note", note{1}) // finished: no hindrance
		await(t, "the third", func() bool { return slices.Equal(s.sorted(), []int{1, 1, 2}) })
	})
}

func TestPeriodicOnceInAPeriod(t *testing.T) {
	sqldbtest.EachWith(t, sqldb.Options{}, func(t *testing.T, db *sqldb.DB) {
		var ran atomic.Int64
		w := Work{Kind: "test.sweep", Every: 24 * time.Hour, Run: func(context.Context, []byte) error { ran.Add(1); return nil }}
		day := func() int { return time.Now().UTC().YearDay() }
		before := day()
		for range 2 { // a restart does not run it again
			q := open(t, db, Config{}, w)
			must(t, q.Start(bg))
			await(t, "a run", func() bool { return ran.Load() > 0 })
			time.Sleep(1500 * time.Millisecond) // River staggers its start by up to a second
			must(t, q.Stop(bg))
		}
		if n := ran.Load(); n != 1 && day() == before {
			t.Errorf("ran %d times in a day", n)
		}
	})
}

func TestFailuresRetriesAndOperations(t *testing.T) {
	sqldbtest.EachWith(t, sqldb.Options{}, func(t *testing.T, db *sqldb.DB) {
		var broken atomic.Bool
		broken.Store(true)
		var snoozed atomic.Int64
		q := open(t, db, Config{},
			Work{Kind: "test.fails", Run: func(context.Context, []byte) error {
				if broken.Load() {
					return errors.New("no luck")
				}
				return nil
			}},
			Work{Kind: "test.panics", Tries: 1, Run: func(context.Context, []byte) error { panic("oh") }},
			Work{Kind: "test.invalid", Run: func(context.Context, []byte) error { return errs.New(errs.Invalid, "never") }},
			Work{Kind: "test.busy", Tries: 1, Run: func(context.Context, []byte) error {
				if snoozed.Add(1) == 1 {
					return errs.TryAfter(time.Second, "later")
				}
				return nil
			}})
		kinds := []string{"test.fails", "test.panics", "test.invalid", "test.busy"}
		for _, kind := range kinds {
			add(t, db, q, kind, nil)
		}
		start(t, q)
		state := func(kind string) Job {
			list, err := q.List(bg, Filter{Kind: kind}, 10)
			must(t, err)
			if len(list) != 1 {
				t.Fatalf("%s: %d jobs", kind, len(list))
			}
			return list[0]
		}
		for kind, want := range map[string]string{"test.fails": "retryable", "test.panics": "discarded", "test.invalid": "cancelled", "test.busy": "completed"} {
			await(t, kind+" "+want, func() bool {
				s := state(kind).State
				return s == want || want == "retryable" && s == "available"
			})
		}
		if j := state("test.panics"); j.LastError != "oh" || j.Try != 1 || j.Finished.IsZero() {
			t.Errorf("panicked job: %+v", j)
		}
		broken.Store(false)
		must(t, q.Retry(bg, state("test.fails").ID))
		await(t, "the retry", func() bool { return state("test.fails").State == "completed" })
		if err := errors.Join(q.Retry(bg, 1<<40)); !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
		if err := q.Cancel(bg, 1<<40); !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
	})
}

func TestCancelEndsARunningJob(t *testing.T) {
	sqldbtest.EachWith(t, sqldb.Options{}, func(t *testing.T, db *sqldb.DB) {
		running := make(chan bool, 1)
		q := open(t, db, Config{}, Work{Kind: "test.long", Max: 1, Timeout: time.Hour, Run: func(ctx context.Context, _ []byte) error {
			running <- true
			<-ctx.Done()
			return ctx.Err()
		}})
		add(t, db, q, "test.long", nil)
		start(t, q)
		<-running
		list, err := q.List(bg, Filter{State: "running"}, 10)
		must(t, err)
		if len(list) != 1 {
			t.Fatalf("%d run", len(list))
		}
		must(t, q.Cancel(bg, list[0].ID))
		await(t, "the cancelled job", func() bool {
			list, err := q.List(bg, Filter{State: "cancelled"}, 10)
			must(t, err)
			return len(list) == 1
		})
	})
}

func TestMaxHoldsAndStopDrains(t *testing.T) {
	sqldbtest.EachWith(t, sqldb.Options{}, func(t *testing.T, db *sqldb.DB) {
		var now, most, done atomic.Int64
		q := open(t, db, Config{}, Work{Kind: "test.some", Max: 2, Run: func(context.Context, []byte) error {
			n := now.Add(1)
			defer now.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(30 * time.Millisecond)
			done.Add(1)
			return nil
		}})
		for n := range 10 {
			add(t, db, q, "test.some", note{n})
		}
		must(t, q.Start(bg))
		await(t, "some", func() bool { return now.Load() > 0 })
		must(t, q.Stop(bg))
		if now.Load() != 0 {
			t.Error("stopped while a job ran")
		}
		if most.Load() > 2 {
			t.Errorf("%d at once", most.Load())
		}
		completed, err := q.List(bg, Filter{State: "completed"}, 100)
		if err != nil || int64(len(completed)) != done.Load() {
			t.Errorf("%d ran, %d completed, %v", done.Load(), len(completed), err)
		}
	})
}

func TestAJobThatDrainsMayAddAnother(t *testing.T) {
	sqldbtest.EachWith(t, sqldb.Options{}, func(t *testing.T, db *sqldb.DB) {
		running, stopping := make(chan bool), make(chan bool)
		var q *Queue
		q = open(t, db, Config{},
			Work{Kind: "test.first", Run: func(ctx context.Context, _ []byte) error {
				running <- true
				<-stopping
				time.Sleep(100 * time.Millisecond) // Stop has begun by then
				return db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return q.Add(ctx, tx, "test.next", nil) })
			}},
			Work{Kind: "test.next", Run: func(context.Context, []byte) error { return nil }})
		add(t, db, q, "test.first", nil)
		must(t, q.Start(bg))
		<-running
		close(stopping)
		must(t, q.Stop(bg))
		counts, err := q.Counts(bg)
		want := []Count{{"test.first", "completed", 1}, {"test.next", "available", 1}}
		if err != nil || !slices.Equal(counts, want) {
			t.Errorf("%v, %v", counts, err)
		}
	})
}

func TestStopEndsWhatDoesNotDrain(t *testing.T) {
	sqldbtest.EachWith(t, sqldb.Options{}, func(t *testing.T, db *sqldb.DB) {
		running := make(chan bool, 1)
		q := open(t, db, Config{}, Work{Kind: "test.long", Timeout: time.Hour, Run: func(ctx context.Context, _ []byte) error {
			running <- true
			<-ctx.Done()
			return ctx.Err()
		}})
		add(t, db, q, "test.long", nil)
		must(t, q.Start(bg))
		<-running
		ctx, cancel := context.WithTimeout(bg, 50*time.Millisecond)
		defer cancel()
		must(t, q.Stop(ctx))
		list, err := q.List(bg, Filter{}, 10)
		if err != nil || len(list) != 1 || list[0].State == "running" || list[0].State == "completed" {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

func TestRegisterRefuses(t *testing.T) {
	run := func(context.Context, []byte) error { return nil }
	db := sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{})
	q := open(t, db, Config{}, Work{Kind: "test.note", Run: run})
	for _, w := range []Work{{Kind: "", Run: run}, {Kind: "Bad Kind", Run: run}, {Kind: "test.none"}, {Kind: "test.note", Run: run}, {Kind: "test.often", Run: run, Every: time.Millisecond}} {
		if err := q.Register(w); err == nil {
			t.Errorf("%+v was taken", w)
		}
	}
	err := db.Write(bg, func(ctx context.Context, tx *sqldb.Tx) error { return q.Add(ctx, tx, "test.unknown", nil) })
	if err == nil {
		t.Error("an unknown kind was taken")
	}
	err = db.Write(bg, func(ctx context.Context, tx *sqldb.Tx) error { return q.Add(ctx, tx, "test.note", 7) })
	if err == nil {
		t.Error("a payload that is no object was taken")
	}
	if err := q.Register(Work{Kind: "test.late", Run: run}); err == nil {
		t.Error("registered after Add")
	}
}

func ExampleQueue() {
	dir, err := os.MkdirTemp("", "plumb-jobs-")
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
	greeted := make(chan string)
	q, err := Open(bg, db, Config{})
	if err == nil {
		err = q.Register(Work{Kind: "hello.greet", Run: func(_ context.Context, payload []byte) error {
			greeted <- string(payload)
			return nil
		}})
	}
	if err == nil {
		err = q.Start(bg)
	}
	if err == nil {
		err = db.Write(bg, func(ctx context.Context, tx *sqldb.Tx) error {
			return q.Add(ctx, tx, "hello.greet", map[string]string{"name": "Ada"})
		})
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-greeted)
	fmt.Println(q.Stop(bg))
	// Output:
	// {"name":"Ada"}
	// <nil>
}
