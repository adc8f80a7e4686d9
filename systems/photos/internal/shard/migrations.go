package shard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// Migrations returns up to limit migrations (1 to 1,000), the newest first, and the cursor of the
// next page.
func (s *Set) Migrations(ctx context.Context, cursor string, limit int) (list []Migration, next string, err error) {
	if cursor == "" {
		cursor = "~" // after every id
	}
	limit = min(max(limit, 1), 1000)
	err = s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		list, err = readMigrations(ctx, tx, sqlMigrations, cursor, int64(limit+1))
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list migrations: %w", err)
	}
	if len(list) > limit {
		list = list[:limit]
		next = list[limit-1].ID
	}
	return list, next, nil
}

// Migration returns one. Errors: NotFound.
func (s *Set) Migration(ctx context.Context, id string) (Migration, error) {
	var list []Migration
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		list, err = readMigrations(ctx, tx, sqlMigration, id)
		return err
	})
	if err == nil && len(list) == 0 {
		err = errs.New(errs.NotFound, "there is no migration %.40s", id)
	}
	if err != nil {
		return Migration{}, err
	}
	return list[0], nil
}

func readMigrations(ctx context.Context, tx *sqldb.Tx, query string, args ...any) (list []Migration, err error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var m Migration
		var state string
		var begun, ended int64
		if err := rows.Scan(&m.ID, &m.Why, &state, &begun, &ended, &m.Owners, &m.OwnersDone, &m.Photos, &m.PhotosDone,
			&m.Bytes, &m.BytesDone, &m.IdealBytes, &m.Kept, &m.Failed, &m.Error); err != nil {
			return nil, err
		}
		m.State, m.Begun = MigrationState(state), time.UnixMicro(begun).UTC()
		if ended > 0 {
			m.Ended = time.UnixMicro(ended).UTC()
		}
		list = append(list, m)
	}
	return list, rows.Err()
}

// Pause lets a migration rest: who is on the way arrives, and nobody else sets out.
// Errors: NotFound; Conflict when it does not move.
func (s *Set) Pause(ctx context.Context, id string) error {
	return s.turnMigration(ctx, id, Moving, Paused)
}

// Resume lets a paused migration go on. Errors: NotFound; Conflict when it is not paused.
func (s *Set) Resume(ctx context.Context, id string) error {
	return s.turnMigration(ctx, id, Paused, Moving)
}

func (s *Set) turnMigration(ctx context.Context, id string, from, to MigrationState) error {
	return s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var state string
		err := tx.QueryRow(ctx, sqlMigrationState, id).Scan(&state)
		switch {
		case errors.Is(err, sqldb.ErrNoRows):
			return errs.New(errs.NotFound, "there is no migration %.40s", id)
		case err != nil:
			return err
		case MigrationState(state) == to:
			return nil
		case MigrationState(state) != from:
			return errs.New(errs.Conflict, "migration %s is %s", id, state)
		}
		if _, err := tx.Exec(ctx, sqlMigrationTurn, id, string(to)); err != nil || to != Moving {
			return err
		}
		return s.addJob(ctx, tx)
	})
}
