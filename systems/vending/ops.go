package vending

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"plumb/engines/devices"
	"plumb/engines/fleet"
	"plumb/engines/fleet/rollout"
	"plumb/engines/sqldb"
)

// What an answer to a report says beside that it was stored is looked up in memory:
// a database asked once more for each report would store half as many.

// knownEvery is how often the memory is read anew, should an announcement be lost.
const knownEvery = time.Minute

// known is what a process remembers of the fleet's operations. The maps are
// replaced, never changed, but for waiting.
type known struct {
	reading sync.Mutex // one reads at a time, or an older view could replace a newer

	mu       sync.RWMutex // guards the rest
	regions  map[string]Region
	rollouts map[scope]Rollout
	cohorts  map[string]string   // machine -> the cohort that somebody named
	waiting  map[string]struct{} // machines for which commands wait
	since    map[string]struct{} // those that were added since the last reading began
}

// loadOps reads all of it anew.
func (s *System) loadOps(ctx context.Context) error {
	k := known{regions: map[string]Region{}, rollouts: map[scope]Rollout{}, waiting: map[string]struct{}{}}
	s.known.reading.Lock()
	defer s.known.reading.Unlock()
	s.known.mu.Lock()
	s.known.since = map[string]struct{}{}
	s.known.mu.Unlock()
	now := s.n.Clock.Now()
	var alerts map[string]int
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		regions, err := s.store.regions(ctx, tx)
		if err != nil {
			return err
		}
		for _, r := range regions {
			k.regions[r.Name] = r
		}
		rollouts, err := s.store.rollouts(ctx, tx)
		if err != nil {
			return err
		}
		for _, r := range rollouts {
			k.rollouts[r.scope()] = r
		}
		if k.cohorts, err = s.store.cohorts(ctx, tx); err != nil {
			return err
		}
		waiting, err := devices.Waiting(ctx, tx, realm, now)
		if err != nil {
			return err
		}
		for _, id := range waiting {
			k.waiting[id] = struct{}{}
		}
		alerts, err = s.store.openAlerts(ctx, tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("read the fleet's operations: %w", err)
	}
	s.known.mu.Lock()
	maps.Copy(k.waiting, s.known.since)
	s.known.regions, s.known.rollouts, s.known.cohorts, s.known.waiting = k.regions, k.rollouts, k.cohorts, k.waiting
	s.known.mu.Unlock()
	s.measures.openAlerts(alerts)
	return nil
}

// opsChanged reads the operations anew, here and in the other processes.
func (s *System) opsChanged(ctx context.Context) error {
	if err := s.loadOps(ctx); err != nil {
		return err
	}
	s.announce(ctx, subjectOps, nil)
	return nil
}

// heedOps keeps the memory fresh until ctx ends.
func (s *System) heedOps(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.n.Clock.After(knownEvery):
		}
		if err := s.loadOps(ctx); err != nil && ctx.Err() == nil {
			s.n.Log.Warn("the fleet's operations were not read; what was known of them stands", "error", err)
		}
	}
}

// advise fills in what a machine is told with its receipts: the version that it is
// to run, and where it belongs.
func (s *System) advise(m fleet.Machine, city City, rows []*incoming, receipts []Receipt) {
	var newest *incoming
	for _, r := range rows {
		if newest == nil || r.taken >= newest.taken {
			newest = r
		}
	}
	if newest == nil {
		return
	}
	cell, regional := s.cell(city)
	want, change := s.target(m.ID, city.Name, rollout.Version{Firmware: newest.firmware, Config: newest.config})
	for i := range receipts {
		if receipts[i].Err != nil {
			continue
		}
		if change {
			receipts[i].Target = &want
		}
		if regional {
			receipts[i].Cell = &cell
		}
	}
}

// pruneOps deletes closed alerts and commands that are as old as the oldest reports.
func (s *System) pruneOps(ctx context.Context) error {
	before := s.n.Clock.Now().Add(-s.c.Retention)
	return s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for _, q := range []string{dropAlertsSQL, dropSentSQL} {
			if _, err := tx.Exec(ctx, q, before.UnixMicro()); err != nil {
				return err
			}
		}
		return devices.Prune(ctx, tx, before)
	})
}
