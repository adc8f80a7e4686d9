package files

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/accounts"
	"plumb/engines/bucket"
	"plumb/engines/bus"
	"plumb/engines/cas"
	"plumb/engines/jobs"
	"plumb/engines/links"
	"plumb/engines/once"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
	"plumb/engines/web"
	"plumb/face/facetest"
)

// noon is when the tests' clocks stand.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// house is the room behind its real doors, with people and a clock that stands still.
type house struct {
	*System
	t      testing.TB
	clock  *clock.Manual
	people *accounts.Accounts
	http   http.Handler
	tokens map[string]string // by person's name
	who    map[string]Person
	blobs  bucket.Bucket
}

// setup is what a test may change before the room is opened.
type setup struct {
	files Config
	cas   cas.Options
	blobs bucket.Bucket // nil: a folder of the test's own
}

func open(t testing.TB, db *sqldb.DB, change ...func(*setup)) *house {
	t.Helper()
	ctx := context.Background()
	up := setup{files: Defaults()}
	for _, f := range change {
		f(&up)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if up.blobs == nil {
		var err error
		up.blobs, err = bucket.Folder(t.TempDir())
		must(err)
	}
	h := &house{t: t, clock: clock.NewManual(noon), tokens: map[string]string{}, who: map[string]Person{}, blobs: up.blobs}
	log := facetest.Log(t, slog.LevelWarn)
	wire := bus.Memory()
	var err error
	h.people, err = accounts.New(ctx, accounts.Needs{DB: db, Bus: wire, Clock: h.clock, Log: log})
	must(err)
	store, err := cas.Open(ctx, cas.Needs{DB: db, Bucket: h.blobs, Key: bytes.Repeat([]byte{7}, 32), Clock: h.clock, Log: log}, up.cas)
	must(err)
	shared, err := links.Open(ctx, links.Needs{DB: db, Clock: h.clock, Passwords: h.people})
	must(err)
	kept, err := once.New(ctx, db, make([]byte, 32))
	must(err)
	queue, err := jobs.Open(ctx, db, jobs.Config{Log: log, Clock: h.clock, Workers: -1})
	must(err)
	h.System, err = New(ctx, Needs{DB: db, CAS: store, Links: shared, Jobs: queue, Once: kept, Bus: wire, People: h.people, Clock: h.clock, Log: log, Shell: facetest.Paper{}, URL: "http://plumb.test"}, up.files)
	must(err)
	t.Cleanup(func() {
		h.System.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		h.people.Close()
		wire.Close()
	})
	must(queue.Register(h.Face().Work...))
	h.http = facetest.Mount(t, h.Face(), h.people, log)
	for _, name := range []string{"ada", "bob", "eve"} {
		h.enter(name)
	}
	h.enter("boss", web.Operator)
	return h
}

// enter makes a person with a token, or gives one to somebody who is there.
func (h *house) enter(name string, roles ...web.Access) {
	h.t.Helper()
	root := web.Who{Kind: "person", Name: "admin", Roles: []web.Access{web.Admin}}
	p, err := h.people.Add(context.Background(), root, name, roles...)
	if errs.Is(err, errs.Conflict) {
		p, err = h.people.Named(context.Background(), name)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	secret, _, err := h.people.NewToken(context.Background(), root, name, "test", 0)
	if err != nil {
		h.t.Fatal(err)
	}
	h.tokens[name], h.who[name] = secret, Person{ID: p.ID, Operator: len(roles) > 0}
}

// each runs fn on a fresh room on each database.
func each(t *testing.T, fn func(t *testing.T, h *house), change ...func(*setup)) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { fn(t, open(t, db, change...)) })
}

// one runs fn on SQLite only: where the database makes no difference.
func one(t *testing.T, fn func(t *testing.T, h *house), change ...func(*setup)) {
	fn(t, open(t, sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{RunTwice: true}), change...))
}

// call sends a request of a named person ("" for a stranger) and returns the answer.
// body is bytes, text, or anything that becomes JSON.
func (h *house) call(method, path, name string, body any, headers ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	if name != "" && h.tokens[name] == "" {
		h.t.Fatalf("nobody is called %s", name)
	}
	return facetest.Send(h.t, h.http, method, path, h.tokens[name], "application/octet-stream", body, headers...)
}

// get sends a request, wants the status, and decodes the answer into T.
func get[T any](h *house, status int, method, path, name string, body any, headers ...string) T {
	h.t.Helper()
	return facetest.Decode[T](h.t, h.call(method, path, name, body, headers...), status, method+" "+path)
}

// put writes a file by the verb.
func (h *house) put(name, path, text string) Node {
	h.t.Helper()
	n, _, err := h.Write(context.Background(), h.who[name], path, strings.NewReader(text), WriteOptions{Size: int64(len(text))})
	if err != nil {
		h.t.Fatalf("%s writes %s: %v", name, path, err)
	}
	return n
}

// text reads a file by the verb; the error's kind in brackets where it cannot.
func (h *house) text(name, path string) string {
	h.t.Helper()
	f, err := h.Open(context.Background(), h.who[name], path)
	if err != nil {
		return "(" + string(errs.KindOf(err)) + ")"
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		h.t.Fatalf("%s reads %s: %v", name, path, err)
	}
	return string(b)
}

// names lists a folder by the verb, in pages of two.
func (h *house) names(name, path string) string {
	h.t.Helper()
	var list []string
	for cursor := ""; ; {
		nodes, next, err := h.List(context.Background(), h.who[name], path, cursor, 2)
		if err != nil {
			return "(" + string(errs.KindOf(err)) + ")"
		}
		for _, n := range nodes {
			if n.Folder {
				n.Name += "/"
			}
			list = append(list, n.Name)
		}
		if cursor = next; next == "" {
			return strings.Join(list, " ")
		}
	}
}

// sound fails the test where a count is not exact.
func (h *house) sound() {
	h.t.Helper()
	if err := h.CheckAll(context.Background()); err != nil {
		h.t.Error(err)
	}
	if err := h.Check(context.Background()); err != nil {
		h.t.Error(err)
	}
}

// kind checks an error's kind.
func kind(t testing.TB, what string, err error, want errs.Kind) {
	t.Helper()
	if !errs.Is(err, want) {
		t.Errorf("%s: %v, want the kind %q", what, err, want)
	}
}

// problem checks that an answer is a refusal as RFC 9457 has it.
func problem(t testing.TB, w *httptest.ResponseRecorder, status int, says string) {
	t.Helper()
	var d web.Document
	err := json.Unmarshal(w.Body.Bytes(), &d)
	if w.Code != status || err != nil || d.Title == "" || d.Status != status || !strings.Contains(w.Header().Get("Content-Type"), "problem+json") || !strings.Contains(w.Body.String(), says) {
		t.Errorf("%d %s %s; want a problem of status %d that says %q", w.Code, w.Header().Get("Content-Type"), w.Body, status, says)
	}
}

// hashOfText is the name of a content.
func hashOfText(text string) cas.Hash { return sha256.Sum256([]byte(text)) }

// basicAuth is what follows "Basic " in a header.
func basicAuth(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}
