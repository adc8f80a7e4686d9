package web

import (
	"context"
	"crypto/subtle"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"plumb/base/errs"
)

// usual is the most bytes of a request's body where nothing else is said.
const usual = 1 << 20

// Gate stands before every route. It is the one place that authorises.
type Gate struct {
	auth   Authenticator
	log    *slog.Logger
	origin *http.CrossOriginProtection
	shell  atomic.Pointer[Shell]
	page   *template.Template // an error page's content
}

// NewGate returns a gate that asks a who it is. log receives Internal errors
// and panics, once each.
func NewGate(a Authenticator, log *slog.Logger) *Gate {
	return &Gate{auth: a, log: log, origin: http.NewCrossOriginProtection(), page: template.Must(template.New("").Parse(errorText))}
}

// UseShell gives the gate the frame for its error pages. Before that, browsers
// too get problem documents.
func (g *Gate) UseShell(s Shell) { g.shell.Store(&s) }

// Wrap returns h behind the gate, for those whom a admits, with bodies of 1 MiB
// at most. It panics at start when a is undeclared.
func (g *Gate) Wrap(a Access, h Handler) http.Handler { return g.WrapLimit(a, usual, h) }

// WrapLimit is Wrap with bodies of limit bytes at most; 0 means 1 MiB, negative
// that h bounds what it reads.
func (g *Gate) WrapLimit(a Access, limit int64, h Handler) http.Handler {
	return g.Page(Page{Access: a, Limit: limit, Handler: h})
}

// Page returns p's handler behind the gate. It panics at start when p's access is
// undeclared.
func (g *Gate) Page(p Page) http.Handler {
	a, limit, h := p.Access, p.Limit, p.Handler
	if !a.Declared() {
		panic(fmt.Sprintf("web: a route declares the access %q, which does not exist", a))
	}
	if limit == 0 {
		limit = usual
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		st := stateOf(r.Context())
		if st == nil { // not below House: a test, or a server of its own
			st = &state{}
			r = r.WithContext(context.WithValue(r.Context(), ctxKey{}, st))
		}
		w, ok := rw.(*writer)
		if !ok {
			w = &writer{ResponseWriter: rw, r: r}
		}
		st.basic = p.Basic
		// Only what is before the gate may treat a 404 without a pattern as "no such route".
		w.gated = true
		defer g.recover(w, r)
		st.bounds = limit < 0
		if limit > 0 && r.Body != nil && r.Body != http.NoBody {
			r.Body = http.MaxBytesReader(bare(w), r.Body, limit)
		}
		err := g.admit(a, st, r)
		if err == nil {
			err = h(w, r)
		}
		if err != nil {
			g.fail(w, r, err)
		}
		if st.err != nil {
			g.report(r, st.err)
		}
	})
}

// admit finds out who asks and refuses whom a does not admit.
func (g *Gate) admit(a Access, st *state, r *http.Request) error {
	who, err := g.auth.Authenticate(r)
	if err != nil {
		// A public page opens for everybody, also when their session cannot be
		// looked up: health pages must answer while the database does not.
		if a == Public {
			who, err = Who{}, nil
		} else {
			return err
		}
	}
	st.who = who
	if !who.May(a) {
		if who.Kind == "" {
			return errs.New(errs.Unknown, "this needs a sign-in or a token")
		}
		return errs.New(errs.Denied, "this needs the role %q; you are %s", a, who.describe())
	}
	return g.sameSite(who, r)
}

// describe says who w is, for a refusal.
func (w Who) describe() string {
	if w.Kind == "machine" {
		return "a machine"
	}
	if len(w.Roles) == 0 {
		return "a person without a role"
	}
	return fmt.Sprint("a person with the roles ", w.Roles)
}

