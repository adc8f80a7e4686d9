package upload

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/web"
)

const (
	version    = "1.0.0"
	extensions = "creation,creation-with-upload,creation-defer-length,checksum,checksum-trailer,termination,expiration,concatenation"
	bodyType   = "application/offset+octet-stream"
)

// Routes lists the protocol's operations under prefix, which begins and ends with a
// slash: "/api/v1/files/tus/". What the protocol asks of the server is told to
// everybody; all else is for those whom access admits.
func (e *Engine) Routes(prefix string, access web.Access) []web.Op {
	d := &door{e, prefix}
	bare := strings.TrimSuffix(prefix, "/")
	op := func(a web.Access, method, path, id, summary string, h web.Handler) web.Op {
		return web.RawOperation(a, huma.Operation{Method: method, Path: path, OperationID: id, Summary: summary, MaxBodyBytes: -1,
			Description: "The tus protocol 1.0.0 (https://tus.io/protocols/resumable-upload)."}, h)
	}
	name := e.n.Realm + "-tus-"
	return []web.Op{
		op(web.Public, "OPTIONS", prefix, name+"options", "What the upload protocol can do here", d.options),
		op(web.Public, "OPTIONS", bare, name+"options-bare", "What the upload protocol can do here", d.options),
		op(access, "POST", prefix, name+"create", "Begin an upload", d.serve(d.post)),
		op(access, "POST", bare, name+"create-bare", "Begin an upload", d.serve(d.post)),
		op(access, "HEAD", prefix+"{id}", name+"head", "How much of an upload arrived", d.serve(d.head)),
		op(access, "PATCH", prefix+"{id}", name+"patch", "Add bytes to an upload", d.serve(d.patch)),
		op(access, "DELETE", prefix+"{id}", name+"delete", "Give an upload up", d.serve(d.delete)),
		op(access, "POST", prefix+"{id}", name+"override", "PATCH or DELETE for who cannot send them (X-HTTP-Method-Override)", d.serve(d.overridden)),
	}
}

// door is the engine behind a prefix.
type door struct {
	e      *Engine
	prefix string
}

// options tells what the server can do.
func (d *door) options(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Tus-Resumable", version)
	h.Set("Tus-Version", version)
	h.Set("Tus-Extension", extensions)
	h.Set("Tus-Max-Size", strconv.FormatInt(cas.MaxSize, 10))
	h.Set("Tus-Checksum-Algorithm", strings.Join(algorithms, ","))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// request is what every handler needs of one.
type request struct {
	*http.Request
	who   web.Who
	owner string
}

// serve wraps what all requests have in common: the version, the headers, who asks,
// and how refusals are told.
func (d *door) serve(h func(http.ResponseWriter, request) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Tus-Resumable", version)
		w.Header().Set("Cache-Control", "no-store")
		if r.Header.Get("Tus-Resumable") != version {
			w.Header().Set("Tus-Version", version)
			return answer(w, r, refuse(http.StatusPreconditionFailed, "this server speaks tus %s (the header Tus-Resumable)", version))
		}
		who := web.WhoIs(r.Context())
		owner, err := ownerOf(who)
		if err != nil {
			return err
		}
		return answer(w, r, h(w, request{r, who, owner}))
	}
}

// overridden is a POST that stands for another method. Only a POST may: the gate
// has looked at it as at a change.
func (d *door) overridden(w http.ResponseWriter, r request) error {
	switch m := r.Header.Get("X-HTTP-Method-Override"); m {
	case "PATCH":
		return d.patch(w, r)
	case "DELETE":
		return d.delete(w, r)
	case "HEAD":
		return d.head(w, r)
	}
	w.Header().Set("Allow", "HEAD, PATCH, DELETE, OPTIONS")
	return refuse(http.StatusMethodNotAllowed, "an upload takes a POST only with X-HTTP-Method-Override: HEAD, PATCH or DELETE")
}

// head tells the offset. It waits a moment for one who writes, so that a client that
// lost its connection hears where that ended, and takes up an ending that was left.
func (d *door) head(w http.ResponseWriter, r request) error {
	row, err := d.settled(r)
	if err != nil {
		return err
	}
	d.describe(w.Header(), row)
	w.WriteHeader(http.StatusOK)
	return nil
}

// settled returns an upload when nobody writes to it any more, or after a while.
func (d *door) settled(r request) (found *row, err error) {
	e := d.e
	ctx := context.WithoutCancel(r.Context())
	err = e.patient(r.Context(), &found, func() error {
		if found, err = e.find(ctx, r.owner, r.PathValue("id")); err == nil && found.state == open && e.written(found) {
			return errLost
		}
		return err
	})
	if err == nil && found.unfinished() {
		err = e.settle(ctx, found)
	}
	k := errs.KindOf(err)
	switch {
	case err == errLost && found.Kind == Final, err == errLost && !found.full():
		return found, nil // somebody writes; this is what is durable
	case err == errLost:
		return nil, locked(found)
	case err != nil && !errors.As(err, new(*fault)) && (k == errs.Busy || k == errs.Internal):
		// It was logged. Any 5xx would make clients begin anew.
		return nil, &fault{http.StatusLocked, "the upload cannot be brought to its end just now", "5"}
	}
	return found, err
}

