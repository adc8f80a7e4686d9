package files

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/sqldb"
)

// What the hostile and the clumsy send.

// A cursor is told to whoever asks: it must not tell the names that they may not see.
func TestASearchsCursorNamesNothingHidden(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		open := h.put("ada", "open/zebra and secret.txt", "for all")
		if _, err := h.Publish(ctx, h.who["ada"], "open", true); err != nil {
			t.Fatal(err)
		}
		hidden := h.put("ada", "hidden/first.txt", "for nobody")
		var names []string
		for i := range mostLooked + 100 {
			names = append(names, fmt.Sprintf("secret%05d", i))
		}
		for len(names) > 0 {
			some := names[:min(500, len(names))]
			names = names[len(some):]
			if err := h.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				for _, name := range some {
					n := Node{ID: ids.New(h.clock.Now()), Owner: hidden.Owner, Parent: hidden.Parent, Name: name, Folder: true, Version: 1}
					if _, err := h.store.insert(ctx, tx, n); err != nil {
						return err
					}
					if err := h.store.index(ctx, tx, n, false); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		for _, asked := range []string{"secre", "zeb"} {
			var found []string
			for cursor := ""; ; {
				list, next, err := h.Search(ctx, Person{}, asked, cursor, 1)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range list {
					found = append(found, f.ID)
				}
				told, err := base64.RawURLEncoding.DecodeString(next)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(told), "secret0") {
					t.Errorf("a stranger is told %q", told)
				}
				if cursor = next; next == "" {
					break
				}
			}
			if len(found) != 1 || found[0] != open.ID {
				t.Errorf("%s: %q, want %s alone", asked, found, open.ID)
			}
		}
		own := 0
		for cursor := ""; ; {
			list, next, err := h.Search(ctx, h.who["ada"], "secret", cursor, 300)
			if err != nil {
				t.Fatal(err)
			}
			own += len(list)
			if cursor = next; next == "" {
				break
			}
		}
		if own != mostLooked+101 {
			t.Errorf("their owner finds %d of %d", own, mostLooked+101)
		}
	})
}

// A path that begins at a node says nothing about how deep that lies.
func TestDepthIsCountedFromTheRoot(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx, ada := t.Context(), h.who["ada"]
		deep := strings.TrimSuffix(strings.Repeat("d/", MaxDepth), "/")
		h.put("ada", deep+"/at the bottom.txt", "x")
		if got := h.text("ada", deep+"/at the bottom.txt"); got != "x" {
			t.Error(got)
		}
		bottom := mustStat(h, "ada", deep)
		_, err := h.Mkdir(ctx, ada, "@"+bottom.ID+"/one more", false)
		kind(t, "a folder below the deepest", err, errs.Invalid)
		_, err = h.Mkdir(ctx, ada, "@"+bottom.ID+"/one/more", true)
		kind(t, "two", err, errs.Invalid)
		_, _, err = h.Write(ctx, ada, "@"+bottom.ID+"/one/more.txt", strings.NewReader("x"), WriteOptions{Size: 1})
		kind(t, "a file's folder", err, errs.Invalid)
		_, err = h.Mkdir(ctx, ada, deep+"/x", false)
		kind(t, "by its path", err, errs.Invalid)

		// What lies in the bin moves with the folders above it.
		if _, err := h.Mkdir(ctx, ada, "top/mid/"+strings.Repeat("e/", 40)+"e", true); err != nil {
			t.Fatal(err)
		}
		mid := mustStat(h, "ada", "top/mid")
		if err := h.Remove(ctx, ada, "top/mid"); err != nil {
			t.Fatal(err)
		}
		if err := h.Move(ctx, ada, "top", strings.Repeat("d/", 40)+"top", false); err != nil {
			t.Fatal(err)
		}
		_, err = h.Restore(ctx, ada, mid.ID, "")
		kind(t, "restored too deep", err, errs.Invalid)
		if _, err := h.Restore(ctx, ada, mid.ID, "mid"); err != nil {
			t.Error(err)
		}
	})
}

// A backslash is a letter in a name, and a way out of the folder on Windows.
func TestAZipStaysInItsFolder(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		for _, name := range []string{`..\..\out.txt`, `C:out.txt`, `sub\..\x/..\y.txt`, "10:30.txt"} {
			h.put("ada", "f/"+name, "x")
		}
		w := h.call("GET", apiRoot+"/zip/f", "ada", nil)
		z, err := zip.NewReader(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len()))
		if err != nil {
			t.Fatal(err) // zip.ErrInsecurePath
		}
		var names []string
		for _, f := range z.File {
			names = append(names, f.Name)
		}
		if got, want := strings.Join(names, " "), `.._.._out.txt 10:30.txt C_out.txt sub_.._x/ sub_.._x/.._y.txt`; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

