package photos

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/web"
)

// timelinePage is pages/timeline.html.
type timelinePage struct {
	seek
	Title  string
	Months []month
	Rail   []railYear
	Newer  string // where the month after the first one shown begins
	First  bool   // the first page
	More   string // the next one
	Albums []Album
	Note   note
	Fault  string
	CSRF   template.HTML
	Nonce  string
	Back   string
	Keep   Totals
	Most   int64 // bytes of one photo
}

// Adder and Choice are the forms of the page.
func (p timelinePage) Adder() adder   { return adder{CSRF: p.CSRF} }
func (p timelinePage) Choice() choice { return choice{Albums: p.Albums} }

// Places are the rules for the photos of the page.
func (p timelinePage) Places() (list []template.CSS) {
	for _, m := range p.Months {
		for _, t := range m.Tiles {
			list = append(list, t.Rule())
		}
	}
	return list
}

// seek is what was searched for, as it was typed.
type seek struct {
	Find, Camera, Place, From, To string
	Favourites, Broken            bool
}

// seekOf reads a search from an address.
func seekOf(q url.Values) seek {
	text := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	return seek{Find: text("find"), Camera: text("camera"), Place: text("place"), From: text("from"), To: text("until"),
		Favourites: q.Get("favourites") != "", Broken: q.Get("broken") != ""}
}

// Any says whether something was searched for.
func (s seek) Any() bool { return s != seek{} && s != seek{Favourites: true} }

// Fine says whether more than words were.
func (s seek) Fine() bool { return s.Camera+s.Place+s.From+s.To != "" || s.Broken }

// query writes it as an address has it.
func (s seek) query() url.Values {
	q := url.Values{}
	for name, text := range map[string]string{"find": s.Find, "camera": s.Camera, "place": s.Place, "from": s.From, "until": s.To} {
		if text != "" {
			q.Set(name, text)
		}
	}
	if s.Favourites {
		q.Set("favourites", "1")
	}
	if s.Broken {
		q.Set("broken", "1")
	}
	return q
}

// filter is the list that it asks for. Errors: Invalid for a day that is none.
func (s seek) filter() (Filter, error) {
	f := Filter{Text: s.Find, Camera: s.Camera, Place: s.Place, Favourite: s.Favourites, Broken: s.Broken, From: dateOf(s.From), To: dateOf(s.To)}
	if s.From != "" && f.From.IsZero() || s.To != "" && f.To.IsZero() {
		return f, errs.New(errs.Invalid, "a day is written as 2026-11-22")
	}
	if !f.To.IsZero() {
		f.To = f.To.AddDate(0, 0, 1) // the last day counts
	}
	return f, nil
}

// wallPage is how many photos a page of them has.
const wallPage = 80

// pageTimeline shows the reader's photos, the last taken first: all, those that are
// searched for, or the favourites.
func (s *System) pageTimeline(w http.ResponseWriter, r *http.Request) error {
	return s.showTimeline(w, r, nil)
}

func (s *System) showTimeline(w http.ResponseWriter, r *http.Request, wrong error) error {
	ctx, who := r.Context(), asker(r)
	p := timelinePage{seek: seekOf(r.URL.Query()), Title: "Photos", CSRF: web.Field(r), Nonce: web.Nonce(r.Context()), Back: here(r), Most: s.c.MaxBytes}
	if strings.HasSuffix(r.URL.Path, "/favourites") {
		p.Favourites, p.Title = true, "Favourites"
	}
	if r.Method == http.MethodPost { // a form that was refused: the page is the first one
		p.seek, p.Back = seek{}, "/photos/"
	}
	f, err := p.filter()
	if err == nil {
		err = s.fillTimeline(ctx, who, r, &p, f)
	}
	if errs.Is(err, errs.Invalid) {
		wrong, err = err, nil
	}
	if err != nil {
		return err
	}
	if wrong != nil {
		p.Fault = said(wrong)
	}
	p.Note = s.noteOf(r, who)
	return s.show(w, r, web.View{Title: p.Title, Template: "timeline.html", Data: p, Status: status(wrong)})
}

// fillTimeline fetches what the page shows.
func (s *System) fillTimeline(ctx context.Context, who Person, r *http.Request, p *timelinePage, f Filter) error {
	f.Cursor, f.Limit = "", wallPage
	if r.Method != http.MethodPost {
		f.Cursor = r.URL.Query().Get("cursor")
	}
	p.First = f.Cursor == ""
	q := p.query()
	suffix := withQuery("", q)
	list, next, err := s.List(ctx, who, f)
	if err != nil {
		return err
	}
	p.Months = byMonth(tiles(list, suffix))
	if next != "" {
		q.Set("cursor", next)
		p.More = withQuery(r.URL.Path, q)
		if r.Method == http.MethodPost {
			p.More = withQuery("/photos/", q)
		}
	}
	if !p.Any() && !p.Favourites {
		months, err := s.Months(ctx, who)
		if err != nil {
			return err
		}
		s.railOf(p, months)
	}
	if p.Albums, err = s.albumChoice(ctx, who); err != nil {
		return err
	}
	p.Keep, err = s.Totals(ctx, who)
	return err
}

