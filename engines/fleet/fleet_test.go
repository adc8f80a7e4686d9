package fleet

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/bus"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
	"plumb/engines/web"
)

var ctx = context.Background()

// process is one of several that share a database and a bus.
type process struct {
	*Fleet
	t     testing.TB
	clock *clock.Manual
}

func start(t testing.TB, db *sqldb.DB, b bus.Bus) *process {
	t.Helper()
	c := clock.NewManual(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	f, err := Open(ctx, Needs{DB: db, Bus: b, Clock: c, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return &process{f, t, c}
}

func each(t *testing.T, fn func(t *testing.T, p *process)) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		b := bus.Memory()
		p := start(t, db, b)
		defer b.Close()
		defer p.Close()
		fn(t, p)
	})
}

func (p *process) write(fn sqldb.Fn) error { return p.n.DB.Write(ctx, fn) }

// enrol adds a machine of the realm "test" and returns its token.
func (p *process) enrol(id string) string {
	p.t.Helper()
	token := ids.Token()
	err := p.write(func(ctx context.Context, tx *sqldb.Tx) error {
		return p.Enrol(ctx, tx, Machine{"test", id, "Berlin"}, token)
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

func (p *process) code(id string) (code string, err error) {
	code = Code()
	err = p.write(func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := p.NewCode(ctx, tx, "test", id, code)
		return err
	})
	return code, err
}

func (p *process) redeem(realm, code string) (m Machine, token string, err error) {
	token = ids.Token()
	err = p.write(func(ctx context.Context, tx *sqldb.Tx) error {
		m, err = p.Redeem(ctx, tx, realm, code, token)
		return err
	})
	if err == nil {
		p.Changed(ctx, m.Realm, m.ID)
	}
	return m, token, err
}

func (p *process) revoke(id string, revoked bool) error {
	err := p.write(func(ctx context.Context, tx *sqldb.Tx) error { return p.Revoke(ctx, tx, "test", id, revoked) })
	if err == nil {
		p.Changed(ctx, "test", id)
	}
	return err
}

// A machine that was revoked is refused by its certificate as by its token, and as
// one that never was, in words that are true of both.
func TestARevokedMachineIsRefusedInTrueWords(t *testing.T) {
	each(t, func(t *testing.T, p *process) {
		token := p.enrol("m-1")
		cert := func(id string) error {
			_, err := p.ByCertificate(ctx, &x509.Certificate{Subject: pkix.Name{CommonName: id, OrganizationalUnit: []string{"test"}}})
			return err
		}
		if err := cert("m-1"); err != nil {
			t.Fatal(err)
		}
		if err := p.revoke("m-1", true); err != nil {
			t.Fatal(err)
		}
		_, byToken := p.ByToken(ctx, token)
		revoked, never := cert("m-1"), cert("m-2")
		for _, err := range []error{byToken, revoked, never} {
			if text := errs.Message(err); !errs.Is(err, errs.Unknown) || !strings.Contains(text, "in good standing") {
				t.Error(err)
			}
		}
		if strings.ReplaceAll(errs.Message(revoked), "m-1", "m-2") != errs.Message(never) {
			t.Errorf("%v, but %v", revoked, never)
		}
	})
}

func TestTokensAreKnownAndNotKept(t *testing.T) {
	each(t, func(t *testing.T, p *process) {
		token := p.enrol("m-1")
		for range 2 { // from the database, and from the cache
			if m, err := p.ByToken(ctx, token); err != nil || m != (Machine{"test", "m-1", "Berlin"}) {
				t.Fatal(m, err)
			}
		}
		for _, bad := range []string{"", "x", ids.Hash(token), token + "x"} {
			if _, err := p.ByToken(ctx, bad); !errs.Is(err, errs.Unknown) {
				t.Errorf("token %q: %v", bad, err)
			}
		}
		var kept string
		err := p.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, `SELECT token FROM fleet_machines`).Scan(&kept)
		})
		if err != nil || kept == "" || strings.Contains(kept, token) {
			t.Errorf("%q is kept: %v", kept, err)
		}
		err = p.write(func(ctx context.Context, tx *sqldb.Tx) error {
			return p.Enrol(ctx, tx, Machine{"test", "m-1", "Rome"}, ids.Token())
		})
		if !errs.Is(err, errs.Conflict) {
			t.Errorf("the same id again: %v", err)
		}
		err = p.write(func(ctx context.Context, tx *sqldb.Tx) error { return p.Enrol(ctx, tx, Machine{"test", "m 1", ""}, "") })
		if !errs.Is(err, errs.Invalid) {
			t.Errorf("a bad id: %v", err)
		}
		err = p.write(func(ctx context.Context, tx *sqldb.Tx) error {
			return p.Enrol(ctx, tx, Machine{"other", "m-1", ""}, "")
		})
		if err != nil {
			t.Errorf("the same id in another realm: %v", err)
		}
		// A machine without a token yet is not known by the empty one.
		if _, err := p.ByToken(ctx, ""); !errs.Is(err, errs.Unknown) {
			t.Error(err)
		}
	})
}

