package photos

import (
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"plumb/base/errs"
	"plumb/engines/web"
)

// albumsPage is pages/albums.html.
type albumsPage struct {
	Albums []Album
	First  bool
	More   string
	Note   note
	Fault  string
	Typed  string
	CSRF   template.HTML
}

// CoverOf is the image of an album's cover.
func (albumsPage) CoverOf(a Album) string {
	if a.Cover == "" {
		return ""
	}
	return "/api/v1/photos/" + a.Cover + "/small"
}

func (s *System) pageAlbums(w http.ResponseWriter, r *http.Request) error {
	return s.showAlbums(w, r, nil)
}

func (s *System) showAlbums(w http.ResponseWriter, r *http.Request, wrong error) error {
	cursor := r.URL.Query().Get("cursor")
	list, next, err := s.Albums(r.Context(), asker(r), "", cursor, wallPage)
	if err != nil {
		return err
	}
	p := albumsPage{Albums: list, First: cursor == "", Note: s.noteOf(r, asker(r)), CSRF: web.Field(r)}
	if next != "" {
		p.More = "/photos/albums?cursor=" + url.QueryEscape(next)
	}
	if wrong != nil {
		p.Fault, p.Typed = said(wrong), r.PostFormValue("title")
	}
	return s.show(w, r, web.View{Title: "Albums", Template: "albums.html", Data: p, Status: status(wrong)})
}

// doAlbums makes an album, and shows it.
func (s *System) doAlbums(w http.ResponseWriter, r *http.Request) error {
	a, err := s.MakeAlbum(r.Context(), asker(r), strings.TrimSpace(r.PostFormValue("title")), nil)
	if err != nil && mayFail(err) {
		return s.showAlbums(w, r, err)
	}
	if err != nil {
		return err
	}
	return back(w, r, "/photos/albums/"+a.ID)
}

// albumPage is pages/album.html.
type albumPage struct {
	Album
	Tiles  []tile
	First  bool
	More   string
	Order  bool // the page on which its order is changed
	Albums []Album
	Note   note
	Fault  string
	CSRF   template.HTML
	Nonce  string
	Back   string
	Rest   string // the first photo that is not on the page of an order; "" for none
}

// Adder and Choice are the forms of the page.
func (p albumPage) Adder() adder   { return adder{CSRF: p.CSRF, Album: p.ID} }
func (p albumPage) Choice() choice { return choice{Albums: p.Albums, In: p.ID} }

// Places are the rules for the photos of the page.
func (p albumPage) Places() (list []template.CSS) {
	for _, t := range p.Tiles {
		list = append(list, t.Rule())
	}
	return list
}

func (s *System) pageAlbum(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(r, "album")
	if err != nil {
		return err
	}
	return s.showAlbum(w, r, id, nil)
}

// mostOrder is how many photos the page of an album's order holds.
const mostOrder = mostPage

func (s *System) showAlbum(w http.ResponseWriter, r *http.Request, id string, wrong error) error {
	ctx, who, q := r.Context(), asker(r), r.URL.Query()
	a, err := s.Album(ctx, who, id)
	if err != nil {
		return err
	}
	p := albumPage{Album: a, Order: q.Has("order"), CSRF: web.Field(r), Nonce: web.Nonce(ctx), Note: s.noteOf(r, who), Back: "/photos/albums/" + a.ID}
	f := Filter{Album: a.ID, Limit: wallPage}
	if r.Method != http.MethodPost {
		f.Cursor = q.Get("cursor")
	}
	if p.First = f.Cursor == ""; p.Order {
		f.Limit = mostOrder
	}
	list, next, err := s.List(ctx, who, f)
	if err != nil {
		return err
	}
	p.Tiles = tiles(list, "?album="+a.ID)
	if next != "" {
		more := url.Values{"cursor": {next}}
		if p.Order {
			more.Set("order", "1")
		}
		p.More = withQuery(p.Back, more)
	}
	if p.Order && next != "" {
		rest, _, err := s.List(ctx, who, Filter{Album: a.ID, Cursor: next, Limit: 1})
		if err != nil {
			return err
		}
		if len(rest) > 0 {
			p.Rest = rest[0].ID
		}
	}
	if p.Albums, err = s.albumChoice(ctx, who); err != nil {
		return err
	}
	if wrong != nil {
		p.Fault = said(wrong)
	}
	return s.show(w, r, web.View{Title: a.Title, Template: "album.html", Data: p, Status: status(wrong)})
}

// doAlbum changes an album's title or order, or ends it.
func (s *System) doAlbum(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(r, "album")
	if err != nil {
		return err
	}
	ctx, who := r.Context(), asker(r)
	do := r.PostFormValue("do")
	if r.URL.Query().Has("step") { // a button of a photo, beside those of the form
		do = "step"
	}
	switch do {
	case "end":
		if err = s.RemoveAlbum(ctx, who, id); err == nil {
			return back(w, r, "/photos/albums", "did", "ended")
		}
	case "order":
		if err = s.order(r, who, id); err == nil {
			return back(w, r, "/photos/albums/"+id, "did", "saved")
		}
	case "step":
		if err = s.step(r, who, id); err == nil {
			return back(w, r, "/photos/albums/"+id+"?order=1")
		}
	default:
		title := strings.TrimSpace(r.PostFormValue("title"))
		if _, err = s.ChangeAlbum(ctx, who, id, AlbumChanges{Title: &title}); err == nil {
			return back(w, r, "/photos/albums/"+id, "did", "saved")
		}
	}
	if mayFail(err) {
		return s.showAlbum(w, r, id, err)
	}
	return err
}

// order brings an album's photos into the order of a form, which has those of one page.
// What is on pages after it stays after them.
func (s *System) order(r *http.Request, who Person, id string) error {
	if err := r.ParseForm(); err != nil {
		return web.Malformed(errs.Wrap(errs.Invalid, err, "the form could not be read"))
	}
	list := r.PostForm["photo"]
	if len(list) == 0 || len(list) > mostOrder {
		return errs.New(errs.Invalid, "an order has 1 to %d photos, not %d", mostOrder, len(list))
	}
	_, err := s.Move(r.Context(), who, id, r.PostFormValue("before"), list...)
	return err
}

// step moves one photo by one place. The form names its neighbours: "step" is PHOTO, or
// PHOTO before OTHER as "PHOTO OTHER".
func (s *System) step(r *http.Request, who Person, id string) error {
	photo, before, _ := strings.Cut(r.PostFormValue("step"), " ")
	_, err := s.Move(r.Context(), who, id, before, photo)
	return err
}

// Step is the value of a button that moves the i-th photo of the page by one place; ""
// where there is none.
func (p albumPage) Step(i, by int) string {
	t := p.Tiles[i].ID
	switch {
	case by < 0 && i > 0:
		return t + " " + p.Tiles[i-1].ID
	case by > 0 && i+2 < len(p.Tiles):
		return t + " " + p.Tiles[i+2].ID
	case by > 0 && i+1 < len(p.Tiles) && p.More == "":
		return t
	}
	return ""
}
