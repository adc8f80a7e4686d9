package shard

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/bucket"
	"plumb/engines/placement"
	"plumb/engines/sqldb"
)

// subject announces that shards, maps or pins have changed; what changed is in the house's
// database.
const subject = "photos.shards"

// Set is all shards of a house. It is safe for concurrent use.
type Set struct {
	n       Needs
	c       Config
	tables  []tableText
	process string // names this Set in the counts of load
	house   string // the house's own name, which its shards know too
	hintKey []byte
	blobs   bucket.Bucket // the house's; nil where shards lie in folders
	dir     atomic.Pointer[directory]
	rate    *throttle
	doors   *doors
	boards  boards

	measures measures

	mu     sync.Mutex         // of who changes dir or opened
	opened map[int64]*engines // by number; guarded by mu
	closed bool               // guarded by mu

	hints int                     // maxHints
	hold  time.Duration           // leaseTime
	leave time.Duration           // how long a write waits for a switch before it calls it off
	hook  func(step string) error // for tests: called before each step of a move and of a change of the map

	knock   chan struct{}   // wakes the background
	closing context.Context // done when the set is being closed
	cancel  context.CancelFunc
	work    sync.WaitGroup
}

func (c Config) withDefaults() Config {
	if c.Strategy == "" {
		c.Strategy = "hash"
	}
	if c.Grace == 0 {
		c.Grace = DefaultGrace
	}
	if c.Movers <= 0 {
		c.Movers = 4
	}
	if c.Cache == 0 {
		c.Cache = 16 << 20
	}
	if c.Refresh <= 0 {
		c.Refresh = 3 * time.Second
	}
	return c
}

// Open opens the shards; the first start makes the shard "first". A shard that does not
// answer is tried again in the background, and whoever is there is told to come again. Errors: Invalid Needs;
// Conflict when a place belongs to another house or shard.
func Open(ctx context.Context, n Needs, c Config) (*Set, error) {
	s, err := open(ctx, n, c.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("open the shards: %w", err)
	}
	return s, nil
}

func open(ctx context.Context, n Needs, c Config) (*Set, error) {
	if n.Clock == nil {
		n.Clock = clock.System{}
	}
	if n.Log == nil {
		n.Log = slog.New(slog.DiscardHandler)
	}
	s := &Set{n: n, c: c, process: ids.New(n.Clock.Now()), opened: map[int64]*engines{}, knock: make(chan struct{}, 1), hold: leaseTime, leave: switchTime + time.Second, hints: maxHints,
		rate: newThrottle(n.Clock, c.Throttle), doors: newDoors(), measures: newMeasures()}
	var err error
	if s.tables, err = texts(n.Tables); err != nil {
		return nil, err
	}
	if s.hintKey, err = hkdf.Key(sha256.New, n.Key, nil, "plumb photos link hints v1", 32); err != nil {
		return nil, fmt.Errorf("derive the key for hints: %w", err)
	}
	if n.Bucket != "" {
		if s.blobs, err = bucket.Open(ctx, n.Bucket); err != nil {
			return nil, err
		}
	}
	schema, err := fs.Sub(schemas, "schema/house")
	if err != nil {
		return nil, err
	}
	if err := n.DB.Migrate(ctx, "photos_house", schema); err != nil {
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	if err := s.reload(ctx); err != nil {
		s.closeAll()
		return nil, err
	}
	if err := s.errOpen(); err != nil {
		s.closeAll()
		return nil, err
	}
	s.start()
	return s, nil
}

// begin makes the house's own row, the first shard and the first map, if there are none.
func (s *Set) begin(ctx context.Context) error {
	first, err := placement.New(s.c.Strategy, []placement.Node{{Name: FirstName, Weight: 1}})
	if err != nil {
		return err
	}
	snapshot, err := first.MarshalBinary()
	if err != nil {
		return err
	}
	now := s.n.Clock.Now()
	house := ids.New(now)
	return s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		made, err := tx.Exec(ctx, sqlStateMake, house)
		if err != nil || made == 0 {
			s.house = ""
			if err == nil {
				err = tx.QueryRow(ctx, sqlHouse).Scan(&s.house)
			}
			return err
		}
		s.house = house
		if _, err := tx.Exec(ctx, sqlShardMake, int64(1), FirstName, float64(1), "", string(Active), "", "", now.UnixMicro()); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, sqlMapMake, int64(1), mapCurrent, snapshot, "", int64(0), "", int64(0), now.UnixMicro())
		return err
	})
}

