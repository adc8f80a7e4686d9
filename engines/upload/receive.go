package upload

import (
	"context"
	"errors"
	"net/http"
	"time"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/engines/web"
)

// receiving is one request's body on its way into an upload.
type receiving struct {
	e    *Engine
	r    *row // its Offset moves on
	hold *hold
	body *body
	sum  *checksum      // nil: what arrives is kept at once
	held []*cas.Pending // waits for the checksum
	size int64          // of held
}

// receive takes a body into an upload whose lease is held, and brings the upload to
// its end when all bytes are there. In every case the lease is given back. ctx must
// outlast the connection: what arrived is kept.
func (e *Engine) receive(ctx context.Context, r *row, lease string, b *body, sum *checksum) error {
	in := &receiving{e: e, r: r, body: b, sum: sum}
	in.hold = e.hold(ctx, r.ID, lease, func() bool { return b.idle(e.o.Stall) })
	err := in.run(ctx)
	in.hold.end()
	b.close()
	for _, p := range in.held {
		p.Close()
	}
	if r.state == done {
		return err
	}
	if err == nil && r.unfinished() {
		return e.finish(ctx, r, lease)
	}
	if r.lease != "" {
		e.release(ctx, r.ID, lease)
	}
	return err
}

// run takes piece after piece.
func (in *receiving) run(ctx context.Context) error {
	for in.body.wait() {
		if err := in.piece(ctx); err != nil {
			return err
		}
	}
	if in.sum != nil {
		// A body that was cut off has no checksum, whatever arrived of it.
		if in.body.err != nil {
			return in.cut()
		}
		if err := in.sum.check(); err != nil {
			return err
		}
		if err := in.keep(ctx, in.held, false); err != nil {
			return err
		}
	}
	if in.body.err != nil && !in.r.full() {
		return in.cut()
	}
	return nil
}

// cut is the answer, which hardly anybody reads, to a body that ended early.
func (in *receiving) cut() error {
	return web.Malformed(errs.Wrap(errs.Invalid, in.body.err, "the body ended before its end; the upload is at offset %d", in.r.Offset))
}

// piece takes one piece of the body; at least a byte of it is there.
func (in *receiving) piece(ctx context.Context) error {
	e, room := in.e, in.room()
	if room <= 0 {
		return in.past()
	}
	if in.r.until-e.n.Clock.Now().UnixMicro() < e.o.Lease.Microseconds()/2 {
		if in.r.until = in.hold.until(); !in.hold.renew(ctx) {
			return errLost
		}
	}
	part := &piece{b: in.body, left: min(room, e.o.Piece), lost: &in.hold.lost, sum: in.sum}
	if in.sum == nil {
		part.stall, part.until = e.o.Stall, e.n.Clock.Now().Add(e.o.Span)
	}
	p, err := e.n.CAS.Put(ctx, part, cas.PutOptions{Limit: e.o.Piece})
	if err != nil {
		if errors.Is(err, errLost) {
			return errLost
		}
		return err
	}
	in.held = append(in.held, p)
	in.size += p.Size()
	// What comes after the last byte would be lost without a word.
	if in.room() == 0 && in.body.wait() {
		return in.past()
	}
	if in.sum != nil {
		return nil
	}
	in.body.poll()
	err = in.keep(ctx, in.held, part.stalled)
	p.Close()
	in.held, in.size = nil, 0
	return err
}

// most is how many bytes the upload may have.
func (r *row) most() int64 {
	if r.Length >= 0 {
		return r.Length
	}
	return r.Limit
}

// room is how many bytes may still come.
func (in *receiving) room() int64 {
	room := in.r.most() - in.r.Offset - in.size
	if in.sum != nil {
		room = min(room, MaxChecked-in.size)
	}
	return room
}

func (in *receiving) past() error {
	if in.sum != nil && in.size >= MaxChecked {
		return refuse(http.StatusRequestEntityTooLarge, "a body with a checksum may have %d bytes", MaxChecked)
	}
	return errPast(in.r.most())
}

// keep makes pieces durable and moves the offset on. Where they are the last of the
// body, or the body pauses, the lease goes with the same transaction.
func (in *receiving) keep(ctx context.Context, pieces []*cas.Pending, pauses bool) error {
	e, r := in.e, in.r
	size := int64(0)
	for _, p := range pieces {
		size += p.Size()
	}
	if size == 0 {
		return nil
	}
	full := r.Offset+size == r.Length
	var refused error
	if full && r.Kind == Normal && len(pieces) == 1 && r.Offset == 0 {
		// All in one piece: it already is the content.
		if refused = e.end(ctx, r, in.hold.lease, pieces[0]); refused == nil || errors.Is(refused, errLost) {
			return refused
		}
	}
	until := in.hold.until()
	if pauses || in.body.ended && !(full && r.Kind != Partial) {
		until = 0
	}
	err := e.n.DB.BatchBy(ctx, e.lane(pieces[0]), func(ctx context.Context, tx *sqldb.Tx) error {
		return e.advance(ctx, tx, r.ID, in.hold.lease, r.Offset, pieces, until)
	})
	if err != nil {
		return err
	}
	r.Offset += size
	r.Expires = e.n.Clock.Now().Add(e.o.Keep).Truncate(time.Microsecond)
	r.until = until
	if refused != nil {
		e.failed(ctx, r, in.hold.lease, refused)
	}
	if refused != nil || in.body.ended && until == 0 {
		r.lease = "" // nothing to give back
	}
	return refused
}
