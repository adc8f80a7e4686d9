package upload

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/cas"
	"plumb/engines/once"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
	"plumb/engines/web"
)

const prefix = "/api/v1/files/tus/"

// people are known by their token, which is their name.
type people struct{}

func (people) Authenticate(r *http.Request) (web.Who, error) {
	name, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return web.Who{}, nil
	}
	return web.Who{Kind: "person", ID: name, Name: name}, nil
}

// place is what several engines share: the data, and a room that takes files.
type place struct {
	t     testing.TB
	db    *sqldb.DB
	b     bucket.Bucket
	cas   *cas.Store
	clock clock.Clock
	o     Options

	ended atomic.Int64 // uploads that the room was told of

	mu     sync.Mutex
	refuse error // of Finish
	begin  func(who web.Who, u *Upload) error
	asked  []Upload
}

const roomSQL = `CREATE TABLE IF NOT EXISTS room_files (upload TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, hash BYTEA NOT NULL, size BIGINT NOT NULL)`

// newPlace makes empty data. The engines' times are short, so that nobody waits.
func newPlace(t testing.TB, db *sqldb.DB, c clock.Clock) *place {
	t.Helper()
	b, err := bucket.Open(t.Context(), "dir:"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, db: db, b: b, clock: c, o: Options{Piece: 256 << 10, Lease: 900 * time.Millisecond, Patience: 800 * time.Millisecond, Stall: 200 * time.Millisecond}}
	p.cas = p.store()
	err = db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, roomSQL)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *place) store() *cas.Store {
	s, err := cas.Open(context.Background(), cas.Needs{DB: p.db, Bucket: p.b, Key: bytes.Repeat([]byte{7}, 32), Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)}, cas.Options{})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { s.Close() })
	return s
}

// house is one process: an engine behind a server.
type house struct {
	*place
	e      *Engine
	srv    *httptest.Server
	active atomic.Int64 // requests
}

// open starts a process on the data.
func (p *place) open() *house {
	p.t.Helper()
	o, err := once.New(p.t.Context(), p.db, bytes.Repeat([]byte{9}, 32))
	if err != nil {
		p.t.Fatal(err)
	}
	e, err := New(p.t.Context(), Needs{DB: p.db, CAS: p.cas, Once: o, Clock: p.clock, Log: slog.New(slog.DiscardHandler), Realm: "files",
		Begin: p.mayBegin, Finish: p.take}, p.o)
	if err != nil {
		p.t.Fatal(err)
	}
	mux := http.NewServeMux()
	gate := web.NewGate(people{}, slog.New(slog.DiscardHandler))
	web.NewAPI(mux, gate, "test").Add(e.Routes(prefix, web.Person)...)
	h := &house{place: p, e: e}
	all := web.House(mux, gate, web.Options{})
	h.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.active.Add(1)
		defer h.active.Add(-1)
		all.ServeHTTP(w, r)
	}))
	p.t.Cleanup(h.srv.Close)
	return h
}

func (p *place) mayBegin(_ context.Context, who web.Who, u *Upload) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, *u)
	if p.begin != nil {
		return p.begin(who, u)
	}
	return nil
}

// refusing makes the room refuse, or take again, whole uploads.
func (p *place) refusing(err error) {
	p.mu.Lock()
	p.refuse = err
	p.mu.Unlock()
}

func (p *place) take(ctx context.Context, tx *sqldb.Tx, u Upload, content *cas.Pending) (func(), error) {
	p.mu.Lock()
	refuse := p.refuse
	p.mu.Unlock()
	if refuse != nil {
		return nil, refuse
	}
	if err := p.cas.Take(ctx, tx, content); err != nil {
		return nil, err
	}
	hash := content.Hash()
	_, err := tx.Exec(ctx, `INSERT INTO room_files (upload, owner, name, hash, size) VALUES ($1, $2, $3, $4, $5)`,
		u.ID, u.Owner, u.Meta["filename"], hash[:], content.Size())
	return func() { p.ended.Add(1) }, err
}

