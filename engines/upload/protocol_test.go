package upload

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
	"plumb/engines/web"
)

func TestOptions(t *testing.T) {
	h := newPlace(t, sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{}), clock.System{}).open()
	for _, path := range []string{prefix, strings.TrimSuffix(prefix, "/"), prefix + "x"} {
		a := h.want(204, "OPTIONS", path, nil, hd{"Tus-Resumable": "", "Authorization": ""})
		if a.Get("Tus-Version") != "1.0.0" || a.Get("Tus-Max-Size") != strconv.FormatInt(cas.MaxSize, 10) {
			t.Errorf("%s: %v", path, a.Header)
		}
		for _, ext := range []string{"creation", "creation-with-upload", "creation-defer-length", "checksum", "checksum-trailer", "termination", "expiration", "concatenation"} {
			if !strings.Contains(","+a.Get("Tus-Extension")+",", ","+ext+",") {
				t.Errorf("%s is not told", ext)
			}
		}
		if a.Get("Tus-Checksum-Algorithm") != "sha1,sha256,md5,crc32" {
			t.Error(a.Get("Tus-Checksum-Algorithm"))
		}
	}
}

// TestUpload goes the usual way: create, add, look, add, end.
func TestUpload(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		h := p.open()
		content := random(1 << 20)
		for _, at := range []string{prefix, strings.TrimSuffix(prefix, "/")} {
			a := h.want(201, "POST", at, nil, hd{"Upload-Length": strconv.Itoa(len(content)), "Upload-Metadata": meta("filename", "tüs.bin") + ",flag"})
			loc := a.Get("Location")
			if !strings.HasPrefix(loc, prefix) || len(loc) != len(prefix)+43 {
				t.Fatalf("location %q", loc)
			}
			if until, err := http.ParseTime(a.Get("Upload-Expires")); err != nil || until.Before(time.Now().Add(23*time.Hour)) {
				t.Errorf("expires %q", a.Get("Upload-Expires"))
			}
			a = h.head(loc)
			if a.offset() != 0 || a.Get("Upload-Length") != strconv.Itoa(len(content)) || a.Get("Upload-Metadata") != meta("filename", "tüs.bin")+",flag" || a.Get("Cache-Control") != "no-store" {
				t.Errorf("after the creation: %v", a.Header)
			}
			a = h.want(204, "PATCH", loc, content[:300_000], patchAt(0, nil))
			if a.offset() != 300_000 || a.Get("Upload-Expires") == "" {
				t.Errorf("after the first part: %v", a.Header)
			}
			if h.head(loc).offset() != 300_000 {
				t.Error("HEAD says something else")
			}
			h.want(409, "PATCH", loc, content[:10], patchAt(7, nil))
			h.want(409, "PATCH", loc, content[:10], patchAt(300_001, nil))
			if _, there := p.file(loc); there {
				t.Fatal("the room has half a file")
			}
			if a = h.want(204, "PATCH", loc, content[300_000:], patchAt(300_000, nil)); a.offset() != int64(len(content)) || a.Get("Upload-Expires") != "" {
				t.Errorf("after the last part: %v", a.Header)
			}
			h.whole(loc, content)
			// Whoever lost the answer asks, or sends nothing more.
			if h.head(loc).offset() != int64(len(content)) {
				t.Error("a finished upload does not say so")
			}
			h.want(204, "PATCH", loc, nil, patchAt(int64(len(content)), nil))
			h.want(409, "PATCH", loc, content[300_000:], patchAt(300_000, nil))
			h.want(413, "PATCH", loc, []byte("x"), patchAt(int64(len(content)), nil))
		}
		p.clean()
	})
}

func TestSmallAndEmpty(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		h := p.open()
		loc := h.create(0, nil)
		h.whole(loc, nil)
		if a := h.head(loc); a.offset() != 0 || a.Get("Upload-Length") != "0" {
			t.Error(a.Header)
		}
		for _, n := range []int{1, 100, 200 << 10, 256 << 10, 256<<10 + 1} {
			content := random(n)
			loc = h.create(n, nil)
			h.want(204, "PATCH", loc, content, patchAt(0, nil))
			h.whole(loc, content)
		}
		p.clean()
	})
}

