package files

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/sqldb"
)

// dav sends a request to ada's tree with basic authentication.
func (h *house) dav(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	return h.call(method, "/dav/"+path, "", body, append([]string{"Authorization", "Basic " + basicAuth("ada", h.tokens["ada"])}, headers...)...)
}

// wants checks a request's status.
func (h *house) wants(status int, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	w := h.dav(method, path, body, headers...)
	if w.Code != status {
		h.t.Errorf("%s %s %q: %d %s, want %d", method, path, headers, w.Code, w.Body, status)
	}
	return w
}

const (
	lockExclusive = `<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype><owner>me</owner></lockinfo>`
	lockShared    = `<lockinfo xmlns="DAV:"><lockscope><shared/></lockscope><locktype><write/></locktype></lockinfo>`
)

// lockIt locks a path and returns the token in its brackets.
func (h *house) lockIt(status int, path, body string, headers ...string) string {
	h.t.Helper()
	return h.wants(status, "LOCK", path, body, headers...).Header().Get("Lock-Token")
}

// found is a multistatus, read with the standard library.
type found struct {
	Responses []struct {
		Href  string `xml:"DAV: href"`
		Stats []struct {
			Status string `xml:"DAV: status"`
			Prop   struct {
				All []struct {
					XMLName xml.Name
					Inner   string `xml:",innerxml"`
				} `xml:",any"`
			} `xml:"DAV: prop"`
		} `xml:"DAV: propstat"`
	} `xml:"DAV: response"`
}

// told sends a PROPFIND and returns "href name=value" for each property that is there,
// and "href name!" for each that is not.
func (h *house) told(path, depth, body string) []string {
	h.t.Helper()
	w := h.wants(207, "PROPFIND", path, body, "Depth", depth)
	var f found
	if err := xml.Unmarshal(w.Body.Bytes(), &f); err != nil {
		h.t.Fatalf("PROPFIND %s: %v in %s", path, err, w.Body)
	}
	var list []string
	for _, r := range f.Responses {
		for _, s := range r.Stats {
			for _, p := range s.Prop.All {
				line := r.Href + " " + p.XMLName.Local + "=" + p.Inner
				if s.Status != "HTTP/1.1 200 OK" {
					line = r.Href + " " + p.XMLName.Local + "!"
				}
				list = append(list, line)
			}
		}
	}
	return list
}

func has(list []string, line string) bool {
	for _, l := range list {
		if l == line {
			return true
		}
	}
	return false
}

func prop(names ...string) string {
	return `<propfind xmlns="DAV:"><prop><` + strings.Join(names, "/><") + `/></prop></propfind>`
}

