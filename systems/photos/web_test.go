package photos

import (
	"archive/zip"
	"bytes"
	"context"
	"mime/multipart"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// form posts what a browser would, and returns the answer.
func (h *house) form(path, name string, values ...string) *httptest.ResponseRecorder {
	v := url.Values{}
	for i := 0; i+1 < len(values); i += 2 {
		v.Add(values[i], values[i+1])
	}
	return h.call("POST", path, name, v.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html")
}

// look asks for a page as a browser does.
func (h *house) look(path, name string) *httptest.ResponseRecorder {
	return h.call("GET", path, name, nil, "Accept", "text/html")
}

// wantPage checks that a page has the status and says all of that; what begins with "-"
// it must not say.
func wantPage(t *testing.T, w *httptest.ResponseRecorder, status int, says ...string) {
	t.Helper()
	if w.Code != status {
		t.Errorf("%d, want %d: %s", w.Code, status, w.Body)
	}
	for _, s := range says {
		_, not := strings.CutPrefix(s, "-")
		if strings.Contains(w.Body.String(), strings.TrimPrefix(s, "-")) == not {
			t.Errorf("%q is said: %v, in\n%s", s, not, w.Body)
		}
	}
}

// wantBack checks that a form was followed by a page.
func wantBack(t *testing.T, w *httptest.ResponseRecorder, to string) {
	t.Helper()
	if w.Code != 303 || w.Header().Get("Location") != to {
		t.Errorf("%d to %q, want %q: %s", w.Code, w.Header().Get("Location"), to, w.Body)
	}
}

func TestPagesOfPhotos(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		ctx, ada := context.Background(), h.who["ada"]
		wantPage(t, h.look("/photos/", "ada"), 200, "No photos yet", `type="file"`, "-shot")
		p, q := h.ready(h.put("ada", photograph(1))), h.put("ada", photograph(40))
		caption := "<b>Rain</b>"
		if _, err := h.Change(ctx, ada, p.ID, Changes{Caption: &caption}); err != nil {
			t.Fatal(err)
		}
		wantPage(t, h.look("/photos/", "ada"), 200, "March 2026", "January 2026", "/photos/"+p.ID+`"`, "/api/v1/photos/"+q.ID+"/small", "&lt;b&gt;Rain", "-<b>Rain", "{--r:1.500;--c:linear-gradient(#")
		wantPage(t, h.look("/photos/?find=rain", "ada"), 200, p.ID, "-"+q.ID, "?find=rain")
		wantPage(t, h.look("/photos/?find=nothing", "ada"), 200, "Nothing was found")
		wantPage(t, h.look("/photos/?from=yesterday", "ada"), 422, `role="alert"`, "2026-11-22")
		wantPage(t, h.look("/photos/?until=2026-02-01", "ada"), 200, q.ID, "-"+p.ID)
		wantPage(t, h.look("/photos/?cursor=x", "ada"), 422)
		wantPage(t, h.look("/photos/favourites", "ada"), 200, "No favourites yet")

		page := "/photos/" + p.ID
		wantPage(t, h.look(page, "ada"), 200, "&lt;b&gt;Rain", "Canon EOS R5", "Lisbon", "38.71", "3 March 2026, 12:00", `rel="next"`, "-rel=\"prev\"", "Viewers do not see the place")
		wantPage(t, h.look("/photos/"+q.ID, "ada"), 200, `rel="prev"`, "-rel=\"next\"")
		wantBack(t, h.form(page, "ada", "do", "caption", "caption", " Sun "), page+"?did=saved")
		wantBack(t, h.form(page+"?find=sun", "ada", "do", "favourite", "yes", "1"), page+"?did=saved&find=sun")
		wantBack(t, h.form(page, "ada", "do", "location", "yes", "1"), page+"?did=saved")
		wantBack(t, h.form(page, "ada", "do", "taken", "taken", "2020-02-03T04:05"), page+"?did=saved")
		wantPage(t, h.look(page, "ada"), 200, ">Sun<", "Viewers see the place", "3 February 2020, 04:05", `aria-pressed="true"`)
		wantPage(t, h.look("/photos/favourites", "ada"), 200, p.ID, "-"+q.ID)
		wantPage(t, h.form(page, "ada", "do", "caption", "caption", strings.Repeat("x", MaxCaption+1)), 422, `role="alert"`, "xxx")
		wantPage(t, h.form(page, "ada", "do", "taken", "taken", "noon"), 422, `role="alert"`)
		wantPage(t, h.form(page, "ada", "do", "dance"), 422, `role="alert"`)
		wantBack(t, h.form(page, "ada", "do", "taken", "taken", ""), page+"?did=saved")
		wantPage(t, h.look(page, "ada"), 200, "3 March 2026, 12:00")

		// Nobody else sees any of it.
		for _, name := range []string{"bob", "boss"} {
			for _, path := range []string{page, "/photos/links?photo=" + p.ID} {
				if w := h.look(path, name); w.Code != 404 {
					t.Errorf("%s sees %s: %d", name, path, w.Code)
				}
			}
			if w := h.form(page, name, "do", "caption", "caption", "mine"); w.Code != 404 {
				t.Errorf("%s changes: %d", name, w.Code)
			}
			wantPage(t, h.look("/photos/", name), 200, "No photos yet")
		}
		for _, path := range []string{"/photos/", page, "/photos/albums", "/photos/links", "/photos/bin", "/photos/shards"} {
			if w := h.look(path, ""); w.Code != 401 {
				t.Errorf("a stranger at %s: %d", path, w.Code)
			}
		}
		for _, path := range []string{"/photos/nothing", "/photos/" + strings.Repeat("0", 36), "/photos/albums/" + strings.Repeat("0", 36)} {
			if w := h.look(path, "ada"); w.Code != 404 {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
		h.sound()
	})
}

func TestPagesThatChoose(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		p, q := h.put("ada", photograph(1)), h.put("ada", photograph(2))
		wantPage(t, h.form("/photos/chosen", "ada", "do", "remove"), 422, "nothing is chosen")
		wantPage(t, h.form("/photos/chosen", "ada", "do", "add", "photo", p.ID), 422, "choose an album")
		if w := h.form("/photos/chosen", "ada", "do", "remove", "photo", "../x"); w.Code != 422 {
			t.Error(w.Code)
		}
		many := []string{"do", "remove"}
		for range mostChosen + 1 {
			many = append(many, "photo", p.ID)
		}
		wantPage(t, h.form("/photos/chosen", "ada", many...), 422, "too many")
		w := h.form("/photos/chosen", "ada", "do", "add", "photo", p.ID, "photo", q.ID, "title", "Trip", "back", "https://evil.example/photos/")
		if at := w.Header().Get("Location"); w.Code != 303 || !strings.HasPrefix(at, "/photos/?did=added&n=2&to=") {
			t.Fatal(w.Code, at, w.Body)
		}
		wantPage(t, h.look(w.Header().Get("Location"), "ada"), 200, "2 photos are in “Trip” now", "Open it")
		wantPage(t, h.look(w.Header().Get("Location"), "bob"), 200, "-Trip")
		album := w.Header().Get("Location")[strings.Index(w.Header().Get("Location"), "to=")+3:]
		in := "/photos/albums/" + album
		wantPage(t, h.look(in, "ada"), 200, "Trip", p.ID, q.ID, "/photos/"+p.ID+"?album="+album)
		wantPage(t, h.look("/photos/"+p.ID+"?album="+album, "ada"), 200, `rel="next"`, ">Trip</a>")
		wantBack(t, h.form("/photos/chosen", "ada", "do", "cover", "photo", q.ID, "in", album, "back", in), in+"?did=saved")
		wantPage(t, h.look("/photos/albums", "ada"), 200, q.ID+"/small", "Trip")
		wantPage(t, h.look("/photos/albums", "bob"), 200, "No albums yet")
		wantBack(t, h.form(in+"?step=1", "ada", "step", q.ID+" "+p.ID), in+"?order=1")
		if body := h.look(in, "ada").Body.String(); strings.Index(body, q.ID) > strings.Index(body, p.ID) {
			t.Error("the order is not changed")
		}
		wantBack(t, h.form(in, "ada", "do", "order", "photo", p.ID, "photo", q.ID), in+"?did=saved")
		wantPage(t, h.look(in+"?order=1", "ada"), 200, "Save this order", q.ID+" "+p.ID)
		wantBack(t, h.form("/photos/chosen", "ada", "do", "out", "photo", q.ID, "in", album, "back", in), in+"?did=out&n=1")
		wantPage(t, h.form(in, "ada", "do", "title", "title", ""), 422, `role="alert"`)
		wantBack(t, h.form(in, "ada", "do", "title", "title", "Travels"), in+"?did=saved")
		if w := h.form(in, "bob", "do", "end"); w.Code != 404 {
			t.Error(w.Code)
		}
		wantBack(t, h.form(in, "ada", "do", "end"), "/photos/albums?did=ended")
		wantPage(t, h.form("/photos/albums", "ada", "title", strings.Repeat("x", MaxTitle+1)), 422, `role="alert"`)

		wantBack(t, h.form("/photos/chosen", "ada", "do", "favourite", "photo", p.ID), "/photos/?did=favoured&n=1")
		wantBack(t, h.form("/photos/chosen", "ada", "do", "remove", "photo", p.ID, "back", "/photos/?find=a"), "/photos/?did=removed&find=a&gone="+p.ID+"&n=1")
		wantPage(t, h.look("/photos/?did=removed&n=1&gone="+p.ID, "ada"), 200, "in the bin now", "Undo")
		wantPage(t, h.look("/photos/bin", "ada"), 200, p.ID)
		wantPage(t, h.look("/photos/bin", "bob"), 200, "The bin is empty")
		wantBack(t, h.form("/photos/bin", "ada", "do", "restore", "photo", p.ID, "back", "/photos/?did=removed&gone=x"), "/photos/?did=restored&n=1")
		wantBack(t, h.form("/photos/"+p.ID, "ada", "do", "remove"), "/photos/?did=removed&gone="+p.ID+"&n=1")
		wantPage(t, h.look("/photos/"+p.ID, "ada"), 200, "in the bin", "Restore")
		wantBack(t, h.form("/photos/bin", "ada", "do", "purge", "photo", p.ID), "/photos/bin?did=purged&n=1")
		wantBack(t, h.form("/photos/bin", "ada", "do", "empty"), "/photos/bin?did=emptied")
		wantPage(t, h.form("/photos/bin", "ada", "do", "purge"), 422)
		h.sound()
	})
}

