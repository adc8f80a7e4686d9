package upload

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"plumb/base/ids"
	"plumb/engines/sqldb"
)

// pollEvery is how often one who waits for a lease looks.
const pollEvery = 50 * time.Millisecond

// by is the key under which an upload's transactions wait in line.
func by(id string) string { return "upload/" + id }

// find returns an upload of an owner, whatever its state.
func (e *Engine) find(ctx context.Context, owner, id string) (*row, error) {
	if !isID(id) {
		return nil, errNone()
	}
	var r *row
	err := e.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		r, err = load(ctx, tx, e.n.Realm, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, e.standing(r, owner)
}

// standing refuses an upload that is not there for the owner, or not any more.
func (e *Engine) standing(r *row, owner string) error {
	switch {
	case r == nil || r.Owner != owner:
		return errNone()
	case r.state == gone, r.state == open && e.late(r):
		return errGone()
	}
	return nil
}

// late says whether an upload's time is over. One that is being written to lives.
func (e *Engine) late(r *row) bool {
	now := e.n.Clock.Now()
	return !now.Before(r.Expires) && r.until <= now.UnixMicro()
}

// freed ends the leases of a process that died. On SQLite one process has the data, so
// that nobody else can hold one; on PostgreSQL they end with their time.
func (e *Engine) freed(ctx context.Context) error {
	if e.n.DB.Postgres() {
		return nil
	}
	err := e.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, freedSQL, e.n.Realm)
		return err
	})
	if err != nil {
		return fmt.Errorf("free the uploads of %s: %w", e.n.Realm, err)
	}
	return nil
}

// patient calls try until it returns another error than errLost, or for as long as a
// request may wait for another one. One that waits for an upload to be brought to its
// end waits until a writer that died must have lost its lease too.
func (e *Engine) patient(ctx context.Context, r **row, try func() error) error {
	begun := e.n.Clock.Now()
	for {
		err := try()
		wait := e.o.Patience
		if *r != nil && (*r).unfinished() {
			wait += e.o.Lease
		}
		if err != errLost || e.n.Clock.Now().Sub(begun) >= wait {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.n.Clock.After(pollEvery):
		}
	}
}

// take takes the lease of an open upload if its offset is still that of r, and sets
// its length if that was not known. It returns the lease, or errLost.
func (e *Engine) take(ctx context.Context, r *row, length int64) (string, error) {
	lease, n := ids.Token(), int64(0)
	now := e.n.Clock.Now()
	err := e.n.DB.BatchBy(ctx, by(r.ID), func(ctx context.Context, tx *sqldb.Tx) (err error) {
		n, err = tx.Exec(ctx, takeSQL, r.ID, lease, now.Add(e.o.Lease).UnixMicro(), length, now.UnixMicro(), r.Offset)
		return err
	})
	if err == nil && n == 0 {
		err = errLost
	}
	return lease, err
}

// hold is a lease while somebody works under it.
type hold struct {
	e     *Engine
	id    string
	lease string
	lost  atomic.Bool
	idle  func() bool // nil: never
	quit  chan struct{}
	ended sync.WaitGroup
}

// hold keeps a lease until release, but not while idle says that nothing happens: a
// connection that hangs must not keep others out.
func (e *Engine) hold(ctx context.Context, id, lease string, idle func() bool) *hold {
	h := &hold{e: e, id: id, lease: lease, idle: idle, quit: make(chan struct{})}
	h.ended.Go(func() {
		for {
			select {
			case <-h.quit:
				return
			case <-e.n.Clock.After(e.o.Lease / 3):
			}
			if idle == nil || !idle() {
				h.renew(ctx)
			}
		}
	})
	return h
}

// renew says whether the lease is still ours. That it could not be found out is no
// loss: the next commit looks again.
func (h *hold) renew(ctx context.Context) bool {
	n, until := int64(1), h.until()
	err := h.e.n.DB.BatchBy(ctx, by(h.id), func(ctx context.Context, tx *sqldb.Tx) (err error) {
		n, err = tx.Exec(ctx, renewSQL, h.id, h.lease, until)
		return err
	})
	if err == nil && n == 0 {
		h.lost.Store(true)
	}
	return !h.lost.Load()
}

func (h *hold) until() int64 { return h.e.n.Clock.Now().Add(h.e.o.Lease).UnixMicro() }

// end stops renewing; the lease stays.
func (h *hold) end() {
	close(h.quit)
	h.ended.Wait()
}

// writes notes that a request of this process brings bytes, from before it has the
// lease until it is answered.
func (e *Engine) writes(id string) (ended func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.writing[id]++
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.writing[id]--; e.writing[id] == 0 {
			delete(e.writing, id)
		}
	}
}

// written says whether the upload is being written to, or is about to be.
func (e *Engine) written(r *row) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return r.until > e.n.Clock.Now().UnixMicro() || e.writing[r.ID] > 0
}

// release lets others have the upload at once. Where that fails they wait for the
// lease's time.
func (e *Engine) release(ctx context.Context, id, lease string) {
	err := e.n.DB.BatchBy(ctx, by(id), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, releaseSQL, id, lease)
		return err
	})
	if err != nil {
		e.n.Log.Warn("an upload's lease was not given back", "upload", shorten(id), "error", err)
	}
}

// shorten returns enough of an id to find it in a log, and too little to use it.
func shorten(id string) string { return id[:min(8, len(id))] }

// locked is errLost for an upload whose bytes are all there.
func locked(r *row) error {
	if r.full() {
		return &fault{http.StatusLocked, "the upload is being brought to its end", "1"}
	}
	return errLost
}
