package shard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// standing is an owner's row on a shard.
type standing struct {
	state  string
	peer   int64
	turn   int64
	rev    int64
	photos int64
	bytes  int64
	made   int64
	until  int64
	copied string
}

// States of an owner on a shard.
const (
	here    = "here"
	leaving = "leaving" // all but the last changes are at peer; nothing may change
	gone    = "gone"    // to peer
	coming  = "coming"  // from peer, who holds them
	ready   = "ready"   // from peer; ours as soon as peer says gone to us
)

// detour ends a transaction that was begun on the wrong shard, or at the wrong moment.
type detour struct {
	why  string // a state, or one of those below
	peer int64
	turn int64
}

const (
	missing = "missing" // no row, and it is not sure that there should be none
	fenced  = "fenced"  // no row, and the map is not the shard's
)

func (d *detour) Error() string { return "the owner is " + d.why }

// Home returns where the owner is, as far as this process knows. Errors: Busy.
func (s *Set) Home(ctx context.Context, owner string) (*Shard, error) {
	if err := checkOwner(owner); err != nil {
		return nil, err
	}
	d := s.dir.Load()
	no, _ := d.home(owner)
	return d.shard(no)
}

// Read runs fn on one snapshot of the shard that holds the owner; of somebody who has
// nothing yet, of the shard where they would be. fn may run more than once. Errors: fn's
// own; Busy when the shard does not answer.
func (s *Set) Read(ctx context.Context, owner string, fn ReadFn) error {
	stood := int64(0) // the epoch of a map that was just read and led here
	return s.follow(ctx, owner, &stood, func(ctx context.Context, d *directory, at *Shard, sure bool) error {
		return at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			var state string
			var peer, turn int64
			err := tx.QueryRow(ctx, sqlOwnerState, owner).Scan(&state, &peer, &turn)
			switch {
			case errors.Is(err, sqldb.ErrNoRows):
				if err := isNew(ctx, tx, at, d, sure, stood); err != nil {
					return err
				}
			case err != nil:
				return err
			case state != here && state != leaving:
				return &detour{state, peer, turn}
			}
			return fn(ctx, tx, at)
		})
	})
}

// isNew says whether an owner without a row here has none anywhere: the map led here, it
// is the one that the shard's fence knows, and there is no pin.
func isNew(ctx context.Context, tx *sqldb.Tx, at *Shard, d *directory, sure bool, stood int64) error {
	if !sure {
		return &detour{why: missing}
	}
	var epoch int64
	if err := tx.QueryRow(ctx, sqlFence).Scan(&epoch); err != nil {
		return err
	}
	// While the map changes, the fence is ahead of the map that still holds. Who reads
	// sees nothing there, and that is so: who is new is made after the change.
	if epoch != d.epoch && stood != d.epoch {
		return &detour{why: fenced}
	}
	return nil
}

// Write runs fn in a transaction of the shard that holds the owner, makes the owner's row
// if there is none, and returns nil once all of it is durable. With on, the owner must be
// on that shard. fn may run more than once. Errors: fn's own; ErrMoved; Busy.
func (s *Set) Write(ctx context.Context, owner string, on *Shard, fn WriteFn) error {
	now := s.n.Clock.Now().UnixMicro()
	return s.follow(ctx, owner, nil, func(ctx context.Context, d *directory, at *Shard, sure bool) error {
		if on != nil && on.No != at.No {
			return ErrMoved
		}
		err := at.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			rev, err := s.enter(ctx, tx, at, d, owner, sure, now)
			if err != nil {
				return err
			}
			if err := fn(ctx, tx, at, rev); err != nil {
				return own{err}
			}
			return nil
		})
		if mine, ok := err.(own); ok {
			return mine.error
		}
		return err
	})
}

