package shard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/sqldb"
)

// MaxShards bounds how many shards a house has, removed ones included: a link's hint has
// two bytes for the number.
const MaxShards = 1 << 15

// Add opens a new shard, and begins to move to it its share of owners. Errors: Invalid;
// Conflict when the name is taken, or the place is another's; Busy.
func (s *Set) Add(ctx context.Context, n New) (*Shard, Migration, error) {
	at, m, err := s.add(ctx, n)
	if err != nil {
		return at, m, fmt.Errorf("add shard %.40s: %w", n.Name, err)
	}
	return at, m, nil
}

func (s *Set) add(ctx context.Context, n New) (*Shard, Migration, error) {
	if n.Weight == 0 {
		n.Weight = 1
	}
	if err := errors.Join(checkName(n.Name), checkWeight(n.Weight), checkDomain(n.Domain), s.checkPlaces(n.SQL, n.Bucket)); err != nil {
		return nil, Migration{}, errs.New(errs.Invalid, "%v", err)
	}
	r := record{Name: n.Name, Weight: n.Weight, Domain: n.Domain, State: Active, SQL: n.SQL, Bucket: n.Bucket}
	err := s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := nameFree(ctx, tx, n.Name); err != nil {
			return err
		}
		return tx.QueryRow(ctx, sqlNextNo).Scan(&r.No)
	})
	if err == nil && r.No > MaxShards {
		err = errs.New(errs.Conflict, "a house may have %d shards in its life", MaxShards)
	}
	if err != nil {
		return nil, Migration{}, err
	}
	// A place that does not fit is found now, and not when the map names it.
	clear, err := s.makeGround(r)
	if err != nil {
		return nil, Migration{}, err
	}
	e, err := s.openEngines(ctx, r)
	if err != nil {
		return nil, Migration{}, errors.Join(err, clear())
	}
	s.mu.Lock()
	if s.closed {
		err = errors.Join(sqldb.ErrClosed, e.close())
	} else {
		s.opened[r.No] = e
	}
	s.mu.Unlock()
	if err != nil {
		return nil, Migration{}, err
	}
	m, err := s.change(ctx, true, func(ctx context.Context, tx *sqldb.Tx, _ []record) (string, error) {
		if err := nameFree(ctx, tx, n.Name); err != nil {
			return "", err
		}
		_, err := tx.Exec(ctx, sqlShardMake, r.No, r.Name, r.Weight, r.Domain, string(Active), r.SQL, r.Bucket, s.n.Clock.Now().UnixMicro())
		if err == nil {
			_, err = tx.Exec(ctx, sqlShardBegin, r.No) // claimed above
		}
		return "add " + r.Name, err
	})
	return s.dir.Load().shards[r.No], m, err
}

// makeGround makes the folder of a shard that has no place of its own, and returns how to clear
// it away where nothing comes of the shard: its number is used up, and what was begun in
// the folder would be refused to the next of that name.
func (s *Set) makeGround(r record) (clear func() error, err error) {
	none := func() error { return nil }
	if s.n.SQL != "" || s.n.Folder == "" {
		return none, nil
	}
	dir := filepath.Join(s.n.Folder, r.Name)
	switch err := os.Mkdir(dir, 0o700); {
	case errors.Is(err, fs.ErrExist):
		return none, nil // it is not ours to clear away
	case err != nil:
		return nil, fmt.Errorf("make the folder of shard %s: %w", r.Name, err)
	}
	return func() error { return os.RemoveAll(dir) }, nil
}

func nameFree(ctx context.Context, tx *sqldb.Tx, name string) error {
	records, err := readRecords(ctx, tx)
	if err != nil {
		return err
	}
	for _, r := range records {
		if r.Name == name {
			return errs.New(errs.Conflict, "there is a shard %s already", name)
		}
	}
	return nil
}

func checkWeight(w float64) error {
	if !(w >= 0.001 && w <= 1e6) {
		return errs.New(errs.Invalid, "a shard's weight is 0.001 to 1,000,000, not %g", w)
	}
	return nil
}

func checkDomain(d string) error {
	if len(d) > 64 {
		return errs.New(errs.Invalid, "a shard's domain has up to 64 bytes, not %d", len(d))
	}
	return nil
}

// Weigh changes a shard's share. Errors: Invalid, NotFound, Busy; Conflict for one that is
// not active.
func (s *Set) Weigh(ctx context.Context, name string, weight float64) (Migration, error) {
	if err := checkWeight(weight); err != nil {
		return Migration{}, err
	}
	m, err := s.alter(ctx, name, true, fmt.Sprintf("weigh %s %g", name, weight), func(ctx context.Context, tx *sqldb.Tx, r record) error {
		if r.State != Active {
			return errs.New(errs.Conflict, "shard %s is %s, and gets nobody new", name, r.State)
		}
		_, err := tx.Exec(ctx, sqlShardWeigh, r.No, weight)
		return err
	})
	if err != nil {
		return m, fmt.Errorf("weigh shard %s: %w", name, err)
	}
	return m, nil
}

