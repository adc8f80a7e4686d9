package upload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
)

const (
	dropMost = 256 // segments given back in one transaction
	readMost = 256 // segments looked up at once
)

// ended brings a whole upload to its end: its segments are read as one content, which
// the room takes. The lease must be held, and is given back.
func (e *Engine) ended(ctx context.Context, r *row, lease string) error {
	h := e.hold(ctx, r.ID, lease, nil)
	err := e.finished(ctx, r, h)
	h.end()
	if err == nil {
		return nil
	}
	if errors.Is(err, errLost) {
		return errLost
	}
	e.failed(ctx, r, lease, err)
	return err
}

// settle waits until a whole upload is brought to its end by whoever is at it, and does
// it where nobody is. errLost: it takes longer than a request may wait.
func (e *Engine) settle(ctx context.Context, r *row) error {
	return e.patient(ctx, &r, func() error {
		now, err := e.find(ctx, r.Owner, r.ID)
		if err != nil {
			return err
		}
		*r = *now
		switch {
		case !r.unfinished():
			return nil
		case r.until > e.n.Clock.Now().UnixMicro():
			return errLost
		}
		lease, err := e.take(ctx, r, r.Length)
		if err != nil {
			return err
		}
		return e.ended(ctx, r, lease)
	})
}

// finish is ended, or waits where another took the lease over meanwhile.
func (e *Engine) finish(ctx context.Context, r *row, lease string) error {
	err := e.ended(ctx, r, lease)
	if errors.Is(err, errLost) {
		return e.settle(ctx, r)
	}
	return err
}

func (e *Engine) finished(ctx context.Context, r *row, h *hold) error {
	src := &joined{ctx: ctx, e: e, ids: []string{r.ID}, lost: h.lost.Load}
	if r.Kind == Final {
		src.ids = r.parts
	}
	defer src.close()
	p, err := e.n.CAS.Put(ctx, src, cas.PutOptions{Limit: max(r.Length, 1)})
	if errors.Is(err, errLost) {
		return errLost
	}
	if err != nil {
		return fmt.Errorf("end upload %s: %w", shorten(r.ID), err)
	}
	defer p.Close()
	if p.Size() != r.Length {
		// Only a part that was terminated meanwhile can be missing.
		return errs.New(errs.Conflict, "parts of this upload are gone: of %d bytes %d are left", r.Length, p.Size())
	}
	if err := e.end(ctx, r, h.lease, p); err != nil {
		return err
	}
	// What the transaction left of a long upload; the job does it otherwise.
	if err := e.dropAll(ctx, r.ID); err != nil {
		e.n.Log.Warn("pieces of an ended upload are left for later", "upload", shorten(r.ID), "error", err)
	}
	return nil
}

// end lets the room take the content, in the transaction that ends the upload.
func (e *Engine) end(ctx context.Context, r *row, lease string, p *cas.Pending) error {
	now := e.n.Clock.Now()
	known := now.Add(e.o.Known).UnixMicro()
	u := r.Upload
	u.Offset = u.Length
	var committed func()
	err := e.n.DB.BatchBy(ctx, e.lane(p), func(ctx context.Context, tx *sqldb.Tx) error {
		n, err := tx.Exec(ctx, doneSQL, r.ID, lease, known)
		if err != nil {
			return err
		}
		if n == 0 {
			return errLost
		}
		if committed, err = e.n.Finish(ctx, tx, u, p); err != nil {
			return err
		}
		for _, part := range r.parts {
			if _, err := tx.Exec(ctx, usedSQL, part, known); err != nil {
				return err
			}
		}
		_, err = e.drop(ctx, tx, r.ID, dropMost)
		return err
	})
	if err != nil {
		return err
	}
	r.state, r.Offset, r.lease = done, r.Length, ""
	r.Expires = time.UnixMicro(known).UTC()
	if committed != nil {
		committed()
	}
	return nil
}

// lane is where a transaction that takes content waits.
func (e *Engine) lane(p *cas.Pending) string { return cmp.Or(e.n.Lane, p.Lane()) }

// failed notes that an ending failed, gives the lease back, and says when the job may
// try again: later each time, and not at all where only the client can help.
func (e *Engine) failed(ctx context.Context, r *row, lease string, cause error) {
	wait := time.Minute << min(r.tries, 6)
	switch errs.KindOf(cause) {
	case errs.Invalid, errs.Denied, errs.NotFound, errs.Conflict, errs.TooLarge, errs.Stale, errs.Barred:
		wait = e.o.Keep
	}
	at := e.n.Clock.Now().Add(wait).UnixMicro()
	err := e.n.DB.BatchBy(ctx, by(r.ID), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, failedSQL, r.ID, lease, at)
		return err
	})
	e.n.Log.Warn("an upload was not brought to its end", "upload", shorten(r.ID), "error", cause, "noted", err == nil)
}

// dropAll gives back all segments of an upload, in bounded transactions.
func (e *Engine) dropAll(ctx context.Context, id string) error {
	for {
		var n int
		err := e.n.DB.BatchBy(ctx, by(id), func(ctx context.Context, tx *sqldb.Tx) (err error) {
			n, err = e.drop(ctx, tx, id, dropMost)
			return err
		})
		if err != nil || n < dropMost {
			return err
		}
	}
}

// joined reads the segments of uploads one after the other.
type joined struct {
	ctx  context.Context
	e    *Engine
	ids  []string // whose segments are still to come
	next int64    // offset in the first of ids
	list []segment
	cur  *cas.Reader
	lost func() bool // the lease is another's
}

// Read implements io.Reader.
func (j *joined) Read(b []byte) (int, error) {
	for {
		if j.cur == nil {
			if err := j.open(); err != nil {
				return 0, err
			}
		}
		n, err := j.cur.Read(b)
		if err == io.EOF {
			err = j.cur.Close()
			j.cur = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// open opens the next segment; io.EOF when there is none.
func (j *joined) open() error {
	if j.lost() {
		return errLost
	}
	for len(j.list) == 0 {
		if len(j.ids) == 0 {
			return io.EOF
		}
		err := j.e.n.DB.Read(j.ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			j.list, err = segments(ctx, tx, j.ids[0], j.next, readMost)
			return err
		})
		if err != nil {
			return err
		}
		if len(j.list) == 0 {
			j.ids, j.next = j.ids[1:], 0
		}
	}
	s := j.list[0]
	if s.start != j.next {
		return errs.New(errs.Internal, "an upload has a gap from %d to %d", j.next, s.start)
	}
	r, err := j.e.n.CAS.Open(j.ctx, s.hash)
	if err != nil {
		return err
	}
	if r.Size() != s.size {
		r.Close()
		return errs.New(errs.Internal, "a piece at %d has %d bytes and not %d", s.start, r.Size(), s.size)
	}
	j.cur, j.list, j.next = r, j.list[1:], j.next+s.size
	return nil
}

func (j *joined) close() {
	if j.cur != nil {
		j.cur.Close()
	}
}
