package photos

import (
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/web"
	"plumb/face"
)

//go:embed pages
var pageFiles embed.FS

// templates are parsed once; a template that does not parse is a fault of the program,
// which every test of a page finds.
var templates = template.Must(web.Templates(pageFiles, "pages/*.html"))

// pages lists the room's pages, below /photos, and below /p/ for those who got a link.
func (s *System) pages() []web.Page {
	return []web.Page{
		{Pattern: "GET /{$}", Access: web.Person, Handler: s.pageTimeline},
		{Pattern: "GET /favourites", Access: web.Person, Handler: s.pageTimeline},
		{Pattern: "POST /upload", Access: web.Person, Handler: s.doUpload, Limit: -1},
		{Pattern: "POST /chosen", Access: web.Person, Handler: s.doChosen},
		{Pattern: "GET /bin", Access: web.Person, Handler: s.pageBin},
		{Pattern: "POST /bin", Access: web.Person, Handler: s.doBin},
		{Pattern: "GET /{id}", Access: web.Person, Handler: s.pageOne},
		{Pattern: "POST /{id}", Access: web.Person, Handler: s.doOne},

		{Pattern: "GET /albums", Access: web.Person, Handler: s.pageAlbums},
		{Pattern: "POST /albums", Access: web.Person, Handler: s.doAlbums},
		{Pattern: "GET /albums/{id}", Access: web.Person, Handler: s.pageAlbum},
		{Pattern: "POST /albums/{id}", Access: web.Person, Handler: s.doAlbum},
		{Pattern: "GET /links", Access: web.Person, Handler: s.pageLinks},
		{Pattern: "POST /links", Access: web.Person, Handler: s.doLinks},

		{Pattern: "GET /shards", Access: web.Operator, Handler: s.pageShards},
		{Pattern: "POST /shards", Access: web.Operator, Handler: s.doShards},
		{Pattern: "POST /shards/{name}", Access: web.Operator, Handler: s.doShard},
		{Pattern: "POST /repairs", Access: web.Operator, Handler: s.doRepair},
		{Pattern: "POST /migrations/{id}", Access: web.Operator, Handler: s.doMigration},
		{Pattern: "POST /pin", Access: web.Operator, Handler: s.doPin},
		{Pattern: "GET /rebalance", Access: web.Operator, Handler: s.pageRebalance},
		{Pattern: "POST /rebalance", Access: web.Operator, Handler: s.doRebalance},

		{Pattern: "GET /app.webmanifest", Access: web.Public, Handler: s.appManifest},
		{Pattern: "GET /worker.js", Access: web.Public, Handler: s.appWorker},

		{Pattern: "GET /p/{link}", Root: true, Access: web.Public, Handler: s.pageShared},
		{Pattern: "POST /p/{link}", Root: true, Access: web.Public, Handler: s.doShared},
		{Pattern: "GET /p/{link}/zip", Root: true, Access: web.Public, Handler: s.sharedZip},
		{Pattern: "GET /p/{link}/{photo}", Root: true, Access: web.Public, Handler: s.pageSharedOne},
		{Pattern: "GET /p/{link}/{photo}/{size}", Root: true, Access: web.Public, Handler: s.sharedImage},
	}
}

// menu are the room's own pages, under its tab.
func (s *System) menu() []face.Link {
	return []face.Link{{Title: "Photos", Path: "/photos/"}, {Title: "Favourites", Path: "/photos/favourites"}, {Title: "Albums", Path: "/photos/albums"},
		{Title: "Links", Path: "/photos/links"}, {Title: "Bin", Path: "/photos/bin"}, {Title: "Shards", Path: "/photos/shards", Access: web.Operator}}
}

func (s *System) show(w http.ResponseWriter, r *http.Request, v web.View) error {
	v.System, v.Tab = realm, "use"
	return s.n.Shell.Show(w, r, templates, v)
}

// asker is who looks at a page.
func asker(r *http.Request) Person {
	who := web.WhoIs(r.Context())
	if !who.May(web.Person) {
		return Person{}
	}
	return Person{ID: who.ID, Operator: who.May(web.Operator)}
}

// back sends the browser to a page of the room, with what was done in its query.
func back(w http.ResponseWriter, r *http.Request, path string, query ...string) error {
	u, err := url.Parse(path)
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "%.80q is no address", path)
	}
	q := u.Query()
	for _, name := range []string{"did", "gone", "n", "to"} { // what was done before this
		q.Del(name)
	}
	for i := 0; i+1 < len(query); i += 2 {
		q.Add(query[i], query[i+1])
	}
	u.RawQuery = q.Encode()
	http.Redirect(w, r, u.String(), http.StatusSeeOther)
	return nil
}

