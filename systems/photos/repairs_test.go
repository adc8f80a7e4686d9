package photos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
	"plumb/systems/photos/internal/painted"
	"plumb/systems/photos/internal/shard"
	"plumb/systems/photos/internal/vault"
)

// library is what two people keep, for tests of what is left of it.
type library struct {
	bytes  map[string][]byte // originals by id
	owner  map[string]string // names by id
	album  string            // ada's
	link   string            // to it
	shared []string
}

func (h *house) library(photosEach int) library {
	h.t.Helper()
	l := library{bytes: map[string][]byte{}, owner: map[string]string{}}
	for n, name := range []string{"ada", "bob"} {
		for i := range photosEach {
			body := grainy(uint64(100*n + i + 1))
			p := h.ready(h.put(name, body))
			l.bytes[p.ID], l.owner[p.ID] = body, name
			if name == "ada" {
				l.shared = append(l.shared, p.ID)
			}
		}
	}
	caption := "the sea"
	if _, err := h.Change(h.t.Context(), h.who["ada"], l.shared[0], Changes{Caption: &caption}); err != nil {
		h.t.Fatal(err)
	}
	a, err := h.MakeAlbum(h.t.Context(), h.who["ada"], "Holiday", l.shared)
	if err != nil {
		h.t.Fatal(err)
	}
	link, err := h.MakeLink(h.t.Context(), h.who["ada"], Target{Album: a.ID}, LinkOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	l.album, l.link = a.ID, link.URL[strings.LastIndexByte(link.URL, '/')+1:]
	return l
}

// grainy returns a photo that is too large to lie in the database.
func grainy(seed uint64) []byte {
	img := image.NewGray(image.Rect(0, 0, 700, 700))
	rnd := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	rnd.Read(img.Pix)
	return painted.JPEG(img, painted.Facts{Taken: noon, Make: "Canon", Model: "Canon EOS R5"})
}

// whole wants every original byte for byte, and the album and its link.
func (h *house) whole(l library) {
	h.t.Helper()
	for id, body := range l.bytes {
		if got := h.image(l.owner[id], id, Original); !bytes.Equal(got, body) {
			h.t.Errorf("photo %s of %s has %d bytes, not the %d that came", id, l.owner[id], len(got), len(body))
		}
	}
	p, err := h.Get(h.t.Context(), h.who["ada"], l.shared[0])
	if err != nil || p.Caption != "the sea" {
		h.t.Errorf("the caption is %q, %v", p.Caption, err)
	}
	list, _, err := h.List(h.t.Context(), h.who["ada"], Filter{Album: l.album})
	if err != nil || len(list) != len(l.shared) {
		h.t.Errorf("the album has %d photos of %d, %v", len(list), len(l.shared), err)
	}
	if _, err := h.View(h.t.Context(), Visit{Token: l.link}, "", 10); err != nil {
		h.t.Errorf("the link: %v", err)
	}
}

// empty removes all objects of a shard's bucket.
func empty(t *testing.T, b bucket.Bucket) {
	t.Helper()
	for {
		list, err := b.List(t.Context(), "", "", bucket.MaxList)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range list {
			if err := b.Delete(t.Context(), o.Key); err != nil {
				t.Fatal(err)
			}
		}
		if len(list) < bucket.MaxList {
			return
		}
	}
}

// repaired works at a repair until it is done.
func (h *house) repaired(r *Repair, err error) *Repair {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
	for range 20 {
		err := h.repair(context.Background(), fmt.Appendf(nil, `{"id":%q}`, r.ID))
		if r, again := h.Repair(context.Background(), h.who["boss"], r.ID); again != nil {
			h.t.Fatal(again)
		} else if r.State != Running {
			if r.State != Ended {
				h.t.Fatalf("the repair %s: %s", r.State, r.Error)
			}
			return r
		}
		if err != nil {
			h.t.Log(err)
		}
	}
	h.t.Fatal("the repair does not end")
	return nil
}

// home is the shard that holds somebody.
func (h *house) home(name string) *shard.Shard {
	h.t.Helper()
	at, err := h.set.Home(h.t.Context(), h.who[name].ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return at
}

func TestALostBucketIsServedFromOthersAndHealed(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.add("second")
		h.add("third")
		l := h.library(5)
		at := h.home("ada")
		if err := h.writeManifests(t.Context()); err != nil {
			t.Fatal(err)
		}
		empty(t, at.Bucket)
		h.whole(l) // from copies

		r := h.repaired(h.HealShard(t.Context(), h.who["boss"], at.Name))
		if r.Lost > 0 || r.Fixed < 5 {
			t.Errorf("the heal of %s put back %d and lost %d; ada is at %s, bob at %s", at.Name, r.Fixed, r.Lost, h.home("ada").Name, h.home("bob").Name)
		}
		for id := range l.bytes {
			p, err := h.Get(t.Context(), h.who[l.owner[id]], id)
			if err != nil {
				t.Fatal(err)
			}
			home := h.home(l.owner[id])
			if err := home.CAS.Verify(t.Context(), p.Hash); err != nil {
				t.Errorf("photo %s at its shard: %v", id, err)
			}
			for _, no := range holders(p.copies) {
				holder, err := h.set.ByNo(no)
				if err != nil {
					t.Fatal(err)
				}
				if there, err := vault.Has(t.Context(), holder.Bucket, p.Owner, p.ID); err != nil || !there {
					t.Errorf("photo %s has no copy at %s, %v", id, holder.Name, err)
				}
			}
			if len(holders(p.copies)) != 1 || p.owed != 0 {
				t.Errorf("photo %s has copies at %q and owes %d", id, p.copies, p.owed)
			}
			h.ready(p)
			for _, size := range Sizes {
				if len(h.image(l.owner[id], id, size.Name)) == 0 {
					t.Errorf("photo %s has no %s size", id, size.Name)
				}
			}
		}
		if err := h.writeManifests(t.Context()); err != nil {
			t.Fatal(err)
		}
		there := 0 // buckets with ada's manifest
		for _, b := range h.set.Shards() {
			list, err := b.Bucket.List(t.Context(), "manifests/"+h.who["ada"].ID+"/", "", 1)
			if err != nil {
				t.Fatal(err)
			}
			there += len(list)
		}
		if there != h.c.Copies { // the same as before: a newer one lies where the older lay
			t.Errorf("ada's manifest lies in %d buckets", there)
		}
		h.whole(l)
		if err := h.collect(t.Context()); err != nil { // of what was lost nothing is left
			t.Fatal(err)
		}
		h.sound()
		if again := h.repaired(h.HealShard(t.Context(), h.who["boss"], at.Name)); again.Fixed != 0 {
			t.Errorf("a second heal put %d back", again.Fixed)
		}
	})
}

