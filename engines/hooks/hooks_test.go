package hooks

import (
	"bytes"
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/jobs"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// The example of Standard Webhooks' own libraries.
func TestSignaturesAreTheStandards(t *testing.T) {
	const one = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	h, err := parse("x", Hook{"http://127.0.0.1/", one})
	if err != nil {
		t.Fatal(err)
	}
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	if got := h.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", `{"test": 2432232314}`); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if h, err = parse("x", Hook{"http://127.0.0.1/", NewSecret() + " " + one}); err != nil {
		t.Fatal(err)
	}
	if got := h.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", `{"test": 2432232314}`); !strings.HasSuffix(got, " "+want) || strings.Count(got, "v1,") != 2 {
		t.Errorf("with two secrets: %s", got)
	}
}

func TestHooksAreChecked(t *testing.T) {
	good := NewSecret()
	for _, h := range []Hook{
		{"ftp://user:hunter2@host/", good}, {"file:///etc/hunter2", good}, {"http:///hunter2", good}, {"hunter2", good}, {"http://[hunter2", good},
		{"http://host/", ""}, {"http://host/", "hunter2"}, {"http://host/", "whsec_aHVudGVyMg=="}, {"http://host/", strings.Repeat(good+" ", 3)},
	} {
		if _, err := parse("x", h); !errs.Is(err, errs.Invalid) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), good) {
			t.Errorf("%+v: %v", h, err)
		}
	}
	if _, err := parse("", Hook{"http://host/", good}); !errs.Is(err, errs.Invalid) {
		t.Error("a hook without a name")
	}
	if _, err := parse("x", Hook{"http://192.168.0.1:8080/a?b=c", good}); err != nil {
		t.Errorf("a private address is the operator's choice: %v", err)
	}
}

// got is what a receiver was sent.
type got struct{ id, stamp, signature, body, path, user string }

// receiver is somebody else's server: it answers what answer says to the nth request.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	all []got
}

func newReceiver(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	v := &receiver{}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		v.mu.Lock()
		v.all = append(v.all, got{r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), r.Header.Get("webhook-signature"), string(body), r.URL.Path, user + ":" + password})
		n := len(v.all)
		v.mu.Unlock()
		answer(n, w, r)
	}))
	t.Cleanup(v.Close)
	return v
}

func (v *receiver) seen() []got {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]got(nil), v.all...)
}

type house struct {
	*Hooks
	db  *sqldb.DB
	log buffer
}

// buffer is a log that several jobs write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var short = []time.Duration{time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond}

// open returns hooks whose jobs run when run is true.
func open(t *testing.T, db *sqldb.DB, c clock.Clock, pauses []time.Duration, run bool) *house {
	t.Helper()
	s := &house{db: db}
	q, err := jobs.Open(t.Context(), db, jobs.Config{Poll: 20 * time.Millisecond})
	if err == nil {
		s.Hooks, err = Open(t.Context(), Needs{DB: db, Jobs: q, Clock: c, Log: slog.New(slog.NewTextHandler(&s.log, nil)), Pauses: pauses})
	}
	if err == nil {
		err = q.Register(s.Work()...)
	}
	if err == nil && run {
		err = q.Start(t.Context())
		t.Cleanup(func() {
			if err := q.Stop(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func (s *house) declare(t *testing.T, url string) (secret string) {
	t.Helper()
	secret = NewSecret()
	if err := s.Declare("photos", Hook{url, secret}); err != nil {
		t.Fatal(err)
	}
	return secret
}

func (s *house) send(t *testing.T, event string, data any) {
	t.Helper()
	if err := s.db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return s.Send(ctx, tx, "photos", event, data) }); err != nil {
		t.Fatal(err)
	}
}

func (s *house) list(t *testing.T) []Message {
	t.Helper()
	list, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// await waits until the only message is over.
func (s *house) await(t *testing.T, want State) Message {
	t.Helper()
	for range 3000 {
		if list := s.list(t); len(list) == 1 && list[0].State == want {
			return list[0]
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("waited in vain for %s: %+v", want, s.list(t))
	return Message{}
}

func TestAMessageArrives(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		v := newReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
			if n < 3 { // it is away at first
				http.Error(w, strings.Repeat("long ", 100_000), http.StatusInternalServerError)
			}
		})
		s := open(t, db, clock.System{}, short, true)
		secret := s.declare(t, strings.Replace(v.URL, "http://", "http://ada:hunter2@", 1)+"/in/token-hunter2")
		boom := errors.New("boom")
		err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			return errors.Join(s.Send(ctx, tx, "photos", "photo.lost", nil), boom)
		})
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		s.send(t, "photo.ready", map[string]string{"id": "p-1"})
		m := s.await(t, Delivered)
		if m.Tries != 3 || m.Event != "photo.ready" || m.Hook != "photos" || m.Why != "" || m.Done.IsZero() || !m.Next.IsZero() {
			t.Errorf("%+v", m)
		}
		all := v.seen()
		if len(all) != 3 {
			t.Fatalf("%d requests", len(all))
		}
		h, err := parse("x", Hook{v.URL, secret})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range all {
			if g.id != m.ID || g.path != "/in/token-hunter2" || g.user != "ada:hunter2" || !strings.HasPrefix(g.body, `{"type":"photo.ready","timestamp":"2`) || !strings.HasSuffix(g.body, `"data":{"id":"p-1"}}`) {
				t.Errorf("%+v", g)
			}
			if !hmac.Equal([]byte(g.signature), []byte(h.sign(g.id, g.stamp, g.body))) {
				t.Errorf("the signature %s is not of what came", g.signature)
			}
		}
		if text := s.log.text() + fmt.Sprint(s.list(t)); strings.Contains(text, "hunter2") || strings.Contains(text, "whsec_") {
			t.Error("a credential is shown:", text)
		}
	})
}

