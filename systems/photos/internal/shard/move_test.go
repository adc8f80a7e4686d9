package shard

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
)

// settled moves owners until nobody is to move.
func settled(t testing.TB, s *Set) {
	t.Helper()
	for range 100 {
		n, err := s.Move(context.Background(), time.Minute)
		must(t, err)
		if n == 0 {
			return
		}
	}
	t.Fatal("it never ends")
}

// whole looks that all is as promised: each owner held by one shard, the rows' counts and
// references exact, every content readable.
func whole(t testing.TB, s *Set, want map[string]map[string]string) {
	t.Helper()
	ctx := context.Background()
	held := map[string]string{}
	for owner, photos := range want { // who looks settles what a dead mover left
		reads(t, s, owner, photos)
	}
	for _, at := range s.Shards() {
		refs := map[string]int{}
		owners, err := s.Owners(ctx, at, "", 10_000)
		must(t, err)
		for _, o := range owners {
			if other, twice := held[o.ID]; twice {
				t.Errorf("%s is held by %s and by %s", o.ID, other, at.Name)
			}
			held[o.ID] = at.Name
			if n := len(want[o.ID]); int(o.Photos) != n {
				t.Errorf("%s on %s has %d photos by their row, want %d", o.ID, at.Name, o.Photos, n)
			}
		}
		must(t, at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			clear(refs)
			rows, err := tx.Query(ctx, `SELECT hash, small FROM photos_photo WHERE gone = 0`)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var a, b string
				if err := rows.Scan(&a, &b); err != nil {
					return err
				}
				refs[a]++
				refs[b]++
			}
			return rows.Err()
		}))
		delete(refs, "")
		n := 0
		for _, k := range refs {
			n += k
		}
		st, err := at.CAS.Stats(ctx)
		must(t, err)
		if int(st.References) != n || int(st.Blobs) != len(refs) {
			t.Errorf("shard %s: %d references to %d contents, want %d to %d", at.Name, st.References, st.Blobs, n, len(refs))
		}
		must(t, at.CAS.Check(ctx))
	}
	for owner := range want {
		if held[owner] == "" {
			t.Errorf("nobody holds %s", owner)
			tell(t, s, owner)
		}
	}
}

// reads looks that an owner's photos are these, with their contents.
func reads(t testing.TB, s *Set, owner string, want map[string]string) {
	t.Helper()
	list, at, err := photosOf(context.Background(), s, owner)
	if err != nil || len(list) != len(want) {
		t.Errorf("%s has %d photos, want %d, %v", owner, len(list), len(want), err)
		return
	}
	for _, p := range list {
		for i, hash := range []string{p.hash, p.small} {
			text, err := content(at, hash)
			if w := []string{"", "small "}[i] + want[p.id]; err != nil || text != w {
				t.Errorf("%s of %s on %s: %.40q, want %.40q, %v", p.id, owner, at.Name, text, w, err)
			}
		}
	}
}

func content(at *Shard, hash string) (string, error) {
	h, err := cas.ParseHash(hash)
	if err != nil {
		return "", err
	}
	r, err := at.CAS.Open(context.Background(), h)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b := make([]byte, r.Size())
	if len(b) == 0 {
		return "", nil
	}
	_, err = r.ReadAt(b, 0)
	return string(b), err
}

