package shard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"plumb/engines/jobs"
	"plumb/engines/sqldb"
)

const (
	moveKind = "photos.move"
	tidyKind = "photos.tidy"

	// moveStretch is how long one job takes up owners, so that one whose process died is
	// soon given to another.
	moveStretch = 45 * time.Second
	// goneFor is how long the rows of what was deleted stay, for who copies only changes.
	goneFor = 24 * time.Hour
)

// Work lists the background jobs: moving, and clearing up.
func (s *Set) Work() []jobs.Work {
	return []jobs.Work{{
		Kind: moveKind, Every: 10 * time.Second, Unique: true, Max: 1, Timeout: 2 * moveStretch, Tries: 1,
		Run: func(ctx context.Context, _ []byte) error {
			_, err := s.Move(ctx, moveStretch)
			return err
		},
	}, {
		Kind: tidyKind, Every: 10 * time.Minute, Unique: true, Max: 1, Timeout: time.Hour, Tries: 1,
		Run: func(ctx context.Context, _ []byte) error { return s.tidyAll(ctx) },
	}}
}

// addJob wakes the mover of some process, with the transaction.
func (s *Set) addJob(ctx context.Context, tx *sqldb.Tx) error {
	if s.n.Jobs == nil {
		return nil
	}
	return s.n.Jobs.Add(ctx, tx, moveKind, nil)
}

// tidyAll erases what was moved away, removes what was deleted, and forgets old answers.
// The contents that nothing refers to then are the room's to collect. What fails on one
// shard keeps nobody from the others.
func (s *Set) tidyAll(ctx context.Context) error {
	_, err := s.Tidy(ctx)
	all := []error{err}
	now := s.n.Clock.Now()
	for _, at := range s.Shards() {
		if _, err := s.Sweep(ctx, at, now.Add(-goneFor).UnixMicro()); err != nil {
			all = append(all, err)
		}
		for n := int64(eraseRows); n == eraseRows; {
			var err error
			if n, err = at.Once.Sweep(ctx, now, eraseRows); err != nil {
				all = append(all, fmt.Errorf("shard %s: %w", at.Name, err))
				break
			}
		}
	}
	return errors.Join(append(all, s.forgetLoad(ctx))...)
}
