package photos

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/engines/picture"
	"plumb/systems/photos/internal/painted"
)

// token is the last part of a link's address.
func (l Link) token() string { return l.URL[strings.LastIndexByte(l.URL, '/')+1:] }

func (h *house) link(name string, t Target, o LinkOptions) Link {
	h.t.Helper()
	l, err := h.MakeLink(context.Background(), h.who[name], t, o)
	if err != nil {
		h.t.Fatal(err)
	}
	return l
}

// shown says what a link shows, or the error's kind in brackets.
func (h *house) shown(v Visit) string {
	h.t.Helper()
	sh, err := h.View(context.Background(), v, "", 0)
	if err != nil {
		return "(" + string(errs.KindOf(err)) + ")"
	}
	list := []string{sh.Title}
	for _, p := range sh.Photos {
		list = append(list, p.Name)
	}
	return strings.Join(list, " ")
}

func TestLinksOpenUntilTheyAreOver(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		ada := h.who["ada"]
		p, q := h.put("ada", photograph(1)), h.put("ada", photograph(2))
		al, err := h.MakeAlbum(ctx, ada, "Holiday", []string{q.ID, p.ID})
		if err != nil {
			t.Fatal(err)
		}
		usual := h.link("ada", Target{Album: al.ID}, LinkOptions{})
		week := h.link("ada", Target{Album: al.ID}, LinkOptions{Life: 7 * 24 * time.Hour, Password: "open sesame"})
		forever := h.link("ada", Target{Photo: p.ID}, LinkOptions{Life: -1})
		if !usual.Expires.Equal(noon.Add(30*24*time.Hour)) || !forever.Expires.IsZero() {
			t.Errorf("they end %v and %v", usual.Expires, forever.Expires)
		}
		see := func(what string, v Visit, want string) {
			t.Helper()
			if got := h.shown(v); got != want {
				t.Errorf("%s shows %q, not %q", what, got, want)
			}
		}
		see("the album", Visit{Token: usual.token()}, "Holiday IMG_1.JPG IMG_1.JPG")
		see("the photo", Visit{Token: forever.token()}, "IMG_1.JPG IMG_1.JPG")
		see("without a password", Visit{Token: week.token()}, "(unknown)")
		see("with a wrong one", Visit{Token: week.token(), Password: "sesame", Remote: "1.2.3.4"}, "(unknown)")
		see("with the right one", Visit{Token: week.token(), Password: "open sesame", Remote: "1.2.3.4"}, "Holiday IMG_1.JPG IMG_1.JPG")
		for range 20 {
			h.shown(Visit{Token: week.token(), Password: "guess", Remote: "5.6.7.8"})
		}
		see("after many guesses", Visit{Token: week.token(), Password: "guess", Remote: "5.6.7.8"}, "(busy)")
		h.clock.Advance(7 * 24 * time.Hour)
		see("a week later", Visit{Token: week.token(), Password: "open sesame", Remote: "1.2.3.4"}, "(not found)")
		see("the usual one, then", Visit{Token: usual.token()}, "Holiday IMG_1.JPG IMG_1.JPG")
		h.countViews(ctx)
		list, _, err := h.Links(ctx, ada, Target{Album: al.ID}, "", 0)
		slices.SortFunc(list, func(a, b Link) int { return a.Expires.Compare(b.Expires) })
		if err != nil || len(list) != 2 || list[1].Views != 2 || list[0].Views != 1 || list[0].Title != "Holiday" || list[0].URL != "" {
			t.Errorf("%+v %v", list, err)
		}
		kind(t, "somebody else ends it", h.RevokeLink(ctx, h.who["bob"], usual.ID), errs.NotFound)
		if err := h.RevokeLink(ctx, ada, usual.ID); err != nil {
			t.Error(err)
		}
		see("revoked", Visit{Token: usual.token()}, "(not found)")
		again := h.link("ada", Target{Album: al.ID}, LinkOptions{})
		if n, err := h.RevokeAll(ctx, ada, Target{Album: al.ID}); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		see("all to it revoked", Visit{Token: again.token()}, "(not found)")
		see("another", Visit{Token: forever.token()}, "IMG_1.JPG IMG_1.JPG")
		if n, err := h.RevokeAll(ctx, ada, Target{}); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		see("all revoked", Visit{Token: forever.token()}, "(not found)")
		h.sound()
	})
}

func TestWhatIsRemovedIsShownNoLonger(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		ada := h.who["ada"]
		p, q := h.put("ada", photograph(1)), h.put("ada", photograph(2))
		al, _ := h.MakeAlbum(ctx, ada, "Holiday", []string{p.ID})
		album, photo := h.link("ada", Target{Album: al.ID}, LinkOptions{Downloads: true}), h.link("ada", Target{Photo: p.ID}, LinkOptions{})
		open := func(l Link, id, size string) error {
			img, err := h.ViewImage(ctx, Visit{Token: l.token()}, id, size)
			if err == nil {
				img.Close()
			}
			return err
		}
		for _, size := range []string{"small", "large", Original} {
			if err := open(album, p.ID, size); err != nil {
				t.Errorf("%s: %v", size, err)
			}
		}
		kind(t, "an original without downloads", open(photo, p.ID, Original), errs.Denied)
		kind(t, "another photo of hers", open(album, q.ID, "small"), errs.NotFound)
		kind(t, "another photo, by a photo's link", open(photo, q.ID, "small"), errs.NotFound)
		kind(t, "no such size", open(album, p.ID, "huge"), errs.NotFound)
		if _, err := h.Remove(ctx, ada, p.ID); err != nil {
			t.Fatal(err)
		}
		kind(t, "in the bin", open(album, p.ID, "small"), errs.NotFound)
		if got := h.shown(Visit{Token: photo.token()}) + h.shown(Visit{Token: album.token()}); got != "(not found)Holiday" {
			t.Errorf("with the photo in the bin they show %q", got)
		}
		if _, err := h.Restore(ctx, ada, p.ID); err != nil {
			t.Fatal(err)
		}
		if err := open(album, p.ID, "small"); err != nil {
			t.Error(err)
		}
		if err := h.RemoveAlbum(ctx, ada, al.ID); err != nil {
			t.Fatal(err)
		}
		kind(t, "its album gone", open(album, p.ID, "small"), errs.NotFound)
		h.sound()
	})
}