func TestDAVIsNotForStrangers(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		h.put("ada", "secret.txt", "x")
		ask := func(method, path string, headers ...string) *httptest.ResponseRecorder {
			return h.call(method, path, "", "", headers...)
		}
		for _, method := range []string{"OPTIONS", "GET", "HEAD", "PUT", "DELETE", "MKCOL", "COPY", "MOVE", "PROPFIND", "PROPPATCH", "LOCK", "UNLOCK"} {
			if w := ask(method, "/dav/secret.txt"); w.Code != 401 || w.Header().Get("WWW-Authenticate") != `Basic realm="Plumb", charset="UTF-8"` {
				t.Errorf("%s by a stranger: %d %q", method, w.Code, w.Header().Get("WWW-Authenticate"))
			}
		}
		ada, mixed := basicAuth("ada", h.tokens["ada"]), basicAuth("bob", h.tokens["ada"])
		for what, c := range map[string]struct {
			w      *httptest.ResponseRecorder
			status int
		}{
			"ada":                       {ask("GET", "/dav/secret.txt", "Authorization", "Basic "+ada), 200},
			"ada by her token alone":    {ask("GET", "/dav/secret.txt", "Authorization", "Bearer "+h.tokens["ada"]), 200},
			"ada's token as bob's":      {ask("GET", "/dav/secret.txt", "Authorization", "Basic "+mixed), 401},
			"bob":                       {ask("GET", "/dav/secret.txt", "Authorization", "Basic "+basicAuth("bob", h.tokens["bob"])), 404},
			"another site's page":       {ask("DELETE", "/dav/secret.txt", "Authorization", "Basic "+ada, "Sec-Fetch-Site", "cross-site"), 403},
			"another site's, a LOCK":    {ask("LOCK", "/dav/x", "Authorization", "Basic "+ada, "Origin", "http://evil.test"), 403},
			"the API takes no password": {ask("GET", "/api/v1/files/content/secret.txt", "Authorization", "Basic "+ada), 401},
			"nor do pages":              {ask("GET", "/files/", "Authorization", "Basic "+ada), 401},
			"a method of none":          {ask("PATCH", "/dav/secret.txt", "Authorization", "Basic "+ada), 405},
		} {
			if c.w.Code != c.status {
				t.Errorf("%s: %d %s, want %d", what, c.w.Code, c.w.Body, c.status)
			}
		}
		if got := h.text("ada", "secret.txt"); got != "x" {
			t.Error(got)
		}
		// What others share is not in one's tree, under no name.
		n := h.put("bob", "theirs.txt", "x")
		if _, err := h.Share(t.Context(), h.who["bob"], "theirs.txt", "ada", Write); err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{"GET", "PROPFIND", "PUT", "DELETE"} {
			if w := h.dav(method, "@"+n.ID, "y"); w.Code != 404 {
				t.Errorf("%s of what bob shares: %d", method, w.Code)
			}
		}
		h.wants(404, "COPY", "secret.txt", "", "Destination", "/dav/@"+n.ID)
		for _, bad := range []string{"%2e%2e/x", "a%2fb", "a%00b", "%ff", strings.Repeat("x", 256), strings.Repeat("a/", 70) + "x"} {
			if w := h.dav("PUT", bad, "x"); w.Code != 400 && w.Code != 404 && w.Code != 307 && w.Code != 301 {
				t.Errorf("PUT %.20s: %d", bad, w.Code)
			}
		}
	})
}

func TestDAVContents(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		w := h.wants(200, "OPTIONS", "", "")
		if w.Header().Get("DAV") != "1, 2" || !strings.Contains(w.Header().Get("Allow"), "PROPPATCH") {
			t.Errorf("%v", w.Header())
		}
		h.wants(409, "PUT", "no/folder.txt", "x")
		h.wants(201, "MKCOL", "d", "")
		h.wants(405, "MKCOL", "d", "")
		h.wants(409, "MKCOL", "no/folder", "")
		h.wants(415, "MKCOL", "with-body", "x")
		h.wants(405, "MKCOL", "", "")
		h.wants(405, "PUT", "d", "x")
		w = h.wants(201, "PUT", "d/a.txt", "hello", "X-OC-Mtime", "1700000000")
		tag := w.Header().Get("ETag")
		if tag != `"`+hashOfText("hello").String()+`"` || w.Header().Get("X-OC-Mtime") != "accepted" {
			t.Errorf("%v", w.Header())
		}
		if w := h.wants(206, "GET", "d/a.txt", "", "Range", "bytes=1-3"); w.Body.String() != "ell" || w.Header().Get("Last-Modified") != "Tue, 14 Nov 2023 22:13:20 GMT" {
			t.Errorf("%s %v", w.Body, w.Header())
		}
		h.wants(416, "GET", "d/a.txt", "", "Range", "bytes=9-")
		h.wants(304, "GET", "d/a.txt", "", "If-None-Match", tag)
		if w := h.wants(200, "HEAD", "d/a.txt", ""); w.Body.Len() != 0 || w.Header().Get("Content-Length") != "5" {
			t.Errorf("%v", w.Header())
		}
		if w := h.wants(200, "GET", "d/", ""); w.Body.String() != "a.txt\n" {
			t.Errorf("%s", w.Body)
		}
		h.wants(303, "GET", "d", "", "Accept", "text/html")
		// Nothing changes where what is taken for granted does not hold.
		h.wants(412, "PUT", "d/a.txt", "x", "If-None-Match", "*")
		h.wants(412, "PUT", "d/a.txt", "x", "If-Match", `"other"`)
		h.wants(412, "PUT", "d/new.txt", "x", "If-Match", "*")
		h.wants(412, "PUT", "d/a.txt", "x", "If", `(["other"])`)
		h.wants(412, "PUT", "d/a.txt", "x", "If-Unmodified-Since", "Tue, 14 Nov 2023 22:13:19 GMT")
		h.wants(412, "DELETE", "d/a.txt", "", "If-Match", `"other"`)
		h.wants(412, "MOVE", "d/a.txt", "", "If-Match", `"other"`, "Destination", "/dav/x")
		h.wants(400, "PUT", "d/a.txt", "x", "If", `nonsense`)
		h.wants(400, "PUT", "d/a.txt", "x", "Content-Range", "bytes 0-0/5")
		if got := h.text("ada", "d/a.txt"); got != "hello" {
			t.Fatal(got)
		}
		h.wants(204, "PUT", "d/a.txt", "again", "If-Match", tag, "If-Unmodified-Since", "Tue, 14 Nov 2023 22:13:19 GMT")
		h.wants(204, "PUT", "d/a.txt", "more", "If", `(["nope"]) (["`+hashOfText("again").String()+`"])`)
		h.wants(400, "DELETE", "d", "", "Depth", "0")
		h.wants(403, "DELETE", "", "")
		h.wants(404, "DELETE", "d/none", "")
		h.wants(204, "DELETE", "d", "")
		if list, _, err := h.Bin(t.Context(), h.who["ada"], "", 0); err != nil || len(list) != 1 || list[0].Name != "d" {
			t.Errorf("the bin holds %v, %v", list, err)
		}
		h.sound()
	})
}

