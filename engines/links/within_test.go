package links

import (
	"context"
	"testing"
	"time"

	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

func TestManyAreRevokedAndCountedInOneTransaction(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l, c := open(t, db)
		mine := func(target string, life time.Duration) Link {
			return l.mustMake(t, New{Realm: "photos", Owner: "ada", Target: target, Life: life})
		}
		one, two, other := mine("album/1", 0), mine("album/1", time.Hour), mine("album/2", 0)
		mine("album/1", time.Minute) // over when they are revoked: not counted
		bobs := l.mustMake(t, New{Realm: "photos", Owner: "bob", Target: "album/1"})
		c.Advance(2 * time.Minute)
		var n int64
		var known, foreign bool
		within := func(fn func(ctx context.Context, tx *sqldb.Tx) error) {
			t.Helper()
			if err := db.Write(t.Context(), fn); err != nil {
				t.Fatal(err)
			}
		}
		within(func(ctx context.Context, tx *sqldb.Tx) (err error) {
			if err = l.Count(ctx, tx, one.ID, 3); err == nil {
				n, err = l.RevokeAll(ctx, tx, "photos", "ada", "album/1")
			}
			return err
		})
		got := func(k Link) Link {
			list, _, err := l.List(t.Context(), Filter{Realm: "photos", Owner: k.Owner})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range list {
				if f.ID == k.ID {
					return f
				}
			}
			return Link{}
		}
		if n != 2 || got(one).Revoked.IsZero() || got(two).Revoked.IsZero() || !got(other).Revoked.IsZero() || !got(bobs).Revoked.IsZero() {
			t.Errorf("%d were revoked", n)
		}
		if got(one).Used != 3 {
			t.Errorf("%d uses were counted", got(one).Used)
		}
		within(func(ctx context.Context, tx *sqldb.Tx) (err error) {
			if known, err = l.RevokeOne(ctx, tx, "photos", "ada", other.ID); err == nil {
				foreign, err = l.RevokeOne(ctx, tx, "photos", "ada", bobs.ID)
			}
			return err
		})
		if !known || foreign || got(other).Revoked.IsZero() || !got(bobs).Revoked.IsZero() {
			t.Errorf("one of hers: %v, of somebody else's: %v", known, foreign)
		}
		within(func(ctx context.Context, tx *sqldb.Tx) (err error) {
			n, err = l.RevokeAll(ctx, tx, "photos", "bob", "")
			return err
		})
		if n != 1 || got(bobs).Revoked.IsZero() {
			t.Errorf("%d of all were revoked", n)
		}
	})
}
