package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"plumb/base/clock"
	"plumb/engines/sqldb"
)

// tables brings River's tables up to date.
func tables(ctx context.Context, db *sqldb.DB, log *slog.Logger) error {
	if !db.Postgres() {
		return migrate(ctx, riversqlite.New(db.Writer()), log)
	}
	// Several processes may start at once, and River takes no lock.
	conn, err := db.Pool().Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(tablesLock)); err != nil {
		return err
	}
	return errors.Join(migrate(ctx, riverpgxv5.New(db.Pool()), log), unlock(ctx, conn))
}

// tablesLock is any number that nobody else locks: the letters "river".
const tablesLock = 0x7269766572

func unlock(ctx context.Context, conn *pgxpool.Conn) error {
	_, err := conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, int64(tablesLock))
	return err
}

func migrate[T any](ctx context.Context, driver riverdriver.Driver[T], log *slog.Logger) error {
	m, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: log})
	if err != nil {
		return err
	}
	_, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

func (q *Queue) made() bool { return q.sq != nil || q.pg != nil }

// make makes River's client, which must know all kinds. The caller holds q.mu.
func (q *Queue) make() (err error) {
	if q.made() {
		return nil
	}
	if q.db.Postgres() {
		q.pg, err = river.NewClient(riverpgxv5.New(q.db.Pool()), q.river())
	} else {
		q.sq, err = river.NewClient(riversqlite.New(q.db.Writer()), q.river())
	}
	if err != nil {
		return fmt.Errorf("open the jobs: %w", err)
	}
	return nil
}

func (q *Queue) client() client {
	if q.pg != nil {
		return q.pg
	}
	return q.sq
}

func (q *Queue) river() *river.Config {
	const day = 24 * time.Hour
	workers := river.NewWorkers()
	c := &river.Config{
		Logger:  q.config.Log,
		Workers: workers,
		// A job that another version of the program added waits for it.
		FetchOnlyKnownKinds:         true,
		FetchCooldown:               min(20*time.Millisecond, q.config.Poll),
		FetchPollInterval:           q.config.Poll,
		RescueStuckJobsAfter:        q.config.RescueAfter,
		CompletedJobRetentionPeriod: day,
		// SQLite has no LISTEN; River's stand-in for it writes a row for each
		// job and reads every 50 ms, which polling for the jobs themselves
		// does better.
		PollOnly: !q.db.Postgres(),
	}
	if c.RescueStuckJobsAfter <= time.Minute {
		c.JobTimeout = c.RescueStuckJobsAfter / 2 // River wants it below
	}
	if stopped, ok := q.config.Clock.(*clock.Manual); ok {
		c.Test.Time = riverTime{stopped}
	}
	queues := map[string]river.QueueConfig{}
	if q.config.Workers > 0 {
		queues[river.QueueDefault] = river.QueueConfig{MaxWorkers: q.config.Workers}
	}
	for _, w := range q.works {
		river.AddWorkerArgs(workers, args{kind: w.Kind}, &worker{work: w})
		if w.Max > 0 && q.config.Workers > 0 {
			queues[w.queue()] = river.QueueConfig{MaxWorkers: w.Max}
		}
		if w.Every > 0 && q.config.Workers > 0 {
			c.PeriodicJobs = append(c.PeriodicJobs, w.periodic())
			// What ran in a period is known as long as it is kept.
			c.CompletedJobRetentionPeriod = max(c.CompletedJobRetentionPeriod, 2*w.Every)
		}
	}
	if len(queues) > 0 {
		c.Queues = queues
	}
	return c
}

func (w Work) periodic() *river.PeriodicJob {
	construct := func() (river.JobArgs, *river.InsertOpts) {
		o := w.insert()
		o.UniqueOpts = river.UniqueOpts{ByPeriod: w.Every}
		return args{w.Kind, []byte("{}")}, o
	}
	return river.NewPeriodicJob(river.PeriodicInterval(w.Every), construct, &river.PeriodicJobOpts{RunOnStart: true})
}

// riverTime hands a manual clock to River.
type riverTime struct{ c *clock.Manual }

// Now is for River.
func (t riverTime) Now() time.Time { return t.c.Now() }

// NowOrNil is for River.
func (t riverTime) NowOrNil() *time.Time { now := t.c.Now(); return &now }

const (
	// Statements on River's own tables, the same on both databases.
	countJobs = `SELECT kind, CAST(state AS TEXT), count(*) FROM river_job GROUP BY kind, state ORDER BY kind, state`

	// SQLite only: whoever ran or led is gone, since one process owns the file.
	takeUpRunning = `UPDATE river_job SET state = 'available' WHERE state = 'running' AND attempt < max_attempts`
	forgetLeader  = `DELETE FROM river_leader`
)

// Start begins to run jobs. ctx bounds the start only: Stop ends it.
func (q *Queue) Start(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.make(); err != nil {
		return err
	}
	if q.config.Workers < 0 || len(q.works) == 0 || q.runs {
		return nil // River refuses to start with nothing to do
	}
	if !q.db.Postgres() {
		err := q.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			if _, err := tx.Exec(ctx, takeUpRunning); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, forgetLeader)
			return err
		})
		if err != nil {
			return fmt.Errorf("start the jobs: %w", err)
		}
	}
	if err := q.client().Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start the jobs: %w", err)
	}
	q.runs = true
	return nil
}

// Stop takes no new jobs and waits for those that run. When ctx ends first,
// their own ctx ends too, and they have 5 s to return; they are tried again
// at the next start.
func (q *Queue) Stop(ctx context.Context) error {
	q.mu.Lock()
	ran := q.runs
	q.runs = false
	q.mu.Unlock() // the jobs that drain may add others
	if !ran {
		return nil
	}
	if q.client().Stop(ctx) == nil {
		return nil
	}
	hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := q.client().StopAndCancel(hard); err != nil {
		return fmt.Errorf("stop the jobs: %w", err)
	}
	return nil
}
