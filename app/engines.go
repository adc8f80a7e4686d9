package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"plumb/base/clock"
	"plumb/engines/accounts"
	"plumb/engines/bucket"
	"plumb/engines/bus"
	"plumb/engines/cas"
	"plumb/engines/farm"
	"plumb/engines/fleet"
	"plumb/engines/hooks"
	"plumb/engines/jobs"
	"plumb/engines/links"
	"plumb/engines/once"
	"plumb/engines/sqldb"
)

// jobPoll is how soon a job is seen where nobody announces it: an idle house
// should not be seen to work.
const jobPoll = 500 * time.Millisecond

// engines are the machines that the rooms stand on, open.
type engines struct {
	clock    clock.Clock
	log      *slog.Logger
	db       *sqldb.DB
	blobs    bucket.Bucket
	bus      bus.Bus
	accounts *accounts.Accounts
	jobs     *jobs.Queue
	once     *once.Once
	fleet    *fleet.Fleet
	links    *links.Links
	cas      *cas.Store
	hooks    *hooks.Hooks
	pool     *farm.Pool // nil before a room asks for it
	key      []byte     // the house's
	tmp      string     // for what is on its way

	closers []func() error // in opening order
}

// openEngines opens them in floor order. What was opened is closed when a later
// one fails.
func openEngines(ctx context.Context, cfg Config, folder *Folder, log *slog.Logger) (e *engines, err error) {
	e = &engines{clock: clock.System{}, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	key, err := folder.Key(cfg.KeyFile)
	if err != nil {
		return e, err
	}
	e.key, e.tmp = key, filepath.Join(folder.Path, "tmp")
	dbURL, blobURL := "sqlite:"+filepath.Join(folder.Path, "plumb.db"), "dir:"+filepath.Join(folder.Path, "blobs")
	if cfg.Clustered() {
		dbURL, blobURL = cfg.SQL, cfg.Bucket
	}
	if e.db, err = sqldb.Open(ctx, dbURL, sqldb.Options{NoSync: cfg.NoSync, Clock: e.clock}); err != nil {
		return e, err
	}
	e.onClose(e.db.Close)
	if e.blobs, err = bucket.Open(ctx, blobURL); err != nil {
		return e, fmt.Errorf("open the blobs: %w", err)
	}
	e.bus = bus.Memory()
	if cfg.NATS != "" {
		if e.bus, err = bus.NATS(ctx, cfg.NATS); err != nil {
			return e, fmt.Errorf("open the bus: %w", err)
		}
	}
	e.onClose(e.bus.Close)
	if e.accounts, err = accounts.New(ctx, accounts.Needs{DB: e.db, Bus: e.bus, Clock: e.clock, Log: log}); err != nil {
		return e, fmt.Errorf("open the accounts: %w", err)
	}
	e.onClose(func() error { e.accounts.Close(); return nil })
	if token := os.Getenv("PLUMB_ADMIN_TOKEN"); token != "" {
		if err = e.accounts.SetAdminToken(ctx, token); err != nil {
			return e, fmt.Errorf("PLUMB_ADMIN_TOKEN: %w", err)
		}
	}
	if e.jobs, err = jobs.Open(ctx, e.db, jobs.Config{Log: log, Clock: e.clock, Poll: jobPoll}); err != nil {
		return e, fmt.Errorf("open the jobs: %w", err)
	}
	if e.hooks, err = hooks.Open(ctx, hooks.Needs{DB: e.db, Jobs: e.jobs, Clock: e.clock, Log: log}); err != nil {
		return e, err
	}
	e.onClose(e.hooks.Close)
	if e.once, err = once.New(ctx, e.db, key); err != nil {
		return e, fmt.Errorf("open the kept answers: %w", err)
	}
	if e.fleet, err = fleet.Open(ctx, fleet.Needs{DB: e.db, Bus: e.bus, Clock: e.clock, Log: log}); err != nil {
		return e, fmt.Errorf("open the fleet: %w", err)
	}
	e.onClose(e.fleet.Close)
	if e.links, err = links.Open(ctx, links.Needs{DB: e.db, Clock: e.clock, Passwords: e.accounts}); err != nil {
		return e, err
	}
	if e.cas, err = openContents(ctx, cfg.CAS, folder, key, e); err != nil {
		return e, fmt.Errorf("open the contents: %w", err)
	}
	e.onClose(e.cas.Close)
	return e, nil
}

// farm returns the children that work on what nobody should trust, for the rooms that
// have such work. They are started when there is some.
func (e *engines) farm() (*farm.Pool, error) {
	if e.pool != nil {
		return e.pool, nil
	}
	if err := os.MkdirAll(e.tmp, 0o700); err != nil {
		return nil, fmt.Errorf("open the farm: %w", err)
	}
	pool, err := farm.New(farm.Options{Args: []string{FarmWord}, Nice: 5, Dir: e.tmp, Clock: e.clock, Log: e.log})
	if err != nil {
		return nil, fmt.Errorf("open the farm: %w", err)
	}
	e.pool = pool
	e.onClose(pool.Close)
	return pool, nil
}

// openContents opens the store of contents in the house's bucket.
func openContents(ctx context.Context, c Contents, folder *Folder, key []byte, e *engines) (*cas.Store, error) {
	n := cas.Needs{DB: e.db, Bucket: e.blobs, Key: key, Clock: e.clock, Log: e.log}
	// A data folder has one process, and so has its store.
	o := cas.Options{Plain: c.Plain, VerifyOnHit: c.VerifyOnHit, Alone: !e.db.Postgres()}
	if o.Cache = c.Cache; o.Cache == 0 {
		o.Cache = -1
	}
	if c.KeyFile != "" {
		own, err := folder.Key(c.KeyFile)
		if err != nil {
			return nil, err
		}
		n.Key = own
	}
	if c.OldKeyFile != "" {
		old, err := folder.Key(c.OldKeyFile)
		if err != nil {
			return nil, err
		}
		n.Old = append(n.Old, old)
	}
	if c.Replica != "" {
		replica, err := bucket.Open(ctx, c.Replica)
		if err != nil {
			return nil, fmt.Errorf("open the replica: %w", err)
		}
		o.Replica = replica
	}
	return cas.Open(ctx, n, o)
}

func (e *engines) onClose(fn func() error) { e.closers = append(e.closers, fn) }

// close closes in reverse order.
func (e *engines) close() error {
	var all []error
	for i := len(e.closers) - 1; i >= 0; i-- {
		all = append(all, e.closers[i]())
	}
	return errors.Join(all...)
}

// health answers for each engine, for /readyz and the pages' foot.
func (e *engines) health(ctx context.Context) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	h := map[string]error{
		"database": e.db.Ping(ctx),
		"bus":      e.bus.Ping(ctx),
	}
	_, h["blobs"] = e.blobs.List(ctx, "", "", 1) // finds a lost folder or bucket too
	return h
}
