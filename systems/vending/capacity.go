package vending

import (
	"context"
	"fmt"
	"math"
	"time"

	"plumb/engines/sqldb"
)

// A herd that meets a server which believes in a wrong capacity needs more calls
// and more time than one that meets a server which knows. So what was measured
// under load outlives a restart.
const (
	rememberEvery = time.Minute
	worthNoting   = 0.1 // a smaller change, as a share, is not written
)

const (
	recallSQL   = `SELECT value FROM vending_measured WHERE name = 'capacity'`
	rememberSQL = `
		INSERT INTO vending_measured (name, value, at) VALUES ('capacity', $1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value, at = excluded.at`
)

// recall returns the capacity that was measured last; supposed, when none was.
func (s *System) recall(ctx context.Context, supposed float64) (float64, error) {
	capacity := supposed
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		err := tx.QueryRow(ctx, recallSQL).Scan(&capacity)
		if err == sqldb.ErrNoRows {
			capacity = supposed
			return nil
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("recall the measured capacity: %w", err)
	}
	return capacity, nil
}

// rememberCapacity writes down what capacity is measured, when it changes, until ctx ends.
func (s *System) rememberCapacity(ctx context.Context) error {
	known := s.door.admission.State(s.n.Clock.Now()).Capacity
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.n.Clock.After(rememberEvery):
		}
		now := s.n.Clock.Now()
		capacity := s.door.admission.State(now).Capacity
		if math.Abs(capacity-known) < worthNoting*known {
			continue
		}
		if err := s.remember(ctx, capacity, now); err != nil {
			s.n.Log.Warn("the measured capacity was not written down; the next minute tries again", "error", err)
			continue
		}
		known = capacity
	}
}

func (s *System) remember(ctx context.Context, capacity float64, now time.Time) error {
	return s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, rememberSQL, capacity, now.UnixMicro())
		return err
	})
}
