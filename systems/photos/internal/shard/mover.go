package shard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

const (
	leaseTime  = 30 * time.Second // of an owner who is being moved, of a change of the map
	firstPause = 2 * time.Second  // after a move that failed; doubled each time,
	lastPause  = 5 * time.Minute  // up to this
)

// Move moves owners until nobody is left who is to move, or a stretch of time is over, and
// says how many it moved. Who is on the way then arrives, also beyond ctx's deadline: a
// large content would else be begun again and again. It stops in the middle when ctx is
// cancelled, and another goes on. Any number of processes may do so at once.
func (s *Set) Move(ctx context.Context, stretch time.Duration) (int, error) {
	end := time.Now().Add(stretch)
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			cancel()
		}
	})
	defer stop()
	defer context.AfterFunc(s.closing, cancel)()
	if err := s.reload(work); err != nil {
		return 0, err
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	moved, fault := 0, error(nil)
	for range s.c.Movers {
		all.Go(func() {
			n, err := s.moveSome(work, ctx, end)
			mu.Lock()
			defer mu.Unlock()
			moved += n
			if fault == nil {
				fault = err
			}
		})
	}
	all.Wait()
	switch {
	case fault != nil:
		return moved, fault
	case ctx.Err() != nil:
		return moved, ctx.Err()
	}
	return moved, s.endMigrations(work)
}

// moveSome moves one owner after the other while there are some, and until is not done.
func (s *Set) moveSome(ctx, until context.Context, end time.Time) (moved int, err error) {
	for until.Err() == nil && ctx.Err() == nil && time.Now().Before(end) {
		list, err := s.claimPins(ctx, 1)
		if err != nil {
			return moved, fmt.Errorf("look who is to move: %w", err)
		}
		if len(list) == 0 {
			return moved, nil
		}
		err = s.moveOne(ctx, list[0])
		if errors.Is(err, errDropped) {
			return moved, err
		}
		if err == nil {
			moved++
		}
	}
	return moved, nil
}

// claimPins takes the leases of some owners who are to move.
func (s *Set) claimPins(ctx context.Context, most int64) (list []pin, err error) {
	now := s.n.Clock.Now()
	err = s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, sqlPinsDue, now.UnixMicro(), most)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var p pin
			if err := rows.Scan(&p.owner, &p.shard, &p.want, &p.migration, &p.why, &p.bytes, &p.moved, &p.tries); err != nil {
				return err
			}
			list = append(list, p)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		rows.Close()
		for _, p := range list {
			if _, err := tx.Exec(ctx, sqlPinLease, p.owner, now.Add(s.hold).UnixMicro(), p.moved); err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}

// keep renews the lease of an owner on the way, and writes how many bytes were copied,
// until ctx ends.
func (s *Set) keep(ctx context.Context, m *move) {
	tick := time.NewTicker(max(s.hold/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		until := s.n.Clock.Now().Add(s.hold).UnixMicro()
		err := s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, sqlPinLease, m.pin.owner, until, m.moved.Load())
			return err
		})
		if err != nil && ctx.Err() == nil {
			s.n.Log.Debug("the lease of an owner who is being moved was not renewed", "owner", m.pin.owner, "err", err)
		}
	}
}

// moveOne moves one owner on, and writes down what came of it.
func (s *Set) moveOne(ctx context.Context, p pin) error {
	m := &move{s: s, pin: p}
	m.moved.Store(p.moved)
	kept, cancel := context.WithCancel(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() { s.keep(kept, m) })
	err := s.moveOwner(ctx, m)
	cancel()
	keeper.Wait()
	s.measures.copied.Add(float64(m.moved.Load() - p.moved))
	switch {
	case err == nil:
		s.measures.moved.Inc()
		return nil
	case errors.Is(err, errDropped):
		return err
	}
	if !errors.Is(err, errStepped) && ctx.Err() == nil {
		s.measures.failed.Inc()
		s.n.Log.Warn("an owner was not moved; it is tried again", "owner", p.owner, "try", p.tries+1, "err", err)
	}
	written, cancel := context.WithTimeout(context.WithoutCancel(ctx), switchTime)
	defer cancel()
	if failed := s.failed(written, m, err, ctx.Err() != nil); failed != nil {
		s.n.Log.Warn("that an owner was not moved could not be written down", "owner", p.owner, "err", failed)
	}
	return err
}

