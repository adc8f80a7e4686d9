package files

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"plumb/base/errs"
	"plumb/engines/sqldb"
	"plumb/engines/web"
	"plumb/systems/files/internal/dav"
)

// WebDAV (RFC 4918, classes 1 and 2; quota as RFC 4331 has it) on the verbs of the room:
// a person's own tree is /dav/. What others share is not in it: it has no place there
// that its owner could not take away beneath a lock, and the pages and the API show it.
// Locks hold among WebDAV's clients; the pages and the API change a file all the same,
// as its owner would wish when a client is gone.

// davRoot is where the tree is.
const davRoot = "/dav/"

// davMethods are the methods with their handlers; GET stands for HEAD too.
func (s *System) davMethods() map[string]func(*davRequest) error {
	return map[string]func(*davRequest) error{
		"OPTIONS": (*davRequest).options, "GET": (*davRequest).get, "PUT": (*davRequest).put, "DELETE": (*davRequest).delete,
		"MKCOL": (*davRequest).mkcol, "COPY": (*davRequest).copyTo, "MOVE": (*davRequest).moveTo,
		"PROPFIND": (*davRequest).propfind, "PROPPATCH": (*davRequest).proppatch, "LOCK": (*davRequest).lock, "UNLOCK": (*davRequest).unlock,
	}
}

const davAllow = "OPTIONS, GET, HEAD, PUT, DELETE, MKCOL, COPY, MOVE, PROPFIND, PROPPATCH, LOCK, UNLOCK"

// davPages are the methods of WebDAV, below /dav/.
func (s *System) davPages() []web.Page {
	var list []web.Page
	for method, fn := range s.davMethods() {
		list = append(list, web.Page{Pattern: method + " " + davRoot + "{path...}", Root: true, Access: web.Person, Basic: true, Limit: -1, Handler: s.davHandler(fn)})
	}
	return list
}

// davRequest is a request to the tree of one person.
type davRequest struct {
	s     *System
	w     http.ResponseWriter
	r     *http.Request
	who   Person
	path  string // "a/b", "" for the root
	space dav.Space
	cond  dav.If
}

// davFault is a refusal with a status of its own, and the name of what did not hold.
type davFault struct {
	error
	status    int
	condition string   // of RFC 4918, 16, or ""
	paths     []string // where
}

func (f *davFault) Unwrap() error { return f.error }

// fault makes a refusal. Its kind matters to logs only.
func fault(status int, condition, format string, args ...any) *davFault {
	return &davFault{errs.New(errs.Conflict, format, args...), status, condition, nil}
}

// davHandler reads what all methods have and writes what they refuse with.
func (s *System) davHandler(fn func(*davRequest) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		d := &davRequest{s: s, w: w, r: r, who: person(r.Context())}
		err := d.read()
		if err == nil {
			err = fn(d)
		}
		f, own := errors.AsType[*davFault](err)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrQuota):
			f = &davFault{err, http.StatusInsufficientStorage, "quota-not-exceeded", nil}
		case errors.Is(err, errs.ErrFull):
			s.n.Log.Warn("a change over WebDAV found no room", "error", err)
			f = &davFault{err, http.StatusInsufficientStorage, "sufficient-disk-space", nil}
		case !own:
			return err
		}
		f.write(w)
		return nil
	}
}

func (f *davFault) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if f.status == http.StatusMethodNotAllowed {
		h.Set("Allow", davAllow)
	}
	if f.condition == "" {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(f.status)
		io.WriteString(w, errs.Message(f.error)+"\n")
		return
	}
	var hrefs []string
	for _, p := range f.paths {
		hrefs = append(hrefs, davRoot+dav.Escape(p))
	}
	h.Set("Content-Type", dav.ContentType)
	w.WriteHeader(f.status)
	io.WriteString(w, dav.Fault(f.condition, hrefs...))
}

// read takes the path and the conditions out of the request.
func (d *davRequest) read() error {
	d.space = dav.Space{Prefix: davRoot, Hosts: []string{d.r.Host}}
	if u, err := url.Parse(d.s.n.URL); err == nil { // behind a proxy that names another host
		d.space.Hosts = append(d.space.Hosts, u.Host)
	}
	path, err := dav.Unescape(strings.TrimPrefix(d.r.URL.EscapedPath(), davRoot))
	if err == nil {
		d.path, err = davPath(path)
	}
	if err != nil {
		return web.Malformed(err)
	}
	d.cond, err = dav.ParseIf(joined(d.r, "If"), d.space)
	return malformed(err)
}