func TestOddRanges(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		h.put("ada", "a.txt", "0123456789")
		for _, c := range []struct {
			asked  string
			status int
		}{
			{"chars=0-1", 200}, {"bytes=-0", 416}, {"bytes=10-", 416}, {"bytes=0-0", 206}, {"bytes=-1", 206}, {"bytes=x", 416},
			{"bytes=" + strings.Repeat("0-0,", 199) + "1-1", 206}, {"bytes=" + strings.Repeat("0-0,", 200) + "1-1", 200},
		} {
			status := c.status
			if strings.Contains(c.asked, ",") && status == 206 {
				status = 200 // they overlap: more bytes than there are
			}
			w := h.call("GET", apiRoot+"/content/a.txt", "ada", nil, "Range", c.asked)
			if w.Code != status || status == 200 && w.Body.String() != "0123456789" {
				t.Errorf("%.20s: %d %s", c.asked, w.Code, w.Body)
			}
		}
		h.put("ada", "long.txt", strings.Repeat("0123456789", 1000))
		several := func(n int) int {
			var b strings.Builder
			for i := range n {
				fmt.Fprintf(&b, ",%d-%d", 2*i, 2*i)
			}
			return h.call("GET", apiRoot+"/content/long.txt", "ada", nil, "Range", "bytes="+b.String()[1:]).Code
		}
		if few, many := several(mostRanges), several(mostRanges+1); few != http.StatusPartialContent || many != http.StatusOK {
			t.Error(few, many)
		}
	})
}

// Bytes that are no text are the asker's fault on either database, wherever they stand.
func TestBytesThatAreNoText(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.put("ada", "a.txt", "x")
		n := mustStat(h, "ada", "a.txt")
		for _, bad := range []string{"%00", "a%00b", "%ff%fe", "1.%00", "f/0/%00", "f/0/%ff", url.QueryEscape(base64.RawURLEncoding.EncodeToString([]byte(n.Owner + "\x00\xff\x00\x00" + "0")))} {
			for _, path := range []string{"/list/?cursor=", "/bin?cursor=", "/search?q=a&cursor=", "/public?cursor=", "/shared?cursor=", "/links?cursor=", "/links?path=", "/versions/a.txt?cursor=",
				"/search?q=a", "/flags?cursor=", "/flags?state=", "/blocked?cursor=", "/stat/", "/content/", "/list/"} {
				if w := h.call("GET", apiRoot+path+bad, "boss", nil); w.Code >= 500 {
					t.Errorf("GET %s%s: %d %s", path, bad, w.Code, w.Body)
				}
			}
			for _, c := range []struct{ method, path string }{{"POST", "/bin/X/restore"}, {"DELETE", "/bin/X"}, {"DELETE", "/links/X"}, {"POST", "/flags/X/dismiss"}, {"DELETE", "/shares?path=a.txt&person=X"}, {"DELETE", "/blocked/X"}, {"GET", "/tus/X"}, {"DELETE", "/tus/X"}} {
				path := strings.Replace(c.path, "X", strings.ReplaceAll(bad, "/", "%2F"), 1)
				if w := h.call(c.method, apiRoot+path, "boss", nil, "Tus-Resumable", "1.0.0"); w.Code >= 500 {
					t.Errorf("%s %s: %d %s", c.method, path, w.Code, w.Body)
				}
			}
			for _, path := range []string{"/files/?cursor=", "/files/n/" + n.ID + "?cursor=", "/files/bin?cursor=", "/files/shared?cursor=", "/files/library?cursor=", "/files/search?find=a&cursor=", "/files/flags?cursor=", "/files/place?node=" + n.ID + "&cursor=", "/f/", "/files/n/"} {
				name := "boss"
				if strings.Contains(path, n.ID) {
					name = "ada"
				}
				if w := page1(h, path+bad, name); w.Code >= 500 {
					t.Errorf("GET %s%s: %d", path, bad, w.Code)
				}
			}
		}
		for _, bad := range []string{"a\x00b", "\x00"} {
			for path, body := range map[string]map[string]any{
				"/shares": {"path": "a.txt", "person": bad, "rights": "read"}, "/links": {"path": "a.txt", "password": bad}, "/flags": {"path": "a.txt", "reason": bad},
				"/move": {"from": "a.txt", "to": bad}, "/folders/x": nil,
			} {
				if body == nil {
					continue
				}
				if w := h.call("POST", apiRoot+path, "ada", body); w.Code >= 500 {
					t.Errorf("POST %s: %d %s", path, w.Code, w.Body)
				}
			}
			if w := h.call("PUT", apiRoot+"/quota/"+url.PathEscape(bad), "boss", map[string]any{"limit_bytes": 0}); w.Code >= 500 {
				t.Errorf("PUT quota: %d %s", w.Code, w.Body)
			}
			if w := h.call("PUT", apiRoot+"/blocked/"+strings.Repeat("0", 64), "boss", map[string]any{"reason": bad}); w.Code >= 500 {
				t.Errorf("PUT blocked: %d %s", w.Code, w.Body)
			}
		}
	})
}