func TestCreationIsChecked(t *testing.T) {
	h := newPlace(t, sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{}), clock.System{}).open()
	long := strconv.FormatInt(cas.MaxSize+1, 10)
	for name, c := range map[string]struct {
		status int
		header hd
	}{
		"no length":               {400, hd{}},
		"two lengths":             {400, hd{"Upload-Length": "1", "Upload-Defer-Length": "1"}},
		"a strange deferring":     {400, hd{"Upload-Defer-Length": "2"}},
		"a negative length":       {400, hd{"Upload-Length": "-1"}},
		"a length with a sign":    {400, hd{"Upload-Length": "+1"}},
		"no number":               {400, hd{"Upload-Length": "many"}},
		"too long":                {413, hd{"Upload-Length": long}},
		"far too long":            {413, hd{"Upload-Length": "9999999999999999999"}},
		"metadata without a key":  {400, hd{"Upload-Length": "1", "Upload-Metadata": "a YQ==,,b YQ=="}},
		"metadata twice":          {400, hd{"Upload-Length": "1", "Upload-Metadata": "a YQ==,a YQ=="}},
		"metadata not in Base64":  {400, hd{"Upload-Length": "1", "Upload-Metadata": "a !!"}},
		"metadata beyond ASCII":   {400, hd{"Upload-Length": "1", "Upload-Metadata": "ä YQ=="}},
		"too much metadata":       {413, hd{"Upload-Length": "1", "Upload-Metadata": "a " + strings.Repeat("YWFh", 1100)}},
		"a strange concatenation": {400, hd{"Upload-Length": "1", "Upload-Concat": "half"}},
		"a final one of nothing":  {400, hd{"Upload-Concat": "final;"}},
		"with a length":           {400, hd{"Upload-Concat": "final;" + prefix + strings.Repeat("a", 43), "Upload-Length": "3"}},
		"of something else":       {400, hd{"Upload-Concat": "final;/etc/passwd"}},
		"of what is not there":    {404, hd{"Upload-Concat": "final;" + prefix + strings.Repeat("a", 43)}},
		"no version":              {412, hd{"Upload-Length": "1", "Tus-Resumable": ""}},
		"another version":         {412, hd{"Upload-Length": "1", "Tus-Resumable": "0.2.2"}},
		"a stranger":              {401, hd{"Upload-Length": "1", "Authorization": "", "Tus-Resumable": "1.0.0"}},
	} {
		a := h.do("POST", prefix, nil, c.header)
		if a.status != c.status || a.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s, want %d", name, a.status, a.body, c.status)
		}
		if (a.status == 412) != (a.Get("Tus-Version") == "1.0.0") {
			t.Errorf("%s: Tus-Version %q", name, a.Get("Tus-Version"))
		}
	}
	if n := h.count(`SELECT count(*) FROM upload_uploads`); n != 0 {
		t.Errorf("%d uploads were made all the same", n)
	}
}

func TestAddingIsChecked(t *testing.T) {
	p := newPlace(t, sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{RunTwice: true}), clock.System{})
	h := p.open()
	loc := h.create(10, nil)
	body := []byte("12345")
	h.want(415, "PATCH", loc, body, patchAt(0, hd{"Content-Type": "application/octet-stream"}))
	h.want(415, "PATCH", loc, body, patchAt(0, hd{"Content-Type": ""}))
	h.want(400, "PATCH", loc, body, patchAt(0, hd{"Upload-Offset": ""}))
	h.want(400, "PATCH", loc, body, patchAt(0, hd{"Upload-Offset": "-1"}))
	h.want(412, "PATCH", loc, body, patchAt(0, hd{"Tus-Resumable": "2.0.0"}))
	h.want(412, "HEAD", loc, nil, hd{"Tus-Resumable": ""})
	h.want(400, "PATCH", loc, body, patchAt(0, hd{"Upload-Length": "11"}))
	h.want(413, "PATCH", loc, []byte("12345678901"), patchAt(0, nil))
	h.want(404, "PATCH", prefix+strings.Repeat("a", 43), body, patchAt(0, nil))
	h.want(404, "HEAD", prefix+"a%00b", nil, nil)
	h.want(404, "POST", prefix+"a/b", nil, nil)
	h.want(405, "POST", loc, nil, nil)
	// Others' uploads do not exist.
	for _, method := range []string{"HEAD", "PATCH", "DELETE"} {
		h.want(404, method, loc, nil, patchAt(0, hd{"Authorization": "Bearer bob"}))
	}
	// A body of unknown length that goes on too long leaves nothing of its end.
	a := h.send("PATCH", loc, io.MultiReader(bytes.NewReader([]byte("123456789012"))), patchAt(0, nil))
	h.check(413, "too many bytes", a)
	if got := h.head(loc).offset(); got != 0 {
		t.Errorf("offset %d", got)
	}
	h.want(204, "POST", loc, body, patchAt(0, hd{"X-HTTP-Method-Override": "PATCH"}))
	h.want(200, "POST", loc, nil, hd{"X-HTTP-Method-Override": "HEAD"})
	h.want(204, "PATCH", loc, []byte("67890"), patchAt(5, hd{"Content-Type": "application/offset+octet-stream; charset=binary"}))
	h.whole(loc, []byte("1234567890"))
	p.clean()
}