func TestAddingAShardMovesItsShare(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		h := newHouse(t, kind)
		s, ctx := h.process(), context.Background()
		other := h.process() // whose map gets old
		want := map[string]map[string]string{}
		for i := range 24 {
			owner := name(i)
			want[owner] = map[string]string{}
			for j := range 3 {
				id, text := fmt.Sprintf("%s-%d", owner, j), fmt.Sprintf("photo %d of %s", j, owner)
				must(t, put(ctx, s, owner, id, text))
				want[owner][id] = text
			}
		}
		at, m, err := s.Add(ctx, New{Name: "second"})
		must(t, err)
		if m.State != Moving || m.Owners == 0 || m.IdealBytes == 0 || at.No != 2 {
			t.Fatalf("%+v on %+v", m, at)
		}
		whole(t, s, want) // nobody moved yet
		settled(t, s)
		whole(t, s, want)
		if m, err = s.Migration(ctx, m.ID); err != nil || m.State != Done || m.OwnersDone != m.Owners || m.PhotosDone != 3*m.Owners {
			t.Errorf("%+v, %v", m, err)
		}
		list, err := s.Owners(ctx, at, "", 100)
		if err != nil || len(list) == 0 || len(list) > 13 {
			t.Errorf("the new shard holds %d owners, %v", len(list), err)
		}
		for owner, photos := range want {
			reads(t, other, owner, photos)
		}
		n, err := s.Tidy(ctx)
		if err != nil || n != len(list) {
			t.Errorf("tidied %d owners, want %d, %v", n, len(list), err)
		}
		whole(t, s, want)
		// Writes go on where the owner is.
		for i := range 24 {
			id := name(i) + "-new"
			must(t, put(ctx, other, name(i), id, "new"))
			want[name(i)][id] = "new"
		}
		whole(t, s, want)
		whole(t, other, want)
	})
}

func TestDrainAndRemove(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		h := newHouse(t, kind)
		s, ctx := h.process(), context.Background()
		want := map[string]map[string]string{}
		for i := range 12 {
			must(t, put(ctx, s, name(i), name(i)+"-a", "text of "+name(i)))
			want[name(i)] = map[string]string{name(i) + "-a": "text of " + name(i)}
		}
		_, err := s.Drain(ctx, FirstName)
		if !errs.Is(err, errs.Conflict) {
			t.Errorf("the last shard can be drained: %v", err)
		}
		_, _, err = s.Add(ctx, New{Name: "second"})
		must(t, err)
		settled(t, s)
		_, err = s.Tidy(ctx)
		must(t, err)
		m, err := s.Drain(ctx, FirstName)
		must(t, err)
		if err := s.Remove(ctx, FirstName); !errs.Is(err, errs.Conflict) {
			t.Errorf("a draining shard is removed: %v", err)
		}
		settled(t, s)
		if m, err = s.Migration(ctx, m.ID); err != nil || m.State != Done {
			t.Errorf("%+v, %v", m, err)
		}
		whole(t, s, want)
		if err := s.Remove(ctx, FirstName); !errs.Is(err, errs.Busy) {
			t.Errorf("removed before its rows were erased: %v", err)
		}
		_, err = s.Tidy(ctx)
		must(t, err)
		must(t, s.Remove(ctx, FirstName))
		if len(s.Shards()) != 1 {
			t.Errorf("%d shards are left", len(s.Shards()))
		}
		whole(t, s, want)
		whole(t, h.process(), want)
		// A name is free again, its place is not.
		if _, _, err := s.Add(ctx, New{Name: FirstName}); !errs.Is(err, errs.Conflict) {
			t.Errorf("a removed shard's place is taken for another: %v", err)
		}
	})
}

// Readers and writers run through a whole migration, in two processes, and notice nothing.
func TestNobodyNoticesAMove(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		h := newHouse(t, kind)
		s, ctx := h.process(), context.Background()
		sets := []*Set{s, h.process()}
		const owners = 12
		want := map[string]map[string]string{}
		for i := range owners {
			want[name(i)] = map[string]string{}
		}
		var mu sync.Mutex
		var stop atomic.Bool
		var all sync.WaitGroup
		var did atomic.Int64
		for w := range 4 {
			set := sets[w%2]
			all.Go(func() {
				for i := 0; !stop.Load(); i++ {
					owner := name((i*4 + w) % owners) // one writer an owner
					id := fmt.Sprintf("%s-%d-%d", owner, w, i)
					if err := put(ctx, set, owner, id, "text of "+id); err != nil {
						t.Errorf("write: %v", err)
						return
					}
					mu.Lock()
					want[owner][id] = "text of " + id
					n := len(want[owner])
					mu.Unlock()
					// In another process all that was acknowledged is there at once.
					list, _, err := photosOf(ctx, sets[(w+1)%2], owner)
					if err != nil || len(list) < n {
						t.Errorf("%s has %d photos, and %d were acknowledged: %v", owner, len(list), n, err)
						return
					}
					did.Add(1)
					time.Sleep(20 * time.Millisecond)
				}
			})
		}
		for i := range 2 {
			_, _, err := sets[i%2].Add(ctx, New{Name: fmt.Sprint("more-", i)})
			must(t, err)
			settled(t, sets[(i+1)%2])
		}
		_, err := s.Drain(ctx, "more-0")
		must(t, err)
		settled(t, s)
		stop.Store(true)
		all.Wait()
		t.Logf("%d writes and reads went on meanwhile", did.Load())
		for _, set := range sets {
			whole(t, set, want)
		}
		_, err = s.Tidy(ctx)
		must(t, err)
		whole(t, s, want)
	})
}

