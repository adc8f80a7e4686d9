package files

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"
	"testing"
	"time"

	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

const contentURL = apiRoot + "/content/"

func TestContentsComeAndGo(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		big := make([]byte, 700<<10)
		rand.Read(big)
		w := h.call("PUT", contentURL+"a/one.bin", "ada", big)
		if w.Code != 201 || !strings.HasPrefix(w.Header().Get("Location"), contentURL+"@") {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		tag := w.Header().Get("ETag")
		if w = h.call("PUT", contentURL+"a/one.bin", "ada", big, "If-Match", tag); w.Code != 200 {
			t.Errorf("again: %d", w.Code)
		}
		problem(t, h.call("PUT", contentURL+"a/one.bin", "ada", "x", "If-None-Match", "*"), 412, "If-None-Match")
		problem(t, h.call("PUT", contentURL+"a", "ada", "x"), 409, "folder")
		problem(t, h.call("PUT", contentURL+"a/one.bin/below", "ada", "x"), 409, "file")
		problem(t, h.call("PUT", contentURL+"b", "ada", "x", "Content-Range", "bytes 0-0/2"), 400, "part")
		for _, c := range []struct {
			headers []string
			status  int
			want    []byte
		}{
			{nil, 200, big},
			{[]string{"If-None-Match", tag}, 304, nil},
			{[]string{"If-Match", `"other"`}, 412, nil},
			{[]string{"Range", "bytes=300000-300099"}, 206, big[300000:300100]},
			{[]string{"Range", "bytes=-5"}, 206, big[len(big)-5:]},
			{[]string{"Range", "bytes=700000-"}, 206, big[700000:]},
			{[]string{"Range", "bytes=99999999-"}, 416, nil},
			{[]string{"Range", "bytes=1-2", "If-Range", tag}, 206, big[1:3]},
			{[]string{"Range", "bytes=1-2", "If-Range", `"other"`}, 200, big},
			{[]string{"If-Modified-Since", h.clock.Now().Add(time.Hour).Format("Mon, 02 Jan 2006 15:04:05 GMT")}, 304, nil},
		} {
			w := h.call("GET", contentURL+"a/one.bin", "ada", nil, c.headers...)
			if w.Code != c.status || c.want != nil && !bytes.Equal(w.Body.Bytes(), c.want) {
				t.Errorf("%q: %d with %d bytes, want %d with %d", c.headers, w.Code, w.Body.Len(), c.status, len(c.want))
			}
			if w.Code == 200 && (w.Header().Get("ETag") != tag || w.Header().Get("Accept-Ranges") != "bytes") {
				t.Errorf("%q: %v", c.headers, w.Header())
			}
		}
		w = h.call("GET", contentURL+"a/one.bin", "ada", nil, "Range", "bytes=0-9,1000-1009")
		_, params, _ := mime.ParseMediaType(w.Header().Get("Content-Type"))
		parts := multipart.NewReader(w.Body, params["boundary"])
		for _, at := range []int{0, 1000} {
			part, err := parts.NextPart()
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := io.ReadAll(part); w.Code != 206 || !bytes.Equal(got, big[at:at+10]) {
				t.Errorf("the part from %d: %d, %x", at, w.Code, got)
			}
		}
		if w = h.call("HEAD", contentURL+"a/one.bin", "ada", nil); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != fmt.Sprint(len(big)) {
			t.Errorf("HEAD: %d, %v", w.Code, w.Header())
		}
		if w = h.call("DELETE", contentURL+"a/one.bin", "ada", nil); w.Code != 204 {
			t.Errorf("DELETE: %d %s", w.Code, w.Body)
		}
		problem(t, h.call("GET", contentURL+"a/one.bin", "ada", nil), 404, "")
		problem(t, h.call("GET", contentURL+"a", "ada", nil), 409, "folder")
		problem(t, h.call("GET", contentURL+"a", "", nil), 401, "")
		h.sound()
	})
}

