// Package upload takes uploads that survive: the tus protocol 1.0.0 (https://tus.io)
// with creation, creation-with-upload, creation-defer-length, checksum,
// checksum-trailer, termination, expiration and concatenation.
//
//	up, err := upload.New(ctx, upload.Needs{DB: db, CAS: store, Clock: clock.System{}, Log: log, Realm: "files",
//		Begin:  s.mayUpload, // before the first byte: name, rights, quota
//		Finish: s.uploaded,  // in the transaction that ends the upload: make the file's row
//	}, upload.Options{})
//	api.Add(up.Routes("/api/v1/files/tus/", web.Person)...)
//	queue.Register(up.Work()...)
//
// A body is cut into pieces of up to 8 MiB or a few seconds; each is put into the
// content store while it streams and is made durable, with the new offset, in one
// transaction. When the last byte is there, the pieces are read once as one content,
// and the room takes it in the same transaction that ends the upload.
//
// What holds:
//
//   - The offset that a client is told is durable. A kill -9 or a power cut loses at
//     most the piece in flight; a cut connection loses nothing that arrived.
//   - Bytes with an Upload-Checksum are kept if and only if all of them match it.
//   - Of several that write to one upload at once, in however many processes, one
//     wins at each offset, and no byte is kept twice or out of order. Whoever dies
//     blocks the others for Options.Lease at most, whoever stalls for Options.Stall.
//   - Finish commits at most once for each upload. Where the process dies before it,
//     the next HEAD or PATCH, or the periodic job, takes the ending up again.
//   - An upload is its owner's alone: for all others it does not exist.
//   - What ends without a file (expired, terminated, used up) gives back each of its
//     references, in bounded transactions.
package upload

import (
	"cmp"
	"context"
	"embed"
	"log/slog"
	"sync"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/cas"
	"plumb/engines/once"
	"plumb/engines/sqldb"
	"plumb/engines/web"
)

//go:embed schema/*.sql
var schema embed.FS

// Limits of every upload.
const (
	MaxMeta    = 4 << 10 // bytes of Upload-Metadata
	MaxOpen    = 1000    // open uploads of one owner
	MaxParts   = 1000    // partial uploads in a final one
	MaxChecked = 1 << 30 // bytes of a body with a checksum: they wait for it unseen
)

// Kinds of uploads.
const (
	Normal  = "normal"
	Partial = "partial" // goes into final ones; the room never gets it by itself
	Final   = "final"   // consists of partial ones
)

// Upload is one upload.
type Upload struct {
	ID      string // unguessable
	Owner   string // a person's id; a machine's is "machine:" and its id
	Kind    string // Normal, Partial or Final
	Length  int64  // bytes of the whole; -1 until the client knows
	Offset  int64  // bytes that arrived
	Limit   int64  // bytes that it may have: Begin may lower it, for a length that is not known yet
	Meta    map[string]string
	Made    time.Time
	Expires time.Time
}

// Needs is what the engine is given.
type Needs struct {
	DB    *sqldb.DB
	CAS   *cas.Store
	Once  *once.Once // nil: an Idempotency-Key is not honoured
	Clock clock.Clock
	Log   *slog.Logger
	Realm string // the room; its uploads are apart from others'

	// Begin refuses an upload before its first byte; nil refuses none. It is
	// asked again when a length becomes known that was not at first. Partial
	// uploads carry no name. Its error is the client's answer.
	Begin func(ctx context.Context, who web.Who, u *Upload) error
	// Finish takes the content of a whole upload (normal or final) into the room,
	// in the transaction that ends the upload; it takes its own reference
	// (cas.Store.Take). It may run again when the transaction does. Its error is
	// the client's answer; the upload stays, and its ending is tried again. What it
	// returns besides, which may be nil, is called once when all is committed.
	Finish func(ctx context.Context, tx *sqldb.Tx, u Upload, p *cas.Pending) (committed func(), err error)
	// Lane is the line in which the room's own transactions wait (sqldb.DB.BatchBy);
	// "": each content's (cas.Pending.Lane).
	Lane string
}

// Options tunes an engine. The zero value is right for a server.
type Options struct {
	Piece    int64         // bytes that are made durable at once: 8 MiB when 0
	Span     time.Duration // a piece ends after this long too: 5 s when 0
	Stall    time.Duration // without a byte: what is there is kept, others may write: 2 s when 0
	Idle     time.Duration // without a byte: the connection is given up: 1 min when 0
	Lease    time.Duration // others wait so long for a writer that died: 6 s when 0
	Patience time.Duration // HEAD and PATCH wait so long for a writer that is alive: 3 s when 0
	Keep     time.Duration // an unfinished upload is kept so long after its last byte: 24 h when 0
	Known    time.Duration // an ended one still answers so long: 1 h when 0
}

func (o Options) filled() Options {
	o.Piece = cmp.Or(o.Piece, 8<<20)
	o.Span = cmp.Or(o.Span, 5*time.Second)
	o.Stall = cmp.Or(o.Stall, 2*time.Second)
	o.Idle = cmp.Or(o.Idle, time.Minute)
	o.Lease = cmp.Or(o.Lease, 6*time.Second)
	o.Patience = cmp.Or(o.Patience, 3*time.Second)
	o.Keep = cmp.Or(o.Keep, 24*time.Hour)
	o.Known = cmp.Or(o.Known, time.Hour)
	return o
}

// Engine takes uploads for one room. It is safe for concurrent use, and any number
// of processes may share the database and the content store.
type Engine struct {
	n Needs
	o Options

	mu      sync.Mutex
	writing map[string]int // requests of this process that bring bytes, by upload; guarded by mu
}

// New makes the tables.
func New(ctx context.Context, n Needs, o Options) (*Engine, error) {
	if err := ids.Name("the realm of uploads", n.Realm); err != nil {
		return nil, err
	}
	if err := n.DB.Migrate(ctx, "upload", schema); err != nil {
		return nil, err
	}
	e := &Engine{n: n, o: o.filled(), writing: map[string]int{}}
	return e, e.freed(ctx)
}

// Reserved returns the bytes that an owner's open uploads have or will have, for the
// room's quota; one whose length is not known counts with what arrived.
func (e *Engine) Reserved(ctx context.Context, owner string) (n int64, err error) {
	err = e.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		n, err = reserved(ctx, tx, e.n.Realm, owner, e.n.Clock.Now())
		return err
	})
	return n, err
}

// ownerOf names who asks as uploads do.
func ownerOf(who web.Who) (string, error) {
	switch who.Kind {
	case "person":
		return who.ID, nil
	case "machine":
		return "machine:" + who.ID, nil
	}
	return "", errs.New(errs.Unknown, "an upload needs a sign-in or a token")
}
