package vending

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/bus"
	"plumb/engines/fleet"
	"plumb/engines/jobs"
	"plumb/engines/once"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
	"plumb/engines/web"
	"plumb/face/facetest"
)

// noon is a Wednesday, 13:00 in Berlin.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// house is the room behind its real doors, with a clock that stands still.
type house struct {
	*System
	t     testing.TB
	clock *clock.Manual
	bus   bus.Bus
	http  http.Handler
}

// boss is the operators' token.
const boss = "operator-token"

// people knows one operator.
type people struct{}

func (people) Authenticate(r *http.Request) (web.Who, error) {
	switch r.Header.Get("Authorization") {
	case "":
		return web.Who{}, nil
	case "Bearer " + boss:
		return web.Who{Kind: "person", ID: "boss", Roles: []web.Access{web.Operator}, CSRF: "csrf"}, nil
	}
	return web.Who{}, errs.New(errs.Unknown, "nobody has this token")
}

func open(t testing.TB, db *sqldb.DB, change ...func(*Config)) *house {
	t.Helper()
	c := Defaults()
	for _, f := range change {
		f(&c)
	}
	h := &house{t: t, clock: clock.NewManual(noon), bus: bus.Memory()}
	log := facetest.Log(t, slog.LevelWarn)
	ctx := context.Background()
	f, err := fleet.Open(ctx, fleet.Needs{DB: db, Bus: h.bus, Clock: h.clock, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := once.New(ctx, db, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	queue, err := jobs.Open(ctx, db, jobs.Config{Log: log, Clock: h.clock, Workers: -1})
	if err != nil {
		t.Fatal(err)
	}
	h.System, err = New(ctx, Needs{DB: db, Fleet: f, Jobs: queue, Once: kept, Bus: h.bus, Clock: h.clock, Log: log, Shell: facetest.Paper{}, URL: "http://plumb.test"}, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.System.Close()
		f.Close()
		h.bus.Close()
	})
	if err := queue.Register(h.Face().Work...); err != nil {
		t.Fatal(err)
	}
	h.http = facetest.Mount(t, h.Face(), web.First(f, people{}), log)
	return h
}

// each runs fn on a fresh room on each database.
func each(t *testing.T, fn func(t *testing.T, h *house), change ...func(*Config)) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { fn(t, open(t, db, change...)) })
}

// one runs fn on SQLite only: where the database makes no difference.
func one(t *testing.T, fn func(t *testing.T, h *house), change ...func(*Config)) {
	fn(t, open(t, sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{RunTwice: true}), change...))
}

// call sends a request and returns the answer. body is text, or anything that
// becomes JSON.
func (h *house) call(method, path, token string, body any, headers ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	return facetest.Send(h.t, h.http, method, path, token, "application/json", body, headers...)
}

// get sends a request, wants the status, and decodes the answer into T.
func get[T any](h *house, status int, method, path, token string, body any, headers ...string) T {
	h.t.Helper()
	return facetest.Decode[T](h.t, h.call(method, path, token, body, headers...), status, method+" "+path)
}

// enrol adds a machine in Berlin and returns its token.
func (h *house) enrol(id string) string {
	h.t.Helper()
	return get[enrolledOut](h, 201, "POST", apiRoot+"/machines", boss, map[string]any{"id": id, "city": "Berlin"}).Token
}

// report is a good report of that id, taken now.
func (h *house) report(id string) map[string]any {
	return map[string]any{"report_id": id, "taken_at": h.clock.Now().Format(time.RFC3339),
		"slots":  []map[string]any{{"slot": "A1", "sku": "cola", "remaining": 3, "capacity": 10, "price": 150}},
		"faults": []map[string]any{{"code": "coin_jam"}}}
}

func with(m map[string]any, key string, v any) map[string]any {
	c := map[string]any{}
	for k, x := range m {
		c[k] = x
	}
	c[key] = v
	return c
}

// count returns how many reports the database holds.
func (h *house) count() (n int64) {
	h.t.Helper()
	err := h.n.DB.Read(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM vending_reports`).Scan(&n)
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return n
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

func ndjson(reports ...any) string {
	var b strings.Builder
	for _, r := range reports {
		if s, ok := r.(string); ok {
			fmt.Fprintln(&b, s)
			continue
		}
		text, _ := json.Marshal(r)
		fmt.Fprintln(&b, string(text))
	}
	return b.String()
}

func lines(t testing.TB, w *httptest.ResponseRecorder) (list []receiptOut) {
	t.Helper()
	dec := json.NewDecoder(w.Body)
	for dec.More() {
		var r receiptOut
		if err := dec.Decode(&r); err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}
