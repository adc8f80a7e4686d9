package photos

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb/sqldbtest"
	"plumb/systems/photos/internal/painted"
)

// A hundred uploads of the same bytes at once are one photo.
func TestTheSamePhotoAtOnceIsOne(t *testing.T) {
	for _, dbKind := range sqldbtest.Kinds() {
		t.Run(dbKind, func(t *testing.T) {
			t.Parallel()
			h := open(t, dbKind, func(s *setup) { s.needs.Options.RunTwice = false })
			body := photograph(1)
			ids := make([]string, 100)
			fresh := 0
			var mu sync.Mutex
			var all sync.WaitGroup
			for i := range ids {
				all.Go(func() {
					p, again, err := h.Upload(context.Background(), h.who["ada"], bytes.NewReader(body), UploadOptions{Size: -1})
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					if ids[i] = p.ID; !again {
						fresh++
					}
				})
			}
			all.Wait()
			slices.Sort(ids)
			if list := slices.Compact(ids); len(list) != 1 || fresh != 1 {
				t.Errorf("%d photos, %d of them new", len(list), fresh)
			}
			totals, err := h.Totals(context.Background(), h.who["ada"])
			if err != nil || totals.Photos != 1 || totals.Bytes != int64(len(body)) {
				t.Errorf("%+v %v", totals, err)
			}
			h.sound()
		})
	}
}

func TestTheBin(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		ada := h.who["ada"]
		var list []string
		for i := range 5 {
			list = append(list, h.put("ada", photograph(uint64(i))).ID)
		}
		h.ready(Photo{Owner: ada.ID, ID: list[0]})
		al, err := h.MakeAlbum(ctx, ada, "All", list)
		if err != nil || al.Photos != 5 || al.Cover != list[0] {
			t.Fatalf("%+v %v", al, err)
		}
		if n, err := h.Remove(ctx, ada, append(list[:3:3], list[0], "none")...); n != 3 || err != nil {
			t.Errorf("%d removed, %v", n, err)
		}
		if al, _ = h.Album(ctx, ada, al.ID); al.Photos != 2 || al.Cover != list[3] {
			t.Errorf("%+v", al)
		}
		if left := h.listed("ada", Filter{}); !slices.Equal(left, list[3:]) {
			t.Errorf("%v are left", left)
		}
		p, err := h.Get(ctx, ada, list[0])
		if err != nil || !p.Binned.Equal(noon) {
			t.Errorf("%v %v", p.Binned, err)
		}
		if n, err := h.Restore(ctx, ada, list[0], list[4]); n != 1 || err != nil {
			t.Errorf("%d restored, %v", n, err)
		}
		if al, _ = h.Album(ctx, ada, al.ID); al.Photos != 3 || al.Cover != list[0] {
			t.Errorf("%+v", al)
		}
		if n, err := h.Purge(ctx, ada, list[1], list[4]); n != 1 || err != nil { // the last is not in the bin
			t.Errorf("%d purged, %v", n, err)
		}
		_, err = h.Get(ctx, ada, list[1])
		kind(t, "purged", err, errs.NotFound)
		if n, err := h.Restore(ctx, h.who["bob"], list[2]); n != 0 || err != nil {
			t.Errorf("somebody else restored %d, %v", n, err)
		}
		// The same bytes again take what is in the bin out of it.
		again, dup, err := h.Upload(ctx, ada, bytes.NewReader(photograph(2)), UploadOptions{Size: -1})
		if err != nil || !dup || again.ID != list[2] || !again.Binned.IsZero() {
			t.Errorf("%+v %v %v", again, dup, err)
		}
		if n, err := h.Remove(ctx, ada, list[0], list[2]); n != 2 || err != nil {
			t.Fatal(n, err)
		}
		h.sound()
		h.clock.Advance(h.c.Bin + time.Second)
		if err := h.expire(ctx); err != nil {
			t.Fatal(err)
		}
		if binned, _, err := h.Bin(ctx, ada, "", 0); len(binned) > 0 || err != nil {
			t.Errorf("after its time the bin holds %d, %v", len(binned), err)
		}
		totals, err := h.Totals(ctx, ada)
		if err != nil || totals.Photos != 2 || totals.Albums != 1 {
			t.Errorf("%+v %v", totals, err)
		}
		h.sound()
		if err := h.collect(ctx); err != nil {
			t.Fatal(err)
		}
		for _, at := range h.set.Shards() {
			st, err := at.CAS.Stats(ctx)
			if err != nil || st.References != 2 {
				t.Errorf("%+v %v", st, err)
			}
		}
	})
}