func TestDownloadsOfPages(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		a, b := photograph(1), photograph(2)
		p, q := h.put("ada", a), h.put("ada", b)
		w := h.form("/photos/chosen", "ada", "do", "download", "photo", p.ID)
		if w.Code != 200 || !bytes.Equal(w.Body.Bytes(), a) || !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment") {
			t.Error(w.Code, w.Header())
		}
		w = h.form("/photos/chosen", "ada", "do", "download", "photo", p.ID, "photo", q.ID, "photo", strings.Repeat("0", 36))
		z, err := zip.NewReader(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len()))
		if err != nil || len(z.File) != 2 || z.File[0].Name != "IMG_1.JPG" || z.File[1].Name != "IMG_1 (2).JPG" || z.File[0].UncompressedSize64 != uint64(len(a)) {
			t.Fatal(err, z)
		}
		if w := h.form("/photos/chosen", "bob", "do", "download", "photo", p.ID); w.Code != 404 {
			t.Error(w.Code)
		}
	})
}

// TestZipNames: no name leads out of the folder, and none stands twice.
func TestZipNames(t *testing.T) {
	used := map[string]int{}
	for _, c := range [][2]string{{"a.jpg", "a.jpg"}, {"A.jpg", "A (2).jpg"}, {"../../etc/passwd", "_.._etc_passwd"}, {`c:\x.jpg`, "c__x.jpg"}, {"", "photo"}, {"..", "photo (2)"}, {"a (2).jpg", "a (2) (2).jpg"}, {"x\x00y.jpg", "x_y.jpg"}} {
		if got := zipName(used, c[0]); got != c[1] {
			t.Errorf("%q becomes %q, want %q", c[0], got, c[1])
		}
	}
}

