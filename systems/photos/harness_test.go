package photos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/accounts"
	"plumb/engines/bus"
	"plumb/engines/farm"
	"plumb/engines/jobs"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
	"plumb/engines/web"
	"plumb/face/facetest"
	"plumb/systems/photos/internal/painted"
	"plumb/systems/photos/internal/shard"
)

// noon is when the tests' clocks stand.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// TestMain lets the test's program be a child of the farm too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "farm" {
		if err := farm.Serve(context.Background(), Works()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// house is the room behind its real doors, with people and a clock that stands still.
type house struct {
	*System
	t      testing.TB
	clock  *clock.Manual
	people *accounts.Accounts
	queue  *jobs.Queue
	http   http.Handler
	tokens map[string]string // by person's name
	who    map[string]Person
}

// setup is what a test may change before the room is opened.
type setup struct {
	config Config
	needs  Needs
}

// theFarm is one pool for all tests of the package: a child serves many.
var theFarm = sync.OnceValues(func() (*farm.Pool, error) {
	return farm.New(farm.Options{Args: []string{"farm"}, Size: 2, Idle: 5 * time.Second})
})

func open(t testing.TB, kind string, change ...func(*setup)) *house {
	t.Helper()
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	url := sqldbtest.URL(t, kind)
	db, err := sqldb.Open(ctx, url, sqldb.Options{RunTwice: true})
	must(err)
	h := &house{t: t, clock: clock.NewManual(noon), tokens: map[string]string{}, who: map[string]Person{}}
	log := facetest.Log(t, slog.LevelError)
	wire := bus.Memory()
	h.people, err = accounts.New(ctx, accounts.Needs{DB: db, Bus: wire, Clock: h.clock, Log: log})
	must(err)
	h.queue, err = jobs.Open(ctx, db, jobs.Config{Log: log, Clock: h.clock, Workers: -1})
	must(err)
	pool, err := theFarm()
	must(err)
	up := setup{config: Defaults(), needs: Needs{DB: db, Jobs: h.queue, Bus: wire, People: h.people, Clock: h.clock, Log: log, Shell: facetest.Paper{}, URL: "http://plumb.test",
		Key: bytes.Repeat([]byte{7}, 32), Folder: t.TempDir(), Farm: pool, Options: sqldb.Options{RunTwice: true}}}
	if kind == sqldbtest.Postgres {
		up.needs.SQL = url
	}
	for _, f := range change {
		f(&up)
	}
	h.System, err = New(ctx, up.needs, up.config)
	must(err)
	t.Cleanup(func() {
		h.System.Close()
		h.people.Close()
		wire.Close()
		db.Close()
	})
	must(h.queue.Register(h.Face().Work...))
	h.http = facetest.Mount(t, h.Face(), web.First(machines{}, h.people), log)
	for _, name := range []string{"ada", "bob"} {
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

// each runs fn on a fresh room on each database, beside each other: what fn and change
// share they must share well.
func each(t *testing.T, fn func(t *testing.T, h *house), change ...func(*setup)) {
	for _, kind := range sqldbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			fn(t, open(t, kind, change...))
		})
	}
}

// one runs fn on SQLite only: where the database makes no difference.
func one(t *testing.T, fn func(t *testing.T, h *house), change ...func(*setup)) {
	fn(t, open(t, sqldbtest.SQLite, change...))
}

// call sends a request of a named person ("" for a stranger) and returns the answer.
// body is bytes, text, a reader, or anything that becomes JSON.
func (h *house) call(method, path, name string, body any, headers ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	if name != "" && h.tokens[name] == "" {
		h.t.Fatalf("nobody is called %s", name)
	}
	return facetest.Send(h.t, h.http, method, path, h.tokens[name], "image/jpeg", body, headers...)
}

// get sends a request, wants the status, and decodes the answer into T.
func get[T any](h *house, status int, method, path, name string, body any, headers ...string) T {
	h.t.Helper()
	return facetest.Decode[T](h.t, h.call(method, path, name, body, headers...), status, method+" "+path)
}

// picture returns a small photo, another for each seed, with what a camera writes.
func photograph(seed uint64, change ...func(*painted.Facts)) []byte {
	f := painted.Facts{Taken: noon.Add(time.Duration(seed) * -24 * time.Hour), Make: "Canon", Model: "Canon EOS R5", Lens: "RF50mm F1.2 L USM",
		Exposure: 1.0 / 250, FNumber: 2.8, ISO: 100, Focal: 50, Placed: true, Lat: 38.7139, Lon: -9.1394}
	for _, c := range change {
		c(&f)
	}
	return painted.JPEG(painted.Landscape(seed, 96, 64), f)
}

