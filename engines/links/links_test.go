package links

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/accounts"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

func open(t *testing.T, db *sqldb.DB) (*Links, *clock.Manual) {
	t.Helper()
	c := clock.NewManual(time.Date(2026, 11, 22, 21, 40, 0, 0, time.UTC))
	people, err := accounts.New(t.Context(), accounts.Needs{DB: db, Clock: c, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), Needs{DB: db, Clock: c, Passwords: people})
	if err != nil {
		t.Fatal(err)
	}
	return l, c
}

func (l *Links) mustMake(t *testing.T, n New) Link {
	t.Helper()
	if n.Realm == "" {
		n.Realm, n.Owner, n.Target = "files", "ada", "node-1"
	}
	made, err := l.Make(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func wantKind(t *testing.T, what string, err error, kind errs.Kind) {
	t.Helper()
	if !errs.Is(err, kind) {
		t.Errorf("%s: %v, want the kind %q", what, err, kind)
	}
}

func TestALinkOpensUntilItIsOver(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l, c := open(t, db)
		week := l.mustMake(t, New{Life: 7 * 24 * time.Hour})
		forever := l.mustMake(t, New{})
		got, err := l.Open(t.Context(), "files", week.Token, "", "1.2.3.4")
		if err != nil || got.Target != "node-1" || got.Owner != "ada" || got.Token != "" || !got.Expires.Equal(week.Expires) {
			t.Fatalf("%+v, %v", got, err)
		}
		_, err = l.Open(t.Context(), "photos", week.Token, "", "1.2.3.4")
		wantKind(t, "another room", err, errs.NotFound)
		_, err = l.Open(t.Context(), "files", week.Token+"x", "", "1.2.3.4")
		wantKind(t, "another token", err, errs.NotFound)
		c.Advance(7 * 24 * time.Hour)
		_, err = l.Open(t.Context(), "files", week.Token, "", "1.2.3.4")
		wantKind(t, "an expired one", err, errs.NotFound)
		wantKind(t, "a use of an expired one", l.Use(t.Context(), week.ID), errs.NotFound)
		wantKind(t, "somebody else's", l.Revoke(t.Context(), "files", "bob", forever.ID), errs.NotFound)
		if err := l.Revoke(t.Context(), "files", "ada", forever.ID); err != nil {
			t.Fatal(err)
		}
		if err := l.Revoke(t.Context(), "files", "", forever.ID); err != nil {
			t.Errorf("an operator, again: %v", err)
		}
		_, err = l.Open(t.Context(), "files", forever.Token, "", "1.2.3.4")
		wantKind(t, "a revoked one", err, errs.NotFound)
		if n, err := l.Sweep(t.Context(), c.Now().Add(time.Second), 10); n != 2 || err != nil {
			t.Errorf("swept %d, %v", n, err)
		}
	})
}