// Drain begins to move everybody away from a shard. Errors: NotFound, Busy; Conflict for
// the last active one.
func (s *Set) Drain(ctx context.Context, name string) (Migration, error) {
	m, err := s.alter(ctx, name, false, "drain "+name, func(ctx context.Context, tx *sqldb.Tx, r record) error {
		if r.State != Active {
			return errs.New(errs.Conflict, "shard %s is %s already", name, r.State)
		}
		_, err := tx.Exec(ctx, sqlShardState, r.No, string(Draining))
		return err
	})
	if err != nil {
		return m, fmt.Errorf("drain shard %s: %w", name, err)
	}
	return m, nil
}

// MarkLost gives a shard up for good: nobody looks there any more, and its owners, who
// begin anew elsewhere, must be brought back by Import. Only for what will not come back:
// what another process writes there until it hears of this is gone. Errors: NotFound,
// Busy; Conflict for the last active one.
func (s *Set) MarkLost(ctx context.Context, name string) (Migration, error) {
	m, err := s.alter(ctx, name, false, "lose "+name, func(ctx context.Context, tx *sqldb.Tx, r record) error {
		if r.State == Lost {
			return errs.New(errs.Conflict, "shard %s is given up already", name)
		}
		_, err := tx.Exec(ctx, sqlShardState, r.No, string(Lost))
		return err
	})
	if err != nil {
		return m, fmt.Errorf("give up shard %s: %w", name, err)
	}
	return m, nil
}

// alter changes one shard and the map.
func (s *Set) alter(ctx context.Context, name string, bounded bool, why string, fn func(ctx context.Context, tx *sqldb.Tx, r record) error) (Migration, error) {
	return s.change(ctx, bounded, func(ctx context.Context, tx *sqldb.Tx, records []record) (string, error) {
		r, err := (&directory{records: records}).named(name)
		if err == nil {
			err = fn(ctx, tx, r)
		}
		return why, err
	})
}

// Remove forgets a shard that is drained, with its grace over, or lost. Its database and
// bucket stay as they are, and are the operator's to delete. Errors: NotFound; Conflict
// for one that is in use; Busy.
func (s *Set) Remove(ctx context.Context, name string) error {
	if err := s.remove(ctx, name); err != nil {
		return fmt.Errorf("remove shard %s: %w", name, err)
	}
	return nil
}

func (s *Set) remove(ctx context.Context, name string) error {
	if err := s.reload(ctx); err != nil {
		return err
	}
	d := s.dir.Load()
	r, err := d.named(name)
	if err != nil {
		return err
	}
	switch r.State {
	case Lost:
	case Drained:
		if err := s.mayRemove(ctx, d, r); err != nil {
			return err
		}
	default:
		return errs.New(errs.Conflict, "shard %s is %s: drain it first", name, r.State)
	}
	err = s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		n, err := tx.Exec(ctx, sqlShardRemove, r.No, string(r.State))
		if err == nil && n == 0 {
			err = errs.New(errs.Conflict, "somebody else changed shard %s at the same moment", name)
		}
		if err == nil {
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

// mayRemove looks that nothing of anybody is on a shard, and lets who would be led there
// go straight to where it would lead them.
func (s *Set) mayRemove(ctx context.Context, d *directory, r record) error {
	at, err := d.shard(r.No)
	if err != nil {
		return err
	}
	if err := s.dropLeftovers(ctx, at); err != nil {
		return err
	}
	var held, left int64
	err = at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, sqlOwnersLeft).Scan(&held, &left)
	})
	if err != nil {
		return err
	}
	if held > 0 {
		return errs.New(errs.Conflict, "shard %s still holds %d owners", r.Name, held)
	}
	if left > 0 {
		return errs.TryAfter(time.Minute, "what %d owners left on shard %s is not erased yet: the time of grace is not over", left, r.Name)
	}
	for _, other := range s.Shards() {
		if other.No != r.No {
			if err := s.shorten(ctx, other, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropLeftovers lets go of copies on a shard that nobody goes on with.
func (s *Set) dropLeftovers(ctx context.Context, at *Shard) error {
	for after := ""; ; {
		list, err := at.owners(ctx, sqlOwnersComing, after, int64(planRows))
		if err != nil || len(list) == 0 {
			return err
		}
		for _, owner := range list {
			after = owner
			copy, found, err := at.standing(ctx, owner)
			if err != nil {
				return err
			}
			holder, st, known, err := s.locate(ctx, owner, copy.peer)
			if err != nil {
				return err
			}
			if !found || !known || holder.No == at.No || st.peer == at.No {
				continue
			}
			now := s.n.Clock.Now().UnixMicro()
			err = at.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, sqlOwnerAbandon, owner, copy.turn, holder.No, now)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
}

// shorten points the rows of a shard that lead to via to where via leads.
func (s *Set) shorten(ctx context.Context, on, via *Shard) error {
	for after := ""; ; {
		list, err := on.owners(ctx, sqlOwnersLed, via.No, after, int64(planRows))
		if err != nil || len(list) == 0 {
			return err
		}
		for _, owner := range list {
			st, found, err := via.standing(ctx, owner)
			if err != nil {
				return err
			}
			if !found || st.state != gone {
				return errs.New(errs.Conflict, "%s is led to shard %s, which does not know where they are", owner, via.Name)
			}
			err = on.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, sqlOwnerLead, owner, via.No, st.peer)
				return err
			})
			if err != nil {
				return err
			}
			after = owner
		}
	}
}

// owners returns the owners of a query.
func (at *Shard) owners(ctx context.Context, query string, args ...any) (list []string, err error) {
	err = at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var owner string
			if err := rows.Scan(&owner); err != nil {
				return err
			}
			list = append(list, owner)
		}
		return rows.Err()
	})
	return list, err
}

