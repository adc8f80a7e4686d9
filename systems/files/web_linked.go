package files

import (
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/web"
)

// linkedPage is pages/linked.html: what a link shows a person who opens it.
type linkedPage struct {
	Node
	preview
	Base    string // the link's own address
	Here    string // that of what is shown
	Crumbs  []crumb
	List    []linkedLine
	More    string
	Ask     bool // for the password
	Fault   string
	Left    int64 // downloads that are left; -1 for any number
	Expires time.Time
	CSRF    template.HTML
	Done    bool // it was reported
	Reason  string
}

// linkedLine is a node in a linked folder, with its address below the link.
type linkedLine struct {
	Node
	Path string
}

// wantsLinkPage says whether a request is a browser that goes to a link's address, and
// not one that fetches its content: by a button of the page, or as a picture in another.
func wantsLinkPage(r *http.Request) bool {
	q := r.URL.Query()
	dest := r.Header.Get("Sec-Fetch-Dest")
	return r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") && (dest == "" || dest == "document") &&
		!q.Has("download") && !q.Has("zip") && !q.Has("raw")
}

// linkCookie keeps a link's password in the browser until that is closed, for the
// addresses below the link and for nobody else, as it keeps one of Basic authentication.
const linkCookie = "plumb_link"

func keptPassword(r *http.Request) string {
	c, err := r.Cookie(linkCookie)
	if err != nil {
		return ""
	}
	b, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return ""
	}
	return string(b)
}

// pageLinked shows what a link leads to.
func (s *System) pageLinked(w http.ResponseWriter, r *http.Request) error {
	return s.showLinked(w, r, linkPassword(r), linkedPage{}, nil)
}

// doLinked takes the password that the page asked for, or a report of what it shows.
func (s *System) doLinked(w http.ResponseWriter, r *http.Request) error {
	token := r.PathValue("link")
	if r.PostFormValue("do") == "report" {
		reason := strings.TrimSpace(r.PostFormValue("reason"))
		_, err := s.FlagLinked(r.Context(), token, keptPassword(r), web.Remote(r), r.PathValue("path"), reason)
		if err != nil && !mayFail(err) {
			return err
		}
		return s.showLinked(w, r, keptPassword(r), linkedPage{Done: err == nil, Reason: reason}, err)
	}
	password := r.PostFormValue("password")
	if password == "" || len(password) > 256 {
		return s.showLinked(w, r, "", linkedPage{}, errs.New(errs.Invalid, "type the password"))
	}
	_, _, err := s.Through(r.Context(), token, password, web.Remote(r), r.PathValue("path"))
	if err != nil {
		return s.showLinked(w, r, password, linkedPage{}, nil)
	}
	http.SetCookie(w, &http.Cookie{Name: linkCookie, Value: base64.RawURLEncoding.EncodeToString([]byte(password)), Path: "/f/" + token,
		HttpOnly: true, Secure: web.Secure(r.Context()), SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, r.URL.EscapedPath(), http.StatusSeeOther)
	return nil
}

// showLinked shows the page of a link, or asks for its password.
func (s *System) showLinked(w http.ResponseWriter, r *http.Request, password string, p linkedPage, wrong error) error {
	ctx, rest := r.Context(), strings.Trim(r.PathValue("path"), "/")
	h := w.Header()
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Cache-Control", "no-store")
	p.Base, p.CSRF = "/f/"+url.PathEscape(r.PathValue("link")), web.Field(r)
	p.Here = p.Base + pathBelow(rest)
	if wrong != nil {
		p.Fault = said(wrong)
	}
	link, n, err := s.Through(ctx, r.PathValue("link"), password, web.Remote(r), rest)
	if errs.Is(err, errs.Unknown) {
		p.Ask = true
		if password != "" {
			p.Fault = said(err)
		}
		return s.n.Shell.Show(w, r, templates, web.View{Title: "A link with a password", Template: "linked.html", Data: p, Status: faultStatus(p.Fault)})
	}
	if err != nil {
		return err
	}
	p.Node, p.Expires, p.Left = n, link.Expires, -1
	if link.Most > 0 {
		p.Left = max(link.Most-link.Used, 0)
	}
	if rest != "" {
		top, err := s.Stat(ctx, Person{ID: link.Owner}, at(link.Target))
		if err != nil {
			return err
		}
		p.Crumbs = crumbsBelow(p.Base, top.Name, rest)
	}
	if n.Folder {
		err = s.listOf(r, &p, rest)
	} else if p.Left < 0 { // what counts downloads shows nothing before
		p.preview, err = s.peek(ctx, n)
		p.Src = p.Here + "?raw=1"
	}
	if err != nil {
		return err
	}
	if p.Look == "pdf" {
		h.Set("Content-Security-Policy", framing(ctx))
	}
	return s.n.Shell.Show(w, r, templates, web.View{Title: n.Name, Template: "linked.html", Data: p, Status: faultStatus(p.Fault)})
}

func faultStatus(fault string) int {
	if fault != "" {
		return http.StatusUnprocessableEntity
	}
	return http.StatusOK
}

// listOf fills in a page of a linked folder.
func (s *System) listOf(r *http.Request, p *linkedPage, rest string) error {
	sh, err := s.Browse(r.Context(), Person{ID: p.Owner}, at(p.ID), Browse{Cursor: r.URL.Query().Get("cursor")})
	if err != nil {
		return err
	}
	for _, n := range sh.Nodes {
		p.List = append(p.List, linkedLine{n, p.Base + pathBelow(strings.TrimPrefix(rest+"/"+n.Name, "/"))})
	}
	p.More = next(sh.Next)
	return nil
}

// pathBelow writes names as a part of an address.
func pathBelow(rest string) string {
	if rest == "" {
		return ""
	}
	var b strings.Builder
	for name := range strings.SplitSeq(rest, "/") {
		b.WriteString("/" + url.PathEscape(name))
	}
	return b.String()
}

// crumbsBelow are the folders from a link's own to the one above what is shown.
func crumbsBelow(base, top, rest string) []crumb {
	list := []crumb{{top, base}}
	names := strings.Split(rest, "/")
	for i := range names[:len(names)-1] {
		list = append(list, crumb{names[i], base + pathBelow(strings.Join(names[:i+1], "/"))})
	}
	return list
}
