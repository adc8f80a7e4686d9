package shard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/placement"
	"plumb/engines/sqldb"
)

// A change of the map goes through these steps, each of which may be repeated by anybody:
//
//	pending  the next map is written down. It holds nowhere yet
//	first    every owner whom it would move is pinned to where they are
//	fences   every shard's fence is raised to its epoch: nobody new is made by the old map
//	again    owners who were made meanwhile are pinned too
//	publish  the next map is the current one, with its pins, in one transaction
//
// After that the mover moves who is pinned elsewhere than where they want to be.

// why an owner is pinned.
const (
	whyMap     = "map"     // not moved yet
	whyBound   = "bound"   // stays, so that no shard gets more than its share
	whyDrop    = "drop"    // the map says so by itself from its epoch on
	whyPin     = "pin"     // an operator said so
	whyBalance = "balance" // a proposal said so
)

// bound is how much more than its share a shard may get from a change of the map.
const bound = 1.04

// planRows is how many owners are looked at in one transaction.
const planRows = 500

// change writes the next map down, made by alter from the shards as they are, and carries
// it out. alter changes rows of shards in the transaction, and returns what to call the
// migration.
func (s *Set) change(ctx context.Context, bounded bool, alter func(ctx context.Context, tx *sqldb.Tx, records []record) (why string, err error)) (Migration, error) {
	if err := s.finishPending(ctx); err != nil {
		return Migration{}, fmt.Errorf("finish an earlier change of the map: %w", err)
	}
	now := s.n.Clock.Now()
	id := ids.New(now)
	var epoch int64
	err := s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var pending int64
		if err := tx.QueryRow(ctx, sqlMapsPending).Scan(&pending); err != nil {
			return err
		}
		if pending > 0 {
			return errs.TryAfter(5*time.Second, "another change of the shards is under way")
		}
		records, err := readRecords(ctx, tx)
		if err != nil {
			return err
		}
		why, err := alter(ctx, tx, records)
		if err != nil {
			return err
		}
		var snapshot []byte
		if epoch, snapshot, err = nextMap(ctx, tx); err != nil {
			return err
		}
		limited := int64(0)
		if bounded {
			limited = 1
		}
		if _, err := tx.Exec(ctx, sqlMapMake, epoch, mapPending, snapshot, id, limited, "first", now.Add(s.hold).UnixMicro(), now.UnixMicro()); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlMigrationMake, id, why, string(Planning), now.UnixMicro()); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, sqlBump)
		return err
	})
	if err != nil {
		return Migration{}, err
	}
	if err := s.step("pending"); err != nil {
		return Migration{}, err
	}
	err = s.carryOut(ctx, epoch)
	if err != nil && !errors.Is(err, errDropped) {
		err = fmt.Errorf("the change is written down, and is finished as soon as all shards answer: %w", err)
	}
	m, found := s.Migration(ctx, id)
	return m, errors.Join(err, found)
}

// nextMap places owners on the shards as they stand in tx.
func nextMap(ctx context.Context, tx *sqldb.Tx) (epoch int64, snapshot []byte, err error) {
	records, err := readRecords(ctx, tx)
	if err != nil {
		return 0, nil, err
	}
	if err := tx.QueryRow(ctx, sqlMapCurrent).Scan(&epoch, &snapshot); err != nil {
		return 0, nil, err
	}
	old, err := placement.Parse(snapshot)
	if err != nil {
		return 0, nil, err
	}
	var nodes []placement.Node
	for _, r := range records {
		if r.State == Active {
			nodes = append(nodes, placement.Node{Name: r.Name, Weight: r.Weight, Domain: r.Domain})
		}
	}
	if len(nodes) == 0 {
		return 0, nil, errs.New(errs.Conflict, "one shard must stay active: add another first")
	}
	next, err := old.With(nodes)
	if err != nil {
		return 0, nil, err
	}
	snapshot, err = next.MarshalBinary()
	return epoch + 1, snapshot, err
}

// pendingMap is a change of the map on its way.
type pendingMap struct {
	epoch     int64
	migration string
	bounded   bool
	old, next *placement.Snapshot
	records   []record // also those that will be in the next map
	ideal     int64
}