// upload posts a form with photos: names and contents.
func (h *house) upload(name, album string, files ...string) *httptest.ResponseRecorder {
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	must := func(err error) {
		if err != nil {
			h.t.Fatal(err)
		}
	}
	must(m.WriteField("csrf", "any"))
	must(m.WriteField("album", album))
	for i := 0; i+1 < len(files); i += 2 {
		w, err := m.CreateFormFile("photo", files[i])
		must(err)
		_, err = w.Write([]byte(files[i+1]))
		must(err)
	}
	must(m.Close())
	return h.call("POST", "/photos/upload", name, b.Bytes(), "Content-Type", m.FormDataContentType(), "Accept", "text/html")
}

func TestUploadByForm(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		a, b := string(photograph(1)), string(photograph(2))
		wantBack(t, h.upload("ada", "", "a.jpg", a, "b.jpg", b, "again.jpg", a), "/photos/?did=uploaded&n=3")
		wantPage(t, h.upload("ada", "", "notes.txt", "no photo", "c.jpg", string(photograph(3))), 422, "notes.txt: ", "One other is here")
		wantPage(t, h.upload("ada", ""), 422, "no photo was chosen")
		al, err := h.MakeAlbum(context.Background(), h.who["ada"], "Trip", nil)
		if err != nil {
			t.Fatal(err)
		}
		wantBack(t, h.upload("ada", al.ID, "a.jpg", a), "/photos/albums/"+al.ID+"?did=uploaded&n=1")
		if w := h.upload("bob", al.ID, "a.jpg", a); w.Code != 404 {
			t.Error(w.Code)
		}
		if got := len(h.listed("ada", Filter{})); got != 3 {
			t.Errorf("%d photos", got)
		}
		if w := h.call("POST", "/photos/upload", "ada", "a=b", "Content-Type", "application/x-www-form-urlencoded"); w.Code != 400 {
			t.Error(w.Code)
		}
		h.sound()
	})
}