func TestDAVTransfers(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		for _, path := range []string{"a/f.txt", "a/b/g.txt", "c/old.txt"} {
			h.put("ada", path, path)
		}
		to := func(path string, more ...string) []string { return append([]string{"Destination", path}, more...) }
		h.wants(400, "COPY", "a", "")
		h.wants(502, "COPY", "a", "", to("http://elsewhere.test/dav/z")...)
		h.wants(502, "MOVE", "a", "", to("/files/z")...)
		h.wants(400, "COPY", "a", "", to("/dav/a%2fz")...)
		h.wants(403, "COPY", "a", "", to("/dav/a")...)
		h.wants(403, "MOVE", "a", "", to("/dav/")...)
		h.wants(403, "MOVE", "", "", to("/dav/z")...)
		h.wants(404, "COPY", "none", "", to("/dav/z")...)
		h.wants(404, "MOVE", "none", "", to("/dav/z")...)
		h.wants(409, "COPY", "a", "", to("/dav/no/z")...)
		h.wants(409, "MOVE", "a", "", to("/dav/a/b/z")...)
		h.wants(409, "MOVE", "a/b", "", to("/dav/a")...)
		h.wants(400, "MOVE", "a", "", to("/dav/z", "Depth", "0")...)
		h.wants(400, "COPY", "a", "", to("/dav/z", "Depth", "1")...)
		h.wants(400, "COPY", "a", "", to("/dav/z", "Overwrite", "perhaps")...)
		h.wants(412, "COPY", "a", "", to("/dav/c", "Overwrite", "F")...)
		h.wants(412, "MOVE", "a/f.txt", "", to("/dav/c/old.txt", "Overwrite", "F")...)
		if got := h.names("ada", "") + "|" + h.names("ada", "a") + "|" + h.names("ada", "c"); got != "a/ c/|b/ f.txt|old.txt" {
			t.Fatal(got)
		}
		h.wants(201, "COPY", "a", "", to("http://plumb.test/dav/deep")...)                 // as the house calls itself
		h.wants(201, "COPY", "a", "", to("https://example.com/dav/bare", "Depth", "0")...) // as the request does; the proxy's scheme
		h.wants(204, "COPY", "a", "", to("/dav/c")...)
		h.wants(204, "MOVE", "a/f.txt", "", to("/dav/c/f.txt", "Overwrite", "T")...)
		h.wants(201, "MOVE", "a", "", to("/dav/n%C3%A4w%20"+url.PathEscape("?#&")+"/")...)
		for path, want := range map[string]string{"": "bare/ c/ deep/ näw ?#&/", "deep": "b/ f.txt", "deep/b": "g.txt", "bare": "", "c": "b/ f.txt", "näw ?#&": "b/"} {
			if got := h.names("ada", path); got != want {
				t.Errorf("%q holds %q, want %q", path, got, want)
			}
		}
		if got := h.told("", "1", prop("getetag")); !has(got, "/dav/n%C3%A4w%20%3F%23&/ getetag!") {
			t.Errorf("%q", got)
		}
		h.sound()
	})
}

