package files

import (
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"plumb/base/errs"
	"plumb/engines/web"
	"plumb/face"
)

//go:embed pages/*.html
var pageFiles embed.FS

// templates are parsed once; a template that does not parse is a fault of the
// program, which every test of a page finds.
var templates = template.Must(web.Templates(pageFiles, "pages/*.html"))

// pages lists the room's pages, below /files, and below /f/ for those who got a link.
func (s *System) pages() []web.Page {
	return []web.Page{
		{Pattern: "GET /{$}", Access: web.Person, Handler: s.pageRoot},
		{Pattern: "GET /n/{id}", Access: web.Public, Handler: s.pageNode},
		{Pattern: "GET /n/{id}/rename", Access: web.Person, Handler: s.pageRename},
		{Pattern: "POST /n/{id}/rename", Access: web.Person, Handler: s.doRename},
		{Pattern: "POST /n/{id}/revert", Access: web.Person, Handler: s.doRevert},
		{Pattern: "POST /n/{id}/forget", Access: web.Person, Handler: s.doForget},
		{Pattern: "GET /n/{id}/share", Access: web.Person, Handler: s.pageShare},
		{Pattern: "POST /n/{id}/public", Access: web.Person, Handler: s.doPublish},
		{Pattern: "POST /n/{id}/people", Access: web.Person, Handler: s.doShare},
		{Pattern: "POST /n/{id}/links", Access: web.Person, Handler: s.doLink},
		{Pattern: "GET /n/{id}/report", Access: web.Public, Handler: s.pageReport},
		{Pattern: "POST /n/{id}/report", Access: web.Public, Handler: s.doReport},
		{Pattern: "POST /links/{id}/revoke", Access: web.Person, Handler: s.doUnlink},
		{Pattern: "POST /folders", Access: web.Person, Handler: s.doFolder},
		{Pattern: "POST /upload", Access: web.Person, Handler: s.doUpload, Limit: -1},
		{Pattern: "POST /choose", Access: web.Person, Handler: s.doChoose},
		{Pattern: "GET /place", Access: web.Person, Handler: s.pagePlace},
		{Pattern: "POST /place", Access: web.Person, Handler: s.doPlace},
		{Pattern: "POST /remove", Access: web.Person, Handler: s.doRemove},
		{Pattern: "GET /bin", Access: web.Person, Handler: s.pageBin},
		{Pattern: "POST /bin", Access: web.Person, Handler: s.doBin},
		{Pattern: "GET /shared", Access: web.Person, Handler: s.pageShared},
		{Pattern: "GET /library", Access: web.Public, Handler: s.pageLibrary},
		{Pattern: "GET /search", Access: web.Public, Handler: s.pageSearch},
		{Pattern: "GET /stored", Access: web.Person, Handler: s.pageStored},
		{Pattern: "POST /quota", Access: web.Operator, Handler: s.doQuota},
		{Pattern: "GET /flags", Access: web.Operator, Handler: s.pageFlags},
		{Pattern: "POST /flags", Access: web.Operator, Handler: s.doFlag},

		{Pattern: "POST /f/{link}", Root: true, Access: web.Public, Handler: s.doLinked},
		{Pattern: "POST /f/{link}/{path...}", Root: true, Access: web.Public, Handler: s.doLinked},
	}
}

// links are the room's own pages in its menu.
func (s *System) links() []face.Link {
	return []face.Link{{Title: "My files", Path: "/files/"}, {Title: "Shared with me", Path: "/files/shared"}, {Title: "Public library", Path: "/files/library"},
		{Title: "Search", Path: "/files/search"}, {Title: "Bin", Path: "/files/bin"}, {Title: "Stored once", Path: "/files/stored"}, {Title: "Reports", Path: "/files/flags", Access: web.Operator}}
}

func (s *System) show(w http.ResponseWriter, r *http.Request, v web.View) error {
	v.System, v.Tab = realm, "use"
	return s.n.Shell.Show(w, r, templates, v)
}

// asker is who looks at a page.
func asker(r *http.Request) Person { return person(r.Context()) }

// at is the path of a node by its id; that of "" is one's own root.
func at(id string) string {
	if id == "" {
		return ""
	}
	return "@" + id
}

// nodeAt is the path of the node that a page's address names. Errors: NotFound.
func nodeAt(r *http.Request) (string, error) {
	path := "@" + r.PathValue("id")
	if !isNodeName(path) {
		return "", errs.New(errs.NotFound, "there is nothing at this address")
	}
	return path, nil
}

// address is where a node is shown; that of "" is one's own root.
func address(id string) string {
	if id == "" {
		return "/files/"
	}
	return "/files/n/" + id
}

// back sends the browser to a page of the room, with what was done in its query.
func back(w http.ResponseWriter, r *http.Request, path string, query ...string) error {
	q := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		q.Add(query[i], query[i+1])
	}
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

// backTo is the page of the room that a form names as the one to come back to, or
// other. An address elsewhere is not followed.
func backTo(r *http.Request, other string) string {
	to := r.PostFormValue("back")
	if u, err := url.Parse(to); err == nil && u.Scheme == "" && u.Host == "" && strings.HasPrefix(to, "/files/") {
		return to
	}
	return other
}

// mayFail says whether an error is the reader's to mend, and so belongs into the page
// and not in place of it.
func mayFail(err error) bool {
	switch errs.KindOf(err) {
	case errs.Invalid, errs.Conflict, errs.TooLarge, errs.Barred, errs.Denied, errs.Stale:
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
