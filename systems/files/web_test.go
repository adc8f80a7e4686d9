package files

import (
	"bytes"
	"context"
	"io"
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
	return h.call("POST", path, name, v.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// wantPage checks that a page has the status and says all of that; what begins with
// "-" it must not say.
func wantPage(t *testing.T, w *httptest.ResponseRecorder, status int, says ...string) {
	t.Helper()
	if w.Code != status {
		t.Errorf("%d, want %d: %s", w.Code, status, w.Body)
	}
	for _, s := range says {
		not, ok := strings.CutPrefix(s, "-")
		if strings.Contains(w.Body.String(), strings.TrimPrefix(s, "-")) == ok {
			t.Errorf("%q is said: %v, in\n%s", not, ok, w.Body)
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

func page1(h *house, path, name string) *httptest.ResponseRecorder {
	return h.call("GET", path, name, nil, "Accept", "text/html")
}

func TestPagesOfFolders(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		wantPage(t, page1(h, "/files/", "ada"), 200, "Nothing is here yet", `type="file"`)
		wantBack(t, h.form("/files/folders", "ada", "in", "", "name", " trips "), "/files/?did=made")
		wantPage(t, page1(h, "/files/?did=made", "ada"), 200, "The folder is made", "trips")
		trips, err := h.Stat(context.Background(), h.who["ada"], "trips")
		if err != nil {
			t.Fatal(err)
		}
		wantPage(t, h.form("/files/folders", "ada", "in", "", "name", "trips"), 422, `role="alert"`, "already", `value="trips"`)
		wantPage(t, h.form("/files/folders", "ada", "in", "", "name", "a/b"), 422, "a name holds a slash")
		wantBack(t, h.form("/files/folders", "ada", "in", at(trips.ID), "name", "2026"), "/files/n/"+trips.ID+"?did=made")
		n := h.put("ada", "trips/<b>map.txt", "<script>alert(1)</script>")
		wantPage(t, page1(h, "/files/n/"+trips.ID, "ada"), 200, ">My files</a>", "&lt;b&gt;map.txt", "-<b>map", "25 B", "2026", "Move")
		wantPage(t, page1(h, "/files/n/"+n.ID, "ada"), 200, "&lt;script&gt;alert(1)", "-<script>alert", n.Hash.String(), `href="/files/n/`+trips.ID+`"`, "Delete")

		// Nobody else sees any of it, signed in or not.
		for _, who := range []string{"bob", "boss", ""} {
			for _, path := range []string{"/files/n/" + n.ID, "/files/n/" + trips.ID, "/files/n/" + n.ID + "/report"} {
				if w := page1(h, path, who); w.Code != 404 {
					t.Errorf("%s of %q: %d", path, who, w.Code)
				}
			}
		}
		for _, path := range []string{"/files/n/nothing", "/files/n/" + strings.Repeat("0", 36)} {
			if w := page1(h, path, "ada"); w.Code != 404 {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
		for _, path := range []string{"/files/", "/files/bin", "/files/shared", "/files/stored"} {
			if w := page1(h, path, ""); w.Code != 401 {
				t.Errorf("a stranger at %s: %d", path, w.Code)
			}
		}
		wantPage(t, page1(h, "/files/?by=mood", "ada"), 422)
		wantPage(t, page1(h, "/files/?cursor=x", "ada"), 422)
	})
}

func TestPagesThatChangeANode(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		a, b := h.put("ada", "a.txt", "a"), h.put("ada", "d/b.txt", "b")
		d, err := h.Stat(context.Background(), h.who["ada"], "d")
		if err != nil {
			t.Fatal(err)
		}
		wantPage(t, page1(h, "/files/n/"+a.ID+"/rename", "ada"), 200, `value="a.txt"`)
		wantPage(t, h.form("/files/n/"+a.ID+"/rename", "ada", "name", "d"), 409, `role="alert"`, `value="d"`)
		wantPage(t, h.form("/files/n/"+a.ID+"/rename", "ada", "name", ".."), 400, `role="alert"`)
		wantBack(t, h.form("/files/n/"+a.ID+"/rename", "ada", "name", "c.txt", "back", "/files/?by=size"), "/files/?by=size")
		wantBack(t, h.form("/files/n/"+a.ID+"/rename", "ada", "name", "a.txt", "back", "https://evil.example/files/"), "/files/n/"+a.ID)
		if w := h.form("/files/n/"+a.ID+"/rename", "bob", "name", "mine"); w.Code != 404 {
			t.Error(w.Code)
		}

		place := "/files/place?verb=move&node=" + a.ID
		wantPage(t, page1(h, place, "ada"), 200, "Move “a.txt”", "to="+"%40"+d.ID, "It is in this folder now", "-Move to My files")
		wantPage(t, page1(h, place+"&to=@"+d.ID, "ada"), 200, "Move to d", "There is no folder in this one")
		wantPage(t, page1(h, "/files/place?verb=move", "ada"), 422, "-form")
		if w := page1(h, place, "bob"); w.Code != 404 {
			t.Error(w.Code)
		}
		wantBack(t, h.form("/files/choose", "ada", "verb", "move", "node", a.ID), "/files/place?node="+a.ID+"&verb=move")
		if w := h.form("/files/remove", "ada", "node", "../x"); w.Code != 422 {
			t.Error(w.Code)
		}
		wantBack(t, h.form("/files/place", "ada", "verb", "move", "to", at(d.ID), "node", a.ID), "/files/n/"+d.ID+"?did=moved")
		if got := h.names("ada", "d"); got != "a.txt b.txt" {
			t.Error(got)
		}
		wantPage(t, h.form("/files/place", "ada", "verb", "move", "to", at(d.ID), "node", d.ID), 409, "cannot come below itself")
		wantBack(t, h.form("/files/place", "ada", "verb", "copy", "to", "", "node", a.ID, "node", b.ID), "/files/?did=copied")
		wantBack(t, h.form("/files/place", "ada", "verb", "copy", "to", at(d.ID), "node", a.ID), "/files/n/"+d.ID+"?did=copied")
		if got := h.names("ada", "d"); got != "a (copy 1).txt a.txt b.txt" {
			t.Error(got)
		}

		// The bin, and the way back.
		wantPage(t, h.form("/files/remove", "ada"), 422)
		wantBack(t, h.form("/files/remove", "ada", "node", a.ID, "node", b.ID, "back", "/files/n/"+d.ID+"?by=size"), "/files/n/"+d.ID+"?did=removed&node="+a.ID+"&node="+b.ID)
		wantPage(t, page1(h, "/files/n/"+d.ID+"?did=removed&node="+a.ID+"&node="+b.ID, "ada"), 200, "2 are in the bin", "Undo")
		wantPage(t, page1(h, "/files/n/"+d.ID+"?did=removed&node="+a.ID, "ada"), 200, "“a.txt” is in the bin")
		wantPage(t, page1(h, "/files/bin", "ada"), 200, "a.txt", "b.txt", "just now")
		wantPage(t, page1(h, "/files/bin", "bob"), 200, "The bin is empty", "-a.txt")
		if w := h.form("/files/bin", "bob", "do", "restore", "node", a.ID); w.Code != 404 {
			t.Error(w.Code)
		}
		wantBack(t, h.form("/files/bin", "ada", "do", "restore", "node", a.ID, "back", "/files/n/"+d.ID+"?did=removed"), "/files/n/"+d.ID+"?did=restored")
		wantBack(t, h.form("/files/bin", "ada", "do", "purge", "node", b.ID), "/files/bin?did=purged")
		wantBack(t, h.form("/files/remove", "ada", "node", a.ID, "back", "//evil.example/files/"), "/files/?did=removed&node="+a.ID)
		wantBack(t, h.form("/files/bin", "ada", "do", "empty"), "/files/bin?did=emptied")
		wantPage(t, page1(h, "/files/bin?did=emptied", "ada"), 200, "The bin is empty")
		h.sound()
	})
}

func TestPagesOfVersions(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		n := h.put("ada", "a.txt", "first")
		h.put("ada", "a.txt", "second")
		page := "/files/n/" + n.ID
		wantPage(t, page1(h, page, "ada"), 200, "second", "Revert", contentAt(n)+"?version=1")
		wantBack(t, h.form(page+"/revert", "ada", "version", "1"), page+"?did=reverted")
		wantPage(t, page1(h, page+"?did=reverted", "ada"), 200, ">first<", "again")
		wantBack(t, h.form(page+"/forget", "ada", "version", "2"), page+"?did=forgotten")
		for _, w := range []*httptest.ResponseRecorder{h.form(page+"/revert", "ada", "version", "9"), h.form(page+"/revert", "bob", "version", "1"), h.form(page+"/forget", "ada", "version", "x")} {
			if w.Code != 404 {
				t.Error(w.Code, w.Body)
			}
		}
	})
}

func TestPreviews(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		for _, c := range []struct{ name, text, want string }{
			{"a.png", "\x89PNG", `<img src="/api/v1/files/content/@`},
			{"a.svg", "<svg onload=alert(1)>", `<img src=`},
			{"a.mp3", "ID3", "<audio"},
			{"a.mp4", "ftyp", "<video"},
			{"a.pdf", "%PDF-", "<iframe"},
			{"a.html", "<b onclick=x>", "&lt;b onclick=x&gt;"},
			{"a.json", `{"a":1}`, "{&#34;a&#34;:1}"},
			{"a.txt", "a\x00b", "There is no preview"},
			{"a.zip", "PK", "There is no preview of <code>application/zip</code>"},
			{"latin.txt", "na\xefve", "na\uFFFDve"},
			{"long.txt", strings.Repeat("äöü", mostText/6+10), "The first 256 KiB"},
		} {
			n := h.put("ada", c.name, c.text)
			w := page1(h, "/files/n/"+n.ID, "ada")
			wantPage(t, w, 200, c.want, "-<b onclick", "-<svg onload")
			policy := w.Header().Get("Content-Security-Policy")
			if framed := strings.Contains(policy, "frame-src 'self'"); framed != (c.name == "a.pdf") || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
				t.Errorf("%s: %s", c.name, policy)
			}
			if c.name == "long.txt" && strings.Contains(w.Body.String(), "\uFFFD") {
				t.Error("a letter is cut in two")
			}
		}
	})
}