// What a person stored must not run in the console's name.
func TestContentsAreServedAsSomebodysOwn(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		for name, want := range map[string]struct{ kind, how string }{
			"page.html":        {"text/html; charset=utf-8", "attachment"},
			"image.svg":        {"image/svg+xml", "attachment"},
			"notes.txt":        {"text/plain; charset=utf-8", "inline"},
			"photo.jpg":        {"image/jpeg", "inline"},
			"unknown.xyz":      {"text/plain; charset=utf-8", "inline"},
			"ünï \"файл\".txt": {"text/plain; charset=utf-8", `inline; filename="_n_ ______.txt"`},
		} {
			if w := h.call("PUT", contentURL+url.PathEscape(name), "ada", "<script>alert(1)</script>"); w.Code != 201 {
				t.Fatalf("%s: %d %s", name, w.Code, w.Body)
			}
			hd := h.call("GET", contentURL+url.PathEscape(name), "ada", nil).Header()
			if hd.Get("Content-Type") != want.kind || !strings.HasPrefix(hd.Get("Content-Disposition"), want.how) ||
				!strings.Contains(hd.Get("Content-Security-Policy"), "sandbox; default-src 'none'") || hd.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %v", name, hd)
			}
			_, params, err := mime.ParseMediaType(hd.Get("Content-Disposition"))
			if err != nil || name != "ünï \"файл\".txt" && params["filename"] != name {
				t.Errorf("%s: %v %v", name, params, err)
			}
		}
		if d := disposition("inline", "ünï 'x'.txt"); d != `inline; filename="_n_ 'x'.txt"; filename*=UTF-8''%C3%BCn%C3%AF%20%27x%27.txt` {
			t.Error(d)
		}
		if d := h.call("GET", contentURL+"notes.txt?download=1", "ada", nil).Header().Get("Content-Disposition"); !strings.HasPrefix(d, "attachment") {
			t.Error(d)
		}
	})
}

func TestHostilePathsAreRefused(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		for path, says := range map[string]string{
			"a/%00b": "control", "a/%0Ab": "control", "%ff%fe": "UTF-8", "a/%C0%AE%C0%AE/b": "UTF-8", "a/%2e%2e/x": "not a name", "..%2f..%2fx": "not a name",
			strings.Repeat("x", 256): "255 bytes", strings.Repeat("x/", 65) + "x": "64 deep", strings.Repeat("x", 5000): "4096", "a//b": "", "%E2%80%AEtxt.exe": "control",
			"a/@0193b0f2-1111-7111-8111-111111111111": "stands for",
		} {
			w := h.call("PUT", contentURL+path, "ada", "x")
			if w.Code/100 == 3 {
				continue // the mux's own cleaning
			}
			problem(t, w, 400, says)
		}
		problem(t, h.call("PUT", contentURL, "ada", "x"), 400, "needs a name")
		for path, status := range map[string]int{"@0193b0f2-1111-7111-8111-111111111111": 404, "@x/y": 201, "%25%32e": 201, "a%5Cb": 201} {
			if w := h.call("PUT", contentURL+path, "ada", "x"); w.Code != status {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
		if got := h.names("ada", ""); got != "%2e @x/ a\\b" {
			t.Errorf("the root holds %q", got)
		}
		h.put("ada", "u\u0308", "decomposed")
		if got := h.text("ada", "ü"); got != "decomposed" {
			t.Errorf("a name in the other form: %q", got)
		}
	})
}

