package files

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"plumb/base/errs"
	"plumb/engines/web"
)

// in returns the path of the folder that a form is about.
func in(r *http.Request) (string, error) {
	path := r.PostFormValue("in")
	if path != "" && !isNodeName(path) {
		return "", errs.New(errs.Invalid, "%.40q names no folder", path)
	}
	return path, nil
}

// below joins a folder's path and a name, which must be one name.
func below(folder, name string) (string, error) {
	if _, err := cleanName(name); err != nil {
		return "", err
	}
	if folder == "" {
		return name, nil
	}
	return folder + "/" + name, nil
}

// doFolder makes a folder, and shows the one that it is in.
func (s *System) doFolder(w http.ResponseWriter, r *http.Request) error {
	folder, err := in(r)
	if err != nil {
		return err
	}
	name := strings.TrimSpace(r.PostFormValue("name"))
	path, err := below(folder, name)
	if err == nil {
		_, err = s.Mkdir(r.Context(), asker(r), path, false)
	}
	if err != nil && mayFail(err) {
		h, herr := s.head(r, folder)
		if herr != nil {
			return herr
		}
		return s.showFolder(w, r, folderPage{heading: h, Fault: said(err), Typed: name})
	}
	if err != nil {
		return err
	}
	return back(w, r, address(strings.TrimPrefix(folder, "@")), "did", "made")
}

// renamePage is pages/rename.html.
type renamePage struct {
	heading
	Typed string
	Fault string
}

func (s *System) pageRename(w http.ResponseWriter, r *http.Request) error {
	return s.showRename(w, r, nil)
}

func (s *System) showRename(w http.ResponseWriter, r *http.Request, wrong error) error {
	path, err := nodeAt(r)
	if err != nil {
		return err
	}
	p := renamePage{}
	if p.heading, err = s.head(r, path); err != nil {
		return err
	}
	if !p.MayPlace() {
		return errs.New(errs.Denied, "%q may be read only", p.Name)
	}
	p.Typed, p.Back = p.Name, address(p.ID)
	if to := r.URL.Query().Get("back"); strings.HasPrefix(to, "/files/") {
		p.Back = to
	}
	status := http.StatusOK
	if wrong != nil {
		p.Typed, p.Fault, p.Back, status = r.PostFormValue("name"), said(wrong), backTo(r, p.Back), web.Status(wrong)
	}
	return s.show(w, r, web.View{Title: "Rename " + p.Name, Template: "rename.html", Data: p, Status: status})
}

// doRename gives a node another name in its folder.
func (s *System) doRename(w http.ResponseWriter, r *http.Request) error {
	path, err := nodeAt(r)
	if err != nil {
		return err
	}
	n, err := s.Stat(r.Context(), asker(r), path)
	if err != nil {
		return err
	}
	to, err := below(at(n.Parent), strings.TrimSpace(r.PostFormValue("name")))
	if err == nil {
		err = s.Move(r.Context(), asker(r), path, to, false)
	}
	switch {
	case err == nil:
		return back(w, r, backTo(r, address(n.ID)))
	case mayFail(err):
		return s.showRename(w, r, err)
	}
	return err
}

// doRemove puts nodes into the bin. The page that follows offers to undo it.
func (s *System) doRemove(w http.ResponseWriter, r *http.Request) error {
	list, err := chosen(r)
	if err != nil {
		return err
	}
	query := []string{"did", "removed"}
	for _, id := range list {
		// What somebody removed meanwhile is where it was to go.
		if err := s.Remove(r.Context(), asker(r), at(id)); err != nil && !errs.Is(err, errs.NotFound) {
			return err
		}
		query = append(query, "node", id)
	}
	to, _, _ := strings.Cut(backTo(r, "/files/"), "?")
	return back(w, r, to, query...)
}

// doChoose leads what was ticked to the page that asks for a place. (Each form's first
// button is one that does no harm: Enter in a tick's box presses it.)
func (s *System) doChoose(w http.ResponseWriter, r *http.Request) error {
	list, err := chosen(r)
	if err != nil {
		return err
	}
	query := []string{"verb", r.PostFormValue("verb")}
	for _, id := range list {
		query = append(query, "node", id)
	}
	return back(w, r, "/files/place", query...)
}

// placePage is pages/place.html: where to move or copy to.
type placePage struct {
	heading         // of the folder that is looked into
	Verb    string  // move or copy
	Chosen  []Node  // what is to come here
	Steps   []crumb // the folders above this one
	Folders []crumb // those below it
	More    string  // where more of them are
	Fault   string
}

func (s *System) pagePlace(w http.ResponseWriter, r *http.Request) error {
	return s.showPlace(w, r, nil)
}