func TestDAVLocks(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.put("ada", "d/f.txt", "x")
		h.put("ada", "d/sub/g.txt", "y")
		h.put("ada", "other.txt", "z")
		f := h.lockIt(200, "d/f.txt", lockExclusive, "Timeout", "Second-600")
		with := func(token string) []string { return []string{"If", "(" + token + ")"} }
		body := h.wants(423, "PUT", "d/f.txt", "no").Body.String()
		if !strings.Contains(body, "<D:lock-token-submitted><D:href>/dav/d/f.txt</D:href>") {
			t.Error(body)
		}
		for _, c := range [][]string{{"DELETE", "d/f.txt"}, {"DELETE", "d"}, {"MOVE", "d"}, {"MOVE", "d/f.txt"}, {"PROPPATCH", "d/f.txt"}, {"COPY", "other.txt", "/dav/d/f.txt"}, {"MOVE", "other.txt", "/dav/d"}} {
			dest := "/dav/elsewhere"
			if len(c) > 2 {
				dest = c[2]
			}
			body := ""
			if c[0] == "PROPPATCH" {
				body = `<propertyupdate xmlns="DAV:"><set><prop><x xmlns="u">1</x></prop></set></propertyupdate>`
			}
			h.wants(423, c[0], c[1], body, "Destination", dest)
		}
		h.wants(423, "LOCK", "d/f.txt", lockShared)
		h.wants(423, "LOCK", "d", lockExclusive, "Depth", "infinity")
		dir := h.lockIt(200, "d", lockExclusive, "Depth", "0") // the folder, and not what is in it
		h.wants(423, "PUT", "d/new.txt", "no")
		h.wants(423, "MKCOL", "d/new", "")
		h.wants(204, "PUT", "d/sub/g.txt", "yes")
		h.wants(204, "PUT", "d/f.txt", "yes", with(f)...)
		h.wants(412, "PUT", "d/new.txt", "no", with(dir)...) // the lock is another resource's
		h.wants(201, "PUT", "d/new.txt", "yes", "If", "</dav/d> ("+dir+")")
		h.wants(412, "PUT", "d/f.txt", "no", with("<plumb:none>")...)
		h.wants(423, "PUT", "d/f.txt", "no", with("<plumb:none>) (Not <DAV:no-lock>")...)
		h.wants(423, "DELETE", "d", "", "If", "</dav/d/f.txt> ("+f+")")
		// The room's other doors know no locks.
		if w := h.call("PUT", "/api/v1/files/content/d/f.txt", "ada", "by the API"); w.Code != 200 {
			t.Errorf("%d", w.Code)
		}

		// Another process, started later, holds to them.
		was := h.http
		second := open(t, h.n.DB)
		second.tokens = h.tokens
		if w := second.dav("PUT", "d/f.txt", "no"); w.Code != 423 {
			t.Errorf("another process does not know the lock: %d", w.Code)
		}
		h.http = was

		// They end by their time, and a refresh begins it anew.
		h.clock.Advance(9 * time.Minute)
		w := h.wants(200, "LOCK", "d/f.txt", "", "If", "("+f+")", "Timeout", "Infinite")
		if !strings.Contains(w.Body.String(), "<D:timeout>Second-3600</D:timeout>") || w.Header().Get("Lock-Token") != "" {
			t.Errorf("%s", w.Body)
		}
		h.wants(412, "LOCK", "d/sub", "", "If", "("+f+")")
		h.wants(400, "LOCK", "d/f.txt", "")
		h.clock.Advance(59 * time.Minute)
		h.wants(423, "PUT", "d/f.txt", "no")
		h.wants(204, "DELETE", "d/new.txt", "") // the folder's own lock, of an hour, is over
		h.clock.Advance(2 * time.Minute)
		h.wants(204, "PUT", "d/f.txt", "yes")
		h.wants(412, "PUT", "d/f.txt", "no", with(f)...)

		// Removing ends them; a move leaves them behind.
		f = h.lockIt(200, "d/f.txt", lockExclusive)
		h.wants(204, "DELETE", "d", "", "If", "</dav/d/f.txt> ("+f+")")
		h.wants(201, "MKCOL", "d", "")
		h.wants(201, "PUT", "d/f.txt", "new")
		f = h.lockIt(200, "d/f.txt", lockExclusive)
		h.wants(201, "MOVE", "d/f.txt", "", "If", "("+f+")", "Destination", "/dav/d/moved.txt")
		h.wants(204, "PUT", "d/moved.txt", "free")
		h.wants(201, "PUT", "d/f.txt", "free")

		// Nothing yet: an empty file stands for the name.
		g := h.lockIt(201, "d/soon.txt", lockExclusive)
		if h.text("ada", "d/soon.txt") != "" {
			t.Error("what was made for a lock is not empty")
		}
		h.wants(409, "LOCK", "no/soon.txt", lockExclusive)
		h.wants(204, "PUT", "d/soon.txt", "now", with(g)...)
		h.wants(409, "UNLOCK", "d/f.txt", "", "Lock-Token", g)
		h.wants(400, "UNLOCK", "d/soon.txt", "", "Lock-Token", "nonsense")
		h.wants(204, "UNLOCK", "d/soon.txt", "", "Lock-Token", g)
		h.wants(409, "UNLOCK", "d/soon.txt", "", "Lock-Token", g)
		h.wants(204, "PUT", "d/soon.txt", "free")

		// Shared ones, and one on all that is below.
		s1, s2 := h.lockIt(200, "d", lockShared), h.lockIt(200, "d", lockShared)
		h.wants(423, "LOCK", "d/f.txt", lockExclusive)
		h.wants(423, "PUT", "d/f.txt", "no")
		h.wants(204, "PUT", "d/f.txt", "yes", "If", "</dav/d> ("+s1+")")
		h.wants(204, "UNLOCK", "d/f.txt", "", "Lock-Token", s1) // any path that it covers
		h.wants(423, "PUT", "d/f.txt", "no")
		h.wants(204, "UNLOCK", "d", "", "Lock-Token", s2)
		tree := h.lockIt(200, "d", lockExclusive)
		if got := h.told("d/f.txt", "0", prop("lockdiscovery")); len(got) != 1 || !strings.Contains(got[0], strings.Trim(tree, "<>")) || !strings.Contains(got[0], "<D:depth>infinity</D:depth>") {
			t.Errorf("%q", got)
		}
		h.wants(423, "PUT", "d/anew.txt", "no")
		h.wants(201, "PUT", "d/anew.txt", "yes", "If", "</dav/d> ("+tree+")")
		h.sound()
	})
}