// put uploads a photo by the verb.
func (h *house) put(name string, body []byte) Photo {
	h.t.Helper()
	p, _, err := h.Upload(context.Background(), h.who[name], bytes.NewReader(body), UploadOptions{Name: "IMG_1.JPG", Size: int64(len(body))})
	if err != nil {
		h.t.Fatalf("%s uploads: %v", name, err)
	}
	return p
}

// ready makes a photo's sizes, as the job does.
func (h *house) ready(p Photo) Photo {
	h.t.Helper()
	if err := h.makeSizes(context.Background(), p.Owner, p.ID); err != nil {
		h.t.Fatal(err)
	}
	p, err := h.Get(context.Background(), Person{ID: p.Owner}, p.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// bytesOf reads an image by the verb.
func (h *house) image(name, id, size string) []byte {
	h.t.Helper()
	img, err := h.OpenImage(context.Background(), h.who[name], id, size)
	if err != nil {
		h.t.Fatalf("%s opens the %s of %s: %v", name, size, id, err)
	}
	defer img.Close()
	b, err := io.ReadAll(img)
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

// listed returns the ids that a filter gives, in pages of two.
func (h *house) listed(name string, f Filter) []string {
	h.t.Helper()
	var list []string
	for f.Limit = 2; ; {
		photos, next, err := h.List(context.Background(), h.who[name], f)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, p := range photos {
			list = append(list, p.ID)
		}
		if f.Cursor = next; next == "" {
			return list
		}
	}
}

// sound fails the test where a count is not exact.
func (h *house) sound() {
	h.t.Helper()
	if err := h.CheckAll(context.Background()); err != nil {
		h.t.Error(err)
	}
}

// add adds a shard, and waits until its people have moved.
func (h *house) add(name string) {
	h.t.Helper()
	if _, err := h.AddShard(context.Background(), h.who["boss"], NewShard{Name: name}); err != nil {
		h.t.Fatal(err)
	}
	h.settle()
}

// settle does the set's work until nobody moves.
func (h *house) settle() {
	h.t.Helper()
	for began := time.Now(); time.Since(began) < 3*time.Minute; {
		for _, w := range h.set.Work() {
			if err := w.Run(context.Background(), []byte("{}")); err != nil {
				h.t.Log(w.Kind, err)
			}
		}
		list, _, err := h.Migrations(context.Background(), h.who["boss"], "", 100)
		if err != nil {
			h.t.Fatal(err)
		}
		busy := false
		for _, m := range list {
			busy = busy || m.State != shard.Done
		}
		if !busy {
			return
		}
		time.Sleep(20 * time.Millisecond)
		if time.Since(began) > 10*time.Second {
			h.clock.Advance(time.Second) // a try that failed is made again after a pause
		}
	}
	h.t.Fatal("the moves do not end")
}

// kind checks an error's kind.
func kind(t testing.TB, what string, err error, want errs.Kind) {
	t.Helper()
	if !errs.Is(err, want) {
		t.Errorf("%s: %v, want the kind %q", what, err, want)
	}
}

// problem checks that an answer is a refusal as RFC 9457 has it.
func problem(t testing.TB, what string, w *httptest.ResponseRecorder, status int, says string) {
	t.Helper()
	var d web.Document
	err := json.Unmarshal(w.Body.Bytes(), &d)
	if w.Code != status || err != nil || d.Title == "" || d.Status != status || !strings.Contains(w.Header().Get("Content-Type"), "problem+json") || !strings.Contains(w.Body.String(), says) {
		t.Errorf("%s: %d %s %s; want a problem of status %d that says %q", what, w.Code, w.Header().Get("Content-Type"), w.Body, status, says)
	}
}

// columnsOf returns the names of a table's columns, sorted.
func columnsOf(t testing.TB, db *sqldb.DB, table string) (list []string) {
	t.Helper()
	query := `SELECT name FROM pragma_table_info($1) ORDER BY name`
	if db.Postgres() {
		query = `SELECT column_name::text COLLATE "C" FROM information_schema.columns WHERE table_name = $1 AND table_schema = current_schema() ORDER BY 1`
	}
	err := db.Read(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, query, table)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			list = append(list, name)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