func TestALostShardIsMadeAnewElsewhere(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.add("second")
		h.add("third")
		l := h.library(4)
		if err := h.writeManifests(t.Context()); err != nil {
			t.Fatal(err)
		}
		late := photograph(77) // comes after the manifest
		p := h.put("ada", late)
		l.bytes[p.ID], l.owner[p.ID] = late, "ada"

		at := h.home("ada")
		empty(t, at.Bucket)
		h.clock.Advance(time.Second)
		r, err := h.LoseShard(t.Context(), h.who["boss"], at.Name)
		if err != nil {
			t.Fatal(err)
		}
		h.settle()
		if now := h.home("ada"); now.No == at.No {
			t.Fatal("ada is still placed on the lost shard")
		}
		if r = h.repaired(r, nil); r.Lost > 0 || r.Fixed < 5 {
			t.Errorf("%d photos came back, %d are lost", r.Fixed, r.Lost)
		}
		list, _, err := h.Repairs(t.Context(), h.who["boss"], "", 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			if r.State == Running {
				h.repaired(r, nil)
			}
		}
		if err := h.payOwed(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.whole(l)
		for id := range l.bytes {
			p, err := h.Get(t.Context(), h.who[l.owner[id]], id)
			if err != nil {
				t.Fatal(err)
			}
			if held := holders(p.copies); len(held) != 1 || held[0] == at.No || held[0] == h.home(l.owner[id]).No || p.owed != 0 {
				t.Errorf("photo %s has copies at %v and owes %d", id, held, p.owed)
			}
		}
		h.sound()
	})
}

