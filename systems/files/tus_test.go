package files

import (
	"bytes"
	"encoding/base64"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"plumb/base/errs"
	"plumb/engines/upload"
)

// tusMeta writes an Upload-Metadata header.
func tusMeta(pairs ...string) string {
	var list []string
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, pairs[i]+" "+base64.StdEncoding.EncodeToString([]byte(pairs[i+1])))
	}
	return strings.Join(list, ",")
}

// tus sends a request of the protocol.
func (h *house) tus(method, path, name string, body any, headers ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	return h.call(method, path, name, body, append(headers, "Tus-Resumable", "1.0.0", "Content-Type", "application/offset+octet-stream")...)
}

// begin begins an upload of so many bytes, and wants a status.
func (h *house) begin(status, size int, name, meta string, headers ...string) string {
	h.t.Helper()
	w := h.tus("POST", "/api/v1/files/tus/", name, nil, append(headers, "Upload-Length", strconv.Itoa(size), "Upload-Metadata", meta)...)
	if w.Code != status {
		h.t.Fatalf("begin: %d %s, want %d", w.Code, w.Body, status)
	}
	return w.Header().Get("Location")
}

func (h *house) patch(status int, at string, offset int, name string, body []byte) {
	h.t.Helper()
	if w := h.tus("PATCH", at, name, body, "Upload-Offset", strconv.Itoa(offset)); w.Code != status {
		h.t.Fatalf("patch: %d %s, want %d", w.Code, w.Body, status)
	}
}

func TestTusMakesFiles(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		text := bytes.Repeat([]byte("by tus "), 40_000)
		at := h.begin(201, len(text), "ada", tusMeta("filename", "ünï.txt", "path", "in/deep/", "filetype", "text/plain", "modified", "1767225600000"))
		h.patch(204, at, 0, "ada", text[:100_000])
		if w := h.call("GET", "/api/v1/files/content/in/deep/%C3%BCn%C3%AF.txt", "ada", nil); w.Code != 404 {
			t.Errorf("half a file is seen: %d", w.Code)
		}
		h.patch(404, at, 100_000, "bob", text[100_000:])
		h.patch(204, at, 100_000, "ada", text[100_000:])
		w := h.call("GET", "/api/v1/files/content/in/deep/%C3%BCn%C3%AF.txt", "ada", nil)
		if w.Code != 200 || !bytes.Equal(w.Body.Bytes(), text) || w.Header().Get("Last-Modified") != "Thu, 01 Jan 2026 00:00:00 GMT" {
			t.Errorf("%d, %d bytes, %v", w.Code, w.Body.Len(), w.Header())
		}
		// The same name again is a new version, and no other file.
		at = h.begin(201, 3, "ada", tusMeta("path", "in/deep/ünï.txt"))
		h.patch(204, at, 0, "ada", []byte("new"))
		if n, err := h.Stat(t.Context(), h.who["ada"], "in/deep/ünï.txt"); err != nil || n.Version != 2 || n.Size != 3 {
			t.Errorf("%+v, %v", n, err)
		}
		h.begin(412, 3, "ada", tusMeta("path", "in/deep/ünï.txt", "overwrite", "false"))
		if err := h.Check(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestTusNeedsAPlace(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		for meta, status := range map[string]int{
			"": 400, tusMeta("path", "a/../b"): 400, tusMeta("path", "x/"): 400, tusMeta("filename", "a\x00b"): 400,
			tusMeta("filename", "a", "modified", "yesterday"): 400, tusMeta("relativePath", strings.Repeat("d/", 70)+"x"): 400,
		} {
			h.begin(status, 1, "ada", meta)
		}
		if w := h.tus("POST", "/api/v1/files/tus/", "", nil, "Upload-Length", "1", "Upload-Metadata", tusMeta("filename", "a")); w.Code != 401 {
			t.Errorf("a stranger: %d", w.Code)
		}
		// What another does not share cannot be written to, nor seen.
		if _, err := h.Mkdir(t.Context(), h.who["bob"], "private", true); err != nil {
			t.Fatal(err)
		}
		n, err := h.Stat(t.Context(), h.who["bob"], "private")
		if err != nil {
			t.Fatal(err)
		}
		h.begin(404, 1, "ada", tusMeta("path", "@"+n.ID+"/x"))
	})
}

func TestTusPlaces(t *testing.T) {
	for want, m := range map[string]map[string]string{
		"a":       {"filename": "a"},
		"d/a":     {"filename": "x", "relativePath": "d/a"},
		"b":       {"filename": "b", "relativePath": "null"},
		"t/d/a":   {"filename": "a", "relativePath": "d/a", "path": "t/"},
		"t/a":     {"filename": "a", "path": "t/"},
		"t/other": {"filename": "a", "relativePath": "d/a", "path": "t/other"},
	} {
		p, _, err := uploadPlace(upload.Upload{Meta: m})
		if err != nil || p.String() != want {
			t.Errorf("%v: %q, %v", m, p, err)
		}
	}
}

// TestTusQuota: open uploads count, so that many of them cannot go over a quota
// together; and what they had is free again when they end.
func TestTusQuota(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.begin(413, 1001, "ada", tusMeta("filename", "a"))
		one := h.begin(201, 600, "ada", tusMeta("filename", "a"))
		h.begin(413, 600, "ada", tusMeta("filename", "b"))
		part := h.begin(201, 400, "ada", "", "Upload-Concat", "partial")
		h.begin(413, 1, "ada", "", "Upload-Concat", "partial")
		h.begin(201, 1000, "bob", tusMeta("filename", "a"))
		h.patch(204, one, 0, "ada", make([]byte, 600))
		h.patch(204, part, 0, "ada", make([]byte, 400))
		w := h.tus("POST", "/api/v1/files/tus/", "ada", nil, "Upload-Concat", "final;"+part, "Upload-Metadata", tusMeta("filename", "c"))
		if w.Code != 201 {
			t.Fatalf("the final one: %d %s", w.Code, w.Body)
		}
		if n, err := h.Stat(t.Context(), h.who["ada"], "c"); err != nil || n.Size != 400 {
			t.Errorf("%+v, %v", n, err)
		}
		h.begin(413, 1, "ada", tusMeta("filename", "d"))
		if err := h.Check(t.Context()); err != nil {
			t.Error(err)
		}
	}, func(s *setup) { s.files.Quota = 1000 })
}

// TestTusTakedown: what was taken down stays so, by this way too.
func TestTusTakedown(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		text := []byte("bad content")
		at := h.begin(201, len(text), "ada", tusMeta("filename", "a"))
		h.patch(204, at, 0, "ada", text)
		n, err := h.Stat(t.Context(), h.who["ada"], "a")
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Block(t.Context(), h.who["boss"], n.Hash, "test"); err != nil {
			t.Fatal(err)
		}
		at = h.begin(201, len(text), "bob", tusMeta("filename", "a"))
		if w := h.tus("PATCH", at, "bob", text, "Upload-Offset", "0"); w.Code < 400 || w.Code >= 500 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if _, err := h.Stat(t.Context(), h.who["bob"], "a"); !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
	})
}