func TestTheAPIGoesThrough(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		get[nodeOut](h, 201, "POST", apiRoot+"/folders/docs", "ada", nil)
		problem(t, h.call("POST", apiRoot+"/folders/docs", "ada", nil), 409, "already")
		get[nodeOut](h, 201, "POST", apiRoot+"/folders/docs/x/y?parents=true", "ada", nil)
		h.put("ada", "docs/a.txt", "hello")
		if root := get[nodesOut](h, 200, "GET", apiRoot+"/list/", "ada", nil); len(root.Nodes) != 1 || root.Nodes[0].Name != "docs" {
			t.Errorf("%+v", root)
		}
		got := get[nodesOut](h, 200, "GET", apiRoot+"/list/docs?limit=1", "ada", nil)
		if len(got.Nodes) != 1 || got.Nodes[0].Name != "a.txt" || got.Next == "" {
			t.Fatalf("%+v", got)
		}
		if got = get[nodesOut](h, 200, "GET", apiRoot+"/list/docs?limit=1&cursor="+url.QueryEscape(got.Next), "ada", nil); len(got.Nodes) != 1 || got.Nodes[0].Kind != "folder" || got.Next != "" {
			t.Fatalf("%+v", got)
		}
		moved := get[nodeOut](h, 200, "POST", apiRoot+"/move", "ada", map[string]any{"from": "docs/a.txt", "to": "docs/b.txt"})
		copied := get[nodeOut](h, 201, "POST", apiRoot+"/copy", "ada", map[string]any{"from": "docs", "to": "papers"})
		if moved.Name != "b.txt" || copied.Name != "papers" || h.text("ada", "papers/b.txt") != "hello" {
			t.Errorf("%+v %+v", moved, copied)
		}
		stat := get[statOut](h, 200, "GET", apiRoot+"/stat/papers/x/y", "ada", nil)
		if len(stat.Way) != 4 || stat.Way[0].Name != "" || stat.Way[3].Name != "y" || stat.Rights != "own" {
			t.Errorf("%+v", stat)
		}
		h.put("ada", "docs/b.txt", "hello again")
		versions := get[versionsOut](h, 200, "GET", apiRoot+"/versions/docs/b.txt", "ada", nil)
		if len(versions.Versions) != 1 || versions.Versions[0].Size != 5 {
			t.Errorf("%+v", versions)
		}
		if w := h.call("GET", contentURL+"docs/b.txt?version=1", "ada", nil); w.Body.String() != "hello" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		get[nodeOut](h, 200, "POST", apiRoot+"/revert", "ada", map[string]any{"path": "docs/b.txt", "version": 1})
		instant := map[string]any{"path": "same.txt", "sha256": hashOfText("hello").String(), "size": 5}
		get[nodeOut](h, 201, "POST", apiRoot+"/instant", "ada", instant)
		problem(t, h.call("POST", apiRoot+"/instant", "bob", instant), 404, "send it")
		if w := h.call("DELETE", contentURL+"same.txt", "ada", nil); w.Code != 204 {
			t.Errorf("%d", w.Code)
		}
		bin := get[nodesOut](h, 200, "GET", apiRoot+"/bin", "ada", nil)
		if len(bin.Nodes) != 1 || bin.Nodes[0].Binned == nil {
			t.Fatalf("%+v", bin)
		}
		get[nodeOut](h, 200, "POST", apiRoot+"/bin/"+bin.Nodes[0].ID+"/restore", "ada", nil)
		get[struct{}](h, 204, "DELETE", contentURL+"same.txt", "ada", nil)
		get[struct{}](h, 204, "DELETE", apiRoot+"/bin/"+bin.Nodes[0].ID, "ada", nil)
		get[emptiedOut](h, 200, "DELETE", apiRoot+"/bin", "ada", nil)
		if found := get[nodesOut](h, 200, "GET", apiRoot+"/search?q=PAP", "ada", nil); len(found.Nodes) != 1 {
			t.Errorf("%+v", found)
		}
		quota := get[quotaOut](h, 200, "GET", apiRoot+"/quota", "ada", nil)
		mine := get[map[string]any](h, 200, "GET", apiRoot+"/stats", "ada", nil)
		all := get[statsOut](h, 200, "GET", apiRoot+"/stats", "boss", nil)
		if float64(quota.Used) != mine["logical_bytes"] || mine["stored_bytes"] != nil || mine["saved"] != nil || all.Stored == nil || *all.Stored == 0 || all.Saved == nil || all.Saved.SameFile == 0 {
			t.Errorf("%+v %+v %+v", quota, mine, all)
		}
		h.sound()
	})
}

