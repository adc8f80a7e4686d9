package files

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/web"
)

// Contents stream: they go by the API's side on plain handlers.

// contentOps are the operations whose bodies are contents.
func (s *System) contentOps() []web.Op {
	op := func(method, path, summary, description string) huma.Operation {
		return huma.Operation{Method: method, Path: apiRoot + path, Summary: summary, Description: description, MaxBodyBytes: -1}
	}
	bytes := map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: "string", Format: "binary"}}}
	put := op("PUT", "/content/{path...}", "Store a file; the folders above it are made",
		"The body is the content, of known length or not. 201 for a new file, 200 for a new version of one. If-Match and If-None-Match hold before anything changes (412). "+
			"Last-Modified of the content may come as X-Modified (RFC 3339). 413 names the quota, 507 says that the disk is full, 451 that this content was taken down.")
	put.RequestBody = &huma.RequestBody{Required: true, Content: bytes}
	get := op("GET", "/content/{path...}", "A file's content",
		"HEAD too. Ranges, several as well, If-Range and conditional requests as RFC 9110 has them; the ETag is the content's SHA-256. ?version= gives an earlier content, ?download=1 lets browsers save it.")
	get.Responses = map[string]*huma.Response{"200": {Description: "The content", Content: bytes}, "206": {Description: "Parts of it", Content: bytes}}
	remove := op("DELETE", "/content/{path...}", "Put a file or folder into the bin", "?version= ends an earlier content for good.")
	remove.Responses = map[string]*huma.Response{"204": {Description: "It is in the bin"}}
	zip := op("GET", "/zip/{path...}", "A folder with all that is below it, as a zip", "It streams: files are stored without compression, names are UTF-8. What was taken down is left out.")
	zip.Responses = map[string]*huma.Response{"200": {Description: "The zip", Content: map[string]*huma.MediaType{"application/zip": bytes["application/octet-stream"]}}}
	return []web.Op{
		web.RawOperation(web.Person, put, s.putContent).Describe(nil, nodeOut{}),
		web.RawOperation(web.Public, get, s.getContent),
		web.RawOperation(web.Person, remove, s.deleteContent),
		web.RawOperation(web.Public, zip, s.getZip),
	}
}

// putContent stores the body.
func (s *System) putContent(w http.ResponseWriter, r *http.Request) error {
	o := WriteOptions{Size: r.ContentLength, IfMatch: joined(r, "If-Match"), IfNoneMatch: joined(r, "If-None-Match"), Type: r.Header.Get("Content-Type")}
	if r.Header.Get("Content-Range") != "" {
		return web.Malformed(errs.New(errs.Invalid, "a part of a file cannot be put (RFC 9110, 14.5): send all of it, or use tus"))
	}
	if text := r.Header.Get("X-Modified"); text != "" {
		var err error
		if o.Modified, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return web.Malformed(errs.New(errs.Invalid, "X-Modified is a time as RFC 3339 has it, such as 2026-11-22T21:40:00Z"))
		}
	}
	n, created, err := s.Write(r.Context(), person(r.Context()), r.PathValue("path"), &incoming{w: w, r: r.Body}, o)
	if err != nil {
		s.measures.refuse(err)
		return err
	}
	w.Header().Set("ETag", n.ETag())
	status := http.StatusOK
	if created {
		status = http.StatusCreated
		w.Header().Set("Location", apiRoot+"/content/@"+n.ID)
	}
	web.WriteJSON(w, status, n.out())
	return nil
}

func joined(r *http.Request, header string) string {
	return strings.Join(r.Header.Values(header), ", ")
}

// incoming is a body that comes at its sender's pace: the deadline moves on with what
// comes, and its faults are the sender's.
type incoming struct {
	w     http.ResponseWriter
	r     io.Reader
	moved time.Time
}

// patience is how long a body may give nothing.
const patience = 2 * time.Minute

