package shard

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// Three shards get a fourth: bytes that move are at most 1.05 of its share, and nobody
// moves between the others.
func TestAFourthShardGetsItsShareAndNoMore(t *testing.T) {
	h := newHouse(t, sqldbtest.SQLite)
	s, ctx := h.process(), context.Background()
	for _, n := range []string{"second", "third"} {
		_, _, err := s.Add(ctx, New{Name: n})
		must(t, err)
	}
	const owners = 3000
	var all sync.WaitGroup
	for w := range 32 {
		all.Go(func() {
			for i := w; i < owners; i += 32 {
				must(t, putSmall(ctx, s, name(i), strings.Repeat(fmt.Sprintf("%07d ", i), 250)))
			}
		})
	}
	all.Wait()
	before := homes(t, s)
	_, m, err := s.Add(ctx, New{Name: "fourth"})
	must(t, err)
	began := time.Now()
	settled(t, s)
	took := time.Since(began)
	m, err = s.Migration(ctx, m.ID)
	must(t, err)
	if m.State != Done || m.BytesDone > m.IdealBytes*105/100 || m.BytesDone < m.IdealBytes*90/100 || m.BytesDone != m.Bytes || m.Failed != 0 {
		t.Errorf("%+v", m)
	}
	after := homes(t, s)
	moved := 0
	for owner, at := range after {
		if at != before[owner] {
			moved++
			if at != "fourth" {
				t.Errorf("%s moved from %s to %s", owner, before[owner], at)
			}
		}
	}
	if len(after) != owners || int64(moved) != m.OwnersDone {
		t.Errorf("%d owners, %d moved, %d by the migration", len(after), moved, m.OwnersDone)
	}
	t.Logf("%d owners moved in %v, %.3f of the ideal bytes; %d stay so that none gets more than its share", moved, took.Round(time.Millisecond),
		float64(m.BytesDone)/float64(m.IdealBytes), m.Kept)
}

func homes(t testing.TB, s *Set) map[string]string {
	t.Helper()
	at := map[string]string{}
	for _, x := range s.Shards() {
		list, err := s.Owners(context.Background(), x, "", 10_000)
		must(t, err)
		for _, o := range list {
			if at[o.ID] != "" {
				t.Errorf("%s is held twice", o.ID)
			}
			at[o.ID] = x.Name
		}
	}
	return at
}

// putSmall stores one content and one row.
func putSmall(ctx context.Context, s *Set, owner, text string) error {
	at, err := s.Home(ctx, owner)
	if err != nil {
		return err
	}
	p, err := at.CAS.Put(ctx, strings.NewReader(text), cas.PutOptions{})
	if err != nil {
		return err
	}
	defer p.Close()
	return s.Write(ctx, owner, at, func(ctx context.Context, tx *sqldb.Tx, at *Shard, rev int64) error {
		if err := at.CAS.Take(ctx, tx, p); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, putPhoto, owner, owner, "", p.Hash().String(), "", rev, p.Size(), 0.0, []byte{}); err != nil {
			return err
		}
		return s.Tally(ctx, tx, owner, 1, p.Size())
	})
}

// However many owners there are, a change of the map takes them in batches, and keeps no
// more of them in memory than it says.
func TestManyOwnersTakeBoundedMemory(t *testing.T) {
	owners, kept := int64(30_000), 4096
	if os.Getenv("PLUMB_SOAK") != "" {
		owners, kept = 1_000_000, maxHints
	}
	h := newHouse(t, sqldbtest.SQLite, func(_ *Needs, c *Config) { c.Refresh = time.Hour })
	s, ctx := h.process(), context.Background()
	s.hints = kept
	at := s.Shards()[0]
	must(t, at.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
			INSERT INTO photos_owners (owner, state, peer, turn, rev, photos, bytes, made, until, copied)
			SELECT 'owner-' || printf('%09d', i), 'here', 0, 0, 1, 1, 1000, 0, 0, '' FROM n`, owners)
		return err
	}))
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	start, most, n := heap(), uint64(0), 0
	s.hook = func(string) error {
		if n++; n%100 == 0 {
			most = max(most, heap())
		}
		return nil
	}
	began := time.Now()
	_, m, err := s.Add(ctx, New{Name: "second"})
	must(t, err)
	took := time.Since(began)
	most = max(most, heap())
	if grown := int64(most) - int64(start); grown > 48<<20 {
		t.Errorf("%d MB more than at the beginning", grown>>20)
	}
	if m.Owners < owners*45/100 || m.Bytes > m.IdealBytes*105/100 || m.Owners+m.Kept > owners*55/100 {
		t.Errorf("%+v", m)
	}
	d := s.dir.Load()
	if len(d.where.at) != kept || d.where.complete {
		t.Errorf("%d pins are kept", len(d.where.at))
	}
	t.Logf("%d of %d owners were pinned in %v; %.1f MB more in memory", m.Owners, owners, took.Round(time.Millisecond), float64(int64(most)-int64(start))/1e6)
	// Those who are not kept are found all the same, and new ones are made.
	for i := int64(1); i <= owners; i += owners / 40 {
		owner := fmt.Sprintf("owner-%09d", i)
		must(t, s.Read(ctx, owner, func(ctx context.Context, tx *sqldb.Tx, at *Shard) error {
			if _, found, err := readStanding(ctx, tx, owner); err != nil || !found || at.No != 1 {
				t.Errorf("%s is looked for on %s: %v", owner, at.Name, err)
			}
			return nil
		}))
		must(t, put(ctx, s, owner, owner, "text"))
		must(t, put(ctx, s, "new "+owner, "new "+owner, "text"))
	}
}