func TestARevocationReachesEveryProcess(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		b := bus.Memory()
		one, two := start(t, db, b), start(t, db, b)
		defer b.Close()
		defer one.Close()
		defer two.Close()
		token := one.enrol("m-1")
		for _, p := range []*process{one, two} {
			if _, err := p.ByToken(ctx, token); err != nil {
				t.Fatal(err)
			}
		}
		if err := one.revoke("m-1", true); err != nil {
			t.Fatal(err)
		}
		if _, err := one.ByToken(ctx, token); !errs.Is(err, errs.Unknown) {
			t.Errorf("the process that revoked it: %v", err)
		}
		for { // the bus delivers in its own time
			if _, err := two.ByToken(ctx, token); errs.Is(err, errs.Unknown) {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if st, err := two.Standing(ctx, "test", "m-1"); err != nil || st.Revoked.IsZero() {
			t.Errorf("%+v %v", st, err)
		}
		if err := two.revoke("m-1", false); err != nil {
			t.Fatal(err)
		}
		if m, err := one.ByToken(ctx, token); err != nil || m.ID != "m-1" {
			t.Errorf("restored: %v", err)
		}
		if err := one.revoke("nobody", true); !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
	})
}

// deaf is a bus that tells nobody.
type deaf struct{ bus.Bus }

func (deaf) Publish(context.Context, string, []byte) error { return errors.New("away") }

func TestARevocationThatIsNotHeardCountsWithinAMinute(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{})
	b := bus.Memory()
	defer b.Close()
	one, two := start(t, db, deaf{b}), start(t, db, b)
	defer one.Close()
	defer two.Close()
	token := one.enrol("m-1")
	two.ByToken(ctx, token)
	if err := one.revoke("m-1", true); err != nil {
		t.Fatal(err)
	}
	two.clock.Advance(CacheTime)
	if _, err := two.ByToken(ctx, token); !errs.Is(err, errs.Unknown) {
		t.Error(err)
	}
}

// A read that began before a revocation must not bring the machine back.
func TestTheCacheDoesNotKeepWhatWasReadBefore(t *testing.T) {
	var c cache
	now := time.Unix(0, 0)
	_, _, age := c.byToken("t", now)
	c.drop("test/m-1")
	c.keep("t", Machine{"test", "m-1", ""}, now, age)
	if _, ok, _ := c.byToken("t", now); ok {
		t.Error("a machine came back after it was revoked")
	}
	for i := range cacheMost + 10 {
		_, _, age := c.byToken("", now)
		c.keep(fmt.Sprint(i), Machine{"test", fmt.Sprint(i), ""}, now, age)
	}
	if len(c.tokens) > cacheMost || len(c.tokens) != len(c.keys) {
		t.Errorf("%d tokens, %d machines", len(c.tokens), len(c.keys))
	}
}

func TestCodes(t *testing.T) {
	each(t, func(t *testing.T, p *process) {
		old := p.enrol("m-1")
		first, err := p.code("m-1")
		if err != nil {
			t.Fatal(err)
		}
		second, err := p.code("m-1")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.redeem("test", first); !errs.Is(err, errs.Unknown) {
			t.Errorf("a code that a newer one ended: %v", err)
		}
		if _, _, err := p.redeem("other", second); !errs.Is(err, errs.Unknown) {
			t.Errorf("a code of another realm: %v", err)
		}
		// Many at once: one gets the token.
		var mu sync.Mutex
		var wg sync.WaitGroup
		var tokens []string
		for range 20 {
			wg.Go(func() {
				m, token, err := p.redeem("test", strings.ToLower(second))
				mu.Lock()
				defer mu.Unlock()
				if err == nil && m.Cohort == "Berlin" {
					tokens = append(tokens, token)
				} else if !errs.Is(err, errs.Unknown) {
					t.Error(m, err)
				}
			})
		}
		wg.Wait()
		if len(tokens) != 1 {
			t.Fatalf("one code gave %d tokens", len(tokens))
		}
		if _, err := p.ByToken(ctx, old); !errs.Is(err, errs.Unknown) {
			t.Errorf("the old token is still good: %v", err)
		}
		if _, err := p.ByToken(ctx, tokens[0]); err != nil {
			t.Error(err)
		}
		third, _ := p.code("m-1")
		p.clock.Advance(CodeTime)
		if _, _, err := p.redeem("test", third); !errs.Is(err, errs.Unknown) {
			t.Errorf("an expired code: %v", err)
		}
		fourth, _ := p.code("m-1")
		if err := p.revoke("m-1", true); err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.redeem("test", fourth); !errs.Is(err, errs.Unknown) {
			t.Errorf("a code of a revoked machine: %v", err)
		}
		if _, err := p.code("m-1"); !errs.Is(err, errs.Denied) {
			t.Errorf("a new code for a revoked machine: %v", err)
		}
		if _, err := p.code("nobody"); !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
	})
}

