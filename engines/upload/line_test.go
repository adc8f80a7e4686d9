package upload

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
	"plumb/engines/web"
)

// fullBucket takes no more objects while it is full.
type fullBucket struct {
	bucket.Bucket
	full atomic.Bool
}

func (b *fullBucket) Put(ctx context.Context, key string, r io.Reader, size int64, o bucket.PutOptions) error {
	if b.full.Load() {
		return errs.New(errs.Busy, "the disk is full")
	}
	return b.Bucket.Put(ctx, key, r, size, o)
}

// TestFullDisk: what was told to be kept stays, nothing else is seen, and the upload goes
// on when there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p *place) {
		b := &fullBucket{Bucket: p.b}
		p.b = b
		p.cas = p.store()
		h := p.open()
		content := random(1_000_000)
		loc := h.create(len(content), nil)
		h.want(204, "PATCH", loc, content[:300_000], patchAt(0, nil))
		b.full.Store(true)
		h.want(503, "PATCH", loc, content[300_000:], patchAt(300_000, nil))
		at := h.head(loc).offset()
		if at != 300_000 {
			t.Errorf("the offset is %d", at)
		}
		// Bytes that come with the creation are as good as a PATCH: the address is told.
		a := h.want(201, "POST", prefix, content, hd{"Upload-Length": "1000000", "Content-Type": bodyType})
		if a.offset() != 0 || h.head(a.Get("Location")).offset() != 0 {
			t.Error(a.Header)
		}
		b.full.Store(false)
		h.want(204, "PATCH", loc, content[at:], patchAt(at, nil))
		h.whole(loc, content)
		h.want(204, "PATCH", a.Get("Location"), content, patchAt(0, nil))
		h.whole(a.Get("Location"), content)
		p.clean()
	})
}

// TestHTTP2: the same over streams of one connection, which are cut one by one.
func TestHTTP2(t *testing.T) {
	p := newPlace(t, sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{RunTwice: true}), clock.System{})
	h := p.open()
	mux := http.NewServeMux()
	gate := web.NewGate(people{}, slog.New(slog.DiscardHandler))
	web.NewAPI(mux, gate, "test").Add(h.e.Routes(prefix, web.Person)...)
	all := web.House(mux, gate, web.Options{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.active.Add(1)
		defer h.active.Add(-1)
		all.ServeHTTP(w, r)
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	send := func(loc string, body io.Reader, offset int64, trailer http.Header) (int, error) {
		r, _ := http.NewRequest("PATCH", srv.URL+loc, body)
		r.Header = http.Header{"Tus-Resumable": {"1.0.0"}, "Authorization": {"Bearer ann"}}
		for k, v := range patchAt(offset, nil) {
			r.Header.Set(k, v)
		}
		r.Trailer = trailer
		resp, err := srv.Client().Do(r)
		if err != nil {
			return 0, err
		}
		resp.Body.Close()
		if resp.ProtoMajor != 2 {
			t.Fatalf("spoke %s", resp.Proto)
		}
		return resp.StatusCode, nil
	}
	content := random(900_000)
	loc := h.create(len(content), nil)
	if got, err := send(loc, io.MultiReader(bytes.NewReader(content), bytes.NewReader(content)), 0, nil); got != 413 {
		t.Errorf("too many bytes: %d, %v", got, err)
	}
	at := h.settled(loc)
	if _, err := send(loc, io.MultiReader(bytes.NewReader(content[at:at+50_000]), broken{h}), at, nil); err == nil {
		t.Error("the stream was not cut")
	}
	await(t, "the bytes before the cut", func() bool { return h.settled(loc) > at || at == int64(len(content)) })
	at = h.settled(loc)
	for _, c := range []struct {
		sum  string
		want int
	}{{sums([]byte("x"))["sha1"], 460}, {sums(content[at:])["sha1"], 204}} {
		got, err := send(loc, io.MultiReader(bytes.NewReader(content[at:])), at, http.Header{"Upload-Checksum": {"sha1 " + c.sum}})
		if got != c.want {
			t.Errorf("%d, %v, want %d", got, err, c.want)
		}
	}
	h.whole(loc, content)
	p.clean()
}

// TestPanickingRoom: a room that panics ends nothing, and the upload can be ended.
func TestPanickingRoom(t *testing.T) {
	p := newPlace(t, sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{}), clock.System{})
	h := p.open()
	finish := h.e.n.Finish
	h.e.n.Finish = nil // a call of it panics
	content := random(500_000)
	loc := h.create(len(content), nil)
	if a := h.do("PATCH", loc, content, patchAt(0, nil)); a.status != 500 {
		t.Errorf("%d %s", a.status, a.body)
	}
	h.e.n.Finish = finish
	if h.head(loc).offset() != int64(len(content)) {
		t.Error("HEAD")
	}
	h.whole(loc, content)
	p.clean()
}
