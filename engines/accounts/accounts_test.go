package accounts

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
	"plumb/engines/web"
)

// wire is a bus between processes that a test may cut.
type wire struct {
	mu  sync.Mutex
	fns []func(string, []byte)
	cut bool
}

func (w *wire) Publish(_ context.Context, subject string, data []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, fn := range w.fns {
		if !w.cut {
			fn(subject, data)
		}
	}
	return nil
}

func (w *wire) Subscribe(_ string, fn func(string, []byte)) (func(), error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fns = append(w.fns, fn)
	return func() {}, nil
}

var root = web.Who{Kind: "person", Name: "admin", Roles: []web.Access{web.Admin}}

func open(t *testing.T, db *sqldb.DB, c clock.Clock, bus Bus) *Accounts {
	t.Helper()
	a, err := New(t.Context(), Needs{DB: db, Clock: c, Log: slog.New(slog.DiscardHandler), Bus: bus})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func start() *clock.Manual { return clock.NewManual(time.Date(2026, 11, 22, 21, 40, 0, 0, time.UTC)) }

func bearer(token string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

func withCookie(s Session) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(s.Cookie(false))
	return r
}

func TestFirstStartMakesTheAdminOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		c := start()
		a := open(t, db, c, nil)
		b := open(t, db, c, nil)
		people, err := b.People(t.Context())
		if err != nil || len(people) != 1 || people[0].Name != "admin" || !slices.Equal(people[0].Roles, []web.Access{web.Admin}) || !a.Fresh() || !b.Fresh() {
			t.Errorf("%+v, %v, fresh %v %v", people, err, a.Fresh(), b.Fresh())
		}
		link, err := b.SignInLink(t.Context(), "admin", "http://127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.OpenLink(t.Context(), link[strings.Index(link, "=")+1:], "127.0.0.1"); err != nil {
			t.Fatal(err)
		}
		if open(t, db, c, nil).Fresh() {
			t.Error("still fresh after somebody signed in")
		}
	})
}

func TestALinkSignsInOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, c := t.Context(), start()
		a := open(t, db, c, nil)
		link, err := a.SignInLink(ctx, "admin", "http://127.0.0.1:8080/")
		if err != nil || !strings.HasPrefix(link, "http://127.0.0.1:8080/signin?link=") {
			t.Fatal(link, err)
		}
		_, token, _ := strings.Cut(link, "link=")
		var good atomic.Int32
		var session atomic.Pointer[Session]
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				s, err := a.OpenLink(ctx, token, "10.0.0.1:1")
				if err == nil {
					good.Add(1)
					session.Store(&s)
				} else if !errs.Is(err, errs.Denied) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if good.Load() != 1 {
			t.Fatalf("%d signed in with one link", good.Load())
		}
		s := *session.Load()
		who, err := a.Authenticate(withCookie(s))
		if err != nil || who.Name != "admin" || !who.May(web.Admin) || !who.Cookie || len(who.CSRF) != 64 || strings.Contains(s.Token, who.CSRF) {
			t.Errorf("%+v, %v", who, err)
		}
		if ck := s.Cookie(true); !ck.HttpOnly || !ck.Secure || ck.SameSite != http.SameSiteLaxMode {
			t.Errorf("%+v", ck)
		}
		link, _ = a.SignInLink(ctx, "admin", "")
		c.Advance(LinkLife)
		if _, err := a.OpenLink(ctx, strings.TrimPrefix(link, "/signin?link="), "10.0.0.1:1"); !errs.Is(err, errs.Denied) {
			t.Errorf("an old link: %v", err)
		}
		if _, err := a.SignInLink(ctx, "nobody", ""); !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
	})
}