var linkShown = regexp.MustCompile(`http://plumb\.test(/p/[A-Za-z0-9_-]+)`)

func TestPagesOfLinks(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		p, q := h.ready(h.put("ada", photograph(1))), h.ready(h.put("ada", photograph(2)))
		al, err := h.MakeAlbum(context.Background(), h.who["ada"], "T<i>rip", []string{p.ID, q.ID})
		if err != nil {
			t.Fatal(err)
		}
		share := "/photos/links?album=" + al.ID
		wantPage(t, h.look(share, "ada"), 200, "T&lt;i&gt;rip", `value="30" selected`, "-<table")
		makes := func(at string, values ...string) string {
			t.Helper()
			w := h.form(at, "ada", append(values, "do", "make")...)
			wantPage(t, w, 200, "shown this once")
			m := linkShown.FindStringSubmatch(w.Body.String())
			if m == nil || w.Header().Get("Cache-Control") != "no-store" {
				t.Fatalf("no link in %v %s", w.Header(), w.Body)
			}
			return m[1]
		}
		wantPage(t, h.form(share, "ada", "do", "make", "life", "9999"), 422, `role="alert"`)
		wantPage(t, h.form(share, "ada", "do", "make", "life", "soon"), 422, `role="alert"`)
		link := makes(share, "life", "7", "downloads", "1")
		wantPage(t, h.look(share, "ada"), 200, "<table", "originals", "-"+link)

		w := h.look(link, "")
		wantPage(t, w, 200, "T&lt;i&gt;rip", `src="`+link+"/"+p.ID+`/small"`, "Save all", "noindex", "data-save", "-Lisbon", "-38.7", "-IMG_1", `og:image" content="http://plumb.test`+link, "good until 11 March 2026")
		policy := w.Header().Get("Content-Security-Policy")
		for _, m := range regexp.MustCompile(`(?s)<(style|script)[^>]*>(.*?)</(?:style|script)>`).FindAllStringSubmatch(w.Body.String(), -1) {
			if !strings.Contains(policy, m[1]+"-src") || !strings.Contains(policy, hashed(m[2])) {
				t.Errorf("the policy refuses a %s of the page itself: %s", m[1], policy)
			}
		}
		if strings.Contains(policy, "unsafe") || !strings.Contains(policy, "default-src 'none'") || w.Header().Get("Referrer-Policy") != "no-referrer" || !strings.Contains(w.Header().Get("X-Robots-Tag"), "noindex") {
			t.Errorf("%v", w.Header())
		}
		if again := h.call("GET", link, "", nil, "If-None-Match", w.Header().Get("ETag")); again.Code != 304 || again.Header().Get("Content-Security-Policy") != policy {
			t.Errorf("the same page again: %d %v", again.Code, again.Header())
		}
		wantPage(t, h.look(link+"/"+p.ID, ""), 200, "/large", `rel="next"`, "-rel=\"prev\"", "/original")
		img := h.look(link+"/"+p.ID+"/small", "")
		if img.Code != 200 || !strings.HasPrefix(img.Header().Get("Content-Type"), "image/") || !strings.Contains(img.Header().Get("Cache-Control"), "private") || img.Header().Get("ETag") == "" || !strings.Contains(img.Header().Get("Content-Security-Policy"), "sandbox") {
			t.Error(img.Code, img.Header())
		}
		if again := h.call("GET", link+"/"+p.ID+"/small", "", nil, "If-None-Match", img.Header().Get("ETag")); again.Code != 304 {
			t.Error(again.Code)
		}
		zipped := h.look(link+"/zip", "")
		z, err := zip.NewReader(bytes.NewReader(zipped.Body.Bytes()), int64(zipped.Body.Len()))
		if err != nil || len(z.File) != 2 {
			t.Fatal(err)
		}

		// One without originals, with a password, to one photo.
		secret := makes("/photos/links?photo="+q.ID, "life", "-1", "password", "open sesame")
		wantPage(t, h.look(secret, ""), 200, "Photos with a password", "-"+q.ID, "-og:image")
		wantPage(t, h.form(secret, "", "password", "wrong"), 422, "wrong")
		wantPage(t, h.form(secret, "", "password", ""), 422, "type the password")
		w = h.form(secret, "", "password", "open sesame")
		wantBack(t, w, secret)
		cookie := w.Result().Cookies()[0]
		if cookie.Path != secret || !cookie.HttpOnly {
			t.Errorf("%+v", cookie)
		}
		with := []string{"Accept", "text/html", "Cookie", cookie.Name + "=" + cookie.Value}
		wantPage(t, h.call("GET", secret, "", nil, with...), 200, q.ID, "/large", "-/original", "-og:image", "-good until")
		h.countViews(context.Background())
		if list, _, err := h.Links(context.Background(), h.who["ada"], Target{Photo: q.ID}, "", 10); err != nil || len(list) != 1 || list[0].Views != 1 {
			t.Errorf("one view is counted as %+v %v", list, err)
		}
		if w := h.call("GET", secret+"/"+q.ID+"/medium", "", nil, with...); w.Code != 200 {
			t.Error(w.Code, w.Body)
		}
		for _, path := range []string{"/" + q.ID + "/original", "/zip"} {
			if w := h.call("GET", secret+path, "", nil, with...); w.Code != 403 {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
		if w := h.call("GET", secret+"/"+q.ID+"/medium", "", nil, "Accept", "image/*"); w.Code != 401 {
			t.Error(w.Code)
		}
		if w := h.call("GET", secret+"/"+p.ID+"/small", "", nil, with...); w.Code != 404 {
			t.Errorf("a photo that the link does not lead to: %d", w.Code)
		}

		// What ends them.
		wantPage(t, h.look("/photos/links", "ada"), 200, "T&lt;i&gt;rip", "password", "Revoke all")
		wantPage(t, h.look("/photos/links", "bob"), 200, "You share nothing")
		id := regexp.MustCompile(`name="link" value="([^"]+)"`).FindStringSubmatch(h.look(share, "ada").Body.String())
		if w := h.form("/photos/links", "bob", "do", "revoke", "link", id[1]); w.Code != 404 {
			t.Error(w.Code)
		}
		wantBack(t, h.form(share, "ada", "do", "revoke", "link", id[1]), share+"&did=revoked")
		for _, path := range []string{"", "/" + p.ID, "/" + p.ID + "/small", "/zip"} {
			if w := h.look(link+path, ""); w.Code != 404 {
				t.Errorf("a revoked link's %s answers %d", path, w.Code)
			}
		}
		gone, none := h.look(link, "").Body.String(), h.look("/p/"+strings.Repeat("A", 54), "").Body.String()
		strip := regexp.MustCompile(`/p/[A-Za-z0-9_-]+`)
		if strip.ReplaceAllString(gone, "") != strip.ReplaceAllString(none, "") {
			t.Error("a revoked link and an unknown one are told apart")
		}
		wantBack(t, h.form("/photos/links", "ada", "do", "revoke-all"), "/photos/links?did=revoked-all&n=1")
		wantPage(t, h.call("GET", secret, "", nil, with...), 404)
		late := makes(share, "life", "1")
		h.clock.Advance(25 * time.Hour)
		wantPage(t, h.look(late, ""), 404, "Nothing is here")
	})
}

