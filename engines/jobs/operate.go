package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// Count is how many jobs of a kind are in a state.
type Count struct {
	Kind  string
	State string // see States
	N     int64
}

// States lists the states that a job can be in.
func States() []string {
	return []string{"available", "scheduled", "running", "retryable", "completed", "cancelled", "discarded", "pending"}
}

// Counts returns how many jobs there are, by kind and state.
func (q *Queue) Counts(ctx context.Context) ([]Count, error) {
	var counts []Count
	err := q.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		counts = counts[:0]
		rows, err := tx.Query(ctx, countJobs)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var c Count
			if err := rows.Scan(&c.Kind, &c.State, &c.N); err != nil {
				return err
			}
			counts = append(counts, c)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("count the jobs: %w", err)
	}
	return counts, nil
}

// Job is one job, for the operations page.
type Job struct {
	ID        int64
	Kind      string
	State     string
	Payload   []byte // JSON
	Try, Most int    // tries so far, and at most
	Created   time.Time
	Scheduled time.Time // when it runs, or ran, at the earliest
	Finished  time.Time // zero while unfinished
	LastError string    // of the last failed try; "" when none failed
}

// Filter narrows List; an empty field matches all.
type Filter struct {
	Kind  string
	State string
}

// List returns up to limit (1 to 1,000) jobs, newest first.
func (q *Queue) List(ctx context.Context, f Filter, limit int) ([]Job, error) {
	if err := q.ready(); err != nil {
		return nil, err
	}
	p := river.NewJobListParams().First(min(max(limit, 1), 1000)).OrderBy(river.JobListOrderByID, river.SortOrderDesc)
	if f.Kind != "" && !kindFits(f.Kind) {
		return nil, errs.New(errs.Invalid, "%.70q is not a kind of job", f.Kind)
	}
	if f.Kind != "" {
		p = p.Kinds(f.Kind)
	}
	if f.State != "" {
		p = p.States(rivertype.JobState(f.State))
	}
	list, err := q.client().JobList(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("list the jobs: %w", err)
	}
	out := make([]Job, 0, len(list.Jobs))
	for _, row := range list.Jobs {
		out = append(out, job(row))
	}
	return out, nil
}

func job(row *rivertype.JobRow) Job {
	j := Job{ID: row.ID, Kind: row.Kind, State: string(row.State), Payload: row.EncodedArgs,
		Try: row.Attempt, Most: row.MaxAttempts, Created: row.CreatedAt, Scheduled: row.ScheduledAt}
	if row.FinalizedAt != nil {
		j.Finished = *row.FinalizedAt
	}
	if n := len(row.Errors); n > 0 {
		j.LastError = row.Errors[n-1].Error
	}
	return j
}

func (q *Queue) ready() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.make()
}

// Retry runs a job again, now. NotFound when there is none of this id; one
// that runs is left alone.
func (q *Queue) Retry(ctx context.Context, id int64) error {
	if err := q.ready(); err != nil {
		return err
	}
	_, err := q.client().JobRetry(ctx, id)
	return found(id, err)
}

// Cancel ends a job for good; one that runs sees its ctx end. NotFound when
// there is none of this id; one that is finished is left alone.
func (q *Queue) Cancel(ctx context.Context, id int64) error {
	if err := q.ready(); err != nil {
		return err
	}
	_, err := q.client().JobCancel(ctx, id)
	return found(id, err)
}

func found(id int64, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, river.ErrNotFound):
		return errs.New(errs.NotFound, "there is no job %d", id)
	}
	return fmt.Errorf("job %d: %w", id, err)
}
