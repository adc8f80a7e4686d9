package shard

import (
	"context"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/jobs"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

func TestTheFirstShardReadsAndWrites(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		h := newHouse(t, kind)
		s := h.process()
		ctx := context.Background()
		if list, at, err := photosOf(ctx, s, "nobody"); err != nil || len(list) != 0 || at.Name != FirstName {
			t.Fatalf("of nobody: %v, %v, %v", list, at, err)
		}
		must(t, put(ctx, s, "ada", "p1", "one"))
		must(t, put(ctx, s, "ada", "p2", "two"))
		list, at, err := photosOf(ctx, s, "ada")
		if err != nil || len(list) != 2 {
			t.Fatalf("%v, %v", list, err)
		}
		hash, err := cas.ParseHash(list[1].hash)
		must(t, err)
		r, err := at.CAS.Open(ctx, hash)
		must(t, err)
		defer r.Close()
		if text, err := io.ReadAll(r); err != nil || string(text) != "two" {
			t.Errorf("%q, %v", text, err)
		}
		owners, err := s.Owners(ctx, at, "", 10)
		if err != nil || len(owners) != 1 || owners[0].Rev != 2 || owners[0].Photos != 2 || owners[0].Bytes != 6 {
			t.Errorf("%+v, %v", owners, err)
		}
		must(t, s.Check(ctx))
		// Another process, and a later one, find the same.
		other := h.process()
		if list, _, err := photosOf(ctx, other, "ada"); err != nil || len(list) != 2 {
			t.Errorf("another process: %v, %v", list, err)
		}
	})
}

// A fn's own error comes back as it is, at once, and nothing stays: not even somebody new.
func TestAFnsOwnErrorIsItsCallers(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		s, ctx := newHouse(t, kind).process(), context.Background()
		for _, own := range []error{errs.New(errs.Busy, "come again"), errMissing{}, ErrMoved} {
			ran := 0
			err := s.Write(ctx, "ada", nil, func(ctx context.Context, tx *sqldb.Tx, at *Shard, rev int64) error {
				ran++
				return own
			})
			if reflect.TypeOf(err) != reflect.TypeOf(own) || err.Error() != own.Error() || ran > 3 {
				t.Errorf("%v after %d runs, want %v", err, ran, own)
			}
		}
		if owners, err := s.Owners(ctx, s.Shards()[0], "", 10); err != nil || len(owners) != 0 {
			t.Errorf("%v, %v", owners, err)
		}
		for _, owner := range []string{"", strings.Repeat("x", MaxOwner+1)} {
			if err := s.Read(ctx, owner, nil); !errs.Is(err, errs.Invalid) {
				t.Errorf("owner %q: %v", owner, err)
			}
		}
	})
}

// With a queue of jobs, a shard that is added fills by itself.
func TestJobsMoveOwners(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		var q *jobs.Queue
		h := newHouse(t, kind, func(n *Needs, _ *Config) {
			var err error
			q, err = jobs.Open(context.Background(), n.DB, jobs.Config{Poll: 20 * time.Millisecond})
			must(t, err)
			n.Jobs = q
		})
		s, ctx := h.process(), context.Background()
		must(t, q.Register(s.Work()...))
		must(t, q.Start(ctx))
		defer q.Stop(ctx)
		want := map[string]map[string]string{}
		for i := range 8 {
			must(t, put(ctx, s, name(i), name(i), "text of "+name(i)))
			want[name(i)] = map[string]string{name(i): "text of " + name(i)}
		}
		_, m, err := s.Add(ctx, New{Name: "second"})
		must(t, err)
		for end := time.Now().Add(20 * time.Second); m.State != Done && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			m, err = s.Migration(ctx, m.ID)
			must(t, err)
		}
		if m.State != Done || m.OwnersDone == 0 {
			t.Errorf("%+v", m)
		}
		must(t, s.tidyAll(ctx))
		whole(t, s, want)
	})
}

// A paused migration rests, and goes on when it is resumed.
func TestAMigrationIsPaused(t *testing.T) {
	h := newHouse(t, sqldbtest.SQLite)
	s, ctx := h.process(), context.Background()
	for i := range 8 {
		must(t, put(ctx, s, name(i), name(i), "text"))
	}
	_, m, err := s.Add(ctx, New{Name: "second"})
	must(t, err)
	must(t, s.Pause(ctx, m.ID))
	if n, err := s.Move(ctx, time.Minute); err != nil || n != 0 {
		t.Errorf("%d moved, %v", n, err)
	}
	if m, err = s.Migration(ctx, m.ID); err != nil || m.State != Paused {
		t.Errorf("%+v, %v", m, err)
	}
	must(t, s.Resume(ctx, m.ID))
	settled(t, s)
	if err := s.Pause(ctx, m.ID); !errs.Is(err, errs.Conflict) {
		t.Errorf("a done one: %v", err)
	}
	if err := s.Pause(ctx, "none"); !errs.Is(err, errs.NotFound) {
		t.Errorf("none: %v", err)
	}
	list, next, err := s.Migrations(ctx, "", 1)
	if err != nil || len(list) != 1 || next != "" || list[0].State != Done {
		t.Errorf("%+v, %q, %v", list, next, err)
	}
}
