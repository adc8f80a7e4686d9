package shard

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"plumb/base/errs"
	"plumb/engines/placement"
	"plumb/engines/sqldb"
)

// directory is what this process knows of the house: which may be old by now. Who follows
// it is told by the shards where it is wrong.
type directory struct {
	version int64
	epoch   int64
	place   *placement.Snapshot
	nodes   []int64          // shard number of each node of place
	records []record         // of all shards that were not removed, by number
	shards  map[int64]*Shard // those that are open, and not lost
	where   *hints
}

// maxHints bounds what is known of single owners; 64 Ki of them take some 8 MB.
const maxHints = 64 << 10

// hints are where owners are who are not where the map says: pins, and what was found out
// by following.
type hints struct {
	most     int
	mu       sync.RWMutex
	at       map[string]int64 // by owner; guarded by mu
	complete bool             // every pin is among them, so that an owner who is not has none; guarded by mu
}

func (h *hints) get(owner string) (no int64, known, complete bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	no, known = h.at[owner]
	return no, known, h.complete
}

// put makes room by forgetting any other, which can be looked up again.
func (h *hints) put(owner string, no int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.at[owner]; !known && len(h.at) >= h.most {
		for other := range h.at {
			delete(h.at, other)
			h.complete = false
			break
		}
	}
	h.at[owner] = no
}

func (h *hints) forget(owner string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.at, owner)
}

// home says where to look for an owner first. sure means that the map says so and no pin
// does, so that an owner who is not there is new.
func (d *directory) home(owner string) (no int64, sure bool) {
	no, known, complete := d.where.get(owner)
	if known {
		return no, false
	}
	return d.nodes[d.place.Place(owner)], complete
}

// mapped is where the map alone says that an owner belongs.
func (d *directory) mapped(owner string) int64 { return d.nodes[d.place.Place(owner)] }

// shard returns an open shard by its number. Errors: Busy.
func (d *directory) shard(no int64) (*Shard, error) {
	if s := d.shards[no]; s != nil {
		return s, nil
	}
	for _, r := range d.records {
		if r.No == no {
			return nil, errs.TryAfter(2*time.Second, "shard %s cannot be reached", r.Name)
		}
	}
	return nil, errs.TryAfter(time.Second, "shard number %d is not known here yet, or not any more", no)
}

func (d *directory) named(name string) (record, error) {
	for _, r := range d.records {
		if r.Name == name {
			return r, nil
		}
	}
	return record{}, errs.New(errs.NotFound, "there is no shard %.40q", name)
}

// reload compares the directory with the house's and reads it anew if it changed. Shards
// are opened that are not.
func (s *Set) reload(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return sqldb.ErrClosed
	}
	old := s.dir.Load()
	next, err := s.readDirectory(ctx, old)
	if err != nil {
		return err
	}
	opened := s.openMissing(ctx, next.records, next.epoch)
	if next == old && !opened {
		return nil
	}
	if next == old {
		changed := *old
		next = &changed
	}
	next.shards = map[int64]*Shard{}
	for _, r := range next.records {
		e := s.opened[r.No]
		if e == nil || e.err != nil || r.State == Lost {
			continue
		}
		at := &Shard{No: r.No, Name: r.Name, Weight: r.Weight, Domain: r.Domain, State: r.State,
			DB: e.db, CAS: e.cas, Links: e.links, Once: e.once, Bucket: e.bucket}
		if old != nil && old.shards[r.No] != nil && old.shards[r.No].same(at) {
			at = old.shards[r.No]
		}
		next.shards[r.No] = at
	}
	s.dir.Store(next)
	s.closeRemoved(next)
	return nil
}

// same says whether nothing changed.
func (at *Shard) same(b *Shard) bool {
	return at.Name == b.Name && at.Weight == b.Weight && at.Domain == b.Domain && at.State == b.State && at.DB == b.DB
}

// tryAgain is how long a shard that did not open is left alone: whoever waits for the map
// would wait for it too.
const tryAgain = 10 * time.Second

// openMissing opens shards that are not open, and says whether one is now. The caller
// holds the lock.
func (s *Set) openMissing(ctx context.Context, records []record, epoch int64) (some bool) {
	for _, r := range records {
		if e := s.opened[r.No]; r.State == Lost || e != nil && (e.err == nil || time.Since(e.tried) < tryAgain) {
			continue
		}
		e, err := s.openEngines(ctx, r)
		s.opened[r.No] = e
		if err == nil {
			// Below the current map's: of a shard that was away, or restored from a backup.
			err = raise(ctx, e.db, epoch)
		}
		if err != nil {
			s.n.Log.Warn("a shard cannot be used", "shard", r.Name, "err", err)
			continue
		}
		some = true
	}
	return some
}

// closeRemoved closes what is no shard any more. Who still uses it gets ErrClosed. The
// caller holds the lock.
func (s *Set) closeRemoved(d *directory) {
	for no, e := range s.opened {
		if _, there := d.shards[no]; there || e.err != nil {
			continue
		}
		delete(s.opened, no)
		s.work.Go(func() {
			if err := e.close(); err != nil {
				s.n.Log.Warn("a removed shard did not close", "shard", no, "err", err)
			}
		})
	}
}

// readDirectory reads the house's directory; it returns old when nothing changed since.
func (s *Set) readDirectory(ctx context.Context, old *directory) (*directory, error) {
	next := &directory{}
	var snapshot []byte
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if err := tx.QueryRow(ctx, sqlVersion).Scan(&next.version); err != nil {
			return err
		}
		if old != nil && old.version == next.version {
			next = old
			return nil
		}
		if next.records, err = readRecords(ctx, tx); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, sqlMapCurrent).Scan(&next.epoch, &snapshot); err != nil {
			return err
		}
		next.where, err = readPins(ctx, tx, s.hints)
		return err
	})
	if err != nil || next == old {
		return next, err
	}
	if next.place, err = placement.Parse(snapshot); err != nil {
		return nil, err
	}
	for _, n := range next.place.Nodes() {
		r, err := next.named(n.Name)
		if err != nil {
			return nil, errs.Wrap(errs.Internal, err, "the map names a shard that is not there")
		}
		next.nodes = append(next.nodes, r.No)
	}
	return next, nil
}

func readRecords(ctx context.Context, tx *sqldb.Tx) (list []record, err error) {
	rows, err := tx.Query(ctx, sqlShards)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r record
		var state string
		if err := rows.Scan(&r.No, &r.Name, &r.Weight, &r.Domain, &state, &r.SQL, &r.Bucket); err != nil {
			return nil, err
		}
		r.State = State(state)
		list = append(list, r)
	}
	return list, rows.Err()
}

// readPins reads as many pins as are kept.
func readPins(ctx context.Context, tx *sqldb.Tx, most int) (*hints, error) {
	h := &hints{most: most, at: map[string]int64{}, complete: true}
	rows, err := tx.Query(ctx, sqlPins, int64(most+1))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var owner string
		var no int64
		if err := rows.Scan(&owner, &no); err != nil {
			return nil, err
		}
		if len(h.at) == most {
			h.complete = false
			continue
		}
		h.at[owner] = no
	}
	return h, rows.Err()
}

// raise lifts a shard's fence to an epoch; it never falls.
func raise(ctx context.Context, db *sqldb.DB, epoch int64) error {
	return again(ctx, func() error {
		return db.BatchBy(ctx, lane, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, sqlRaise, epoch)
			return err
		})
	})
}

// pause waits before the next try, longer each time and never alike.
func pause(ctx context.Context, try int) error {
	select {
	case <-time.After(time.Millisecond + rand.N(time.Millisecond<<min(try+2, 8))):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