func TestSessionsEnd(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, c := t.Context(), start()
		a := open(t, db, c, nil)
		a.SetAdminToken(t.Context(), "a-token-for-scripts")
		in := func() Session {
			s, err := a.SignInToken(ctx, "a-token-for-scripts", "10.0.0.1:1")
			if err != nil {
				t.Fatal(err)
			}
			if who, err := a.Authenticate(withCookie(s)); err != nil || who.Name != "admin" {
				t.Fatal(who, err)
			}
			return s
		}
		gone := func(what string, s Session) {
			if who, err := a.Authenticate(withCookie(s)); err != nil || who.Kind != "" {
				t.Errorf("%s: %+v, %v", what, who, err)
			}
		}
		s := in()
		if err := a.SignOut(ctx, withCookie(s)); err != nil {
			t.Fatal(err)
		}
		gone("signed out", s)
		s = in()
		c.Advance(SessionLife)
		gone("expired", s)
		if err := a.tidy(ctx); err != nil {
			t.Fatal(err)
		}
		var n int64
		err := db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, `SELECT count(*) FROM accounts_session`).Scan(&n)
		})
		if err != nil || n != 0 {
			t.Errorf("%d sessions left, %v", n, err)
		}
		if err := a.SignOut(ctx, httptest.NewRequest("GET", "/", nil)); err != nil {
			t.Error(err)
		}
	})
}

func TestTokens(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, c := t.Context(), start()
		bus := &wire{}
		a, b := open(t, db, c, bus), open(t, db, c, bus) // two processes
		ann, err := a.Add(ctx, root, "ann", web.Operator)
		if err != nil {
			t.Fatal(err)
		}
		secret, tok, err := a.NewToken(ctx, root, "ann", "laptop", 48*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []*Accounts{a, b} {
			if who, err := p.Authenticate(bearer(secret)); err != nil || who.Name != "ann" || !who.May(web.Operator) || who.May(web.Admin) || who.Cookie {
				t.Errorf("%+v, %v", who, err)
			}
		}
		for _, wrong := range []string{"", "pat_x", "x", secret + "x", tok.ID} {
			if _, err := a.Authenticate(bearer(wrong)); !errs.Is(err, errs.Unknown) {
				t.Errorf("%q: %v", wrong, err)
			}
		}
		c.Advance(time.Second)
		a.Authenticate(bearer(secret))
		if err := a.tidy(ctx); err != nil {
			t.Fatal(err)
		}
		list, err := a.Tokens(ctx, ann.ID)
		if err != nil || len(list) != 1 || !list[0].Used.Equal(c.Now()) || list[0].Name != "laptop" {
			t.Errorf("%+v, %v", list, err)
		}
		// Revoked here, refused there at once.
		if err := a.Revoke(ctx, web.Who{Kind: "person", ID: "other"}, tok.ID); !errs.Is(err, errs.NotFound) {
			t.Errorf("somebody else's token: %v", err)
		}
		if err := a.Revoke(ctx, web.Who{Kind: "person", ID: ann.ID, Name: "ann"}, tok.ID); err != nil {
			t.Fatal(err)
		}
		if err := a.Revoke(ctx, root, tok.ID); !errs.Is(err, errs.Conflict) {
			t.Errorf("twice: %v", err)
		}
		for _, p := range []*Accounts{a, b} {
			if _, err := p.Authenticate(bearer(secret)); !errs.Is(err, errs.Unknown) {
				t.Errorf("a revoked token: %v", err)
			}
		}
		// With the bus cut it is refused within half a minute.
		secret, tok, _ = a.NewToken(ctx, root, "ann", "short", 24*time.Hour)
		b.Authenticate(bearer(secret))
		bus.cut = true
		a.Revoke(ctx, root, tok.ID)
		c.Advance(stale)
		if _, err := b.Authenticate(bearer(secret)); !errs.Is(err, errs.Unknown) {
			t.Errorf("a revoked token, half a minute on: %v", err)
		}
		// Expired, although the cache still knows it.
		secret, _, _ = a.NewToken(ctx, root, "ann", "short", 24*time.Hour)
		c.Advance(24*time.Hour - time.Second)
		if _, err := a.Authenticate(bearer(secret)); err != nil {
			t.Error(err)
		}
		c.Advance(time.Second)
		if _, err := a.Authenticate(bearer(secret)); !errs.Is(err, errs.Unknown) {
			t.Errorf("an expired token: %v", err)
		}
	})
}

func TestAnAnswerReadBeforeAChangeIsNotKept(t *testing.T) {
	c := newCache()
	now := time.Unix(0, 0)
	_, age, _ := c.get("h", now)
	c.forget("somebody")
	c.keep("h", answer{who: web.Who{ID: "ann"}, until: now.Add(time.Hour)}, age)
	if _, _, ok := c.get("h", now); ok {
		t.Error("kept")
	}
}

