package upload

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/cas"
	"plumb/engines/once"
	"plumb/engines/sqldb"
	"plumb/engines/web"
)

// begin asks the room.
func (e *Engine) begin(ctx context.Context, who web.Who, u *Upload) error {
	if e.n.Begin == nil {
		return nil
	}
	return e.n.Begin(ctx, who, u)
}

// post begins an upload, and takes the bytes that come with it.
func (d *door) post(w http.ResponseWriter, r request) error {
	e := d.e
	if p := r.URL.Path; p != d.prefix && p+"/" != d.prefix {
		return errNone() // the mux hands down whatever lies below
	}
	if m := r.Header.Get("X-HTTP-Method-Override"); m != "" && m != "POST" {
		return refuse(http.StatusMethodNotAllowed, "this address takes POST and OPTIONS")
	}
	row, err := d.asked(r)
	if err != nil {
		return err
	}
	bytes := carries(r)
	if bytes && row.Kind == Final {
		return refuse(http.StatusBadRequest, "a final upload takes no bytes of its own")
	}
	if bytes && !typed(r) {
		return refuse(http.StatusUnsupportedMediaType, "bytes that come with a POST must be of the type %s", bodyType)
	}
	if row.Length >= 0 && r.ContentLength > row.Length || r.ContentLength > cas.MaxSize {
		return errPast(row.Length)
	}
	var sum *checksum
	if bytes {
		if sum, err = checksumOf(r.Request); err != nil {
			return err
		}
	}
	ctx := context.WithoutCancel(r.Context())
	made, err := e.create(ctx, r, row, d.prefix)
	if err != nil {
		return err
	}
	row = made
	if row.lease != "" {
		var err error
		switch {
		case bytes:
			err = e.receive(ctx, row, row.lease, d.body(w, r), sum)
		case row.unfinished():
			err = e.finish(ctx, row, row.lease)
		default:
			e.release(ctx, row.ID, row.lease)
		}
		if err = e.undo(ctx, row, err); err != nil {
			return err
		}
	}
	h := w.Header()
	h.Set("Location", d.prefix+row.ID)
	if row.Kind != Final || row.state == done {
		h.Set("Upload-Offset", strconv.FormatInt(row.Offset, 10))
	}
	d.expires(h, row)
	w.WriteHeader(http.StatusCreated)
	return nil
}

// carries says whether bytes come with a POST.
func carries(r request) bool {
	if r.ContentLength >= 0 || typed(r) {
		return r.ContentLength != 0
	}
	// Of unknown length and of any type: only an empty one is none of our business.
	n, _ := io.ReadFull(r.Body, make([]byte, 1))
	return n > 0
}

// undo says what becomes of an upload whose first bytes failed. The client does not
// know its address, so that a refusal ends it; where the server only cannot now, the
// client is told the address and goes on from there.
func (e *Engine) undo(ctx context.Context, r *row, err error) error {
	if err == nil || errs.Is(err, errs.Busy) && r.Kind != Final {
		return nil
	}
	if errors.Is(err, errLost) || errs.Is(err, errs.Internal) && !errors.As(err, new(*fault)) {
		return err // it may be right all the same: left to the job
	}
	if end := e.terminate(ctx, r.ID); end != nil {
		e.n.Log.Warn("a refused upload is left to expire", "upload", shorten(r.ID), "error", end)
	}
	return err
}

// asked reads what a POST asks for.
func (d *door) asked(r request) (*row, error) {
	u := &row{state: open, meta: strings.Join(r.Header.Values("Upload-Metadata"), ","), concat: r.Header.Get("Upload-Concat")}
	u.Owner, u.Length, u.Limit = r.owner, -1, cas.MaxSize
	var err error
	if u.Meta, err = parseMeta(u.meta); err != nil {
		return nil, err
	}
	if u.Kind, u.parts, err = parseConcat(u.concat, d.prefix); err != nil {
		return nil, err
	}
	length, deferred := r.Header.Get("Upload-Length"), r.Header.Get("Upload-Defer-Length")
	switch {
	case u.Kind == Final && (length != "" || deferred != ""):
		return nil, refuse(http.StatusBadRequest, "a final upload has the length of its parts: leave Upload-Length out")
	case u.Kind == Final:
		return u, nil
	case deferred != "" && deferred != "1":
		return nil, refuse(http.StatusBadRequest, "Upload-Defer-Length must be 1")
	case (length == "") == (deferred == ""):
		return nil, refuse(http.StatusBadRequest, "give either Upload-Length or Upload-Defer-Length")
	case length != "":
		u.Length, err = parseSize("Upload-Length", length)
	}
	return u, err
}