// upload posts a form with files: "in" first, then names and contents.
func (h *house) upload(name, in string, files ...string) *httptest.ResponseRecorder {
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	m.WriteField("csrf", "any")
	m.WriteField("in", in)
	for i := 0; i+1 < len(files); i += 2 {
		w, err := m.CreateFormFile("file", files[i])
		if err != nil {
			h.t.Fatal(err)
		}
		io.WriteString(w, files[i+1])
	}
	m.Close()
	return h.call("POST", "/files/upload", name, b.Bytes(), "Content-Type", m.FormDataContentType())
}

func TestUploadByForm(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		wantBack(t, h.upload("ada", "", "a.txt", "alpha", "dir/b.txt", "beta"), "/files/?did=uploaded")
		if a, b := h.text("ada", "a.txt"), h.text("ada", "dir/b.txt"); a != "alpha" || b != "beta" {
			t.Error(a, b)
		}
		dir, err := h.Stat(context.Background(), h.who["ada"], "dir")
		if err != nil {
			t.Fatal(err)
		}
		wantBack(t, h.upload("ada", at(dir.ID), "c.txt", "gamma"), "/files/n/"+dir.ID+"?did=uploaded")
		wantPage(t, h.upload("ada", ""), 422, "no file was chosen")
		wantPage(t, h.upload("ada", "", "ok.txt", "fine", "../x", "bad", "never.txt", "no"), 422, "is not a name", "stored before it: ok.txt")
		if got := h.text("ada", "ok.txt") + h.text("ada", "never.txt"); got != "fine(not found)" {
			t.Error(got)
		}
		if w := h.upload("bob", at(dir.ID), "x.txt", "x"); w.Code != 404 {
			t.Error(w.Code)
		}
		if w := h.call("POST", "/files/upload", "ada", "a=b", "Content-Type", "application/x-www-form-urlencoded"); w.Code != 400 {
			t.Error(w.Code)
		}
		h.sound()
	}, func(up *setup) { up.files.Quota = 1 << 20 })
}

