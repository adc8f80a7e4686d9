// Package jobs queues work inside the transaction that causes it, on River.
//
//	q, err := jobs.Open(ctx, db, jobs.Config{Log: log})
//	err = q.Register(jobs.Work{Kind: "photos.thumbnail", Max: 2, Timeout: time.Minute, Run: s.thumbnail})
//	err = q.Start(ctx)
//	...
//	err = db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
//		...
//		return q.Add(ctx, tx, "photos.thumbnail", Thumbnail{Photo: id})
//	})
//	...
//	err = q.Stop(ctx) // drains
//
// What holds: a job exists if and only if the transaction that added it
// committed. It runs at least once, also after a crash: a Run must be
// harmless when repeated. A failed run is tried again later, with growing
// pauses, until its tries are used up; then it is kept as discarded for a week.
//
// On SQLite River works on the writer's own connection, since on one of its
// own it would starve; one process owns such a database, so that what it left
// running when it died is taken up again at the next start. On PostgreSQL any
// number of processes share the queue, and a job of a dead one is rescued
// after its timeout.
package jobs

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// Work is one kind of job, as a value that a room shows the house.
type Work struct {
	// Kind names it: the room, a dot, a verb ("vending.sweep"). 1 to 64 of
	// a-z 0-9 . _ -
	Kind string
	// Run does one job. The payload is the JSON that Add was given.
	//
	// An error of kind Invalid or NotFound is final. A Busy error that says
	// when to come again is no failed try, and the job comes again then. Any
	// other error is tried again.
	Run func(ctx context.Context, payload []byte) error
	// Max is how many run at once in this process, beside all others; 0
	// shares the process's Config.Workers.
	Max int
	// Timeout ends Run's ctx: one minute when 0.
	Timeout time.Duration
	// Tries is how often a job is tried before it is discarded: 25 when 0,
	// which takes three weeks.
	Tries int
	// Every adds a job at start and then once in each such period, counted
	// from midnight UTC and by one of the processes; at least a second, at
	// most a week. 0: not periodic.
	Every time.Duration
	// Unique adds nothing while a job of the same kind and payload waits or
	// runs.
	Unique bool
}

// Config is what a Queue needs.
type Config struct {
	Log *slog.Logger // discarded when nil
	// Workers is how many jobs without a Max of their own run at once: 8
	// when 0. A negative number adds jobs and runs none.
	Workers int
	// Poll is how soon a job is seen at the latest: 100 ms when 0, and 1 s on
	// PostgreSQL, which tells of new ones besides.
	Poll time.Duration
	// RescueAfter is when a job that still runs is taken for one of a dead
	// process and tried again: 90 s when 0. A kind with a longer Timeout is
	// given that. PostgreSQL only looks every 30 s; on SQLite the next start
	// takes up such jobs at once.
	RescueAfter time.Duration
	// Clock dates the jobs: the system's when nil.
	Clock clock.Clock
}

// client is what the two instances of River's generic client have in common.
type client interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	StopAndCancel(ctx context.Context) error
	JobList(ctx context.Context, params *river.JobListParams) (*river.JobListResult, error)
	JobRetry(ctx context.Context, id int64) (*rivertype.JobRow, error)
	JobCancel(ctx context.Context, id int64) (*rivertype.JobRow, error)
}

// Queue adds and runs jobs. It is safe for concurrent use.
type Queue struct {
	db     *sqldb.DB
	config Config

	mu    sync.Mutex
	works map[string]Work
	sq    *river.Client[*sql.Tx] // made at the first use; the other stays nil
	pg    *river.Client[pgx.Tx]
	runs  bool
}

// Open brings River's tables up to date.
func Open(ctx context.Context, db *sqldb.DB, c Config) (*Queue, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Log = slog.New(quiet{c.Log.Handler()})
	c.Workers = cmp.Or(c.Workers, 8)
	if c.Poll == 0 {
		c.Poll = 100 * time.Millisecond
		if db.Postgres() {
			c.Poll = time.Second
		}
	}
	c.RescueAfter = cmp.Or(c.RescueAfter, 90*time.Second)
	if err := tables(ctx, db, c.Log); err != nil {
		return nil, fmt.Errorf("open the jobs: %w", err)
	}
	return &Queue{db: db, config: c, works: map[string]Work{}}, nil
}