func TestPagesOfShards(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		h.put("ada", photograph(1))
		wantPage(t, h.look("/photos/shards", "boss"), 200, "first", "Requests a second", "Thresholds", "85% full")
		for _, path := range []string{"/photos/shards", "/photos/rebalance"} {
			if w := h.look(path, "ada"); w.Code != 403 {
				t.Errorf("ada at %s: %d", path, w.Code)
			}
		}
		for _, path := range []string{"/photos/shards", "/photos/shards/first", "/photos/pin", "/photos/repairs", "/photos/rebalance"} {
			if w := h.form(path, "ada", "name", "mine", "do", "drain"); w.Code != 403 {
				t.Errorf("ada at %s: %d", path, w.Code)
			}
		}
		wantPage(t, h.form("/photos/shards", "boss", "name", "Not A Name"), 422, `role="alert"`, `value="Not A Name"`)
		wantPage(t, h.form("/photos/shards", "boss", "name", "x", "weight", "-1"), 422, "a weight is a number")
		wantPage(t, h.form("/photos/shards", "boss", "name", "first"), 409, `role="alert"`)
		wantBack(t, h.form("/photos/shards", "boss", "name", "second", "weight", "2"), "/photos/shards?did=added")
		wantPage(t, h.look("/photos/shards?did=added", "boss"), 200, "The shard is there", "second")
		h.settle()
		wantPage(t, h.look("/photos/shards", "boss"), 200, "Migrations that are over", "66.7%")
		wantBack(t, h.form("/photos/shards/second", "boss", "do", "weigh", "weight", "1"), "/photos/shards?did=weighed")
		wantBack(t, h.form("/photos/pin", "boss", "person", "ada", "shard", "second"), "/photos/shards?did=pinned")
		wantPage(t, h.form("/photos/pin", "boss", "person", "nobody", "shard", "second"), 404, `role="alert"`)
		h.settle()
		wantBack(t, h.form("/photos/pin", "boss", "person", "ada"), "/photos/shards?did=unpinned")
		h.settle()
		wantPage(t, h.form("/photos/shards/second", "boss", "do", "remove"), 409, `role="alert"`)
		wantPage(t, h.form("/photos/shards/nothing", "boss", "do", "drain"), 404, `role="alert"`)
		wantPage(t, h.form("/photos/repairs", "boss", "do", "lost", "shard", "second"), 422, "you are sure")
		wantBack(t, h.form("/photos/repairs", "boss", "do", "heal", "shard", "second"), "/photos/shards?did=repairing")
		wantPage(t, h.form("/photos/repairs", "boss", "do", "backup", "shard", "second", "place", "nowhere"), 422, `role="alert"`, `value="nowhere"`)
		wantPage(t, h.look("/photos/shards", "boss"), 200, "put back what second lost")
		wantPage(t, h.look("/photos/rebalance?by=bytes", "boss"), 200, "Even the load")
		wantPage(t, h.look("/photos/rebalance?by=mood", "boss"), 422, `role="alert"`)
		wantPage(t, h.form("/photos/rebalance", "boss", "proposal", strings.Repeat("0", 36)), 404, `role="alert"`)
		wantPage(t, h.form("/photos/migrations/nothing", "boss", "do", "pause"), 404, `role="alert"`)
		wantBack(t, h.form("/photos/shards/second", "boss", "do", "drain"), "/photos/shards?did=drained")
	})
}