// A request that comes again with its key does nothing more.
func TestRepeatedRequests(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		h.put("ada", "a", "x")
		body := map[string]any{"path": "a", "downloads": 3}
		first := get[linkOut](h, 201, "POST", apiRoot+"/links", "ada", body, "Idempotency-Key", "k")
		again := get[linkOut](h, 201, "POST", apiRoot+"/links", "ada", body, "Idempotency-Key", "k")
		if first.Token == "" || first.Token != again.Token || first.Link != "http://plumb.test/f/"+first.Token {
			t.Errorf("%+v, %+v", first, again)
		}
		problem(t, h.call("POST", apiRoot+"/links", "ada", map[string]any{"path": "a", "downloads": 4}, "Idempotency-Key", "k"), 409, "key")
		move := map[string]any{"from": "a", "to": "b"}
		get[nodeOut](h, 200, "POST", apiRoot+"/move", "ada", move, "Idempotency-Key", "m")
		get[nodeOut](h, 200, "POST", apiRoot+"/move", "ada", move, "Idempotency-Key", "m")
		problem(t, h.call("POST", apiRoot+"/move", "ada", move), 404, "")
		h.put("ada", "d/f", "y")
		copies := map[string]any{"from": "d", "to": "e"}
		one := get[nodeOut](h, 201, "POST", apiRoot+"/copy", "ada", copies, "Idempotency-Key", "c")
		if err := h.Remove(t.Context(), h.who["ada"], "e"); err != nil {
			t.Fatal(err)
		}
		two := get[nodeOut](h, 201, "POST", apiRoot+"/copy", "ada", copies, "Idempotency-Key", "c")
		if one.ID != two.ID || h.names("ada", "") != "b d/" {
			t.Errorf("%+v %+v %s", one, two, h.names("ada", ""))
		}
		h.sound()
	})
}

func TestFoldersAsZip(t *testing.T) {
	t.Parallel()
	one(t, func(t *testing.T, h *house) {
		want := map[string]string{"f/ünï/日本語 файл.txt": "hello", "f/a": "", "f/b/c/d": "deep"}
		for i := range 450 {
			want[fmt.Sprintf("f/many/%03d", i)] = fmt.Sprint(i)
		}
		for path, text := range want {
			h.put("ada", path, text)
		}
		h.put("ada", "f/bad", "taken down")
		if err := h.Block(t.Context(), h.who["boss"], hashOfText("taken down"), "test"); err != nil {
			t.Fatal(err)
		}
		w := h.call("GET", apiRoot+"/zip/f", "ada", nil)
		z, err := zip.NewReader(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len()))
		if err != nil || !strings.Contains(w.Header().Get("Content-Disposition"), `"f.zip"`) {
			t.Fatalf("%d %v %v", w.Code, w.Header(), err)
		}
		for _, f := range z.File {
			if strings.HasSuffix(f.Name, "/") {
				continue
			}
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if text, ok := want["f/"+f.Name]; !ok || string(got) != text || err != nil || f.NonUTF8 {
				t.Errorf("%s: %q, %v", f.Name, got, err)
			}
			delete(want, "f/"+f.Name)
		}
		if len(want) > 0 {
			t.Errorf("%d files lack", len(want))
		}
		problem(t, h.call("GET", apiRoot+"/zip/f/a", "ada", nil), 409, "file")
		problem(t, h.call("GET", apiRoot+"/zip/@"+mustStat(h, "ada", "f").ID, "bob", nil), 404, "")
		if w := h.call("GET", apiRoot+"/zip/", "ada", nil); w.Code != 200 || !strings.Contains(w.Header().Get("Content-Disposition"), `"files.zip"`) {
			t.Errorf("a whole tree: %d %v", w.Code, w.Header())
		}
	})
}