func TestAlbumsKeepTheirOrder(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		ada := h.who["ada"]
		name := map[string]string{}
		ids := map[string]string{}
		for i, c := range []string{"a", "b", "c", "d", "e"} {
			p := h.put("ada", photograph(uint64(i)))
			name[p.ID], ids[c] = c, p.ID
		}
		named := func(letters string) (list []string) {
			for _, c := range letters {
				list = append(list, ids[string(c)])
			}
			return list
		}
		al, err := h.MakeAlbum(ctx, ada, "Letters", named("abc"))
		if err != nil {
			t.Fatal(err)
		}
		order := func() (s string) {
			for _, id := range h.listed("ada", Filter{Album: al.ID}) {
				s += name[id]
			}
			return s
		}
		must := func(want string) func(Album, error) {
			return func(got Album, err error) {
				t.Helper()
				if err != nil || order() != want || int(got.Photos) != len(want) {
					t.Errorf("the album is %q (%d), not %q: %v", order(), got.Photos, want, err)
				}
			}
		}
		must("abced")(h.AddTo(ctx, ada, al.ID, named("ecd")...)) // c stays where it is
		must("abcde")(h.Move(ctx, ada, al.ID, ids["e"], ids["d"]))
		must("deabc")(h.Move(ctx, ada, al.ID, ids["a"], named("de")...))
		must("dabce")(h.Move(ctx, ada, al.ID, "", ids["e"]))
		for range 60 { // until there is no room between two, and all are numbered anew
			must("dbace")(h.Move(ctx, ada, al.ID, ids["a"], ids["b"]))
			must("dabce")(h.Move(ctx, ada, al.ID, ids["b"], ids["a"]))
		}
		must("dbe")(h.TakeOut(ctx, ada, al.ID, named("ac")...))
		must("dbea")(h.AddTo(ctx, ada, al.ID, ids["a"])) // again, at the end
		cover := ids["e"]
		if got, err := h.ChangeAlbum(ctx, ada, al.ID, AlbumChanges{Cover: &cover}); err != nil || got.Cover != cover {
			t.Errorf("%+v %v", got, err)
		}
		must("dba")(h.TakeOut(ctx, ada, al.ID, cover))
		if got, _ := h.Album(ctx, ada, al.ID); got.Cover != ids["d"] {
			t.Errorf("without its cover the album shows %s", name[got.Cover])
		}
		before, after, err := h.Around(ctx, ada, Filter{Album: al.ID}, ids["b"])
		if err != nil || name[before]+name[after] != "da" {
			t.Errorf("around b: %s %s %v", name[before], name[after], err)
		}
		_, err = h.Move(ctx, ada, al.ID, ids["c"], ids["a"])
		kind(t, "before one that is not in it", err, errs.NotFound)
		_, err = h.Move(ctx, ada, al.ID, ids["a"], ids["a"])
		kind(t, "before itself", err, errs.Invalid)
		_, err = h.AddTo(ctx, ada, al.ID, h.put("bob", photograph(1)).ID)
		kind(t, "somebody else's photo", err, errs.NotFound)
		_, err = h.ChangeAlbum(ctx, ada, al.ID, AlbumChanges{Cover: &cover})
		kind(t, "a cover that is not in it", err, errs.NotFound)
		if list, _, err := h.Albums(ctx, ada, ids["b"], "", 0); err != nil || len(list) != 1 {
			t.Errorf("b is in %d albums, %v", len(list), err)
		}
		h.sound()
	})
}