var tokenIn = regexp.MustCompile(`http://plumb\.test(/f/[A-Za-z0-9_-]+)`)

func TestPagesOfSharing(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		n := h.put("ada", "d/a.txt", "alpha")
		d, err := h.Stat(context.Background(), h.who["ada"], "d")
		if err != nil {
			t.Fatal(err)
		}
		share := "/files/n/" + d.ID + "/share"
		wantPage(t, page1(h, share, "ada"), 200, "It is private")
		wantPage(t, h.form("/files/n/"+d.ID+"/people", "ada", "name", "nobody"), 404, `role="alert"`, `value="nobody"`)
		wantPage(t, h.form("/files/n/"+d.ID+"/people", "ada", "name", "ada"), 422, "it is yours already")
		wantBack(t, h.form("/files/n/"+d.ID+"/people", "ada", "name", "bob", "rights", "read"), share+"?did=shared")
		wantPage(t, page1(h, share, "ada"), 200, ">bob<")
		wantPage(t, page1(h, "/files/shared", "bob"), 200, ">d<", ">ada<")
		wantPage(t, page1(h, "/files/n/"+d.ID, "bob"), 200, "a.txt", "It belongs to ada", "-Bring files here", "-Rename", ">Shared with me</a>")
		wantPage(t, page1(h, "/files/n/"+n.ID, "bob"), 200, "alpha", "-Delete", "Report this file")
		if w := page1(h, share, "bob"); w.Code != 403 {
			t.Error(w.Code)
		}
		for _, w := range []*httptest.ResponseRecorder{h.form("/files/n/"+n.ID+"/rename", "bob", "name", "x"), h.form("/files/remove", "bob", "node", n.ID), h.form("/files/n/"+n.ID+"/public", "bob", "public", "1")} {
			if w.Code != 403 {
				t.Error(w.Code, w.Body)
			}
		}
		wantBack(t, h.form("/files/n/"+d.ID+"/people", "ada", "name", "bob", "rights", "write"), share+"?did=shared")
		wantPage(t, page1(h, "/files/n/"+d.ID, "bob"), 200, "Bring files here", "Rename")
		wantPage(t, page1(h, "/files/shared", "bob"), 200, "you may change it")
		wantBack(t, h.form("/files/n/"+d.ID+"/people", "ada", "name", "bob", "do", "end"), share+"?did=unshared")
		wantPage(t, page1(h, "/files/shared", "bob"), 200, "Nobody shares anything with you yet")

		// Public: in the library and in search, for strangers too.
		wantPage(t, page1(h, "/files/library", ""), 200, "Nothing is public yet")
		wantBack(t, h.form("/files/n/"+d.ID+"/public", "ada", "public", "1"), share+"?did=public")
		for _, who := range []string{"bob", ""} {
			wantPage(t, page1(h, "/files/library", who), 200, ">d<", ">ada<")
			wantPage(t, page1(h, "/files/n/"+n.ID, who), 200, "alpha", ">Public library</a>", ">d</a>", "-Rename")
			wantPage(t, page1(h, "/files/search?find=A", who), 200, "a.txt")
		}
		wantPage(t, page1(h, "/files/search?find=%3Cscript%3E", ""), 200, "&lt;script&gt;", "-<script>")
		wantPage(t, page1(h, "/files/search?find=.", ""), 422, `role="alert"`)
		wantBack(t, h.form("/files/n/"+d.ID+"/public", "ada", "public", "0"), share+"?did=private")
		if w := page1(h, "/files/n/"+n.ID, ""); w.Code != 404 {
			t.Error(w.Code)
		}
	})
}