// Tokens that nobody gave out cost no look into any database: all of them can be away.
func TestGuessesCostNoLook(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		p := h.put("ada", photograph(1))
		good := h.link("ada", Target{Photo: p.ID}, LinkOptions{})
		for _, at := range h.set.Shards() {
			if err := at.DB.Close(); err != nil {
				t.Fatal(err)
			}
		}
		flip := []byte(good.token())
		flip[0] ^= 1
		for _, guess := range []string{"", "x", strings.Repeat("A", 54), good.token() + "A", good.token()[1:], string(flip), "AAAA/../../etc", strings.Repeat("é", 30)} {
			_, err := h.View(context.Background(), Visit{Token: guess}, "", 0)
			kind(t, guess, err, errs.NotFound)
		}
		if _, err := h.View(context.Background(), Visit{Token: good.token()}, "", 0); err == nil || errs.Is(err, errs.NotFound) {
			t.Errorf("a good one is looked up: %v", err)
		}
	})
}

// Every image that a link gives is without the place where it was taken, unless the
// owner says otherwise.
func TestLinksTellNoPlaces(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		ada := h.who["ada"]
		body := photograph(1, func(f *painted.Facts) { f.Orientation = 6 })
		p := h.put("ada", body)
		placed := func(l Link, size string) bool {
			t.Helper()
			img, err := h.ViewImage(ctx, Visit{Token: l.token()}, p.ID, size)
			if err != nil {
				t.Fatalf("%s: %v", size, err)
			}
			defer img.Close()
			b, err := io.ReadAll(img)
			if err != nil || int64(len(b)) != img.Bytes {
				t.Fatalf("%s: %d of %d bytes, %v", size, len(b), img.Bytes, err)
			}
			info, err := picture.Probe(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatalf("%s: %v", size, err)
			}
			if size == Original && (info.Width != 64 || info.Model == "" || info.Taken.IsZero()) {
				t.Errorf("the original lost more than its place: %+v", info)
			}
			return info.HasGPS
		}
		l := h.link("ada", Target{Photo: p.ID}, LinkOptions{Downloads: true})
		for _, size := range []string{"small", "medium", "large", Original} {
			if placed(l, size) {
				t.Errorf("the %s tells where it was taken", size)
			}
		}
		shown, err := h.View(ctx, Visit{Token: l.token()}, "", 0)
		if err != nil || shown.Photos[0].HasPlace || shown.Photos[0].Place != "" || shown.Photos[0].Lat != 0 || shown.Photos[0].Owner != "" || shown.Link.Views != 0 {
			t.Errorf("%+v %v", shown, err)
		}
		w := h.call("GET", "/p/"+l.token(), "", nil)
		if page := w.Body.String(); w.Code != 200 || strings.Contains(page, "Lisbon") || strings.Contains(page, "38.7") {
			t.Errorf("%d: the page tells the place", w.Code)
		}
		pages := regexp.MustCompile(`/p/[^"'\s?#]+/(small|medium|large)`).FindAllString(w.Body.String(), -1)
		if len(pages) == 0 {
			t.Error("the page shows no image")
		}
		for _, path := range pages {
			img := h.call("GET", path, "", nil)
			info, err := picture.Probe(bytes.NewReader(img.Body.Bytes()), int64(img.Body.Len()))
			if img.Code != 200 || err != nil || info.HasGPS {
				t.Errorf("%s: %d %v", path, img.Code, err)
			}
		}
		if !placed(h.link("ada", Target{Photo: p.ID}, LinkOptions{Downloads: true, KeepLocation: true}), Original) {
			t.Error("a link that may tell the place does not")
		}
		yes := true
		if _, err := h.Change(ctx, ada, p.ID, Changes{KeepLocation: &yes}); err != nil {
			t.Fatal(err)
		}
		if !placed(l, Original) {
			t.Error("a photo whose place may be known does not tell it")
		}
	})
}

// Views are counted while a page is looked at from all sides.
func TestViewsAreCounted(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		p := h.put("ada", photograph(1))
		l := h.link("ada", Target{Photo: p.ID}, LinkOptions{})
		var failed atomic.Int64
		done := make(chan struct{})
		for range 10 {
			go func() {
				for range 5 {
					if _, err := h.View(ctx, Visit{Token: l.token()}, "", 0); err != nil {
						failed.Add(1)
					}
				}
				done <- struct{}{}
			}()
		}
		h.countViews(ctx)
		for range 10 {
			<-done
		}
		h.countViews(ctx)
		list, _, err := h.Links(ctx, h.who["ada"], Target{}, "", 0)
		if err != nil || failed.Load() > 0 || len(list) != 1 || list[0].Views != 50 {
			t.Errorf("%+v, %d failed, %v", list, failed.Load(), err)
		}
	})
}
