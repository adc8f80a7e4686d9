package photos

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/web"
)

// sharedPage is pages/shared.html: what a link shows. It stands outside of the house's
// frame, and is one answer: its styles and its script are in it, named by their hashes in
// its policy, so that an answer that has not changed is not sent again.
type sharedPage struct {
	Shared
	Tiles  []tile
	Base   string // the link's address
	URL    string // with the house, for previews
	More   string
	Ask    bool // for the password
	Gone   bool // there is no such link
	Fault  string
	One    *tile // the page of one photo
	Before string
	After  string
	Up     string
	CSS    template.CSS
	Places template.CSS
	JS     template.JS
	CSRF   template.HTML
}

// sharedWall is how many photos a page of a link has.
const sharedWall = 100

// sharedCSS and sharedJS are in each such page.
var (
	sharedCSS = asset("pages/shared.css")
	sharedJS  = asset("pages/shared.js")
)

// asset reads a file of the pages. A missing one is a fault of the program.
func asset(name string) string {
	b, err := pageFiles.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// visit is who looks through a link.
func visit(r *http.Request) Visit {
	return Visit{Token: r.PathValue("link"), Password: linkPassword(r), Remote: web.Remote(r)}
}

// linkCookie keeps a link's password in the browser until that is closed, for the
// addresses below the link and for nobody else.
const linkCookie = "plumb_photos"

// linkPassword is the password that came with a request: from the page's form before, or
// that of Basic authentication, for programs.
func linkPassword(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
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

// linkBase is the address of the link of a request.
func linkBase(r *http.Request) string { return "/p/" + url.PathEscape(r.PathValue("link")) }

func (s *System) pageShared(w http.ResponseWriter, r *http.Request) error {
	return s.showShared(w, r, visit(r), "", nil)
}

// pageSharedOne is the page of one photo, for browsers without scripts.
func (s *System) pageSharedOne(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("photo")
	if !isPhotoID(id) {
		return s.sharedFault(w, r, errs.New(errs.NotFound, ""))
	}
	return s.showShared(w, r, visit(r), id, nil)
}

// doShared takes the password.
func (s *System) doShared(w http.ResponseWriter, r *http.Request) error {
	v := visit(r)
	v.Password = r.PostFormValue("password")
	if v.Password == "" || len(v.Password) > 256 {
		v.Password = ""
		return s.showShared(w, r, v, "", errs.New(errs.Invalid, "type the password"))
	}
	if _, err := s.open(r.Context(), v); err != nil { // what it shows is seen, and counted, by the page that follows
		return s.showShared(w, r, v, "", nil)
	}
	http.SetCookie(w, &http.Cookie{Name: linkCookie, Value: base64.RawURLEncoding.EncodeToString([]byte(v.Password)), Path: linkBase(r),
		HttpOnly: true, Secure: web.Secure(r.Context()), SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, linkBase(r), http.StatusSeeOther)
	return nil
}

// showShared shows what a link leads to, one photo of it, or asks for its password.
func (s *System) showShared(w http.ResponseWriter, r *http.Request, v Visit, one string, wrong error) error {
	cursor := r.URL.Query().Get("cursor")
	sh, err := s.View(r.Context(), v, cursor, sharedWall)
	if wrong != nil && (err == nil || errs.Is(err, errs.Unknown)) {
		return s.sendShared(w, r, sharedPage{Ask: true, Fault: said(wrong)}, web.Status(wrong))
	}
	if err != nil {
		return s.sharedFault(w, r, err, v.Password != "")
	}
	p := sharedPage{Shared: sh, Base: linkBase(r)}
	suffix := ""
	if cursor != "" {
		suffix = "?cursor=" + url.QueryEscape(cursor)
	}
	for i, photo := range sh.Photos {
		at := p.Base + "/" + photo.ID
		p.Tiles = append(p.Tiles, tile{Photo: photo, Page: at + suffix, Base: at, Public: true, First: i < 12})
	}
	if sh.Next != "" {
		p.More = p.Base + "?cursor=" + url.QueryEscape(sh.Next)
	}
	if one == "" {
		if sh.Single && len(p.Tiles) == 1 && !p.Tiles[0].Hurt() {
			p.One = &p.Tiles[0]
		}
		return s.sendShared(w, r, p, http.StatusOK)
	}
	p.Up = p.Base + suffix
	for i := range p.Tiles {
		if p.Tiles[i].ID != one {
			continue
		}
		p.One = &p.Tiles[i]
		if i > 0 {
			p.Before = p.Tiles[i-1].Page
		}
		if i+1 < len(p.Tiles) {
			p.After = p.Tiles[i+1].Page
		}
		return s.sendShared(w, r, p, http.StatusOK)
	}
	return s.sharedFault(w, r, errs.New(errs.NotFound, ""))
}

// sharedFault shows why a link opens nothing. That it is unknown, is over or was revoked
// is one answer.
func (s *System) sharedFault(w http.ResponseWriter, r *http.Request, err error, tried ...bool) error {
	switch errs.KindOf(err) {
	case errs.Unknown:
		p := sharedPage{Ask: true}
		if len(tried) > 0 && tried[0] {
			p.Fault = said(err)
			return s.sendShared(w, r, p, http.StatusUnprocessableEntity)
		}
		return s.sendShared(w, r, p, http.StatusOK)
	case errs.NotFound:
		return s.sendShared(w, r, sharedPage{Gone: true}, http.StatusNotFound)
	case errs.Busy:
		return s.sendShared(w, r, sharedPage{Ask: true, Fault: said(err)}, web.Status(err))
	case errs.Invalid:
		return s.sendShared(w, r, sharedPage{Gone: true, Fault: said(err)}, web.Status(err))
	}
	return err
}

// sendShared renders the page and sends it with its policy.
func (s *System) sendShared(w http.ResponseWriter, r *http.Request, p sharedPage, status int) error {
	p.Base, p.CSRF = linkBase(r), web.Field(r)
	p.URL = s.n.URL + p.Base
	p.CSS, p.JS = template.CSS(sharedCSS), template.JS(sharedJS)
	var rules strings.Builder
	for _, t := range p.Tiles {
		rules.WriteString(string(t.Rule()))
	}
	p.Places = template.CSS(rules.String())
	var body strings.Builder
	if err := templates.ExecuteTemplate(&body, "shared.html", p); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; style-src "+
		hashed(sharedCSS)+" "+hashed(rules.String())+"; script-src "+hashed(sharedJS))
	h.Set("Referrer-Policy", "no-referrer") // the address is a secret
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cache-Control", "private, no-cache")
	if status == http.StatusOK && !p.Ask {
		sum := sha256.Sum256([]byte(body.String()))
		h.Set("ETag", `W/"`+base64.RawURLEncoding.EncodeToString(sum[:12])+`"`)
	}
	return web.Send(w, r, status, "text/html; charset=utf-8", []byte(body.String()))
}

// hashed names a script or style in a content security policy.
func hashed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Under is the line below a photo for who looks through a link.
func (t tile) Under() string {
	var list []string
	if t.TakenKnown {
		list = append(list, day(t.Taken))
	}
	if t.Place != "" {
		list = append(list, t.Place)
	}
	return strings.Join(list, ", ")
}

// Day writes when the link ends.
func (sharedPage) Day(t time.Time) string { return day(t.UTC()) }

// sharedImage answers with an image of what a link shows.
func (s *System) sharedImage(w http.ResponseWriter, r *http.Request) error {
	size := r.PathValue("size")
	img, err := s.ViewImage(r.Context(), visit(r), r.PathValue("photo"), size)
	if errs.Is(err, errs.Unknown) && strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Redirect(w, r, linkBase(r), http.StatusSeeOther) // where the password is asked for
		return nil
	}
	if err != nil {
		return err
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("X-Robots-Tag", "noindex, nofollow")
	sendImage(w, r, img, cacheOf(size), size == Original)
	return nil
}

// sharedZip answers with all originals that a link gives.
func (s *System) sharedZip(w http.ResponseWriter, r *http.Request) error {
	v := visit(r)
	sh, err := s.View(r.Context(), v, "", sharedWall)
	if err != nil {
		return s.sharedFault(w, r, err, v.Password != "")
	}
	if !sh.Link.Downloads {
		return errs.New(errs.Denied, "this link gives no originals")
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("X-Robots-Tag", "noindex, nofollow")
	name := "" // of the photo that is next
	next := func() (string, bool, error) {
		for len(sh.Photos) == 0 {
			if sh.Next == "" {
				return "", false, nil
			}
			var err error
			if sh, err = s.View(r.Context(), v, sh.Next, sharedWall); err != nil {
				return "", false, err
			}
		}
		id := sh.Photos[0].ID
		name, sh.Photos = sh.Photos[0].Name, sh.Photos[1:]
		return id, true, nil
	}
	return s.zip(w, r, sh.Title, next, func(ctx context.Context, id string) (*Image, error) {
		img, err := s.ViewImage(ctx, v, id, Original)
		if errs.Is(err, errs.Invalid) {
			err = errs.Wrap(errs.Invalid, err, "%s cannot be given without its place: ask whoever made the link", name)
		}
		return img, err
	})
}