func TestPagesOfLinks(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		n := h.put("ada", "d/ä b.txt", "alpha")
		d, err := h.Stat(context.Background(), h.who["ada"], "d")
		if err != nil {
			t.Fatal(err)
		}
		makes := func(id string, values ...string) string {
			t.Helper()
			w := h.form("/files/n/"+id+"/links", "ada", values...)
			wantPage(t, w, 200, "shown this once")
			if w.Header().Get("Cache-Control") != "no-store" {
				t.Error("a page with a link may be kept")
			}
			m := tokenIn.FindStringSubmatch(w.Body.String())
			if m == nil {
				t.Fatalf("no link in %s", w.Body)
			}
			return m[1]
		}
		link := makes(d.ID, "life", "7")
		wantPage(t, page1(h, link, ""), 200, ">d</h1>", "ä b.txt", link+"/%C3%A4%20b.txt", "-My files")
		wantPage(t, page1(h, link+"/%C3%A4%20b.txt", ""), 200, "alpha", `>d</a>`, "Download", "?download=1")
		if w := h.call("GET", link+"/%C3%A4%20b.txt?download=1", "", nil, "Accept", "text/html"); w.Code != 200 || w.Body.String() != "alpha" {
			t.Error(w.Code, w.Body)
		}
		if w := h.call("GET", link+"/%C3%A4%20b.txt", "", nil); w.Body.String() != "alpha" {
			t.Error("a program gets the page:", w.Body)
		}
		if w := page1(h, link+"/..%2f..", ""); w.Code == 200 {
			t.Error(w.Code, w.Body)
		}

		// A report from whoever has the link.
		wantPage(t, h.form(link+"/%C3%A4%20b.txt", "", "do", "report", "reason", "it is <b>mine</b>"), 200, "Thank you")
		wantPage(t, page1(h, "/files/flags", "boss"), 200, "it is &lt;b&gt;mine", "ä b.txt", "a stranger")

		// With a password, and a number of downloads.
		secret := makes(n.ID, "life", "", "password", "open sesame", "most", "1")
		wantPage(t, page1(h, secret, ""), 200, "has a password", "-alpha")
		wantPage(t, h.form(secret, "", "password", "wrong"), 422, "wrong", `type="password"`)
		wantPage(t, h.form(secret, "", "password", ""), 422)
		w := h.form(secret, "", "password", "open sesame")
		wantBack(t, w, secret)
		cookie := w.Result().Cookies()[0]
		if cookie.Path != secret || !cookie.HttpOnly {
			t.Errorf("%+v", cookie)
		}
		kept := []string{"Cookie", cookie.Name + "=" + cookie.Value}
		wantPage(t, h.call("GET", secret, "", nil, append(kept, "Accept", "text/html")...), 200, "1 download is left", "-alpha")
		if w := h.call("GET", secret+"?download=1", "", nil, append(kept, "Accept", "text/html")...); w.Body.String() != "alpha" {
			t.Error(w.Code, w.Body)
		}
		for range 2 {
			if w := h.call("GET", secret, "", nil, append(kept, "Accept", "text/html")...); w.Code != 404 {
				t.Error(w.Code, w.Body)
			}
		}

		wantPage(t, h.form("/files/n/"+n.ID+"/links", "ada", "most", "few"), 422, "downloads must be a whole number", `value="few"`)
		list, _, err := h.Links(context.Background(), h.who["ada"], at(d.ID), "", 10)
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		if w := h.form("/files/links/"+list[0].ID+"/revoke", "bob"); w.Code != 404 {
			t.Error(w.Code)
		}
		wantBack(t, h.form("/files/links/"+list[0].ID+"/revoke", "ada", "back", "/files/n/"+d.ID+"/share"), "/files/n/"+d.ID+"/share?did=revoked")
		wantPage(t, page1(h, "/files/n/"+d.ID+"/share?did=revoked", "ada"), 200, ">revoked<", "ended")
		if w := page1(h, link, ""); w.Code != 404 {
			t.Error(w.Code)
		}
	})
}