// sameSite refuses a change that another site made this browser send: its
// origin must be ours, and with a cookie it must carry the session's token. Basic
// authentication, which a browser repeats by itself, has no such token; programs
// that are no browsers send neither Origin nor Sec-Fetch-Site.
func (g *Gate) sameSite(who Who, r *http.Request) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	if !who.Cookie && !who.Basic && r.Header.Get("Authorization") != "" {
		return nil // no browser adds that by itself
	}
	if err := g.origin.Check(r); err != nil {
		return errs.Wrap(errs.Denied, err, "this change was sent from another site's page")
	}
	if !who.Cookie {
		return nil
	}
	token := r.Header.Get("X-CSRF-Token")
	if token == "" {
		var err error
		if st := stateOf(r.Context()); streams(st, r) {
			token, err = firstToken(st, r)
		} else {
			token, err = formToken(r)
		}
		if err != nil {
			return err
		}
	}
	if who.CSRF == "" || subtle.ConstantTimeCompare([]byte(token), []byte(who.CSRF)) != 1 {
		return errs.New(errs.Denied, "the form is out of date (no valid csrf token): reload the page and send it again")
	}
	return nil
}

// formToken reads the token out of a form. Files of a form beyond 1 MiB go to
// temporary files, which the server removes after the request.
func formToken(r *http.Request) (string, error) {
	ct := r.Header.Get("Content-Type")
	var err error
	switch {
	case strings.HasPrefix(ct, "multipart/form-data"):
		err = r.ParseMultipartForm(1 << 20)
	case strings.HasPrefix(ct, "application/x-www-form-urlencoded"):
		err = r.ParseForm()
	}
	if err != nil {
		return "", bodyErr(err, "the form")
	}
	return r.PostForm.Get("csrf"), nil
}

// fail answers with err, unless the answer is already on its way.
func (g *Gate) fail(w *writer, r *http.Request, err error) {
	if errs.Is(err, errs.Internal) && !isRefusal(err) {
		g.report(r, err)
	}
	if w.status != 0 {
		return
	}
	g.refuse(w, r, err)
}

// refuse writes err as a page for browsers and as a problem document for all others.
func (g *Gate) refuse(w http.ResponseWriter, r *http.Request, err error) {
	shell := g.shell.Load()
	if shell == nil || !wantsPage(r) || TakesBasic(r.Context()) {
		Problem(w, r, err)
		return
	}
	d := document(err)
	errorHeaders(w.Header(), d.Status, err)
	if d.Status == http.StatusUnauthorized {
		to := "/signin?next=" + url.QueryEscape(next(r))
		if r.Header.Get("HX-Request") != "" { // a part of a page: let the whole page go
			w.Header().Set("HX-Redirect", to)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	d.ID = RequestID(r.Context())
	if err := (*shell).Show(w, r, g.page, View{Title: d.Title, Template: "error", Data: d, Status: d.Status}); err != nil {
		g.report(r, fmt.Errorf("show the error page: %w", err))
		Problem(w, r, errs.New(errs.Internal, ""))
	}
}

// next is where to go after signing in: back to a page that was asked for, but
// not into the middle of a change.
func next(r *http.Request) string {
	if r.Method != http.MethodGet {
		return "/"
	}
	return r.URL.RequestURI()
}

// recover answers a panic as an Internal error, with its stack in the log.
func (g *Gate) recover(w *writer, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v) // a handler's wish to cut the connection
	}
	g.log.Error("panic", "request", RequestID(r.Context()), "method", r.Method, "route", r.Pattern, "panic", v, "stack", string(debug.Stack()))
	if w.status != 0 {
		panic(http.ErrAbortHandler) // half an answer must not look whole
	}
	g.refuse(w, r, errs.New(errs.Internal, ""))
}

// report logs an Internal error, unless it only says that the client went away.
func (g *Gate) report(r *http.Request, err error) {
	if r.Context().Err() != nil {
		return
	}
	g.log.Error("request failed", "request", RequestID(r.Context()), "method", r.Method, "route", r.Pattern, "error", err)
}