func TestWhatFailsIsTriedAgainAndGivenUpInTheEnd(t *testing.T) {
	elsewhere := newReceiver(t, func(int, http.ResponseWriter, *http.Request) {})
	cases := map[string]struct {
		answer func(n int, w http.ResponseWriter, r *http.Request)
		tries  int64
		why    string
	}{
		"404":  {func(_ int, w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, 4, "answered 404"},
		"gone": {func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }, 1, "410"},
		"redirect": {func(_ int, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, 4, "answered 307; redirects are not followed"},
		"hangs":    {func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 4, "no answer within"},
		"hangs up": {func(_ int, _ http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, 4, "EOF"},
	}
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := open(t, db, clock.System{}, short, true)
		s.client.Timeout = 300 * time.Millisecond
		for name, c := range cases {
			if err := s.Declare(name, Hook{newReceiver(t, c.answer).URL + "/hunter2", NewSecret()}); err != nil {
				t.Fatal(err)
			}
			if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return s.Send(ctx, tx, name, "photo.ready", nil) }); err != nil {
				t.Fatal(err)
			}
		}
		over := func() (n int) {
			for _, m := range s.list(t) {
				if m.State == Failed {
					n++
				}
			}
			return n
		}
		for n := 0; over() < len(cases); n++ {
			if n == 3000 {
				t.Fatalf("waited in vain: %+v", s.list(t))
			}
			time.Sleep(10 * time.Millisecond)
		}
		for _, m := range s.list(t) {
			if c := cases[m.Hook]; m.Tries != c.tries || !strings.Contains(m.Why, c.why) || strings.Contains(m.Why, "hunter2") {
				t.Errorf("%+v", m)
			}
			if !strings.Contains(s.log.text(), m.ID) || strings.Contains(s.log.text(), "hunter2") {
				t.Errorf("the log: %s", s.log.text())
			}
		}
	})
	if n := len(elsewhere.seen()); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

// A body without end, or one that comes too slowly, costs a bounded time and memory.
func TestTheAnswerDoesNotMatter(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		sent := make(chan int64, 1)
		v := newReceiver(t, func(_ int, w http.ResponseWriter, r *http.Request) {
			var n int64
			for r.Context().Err() == nil && n < 1<<30 {
				k, err := w.Write(make([]byte, 32<<10))
				if n += int64(k); err != nil {
					break
				}
			}
			sent <- n
		})
		s := open(t, db, clock.System{}, short, true)
		s.declare(t, v.URL)
		s.send(t, "photo.ready", nil)
		s.await(t, Delivered)
		if n := <-sent; n > 64<<20 {
			t.Errorf("%d bytes were taken", n)
		}
	})
}

