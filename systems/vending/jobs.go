package vending

import (
	"context"
	"fmt"
	"time"

	"plumb/base/errs"
	"plumb/engines/jobs"
	"plumb/engines/sqldb"
)

// pruneMost is how many machines' reports are pruned in one transaction.
const pruneMost = 200

// work lists the room's background jobs.
func (s *System) work() []jobs.Work {
	return []jobs.Work{{
		// Once a day, by one of the processes. A failed run leaves the rest to
		// the next.
		Kind: "vending.prune", Every: 24 * time.Hour, Unique: true, Max: 1, Timeout: time.Hour, Tries: 3,
		Run: func(ctx context.Context, _ []byte) error { return s.prune(ctx) },
	}, {
		// One plan at a time in a process: the search takes a core.
		Kind: planKind, Unique: true, Max: 1, Timeout: 20 * time.Minute, Tries: 10, Run: s.plan,
	}, {
		Kind: "vending.watch", Every: watchEvery, Unique: true, Max: 1, Timeout: 5 * time.Minute, Tries: 1,
		Run: func(ctx context.Context, _ []byte) error { return s.watch(ctx) },
	}}
}

// prune walks through the machines and deletes what each reported too long ago.
func (s *System) prune(ctx context.Context) error {
	before := s.n.Clock.Now().Add(-s.c.Retention).UnixMicro()
	f := Filter{Limit: pruneMost}
	total := int64(0)
	for {
		p, err := s.List(ctx, f)
		if err != nil {
			return fmt.Errorf("prune reports: %w", err)
		}
		var gone int64
		err = s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			gone = 0
			for _, m := range p.Machines {
				n, err := s.store.prune(ctx, tx, m.ID, before)
				if err != nil {
					return err
				}
				gone += n
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("prune reports: %w", err)
		}
		if total += gone; p.Next == "" {
			break
		}
		f.Cursor = p.Next
	}
	if err := s.pruneOps(ctx); err != nil {
		return fmt.Errorf("prune alerts and commands: %w", err)
	}
	if total > 0 {
		s.n.Log.Info("old reports and audits were pruned", "rows", total)
	}
	return nil
}

// Check says whether the room works: the database answers, and each machine of
// the room is known to the fleet.
func (s *System) Check(ctx context.Context) error {
	var lost int64
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, lostSQL, realm).Scan(&lost)
	})
	if err != nil {
		return fmt.Errorf("check vending: %w", err)
	}
	if lost > 0 {
		return errs.New(errs.Internal, "%d machines have no identity in the fleet", lost)
	}
	// Not once a probe is due: the next report is the probe, and none would come to a
	// process that a balancer takes for not ready.
	if open, probe := s.door.breaker.Open(s.n.Clock.Now()); open && probe > 0 {
		return errs.New(errs.Busy, "the database keeps failing: reports are refused, each with a time to come back")
	}
	return nil
}

// lostSQL looks at a thousand machines: enough to notice, cheap enough to ask often.
const lostSQL = `
	SELECT count(*) FROM (SELECT id FROM vending_machines ORDER BY id LIMIT 1000) AS m
	WHERE NOT EXISTS (SELECT 1 FROM fleet_machines AS f WHERE f.realm = $1 AND f.id = m.id)`