// Of a hundred who want the last ten uses, ten get one.
func TestUsesAreCountedExactly(t *testing.T) {
	sqldbtest.EachWith(t, sqldb.Options{}, func(t *testing.T, db *sqldb.DB) {
		l, _ := open(t, db)
		made := l.mustMake(t, New{Most: 10})
		var good, over atomic.Int64
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				switch err := l.Use(context.Background(), made.ID); {
				case err == nil:
					good.Add(1)
				case errs.Is(err, errs.NotFound):
					over.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if good.Load() != 10 || over.Load() != 90 {
			t.Errorf("%d used it, %d were told that it is over", good.Load(), over.Load())
		}
		list, _, err := l.List(t.Context(), Filter{Realm: "files", Owner: "ada"})
		if err != nil || len(list) != 1 || list[0].Used != 10 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

func TestPasswordsAreHashedAndTriesCounted(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l, _ := open(t, db)
		made := l.mustMake(t, New{Password: "open sesame"})
		_, err := l.Open(t.Context(), "files", made.Token, "", "1.2.3.4")
		wantKind(t, "no password", err, errs.Unknown)
		if got, err := l.Open(t.Context(), "files", made.Token, "open sesame", "1.2.3.4"); err != nil || !got.Password {
			t.Errorf("%+v, %v", got, err)
		}
		for i := range 20 {
			if _, err = l.Open(t.Context(), "files", made.Token, "wrong", "1.2.3.4"); errs.Is(err, errs.Busy) {
				break
			}
			wantKind(t, "a wrong password", err, errs.Unknown)
			if i == 19 {
				t.Error("twenty tries in a row are heard")
			}
		}
		err = db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			var hash, password string
			if err := tx.QueryRow(ctx, `SELECT hash, password FROM links_links`).Scan(&hash, &password); err != nil {
				return err
			}
			if strings.Contains(hash+password, made.Token) || strings.Contains(hash+password, "sesame") {
				t.Error("a secret stands in the database as it is")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestLinksAreListedByOwnerAndByTarget(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l, c := open(t, db)
		for i := range 5 {
			c.Advance(time.Second)
			l.mustMake(t, New{Realm: "files", Owner: []string{"ada", "bob"}[i%2], Target: []string{"x", "x", "y"}[i%3]})
		}
		count := func(f Filter) int {
			t.Helper()
			n := 0
			for last := "~"; ; {
				list, next, err := l.List(t.Context(), f)
				if err != nil {
					t.Fatal(err)
				}
				for _, k := range list {
					if k.ID >= last {
						t.Errorf("%s comes after %s", k.ID, last)
					}
					last = k.ID
					n++
				}
				if f.Cursor = next; next == "" {
					return n
				}
			}
		}
		if a, x, ax := count(Filter{Realm: "files", Owner: "ada", Limit: 2}), count(Filter{Realm: "files", Target: "x", Limit: 1}), count(Filter{Realm: "files", Owner: "ada", Target: "x"}); a != 3 || x != 4 || ax != 2 {
			t.Errorf("%d of ada, %d to x, %d of both", a, x, ax)
		}
		if _, _, err := l.List(t.Context(), Filter{Realm: "files"}); !errs.Is(err, errs.Invalid) {
			t.Errorf("a list of everything: %v", err)
		}
		if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return l.RevokeTarget(ctx, tx, "files", "x") }); err != nil {
			t.Fatal(err)
		}
		list, _, err := l.List(t.Context(), Filter{Realm: "files", Owner: "bob"})
		if err != nil || len(list) != 2 {
			t.Fatalf("%v, %v", list, err)
		}
		for _, k := range list {
			if k.Over(c.Now()) != (k.Target == "x") {
				t.Errorf("%+v", k)
			}
		}
	})
}

func TestBadLinksAreRefused(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l, _ := open(t, db)
		for what, n := range map[string]New{
			"no target": {Realm: "files", Owner: "ada"}, "in the past": {Realm: "files", Owner: "ada", Target: "x", Life: -1},
			"too long": {Realm: "files", Owner: "ada", Target: "x", Password: strings.Repeat("x", 257)}, "below none": {Realm: "files", Owner: "ada", Target: "x", Most: -1},
		} {
			_, err := l.Make(t.Context(), n)
			wantKind(t, what, err, errs.Invalid)
		}
	})
}

// Who gave the right password looks through a folder of a thousand pictures; wrong ones
// are counted all the same, and being remembered helps nobody to guess.
func TestARightPasswordIsNotCountedAgain(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l, c := open(t, db)
		made := l.mustMake(t, New{Password: "open sesame"})
		try := func(password, remote string) error {
			_, err := l.Open(t.Context(), "files", made.Token, password, remote)
			return err
		}
		for i := range 100 {
			if err := try("open sesame", "1.2.3.4"); err != nil {
				t.Fatalf("request %d: %v", i, err)
			}
		}
		for range 9 {
			wantKind(t, "a wrong one", try("open barley", "6.6.6.6"), errs.Unknown)
		}
		wantKind(t, "one wrong one too many", try("open wheat", "6.6.6.6"), errs.Busy)
		wantKind(t, "the right one from another address", try("open sesame", "6.6.6.6"), errs.Busy)
		if err := try("open sesame", "1.2.3.4"); err != nil {
			t.Errorf("who is in is locked out: %v", err)
		}
		wantKind(t, "a guess beside who is in", try("open rye", "1.2.3.4"), errs.Busy)
		wantKind(t, "the next guess", try("open sesame", "1.2.3.4"), errs.Busy)
		c.Advance(time.Hour)
		if err := try("open sesame", "1.2.3.4"); err != nil {
			t.Fatal(err)
		}
		if err := l.Revoke(t.Context(), "files", "ada", made.ID); err != nil {
			t.Fatal(err)
		}
		wantKind(t, "a revoked one", try("open sesame", "1.2.3.4"), errs.NotFound)
	})
}
