package upload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"plumb/engines/jobs"
	"plumb/engines/sqldb"
)

// sweepMost is how many uploads one look takes.
const sweepMost = 100

// Work lists the engine's background job: it takes up endings that a dead process left,
// ends what expired, and gives back its pieces.
func (e *Engine) Work() []jobs.Work {
	return []jobs.Work{{
		Kind: "upload." + e.n.Realm, Every: time.Minute, Unique: true, Max: 1, Timeout: time.Hour, Tries: 1,
		Run: func(ctx context.Context, _ []byte) error { return e.Sweep(ctx) },
	}}
}

// Sweep does all of the job's work that is due now.
func (e *Engine) Sweep(ctx context.Context) error {
	return errors.Join(e.takeUp(ctx), e.repeat(ctx, "end expired uploads", lapseSQL, e.o.Keep), e.giveBack(ctx), e.repeat(ctx, "forget uploads", forgetSQL, 0))
}

// look lists up to sweepMost uploads.
func (e *Engine) look(ctx context.Context, q string, args ...any) (all []*row, err error) {
	err = e.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		all, err = list(ctx, tx, q, args...)
		return err
	})
	return all, err
}

// takeUp brings whole uploads to their end that nobody is at.
func (e *Engine) takeUp(ctx context.Context) error {
	all, err := e.look(ctx, fullSQL, e.n.Realm, e.n.Clock.Now().UnixMicro(), int64(sweepMost))
	if err != nil {
		return fmt.Errorf("take up whole uploads: %w", err)
	}
	for _, r := range all {
		lease, err := e.take(ctx, r, r.Length)
		if err == nil {
			err = e.ended(ctx, r, lease) // a failure is noted there, with a time to try again
		}
		if err != nil && ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// repeat runs a statement that changes up to sweepMost rows until none is left.
func (e *Engine) repeat(ctx context.Context, what, statement string, keep time.Duration) error {
	for {
		now := e.n.Clock.Now()
		args := []any{e.n.Realm, now.UnixMicro(), int64(sweepMost)}
		if keep != 0 {
			args = append(args, now.Add(keep).UnixMicro())
		}
		var n int64
		err := e.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			n, err = tx.Exec(ctx, statement, args...)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if n < sweepMost {
			return nil
		}
	}
}

// giveBack drops the pieces of what ended.
func (e *Engine) giveBack(ctx context.Context) error {
	for {
		all, err := e.look(ctx, leftSQL, e.n.Realm, int64(sweepMost))
		if err != nil {
			return fmt.Errorf("look for pieces of ended uploads: %w", err)
		}
		for _, r := range all {
			if err := e.dropAll(ctx, r.ID); err != nil {
				return fmt.Errorf("give back the pieces of upload %s: %w", shorten(r.ID), err)
			}
		}
		if len(all) < sweepMost {
			return nil
		}
	}
}