// failed writes down why an owner was not moved, and when to try again.
func (s *Set) failed(ctx context.Context, m *move, why error, stopped bool) error {
	count := int64(1)
	wait := min(firstPause<<min(m.pin.tries, 20), lastPause)
	if errors.Is(why, errStepped) || stopped {
		count, wait = 0, time.Second
	}
	text := errs.Message(why)
	if count == 0 {
		text = "" // nothing is wrong
	} else if text == "" {
		text = "something went wrong inside: see the log"
	}
	after := s.n.Clock.Now().Add(wait).UnixMicro()
	return s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, sqlPinFailed, m.pin.owner, m.moved.Load(), count, after, text); err != nil {
			return err
		}
		if count == 0 {
			return nil
		}
		_, err := tx.Exec(ctx, sqlMigrationFailed, m.pin.migration, count, text)
		return err
	})
}

// moveOwner finds the owner, moves them, and writes down that they are there.
func (s *Set) moveOwner(ctx context.Context, m *move) error {
	for range 4 { // to where an earlier move goes, and on from there
		at, st, found, err := s.locate(ctx, m.pin.owner, m.pin.shard)
		if err != nil {
			return err
		}
		if !found {
			return s.finish(ctx, m, 0, standing{})
		}
		to := m.pin.want
		if st.state == leaving {
			to = st.peer
		}
		if st.state == here && st.peer != 0 && st.peer != to {
			if err := s.abandon(ctx, at, m.pin.owner, st); err != nil {
				return err
			}
		}
		if at.No == to {
			return s.finish(ctx, m, at.No, st)
		}
		d := s.dir.Load()
		m.from = at
		if m.to, err = d.shard(to); err != nil {
			if st.state == leaving && d.isLost(to) {
				err = errors.Join(err, at.unleave(ctx, m.pin.owner, st.turn))
			}
			return err
		}
		err = m.run(ctx)
		var differs *errDiffers
		if errors.As(err, &differs) || sqldb.IsUnique(err) {
			err = errors.Join(err, m.restart(ctx))
		}
		if err != nil {
			return err
		}
		d.where.put(m.pin.owner, m.to.No)
		m.pin.shard = m.to.No
	}
	return errStepped
}

// abandon gives a copy up that is not wanted any more: its shard erases it in its time.
// The order is that of begin, so that nobody who is still at it can switch to it.
func (s *Set) abandon(ctx context.Context, at *Shard, owner string, st standing) error {
	to := s.dir.Load().shards[st.peer]
	var copy standing
	found := false
	if to != nil {
		var err error
		if copy, found, err = to.standing(ctx, owner); err != nil {
			return err
		}
	}
	err := at.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		n, err := tx.Exec(ctx, sqlOwnerAlone, owner, st.turn)
		if err == nil && n == 0 {
			err = errStepped
		}
		return err
	})
	if err != nil || !found || copy.state != coming && copy.state != ready {
		return err
	}
	now := s.n.Clock.Now().UnixMicro()
	return to.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, sqlOwnerAbandon, owner, copy.turn, at.No, now)
		return err
	})
}

// locate returns the shard that holds an owner, and the row there, beginning at a shard.
func (s *Set) locate(ctx context.Context, owner string, no int64) (at *Shard, st standing, found bool, err error) {
	d := s.dir.Load()
	for range 2 * len(d.records) {
		at = d.shards[no]
		if at == nil {
			break
		}
		st, found, err = at.standing(ctx, owner)
		switch {
		case err != nil:
			return nil, st, false, err
		case !found:
			return s.search(ctx, owner)
		case st.state == here || st.state == leaving:
			return at, st, true, nil
		case st.state == ready:
			if err := s.settle(ctx, owner, d, at, &detour{ready, st.peer, st.turn}); err != nil {
				return nil, st, false, err
			}
			if st, found, err = at.standing(ctx, owner); err != nil || found && st.state == here {
				return at, st, found, err
			}
		}
		no = st.peer
	}
	return s.search(ctx, owner)
}

// search asks all shards for an owner.
func (s *Set) search(ctx context.Context, owner string) (at *Shard, st standing, found bool, err error) {
	d := s.dir.Load()
	for _, r := range d.records {
		if r.State == Lost {
			continue
		}
		at, err := d.shard(r.No)
		if err != nil {
			return nil, st, false, err
		}
		if st, found, err = at.standing(ctx, owner); err != nil || found && (st.state == here || st.state == leaving) {
			return at, st, found, err
		}
	}
	return nil, st, false, nil
}

func (d *directory) isLost(no int64) bool {
	for _, r := range d.records {
		if r.No == no {
			return r.State == Lost
		}
	}
	return false
}