// describe sets the headers that tell of an upload.
func (d *door) describe(h http.Header, r *row) {
	if r.Kind != Final || r.state != open {
		h.Set("Upload-Offset", strconv.FormatInt(r.Offset, 10))
	}
	if r.Length >= 0 {
		h.Set("Upload-Length", strconv.FormatInt(r.Length, 10))
	} else {
		h.Set("Upload-Defer-Length", "1")
	}
	if r.meta != "" {
		h.Set("Upload-Metadata", r.meta)
	}
	if r.concat != "" {
		h.Set("Upload-Concat", r.concat)
	}
	d.expires(h, r)
}

// expires sets the time until which an unfinished upload is kept.
func (d *door) expires(h http.Header, r *row) {
	if r.state == open {
		h.Set("Upload-Expires", r.Expires.UTC().Format(http.TimeFormat))
	}
}

// patch adds bytes.
func (d *door) patch(w http.ResponseWriter, r request) error {
	e := d.e
	offset, err := parseSize("Upload-Offset", r.Header.Get("Upload-Offset"))
	if err != nil {
		return err
	}
	if !typed(r) {
		return refuse(http.StatusUnsupportedMediaType, "a PATCH must be of the type %s", bodyType)
	}
	length := int64(-1)
	if s := r.Header.Get("Upload-Length"); s != "" {
		if length, err = parseSize("Upload-Length", s); err != nil {
			return err
		}
	}
	sum, err := checksumOf(r.Request)
	if err != nil {
		return err
	}
	// What arrives is kept, whether or not the connection lasts.
	ctx := context.WithoutCancel(r.Context())
	defer e.writes(r.PathValue("id"))()
	var row *row
	var lease string
	err = e.patient(r.Context(), &row, func() error {
		if row, err = e.find(ctx, r.owner, r.PathValue("id")); err != nil {
			return err
		}
		if lease, err = d.enter(ctx, r, row, offset, length); err == errLost {
			return errLost
		}
		return err
	})
	if err == errLost {
		return locked(row)
	}
	if err != nil {
		return err
	}
	if lease != "" {
		if err := e.receive(ctx, row, lease, d.body(w, r), sum); err != nil {
			return err
		}
	}
	w.Header().Set("Upload-Offset", strconv.FormatInt(row.Offset, 10))
	d.expires(w.Header(), row)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// enter checks a PATCH against its upload and takes the lease; "" where nothing is
// left to do.
func (d *door) enter(ctx context.Context, r request, row *row, offset, length int64) (string, error) {
	switch {
	case row.Kind == Final:
		return "", refuse(http.StatusForbidden, "a final upload takes no bytes of its own")
	case offset != row.Offset:
		return "", errOffset(row.Offset)
	case length >= 0 && row.Length >= 0 && length != row.Length:
		return "", refuse(http.StatusBadRequest, "the upload's length is %d already", row.Length)
	case length >= 0 && length < row.Offset:
		return "", refuse(http.StatusBadRequest, "%d bytes arrived already", row.Offset)
	}
	learned, most := row.Length < 0 && length >= 0, row.most()
	if learned {
		if length > row.Limit {
			return "", errPast(row.Limit)
		}
		most = length
	}
	if r.ContentLength > most-offset {
		return "", errPast(most)
	}
	if row.state != open || row.full() && row.Kind == Partial {
		return "", nil // it has everything
	}
	if row.until > d.e.n.Clock.Now().UnixMicro() {
		return "", errLost
	}
	if learned {
		u := row.Upload
		u.Length = length
		if err := d.e.begin(ctx, r.who, &u); err != nil {
			return "", err
		}
	}
	lease, err := d.e.take(ctx, row, max(row.Length, length))
	if err != nil {
		return "", err
	}
	row.Length = max(row.Length, length)
	row.lease, row.until = lease, d.e.n.Clock.Now().Add(d.e.o.Lease).UnixMicro()
	return lease, nil
}

// body begins to read a request's body.
func (d *door) body(w http.ResponseWriter, r request) *body {
	return read(d.e.n.Clock, http.NewResponseController(w), r.Body, d.e.o.Idle)
}

// typed says whether the body is of the protocol's type.
func typed(r request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == bodyType
}

// delete ends an upload. A file that was made of it is the room's, and stays.
func (d *door) delete(w http.ResponseWriter, r request) error {
	ctx := context.WithoutCancel(r.Context())
	row, err := d.e.find(ctx, r.owner, r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := d.e.terminate(ctx, row.ID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