func (s *Set) readPending(ctx context.Context) (p pendingMap, lease int64, found bool, err error) {
	var before, after []byte
	var bounded, current int64
	err = s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if err := tx.QueryRow(ctx, sqlMapPending).Scan(&p.epoch, &after, &p.migration, &bounded, &lease); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, sqlMapCurrent).Scan(&current, &before); err != nil {
			return err
		}
		p.records, err = readRecords(ctx, tx)
		return err
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return p, 0, false, nil
	}
	if err != nil {
		return p, 0, false, err
	}
	p.bounded = bounded == 1
	if p.old, err = placement.Parse(before); err == nil {
		p.next, err = placement.Parse(after)
	}
	return p, lease, true, err
}

// finishPending carries out a change of the map that nobody works on any more, and takes
// away pins that the map made needless.
func (s *Set) finishPending(ctx context.Context) error {
	p, lease, found, err := s.readPending(ctx)
	if err != nil {
		return err
	}
	if !found {
		return s.dropPins(ctx)
	}
	if lease > s.n.Clock.Now().UnixMicro() {
		return nil
	}
	return s.carryOut(ctx, p.epoch)
}

// carryOut takes the pending map of an epoch through its steps.
func (s *Set) carryOut(ctx context.Context, epoch int64) (err error) {
	p, _, found, err := s.readPending(ctx)
	if err != nil || !found || p.epoch != epoch {
		return err
	}
	defer func() {
		if err != nil && !errors.Is(err, errDropped) { // for whoever comes next
			free := context.WithoutCancel(ctx)
			err = errors.Join(err, s.renewMap(free, epoch, 0))
		}
	}()
	if err := s.reload(ctx); err != nil { // opens a shard that is new
		return err
	}
	if err := s.takeOver(ctx, &p); err != nil {
		return err
	}
	if err := s.step("first"); err != nil {
		return err
	}
	if err := s.pinAll(ctx, &p); err != nil {
		return err
	}
	for _, r := range p.records {
		if r.State == Lost {
			continue
		}
		if err := s.step("fences"); err != nil {
			return err
		}
		at, err := s.dir.Load().shard(r.No)
		if err != nil {
			return err
		}
		if err := raise(ctx, at.DB, epoch); err != nil {
			return err
		}
	}
	if err := s.step("again"); err != nil {
		return err
	}
	if err := s.pinAll(ctx, &p); err != nil {
		return err
	}
	if err := s.step("publish"); err != nil {
		return err
	}
	if err := s.publish(ctx, &p); err != nil {
		return err
	}
	if err := s.step("published"); err != nil {
		return err
	}
	if err := s.reload(ctx); err != nil {
		return err
	}
	s.announce(ctx)
	return s.dropPins(ctx)
}

func (s *Set) renewMap(ctx context.Context, epoch int64, until int64) error {
	return s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, sqlMapLease, epoch, until)
		return err
	})
}

// publish makes the pending map the current one. If somebody did so meanwhile, nothing is
// left to do.
func (s *Set) publish(ctx context.Context, p *pendingMap) error {
	return s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var state string
		if err := tx.QueryRow(ctx, sqlMapState, p.epoch).Scan(&state); err != nil || state != mapPending {
			return err
		}
		for _, r := range p.records {
			if r.State != Lost {
				continue
			}
			// Who is pinned there still is not anywhere else.
			if _, err := tx.Exec(ctx, sqlPinsLost, r.No); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, sqlMapOld, p.epoch, []byte{}); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlMapPublish, p.epoch); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlMigrationPlanned, p.migration, p.ideal); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlBump); err != nil {
			return err
		}
		return s.addJob(ctx, tx)
	})
}

// dropPins removes, in batches, pins that say what the map says.
func (s *Set) dropPins(ctx context.Context) error {
	for {
		n := int64(0)
		err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, sqlPinsDropThere).Scan(&n)
		})
		if err != nil || n == 0 {
			return err
		}
		err = s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			n, err = tx.Exec(ctx, sqlPinsDrop, int64(planRows))
			return err
		})
		if err != nil {
			return fmt.Errorf("drop pins: %w", err)
		}
	}
}

// announce tells the other processes to look.
func (s *Set) announce(ctx context.Context) {
	if s.n.Bus == nil {
		return
	}
	if err := s.n.Bus.Publish(context.WithoutCancel(ctx), subject, nil); err != nil {
		s.n.Log.Debug("a change of the shards was not announced", "err", err)
	}
}