// finish writes down that an owner is on a shard: 0 when there is none such any more. The
// pin goes where the map says the same.
func (s *Set) finish(ctx context.Context, m *move, at int64, st standing) error {
	if err := s.step("finish"); err != nil {
		return err
	}
	d := s.dir.Load()
	home := d.mapped(m.pin.owner)
	err := s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var epoch int64
		var snapshot []byte
		if err := tx.QueryRow(ctx, sqlMapCurrent).Scan(&epoch, &snapshot); err != nil {
			return err
		}
		var want int64
		err := tx.QueryRow(ctx, sqlPinWant, m.pin.owner).Scan(&want)
		if errors.Is(err, sqldb.ErrNoRows) {
			return nil
		}
		switch {
		case err != nil:
			return err
		case at != 0 && want != at: // a newer map wants them elsewhere
			_, err = tx.Exec(ctx, sqlPinOn, m.pin.owner, at, want, m.moved.Load())
			return err
		case at == 0 || home == at && epoch == d.epoch && m.pin.why != whyPin:
			_, err = tx.Exec(ctx, sqlPinRemove, m.pin.owner)
		default:
			_, err = tx.Exec(ctx, sqlPinStay, m.pin.owner, at)
		}
		if err == nil && m.pin.migration != "" {
			_, err = tx.Exec(ctx, sqlMigrationDone, m.pin.migration, st.photos, m.moved.Load())
		}
		return err
	})
	if err != nil {
		return err
	}
	if home == at {
		d.where.forget(m.pin.owner)
	}
	return nil
}

// endMigrations ends those that have nobody left to move, and says which shards are
// drained.
func (s *Set) endMigrations(ctx context.Context) error {
	now := s.n.Clock.Now().UnixMicro()
	err := s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, sqlMigrationsEnd, now)
		return err
	})
	for _, r := range s.dir.Load().records {
		if err == nil && r.State == Draining {
			err = s.endDrain(ctx, r)
		}
	}
	if err != nil {
		return fmt.Errorf("end migrations: %w", err)
	}
	return nil
}

// endDrain says that a shard is drained once nobody is there. Somebody whom no pin names
// is pinned by going over all owners again.
func (s *Set) endDrain(ctx context.Context, r record) error {
	at, err := s.dir.Load().shard(r.No)
	if err != nil {
		return err
	}
	var pins, pending, owners, photos, bytes int64
	err = s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := tx.QueryRow(ctx, sqlPinsOf, r.No).Scan(&pins); err != nil {
			return err
		}
		return tx.QueryRow(ctx, sqlMapsPending).Scan(&pending)
	})
	if err != nil || pins > 0 || pending > 0 {
		return err
	}
	err = at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, sqlOwnersSum).Scan(&owners, &photos, &bytes)
	})
	if err != nil {
		return err
	}
	if owners > 0 {
		_, err := s.change(ctx, false, func(context.Context, *sqldb.Tx, []record) (string, error) { return "drain " + r.Name, nil })
		return err
	}
	err = s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		n, err := tx.Exec(ctx, sqlShardDrained, r.No)
		if err == nil && n > 0 {
			_, err = tx.Exec(ctx, sqlBump)
		}
		return err
	})
	if err != nil {
		return err
	}
	s.announce(ctx)
	return s.reload(ctx)
}

// Tidy erases what was moved away long enough ago, and returns how many owners' it was.
func (s *Set) Tidy(ctx context.Context) (n int, err error) {
	for _, at := range s.Shards() {
		for {
			now := s.n.Clock.Now().UnixMicro()
			var list []string
			var all []standing
			err := at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				list, all = nil, nil
				rows, err := tx.Query(ctx, sqlOwnersGone, now, int64(eraseRows))
				if err != nil {
					return err
				}
				defer rows.Close()
				for rows.Next() {
					var owner string
					st := standing{state: gone}
					if err := rows.Scan(&owner, &st.turn, &st.until); err != nil {
						return err
					}
					list, all = append(list, owner), append(all, st)
				}
				return rows.Err()
			})
			if err != nil {
				return n, fmt.Errorf("look what was moved away from shard %s: %w", at.Name, err)
			}
			for i, owner := range list {
				if err := s.eraseGone(ctx, at, owner, all[i]); err != nil && !errors.Is(err, errStepped) {
					return n, err
				}
				n++
			}
			if len(list) < eraseRows {
				break
			}
		}
	}
	return n, nil
}

// eraseGone erases what an owner left on a shard; the row that tells where they went
// stays.
func (s *Set) eraseGone(ctx context.Context, at *Shard, owner string, st standing) error {
	if err := s.erase(ctx, at, owner, st); err != nil {
		return err
	}
	return at.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, sqlOwnerErased, owner, st.turn)
		return err
	})
}