func (in *incoming) Read(b []byte) (int, error) {
	if now := time.Now(); now.Sub(in.moved) > 10*time.Second {
		in.moved = now
		c := http.NewResponseController(in.w)
		c.SetReadDeadline(now.Add(patience)) // a recorder has none
		c.SetWriteDeadline(now.Add(2 * patience))
	}
	n, err := in.r.Read(b)
	if err != nil && err != io.EOF {
		err = web.Malformed(errs.Wrap(errs.Invalid, err, "the body could not be read to its end"))
	}
	return n, err
}

// getContent answers with a content.
func (s *System) getContent(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	var n Node
	var err error
	if text := q.Get("version"); text != "" {
		version, bad := strconv.ParseInt(text, 10, 64)
		if bad != nil {
			return errs.New(errs.Invalid, "version is a whole number")
		}
		n, err = s.statVersion(r.Context(), person(r.Context()), r.PathValue("path"), version)
	} else {
		n, err = s.known(r.Context(), person(r.Context()), r.PathValue("path"))
	}
	if err != nil {
		return err
	}
	return s.serve(w, r, n, q.Get("download") != "")
}

// contentHeaders set how a browser treats a content: it is somebody's, and must not run
// scripts in this house's name.
func contentHeaders(h http.Header, n Node, download bool) {
	kind := n.Type
	if kind == "" {
		kind = "application/octet-stream"
	}
	if isScript(kind) {
		kind = "text/plain" // pages may load scripts from this house, and must none of somebody's
	}
	if strings.HasPrefix(kind, "text/") {
		kind += "; charset=utf-8"
	}
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'unsafe-inline'")
	if n.Type == "application/pdf" {
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'self'") // browsers' own readers do not work in a sandbox
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "private, no-cache")
	how := "attachment"
	if !download && inline[n.Type] {
		how = "inline"
	}
	h.Set("Content-Disposition", disposition(how, n.Name))
}

// isScript says whether browsers run the type as a script, or read it as a style, when a
// page asks for one (WHATWG MIME Sniffing, 4.6).
func isScript(kind string) bool {
	_, sub, _ := strings.Cut(kind, "/")
	return strings.Contains(sub, "javascript") || strings.Contains(sub, "ecmascript") || sub == "jscript" || sub == "livescript" || kind == "text/css"
}

// extended escapes what url.PathEscape leaves and RFC 8187, 3.2.1, does not know.
var extended = strings.NewReplacer("'", "%27", ":", "%3A", "=", "%3D", "@", "%40")

// disposition names a file as RFC 6266 and RFC 8187 have it: in ASCII for old clients,
// and in UTF-8.
func disposition(how, name string) string {
	ascii := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' || r == '%' {
			return '_'
		}
		return r
	}, name)
	out := how + `; filename="` + ascii + `"`
	if ascii != name {
		out += "; filename*=UTF-8''" + extended.Replace(url.PathEscape(name))
	}
	return out
}

// deleteContent puts a node into the bin.
func (s *System) deleteContent(w http.ResponseWriter, r *http.Request) error {
	var err error
	if text := r.URL.Query().Get("version"); text != "" {
		version, bad := strconv.ParseInt(text, 10, 64)
		if bad != nil {
			return errs.New(errs.Invalid, "version is a whole number")
		}
		err = s.Forget(r.Context(), person(r.Context()), r.PathValue("path"), version)
	} else {
		err = s.Remove(r.Context(), person(r.Context()), r.PathValue("path"))
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// postScrub answers line by line: how far it is, now and then, and last the result.
func (s *System) postScrub(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	var last time.Time
	result, err := s.Scrub(r.Context(), func(p cas.Progress) {
		if now := time.Now(); now.Sub(last) > time.Second { // a pace for people, whatever the house's clock says
			last = now
			out.Encode(progressOut{p.Done, p.Total}) // a client that went away ends r's context
			http.NewResponseController(w).Flush()
		}
	})
	if err != nil && last.IsZero() {
		return err
	}
	if err != nil {
		s.n.Log.Error("a scrub ended early", "error", err)
		panic(http.ErrAbortHandler)
	}
	return out.Encode(scrubbed(result))
}

type progressOut struct {
	Done  int64 `json:"done_bytes"`
	Total int64 `json:"total_bytes"`
}