func TestLinksOpenForThoseWithoutAnAccount(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		h.put("ada", "d/sub/f.txt", "linked")
		h.put("ada", "secret", "not linked")
		link := func(body map[string]any) linkOut {
			t.Helper()
			h.clock.Advance(time.Second)
			return get[linkOut](h, 201, "POST", apiRoot+"/links", "ada", body)
		}
		file := link(map[string]any{"path": "d/sub/f.txt", "downloads": 2})
		if w := h.call("HEAD", "/f/"+file.Token, "", nil); w.Code != 200 {
			t.Errorf("HEAD: %d", w.Code)
		}
		for range 2 {
			w := h.call("GET", "/f/"+file.Token, "", nil, "Range", "bytes=0-1")
			if w.Code != 200 || w.Body.String() != "linked" || w.Header().Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		}
		problem(t, h.call("GET", "/f/"+file.Token, "", nil), 404, "no longer")
		folder := link(map[string]any{"path": "d", "expires_in_s": 3600})
		list := get[nodesOut](h, 200, "GET", "/f/"+folder.Token, "", nil)
		if len(list.Nodes) != 1 || list.Nodes[0].Name != "sub" || list.Nodes[0].Owner != "" {
			t.Errorf("%+v", list)
		}
		if w := h.call("GET", "/f/"+folder.Token+"/sub/f.txt", "", nil, "Range", "bytes=0-1"); w.Code != 206 || w.Body.String() != "li" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w := h.call("GET", "/f/"+folder.Token+"?zip=1", "", nil); w.Code != 200 || !bytes.HasPrefix(w.Body.Bytes(), []byte("PK")) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		problem(t, h.call("GET", "/f/"+folder.Token+"/sub/none", "", nil), 404, "")
		problem(t, h.call("GET", "/f/"+folder.Token+"/%2e%2e/secret", "", nil), 400, "")
		closed := link(map[string]any{"path": "d/sub/f.txt", "password": "open sesame"})
		w := h.call("GET", "/f/"+closed.Token, "", nil)
		problem(t, w, 401, "password")
		if !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic") {
			t.Error(w.Header())
		}
		if w := h.call("GET", "/f/"+closed.Token, "", nil, "Authorization", "Basic "+basicAuth("any", "open sesame")); w.Body.String() != "linked" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		problem(t, h.call("GET", "/f/"+closed.Token, "", nil, "Authorization", "Basic "+basicAuth("any", "wrong")), 401, "wrong")
		if l := get[linksOut](h, 200, "GET", apiRoot+"/links?path=d/sub/f.txt", "ada", nil); len(l.Links) != 2 || l.Links[1].Used != 2 || l.Links[0].Token != "" {
			t.Errorf("%+v", l)
		}
		problem(t, h.call("DELETE", apiRoot+"/links/"+folder.ID, "bob", nil), 404, "")
		get[struct{}](h, 204, "DELETE", apiRoot+"/links/"+folder.ID, "ada", nil)
		problem(t, h.call("GET", "/f/"+folder.Token, "", nil), 404, "")
		// In the bin a linked file is not to be had, back from it it is; gone, it is gone.
		again := link(map[string]any{"path": "d/sub/f.txt"})
		id := again.Target
		if err := h.Remove(t.Context(), h.who["ada"], "d/sub/f.txt"); err != nil {
			t.Fatal(err)
		}
		problem(t, h.call("GET", "/f/"+again.Token, "", nil), 404, "")
		if _, err := h.Restore(t.Context(), h.who["ada"], id, ""); err != nil {
			t.Fatal(err)
		}
		if w := h.call("GET", "/f/"+again.Token, "", nil); w.Code != 200 {
			t.Errorf("restored: %d", w.Code)
		}
		h.clock.Advance(2 * time.Hour)
		problem(t, h.call("POST", apiRoot+"/links", "ada", map[string]any{"path": "d", "expires_at": h.clock.Now().Add(-time.Minute)}), 422, "over")
	})
}