func TestSearchAndMonths(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		ada := h.who["ada"]
		add := func(seed uint64, caption string, f func(*painted.Facts)) string {
			p := h.put("ada", photograph(seed, f))
			if _, err := h.Change(ctx, ada, p.ID, Changes{Caption: &caption}); err != nil {
				t.Fatal(err)
			}
			return p.ID
		}
		day := func(y int, m time.Month, d int) time.Time {
			return time.Date(y, m, d, 23, 30, 0, 0, time.FixedZone("", -5*3600))
		}
		lisbon := add(1, "Sunset at the harbour", func(f *painted.Facts) { f.Taken = day(2026, 1, 31) })
		lodz := add(2, "Ein Café, spät", func(f *painted.Facts) {
			f.Taken, f.Make, f.Model, f.Lat, f.Lon = day(2025, 12, 24), "Apple", "iPhone 15 Pro", 51.7592, 19.4560
		})
		nowhere := add(3, "東京タワー", func(f *painted.Facts) { f.Taken, f.Placed = day(2025, 12, 1), false })
		for _, c := range []struct {
			what string
			f    Filter
			want []string
		}{
			{"all", Filter{}, []string{lisbon, lodz, nowhere}},
			{"a word", Filter{Text: "sunset"}, []string{lisbon}},
			{"its beginning, in capitals", Filter{Text: "SUNS"}, []string{lisbon}},
			{"two words", Filter{Text: "harb sun"}, []string{lisbon}},
			{"two of which one lacks", Filter{Text: "harbour moon"}, nil},
			{"the middle of a word", Filter{Text: "unset"}, nil},
			{"without accents", Filter{Text: "cafe spat"}, []string{lodz}},
			{"a place in the text", Filter{Text: "portugal"}, []string{lisbon}},
			{"a place", Filter{Place: "lodz"}, []string{lodz}},
			{"a camera in the text", Filter{Text: "iphone"}, []string{lodz}},
			{"a camera", Filter{Camera: "canon r5"}, []string{lisbon, nowhere}},
			{"a caption is no camera", Filter{Camera: "sunset"}, nil},
			{"a camera is no place", Filter{Place: "canon"}, nil},
			{"a script without spaces", Filter{Text: "タワ"}, []string{nowhere}},
			{"a file's name", Filter{Text: "img 1"}, []string{lisbon, lodz, nowhere}},
			{"signs of LIKE", Filter{Text: "s_nset%"}, nil},
			{"from", Filter{From: time.Date(2025, 12, 24, 0, 0, 0, 0, time.UTC)}, []string{lisbon, lodz}},
			{"to", Filter{To: time.Date(2025, 12, 24, 0, 0, 0, 0, time.UTC)}, []string{nowhere}},
			{"words and dates", Filter{Text: "canon", To: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}, []string{nowhere}},
		} {
			if got := h.listed("ada", c.f); !slices.Equal(got, c.want) {
				t.Errorf("%s: %d photos, not %d", c.what, len(got), len(c.want))
			}
		}
		if got := h.listed("bob", Filter{Text: "sunset"}); got != nil {
			t.Errorf("somebody else finds %v", got)
		}
		_, _, err := h.List(ctx, ada, Filter{Text: " %_! "})
		kind(t, "no word", err, errs.Invalid)
		months, err := h.Months(ctx, ada)
		if err != nil || fmt.Sprint(len(months), months[0].Year, months[0].Month, months[0].Count, months[1].Month, months[1].Count) != "2 2026 January 1 December 2" {
			t.Errorf("%+v %v", months, err)
		}
		from, _, err := h.List(ctx, ada, Filter{Cursor: months[1].First})
		if err != nil || len(from) != 2 || from[0].ID != lodz {
			t.Errorf("from December on: %d, %v", len(from), err)
		}
		if n, err := h.Favour(ctx, ada, true, nowhere); n != 1 || err != nil {
			t.Error(n, err)
		}
		if got := h.listed("ada", Filter{Favourite: true}); !slices.Equal(got, []string{nowhere}) {
			t.Errorf("favourites: %v", got)
		}
		before, after, err := h.Around(ctx, ada, Filter{}, lodz)
		if err != nil || before != lisbon || after != nowhere {
			t.Errorf("around: %s %s %v", before, after, err)
		}
	})
}