// Of many who ask for an exclusive lock at once, in two processes, one gets it; and what
// its holder reads after that nobody changes before it ends.
func TestDAVLocksExcludeAtOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		second := open(t, h.n.DB)
		second.tokens = h.tokens
		h.put("ada", "f.txt", "0")
		var got, writes atomic.Int64
		var token atomic.Pointer[string]
		var wg sync.WaitGroup
		for i := range 12 {
			at := []*house{h, second}[i%2]
			wg.Go(func() {
				for try := 0; ; try++ {
					var w *httptest.ResponseRecorder
					if i%3 == 2 {
						w = at.dav("PUT", "f.txt", strconv.Itoa(i))
						writes.Add(1)
					} else {
						w = at.dav("LOCK", "f.txt", lockExclusive)
					}
					switch {
					case w.Code == 503 && try < 20: // two processes met: come again
						continue
					case i%3 != 2 && w.Code == 200:
						got.Add(1)
						text := w.Header().Get("Lock-Token") + h.text("ada", "f.txt")
						token.Store(&text)
					case w.Code != 423 && w.Code != 204:
						t.Errorf("%d: %d %s", i, w.Code, w.Body)
					}
					return
				}
			})
		}
		wg.Wait()
		if got.Load() != 1 || token.Load() == nil {
			t.Fatalf("%d hold the exclusive lock", got.Load())
		}
		name, was, _ := strings.Cut(*token.Load(), ">")
		if now := h.text("ada", "f.txt"); now != was {
			t.Errorf("the file was %q under the lock, and is %q", was, now)
		}
		h.wants(204, "UNLOCK", "f.txt", "", "Lock-Token", name+">")
		h.sound()
	})
}