// Pin puts one owner on a shard for good, whatever the map says. Errors: NotFound; Busy;
// Conflict for a shard that is not active.
func (s *Set) Pin(ctx context.Context, owner, shard string) (Migration, error) {
	d := s.dir.Load()
	r, err := d.named(shard)
	if err == nil && r.State != Active {
		err = errs.New(errs.Conflict, "shard %s is %s, and gets nobody new", shard, r.State)
	}
	if err != nil {
		return Migration{}, err
	}
	m, err := s.sendAll(ctx, "pin "+owner+" to "+shard, []errand{{owner: owner, to: r.No, why: whyPin}})
	if err != nil {
		return m, fmt.Errorf("pin %s to shard %s: %w", owner, shard, err)
	}
	return m, nil
}

// Unpin lets the map say where an owner is. Errors: NotFound for one who has no pin; Busy.
func (s *Set) Unpin(ctx context.Context, owner string) (Migration, error) {
	if err := checkOwner(owner); err != nil {
		return Migration{}, err
	}
	var no int64
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, sqlPin, owner).Scan(&no)
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return Migration{}, errs.New(errs.NotFound, "%s has no pin", owner)
	}
	var m Migration
	if err == nil {
		m, err = s.sendAll(ctx, "unpin "+owner, []errand{{owner: owner, to: s.dir.Load().mapped(owner), why: whyMap}})
	}
	if err != nil {
		return m, fmt.Errorf("unpin %s: %w", owner, err)
	}
	return m, nil
}

// errand is one owner who is to go somewhere.
type errand struct {
	owner string
	to    int64
	why   string
}

// sendAll pins owners to where they are, and sends them. They exist from here on, so that
// no process makes one of them elsewhere.
func (s *Set) sendAll(ctx context.Context, why string, list []errand) (Migration, error) {
	type sent struct {
		errand
		at            int64
		photos, bytes int64
	}
	var all []sent
	for _, e := range list {
		one := sent{errand: e}
		err := s.Write(ctx, e.owner, nil, func(ctx context.Context, tx *sqldb.Tx, at *Shard, _ int64) error {
			st, _, err := readStanding(ctx, tx, e.owner)
			one.at, one.photos, one.bytes = at.No, st.photos, st.bytes
			return err
		})
		if err != nil {
			return Migration{}, err
		}
		all = append(all, one)
	}
	now := s.n.Clock.Now()
	id := ids.New(now)
	err := s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var epoch int64
		var snapshot []byte
		if err := tx.QueryRow(ctx, sqlMapCurrent).Scan(&epoch, &snapshot); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlMigrationMake, id, why, string(Planning), now.UnixMicro()); err != nil {
			return err
		}
		ideal := int64(0)
		var pins []pin
		for _, e := range all {
			ideal += e.bytes
			pins = append(pins, pin{owner: e.owner, shard: e.at, want: e.to, epoch: epoch, migration: id, why: e.why, photos: e.photos, bytes: e.bytes})
		}
		if err := putPins(ctx, tx, pins); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlMigrationPlanned, id, ideal); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlBump); err != nil {
			return err
		}
		return s.addJob(ctx, tx)
	})
	if err != nil {
		return Migration{}, err
	}
	s.announce(ctx)
	if err := s.reload(ctx); err != nil {
		return Migration{}, err
	}
	return s.Migration(ctx, id)
}

// Pinned is an owner who is elsewhere than the map says, or who is to move.
type Pinned struct {
	Owner     string
	Shard     string // where they are, or were when this was written
	Want      string // where they are to go; "": they stay
	Why       string // map, bound, drop, pin, balance
	Migration string
	Bytes     int64
	Tries     int64 // that failed
	Error     string
}

// Pins returns up to limit pins, by owner, after an owner.
func (s *Set) Pins(ctx context.Context, after string, limit int) (list []Pinned, err error) {
	records := s.dir.Load().records
	err = s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, sqlPinList, after, int64(min(max(limit, 1), 1000)))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var p Pinned
			var at, want int64
			if err := rows.Scan(&p.Owner, &at, &want, &p.Why, &p.Migration, &p.Bytes, &p.Tries, &p.Error); err != nil {
				return err
			}
			p.Shard, p.Want = nameOf(records, at), nameOf(records, want)
			list = append(list, p)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list pins: %w", err)
	}
	return list, nil
}