func TestPausesGrow(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		v := newReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
			if n == 2 {
				w.Header().Set("Retry-After", "3600")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			w.WriteHeader(http.StatusBadGateway)
		})
		c := clock.NewManual(time.Date(2026, 11, 28, 14, 0, 0, 0, time.UTC))
		s := open(t, db, c, nil, false)
		s.declare(t, v.URL)
		s.send(t, "photo.ready", nil)
		payload := []byte(fmt.Sprintf(`{"message":%q}`, s.list(t)[0].ID))
		for n, least := range []time.Duration{5 * time.Second, time.Hour, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour} {
			err := s.deliver(t.Context(), payload)
			after := errs.RetryAfter(err)
			if after < least || after > least*11/10 {
				t.Errorf("after try %d: %v, %v", n+1, after, err)
			}
			if m := s.list(t)[0]; m.Tries != int64(n+1) || m.State != Waiting || m.Why == "" || !m.Next.Equal(c.Now().Add(after).Truncate(time.Microsecond)) {
				t.Errorf("%+v", m)
			}
			// The job may come too early, or twice: that is no try.
			if early := errs.RetryAfter(s.deliver(t.Context(), payload)); early <= 0 || early > after {
				t.Error(early)
			}
			c.Advance(after)
		}
		// Two runs of one job that were at it at the same time are one try.
		m := message{id: s.list(t)[0].ID, tries: 5}
		for range 2 {
			if err := s.note(t.Context(), m, Waiting, time.Hour, errors.New("away")); err != nil {
				t.Error(err)
			}
		}
		m.tries = 3 // one that comes very late
		if err := s.note(t.Context(), m, Failed, 0, errors.New("late")); err != nil {
			t.Error(err)
		}
		if m := s.list(t)[0]; m.Tries != 6 || m.Why != "away" || m.State != Waiting {
			t.Errorf("%+v", m)
		}
		if err := s.note(t.Context(), m, Delivered, 0, nil); err != nil {
			t.Error(err)
		}
		if m := s.list(t)[0]; m.State != Delivered {
			t.Errorf("%+v", m)
		}
		if n := len(v.seen()); n != 5 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestSendRefuses(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := open(t, db, clock.System{}, short, false)
		try := func(hook, event string, data any) error {
			return db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return s.Send(ctx, tx, hook, event, data) })
		}
		if err := try("nobody", "x", nil); err == nil {
			t.Error("nobody declared it")
		}
		s.declare(t, "http://127.0.0.1:1/")
		if err := try("photos", "", nil); !errs.Is(err, errs.Invalid) {
			t.Error(err)
		}
		if err := try("photos", "x", strings.Repeat("x", 64<<10)); !errs.Is(err, errs.TooLarge) {
			t.Error(err)
		}
		if err := try("photos", "x", func() {}); err == nil {
			t.Error("a function is no JSON")
		}
		if err := s.Declare("off", Hook{}); err != nil {
			t.Fatal(err)
		}
		if err := try("off", "x", nil); err != nil || len(s.list(t)) != 0 {
			t.Error("a hook without a URL sends nothing", err)
		}
		if err := s.deliver(t.Context(), []byte("{")); !errs.Is(err, errs.Invalid) {
			t.Error(err)
		}
		// A hook that the operator took away in the meantime.
		if err := try("photos", "x", nil); err != nil {
			t.Fatal(err)
		}
		if err := s.Declare("photos", Hook{}); err != nil {
			t.Fatal(err)
		}
		if err := s.deliver(t.Context(), []byte(fmt.Sprintf(`{"message":%q}`, s.list(t)[0].ID))); err != nil {
			t.Error(err)
		}
		if m := s.list(t)[0]; m.State != Failed || !strings.Contains(m.Why, "not configured") {
			t.Errorf("%+v", m)
		}
	})
}

func TestTheNewestAreKept(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		v := newReceiver(t, func(int, http.ResponseWriter, *http.Request) {})
		c := clock.NewManual(time.Date(2026, 11, 28, 14, 0, 0, 0, time.UTC))
		s := open(t, db, c, short, false)
		s.declare(t, v.URL)
		for n := range kept + 5 {
			s.send(t, fmt.Sprintf("event.%03d", n), nil)
			c.Advance(time.Second)
			if err := s.deliver(t.Context(), []byte(fmt.Sprintf(`{"message":%q}`, s.list(t)[0].ID))); err != nil {
				t.Fatal(err)
			}
		}
		s.send(t, "waits", nil)
		list := s.list(t)
		var rows int
		err := db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, `SELECT count(*) FROM hooks_messages`).Scan(&rows)
		})
		if err != nil || rows != kept+1 {
			t.Errorf("%d rows, %v", rows, err)
		}
		if len(list) != kept+1 || list[0].Event != "waits" || list[1].Event != "event.104" || list[kept].Event != "event.005" {
			t.Errorf("%d kept, from %s", len(list), list[len(list)-1].Event)
		}
	})
}

func TestErrorsDoNotShowTheURL(t *testing.T) {
	err := withoutURL(fmt.Errorf("x: %w", &url.Error{Op: "Post", URL: "http://h/hunter2", Err: errors.New("connection refused")}))
	if strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "refused") {
		t.Error(err)
	}
}