func TestDAVProperties(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.put("ada", "d/f.txt", "hello")
		h.put("ada", "d/sub/g.txt", "y")
		set := func(path, name, value string) {
			h.wants(207, "PROPPATCH", path, `<propertyupdate xmlns="DAV:"><set><prop><`+name+` xmlns="urn:x">`+value+`</`+name+`></prop></set></propertyupdate>`)
		}
		set("d/f.txt", "colour", "<b>red</b>&amp;")
		set("d/sub", "colour", "blue")
		set("d/sub/g.txt", "colour", "green")
		set("", "colour", "root's")
		ask := `<propfind xmlns="DAV:"><prop><colour xmlns="urn:x"/><getcontentlength/><getetag/><resourcetype/></prop></propfind>`
		got := h.told("d", "1", ask)
		for _, want := range []string{
			"/dav/d/ resourcetype=<D:collection/>", "/dav/d/ colour!", "/dav/d/ getetag!",
			"/dav/d/f.txt colour=<b>red</b>&amp;", "/dav/d/f.txt getcontentlength=5", "/dav/d/f.txt resourcetype=", "/dav/d/sub/ colour=blue",
			"/dav/d/f.txt getetag=\"" + hashOfText("hello").String() + "\"",
		} {
			if !has(got, want) {
				t.Errorf("no %q in %q", want, got)
			}
		}
		if len(got) != 12 {
			t.Errorf("%d properties: %q", len(got), got)
		}
		if got := h.told("d/f.txt", "0", `<propfind xmlns="DAV:"><propname/></propfind>`); !has(got, "/dav/d/f.txt colour=") || !has(got, "/dav/d/f.txt getetag=") {
			t.Errorf("%q", got)
		}
		if got := h.told("d/f.txt", "0", ""); !has(got, "/dav/d/f.txt colour=<b>red</b>&amp;") || !has(got, "/dav/d/f.txt getcontenttype=text/plain") || !has(got, "/dav/d/f.txt creationdate=2026-03-04T12:00:00Z") {
			t.Errorf("%q", got)
		}
		// They go where the file goes, through a new content, a move, and a copy.
		h.wants(204, "PUT", "d/f.txt", "other")
		h.wants(201, "MOVE", "d", "", "Destination", "/dav/e")
		h.wants(201, "COPY", "e", "", "Destination", "/dav/c")
		h.wants(201, "COPY", "e/f.txt", "", "Destination", "/dav/f2.txt")
		h.wants(201, "COPY", "e/sub", "", "Destination", "/dav/bare", "Depth", "0")
		for path, want := range map[string]string{"e/f.txt": "<b>red</b>&amp;", "c/f.txt": "<b>red</b>&amp;", "c/sub/g.txt": "green", "f2.txt": "<b>red</b>&amp;", "bare": "blue"} {
			if got := h.told(path, "0", `<propfind xmlns="DAV:"><prop><colour xmlns="urn:x"/></prop></propfind>`); len(got) != 1 || !strings.HasSuffix(got[0], " colour="+want) {
				t.Errorf("%s: %q", path, got)
			}
		}
		// What is ours to tell is not theirs to set, and then nothing is set.
		w := h.wants(207, "PROPPATCH", "f2.txt", `<propertyupdate xmlns="DAV:"><remove><prop><colour xmlns="urn:x"/></prop></remove><set><prop><getetag>x</getetag></prop></set></propertyupdate>`)
		if s := w.Body.String(); !strings.Contains(s, "403 Forbidden") || !strings.Contains(s, "424 Failed Dependency") || !strings.Contains(s, "cannot-modify-protected-property") {
			t.Error(s)
		}
		// They are bounded.
		big := strings.Repeat("x", 40<<10)
		set("f2.txt", "big", big)
		w = h.wants(207, "PROPPATCH", "f2.txt", `<propertyupdate xmlns="DAV:"><set><prop><bigger xmlns="urn:x">`+big+`</bigger></prop></set></propertyupdate>`)
		if !strings.Contains(w.Body.String(), "507 Insufficient Storage") {
			t.Errorf("%.300s", w.Body)
		}
		h.wants(413, "PROPPATCH", "f2.txt", `<propertyupdate xmlns="DAV:"><set><prop><bigger xmlns="urn:x">`+strings.Repeat("x", 300<<10)+`</bigger></prop></set></propertyupdate>`)
		h.wants(404, "PROPPATCH", "none", `<propertyupdate xmlns="DAV:"><remove><prop><x/></prop></remove></propertyupdate>`)
		if got := h.told("f2.txt", "0", `<propfind xmlns="DAV:"><prop><colour xmlns="urn:x"/><bigger xmlns="urn:x"/></prop></propfind>`); !has(got, "/dav/f2.txt colour=<b>red</b>&amp;") || !has(got, "/dav/f2.txt bigger!") {
			t.Errorf("%q", got)
		}
		// They end with the file's row.
		for _, path := range []string{"e", "c", "f2.txt", "bare"} {
			h.wants(204, "DELETE", path, "")
		}
		if _, err := h.EmptyBin(t.Context(), h.who["ada"]); err != nil {
			t.Fatal(err)
		}
		var left int64
		if err := h.n.DB.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, `SELECT count(*) FROM files_props`).Scan(&left)
		}); err != nil || left != 1 { // the root's
			t.Errorf("%d properties are left, %v", left, err)
		}
		h.sound()
	})
}

