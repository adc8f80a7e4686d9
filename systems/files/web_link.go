package files

import (
	"net/http"

	"plumb/base/errs"
	"plumb/engines/web"
)

// linkPages are what a link opens. For a browser that goes there it is a page (see
// web_linked.go); else GET /f/TOKEN gives the content of a file, and for a folder a list
// as JSON, or with ?zip=1 all of it; /f/TOKEN/a/b goes below a folder. A password comes
// as that of Basic authentication (with any name), or as the cookie that the page set.
func (s *System) linkPages() []web.Page {
	return []web.Page{
		{Pattern: "GET /f/{link}", Root: true, Access: web.Public, Handler: s.getLink},
		{Pattern: "GET /f/{link}/{path...}", Root: true, Access: web.Public, Handler: s.getLink},
	}
}

// LinkPassword returns the password that came with a request for a link.
func linkPassword(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	return keptPassword(r)
}

// getLink answers for a link.
func (s *System) getLink(w http.ResponseWriter, r *http.Request) error {
	if wantsLinkPage(r) {
		return s.pageLinked(w, r)
	}
	link, n, err := s.Through(r.Context(), r.PathValue("link"), linkPassword(r), web.Remote(r), r.PathValue("path"))
	if errs.Is(err, errs.Unknown) {
		return s.askPassword(w, r, err)
	}
	if err != nil {
		return err
	}
	// The address is a secret: it goes to no other server, nor into a shared cache.
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("X-Robots-Tag", "noindex")
	switch {
	case n.Folder && r.URL.Query().Get("zip") == "":
		return s.listLinked(w, r, n)
	case !n.Folder && n.Blocked:
		return errBlocked()
	}
	if link.Most > 0 && r.Method != http.MethodHead {
		// Each answer is one download, whole: a range would be half of one for nothing.
		r.Header.Del("Range")
		if err := s.Fetch(r.Context(), link); err != nil {
			return err
		}
	}
	if n.Folder {
		return s.serveZip(w, r, n)
	}
	return s.serve(w, r, n, r.URL.Query().Get("download") != "")
}

// askPassword refuses so that a browser, and curl's user, is asked for the password.
func (s *System) askPassword(w http.ResponseWriter, r *http.Request, err error) error {
	web.Problem(basic{w}, r, err)
	return nil
}

// basic asks for Basic authentication where a refusal asks for a token.
type basic struct{ http.ResponseWriter }

func (b basic) WriteHeader(status int) {
	if status == http.StatusUnauthorized {
		b.Header().Set("WWW-Authenticate", `Basic realm="this link's password", charset="UTF-8"`)
	}
	b.ResponseWriter.WriteHeader(status)
}

// listLinked answers with a page of a linked folder.
func (s *System) listLinked(w http.ResponseWriter, r *http.Request, n Node) error {
	list, next, err := s.List(r.Context(), Person{ID: n.Owner}, "@"+n.ID, r.URL.Query().Get("cursor"), mostPage)
	if err != nil {
		return err
	}
	out, _ := nodesAnswer(list, next, nil)
	for i := range out.Body.Nodes {
		out.Body.Nodes[i].Owner = "" // whoever holds a link need not know whose it is
	}
	web.WriteJSON(w, http.StatusOK, out.Body)
	return nil
}