// file returns what the room has of an upload; ok is false when it has nothing.
func (p *place) file(location string) (content []byte, ok bool) {
	p.t.Helper()
	var hash []byte
	err := p.db.Read(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT hash FROM room_files WHERE upload = $1`, idIn(location)).Scan(&hash)
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, false
	}
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := p.cas.Open(context.Background(), cas.Hash(hash))
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Close()
	content, err = io.ReadAll(r)
	if err != nil {
		p.t.Fatal(err)
	}
	return content, true
}

func (p *place) count(q string, args ...any) (n int64) {
	p.t.Helper()
	err := p.db.Read(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error { return tx.QueryRow(ctx, q, args...).Scan(&n) })
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// clean checks that nothing refers to content but the room's files and open uploads.
func (p *place) clean() {
	p.t.Helper()
	st, err := p.cas.Stats(context.Background())
	if err != nil {
		p.t.Fatal(err)
	}
	if n := p.ended.Load(); n != p.count(`SELECT count(*) FROM room_files`) {
		p.t.Errorf("the room was told of %d files", n)
	}
	files, segs := p.count(`SELECT count(*) FROM room_files`), p.count(`SELECT count(*) FROM upload_segments`)
	if st.References != files+segs {
		p.t.Errorf("%d references for %d files and %d pieces", st.References, files, segs)
	}
	if n := p.count(`SELECT coalesce(sum(segs), 0) FROM upload_uploads`); n != segs {
		p.t.Errorf("the uploads count %d pieces of %d", n, segs)
	}
}

func idIn(location string) string { return location[strings.LastIndexByte(location, '/')+1:] }

// answered is what came back.
type answered struct {
	status int
	http.Header
	body string
}

func (a answered) offset() int64 {
	n, err := strconv.ParseInt(a.Get("Upload-Offset"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

type hd = map[string]string

// do sends a request as ann.
func (h *house) do(method, path string, body []byte, header hd) answered {
	h.t.Helper()
	return h.send(method, path, bytes.NewReader(body), header)
}

func (h *house) send(method, path string, body io.Reader, header hd) answered {
	h.t.Helper()
	r, err := http.NewRequest(method, h.srv.URL+path, body)
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Tus-Resumable", "1.0.0")
	r.Header.Set("Authorization", "Bearer ann")
	for k, v := range header {
		r.Header.Set(k, v)
		if v == "" {
			r.Header.Del(k)
		}
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return answered{resp.StatusCode, resp.Header, string(text)}
}

// want sends and checks the status, and that a refusal is a problem document.
func (h *house) want(status int, method, path string, body []byte, header hd) answered {
	h.t.Helper()
	a := h.do(method, path, body, header)
	h.check(status, method+" "+path, a)
	return a
}

func (h *house) check(status int, what string, a answered) {
	h.t.Helper()
	if a.status != status {
		h.t.Fatalf("%s: %d %s, want %d", what, a.status, a.body, status)
	}
	if a.Get("Tus-Resumable") != "1.0.0" {
		h.t.Errorf("%s: no Tus-Resumable", what)
	}
	if status >= 400 && a.Get("Content-Type") != "application/problem+json" {
		h.t.Errorf("%s: %d of the type %q", what, status, a.Get("Content-Type"))
	}
}

func meta(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s %s", pairs[i], base64.StdEncoding.EncodeToString([]byte(pairs[i+1])))
	}
	return b.String()
}

// create begins an upload of a length and returns its address.
func (h *house) create(length int, more hd) string {
	h.t.Helper()
	header := hd{"Upload-Length": strconv.Itoa(length), "Upload-Metadata": meta("filename", "a.bin")}
	maps.Copy(header, more)
	return h.want(201, "POST", prefix, nil, header).Get("Location")
}

func patchAt(offset int64, more hd) hd {
	header := hd{"Content-Type": "application/offset+octet-stream", "Upload-Offset": strconv.FormatInt(offset, 10)}
	maps.Copy(header, more)
	return header
}

func (h *house) head(location string) answered {
	h.t.Helper()
	return h.want(200, "HEAD", location, nil, nil)
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// whole checks that the room has exactly this content of the upload.
func (h *house) whole(location string, want []byte) {
	h.t.Helper()
	got, ok := h.file(location)
	if !ok || !bytes.Equal(got, want) {
		h.t.Fatalf("the room has %d bytes (there: %v), want %d", len(got), ok, len(want))
	}
}

// cutPatch sends the beginning of a PATCH of a stated length over a connection of its
// own, which the caller may cut.
func (h *house) cutPatch(location string, offset, length int64, part []byte, more string) net.Conn {
	h.t.Helper()
	c, err := net.Dial("tcp", h.srv.Listener.Addr().String())
	if err != nil {
		h.t.Fatal(err)
	}
	w := bufio.NewWriter(c)
	fmt.Fprintf(w, "PATCH %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ann\r\nTus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\nUpload-Offset: %d\r\nContent-Length: %d\r\n%s\r\n", location, offset, length, more)
	w.Write(part)
	if err := w.Flush(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	return c
}

// settled returns an upload's offset when nobody writes to it any more.
func (h *house) settled(location string) int64 {
	h.t.Helper()
	await(h.t, "the writer", func() bool { return h.active.Load() == 0 })
	return h.head(location).offset()
}

// await waits until ok, for as long as a busy machine may need.
func await(t interface {
	Helper()
	Fatalf(string, ...any)
}, what string, ok func() bool) {
	t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("waited in vain for %s", what)
}

// each runs fn with a place on both databases.
func each(t *testing.T, fn func(t *testing.T, p *place)) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { fn(t, newPlace(t, db, clock.System{})) })
}

var errFull = errs.New(errs.Busy, "the room is full")