func TestDAVFind(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		if got := h.told("", "1", prop("resourcetype", "getlastmodified")); len(got) != 2 || !has(got, "/dav/ resourcetype=<D:collection/>") { // nothing there yet
			t.Errorf("%q", got)
		}
		h.put("ada", "f.txt", "x")
		for _, depth := range []string{"infinity", ""} {
			if w := h.wants(403, "PROPFIND", "", "", "Depth", depth); !strings.Contains(w.Body.String(), "<D:propfind-finite-depth/>") {
				t.Errorf("%s", w.Body)
			}
		}
		h.wants(207, "PROPFIND", "f.txt", "", "Depth", "infinity") // a file is its own tree
		h.wants(404, "PROPFIND", "none", "", "Depth", "0")
		h.wants(400, "PROPFIND", "", "<nonsense", "Depth", "0")
		h.wants(400, "PROPFIND", "", "", "Depth", "2")
		// More than a page.
		root, err := h.Stat(t.Context(), h.who["ada"], "")
		if err != nil {
			t.Fatal(err)
		}
		if err := h.n.DB.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			for i := range mostPage + 200 {
				n := Node{ID: fmt.Sprintf("00000000-0000-7000-8000-%012d", i), Owner: root.Owner, Parent: root.ID, Name: fmt.Sprintf("folder %04d", i), Folder: true, Modified: noon, Made: noon, Version: 1}
				if _, err := h.store.insert(ctx, tx, n); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		got := h.told("", "1", prop("resourcetype"))
		for _, line := range got {
			seen[line] = true
		}
		if len(got) != mostPage+202 || len(seen) != len(got) || !seen["/dav/folder%201199/ resourcetype=<D:collection/>"] {
			t.Errorf("%d of %d", len(seen), len(got))
		}
		h.wants(207, "PROPFIND", "", "", "Depth", "1")
	})
}