// FirstName is what the shard of the first start is called.
const FirstName = "first"

// errOpen is why a shard did not open, where trying again would not help.
func (s *Set) errOpen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.opened {
		if e.err != nil && !errs.Is(e.err, errs.Busy) {
			return e.err
		}
	}
	return nil
}

// start begins what goes on in the background.
func (s *Set) start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.closing = ctx
	stop := func() {}
	if s.n.Bus != nil {
		var err error
		stop, err = s.n.Bus.Subscribe(subject, func(string, []byte) { s.nudge() })
		if err != nil {
			s.n.Log.Warn("changes of the shards are noticed later, because they are not heard", "err", err)
			stop = func() {}
		}
	}
	s.cancel = func() { stop(); cancel() }
	s.work.Go(func() { s.background(ctx) })
}

func (s *Set) nudge() {
	select {
	case s.knock <- struct{}{}:
	default:
	}
}

// background follows the map, finishes a change of it that somebody left, opens shards
// that did not answer, and writes the counts of load.
func (s *Set) background(ctx context.Context) {
	tick := time.NewTicker(s.c.Refresh)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.knock:
		case <-tick.C:
			if err := s.flushLoad(ctx); err != nil && ctx.Err() == nil {
				s.n.Log.Warn("the load of the shards was not counted", "err", err)
			}
		}
		if err := s.reload(ctx); err != nil && ctx.Err() == nil {
			s.n.Log.Warn("the map of the shards could not be read", "err", err)
			continue
		}
		if err := s.finishPending(ctx); err != nil && ctx.Err() == nil {
			s.n.Log.Warn("a change of the map of the shards is not finished yet", "err", err)
		}
	}
}

// Close ends what goes on in the background, and closes the shards.
func (s *Set) Close() {
	s.cancel()
	s.work.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.flushLoad(ctx); err != nil {
		s.n.Log.Debug("the last load was not counted", "err", err)
	}
	s.closeAll()
}

func (s *Set) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for no, e := range s.opened {
		if err := e.close(); err != nil {
			s.n.Log.Warn("a shard did not close", "shard", no, "err", err)
		}
	}
	clear(s.opened)
}

// step is where tests look in.
func (s *Set) step(name string) error {
	if s.hook == nil {
		return nil
	}
	return s.hook(name)
}

// patience is how long a Read or Write waits for a change of the map or a switch, and
// for writers of other processes.
const patience = 10 * time.Second

func (s *Set) houseWrite(ctx context.Context, fn sqldb.Fn) error {
	return again(ctx, func() error { return s.n.DB.BatchBy(ctx, lane, fn) })
}

// lane is the line of all writers of the room to one shard in this process: they change
// the same rows (contents, counts), which two groups might lock in opposite orders.
const lane = "photos"

// write is one transaction on a shard, tried again while others are first.
func (at *Shard) write(ctx context.Context, fn sqldb.Fn) error {
	return again(ctx, func() error { return at.DB.BatchBy(ctx, lane, fn) })
}

// own is an error that a transaction's fn returned: not the database's to try again.
type own struct{ error }

func (e own) Unwrap() error { return e.error }

// again calls fn until it is not too busy, with pauses that grow and differ.
func again(ctx context.Context, fn func() error) error {
	end := time.Now().Add(patience)
	for try := 0; ; try++ {
		err := fn()
		if err == nil || !errs.Is(err, errs.Busy) || errors.As(err, new(*detour)) || errors.As(err, new(own)) ||
			sqldb.IsFull(err) || sqldb.IsAway(err) || time.Now().After(end) {
			return err
		}
		if pause(ctx, try) != nil {
			return err
		}
	}
}