func TestPasswords(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, c := t.Context(), start()
		a := open(t, db, c, nil)
		ann, _ := a.Add(ctx, root, "ann")
		if err := a.SetPassword(ctx, root, ann.ID, "short"); !errs.Is(err, errs.Invalid) {
			t.Error(err)
		}
		if err := a.SetPassword(ctx, root, ann.ID, "correct horse"); err != nil {
			t.Fatal(err)
		}
		for _, try := range []struct{ name, password string }{{"ann", "wrong horse"}, {"nobody", "correct horse"}, {"admin", ""}, {"admin", "x"}} {
			if _, err := a.SignIn(ctx, try.name, try.password, "10.0.0.1:1"); !errs.Is(err, errs.Denied) || errs.Message(err) != "the name or the password is wrong" {
				t.Errorf("%v: %v", try, err)
			}
		}
		if s, err := a.SignIn(ctx, "ann", "correct horse", "10.0.0.1:1"); err != nil || s.Person.Name != "ann" {
			t.Error(err)
		}
		// Ten tries, then a wait, also for the right password.
		for range perName {
			a.SignIn(ctx, "ann", "wrong horse", "10.0.0.2:1")
		}
		if _, err := a.SignIn(ctx, "ann", "correct horse", "10.0.0.3:1"); !errs.Is(err, errs.Busy) || errs.RetryAfter(err) != nameEvery {
			t.Errorf("after too many tries: %v", err)
		}
		c.Advance(nameEvery)
		if _, err := a.SignIn(ctx, "ann", "correct horse", "10.0.0.3:1"); err != nil {
			t.Error(err)
		}
	})
}

func TestPHC(t *testing.T) {
	h := hashPassword("correct horse")
	if !strings.HasPrefix(h, "$argon2id$v=19$m=19456,t=2,p=1$") || !checkPassword(h, "correct horse") || checkPassword(h, "Correct horse") || h == hashPassword("correct horse") {
		t.Error(h)
	}
	for _, bad := range []string{"", "x", strings.Replace(h, "19456", "99999999", 1), strings.Replace(h, "argon2id", "argon2i", 1), h[:len(h)-5]} {
		if checkPassword(bad, "correct horse") {
			t.Errorf("%q", bad)
		}
	}
}

func TestRightsChangeAtOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, c := t.Context(), start()
		a := open(t, db, c, nil)
		ann, _ := a.Add(ctx, root, "ann", web.Operator)
		secret, _, _ := a.NewToken(ctx, root, "ann", "laptop", 0)
		link, _ := a.SignInLink(ctx, "ann", "")
		s, err := a.OpenLink(ctx, strings.TrimPrefix(link, "/signin?link="), "10.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		may := func(want bool) {
			t.Helper()
			for _, r := range []*http.Request{bearer(secret), withCookie(s)} {
				if who, _ := a.Authenticate(r); who.May(web.Operator) != want {
					t.Errorf("%+v", who)
				}
			}
		}
		may(true)
		if err := a.SetRoles(ctx, root, ann.ID); err != nil {
			t.Fatal(err)
		}
		may(false)
		a.SetRoles(ctx, root, ann.ID, web.Admin, web.Operator)
		may(true)
		if err := a.Disable(ctx, root, ann.ID); err != nil {
			t.Fatal(err)
		}
		may(false)
		if err := a.Enable(ctx, root, ann.ID); err != nil {
			t.Fatal(err)
		}
		may(true)
		people, _ := a.People(ctx)
		a.SetRoles(ctx, root, ann.ID)
		for _, p := range people {
			if p.Name == "admin" {
				if err := a.SetRoles(ctx, root, p.ID); !errs.Is(err, errs.Conflict) {
					t.Errorf("the last admin lost the role: %v", err)
				}
				if err := a.Disable(ctx, root, p.ID); !errs.Is(err, errs.Conflict) {
					t.Errorf("the last admin was disabled: %v", err)
				}
			}
		}
		for _, err := range []error{a.SetRoles(ctx, root, ann.ID, "king"), a.SetRoles(ctx, root, ann.ID, web.Machine)} {
			if !errs.Is(err, errs.Invalid) {
				t.Error(err)
			}
		}
		if err := a.Disable(ctx, root, "nobody"); !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
		if _, err := a.Add(ctx, root, "ann"); !errs.Is(err, errs.Conflict) {
			t.Error(err)
		}
		if _, err := a.Add(ctx, root, "ann smith"); !errs.Is(err, errs.Invalid) {
			t.Error(err)
		}
		log, err := a.Audit(ctx, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, e := range log {
			said = append(said, e.Who+": "+e.Action+": "+e.What)
		}
		for _, want := range []string{"admin: person added: ann, operator", "admin: token made: ann: laptop", "ann: signed in by link: ann", "admin: roles changed: ann: admin operator", "admin: person disabled: ann", "admin: person enabled: ann"} {
			if !slices.Contains(said, want) {
				t.Errorf("%q is not in the audit log %q", want, said)
			}
		}
		if older, err := a.Audit(ctx, log[0].ID, 1); err != nil || len(older) != 1 || older[0].ID != log[1].ID {
			t.Error(older, err)
		}
	})
}