func TestCreationWithUpload(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		h := p.open()
		content := random(700_000)
		header := hd{"Upload-Length": "700000", "Content-Type": bodyType}
		a := h.want(201, "POST", prefix, content[:400_000], header)
		loc := a.Get("Location")
		if a.offset() != 400_000 || h.head(loc).offset() != 400_000 {
			t.Errorf("%v", a.Header)
		}
		h.want(204, "PATCH", loc, content[400_000:], patchAt(400_000, nil))
		h.whole(loc, content)
		a = h.want(201, "POST", prefix, content, header)
		h.whole(a.Get("Location"), content)
		if a.offset() != 700_000 {
			t.Error(a.Header)
		}
		// Of unknown length, both of the body and of the whole.
		a = h.send("POST", prefix, io.MultiReader(bytes.NewReader(content[:5])), hd{"Upload-Defer-Length": "1", "Content-Type": bodyType})
		h.check(201, "a deferred one with bytes", a)
		if a.offset() != 5 {
			t.Error(a.Header)
		}
		a = h.send("POST", prefix, io.MultiReader(bytes.NewReader(nil)), hd{"Upload-Length": "5"})
		h.check(201, "an empty body of unknown length", a)
		h.want(415, "POST", prefix, content[:10], hd{"Upload-Length": "700000", "Content-Type": "text/plain"})
		h.want(413, "POST", prefix, content, hd{"Upload-Length": "10", "Content-Type": bodyType})
		before := p.count(`SELECT count(*) FROM upload_uploads WHERE state = 'open'`)
		h.want(460, "POST", prefix, content, hd{"Upload-Length": "700000", "Content-Type": bodyType, "Upload-Checksum": "sha1 " + base64.StdEncoding.EncodeToString(make([]byte, 20))})
		if n := p.count(`SELECT count(*) FROM upload_uploads WHERE state = 'open'`); n != before {
			t.Error("a refused upload is left open, and nobody knows its address")
		}
		p.clean()
	})
}

func TestDeferredLength(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		h := p.open()
		content := random(600_000)
		loc := h.want(201, "POST", prefix, nil, hd{"Upload-Defer-Length": "1"}).Get("Location")
		a := h.head(loc)
		if a.Get("Upload-Defer-Length") != "1" || a.Get("Upload-Length") != "" || a.offset() != 0 {
			t.Error(a.Header)
		}
		h.want(204, "PATCH", loc, content[:250_000], patchAt(0, nil))
		h.want(400, "PATCH", loc, nil, patchAt(250_000, hd{"Upload-Length": "10"}))
		h.want(413, "PATCH", loc, content[:100], patchAt(250_000, hd{"Upload-Length": "250010"}))
		h.want(204, "PATCH", loc, content[250_000:500_000], patchAt(250_000, hd{"Upload-Length": "600000"}))
		a = h.head(loc)
		if a.Get("Upload-Defer-Length") != "" || a.Get("Upload-Length") != "600000" {
			t.Error(a.Header)
		}
		h.want(400, "PATCH", loc, nil, patchAt(500_000, hd{"Upload-Length": "600001"}))
		h.want(204, "PATCH", loc, content[500_000:], patchAt(500_000, hd{"Upload-Length": "600000"}))
		h.whole(loc, content)
		// The length may come when all bytes are there.
		loc = h.want(201, "POST", prefix, nil, hd{"Upload-Defer-Length": "1"}).Get("Location")
		h.want(204, "PATCH", loc, content, patchAt(0, nil))
		h.want(204, "PATCH", loc, nil, patchAt(600_000, hd{"Upload-Length": "600000"}))
		h.whole(loc, content)
		p.clean()
		// The room is asked again when it is known, and bounds what comes before.
		p.begin = func(_ web.Who, u *Upload) error {
			if u.Length > 1000 {
				return errs.New(errs.TooLarge, "over the quota")
			}
			u.Limit = 1000
			return nil
		}
		loc = h.want(201, "POST", prefix, nil, hd{"Upload-Defer-Length": "1"}).Get("Location")
		h.want(413, "PATCH", loc, content[:1001], patchAt(0, nil))
		h.check(413, "a long body", h.send("PATCH", loc, io.MultiReader(bytes.NewReader(content)), patchAt(0, nil)))
		h.want(413, "PATCH", loc, nil, patchAt(h.head(loc).offset(), hd{"Upload-Length": "1001"}))
		if at := h.head(loc).offset(); at > 1000 {
			t.Errorf("%d bytes were taken", at)
		}
	})
}