// TestAlarmsInWords: each kind of alarm is a sentence of its own.
func TestAlarmsInWords(t *testing.T) {
	seen := map[string]bool{}
	for _, what := range []string{alarmFull, alarmSlow, alarmDown, alarmUneven} {
		text := Alarm{Shard: "second", What: what, Value: 0.9, Most: 0.8}.say()
		if seen[text] || !strings.HasSuffix(text, ".") {
			t.Errorf("%s: %q", what, text)
		}
		seen[text] = true
	}
}

// TestGround: a placeholder that is none writes nothing of itself into a style sheet.
func TestGround(t *testing.T) {
	if got := ground(strings.Repeat("0a0b0c", 12)); got != "linear-gradient(#0a0b0c,#0a0b0c,#0a0b0c)" {
		t.Error(got)
	}
	for _, bad := range []string{"", "}", strings.Repeat("}", 72), strings.Repeat("0A", 36), strings.Repeat("0", 71)} {
		if got := ground(bad); got != "var(--line)" {
			t.Errorf("%q becomes %q", bad, got)
		}
	}
}

func TestPhoneApp(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		w := h.call("GET", "/photos/app.webmanifest", "", nil)
		if w.Code != 200 || !strings.Contains(w.Body.String(), `"share_target"`) {
			t.Error(w.Code, w.Body)
		}
		for _, name := range []string{"/photos/worker.js"} {
			if w := h.call("GET", name, "", nil); w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/javascript") {
				t.Error(w.Code, w.Header())
			}
		}
	})
}

// BenchmarkSharedPage is the page of a link to a hundred photos, with its database.
func BenchmarkSharedPage(b *testing.B) {
	h := open(b, "sqlite")
	ctx, ada := context.Background(), h.who["ada"]
	var list []string
	for i := range 100 {
		list = append(list, h.put("ada", photograph(uint64(i))).ID)
	}
	al, err := h.MakeAlbum(ctx, ada, "Trip", list)
	if err != nil {
		b.Fatal(err)
	}
	l, err := h.MakeLink(ctx, ada, Target{Album: al.ID}, LinkOptions{})
	if err != nil {
		b.Fatal(err)
	}
	path := strings.TrimPrefix(l.URL, "http://plumb.test")
	var size int
	for b.Loop() {
		w := h.call("GET", path, "", nil, "Accept-Encoding", "gzip")
		if size = w.Body.Len(); w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
	b.ReportMetric(float64(size), "bytes/page")
}