func TestABackupIsEnough(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		l := h.library(3)
		place := "dir:" + t.TempDir()
		r := h.repaired(h.BackupShard(t.Context(), h.who["boss"], shard.FirstName, place))
		if r.Fixed != 6 || r.Lost != 0 {
			t.Errorf("the backup has %d photos of 6 and missed %d", r.Fixed, r.Lost)
		}
		if again := h.repaired(h.BackupShard(t.Context(), h.who["boss"], shard.FirstName, place)); again.Fixed != 0 {
			t.Errorf("a second backup copied %d photos again", again.Fixed)
		}

		// Another house with the same key and the same people begins with nothing.
		n := h.n
		n.DB, n.Folder = openDB(t), t.TempDir()
		n.Jobs = nil
		empty := *h
		sys, err := New(t.Context(), n, h.c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(sys.Close)
		empty.System = sys
		empty.n.Jobs = h.queue
		for _, r := range []*Repair{{Kind: Restore, Place: place, State: Running, since: noon}} {
			if err := sys.restoring(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if r.Fixed != 6 || r.Lost != 0 {
				t.Errorf("%d photos came back, %d are lost", r.Fixed, r.Lost)
			}
		}
		for id, body := range l.bytes {
			if got := empty.image(l.owner[id], id, Original); !bytes.Equal(got, body) {
				t.Errorf("photo %s has %d bytes, not %d", id, len(got), len(body))
			}
		}
		list, _, err := empty.List(t.Context(), h.who["ada"], Filter{Album: l.album})
		if err != nil || len(list) != 3 {
			t.Errorf("the album has %d photos, %v", len(list), err)
		}
		empty.sound()
	})
}

func TestOddPlacesAreRefused(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		for _, place := range []string{"", "dir:here", "/tmp", "http://x/y", "mem:", "s3://no-host"} {
			if _, err := h.BackupShard(t.Context(), h.who["boss"], shard.FirstName, place); !errs.Is(err, errs.Invalid) {
				t.Errorf("%q: %v", place, err)
			}
		}
		if _, err := h.BackupShard(t.Context(), h.who["ada"], shard.FirstName, "dir:"+t.TempDir()); !errs.Is(err, errs.Denied) {
			t.Errorf("ada backs up: %v", err)
		}
		if _, err := h.HealShard(t.Context(), h.who["boss"], "none"); !errs.Is(err, errs.NotFound) {
			t.Errorf("no shard: %v", err)
		}
	})
}

// What was uploaded while there was one shard gets its copies when there are two.
func TestOwedCopiesAreMadeWhenABucketComes(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		l := h.library(3)
		if err := h.payOwed(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.add("second")
		if err := h.payOwed(t.Context()); err != nil {
			t.Fatal(err)
		}
		for id := range l.bytes {
			p, err := h.Get(t.Context(), h.who[l.owner[id]], id)
			if err != nil {
				t.Fatal(err)
			}
			if held := holders(p.copies); len(held) != 1 || held[0] == h.home(l.owner[id]).No || p.owed != 0 {
				t.Errorf("photo %s of %s has copies at %v and owes %d", id, l.owner[id], held, p.owed)
			}
		}
		h.whole(l)
	})
}

func TestAShardLeavesWhenItsCopiesLieElsewhere(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.add("second")
		h.add("third")
		l := h.library(4)
		ctx, boss := t.Context(), h.who["boss"]
		if _, err := h.DrainShard(ctx, boss, "second"); err != nil {
			t.Fatal(err)
		}
		h.settle()
		at, err := h.set.Shard("second")
		if err != nil {
			t.Fatal(err)
		}
		held, err := h.holds(ctx, at.No)
		if err != nil {
			t.Fatal(err)
		}
		if held {
			if err := h.RemoveShard(ctx, boss, "second"); !errs.Is(err, errs.Conflict) {
				t.Errorf("with copies there: %v", err)
			}
		}
		h.repaired(h.startRepair(ctx, &Repair{Kind: Leave, Shard: at.Name, no: at.No}))
		if held, err := h.holds(ctx, at.No); err != nil || held {
			t.Errorf("it still holds copies: %v, %v", held, err)
		}
		if list, err := at.Bucket.List(ctx, "copies/", "", 10); err != nil || len(list) > 0 {
			t.Errorf("copies are still there: %v, %v", list, err)
		}
		h.clock.Advance(2 * time.Hour) // the time of grace is over
		h.settle()
		if err := h.RemoveShard(ctx, boss, "second"); err != nil {
			t.Errorf("without copies: %v", err)
		}
		h.whole(l)
		h.sound()
	})
}

var errSick = errors.New("the disk is sick")

// A repair that dies goes on where it was.
func TestARepairGoesOn(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		h.add("second")
		h.library(40)
		r, err := h.startRepair(t.Context(), &Repair{Kind: Heal, Shard: shard.FirstName, no: 1})
		if err != nil {
			t.Fatal(err)
		}
		at, err := h.set.ByNo(1)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		n := 0
		visit := func(ctx context.Context, p Photo) error {
			if n++; n > 70 {
				return errSick
			}
			seen[p.ID]++
			return nil
		}
		for err = errSick; errors.Is(err, errSick); n = 0 {
			r.saved = time.Time{}
			err = h.walk(t.Context(), r, at, 0, func(ctx context.Context, p Photo) error { r.mu.Lock(); defer r.mu.Unlock(); return visit(ctx, p) })
			if err != nil && !errors.Is(err, errSick) {
				t.Fatal(err)
			}
			if r, err2 := h.repairByID(t.Context(), r.ID); err2 != nil || r.reach.Owner == "" && n > 64 {
				t.Fatalf("nothing was noted: %+v, %v", r, err2)
			}
		}
		var want int
		if list, err := h.set.Owners(t.Context(), at, "", 10); err != nil {
			t.Fatal(err)
		} else {
			for _, o := range list {
				want += int(o.Photos)
			}
		}
		if len(seen) != want {
			t.Errorf("%d photos of %d were visited", len(seen), want)
		}
	})
}