func sums(content []byte) map[string]string {
	code := base64.StdEncoding.EncodeToString
	a, b, c := sha1.Sum(content), sha256.Sum256(content), md5.Sum(content)
	return map[string]string{"sha1": code(a[:]), "sha256": code(b[:]), "md5": code(c[:]),
		"crc32": code(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(content)))}
}

func TestChecksums(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		h := p.open()
		content, other := random(700_000), sums([]byte("other"))
		for algorithm, sum := range sums(content) {
			loc := h.create(700_002, nil)
			h.want(460, "PATCH", loc, content, patchAt(0, hd{"Upload-Checksum": algorithm + " " + other[algorithm]}))
			if at := h.head(loc).offset(); at != 0 {
				t.Fatalf("%s: %d bytes were kept of a wrong body", algorithm, at)
			}
			h.want(204, "PATCH", loc, content, patchAt(0, hd{"Upload-Checksum": algorithm + " " + sum}))
			if at := h.head(loc).offset(); at != 700_000 {
				t.Fatalf("%s: offset %d", algorithm, at)
			}
			h.want(460, "PATCH", loc, []byte("ab"), patchAt(700_000, hd{"Upload-Checksum": algorithm + " " + other[algorithm]}))
			if _, there := p.file(loc); there {
				t.Fatal("a wrong end made a file")
			}
			h.want(204, "PATCH", loc, []byte("ab"), patchAt(700_000, hd{"Upload-Checksum": algorithm + " " + sums([]byte("ab"))[algorithm]}))
			h.whole(loc, append(bytes.Clone(content), "ab"...))
		}
		loc := h.create(10, nil)
		for _, bad := range []string{"sha512 " + other["sha1"], "sha1", "sha1 ", "sha1 x", "sha1 " + other["md5"], "SHA1 " + other["sha1"]} {
			h.want(400, "PATCH", loc, []byte("ab"), patchAt(0, hd{"Upload-Checksum": bad}))
		}
		// A body that is cut off has no checksum.
		loc = h.create(1<<20, nil)
		h.cutPatch(loc, 0, 1<<20, content, "Upload-Checksum: sha1 "+sums(content)["sha1"]+"\r\n").Close()
		if at := h.settled(loc); at != 0 {
			t.Errorf("%d bytes were kept of a body that was cut off", at)
		}
		p.clean()
	})
}

