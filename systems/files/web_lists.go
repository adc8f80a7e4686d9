package files

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/web"
)

// line is a node in a list of nodes from several places.
type line struct {
	Node
	Rights Rights
	From   string // the owner's name; "" for the reader
	Where  string // the folders above it that the reader may see
}

// lines adds the owners' names, each looked up once.
func (s *System) lines(ctx context.Context, who Person, list []Node) []line {
	names := map[string]string{who.ID: ""}
	var out []line
	for _, n := range list {
		name, known := names[n.Owner]
		if !known {
			name = s.nameOf(ctx, n.Owner)
			names[n.Owner] = name
		}
		out = append(out, line{Node: n, From: name})
	}
	return out
}

// listPage is pages/shared.html, library.html and search.html.
type listPage struct {
	Lines  []line
	First  bool
	More   string // query of the next page
	Find   string
	Signed bool
	Fault  string
}

// where names the folders above a node, as far as the reader may see them.
func (s *System) where(ctx context.Context, who Person, n Node) (string, error) {
	way, err := s.Way(ctx, who, n)
	var names []string
	for _, step := range way {
		if step.ID != n.ID && step.Name != "" {
			names = append(names, step.Name)
		}
	}
	return strings.Join(names, " / "), err
}

// next is the query of a list's next page.
func next(cursor string, more ...string) string {
	if cursor == "" {
		return ""
	}
	q := url.Values{"cursor": {cursor}}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return "?" + q.Encode()
}

func (s *System) pageShared(w http.ResponseWriter, r *http.Request) error {
	who, cursor := asker(r), r.URL.Query().Get("cursor")
	list, more, err := s.SharedWithMe(r.Context(), who, cursor, usualPage)
	if err != nil {
		return err
	}
	p := listPage{Lines: s.lines(r.Context(), who, list), First: cursor == "", More: next(more), Signed: true}
	for i, l := range p.Lines {
		_, rights, err := s.StatRights(r.Context(), who, at(l.ID))
		if err != nil && !errs.Is(err, errs.NotFound) {
			return err
		}
		p.Lines[i].Rights = rights
	}
	return s.show(w, r, web.View{Title: "Shared with me", Template: "shared.html", Data: p})
}

func (s *System) pageLibrary(w http.ResponseWriter, r *http.Request) error {
	who, cursor := asker(r), r.URL.Query().Get("cursor")
	list, more, err := s.Public(r.Context(), cursor, usualPage)
	if err != nil {
		return err
	}
	p := listPage{Lines: s.lines(r.Context(), who, list), First: cursor == "", More: next(more), Signed: who.ID != ""}
	return s.show(w, r, web.View{Title: "Public library", Template: "library.html", Data: p})
}

func (s *System) pageSearch(w http.ResponseWriter, r *http.Request) error {
	who, q := asker(r), r.URL.Query()
	p := listPage{Find: strings.TrimSpace(q.Get("find")), First: q.Get("cursor") == "", Signed: who.ID != ""}
	status := http.StatusOK
	if p.Find != "" {
		found, more, err := s.Search(r.Context(), who, p.Find, q.Get("cursor"), usualPage)
		switch {
		case errs.Is(err, errs.Invalid):
			p.Fault, status = said(err), web.Status(err)
		case err != nil:
			return err
		}
		var list []Node
		for _, f := range found {
			list = append(list, f.Node)
		}
		p.Lines, p.More = s.lines(r.Context(), who, list), next(more, "find", p.Find)
		for i, l := range p.Lines {
			if p.Lines[i].Where, err = s.where(r.Context(), who, l.Node); err != nil {
				return err
			}
		}
	}
	return s.show(w, r, web.View{Title: "Search", Template: "search.html", Data: p, Status: status})
}

// binPage is pages/bin.html.
type binPage struct {
	Nodes []Node
	First bool
	More  string
	Keep  time.Duration
	Now   time.Time
	Did   string
	Fault string
	CSRF  template.HTML
}

// Ends is when a node of the bin goes for good.
func (p binPage) Ends(n Node) time.Time { return n.Binned.Add(p.Keep) }

func (s *System) pageBin(w http.ResponseWriter, r *http.Request) error {
	return s.showBin(w, r, binPage{Did: r.URL.Query().Get("did")}, nil)
}

func (s *System) showBin(w http.ResponseWriter, r *http.Request, p binPage, wrong error) error {
	cursor := r.URL.Query().Get("cursor")
	list, more, err := s.Bin(r.Context(), asker(r), cursor, usualPage)
	if err != nil {
		return err
	}
	p.Nodes, p.First, p.More, p.CSRF = list, cursor == "", next(more), web.Field(r)
	p.Keep, p.Now = s.c.Bin, s.n.Clock.Now()
	status := http.StatusOK
	if wrong != nil {
		p.Fault, status = said(wrong), web.Status(wrong)
	}
	return s.show(w, r, web.View{Title: "Bin", Template: "bin.html", Data: p, Status: status})
}

// doBin restores or ends what lies in the bin.
func (s *System) doBin(w http.ResponseWriter, r *http.Request) error {
	ctx, who := r.Context(), asker(r)
	if r.PostFormValue("do") == "empty" {
		if _, err := s.EmptyBin(ctx, who); err != nil {
			return err
		}
		return back(w, r, "/files/bin", "did", "emptied")
	}
	list, err := chosen(r)
	if err != nil {
		return s.showBin(w, r, binPage{}, err)
	}
	did := "restored"
	for _, id := range list {
		if r.PostFormValue("do") == "purge" {
			did = "purged"
			err = s.Purge(ctx, who, id)
		} else {
			_, err = s.Restore(ctx, who, id, "")
		}
		if err != nil && mayFail(err) {
			return s.showBin(w, r, binPage{}, err)
		}
		if err != nil {
			return err
		}
	}
	to, _, _ := strings.Cut(backTo(r, "/files/bin"), "?")
	return back(w, r, to, "did", did)
}