func TestAdminToken(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{})
	a := open(t, db, start(), nil)
	if err := a.SetAdminToken(t.Context(), "short"); !errs.Is(err, errs.Invalid) {
		t.Error(err)
	}
	if err := a.SetAdminToken(t.Context(), "accept-admin-token-0123456789"); err != nil {
		t.Fatal(err)
	}
	if who, err := a.Authenticate(bearer("accept-admin-token-0123456789")); err != nil || who.Name != "admin" || !who.May(web.Admin) {
		t.Error(who, err)
	}
	a.SetAdminToken(t.Context(), "")
	if _, err := a.Authenticate(bearer("accept-admin-token-0123456789")); !errs.Is(err, errs.Unknown) {
		t.Error(err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.SetBasicAuth("admin", "x")
	if _, err := a.Authenticate(r); !errs.Is(err, errs.Unknown) {
		t.Error(err)
	}
}

func TestNoSecretIsStored(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{})
	a := open(t, db, start(), nil)
	secret, _, _ := a.NewToken(t.Context(), root, "admin", "x", 0)
	s, err := a.SignInToken(t.Context(), secret, "10.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	err = db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for table, plain := range map[string]string{"accounts_token": secret, "accounts_session": s.Token} {
			var hash string
			if err := tx.QueryRow(ctx, `SELECT hash FROM `+table).Scan(&hash); err != nil {
				return err
			}
			if hash != ids.Hash(plain) {
				t.Errorf("%s holds %q", table, hash)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTriesStayBounded(t *testing.T) {
	tr := newTries()
	now := time.Unix(0, 0)
	for i := range mostTracked + 10 {
		tr.allow(ids.Token(), ids.Token(), now.Add(time.Duration(i)))
	}
	if len(tr.by) > mostTracked+1 {
		t.Error(len(tr.by))
	}
	tr.tidy(now.Add(3 * time.Hour))
	if len(tr.by) != 0 {
		t.Error(len(tr.by))
	}
}

// BenchmarkAuthenticate is a token's way through the cache, which every API call takes.
func BenchmarkAuthenticate(b *testing.B) {
	db := sqldbtest.Open(b, sqldbtest.SQLite, sqldb.Options{})
	a, err := New(b.Context(), Needs{DB: db, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	secret, _, err := a.NewToken(b.Context(), root, "admin", "x", 0)
	if err != nil {
		b.Fatal(err)
	}
	r := bearer(secret)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(r); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzPHC(f *testing.F) {
	for _, s := range []string{"$argon2id$v=19$m=19456,t=2,p=1$AAAA$BBBB", "$argon2id$v=19$m=0,t=0,p=1$$", "$$$$$", "$argon2id$$m=1048577,t=1,p=1$a$b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, key, memory, time, ok := parsePHC(s)
		if ok && (len(key) != keyLen || memory == 0 || memory > 1<<20 || time == 0 || time > 100) {
			t.Errorf("%q asks for m=%d, t=%d and a key of %d bytes", s, memory, time, len(key))
		}
	})
}