func TestWhatIsTakenDownStaysDown(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		n := h.put("ada", "pub/bad.txt", "bad words")
		h.put("bob", "copy.txt", "bad words")
		get[nodeOut](h, 200, "POST", apiRoot+"/publish", "ada", map[string]any{"path": "pub", "public": true})
		link := get[linkOut](h, 201, "POST", apiRoot+"/links", "ada", map[string]any{"path": "pub/bad.txt"})
		at := contentURL + "@" + n.ID
		if w := h.call("GET", at, "", nil); w.Code != 200 {
			t.Fatalf("public: %d", w.Code)
		}
		flag := get[flagOut](h, 201, "POST", apiRoot+"/flags", "", map[string]any{"path": "@" + n.ID, "reason": "it is bad"})
		h.clock.Advance(time.Second)
		get[flagOut](h, 201, "POST", apiRoot+"/flags", "", map[string]any{"link": link.Token, "reason": "so it is"})
		problem(t, h.call("GET", apiRoot+"/flags", "ada", nil), 403, "")
		if l := get[flagsOut](h, 200, "GET", apiRoot+"/flags", "boss", nil); len(l.Flags) != 2 || l.Flags[1].ID != flag.ID || l.Flags[1].SHA256 != n.Hash.String() {
			t.Errorf("%+v", l)
		}
		get[struct{}](h, 204, "PUT", apiRoot+"/blocked/"+n.Hash.String(), "boss", map[string]any{"reason": "the law"})
		problem(t, h.call("PUT", apiRoot+"/blocked/"+n.Hash.String(), "ada", map[string]any{"reason": "no"}), 403, "")
		for who, path := range map[string]string{"ada": at, "": at, "eve": at, "bob": contentURL + "copy.txt", "boss": "/f/" + link.Token} {
			problem(t, h.call("GET", path, who, nil), 451, "taken down")
		}
		problem(t, h.call("PUT", contentURL+"new.txt", "eve", "bad words"), 451, "taken down")
		problem(t, h.call("POST", apiRoot+"/copy", "ada", map[string]any{"from": "pub/bad.txt", "to": "x"}), 451, "")
		if l := get[flagsOut](h, 200, "GET", apiRoot+"/flags?state=blocked", "boss", nil); len(l.Flags) != 2 {
			t.Errorf("%+v", l)
		}
		if l := get[blockedOut](h, 200, "GET", apiRoot+"/blocked", "boss", nil); len(l.Blocked) != 1 || l.Blocked[0].Reason != "the law" {
			t.Errorf("%+v", l)
		}
		get[struct{}](h, 204, "DELETE", apiRoot+"/blocked/"+n.Hash.String(), "boss", nil)
		if w := h.call("GET", at, "", nil); w.Code != 200 {
			t.Errorf("undone: %d", w.Code)
		}
	})
}

func TestOperatorsKeepTheStore(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		h.put("ada", "f", "x")
		if err := h.Remove(t.Context(), h.who["ada"], "f"); err != nil {
			t.Fatal(err)
		}
		if _, err := h.EmptyBin(t.Context(), h.who["ada"]); err != nil {
			t.Fatal(err)
		}
		problem(t, h.call("POST", apiRoot+"/collect", "ada", nil), 403, "")
		get[collectOut](h, 200, "POST", apiRoot+"/collect", "boss", nil)
		w := h.call("POST", apiRoot+"/scrub", "boss", nil)
		lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
		var last scrubOut
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || w.Code != 200 || last.Bad != 0 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		get[rekeyOut](h, 200, "POST", apiRoot+"/rekey", "boss", nil)
	})
}

// What one owner keeps nobody else can tell from the totals that they see.
func TestTotalsTellNothingOfOthers(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := open(t, db)
		h.put("ada", "f", "the same")
		before := h.call("GET", apiRoot+"/stats", "bob", nil).Body.String()
		h.put("eve", "g", "the same")
		if after := h.call("GET", apiRoot+"/stats", "bob", nil).Body.String(); after != before {
			t.Errorf("%s then %s", before, after)
		}
	})
}