// railOf adds what the months say.
func (s *System) railOf(p *timelinePage, months []Month) {
	p.Rail = rail(months)
	counts := map[string]int64{}
	for _, y := range p.Rail {
		for _, m := range y.Months {
			counts[m.Key] = m.Count
		}
	}
	for i := range p.Months {
		p.Months[i].Count = counts[p.Months[i].Key]
	}
	if !p.First && len(p.Months) > 0 {
		p.Newer = "/photos/"
		if m, ok := later(months, p.Months[0].Key); ok {
			p.Newer = monthPath(m)
		}
	}
}

// doChosen does something with photos that were chosen on a page.
func (s *System) doChosen(w http.ResponseWriter, r *http.Request) error {
	list, err := chosen(r)
	if err == nil {
		err = s.withChosen(w, r, list)
	}
	if err == nil || !mayFail(err) {
		return err
	}
	if album := r.PostFormValue("in"); album != "" {
		return s.showAlbum(w, r, album, err)
	}
	return s.showTimeline(w, r, err)
}

func (s *System) withChosen(w http.ResponseWriter, r *http.Request, list []string) error {
	ctx, who, to := r.Context(), asker(r), backTo(r, "/photos/")
	switch r.PostFormValue("do") {
	case "favourite":
		if _, err := s.Favour(ctx, who, true, list...); err != nil {
			return err
		}
		return back(w, r, to, "did", "favoured", "n", strconv.Itoa(len(list)))
	case "remove":
		n, err := s.Remove(ctx, who, list...)
		if err != nil {
			return err
		}
		query := []string{"did", "removed", "n", strconv.Itoa(n)}
		for _, id := range list {
			query = append(query, "gone", id)
		}
		return back(w, r, to, query...)
	case "out":
		if _, err := s.TakeOut(ctx, who, r.PostFormValue("in"), list...); err != nil {
			return err
		}
		return back(w, r, to, "did", "out", "n", strconv.Itoa(len(list)))
	case "cover":
		if _, err := s.ChangeAlbum(ctx, who, r.PostFormValue("in"), AlbumChanges{Cover: &list[0]}); err != nil {
			return err
		}
		return back(w, r, to, "did", "saved")
	case "download":
		return s.download(w, r, list)
	}
	a, err := s.putInto(ctx, who, r.PostFormValue("album"), r.PostFormValue("title"), list)
	if err != nil {
		return err
	}
	return back(w, r, to, "did", "added", "n", strconv.Itoa(len(list)), "to", a.ID)
}

// putInto puts photos into an album, or into a new one of that title.
func (s *System) putInto(ctx context.Context, who Person, album, title string, list []string) (Album, error) {
	if album != "" {
		return s.AddTo(ctx, who, album, list...)
	}
	if title = strings.TrimSpace(title); title == "" {
		return Album{}, errs.New(errs.Invalid, "choose an album, or type a title for a new one")
	}
	return s.MakeAlbum(ctx, who, title, list)
}

// binPage is pages/bin.html.
type binPage struct {
	Tiles []tile
	First bool
	More  string
	Keep  time.Duration
	Now   time.Time
	Note  note
	Fault string
	CSRF  template.HTML
	Nonce string
}

// Ends is when a photo of the bin goes for good.
func (p binPage) Ends(t tile) time.Time { return t.Binned.Add(p.Keep) }

// Places are the rules for the photos of the page.
func (p binPage) Places() (list []template.CSS) {
	for _, t := range p.Tiles {
		list = append(list, t.Rule())
	}
	return list
}

func (s *System) pageBin(w http.ResponseWriter, r *http.Request) error { return s.showBin(w, r, nil) }

func (s *System) showBin(w http.ResponseWriter, r *http.Request, wrong error) error {
	cursor := r.URL.Query().Get("cursor")
	list, next, err := s.Bin(r.Context(), asker(r), cursor, wallPage)
	if err != nil {
		return err
	}
	p := binPage{Tiles: tiles(list, ""), First: cursor == "", Keep: s.c.Bin, Now: s.n.Clock.Now(), Note: s.noteOf(r, asker(r)), CSRF: web.Field(r), Nonce: web.Nonce(r.Context())}
	if next != "" {
		p.More = "/photos/bin?cursor=" + url.QueryEscape(next)
	}
	if wrong != nil {
		p.Fault = said(wrong)
	}
	return s.show(w, r, web.View{Title: "Bin", Template: "bin.html", Data: p, Status: status(wrong)})
}

// doBin restores or ends what lies in the bin.
func (s *System) doBin(w http.ResponseWriter, r *http.Request) error {
	ctx, who, do := r.Context(), asker(r), r.PostFormValue("do")
	if do == "empty" {
		if _, err := s.EmptyBin(ctx, who); err != nil {
			return err
		}
		return back(w, r, "/photos/bin", "did", "emptied")
	}
	list, err := chosen(r)
	did, n := "restored", 0
	switch {
	case err != nil:
	case do == "purge":
		did = "purged"
		n, err = s.Purge(ctx, who, list...)
	default:
		n, err = s.Restore(ctx, who, list...)
	}
	if err != nil && mayFail(err) {
		return s.showBin(w, r, err)
	}
	if err != nil {
		return err
	}
	return back(w, r, backTo(r, "/photos/bin"), "did", did, "n", strconv.Itoa(n))
}