func TestCodesCanBeTyped(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		c := Code()
		if len(c) != 19 || strings.Trim(c, letters+"-") != "" || seen[c] {
			t.Fatal(c)
		}
		seen[c] = true
	}
	if plain(" 7kq2 mOxv-93hd-ZI4l ") != "7KQ2M0XV93HDZ141" {
		t.Error(plain(" 7kq2 mOxv-93hd-ZI4l "))
	}
}

func TestAuthenticate(t *testing.T) {
	each(t, func(t *testing.T, p *process) {
		token := p.enrol("m-1")
		ask := func(header string) (web.Who, error) {
			r := httptest.NewRequest("POST", "/", nil)
			if header != "" {
				r.Header.Set("Authorization", header)
			}
			return p.Authenticate(r)
		}
		who, err := ask("Bearer " + token)
		if err != nil || who.Kind != "machine" || who.ID != "test/m-1" || !who.May(web.Machine) || who.May(web.Person) {
			t.Errorf("%+v %v", who, err)
		}
		for range 2 {
			if m, err := p.ByWho(ctx, "test", who); err != nil || m.Cohort != "Berlin" {
				t.Error(m, err)
			}
			p.clock.Advance(CacheTime) // once from the cache, once from the database
		}
		if _, err := p.ByWho(ctx, "other", who); !errs.Is(err, errs.Denied) {
			t.Error(err)
		}
		if _, err := p.ByWho(ctx, "test", web.Who{Kind: "person", ID: "test/m-1"}); !errs.Is(err, errs.Denied) {
			t.Error(err)
		}
		for _, none := range []string{"", "Basic " + token, "Bearer"} {
			if who, err := ask(none); err != nil || who.Kind != "" {
				t.Errorf("%q: %+v %v", none, who, err)
			}
		}
		if _, err := ask("Bearer x"); !errs.Is(err, errs.Unknown) {
			t.Error(err)
		}
	})
}

func TestPresence(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		b := bus.Memory()
		defer b.Close()
		p := start(t, db, b)
		token := p.enrol("m-1")
		if st, err := p.Standing(ctx, "test", "m-1"); err != nil || !st.Seen.IsZero() || !st.HasToken {
			t.Fatalf("%+v %v", st, err)
		}
		p.clock.Advance(time.Minute)
		p.ByToken(ctx, token)
		at := p.clock.Now()
		if st, _ := p.Standing(ctx, "test", "m-1"); !st.Seen.Equal(at) {
			t.Errorf("seen %s, want %s", st.Seen, at)
		}
		p.Close() // writes it
		q := start(t, db, b)
		defer q.Close()
		if st, _ := q.Standing(ctx, "test", "m-1"); !st.Seen.Equal(at) {
			t.Errorf("after a restart seen %s, want %s", st.Seen, at)
		}
		if _, err := q.Standing(ctx, "test", "nobody"); !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
	})
}

func TestManyMachinesPresenceIsWrittenInParts(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{RunTwice: true})
	b := bus.Memory()
	defer b.Close()
	p := start(t, db, b)
	var tokens []string
	for i := range 2*flushMost + 50 {
		tokens = append(tokens, p.enrol(fmt.Sprint("m-", i)))
	}
	for _, token := range tokens {
		p.ByToken(ctx, token)
	}
	p.Close()
	var n int64
	err := db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM fleet_machines WHERE seen_at > 0`).Scan(&n)
	})
	if err != nil || int(n) != len(tokens) {
		t.Errorf("%d of %d written: %v", n, len(tokens), err)
	}
}

func BenchmarkByToken(b *testing.B) {
	db := sqldbtest.Open(b, sqldbtest.SQLite, sqldb.Options{})
	mem := bus.Memory()
	defer mem.Close()
	p := start(b, db, mem)
	defer p.Close()
	token := p.enrol("m-1")
	b.Run("cached", func(b *testing.B) {
		for b.Loop() {
			if _, err := p.ByToken(ctx, token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			p.cache.drop("test/m-1")
			if _, err := p.ByToken(ctx, token); err != nil {
				b.Fatal(err)
			}
		}
	})
}