func TestChecksumTrailers(t *testing.T) {
	p := newPlace(t, sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{RunTwice: true}), clock.System{})
	h := p.open()
	content := random(300_000)
	send := func(loc, trailer string) int {
		r, _ := http.NewRequest("PATCH", h.srv.URL+loc, io.MultiReader(bytes.NewReader(content)))
		r.Header.Set("Tus-Resumable", "1.0.0")
		r.Header.Set("Authorization", "Bearer ann")
		r.Header.Set("Content-Type", bodyType)
		r.Header.Set("Upload-Offset", "0")
		r.Trailer = http.Header{"Upload-Checksum": {trailer}}
		if trailer == "" {
			r.Trailer = http.Header{"Upload-Checksum": nil}
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for algorithm, sum := range sums(content) {
		loc := h.create(len(content), nil)
		if got := send(loc, algorithm+" "+sums([]byte("x"))[algorithm]); got != 460 {
			t.Errorf("%s: %d", algorithm, got)
		}
		if got := send(loc, ""); got != 400 {
			t.Errorf("an announced trailer that did not come: %d", got)
		}
		if got := send(loc, algorithm+" "+sum); got != 204 {
			t.Errorf("%s: %d", algorithm, got)
		}
		h.whole(loc, content)
	}
	p.clean()
}

func TestTermination(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		h := p.open()
		content := random(900_000)
		loc := h.create(1<<20, nil)
		h.want(204, "PATCH", loc, content, patchAt(0, nil))
		h.want(204, "DELETE", loc, nil, nil)
		for _, method := range []string{"HEAD", "PATCH", "DELETE"} {
			h.want(410, method, loc, nil, patchAt(0, nil))
		}
		if n := p.count(`SELECT count(*) FROM upload_segments`); n != 0 {
			t.Errorf("%d pieces are left", n)
		}
		p.clean()
		loc = h.create(10, nil)
		h.want(204, "PATCH", loc, content[:10], patchAt(0, nil))
		h.want(204, "POST", loc, nil, hd{"X-HTTP-Method-Override": "DELETE"})
		h.want(410, "HEAD", loc, nil, nil)
		h.whole(loc, content[:10]) // the file is the room's
	})
}

func TestExpiration(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		c := clock.NewManual(time.Now())
		p := newPlace(t, db, c)
		h := p.open()
		content := random(600_000)
		loc := h.create(1<<20, nil)
		c.Advance(23 * time.Hour)
		a := h.want(204, "PATCH", loc, content, patchAt(0, nil))
		if until, _ := http.ParseTime(a.Get("Upload-Expires")); !until.After(c.Now().Add(23 * time.Hour)) {
			t.Errorf("bytes do not prolong: %v", a.Get("Upload-Expires"))
		}
		ended := h.create(3, nil)
		h.want(204, "PATCH", ended, []byte("abc"), patchAt(0, nil))
		c.Advance(23 * time.Hour)
		h.head(loc)
		c.Advance(2 * time.Hour)
		h.want(410, "HEAD", loc, nil, nil)
		h.want(410, "PATCH", loc, content[:1], patchAt(600_000, nil))
		if n := p.count(`SELECT count(*) FROM upload_segments`); n == 0 {
			t.Error("there was nothing to give back")
		}
		if err := h.e.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := p.count(`SELECT count(*) FROM upload_segments`); n != 0 {
			t.Errorf("%d pieces are left", n)
		}
		h.want(410, "HEAD", loc, nil, nil)
		h.want(404, "HEAD", ended, nil, nil)
		p.clean()
		c.Advance(25 * time.Hour)
		if err := h.e.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.want(404, "HEAD", loc, nil, nil)
		if n := p.count(`SELECT count(*) FROM upload_uploads`); n != 0 {
			t.Errorf("%d rows are left", n)
		}
		h.whole(ended, []byte("abc"))
	})
}

