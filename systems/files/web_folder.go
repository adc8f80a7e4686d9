package files

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"plumb/base/errs"
	"plumb/engines/web"
)

// crumb is a step of the way to what a page shows.
type crumb struct{ Name, Path string }

// heading is what every page about a node shows above its content.
type heading struct {
	Node
	Crumbs []crumb // the folders above
	Mine   bool
	Rights Rights
	From   string // the owner's name, where that is somebody else
	CSRF   template.HTML
	Signed bool // a person looks, not a stranger
	Back   string
}

// MayWrite says whether the reader may change what is below the node, or its content.
func (h heading) MayWrite() bool { return h.Rights >= Write }

// MayOwn says whether the reader decides about the node.
func (h heading) MayOwn() bool { return h.Rights >= Own }

// MayPlace says whether the reader may rename, move and remove the node: a root stays.
func (h heading) MayPlace() bool { return h.Parent != "" && h.Rights >= Write }

// At is the node's path, as forms and scripts name it: "" for one's own root, which
// has no id before its first file.
func (h heading) At() string {
	if h.Mine && h.Parent == "" {
		return ""
	}
	return at(h.ID)
}

// head finds the node at path with its way. Errors: those of Stat.
func (s *System) head(r *http.Request, path string) (heading, error) {
	who := asker(r)
	n, rights, err := s.StatRights(r.Context(), who, path)
	if err != nil {
		return heading{}, err
	}
	h := heading{Node: n, Mine: n.Owner == who.ID && who.ID != "", Rights: rights, CSRF: web.Field(r), Signed: who.ID != "", Back: r.URL.RequestURI()}
	switch {
	case h.Mine:
		h.Crumbs = []crumb{{"My files", "/files/"}}
	case rights == Write || rights == Read && h.Signed && !s.everybodys(r.Context(), n):
		h.Crumbs = []crumb{{"Shared with me", "/files/shared"}}
	default:
		h.Crumbs = []crumb{{"Public library", "/files/library"}}
	}
	if !h.Mine {
		h.From = s.nameOf(r.Context(), n.Owner)
	}
	if n.ID == "" {
		return h, nil
	}
	way, err := s.Way(r.Context(), who, n)
	if err != nil {
		return heading{}, err
	}
	for _, step := range way {
		if step.ID != n.ID && step.Name != "" {
			h.Crumbs = append(h.Crumbs, crumb{step.Name, address(step.ID)})
		}
	}
	return h, nil
}

// everybodys says whether a node is there for strangers too.
func (s *System) everybodys(ctx context.Context, n Node) bool {
	_, err := s.Stat(ctx, Person{}, at(n.ID))
	return err == nil
}

// nameOf is a person's name, or a word for who is no more.
func (s *System) nameOf(ctx context.Context, id string) string {
	if id == "" {
		return "a stranger"
	}
	p, err := s.n.People.ByID(ctx, id)
	if err != nil {
		return "somebody who is no more"
	}
	return p.Name
}

// folderPage is pages/folder.html.
type folderPage struct {
	heading
	Shelf
	Title  string
	By     string
	Down   bool
	First  bool   // the first page
	More   string // query of the next
	Note   note
	Usage  Usage
	Person string // id, for the script's memory of uploads
	Fault  string // why a change was refused
	Typed  string // the name that was typed then
}

// note is what was done just now.
type note struct {
	Did   string
	Count int
	Undo  []Node // what the bin got
}

// sorts are the columns by which a folder is sorted, with their first way.
var sorts = []struct{ By, Title string }{{"", "Name"}, {"size", "Size"}, {"modified", "Modified"}}

// column is a head of a sorted column.
type column struct {
	Title, Query string
	Sort         string // aria-sort
	Text         bool
}

// Columns are the heads of the table.
func (p folderPage) Columns() (list []column) {
	for _, c := range sorts {
		q := url.Values{}
		if c.By != "" {
			q.Set("by", c.By)
		}
		col := column{Title: c.Title, Text: c.By != "size"}
		if c.By == p.By {
			col.Sort = "ascending"
			if p.Down {
				col.Sort = "descending"
			} else {
				q.Set("down", "1")
			}
		}
		col.Query = "?" + q.Encode()
		list = append(list, col)
	}
	return list
}