func TestWhenItWasTakenCanBeChangedAndUndone(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		p := h.put("ada", photograph(1))
		then := time.Date(1999, 12, 31, 23, 59, 0, 0, time.FixedZone("", 2*3600))
		got, err := h.Change(ctx, h.who["ada"], p.ID, Changes{Taken: &then})
		if err != nil || !got.Taken.Equal(then) || got.Taken.Format("15:04 -07") != "23:59 +02" {
			t.Errorf("%v %v", got.Taken, err)
		}
		none := time.Time{}
		if got, err = h.Change(ctx, h.who["ada"], p.ID, Changes{Taken: &none}); err != nil || !got.Taken.Equal(p.Taken) || !got.TakenKnown {
			t.Errorf("%v %v", got.Taken, err)
		}
		future := noon.AddDate(1, 0, 0)
		_, err = h.Change(ctx, h.who["ada"], p.ID, Changes{Taken: &future})
		kind(t, "in the future", err, errs.Invalid)
		long := strings.Repeat("x", MaxCaption+1)
		_, err = h.Change(ctx, h.who["ada"], p.ID, Changes{Caption: &long})
		kind(t, "a long caption", err, errs.Invalid)
		old := photograph(9, func(f *painted.Facts) { f.Taken = time.Date(1931, 5, 6, 7, 8, 9, 0, time.UTC) })
		if p := h.put("ada", old); p.Taken.Year() != 1931 {
			t.Errorf("an old one: %v", p.Taken)
		}
	})
}

func TestRequestsThatComeAgain(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		body := photograph(1)
		first := get[photoOut](h, 201, "POST", apiRoot, "ada", body, "Idempotency-Key", "k1")
		again := get[photoOut](h, 201, "POST", apiRoot, "ada", body, "Idempotency-Key", "k1")
		if again.ID != first.ID || again.DuplicateOf != "" {
			t.Errorf("the same request has another answer: %+v", again)
		}
		problem(t, "the key of another request", h.call("POST", apiRoot, "ada", photograph(2), "Idempotency-Key", "k1"), 409, "key")
		get[photoOut](h, 201, "POST", apiRoot, "bob", photograph(2), "Idempotency-Key", "k1") // keys are a person's own
		album := albumBody{Title: "Holiday", Photos: []string{first.ID}}
		a, b := get[albumOut](h, 201, "POST", apiRoot+"/albums", "ada", album, "Idempotency-Key", "k2"), get[albumOut](h, 201, "POST", apiRoot+"/albums", "ada", album, "Idempotency-Key", "k2")
		if a.ID != b.ID {
			t.Error("two albums were made")
		}
		l := get[linkOut](h, 201, "POST", apiRoot+"/albums/"+a.ID+"/links", "ada", linkBody{}, "Idempotency-Key", "k3")
		m := get[linkOut](h, 201, "POST", apiRoot+"/albums/"+a.ID+"/links", "ada", linkBody{}, "Idempotency-Key", "k3")
		if l.URL == "" || l.URL != m.URL {
			t.Errorf("%s and %s", l.URL, m.URL)
		}
		problem(t, "a key that is none", h.call("POST", apiRoot, "ada", body, "Idempotency-Key", strings.Repeat("k", 300)), 422, "key")
		h.sound()
	})
}

// What is told to whoever copies rows is what the tables hold.
func TestTablesAreDescribedWhole(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		at := h.set.Shards()[0]
		for _, table := range tables() {
			var said []string
			for _, c := range table.Columns {
				said = append(said, c.Name)
			}
			slices.Sort(said)
			if got := columnsOf(t, at.DB, table.Name); !slices.Equal(got, said) {
				t.Errorf("%s has the columns %v, of which it describes %v", table.Name, got, said)
			}
		}
		p := h.put("ada", photograph(1))
		row := p.row()
		for _, c := range tables()[0].Columns {
			if _, ok := row.Values[c.Name]; !ok {
				t.Errorf("a copy's row lacks %s", c.Name)
			}
		}
		if len(row.Values) != len(tables()[0].Columns) {
			t.Errorf("a copy's row has %d values, the table %d columns", len(row.Values), len(tables()[0].Columns))
		}
	})
}
