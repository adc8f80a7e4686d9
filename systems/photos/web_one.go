package photos

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/web"
)

// onePage is pages/one.html: one photo.
type onePage struct {
	tile
	Title    string
	Before   *tile // the neighbours in the list that the reader comes from
	After    *tile
	Up       string // that list
	UpTitle  string
	Query    string // "?album=...", to stay in it
	Albums   []Album
	Choice   []Album
	Links    int
	Note     note
	Fault    string
	Typed    string // a caption that was refused
	CSRF     template.HTML
	Original string
}

// When says when it was taken, and how that is known.
func (p onePage) When() string {
	if !p.TakenKnown {
		return "not known; the file is of " + hour(p.Taken)
	}
	return hour(p.Taken)
}

// Local is the time as an input of a form has it.
func (p onePage) Local() string { return p.Taken.Format("2006-01-02T15:04") }

// Pixels are its size in words.
func (p onePage) Pixels() string {
	return fmt.Sprintf("%d × %d, %.1f megapixels", p.Width, p.Height, float64(p.Width)*float64(p.Height)/1e6)
}

// Where are its degrees, as maps take them.
func (p onePage) Where() string {
	return fmt.Sprintf("%.5f, %.5f", p.Lat, p.Lon)
}

// StageSizes says how wide the photo is shown.
func (p onePage) StageSizes() string {
	return "(min-width: 62rem) calc(min(100vw, 74rem) - 24rem), 100vw"
}

// idOf returns the photo that an address names. Errors: NotFound.
func idOf(r *http.Request, what string) (string, error) {
	id := r.PathValue("id")
	if !isPhotoID(id) {
		return "", errs.New(errs.NotFound, "there is no %s at this address", what)
	}
	return id, nil
}

func (s *System) pageOne(w http.ResponseWriter, r *http.Request) error { return s.showOne(w, r, nil) }

func (s *System) showOne(w http.ResponseWriter, r *http.Request, wrong error) error {
	ctx, who, q := r.Context(), asker(r), r.URL.Query()
	id, err := idOf(r, "photo")
	if err != nil {
		return err
	}
	photo, err := s.Get(ctx, who, id)
	if err != nil {
		return err
	}
	p := onePage{tile: tiles([]Photo{photo}, "")[0], CSRF: web.Field(r), Note: s.noteOf(r, who), Typed: photo.Caption}
	p.Original = p.Base + "/" + Original
	p.Title = p.Label()
	if err := s.around(r, who, &p, q); err != nil {
		return err
	}
	if p.Albums, _, err = s.Albums(ctx, who, id, "", 100); err != nil {
		return err
	}
	if p.Choice, err = s.albumChoice(ctx, who); err != nil {
		return err
	}
	list, _, err := s.Links(ctx, who, Target{Photo: id}, "", 100)
	if err != nil {
		return err
	}
	now := s.n.Clock.Now()
	for _, l := range list {
		if !l.Over(now) {
			p.Links++
		}
	}
	if wrong != nil {
		p.Fault, p.Typed = said(wrong), r.PostFormValue("caption")
	}
	return s.show(w, r, web.View{Title: p.Title, Template: "one.html", Data: p, Status: status(wrong)})
}

// around finds the photo's neighbours in the list that its address names: an album, a
// search, the favourites, else all.
func (s *System) around(r *http.Request, who Person, p *onePage, q url.Values) error {
	find := seekOf(q)
	f, err := find.filter()
	if err != nil {
		f = Filter{}
	}
	kept := find.query()
	p.Up, p.UpTitle = withQuery("/photos/", kept), "Photos"
	if find == (seek{Favourites: true}) {
		p.Up, p.UpTitle = "/photos/favourites", "Favourites"
	}
	if f.Album = q.Get("album"); f.Album != "" {
		a, err := s.Album(r.Context(), who, f.Album)
		if err != nil && !errs.Is(err, errs.NotFound) && !errs.Is(err, errs.Invalid) {
			return err
		}
		if err != nil {
			f.Album = ""
		} else {
			kept.Set("album", a.ID)
			p.Up, p.UpTitle = "/photos/albums/"+a.ID, a.Title
		}
	}
	p.Query = withQuery("", kept)
	if !p.Binned.IsZero() {
		p.Up, p.UpTitle = "/photos/bin", "Bin"
		return nil
	}
	before, after, err := s.Around(r.Context(), who, f, p.ID)
	if errs.Is(err, errs.NotFound) || errs.Is(err, errs.Invalid) {
		return nil // it is in that list no longer
	}
	if err != nil {
		return err
	}
	for id, at := range map[string]**tile{before: &p.Before, after: &p.After} {
		if id == "" {
			continue
		}
		*at = &tile{Photo: Photo{ID: id}, Page: "/photos/" + id + p.Query, Base: "/api/v1/photos/" + id}
	}
	return nil
}

// doOne changes a photo.
func (s *System) doOne(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(r, "photo")
	if err != nil {
		return err
	}
	to := withQuery("/photos/"+id, seekAndAlbum(r.URL.Query()))
	ctx, who := r.Context(), asker(r)
	switch do := r.PostFormValue("do"); do {
	case "remove":
		n, err := s.Remove(ctx, who, id)
		if err != nil {
			return err
		}
		return back(w, r, backTo(r, "/photos/"), "did", "removed", "n", strconv.Itoa(n), "gone", id)
	case "restore":
		if _, err := s.Restore(ctx, who, id); err != nil {
			return err
		}
		return back(w, r, to, "did", "restored", "n", "1")
	case "add":
		var a Album
		if a, err = s.putInto(ctx, who, r.PostFormValue("album"), r.PostFormValue("title"), []string{id}); err == nil {
			return back(w, r, to, "did", "added", "n", "1", "to", a.ID)
		}
	case "out":
		if _, err = s.TakeOut(ctx, who, r.PostFormValue("album"), id); err == nil {
			return back(w, r, to, "did", "out", "n", "1")
		}
	default:
		var c Changes
		if c, err = changes(r, do); err == nil {
			_, err = s.Change(ctx, who, id, c)
		}
		if err == nil {
			return back(w, r, to, "did", "saved")
		}
	}
	if mayFail(err) {
		return s.showOne(w, r, err)
	}
	return err
}

// seekAndAlbum keeps of a query what names the list that a photo is looked at in.
func seekAndAlbum(q url.Values) url.Values {
	kept := seekOf(q).query()
	if album := q.Get("album"); album != "" {
		kept.Set("album", album)
	}
	return kept
}

// changes reads what a form changes. Errors: Invalid.
func changes(r *http.Request, do string) (Changes, error) {
	yes := r.PostFormValue("yes") == "1"
	switch do {
	case "caption":
		text := strings.TrimSpace(strings.ReplaceAll(r.PostFormValue("caption"), "\r\n", "\n"))
		return Changes{Caption: &text}, nil
	case "favourite":
		return Changes{Favourite: &yes}, nil
	case "location":
		return Changes{KeepLocation: &yes}, nil
	case "taken":
		text := r.PostFormValue("taken")
		if text == "" {
			return Changes{Taken: &time.Time{}}, nil
		}
		at, err := time.Parse("2006-01-02T15:04", text)
		if err != nil {
			at, err = time.Parse("2006-01-02 15:04", text)
		}
		if err != nil {
			return Changes{}, errs.New(errs.Invalid, "a time is written as 2026-11-22 21:40")
		}
		return Changes{Taken: &at}, nil
	}
	return Changes{}, errs.Wrap(errs.Invalid, errors.New(do), "the form says nothing to do")
}
