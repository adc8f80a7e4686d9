package photos

import (
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"plumb/base/errs"
	"plumb/engines/web"
)

// linksPage is pages/links.html: the links to an album or a photo, or all of the
// reader's.
type linksPage struct {
	Target
	Name   string // of the target
	Up     string // its page
	Query  string // "?album=..."
	Links  []Link
	First  bool
	More   string
	Good   int   // links of this page that open something
	Made   *Link // just now
	Life   int   // days, as usual
	Form   linkForm
	Now    time.Time
	Note   note
	Fault  string
	CSRF   template.HTML
	Placed bool // the target has a place, or may have
}

// linkForm is what was typed.
type linkForm struct {
	Life                string
	Downloads, Location bool
}

// lives are the lifetimes to choose from, in days; "-1" is for good.
var lives = []struct{ Days, Title string }{{"1", "a day"}, {"7", "a week"}, {"30", "30 days"}, {"90", "90 days"}, {"365", "a year"}, {"-1", "until you revoke it"}}

// Lives are they.
func (linksPage) Lives() any { return lives }

// Any says whether the page is about one target.
func (p linksPage) Any() bool { return p.Target != Target{} }

// Path is where a link's target is.
func (linksPage) Path(l Link) string {
	if l.Target.Album != "" {
		return "/photos/albums/" + l.Target.Album
	}
	return "/photos/" + l.Target.Photo
}

// targetOf reads what a request is about.
func targetOf(q url.Values) Target {
	if album := q.Get("album"); album != "" {
		return Target{Album: album}
	}
	return Target{Photo: q.Get("photo")}
}

func (s *System) pageLinks(w http.ResponseWriter, r *http.Request) error {
	return s.showLinks(w, r, linksPage{Form: linkForm{Life: strconv.Itoa(days(s.c.LinkLife)), Downloads: true}}, nil)
}

// days is a time in whole ones.
func days(d time.Duration) int { return int(d / (24 * time.Hour)) }

func (s *System) showLinks(w http.ResponseWriter, r *http.Request, p linksPage, wrong error) error {
	ctx, who, q := r.Context(), asker(r), r.URL.Query()
	p.Target = targetOf(q)
	if err := s.nameTarget(r, who, &p); err != nil {
		return err
	}
	cursor := q.Get("cursor")
	list, next, err := s.Links(ctx, who, p.Target, cursor, 50)
	if err != nil {
		return err
	}
	p.Links, p.First, p.Now, p.CSRF = list, cursor == "", s.n.Clock.Now(), web.Field(r)
	for _, l := range list {
		if !l.Over(p.Now) {
			p.Good++
		}
	}
	own := url.Values{}
	if p.Album != "" {
		own.Set("album", p.Album)
	} else if p.Photo != "" {
		own.Set("photo", p.Photo)
	}
	p.Query = withQuery("", own)
	if next != "" {
		own.Set("cursor", next)
		p.More = withQuery("/photos/links", own)
	}
	p.Note = s.noteOf(r, who)
	if wrong != nil {
		p.Fault = said(wrong)
	}
	if p.Made != nil {
		w.Header().Set("Cache-Control", "no-store") // the link is shown this once
	}
	title := "Links"
	if p.Name != "" {
		title += " to " + p.Name
	}
	return s.show(w, r, web.View{Title: title, Template: "links.html", Data: p, Status: status(wrong)})
}

// nameTarget finds what the page is about. Errors: NotFound.
func (s *System) nameTarget(r *http.Request, who Person, p *linksPage) error {
	switch {
	case p.Album != "":
		a, err := s.Album(r.Context(), who, p.Album)
		if err != nil {
			return err
		}
		p.Name, p.Up, p.Placed = a.Title, "/photos/albums/"+a.ID, true
	case p.Photo != "":
		photo, err := s.Get(r.Context(), who, p.Photo)
		if err != nil {
			return err
		}
		p.Name, p.Up, p.Placed = tile{Photo: photo}.Label(), "/photos/"+photo.ID, photo.HasPlace
	}
	return nil
}

// doLinks makes a link, or ends one or all.
func (s *System) doLinks(w http.ResponseWriter, r *http.Request) error {
	ctx, who, t := r.Context(), asker(r), targetOf(r.URL.Query())
	here := withQuery("/photos/links", keep(r.URL.Query(), "album", "photo"))
	switch r.PostFormValue("do") {
	case "revoke":
		if err := s.RevokeLink(ctx, who, r.PostFormValue("link")); err != nil {
			return err
		}
		return back(w, r, here, "did", "revoked")
	case "revoke-all":
		n, err := s.RevokeAll(ctx, who, t)
		if err != nil {
			return err
		}
		return back(w, r, here, "did", "revoked-all", "n", strconv.Itoa(n))
	}
	p := linksPage{Form: linkForm{Life: r.PostFormValue("life"), Downloads: r.PostFormValue("downloads") != "", Location: r.PostFormValue("location") != ""}}
	n, err := strconv.Atoi(p.Form.Life)
	if err != nil || n > 3650 {
		err = errs.New(errs.Invalid, "a link is good for 1 to 3,650 days")
	}
	var made Link
	if err == nil {
		life := time.Duration(n) * 24 * time.Hour
		if n < 0 {
			life = -1
		}
		made, err = s.MakeLink(ctx, who, t, LinkOptions{Life: life, Password: r.PostFormValue("password"), Downloads: p.Form.Downloads, KeepLocation: p.Form.Location})
	}
	if err != nil && mayFail(err) {
		return s.showLinks(w, r, p, err)
	}
	if err != nil {
		return err
	}
	p.Made = &made
	return s.showLinks(w, r, p, nil)
}

// keep leaves of a query what is named.
func keep(q url.Values, names ...string) url.Values {
	out := url.Values{}
	for _, name := range names {
		if v := q.Get(name); v != "" {
			out.Set(name, v)
		}
	}
	return out
}