// showPlace lists the folders of the one that is looked into.
func (s *System) showPlace(w http.ResponseWriter, r *http.Request, wrong error) error {
	ctx, who := r.Context(), asker(r)
	list, err := chosen(r)
	if err != nil {
		return err
	}
	p := placePage{Verb: "copy"}
	if r.FormValue("verb") == "move" {
		p.Verb = "move"
	}
	for _, id := range list {
		n, err := s.Stat(ctx, who, at(id))
		if err != nil {
			return err
		}
		p.Chosen = append(p.Chosen, n)
	}
	to := r.FormValue("to")
	if !r.Form.Has("to") && (p.Chosen[0].Owner == who.ID || p.Verb == "move") {
		to = at(p.Chosen[0].Parent)
	}
	if to != "" && !isNodeName(to) {
		return errs.New(errs.NotFound, "there is no such folder")
	}
	if p.heading, err = s.head(r, to); err != nil {
		return err
	}
	p.Back = address(p.Chosen[0].Parent)
	p.Steps = p.steps()
	if err := s.foldersOf(ctx, who, &p, r.FormValue("cursor")); err != nil {
		return err
	}
	status := http.StatusOK
	if wrong != nil {
		p.Fault, status = said(wrong), web.Status(wrong)
	}
	title := map[string]string{"move": "Move", "copy": "Copy"}[p.Verb]
	return s.show(w, r, web.View{Title: title, Template: "place.html", Data: p, Status: status})
}

// Already says whether everything that is to be moved is in this folder.
func (p placePage) Already() bool {
	return p.Verb == "move" && !slices.ContainsFunc(p.Chosen, func(n Node) bool { return n.Parent != p.ID })
}

// steps are the folders above this one, as places to choose.
func (p placePage) steps() []crumb {
	if p.Mine && p.Name == "" {
		return nil // one's own root
	}
	list := []crumb{{"My files", p.into("", "")}}
	for _, c := range p.Crumbs {
		if id, ok := strings.CutPrefix(c.Path, "/files/n/"); ok {
			list = append(list, crumb{c.Name, p.into(at(id), "")})
		}
	}
	return list
}

// into is where the page looks into another folder.
func (p placePage) into(path, cursor string) string {
	q := url.Values{"verb": {p.Verb}, "to": {path}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	for _, n := range p.Chosen {
		q.Add("node", n.ID)
	}
	return "/files/place?" + q.Encode()
}

// foldersOf fills in the folders in the one that is looked into: they come first there.
func (s *System) foldersOf(ctx context.Context, who Person, p *placePage, cursor string) error {
	sh, err := s.Browse(ctx, who, p.At(), Browse{Cursor: cursor, Limit: mostChosen})
	if err != nil {
		return err
	}
	for _, n := range sh.Nodes {
		if !n.Folder {
			return nil
		}
		p.Folders = append(p.Folders, crumb{n.Name, p.into(at(n.ID), "")})
	}
	if sh.Next != "" {
		p.More = p.into(p.At(), sh.Next)
	}
	return nil
}

// doPlace moves or copies nodes into a folder.
func (s *System) doPlace(w http.ResponseWriter, r *http.Request) error {
	list, err := chosen(r)
	if err != nil {
		return err
	}
	ctx, who, to := r.Context(), asker(r), r.PostFormValue("to")
	if to != "" && !isNodeName(to) {
		return errs.New(errs.NotFound, "there is no such folder")
	}
	for _, id := range list {
		if err = s.placeOne(ctx, who, at(id), to, r.PostFormValue("verb") == "move"); err != nil {
			break
		}
	}
	if err != nil && mayFail(err) {
		return s.showPlace(w, r, err)
	}
	if err != nil {
		return err
	}
	did := "copied"
	if r.PostFormValue("verb") == "move" {
		did = "moved"
	}
	return back(w, r, address(strings.TrimPrefix(to, "@")), "did", did)
}

// placeOne moves or copies one node. A copy where its original is gets a number.
func (s *System) placeOne(ctx context.Context, who Person, path, to string, move bool) error {
	n, err := s.Stat(ctx, who, path)
	if err != nil {
		return err
	}
	name := n.Name
	dest, err := below(to, name)
	if err != nil {
		return err
	}
	if move {
		return s.Move(ctx, who, path, dest, false)
	}
	err = s.Copy(ctx, who, path, dest, false)
	for i := 2; i < 10 && errs.Is(err, errs.Conflict); i++ {
		folder, serr := s.Stat(ctx, who, to)
		if serr != nil || folder.ID != n.Parent {
			return err
		}
		if dest, serr = below(to, numbered(name, "copy "+string(rune('0'+i-1)))); serr != nil {
			return err
		}
		err = s.Copy(ctx, who, path, dest, false)
	}
	return err
}
