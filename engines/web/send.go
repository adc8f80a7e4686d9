package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"plumb/base/errs"
)

// worth is the size in bytes below which compression saves no packet.
const worth = 1400

// Send writes body whole: compressed when that is worth it and the client takes
// gzip, and as 304 when the client has what the ETag header (set before) names.
func Send(w http.ResponseWriter, r *http.Request, status int, contentType string, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Add("Vary", "Accept-Encoding")
	if tag := h.Get("ETag"); tag != "" && status == http.StatusOK && matches(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if len(body) >= worth && takesGzip(r) {
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, 5)
		if err != nil {
			return fmt.Errorf("compress: %w", err)
		}
		z.Write(body) // into memory: it cannot fail
		z.Close()
		h.Set("Content-Encoding", "gzip")
		body = b.Bytes()
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(body) // a client that went away cannot be told
	}
	return nil
}

// takesGzip reads Accept-Encoding as far as clients differ in practice.
func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if (name == "gzip" || name == "*") && strings.ReplaceAll(q, " ", "") != "q=0" {
			return true
		}
	}
	return false
}

// matches says whether an If-None-Match header names tag (RFC 9110, 13.1.2: weakly).
func matches(header, tag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// etag is weak, because one tag stands for the plain and the compressed form.
func etag(b []byte) string {
	sum := sha256.Sum256(b)
	return `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// Static serves files that never change while the program runs.
type Static struct {
	files map[string]file
}

type file struct {
	body        []byte
	tag, kind   string
	fingerprint string
}

// NewStatic reads all files of the trees into memory, those of later ones over
// earlier ones.
func NewStatic(trees ...fs.FS) (*Static, error) {
	s := &Static{files: map[string]file{}}
	for _, tree := range trees {
		err := fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := fs.ReadFile(tree, p)
			if err != nil {
				return err
			}
			kind := mime.TypeByExtension(path.Ext(p))
			switch path.Ext(p) { // what a bare machine's tables may lack
			case ".wasm":
				kind = "application/wasm"
			case ".svg":
				kind = "image/svg+xml"
			case ".js", ".mjs":
				kind = "text/javascript; charset=utf-8"
			case ".css":
				kind = "text/css; charset=utf-8"
			}
			if kind == "" {
				kind = "application/octet-stream"
			}
			tag := etag(b)
			s.files[p] = file{b, tag, kind, strings.Trim(tag, `W/"`)[:10]}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read static files: %w", err)
		}
	}
	return s, nil
}

// Has says whether there is a file of that name.
func (s *Static) Has(name string) bool { _, ok := s.files[name]; return ok }

// Bytes returns the file's content, which must not be changed; nil when there is none.
func (s *Static) Bytes(name string) []byte { return s.files[name].body }

// URL returns the file's address below /static/, with its fingerprint, so that
// browsers may keep it for good.
func (s *Static) URL(name string) string {
	f, ok := s.files[name]
	if !ok {
		return "/static/" + name
	}
	return "/static/" + name + "?v=" + f.fingerprint
}

// Serve answers for the file that the path value "name" asks for: mount it at
// "GET /static/{name...}".
func (s *Static) Serve(w http.ResponseWriter, r *http.Request) error {
	f, ok := s.files[r.PathValue("name")]
	if !ok {
		return errs.New(errs.NotFound, "there is no such file")
	}
	w.Header().Set("ETag", f.tag)
	w.Header().Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == f.fingerprint {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	return Send(w, r, http.StatusOK, f.kind, f.body)
}