// enter raises the owner's number, which holds the row until the transaction ends: a move
// cannot switch meanwhile. Who is new gets a row.
func (s *Set) enter(ctx context.Context, tx *sqldb.Tx, at *Shard, d *directory, owner string, sure bool, now int64) (rev int64, err error) {
	err = tx.QueryRow(ctx, sqlOwnerEnter, owner).Scan(&rev)
	if !errors.Is(err, sqldb.ErrNoRows) {
		return rev, err
	}
	var state string
	var peer, turn int64
	err = tx.QueryRow(ctx, sqlOwnerState, owner).Scan(&state, &peer, &turn)
	if err == nil {
		return 0, &detour{state, peer, turn}
	}
	if !errors.Is(err, sqldb.ErrNoRows) {
		return 0, err
	}
	if !sure {
		return 0, &detour{why: missing}
	}
	// Nobody may raise the fence between this look and the commit: PostgreSQL's share lock
	// makes them wait, or us fail; SQLite has one writer.
	fence := sqlFence
	if at.DB.Postgres() {
		fence = sqlFencePostgres
	}
	var epoch int64
	if err := tx.QueryRow(ctx, fence).Scan(&epoch); err != nil {
		return 0, err
	}
	if epoch != d.epoch {
		return 0, &detour{why: fenced}
	}
	_, err = tx.Exec(ctx, sqlOwnerMake, owner, now)
	return 1, err
}

// Tally changes what the owner's row counts, in a Write's fn.
func (s *Set) Tally(ctx context.Context, tx *sqldb.Tx, owner string, photos, bytes int64) error {
	_, err := tx.Exec(ctx, sqlOwnerTally, owner, photos, bytes)
	return err
}

// follow calls try on the shard that the directory names, and where that is not the
// owner's, goes on to where it is. stood, if not nil, is set to the epoch of a map that
// was found unchanged after a shard's fence had been found ahead.
func (s *Set) follow(ctx context.Context, owner string, stood *int64, try func(ctx context.Context, d *directory, at *Shard, sure bool) error) error {
	if err := checkOwner(owner); err != nil {
		return err
	}
	end := time.Now().Add(patience)
	var leavingSince time.Time
	cleared := int64(0) // the version of the directory in whose time there was no pin
	for hops := 0; ; hops++ {
		d := s.dir.Load()
		no, sure := d.home(owner)
		at, err := d.shard(no)
		if err != nil {
			if s.reload(ctx) == nil && s.dir.Load().version != d.version && time.Now().Before(end) {
				continue
			}
			return err
		}
		_, hinted, _ := d.where.get(owner)
		sure = sure || !hinted && cleared == d.version
		err = try(ctx, d, at, sure)
		var off *detour
		if !errors.As(err, &off) {
			if s.leftBehind(ctx, err, d) {
				continue
			}
			return err
		}
		if time.Now().After(end) {
			return errs.TryAfter(time.Second, "what you have is being moved to another shard, which takes longer than it should: try again")
		}
		wait := false
		err = nil
		switch off.why {
		case gone, coming:
			err = s.redirect(ctx, owner, d, at, off.peer, off.turn)
			wait = hops > 3 // others are at it too
		case ready:
			err = s.settle(ctx, owner, d, at, off)
			wait = hops > 3
		case leaving:
			// The switch takes milliseconds. Where it does not, whoever was at it is gone,
			// and the owner stays for now.
			if leavingSince.IsZero() {
				leavingSince = time.Now()
			} else if time.Since(leavingSince) > s.leave {
				err = at.unleave(ctx, owner, off.turn)
			}
			wait = true
		case missing:
			var found bool
			if found, err = s.lookUp(ctx, owner, d, no); !found {
				cleared = d.version
			}
			wait = hops > 3
		case fenced:
			if err = s.reload(ctx); err == nil && s.dir.Load().epoch == d.epoch {
				if stood != nil {
					*stood = d.epoch
				} else {
					wait = true // until the change of the map is done
				}
			}
		}
		if err != nil {
			return fmt.Errorf("find the shard of %s: %w", owner, err)
		}
		if wait {
			if err := pause(ctx, min(hops, 5)); err != nil {
				return err
			}
		}
	}
}

// leftBehind says whether a shard does not answer because it is none any more, which this
// process has just learnt. A database that was closed beneath a transaction has many words
// for it.
func (s *Set) leftBehind(ctx context.Context, err error, d *directory) bool {
	strange := errs.KindOf(err) == errs.Internal || sqldb.IsAway(err)
	if err == nil || !strange || ctx.Err() != nil || errors.Is(err, sqldb.ErrUncertain) {
		return false
	}
	return s.reload(ctx) == nil && s.dir.Load().version != d.version
}