// malformed marks what could not be read of a request.
func malformed(err error) error {
	if errs.Is(err, errs.Invalid) {
		return web.Malformed(err)
	}
	return err
}

// davPath checks a path and brings it into the form in which locks have it. Errors:
// Invalid; NotFound for "@ID", which would lead into another's tree.
func davPath(text string) (string, error) {
	p, err := parsePath(text)
	if err == nil && p.node != "" {
		err = errNone(p)
	}
	return p.String(), err
}

// node returns what is at a path of the asker's tree.
func (d *davRequest) node(ctx context.Context, tx *sqldb.Tx, path string) (n Node, found bool, err error) {
	p, err := parsePath(path)
	if err != nil {
		return Node{}, false, err
	}
	n, rest, err := d.s.walk(ctx, tx, d.who, p)
	return n, err == nil && len(rest) == 0, err
}

// check holds a request against what is there: the If header, the conditions of HTTP
// and the locks. It returns the locks that hold, and what is at the path.
func (d *davRequest) check(ctx context.Context, tx *sqldb.Tx, changes ...dav.Change) (locks []dav.Lock, n Node, found bool, err error) {
	if locks, err = dav.Locks(ctx, tx, d.who.ID, d.s.n.Clock.Now()); err != nil {
		return nil, Node{}, false, err
	}
	holds, err := d.cond.Hold(d.path, locks, func(path string) (string, error) {
		n, found, err := d.node(ctx, tx, path)
		if err != nil || !found || n.Folder {
			return "", err
		}
		return n.ETag(), nil
	})
	if err == nil {
		n, found, err = d.node(ctx, tx, d.path)
	}
	if err != nil {
		return nil, Node{}, false, err
	}
	if !holds {
		return nil, Node{}, false, errs.New(errs.Stale, "none of the lists of the If header holds")
	}
	if err := d.conditions(n, found); err != nil {
		return nil, Node{}, false, err
	}
	if by := dav.Blocked(locks, d.cond.Tokens(), changes...); len(by) > 0 {
		f := fault(http.StatusLocked, "lock-token-submitted", "it is locked")
		for _, l := range by {
			f.paths = append(f.paths, l.Path)
		}
		return nil, Node{}, false, f
	}
	return locks, n, found, nil
}

// conditions are those of RFC 9110, 13.1, that a change may have.
func (d *davRequest) conditions(n Node, found bool) error {
	if err := d.writeOptions().holds(n, found); err != nil {
		return err
	}
	since, err := http.ParseTime(d.r.Header.Get("If-Unmodified-Since"))
	if err == nil && d.r.Header.Get("If-Match") == "" && found && n.Modified.Unix() > since.Unix() {
		return errs.New(errs.Stale, "it was modified since")
	}
	return nil
}

func (d *davRequest) writeOptions() WriteOptions {
	return WriteOptions{Size: d.r.ContentLength, IfMatch: joined(d.r, "If-Match"), IfNoneMatch: joined(d.r, "If-None-Match"), Type: d.r.Header.Get("Content-Type")}
}

// options says what is spoken here.
func (d *davRequest) options() error {
	h := d.w.Header()
	h.Set("DAV", "1, 2")
	h.Set("MS-Author-Via", "DAV")
	h.Set("Allow", davAllow)
	h.Set("Content-Length", "0")
	d.w.WriteHeader(http.StatusOK)
	return nil
}

// get answers with a content. A folder is no document of its own: a browser is sent to
// its page, all others read its names, line by line.
func (d *davRequest) get() error {
	n, err := d.s.Stat(d.r.Context(), d.who, d.path)
	if err != nil {
		return err
	}
	if !n.Folder {
		return d.s.serve(d.w, d.r, n, false)
	}
	if strings.Contains(d.r.Header.Get("Accept"), "text/html") {
		to := "/files/"
		if n.Parent != "" {
			to += "n/" + n.ID
		}
		http.Redirect(d.w, d.r, to, http.StatusSeeOther)
		return nil
	}
	d.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	d.w.Header().Set("Cache-Control", "private, no-cache")
	for cursor := ""; d.r.Method != http.MethodHead; {
		list, next, err := d.s.List(d.r.Context(), d.who, d.path, cursor, mostPage)
		if err != nil {
			return err
		}
		for _, n := range list {
			line := n.Name + "\n"
			if n.Folder {
				line = n.Name + "/\n"
			}
			if _, err := io.WriteString(d.w, line); err != nil {
				return nil // the client went away
			}
		}
		if cursor = next; next == "" {
			break
		}
	}
	return nil
}