func TestDAVQuota(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		if got := h.told("", "0", prop("quota-available-bytes", "quota-used-bytes")); !has(got, "/dav/ quota-used-bytes=0") || !has(got, "/dav/ quota-available-bytes=1000") {
			t.Errorf("%q", got)
		}
		h.wants(201, "PUT", "a.txt", strings.Repeat("x", 600))
		for _, chunked := range []bool{false, true} {
			body := io.Reader(strings.NewReader(strings.Repeat("y", 600)))
			if chunked {
				body = io.MultiReader(body) // its length is not known
			}
			r := httptest.NewRequest("PUT", "/dav/b.txt", body)
			r.SetBasicAuth("ada", h.tokens["ada"])
			w := httptest.NewRecorder()
			if h.http.ServeHTTP(w, r); w.Code != 507 || !strings.Contains(w.Body.String(), "<D:quota-not-exceeded/>") {
				t.Errorf("chunked %v: %d %s", chunked, w.Code, w.Body)
			}
		}
		h.wants(507, "COPY", "a.txt", "", "Destination", "/dav/b.txt")
		if got := h.told("", "1", prop("quota-available-bytes", "quota-used-bytes", "getetag")); !has(got, "/dav/ quota-used-bytes=600") || !has(got, "/dav/ quota-available-bytes=400") || !has(got, "/dav/a.txt quota-used-bytes!") {
			t.Errorf("%q", got)
		}
		if got := strings.Join(h.told("", "0", ""), "\n"); strings.Contains(got, "quota") {
			t.Errorf("told unasked: %s", got)
		}
		if got := h.names("ada", ""); got != "a.txt" {
			t.Errorf("%q", got)
		}
		h.sound()
	}, func(up *setup) { up.files.Quota = 1000 })
}

// full is a bucket whose disk is full.
type full struct{ bucket.Bucket }

func (full) Put(context.Context, string, io.Reader, int64, bucket.PutOptions) error {
	return errs.Wrap(errs.Busy, errs.ErrFull, "the disk is full")
}

func TestDAVFullDisk(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		h.wants(507, "PUT", "large.bin", strings.Repeat("0123456789abcdef", 40<<10))
		h.wants(404, "GET", "large.bin", "")
		h.wants(201, "PUT", "small.txt", "lies in the database")
		h.sound()
	}, func(up *setup) {
		folder, err := bucket.Folder(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		up.blobs = full{folder}
	})
}

// An upload of unknown length and a download stream through a real server, and what
// breaks off leaves nothing.
func TestDAVStreams(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		srv := httptest.NewServer(h.http)
		defer srv.Close()
		send := func(body io.Reader) (int, error) {
			r, err := http.NewRequest("PUT", srv.URL+"/dav/big.bin", body)
			if err != nil {
				t.Fatal(err)
			}
			r.SetBasicAuth("ada", h.tokens["ada"])
			r.Header.Set("Expect", "100-continue")
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				return 0, err
			}
			resp.Body.Close()
			return resp.StatusCode, nil
		}
		const size = 5 << 20
		cut, w := io.Pipe()
		go func() {
			io.CopyN(w, &counter{}, size/2)
			w.CloseWithError(fmt.Errorf("the sender went away"))
		}()
		if _, err := send(cut); err == nil {
			t.Error("half an upload was answered")
		}
		if got := h.names("ada", ""); got != "" {
			t.Errorf("half an upload is there: %q", got)
		}
		if status, err := send(io.LimitReader(&counter{}, size)); status != 201 || err != nil {
			t.Fatal(status, err)
		}
		r, _ := http.NewRequest("GET", srv.URL+"/dav/big.bin", nil)
		r.SetBasicAuth("ada", h.tokens["ada"])
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		want := &counter{}
		got, err := io.ReadAll(resp.Body)
		all := make([]byte, size)
		io.ReadFull(want, all)
		if err != nil || string(got) != string(all) {
			t.Errorf("%d bytes came back, %v", len(got), err)
		}
		h.sound()
	})
}

// counter gives bytes that do not repeat soon.
type counter struct{ n uint32 }

func (c *counter) Read(b []byte) (int, error) {
	for i := range b {
		c.n = c.n*1664525 + 1013904223
		b[i] = byte(c.n >> 24)
	}
	return len(b), nil
}