// redirect remembers that the owner is on another shard, as the row at says.
func (s *Set) redirect(ctx context.Context, owner string, d *directory, at *Shard, peer, turn int64) error {
	if d.shards[peer] == nil {
		// A shard that is newer than what is known here, or that is gone.
		if err := s.reload(ctx); err != nil {
			return err
		}
		if d = s.dir.Load(); d.shards[peer] == nil {
			return s.astray(ctx, owner, d, at, peer, turn)
		}
	}
	if d.mapped(owner) == peer {
		d.where.forget(owner)
		if _, sure := d.home(owner); sure {
			return nil
		}
	}
	d.where.put(owner, peer)
	return nil
}

// astray decides about an owner of whom a row says that they are on a shard which is not
// there: removed, and then they went on from it; lost, and then what is here is what is
// left; or away for now.
func (s *Set) astray(ctx context.Context, owner string, d *directory, at *Shard, peer, turn int64) error {
	known := nameOf(d.records, peer) != ""
	if known && !d.isLost(peer) {
		_, err := d.shard(peer)
		return err
	}
	d.where.forget(owner)
	found, err := s.lookUp(ctx, owner, d, peer)
	if err != nil || found || d.mapped(owner) != at.No {
		return err
	}
	now := s.n.Clock.Now().UnixMicro()
	return at.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		st, found, err := readStanding(ctx, tx, owner)
		if err != nil || !found || st.turn != turn {
			return err
		}
		if st.state == gone && st.until == 0 { // erased: its links were revoked only as traces
			if err := at.Links.DropOwner(ctx, tx, Realm, owner); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, sqlOwnerTakeOver, owner, turn, now)
		return err
	})
}

// settle finds out who holds an owner that is ready here: we do, if the shard that they
// came from says so.
func (s *Set) settle(ctx context.Context, owner string, d *directory, at *Shard, off *detour) error {
	from, err := d.shard(off.peer)
	if err != nil {
		return err
	}
	there, found, err := from.standing(ctx, owner)
	if err != nil {
		return err
	}
	if !found || there.state != gone || there.peer != at.No {
		return s.redirect(ctx, owner, d, at, off.peer, off.turn)
	}
	return at.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, sqlOwnerSettle, owner, off.turn)
		return err
	})
}

// lookUp asks the house for the owner's pin, when the shard number at had no row and this
// process is not sure that there should be none.
func (s *Set) lookUp(ctx context.Context, owner string, d *directory, at int64) (found bool, err error) {
	_, hinted, _ := d.where.get(owner)
	d.where.forget(owner)
	if hinted { // what led here was wrong; the map itself may lead on
		if err := s.reload(ctx); err != nil {
			return false, err
		}
	}
	var no int64
	err = s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, sqlPin, owner).Scan(&no)
	})
	switch {
	case errors.Is(err, sqldb.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	case no == at:
		return false, errs.New(errs.Internal, "the directory says that %s is on shard number %d, and the shard that nobody is", owner, at)
	}
	s.dir.Load().where.put(owner, no)
	return true, nil
}

// standing reads an owner's row.
func (at *Shard) standing(ctx context.Context, owner string) (st standing, found bool, err error) {
	err = at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		st, found, err = readStanding(ctx, tx, owner)
		return err
	})
	return st, found, err
}

func readStanding(ctx context.Context, tx *sqldb.Tx, owner string) (st standing, found bool, err error) {
	err = tx.QueryRow(ctx, sqlOwner, owner).Scan(&st.state, &st.peer, &st.turn, &st.rev, &st.photos, &st.bytes, &st.made, &st.until, &st.copied)
	if errors.Is(err, sqldb.ErrNoRows) {
		return st, false, nil
	}
	return st, err == nil, err
}

// MaxOwner is the most bytes of an owner's name.
const MaxOwner = 64

func checkOwner(owner string) error {
	if owner == "" || len(owner) > MaxOwner {
		return errs.New(errs.Invalid, "an owner's id has 1 to %d bytes, not %d", MaxOwner, len(owner))
	}
	return nil
}