// openDB is one more database of a house.
func openDB(t *testing.T) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldbtest.URL(t, sqldbtest.SQLite), sqldb.Options{RunTwice: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// Whom a lost shard had may have been elsewhere before: what is left there, all of it or
// nothing, is not all they have.
func TestALostShardTakesNothingFromWhoMovedThere(t *testing.T) {
	for what, wait := range map[string]time.Duration{"what they left is there": 0, "what they left is erased": 2 * time.Hour} {
		t.Run(what, func(t *testing.T) {
			h := open(t, sqldbtest.SQLite)
			l := h.library(2)
			h.add("second")
			h.add("third")
			for _, name := range []string{"ada", "bob"} {
				if h.home(name).No == 1 {
					if _, err := h.PinPerson(t.Context(), h.who["boss"], name, "second"); err != nil {
						t.Fatal(err)
					}
					h.settle()
				}
				if h.home(name).No == 1 {
					t.Fatalf("%s did not move", name)
				}
				body := photograph(uint64(len(l.bytes)) + 50)
				p := h.put(name, body)
				l.bytes[p.ID], l.owner[p.ID] = body, name
			}
			h.clock.Advance(wait + time.Second)
			h.settle()
			if err := h.payOwed(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := h.writeManifests(t.Context()); err != nil {
				t.Fatal(err)
			}
			h.clock.Advance(time.Second)
			for range 2 {
				at := h.home("ada")
				if at.No == 1 {
					at = h.home("bob")
				}
				if at.No == 1 {
					break
				}
				empty(t, at.Bucket)
				r, err := h.LoseShard(t.Context(), h.who["boss"], at.Name)
				if err != nil {
					t.Fatal(err)
				}
				h.settle()
				h.repaired(r, nil)
				list, _, err := h.Repairs(t.Context(), h.who["boss"], "", 10)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range list {
					if r.State == Running {
						h.repaired(r, nil)
					}
				}
				if err := errors.Join(h.payOwed(t.Context()), h.writeManifests(t.Context())); err != nil { // the jobs; the loss took manifests too
					t.Fatal(err)
				}
				if err := h.RemoveShard(t.Context(), h.who["boss"], at.Name); err != nil {
					t.Errorf("a lost shard is not forgotten: %v", err)
				}
				h.clock.Advance(time.Second)
			}
			h.whole(l)
			h.sound()
		})
	}
}

// Who has gone on from a shard before it is lost lives where they went, and nowhere else.
func TestWhoWentOnFromALostShardStays(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		l := h.library(2)
		h.add("second")
		h.add("third")
		for _, to := range []string{"first", "second", "third"} {
			for _, name := range []string{"ada", "bob"} {
				if _, err := h.PinPerson(t.Context(), h.who["boss"], name, to); err != nil {
					t.Fatal(err)
				}
				h.settle()
				body := photograph(uint64(len(l.bytes)) + 50)
				p := h.put(name, body)
				l.bytes[p.ID], l.owner[p.ID] = body, name
			}
		}
		lost, err := h.set.Shard("second")
		if err != nil {
			t.Fatal(err)
		}
		empty(t, lost.Bucket)
		h.clock.Advance(time.Second)
		r, err := h.LoseShard(t.Context(), h.who["boss"], "second")
		if err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.repaired(r, nil)
		h.whole(l)
		for _, name := range []string{"ada", "bob"} {
			holders := 0
			for _, at := range h.set.Shards() {
				list, err := h.set.Owners(t.Context(), at, "", 100)
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range list {
					if o.ID == h.who[name].ID {
						holders++
					}
				}
			}
			if at := h.home(name); at.Name != "third" || holders != 1 {
				t.Errorf("%s is on %s, and on %d shards", name, at.Name, holders)
			}
			if _, err := h.PinPerson(t.Context(), h.who["boss"], name, "first"); err != nil {
				t.Fatal(err)
			}
		}
		h.settle()
		h.whole(l)
		h.sound()
	})
}