func TestConcatenation(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		h := p.open()
		content := random(1_000_000)
		cut := []int{0, 300_000, 300_000, 999_000, 1_000_000}
		var parts []string
		for i := range cut[1:] {
			part := content[cut[i]:cut[i+1]]
			loc := h.create(len(part), hd{"Upload-Concat": "partial", "Upload-Metadata": ""})
			h.want(204, "PATCH", loc, part, patchAt(0, nil))
			if a := h.head(loc); a.Get("Upload-Concat") != "partial" || a.offset() != int64(len(part)) {
				t.Error(a.Header)
			}
			if _, there := p.file(loc); there {
				t.Fatal("a part became a file")
			}
			parts = append(parts, h.srv.URL+loc) // absolute, and below in its relative form
		}
		parts[1] = parts[1][len(h.srv.URL):]
		concat := "final;" + strings.Join(parts, " ")
		open := h.create(5, hd{"Upload-Concat": "partial"})
		h.want(409, "POST", prefix, nil, hd{"Upload-Concat": concat + " " + open})
		h.want(404, "POST", prefix, nil, hd{"Upload-Concat": concat, "Authorization": "Bearer bob"})
		h.want(404, "POST", prefix, nil, hd{"Upload-Concat": "final;" + h.create(0, nil)}) // no part
		before := p.count(`SELECT count(*) FROM room_files`)
		a := h.want(201, "POST", prefix, nil, hd{"Upload-Concat": concat, "Upload-Metadata": meta("filename", "all.bin")})
		loc := a.Get("Location")
		h.whole(loc, content)
		if a = h.head(loc); a.Get("Upload-Concat") != concat || a.offset() != 1_000_000 || a.Get("Upload-Length") != "1000000" || a.Get("Upload-Metadata") == "" {
			t.Error(a.Header)
		}
		h.want(403, "PATCH", loc, nil, patchAt(1_000_000, nil))
		// The answer was lost: the parts are still there, and the same words mean the same upload.
		if h.head(parts[0][len(h.srv.URL):]).offset() != 300_000 {
			t.Error("a part is gone at once")
		}
		if again := h.want(201, "POST", prefix, nil, hd{"Upload-Concat": concat, "Upload-Metadata": meta("filename", "all.bin")}); again.Get("Location") != loc {
			t.Error("the same request made another upload")
		}
		if n := p.count(`SELECT count(*) FROM room_files`) - before; n != 1 {
			t.Errorf("%d files", n)
		}
		// Other words may use the parts again, one of them twice.
		twice := "final;" + parts[0] + " " + parts[0]
		loc = h.want(201, "POST", prefix, nil, hd{"Upload-Concat": twice}).Get("Location")
		h.whole(loc, append(bytes.Clone(content[:300_000]), content[:300_000]...))
		p.clean()
	})
}

func TestTheRoomDecides(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		h := p.open()
		p.begin = func(who web.Who, u *Upload) error {
			if who.ID != "ann" || u.Owner != "ann" || u.Meta["filename"] == "bad" {
				return errs.New(errs.Denied, "no")
			}
			return nil
		}
		h.want(403, "POST", prefix, nil, hd{"Upload-Length": "3", "Upload-Metadata": meta("filename", "bad")})
		// What it refuses at the end stays, and can be ended later.
		for _, n := range []int{100_000, 800_000} {
			p.refusing(errs.New(errs.Conflict, "there is such a file"))
			content := random(n)
			loc := h.create(n, nil)
			if a := h.want(409, "PATCH", loc, content, patchAt(0, nil)); !strings.Contains(a.body, "there is such a file") {
				t.Error(a.body)
			}
			h.want(409, "HEAD", loc, nil, nil)
			p.refusing(errFull)
			h.want(423, "HEAD", loc, nil, nil) // a 5xx would make clients send it all again
			h.want(503, "PATCH", loc, nil, patchAt(int64(n), nil))
			p.clean()
			p.refusing(nil)
			if h.head(loc).offset() != int64(n) {
				t.Error("HEAD did not end it")
			}
			h.whole(loc, content)
		}
		p.clean()
	})
}

func TestLimitsOfAnOwner(t *testing.T) {
	p := newPlace(t, sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{}), clock.System{})
	h := p.open()
	for range MaxOpen {
		h.create(7, nil)
	}
	a := h.want(429, "POST", prefix, nil, hd{"Upload-Length": "7"})
	if a.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	h.want(201, "POST", prefix, nil, hd{"Upload-Length": "7", "Authorization": "Bearer bob"})
	if n, err := h.e.Reserved(t.Context(), "ann"); err != nil || n != 7*MaxOpen {
		t.Errorf("reserved %d, %v", n, err)
	}
}

func TestIdempotencyKey(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		h := p.open()
		one := h.create(5, hd{"Idempotency-Key": "k1"})
		if two := h.create(5, hd{"Idempotency-Key": "k1"}); two != one {
			t.Error("the same key made two uploads")
		}
		h.want(409, "POST", prefix, nil, hd{"Upload-Length": "6", "Idempotency-Key": "k1"})
		h.want(204, "PATCH", one, []byte("12345"), patchAt(0, nil))
		if two := h.create(5, hd{"Idempotency-Key": "k1"}); two != one {
			t.Error("after the end")
		}
	})
}