func TestPagesOfOperators(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		n := h.put("ada", "a.txt", strings.Repeat("the same again. ", 1<<14))
		if _, err := h.Publish(context.Background(), h.who["ada"], "a.txt", true); err != nil {
			t.Fatal(err)
		}
		h.put("bob", "b.txt", strings.Repeat("the same again. ", 1<<14))
		wantPage(t, page1(h, "/files/stored", "ada"), 200, "256.0 KiB", "-Everybody", "-Contents")
		wantPage(t, page1(h, "/files/stored", "boss"), 200, "Everybody", "the same file", "512.0 KiB", "<svg")
		for _, path := range []string{"/files/flags"} {
			if w := page1(h, path, "ada"); w.Code != 403 {
				t.Error(w.Code)
			}
		}
		wantPage(t, h.form("/files/quota", "boss", "name", "bob", "most", "20 GiB"), 200, "bob may keep 20.0 GiB")
		wantPage(t, h.form("/files/quota", "boss", "name", "bob", "most", "none"), 200, "bob may keep any number of bytes")
		wantPage(t, h.form("/files/quota", "boss", "name", "bob", "most", "much"), 422, `role="alert"`, `value="much"`)
		wantPage(t, h.form("/files/quota", "boss", "name", "nobody", "most", "1 GiB"), 404, `role="alert"`)
		if w := h.form("/files/quota", "ada", "name", "ada", "most", "none"); w.Code != 403 {
			t.Error(w.Code)
		}

		wantPage(t, page1(h, "/files/n/"+n.ID+"/report", "bob"), 200, "What is wrong with it?")
		wantPage(t, h.form("/files/n/"+n.ID+"/report", "bob", "reason", " "), 422, `role="alert"`)
		wantPage(t, h.form("/files/n/"+n.ID+"/report", "bob", "reason", "stolen"), 200, "Thank you")
		wantPage(t, page1(h, "/files/flags", "boss"), 200, "stolen", ">bob<", n.Hash.String())
		h.clock.Advance(time.Second)
		wantBack(t, h.form("/files/flags", "boss", "do", "block", "hash", n.Hash.String(), "reason", "a court said so"), "/files/flags?did=blocked")
		wantPage(t, page1(h, "/files/flags?did=blocked", "boss"), 200, "Taken down.", "a court said so", "Nobody reported anything")
		wantPage(t, page1(h, "/files/n/"+n.ID, "ada"), 200, "taken down", "-Download</a>")
		wantPage(t, h.upload("ada", "", "again.txt", strings.Repeat("the same again. ", 1<<14)), 422, "taken down")
		wantPage(t, h.form("/files/flags", "boss", "do", "block", "hash", "zz", "reason", "x"), 422, `role="alert"`)
		wantBack(t, h.form("/files/flags", "boss", "do", "unblock", "hash", n.Hash.String()), "/files/flags?did=unblocked")
		wantPage(t, h.form("/files/flags", "boss", "do", "dismiss", "flag", "none"), 404, `role="alert"`)
	})
}