// How much an owner keeps is theirs to know, also where others may write.
func TestAWriterIsNotToldTheOwnersQuota(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		ctx, bob := t.Context(), h.who["bob"]
		h.put("ada", "d/a.txt", strings.Repeat("a", 4000))
		d := mustStat(h, "ada", "d")
		if _, err := h.Share(ctx, h.who["ada"], "d", "bob", Write); err != nil {
			t.Fatal(err)
		}
		h.put("bob", "many/own.txt", strings.Repeat("b", 4000))
		if _, err := h.SetQuota(ctx, h.who["boss"], "ada", 5000); err != nil {
			t.Fatal(err)
		}
		long := strings.Repeat("c", 3000)
		_, _, known := h.Write(ctx, bob, "@"+d.ID+"/b.txt", strings.NewReader(long), WriteOptions{Size: 3000})
		_, _, unknown := h.Write(ctx, bob, "@"+d.ID+"/b.txt", strings.NewReader(long), WriteOptions{Size: -1})
		_, _, replaced := h.Write(ctx, bob, "@"+d.ID+"/a.txt", strings.NewReader(long), WriteOptions{Size: -1})
		for what, err := range map[string]error{"a length": known, "none": unknown, "a file replaced": replaced,
			"a copy": h.Copy(ctx, bob, "many/own.txt", "@"+d.ID+"/c.txt", false), "a folder": h.Copy(ctx, bob, "many", "@"+d.ID+"/many", false)} {
			kind(t, what, err, errs.TooLarge)
			if text := errs.Message(err); strings.ContainsAny(text, "0123456789") {
				t.Errorf("%s: a writer is told %q", what, text)
			}
		}
		_, _, err := h.Write(ctx, h.who["ada"], "d/b.txt", strings.NewReader(long), WriteOptions{Size: 3000})
		if text := errs.Message(err); !strings.Contains(text, "1000 B") {
			t.Errorf("the owner is told %q", text)
		}
	})
}

// Pages may load scripts and styles from their own server: none that somebody put there.
func TestNoScriptOfSomebodys(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		for name, said := range map[string]string{"a.js": "", "b.mjs": "", "c.css": "", "d": "application/x-ecmascript", "e": "text/livescript", "f": "application/javascript; x=y"} {
			if w := h.call("PUT", apiRoot+"/content/"+name, "ada", "alert(1)", "Content-Type", said); w.Code != 201 {
				t.Fatal(w.Code, w.Body)
			}
			w := h.call("GET", apiRoot+"/content/"+name, "ada", nil)
			if got := w.Header().Get("Content-Type"); got != "text/plain; charset=utf-8" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s, %s: sent as %s", name, said, got)
			}
		}
	})
}

// What a crash left of a copy counts for nobody once the process is another.
func TestHalfACopyEndsWithItsProcess(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		h.put("ada", "d/a.txt", "a text")
		from := mustStat(h, "ada", "d")
		hidden := Node{ID: ids.New(h.clock.Now()), Owner: from.Owner, Name: "copy", Folder: true, Version: 1, gone: h.clock.Now().UnixMicro()}
		if err := h.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := h.store.insert(ctx, tx, hidden)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := h.copyBelow(ctx, from, hidden); err != nil {
			t.Fatal(err)
		}
		files := func() int64 {
			u, err := h.Quota(ctx, h.who["ada"])
			if err != nil {
				t.Fatal(err)
			}
			return u.Files
		}
		if err := h.expire(ctx); err != nil || files() != 2 {
			t.Errorf("a copy that is under way has %d files, %v", files(), err)
		}
		h.clock.Advance(time.Second)
		again, err := New(ctx, h.n, h.c)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if err := again.expire(ctx); err != nil || files() != 1 {
			t.Errorf("after a crash there are %d files, %v", files(), err)
		}
		h.sound()
	})
}

// Whether there are words that one may not see is not told by the time that it takes to
// pass them over.
func TestASearchTakesEvenTime(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		h.put("ada", "open.txt", "for all")
		if _, err := h.Publish(t.Context(), h.who["ada"], "open.txt", true); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			h.put("ada", fmt.Sprintf("hidden %d.txt", i), "for nobody")
		}
		for _, asked := range []string{"hidden", "nothing"} {
			began := time.Now()
			list, _, err := h.Search(t.Context(), Person{}, asked, "", 10)
			if took := time.Since(began); err != nil || len(list) > 0 || took < evenTime {
				t.Errorf("%s: %d found, %v, in %s", asked, len(list), err, took)
			}
		}
	})
}