// All that changes after the copy and before the switch arrives: rows, deletions, links,
// answers. A photo in the place of a deleted one that is touched once more is no trouble.
func TestTheLastChangesArrive(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		h := newHouse(t, kind)
		s, ctx, m := h.process(), context.Background(), newModel()
		m.photos["ada"] = map[string]string{}
		for i := range 40 {
			id := fmt.Sprint("p", i)
			must(t, put(ctx, s, "ada", id, "text of "+id))
			m.photos["ada"][id] = "text of " + id
		}
		var tokens []string
		for range 3 {
			l, hint, err := makeLink(ctx, s, "ada")
			must(t, err)
			m.links[l.Token] = linked{id: l.ID, owner: "ada", hint: hint}
			tokens = append(tokens, l.Token)
		}
		other := h.process()
		looked := map[string]int{}
		s.hook = func(step string) error {
			looked[step]++
			if step == "copy" && looked[step] == 2 { // in the middle of the first round
				must(t, deleteOne(ctx, other, "ada", "p1"))
				must(t, putNamed(ctx, other, "ada", "q1", "in its place", "name of p1"))
				must(t, other.Write(ctx, "ada", nil, func(ctx context.Context, tx *sqldb.Tx, _ *Shard, rev int64) error {
					_, err := tx.Exec(ctx, `UPDATE photos_photo SET rev = $1 WHERE id = 'p1'`, rev)
					return err
				}))
				delete(m.photos["ada"], "p1")
				m.photos["ada"]["q1"] = "in its place"
			}
			if step != "leave" {
				return nil
			}
			must(t, deleteOne(ctx, other, "ada", "p2"))
			delete(m.photos["ada"], "p2")
			must(t, put(ctx, other, "ada", "late", "came late"))
			m.photos["ada"]["late"] = "came late"
			must(t, other.Write(ctx, "ada", nil, func(ctx context.Context, tx *sqldb.Tx, at *Shard, _ int64) error {
				if err := at.Links.UseIn(ctx, tx, m.links[tokens[0]].id); err != nil {
					return err
				}
				return at.Links.RevokeIn(ctx, tx, Realm, "ada", m.links[tokens[1]].id)
			}))
			used, revoked := m.links[tokens[0]], m.links[tokens[1]]
			used.used, revoked.revoked = 1, true
			m.links[tokens[0]], m.links[tokens[1]] = used, revoked
			l, hint, err := makeLink(ctx, other, "ada")
			must(t, err)
			m.links[l.Token] = linked{id: l.ID, owner: "ada", hint: hint}
			_, err = repeat(ctx, other, "ada", "key")
			must(t, err)
			m.keys["key"] = "ada"
			return nil
		}
		_, _, err := s.Add(ctx, New{Name: "second"})
		must(t, err)
		_, err = s.Pin(ctx, "ada", "second")
		must(t, err)
		settled(t, s)
		if looked["leave"] != 1 || looked["switch"] != 1 {
			t.Errorf("it took these steps: %v", looked)
		}
		if at, err := s.Home(ctx, "ada"); err != nil || at.Name != "second" {
			t.Errorf("ada is on %v, %v", at, err)
		}
		m.check(t, other)
		_, err = s.Tidy(ctx)
		must(t, err)
		m.check(t, s)
	})
}