func (s *System) pageRoot(w http.ResponseWriter, r *http.Request) error {
	h, err := s.head(r, "")
	if err != nil {
		return err
	}
	h.Crumbs = nil
	return s.showFolder(w, r, folderPage{heading: h})
}

// pageNode shows a folder, or a file.
func (s *System) pageNode(w http.ResponseWriter, r *http.Request) error {
	path, err := nodeAt(r)
	if err != nil {
		return err
	}
	h, err := s.head(r, path)
	switch {
	case err != nil:
		return err
	case h.Folder && h.Parent == "" && h.Mine:
		return back(w, r, "/files/?"+r.URL.RawQuery)
	case h.Folder:
		return s.showFolder(w, r, folderPage{heading: h})
	}
	return s.showOne(w, r, filePage{heading: h})
}

// showFolder lists the folder of p's heading.
func (s *System) showFolder(w http.ResponseWriter, r *http.Request, p folderPage) error {
	ctx, who, q := r.Context(), asker(r), r.URL.Query()
	p.By, p.Down, p.Person = q.Get("by"), q.Get("down") != "", who.ID
	if p.By == "name" {
		p.By = ""
	}
	var err error
	p.Shelf, err = s.Browse(ctx, who, p.At(), Browse{By: p.By, Down: p.Down, Cursor: q.Get("cursor")})
	if err != nil {
		return err
	}
	p.First = q.Get("cursor") == ""
	if p.Next != "" {
		p.More = "?" + p.order("cursor", p.Next)
	}
	if p.Mine {
		if p.Usage, err = s.Quota(ctx, who); err != nil {
			return err
		}
	}
	if p.Note, err = s.noteOf(ctx, who, q); err != nil {
		return err
	}
	p.Title = "My files"
	if p.Name != "" {
		p.Title = p.Name
	}
	status := http.StatusOK
	if p.Fault != "" {
		status = http.StatusUnprocessableEntity
	}
	return s.show(w, r, web.View{Title: p.Title, Template: "folder.html", Data: p, Status: status})
}

// order is the query of the page's order with one thing more.
func (p folderPage) order(name, value string) string {
	q := url.Values{}
	if p.By != "" {
		q.Set("by", p.By)
	}
	if p.Down {
		q.Set("down", "1")
	}
	q.Set(name, value)
	return q.Encode()
}

// FirstPage is the query of the first page in the same order.
func (p folderPage) FirstPage() string {
	q := p.order("", "")
	return "?" + strings.Trim(strings.TrimSuffix(q, "="), "&")
}

// noteOf reads what was done from the address. What it names it looks up, so that an
// address that somebody made up says nothing untrue.
func (s *System) noteOf(ctx context.Context, who Person, q url.Values) (note, error) {
	n := note{Did: q.Get("did"), Count: len(q["node"])}
	if n.Did != "removed" || who.ID == "" {
		return n, nil
	}
	gone := map[string]bool{}
	for _, id := range q["node"] {
		gone[id] = true
	}
	list, _, err := s.Bin(ctx, who, "", mostChosen) // they are the newest
	if err != nil {
		return note{}, err
	}
	for _, b := range list {
		if gone[b.ID] {
			n.Undo = append(n.Undo, b)
		}
	}
	return n, nil
}

// mostChosen bounds how many nodes one form changes: those of a page.
const mostChosen = usualPage

// chosen returns the nodes that a form names: those that were ticked, or the one whose
// own button was pressed. Errors: Invalid.
func chosen(r *http.Request) ([]string, error) {
	if err := r.ParseForm(); err != nil {
		return nil, web.Malformed(errs.Wrap(errs.Invalid, err, "the form could not be read"))
	}
	list := r.Form["node"]
	switch {
	case len(list) == 0:
		return nil, errs.New(errs.Invalid, "nothing is chosen: tick what is meant")
	case len(list) > mostChosen:
		return nil, errs.New(errs.Invalid, "%d at once are too many: up to %d", len(list), mostChosen)
	}
	for _, id := range list {
		if !isNodeName(at(id)) {
			return nil, errs.New(errs.Invalid, "%.40q names nothing", id)
		}
	}
	return list, nil
}