// backTo is the page of the room that a form names as the one to come back to, or other.
// An address elsewhere is not followed.
func backTo(r *http.Request, other string) string {
	to := r.PostFormValue("back")
	if u, err := url.Parse(to); err == nil && u.Scheme == "" && u.Host == "" && strings.HasPrefix(to, "/photos/") {
		return to
	}
	return other
}

// mayFail says whether an error is the reader's to mend, and so belongs into the page
// and not in place of it.
func mayFail(err error) bool {
	switch errs.KindOf(err) {
	case errs.Invalid, errs.Conflict, errs.TooLarge, errs.Denied, errs.Stale, errs.Busy:
		return true
	}
	return false
}

// said are the words about an error with its details.
func said(err error) string {
	text := errs.Message(err)
	for _, d := range errs.Details(err) {
		text += "; " + d.Where + " " + d.What
	}
	return text
}

// status is that of a page that shows err, or 200.
func status(err error) int {
	if err == nil {
		return http.StatusOK
	}
	return web.Status(err)
}

// mostChosen bounds how many photos one form of a page names: their ids stand in the
// address that follows, for its undo.
const mostChosen = 200

// chosen returns the photos that a form names. Errors: Invalid.
func chosen(r *http.Request) ([]string, error) {
	if err := r.ParseForm(); err != nil {
		return nil, web.Malformed(errs.Wrap(errs.Invalid, err, "the form could not be read"))
	}
	list := r.Form["photo"]
	switch {
	case len(list) == 0:
		return nil, errs.New(errs.Invalid, "nothing is chosen: tick what is meant")
	case len(list) > mostChosen:
		return nil, errs.New(errs.Invalid, "%d at once are too many: up to %d", len(list), mostChosen)
	}
	for _, id := range list {
		if !isPhotoID(id) {
			return nil, errs.New(errs.Invalid, "%.40q names no photo", id)
		}
	}
	return list, nil
}

// isPhotoID says whether s is written as an id is.
func isPhotoID(s string) bool {
	return len(s) == 36 && strings.Trim(s, "0123456789abcdef-") == ""
}

// note is what was done just now, told by the page that follows.
type note struct {
	Did    string
	Count  int
	Photos []string // what can be undone
	To     string   // an album's id
	Title  string   // its title
	Fault  string
	CSRF   template.HTML
	Back   string
}

// Text says it.
func (n note) Text() string {
	photos := "photo"
	if n.Count != 1 {
		photos = "photos"
	}
	one := func(yes, no string) string {
		if n.Count == 1 {
			return yes
		}
		return strconv.Itoa(n.Count) + " " + no
	}
	switch n.Did {
	case "removed":
		return one("The photo is", "photos are") + " in the bin now."
	case "restored":
		return one("The photo is", "photos are") + " back."
	case "purged":
		return "Gone for good."
	case "emptied":
		return "The bin is empty."
	case "favoured":
		return one("The photo is a favourite", "photos are favourites") + " now."
	case "added":
		return one("The photo is", photos+" are") + " in “" + n.Title + "” now."
	case "out":
		return one("The photo is", "photos are") + " out of the album, and still among your photos."
	case "uploaded":
		return one("The photo is here.", "photos are here.")
	case "saved":
		return "Saved."
	case "ended":
		return "The album is gone. Its photos are still here."
	case "revoked":
		return "The link is ended, at once and for good."
	case "revoked-all":
		return one("One link was good, and is ended.", "links were good, and are ended.")
	}
	return ""
}

// noteOf reads what was done from the address. What it names it looks up, so that an
// address that somebody made up says nothing untrue of anybody.
func (s *System) noteOf(r *http.Request, p Person) note {
	q := r.URL.Query()
	n := note{Did: q.Get("did"), CSRF: web.Field(r), Back: here(r)}
	n.Count, _ = strconv.Atoi(q.Get("n")) // nothing, where it is no number
	n.Count = max(0, min(n.Count, 1_000_000))
	if n.Did == "removed" && len(q["gone"]) <= mostChosen {
		n.Photos = q["gone"]
	}
	if n.Did == "added" {
		a, err := s.Album(r.Context(), p, q.Get("to"))
		if err != nil {
			return note{}
		}
		n.To, n.Title = a.ID, a.Title
	}
	return n
}

// here is the address of a page without what was done.
func here(r *http.Request) string {
	q := r.URL.Query()
	for _, name := range []string{"did", "gone", "n", "to"} {
		q.Del(name)
	}
	return withQuery(r.URL.Path, q)
}

func withQuery(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// Photos' times are what the camera's clock showed: they are shown as that, wherever the
// reader is.
func day(t time.Time) string  { return t.Format("2 January 2006") }
func hour(t time.Time) string { return t.Format("2 January 2006, 15:04") }
