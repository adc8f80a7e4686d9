package console

import (
	"io/fs"
	"net/http"
	"strconv"
	"strings"

	"plumb/engines/web"
)

// found is one thing that a search found.
type found struct {
	Kind  string // "system", "page", "question", "concern", "operation", "command", "document"
	Title string
	Path  string // empty: nothing to open, as with a command
	Text  string
}

// searchView is pages/search.html.
type searchView struct {
	Query string
	Found []found
	Part  bool // only the list, for the box in the header
}

const (
	mostFound = 60
	mostQuick = 8
)

// search finds systems, pages, questions, operations, commands and documents.
// With part=1 it answers with the first few as a bare list, for the quick results.
func (c *Console) search(w http.ResponseWriter, r *http.Request) error {
	v := searchView{Query: strings.TrimSpace(r.URL.Query().Get("q")), Part: r.URL.Query().Get("part") != ""}
	if len(v.Query) > 200 {
		v.Query = strings.ToValidUTF8(v.Query[:200], "")
	}
	most := mostFound
	if v.Part {
		most = mostQuick
	}
	if v.Query != "" {
		v.Found = c.find(v.Query, web.WhoIs(r.Context()), most)
	}
	if v.Part {
		var b strings.Builder
		if err := c.pages.ExecuteTemplate(&b, "results", v); err != nil {
			return err
		}
		w.Header().Set("Cache-Control", "private, no-cache")
		return web.Send(w, r, http.StatusOK, "text/html; charset=utf-8", []byte(b.String()))
	}
	title := "Search"
	if v.Query != "" {
		title = v.Query + ": search"
	}
	return c.show(w, r, web.View{Title: title, Template: "search", Data: v})
}

// find looks for entries that hold every word, each as the beginning of a word.
// A match in the title comes before one in the text.
func (c *Console) find(query string, who web.Who, most int) []found {
	words := strings.Fields(strings.ToLower(query))
	var inTitle, inText []found
	for _, e := range c.entries(who) {
		switch {
		case holds(e.Title+" "+e.Kind, words):
			inTitle = append(inTitle, e)
		case holds(e.Title+" "+e.Text+" "+e.Kind+" "+e.Path, words):
			inText = append(inText, e)
		}
	}
	all := append(inTitle, inText...)
	for _, h := range c.n.Answers.Search(query, most) {
		f := found{Kind: h.Kind, Title: h.Text, Path: "/answers/" + strconv.Itoa(h.Question), Text: "question " + strconv.Itoa(h.Question) + ", " + h.System}
		if h.ID != "" {
			f.Path += "#" + h.ID
		}
		all = append(all, f)
	}
	return all[:min(len(all), most)]
}

// entries is all that can be found besides the answers. There are a few
// hundred, so that they are gathered anew for each search.
func (c *Console) entries(who web.Who) []found {
	var list []found
	for _, f := range c.faces {
		list = append(list, found{"system", f.Title, "/" + f.Name + "/", f.Asks})
		for _, l := range f.Links {
			if l.For(who) {
				list = append(list, found{"page", l.Title, l.Path, f.Title})
			}
		}
		for _, t := range tabs(f.Name, "")[1:] {
			list = append(list, found{"page", f.Title + ": " + t.Title, t.Path, ""})
		}
		for _, o := range f.API {
			list = append(list, found{"operation", o.Method + " " + o.Path, "/" + f.Name + "/api#" + anchor(o.Method+" "+o.Path), f.Title})
		}
	}
	list = append(list, found{"page", "Questions", "/", "the start page"}, found{"page", "Proofs", "/proofs", "experiments of all systems"}, found{"page", "Plans", "/plans", "capacity and cost of all systems"})
	if who.May(web.Person) {
		list = append(list, found{"page", "Your account", "/account", "tokens, password"})
	}
	if who.May(web.Operator) {
		list = append(list, found{"page", "Operations", "/ops", "health of engines"}, found{"page", "Jobs", "/ops/jobs", "background work: retry, cancel"}, found{"page", "Audit log", "/ops/audit", "who changed what"})
	}
	if who.May(web.Admin) {
		list = append(list, found{"page", "People and tokens", "/ops/people", "roles, sign-in links, revoke"})
	}
	for _, k := range c.n.Commands {
		list = append(list, found{"command", k.Use, "", k.Short})
	}
	for _, n := range c.docNames() {
		text, err := fs.ReadFile(c.n.Docs, n)
		if err != nil {
			continue // a document that cannot be read is not found
		}
		list = append(list, found{"document", docTitle(n, text), "/docs/" + strings.TrimSuffix(n, ".md"), headings(text)})
	}
	return list
}

// holds says whether text has, for each of the words, a word that begins with it.
func holds(text string, words []string) bool {
	have := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return strings.ContainsRune(" /.,:;-_{}()'\"\n", r) })
next:
	for _, w := range words {
		for _, h := range have {
			if strings.HasPrefix(h, w) {
				continue next
			}
		}
		return false
	}
	return true
}