// create makes the row of an upload, with a lease for this request. What was made
// before by the same request is returned without one.
func (e *Engine) create(ctx context.Context, r request, u *row, prefix string) (*row, error) {
	same := ""
	if u.Kind == Final {
		// A final upload that is asked for again, since its answer was lost, is the one
		// that is there.
		sum := sha256.Sum256([]byte(u.Owner + "\n" + strings.Join(u.parts, " ") + "\n" + u.meta))
		same = hex.EncodeToString(sum[:])
		var again *row
		err := e.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			if again, err = sameAs(ctx, tx, e.n.Realm, same); again == nil && err == nil {
				u.Length, err = e.whole(ctx, tx, u)
			}
			return err
		})
		if err != nil || again != nil {
			return e.repeated(ctx, again, err)
		}
		u.Offset = u.Length // as soon as it is there, all of its bytes are
	}
	if err := e.begin(ctx, r.who, &u.Upload); err != nil {
		return nil, err
	}
	now := e.n.Clock.Now()
	u.ID, u.lease = ids.Token(), ids.Token()
	u.Limit = min(u.Limit, cas.MaxSize)
	u.Made, u.Expires, u.until = now, now.Add(e.o.Keep), now.Add(e.o.Lease).UnixMicro()
	ask := once.Request{Scope: "upload/" + e.n.Realm + "/" + u.Owner, Key: r.Header.Get("Idempotency-Key"), Now: now,
		Body: []any{u.Kind, u.Length, u.meta, u.concat}}
	if e.n.Once == nil {
		ask.Key = ""
	}
	var made string
	err := e.n.DB.BatchBy(ctx, u.Owner, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		made, err = once.Give(ctx, e.n.Once, tx, ask, func() (string, error) { return e.insert(ctx, tx, u, same) })
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case made != u.ID:
		again, err := e.find(ctx, u.Owner, made)
		return e.repeated(ctx, again, err)
	}
	return u, nil
}

// repeated returns an upload that was asked for before, without a lease. A final one is
// brought to its end first.
func (e *Engine) repeated(ctx context.Context, r *row, err error) (*row, error) {
	if err == nil && r.unfinished() {
		err = e.settle(ctx, r)
	}
	if err == errLost {
		return nil, locked(r)
	}
	if err != nil {
		return nil, err
	}
	r.lease = ""
	return r, nil
}

// insert makes the row, in the caller's transaction.
func (e *Engine) insert(ctx context.Context, tx *sqldb.Tx, u *row, same string) (string, error) {
	var open int64
	if err := tx.QueryRow(ctx, countSQL, e.n.Realm, u.Owner, u.Made.UnixMicro()).Scan(&open); err != nil {
		return "", err
	}
	if open >= MaxOpen {
		return "", &fault{http.StatusTooManyRequests, "you have " + strconv.Itoa(MaxOpen) + " unfinished uploads: end some, or wait until they expire", "60"}
	}
	if same != "" {
		// One that asked at the same moment was first.
		if again, err := sameAs(ctx, tx, e.n.Realm, same); err != nil || again != nil {
			return idOf(again), err
		}
		if length, err := e.whole(ctx, tx, u); err != nil || length != u.Length {
			return "", errors.Join(err, errPart())
		}
	}
	_, err := tx.Exec(ctx, insertSQL, e.n.Realm, u.ID, u.Owner, u.Kind, u.Length, u.Limit, u.Offset, u.meta, u.concat, strings.Join(u.parts, " "), same,
		u.Made.UnixMicro(), u.Expires.UnixMicro(), u.lease, u.until)
	if err != nil || u.Kind != Final {
		return u.ID, err
	}
	// Its parts must last as long as it does.
	for _, part := range u.parts {
		if _, err := tx.Exec(ctx, keepSQL, part, u.Expires.UnixMicro()); err != nil {
			return "", err
		}
	}
	return u.ID, nil
}

func idOf(r *row) string {
	if r == nil {
		return ""
	}
	return r.ID
}

// sameAs returns the final upload that was asked for with the same words; nil for none.
func sameAs(ctx context.Context, tx *sqldb.Tx, realm, same string) (*row, error) {
	r, err := scan(tx.QueryRow(ctx, sameSQL, realm, same))
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, nil
	}
	return r, err
}

func errPart() error {
	return refuse(http.StatusConflict, "a part of the final upload is not whole, or is no more")
}

// whole returns the length of a final upload: all its parts must be there.
func (e *Engine) whole(ctx context.Context, tx *sqldb.Tx, u *row) (int64, error) {
	length := int64(0)
	known := map[string]int64{}
	for _, id := range u.parts {
		if _, ok := known[id]; !ok {
			part, err := load(ctx, tx, e.n.Realm, id)
			if err != nil {
				return 0, err
			}
			if part == nil || part.Owner != u.Owner || part.Kind != Partial {
				return 0, refuse(http.StatusNotFound, "a part of the final upload does not exist")
			}
			if !part.full() || part.state == gone || e.late(part) {
				return 0, errPart()
			}
			known[id] = part.Length
		}
		if length += known[id]; length > cas.MaxSize {
			return 0, errPast(cas.MaxSize)
		}
	}
	return length, nil
}

// terminate ends an upload; its pieces go with it, or soon after.
func (e *Engine) terminate(ctx context.Context, id string) error {
	until := e.n.Clock.Now().Add(e.o.Keep).UnixMicro()
	err := e.n.DB.BatchBy(ctx, by(id), func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, goneSQL, id, until); err != nil {
			return err
		}
		_, err := e.drop(ctx, tx, id, dropMost)
		return err
	})
	return err
}