// Register declares kinds of work; all of them before Start and the first Add.
func (q *Queue) Register(works ...Work) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.made() {
		return errors.New("jobs: Register after Start or Add")
	}
	for _, w := range works {
		_, twice := q.works[w.Kind]
		switch {
		case !kindFits(w.Kind):
			return fmt.Errorf("jobs: the kind %q must be 1 to 64 of a-z 0-9 . _ - and start with a letter", w.Kind)
		case w.Run == nil:
			return fmt.Errorf("jobs: %s has no Run", w.Kind)
		case twice:
			return fmt.Errorf("jobs: %s is registered twice", w.Kind)
		case w.Every < 0 || w.Every > 0 && w.Every < time.Second || w.Every > 7*24*time.Hour:
			return fmt.Errorf("jobs: %s cannot run every %v", w.Kind, w.Every)
		}
		q.works[w.Kind] = w
	}
	return nil
}

func kindFits(kind string) bool {
	if len(kind) < 2 || len(kind) > 64 || kind[0] < 'a' || kind[0] > 'z' {
		return false
	}
	return strings.Trim(kind, "abcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

// An Option changes one job.
type Option func(*river.InsertOpts)

// At delays a job until t.
func At(t time.Time) Option { return func(o *river.InsertOpts) { o.ScheduledAt = t } }

// Add queues a job that exists only if tx commits. The payload becomes JSON
// and must be a struct or a map, or nil.
func (q *Queue) Add(ctx context.Context, tx *sqldb.Tx, kind string, payload any, opts ...Option) error {
	q.mu.Lock()
	err := q.make()
	w, known := q.works[kind]
	q.mu.Unlock()
	if err != nil {
		return err
	}
	if !known {
		return fmt.Errorf("jobs: nobody registered %q", kind)
	}
	a, err := newArgs(kind, payload)
	if err != nil {
		return err
	}
	o := w.insert()
	for _, option := range opts {
		option(o)
	}
	// A caller that goes away must not take the group's transaction with it.
	ctx = tx.Context(ctx)
	if q.pg != nil {
		_, err = q.pg.InsertTx(ctx, tx.Pgx(), a, o)
	} else {
		_, err = q.sq.InsertTx(ctx, tx.SQL(), a, o)
	}
	if err != nil {
		return tx.Fail(fmt.Errorf("add the job %s: %w", kind, err))
	}
	return nil
}

// args carries any payload under its kind's name.
type args struct {
	kind    string
	payload json.RawMessage
}

func newArgs(kind string, payload any) (args, error) {
	if payload == nil {
		return args{kind, json.RawMessage("{}")}, nil
	}
	text, err := json.Marshal(payload)
	if err != nil {
		return args{}, fmt.Errorf("add the job %s: %w", kind, err)
	}
	if text[0] != '{' { // what River's uniqueness needs
		return args{}, fmt.Errorf("add the job %s: the payload must be a JSON object, not %T", kind, payload)
	}
	return args{kind, text}, nil
}

// Kind is for River.
func (a args) Kind() string { return a.kind }

// MarshalJSON is for River.
func (a args) MarshalJSON() ([]byte, error) { return a.payload, nil }

// UnmarshalJSON is for River.
func (a *args) UnmarshalJSON(text []byte) error {
	a.payload = append(a.payload[:0], text...)
	return nil
}

// insert returns River's options for a job of this kind.
func (w Work) insert() *river.InsertOpts {
	o := &river.InsertOpts{MaxAttempts: w.Tries, Queue: w.queue()}
	if w.Unique {
		o.UniqueOpts = river.UniqueOpts{ByArgs: true, ByState: unfinished()}
	}
	return o
}

// queue: a kind with a limit has a queue of its own.
func (w Work) queue() string {
	if w.Max == 0 {
		return river.QueueDefault
	}
	return strings.Map(func(r rune) rune {
		if r == '.' || r == '-' {
			return '_'
		}
		return r
	}, w.Kind)
}

func unfinished() []rivertype.JobState {
	return []rivertype.JobState{rivertype.JobStateAvailable, rivertype.JobStatePending,
		rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled}
}

// worker runs one kind.
type worker struct {
	river.WorkerDefaults[args]
	work Work
}

// Timeout is for River.
func (w *worker) Timeout(*river.Job[args]) time.Duration { return w.work.Timeout }

// Work is for River.
func (w *worker) Work(ctx context.Context, job *river.Job[args]) error {
	err := w.work.Run(ctx, job.Args.payload)
	switch after := errs.RetryAfter(err); {
	case err == nil:
		return nil
	case errs.Is(err, errs.Invalid) || errs.Is(err, errs.NotFound):
		return river.JobCancel(err)
	case after > 0:
		return river.JobSnooze(after)
	}
	return err
}