var csrfIn = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// TestChangesByCookieNeedThePagesToken: what another site makes a browser send changes
// nothing; what the page itself sends does, files included.
func TestChangesByCookieNeedThePagesToken(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		n := h.put("ada", "a.txt", "alpha")
		session, err := h.people.SignInToken(context.Background(), h.tokens["ada"], "192.0.2.1")
		if err != nil {
			t.Fatal(err)
		}
		c := session.Cookie(false)
		cookie := []string{"Cookie", c.Name + "=" + c.Value, "Accept", "text/html"}
		send := func(path, kind string, body []byte) *httptest.ResponseRecorder {
			return h.call("POST", path, "", body, append(cookie, "Content-Type", kind)...)
		}
		const plain = "application/x-www-form-urlencoded"
		for _, path := range []string{"/files/remove", "/files/folders", "/files/place", "/files/bin", "/files/n/" + n.ID + "/rename", "/files/n/" + n.ID + "/public", "/files/n/" + n.ID + "/links", "/files/n/" + n.ID + "/people"} {
			for _, token := range []string{"", "csrf=wrong&"} {
				if w := send(path, plain, []byte(token+"node="+n.ID+"&name=x&public=1&do=empty")); w.Code != 403 {
					t.Errorf("%s with %q: %d %s", path, token, w.Code, w.Body)
				}
			}
		}
		upload := func(token string) *httptest.ResponseRecorder {
			var b bytes.Buffer
			m := multipart.NewWriter(&b)
			m.WriteField("csrf", token)
			m.WriteField("in", "")
			f, err := m.CreateFormFile("file", "b.txt")
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(f, "beta")
			m.Close()
			return send("/files/upload", m.FormDataContentType(), b.Bytes())
		}
		if w := upload("wrong"); w.Code != 403 || h.text("ada", "b.txt") != "(not found)" {
			t.Error(w.Code, w.Body)
		}
		m := csrfIn.FindStringSubmatch(h.call("GET", "/files/", "", nil, cookie...).Body.String())
		if m == nil {
			t.Fatal("the page holds no token")
		}
		wantBack(t, upload(m[1]), "/files/?did=uploaded")
		wantBack(t, send("/files/remove", plain, []byte("csrf="+url.QueryEscape(m[1])+"&node="+n.ID)), "/files/?did=removed&node="+n.ID)
	})
}
