package console

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"plumb/engines/web"
	"plumb/face"
)

// item is a link of a menu.
type item struct {
	Title, Path string
	Current     bool
}

// frame is what pages/layout.html shows around the content.
type frame struct {
	Title   string
	Nonce   string
	CSRF    template.HTML
	Who     web.Who
	Nav     []item
	Find    string // what was searched for
	System  *face.Face
	Tabs    []item
	Links   []item // the room's own pages, below its Use tab
	Content template.HTML
	Refresh int // seconds; 0: never
	Health  []engine
	Build   Build
	CSS     []string
	JS      []string
	Modules []string // ES modules
	Icon    string
	Next    string // where to go after signing in
}

// Show is web.Shell's: it executes the room's template and puts the frame around it.
func (c *Console) Show(w http.ResponseWriter, r *http.Request, t *template.Template, v web.View) error {
	var content bytes.Buffer
	if err := t.ExecuteTemplate(&content, v.Template, v.Data); err != nil {
		return fmt.Errorf("template %s: %w", v.Template, err)
	}
	f := frame{
		Title: v.Title, Nonce: web.Nonce(r.Context()), CSRF: web.Field(r), Who: web.WhoIs(r.Context()),
		Content: template.HTML(content.String()), // from html/template, which escaped it
		Health:  c.health.get(c), Build: c.n.Build,
		CSS: c.present("console.css", "chart.css", "shell.css"), JS: c.present("htmx.min.js", "shell.js"), Modules: c.present("js/main.js"), Icon: c.static.URL("icon.svg"),
		Find: strings.TrimSpace(r.URL.Query().Get("q")),
	}
	if r.URL.Path != "/search" {
		f.Find = ""
	}
	if v.Refresh > 0 {
		f.Refresh = max(1, int(v.Refresh.Seconds()))
	}
	if r.Method == http.MethodGet && r.URL.Path != "/signin" {
		f.Next = r.URL.RequestURI()
	}
	f.Nav = c.nav(r, v)
	if face, ok := c.face(v.System); ok {
		f.System = &face
		f.Tabs = tabs(face.Name, v.Tab)
		if v.Tab == "use" && len(face.Links) > 1 {
			for _, l := range face.Links {
				if l.For(web.WhoIs(r.Context())) {
					f.Links = append(f.Links, item{l.Title, l.Path, l.Path == r.URL.Path})
				}
			}
		}
		if f.Title == "" {
			f.Title = face.Title
		} else if f.Title != face.Title {
			f.Title += ", " + face.Title
		}
	}
	var page bytes.Buffer
	if err := c.layout.ExecuteTemplate(&page, "layout", f); err != nil {
		return fmt.Errorf("the frame: %w", err)
	}
	if w.Header().Get("Cache-Control") == "" {
		w.Header().Set("Cache-Control", "private, no-cache")
	}
	status := v.Status
	if status == 0 {
		status = http.StatusOK
	}
	return web.Send(w, r, status, "text/html; charset=utf-8", page.Bytes())
}

// present returns the addresses of those files that there are.
func (c *Console) present(names ...string) []string {
	var urls []string
	for _, n := range names {
		if c.static.Has(n) {
			urls = append(urls, c.static.URL(n))
		}
	}
	return urls
}

// nav is the house's menu, for whoever looks.
func (c *Console) nav(r *http.Request, v web.View) []item {
	path := r.URL.Path
	list := []item{
		{"Questions", "/", path == "/" || strings.HasPrefix(path, "/answers/")},
		{"Proofs", "/proofs", path == "/proofs" || v.Tab == "prove"},
		{"Plans", "/plans", path == "/plans" || v.Tab == "plan"},
	}
	if c.n.Docs != nil {
		list = append(list, item{"Docs", "/docs/", strings.HasPrefix(path, "/docs/")})
	}
	if web.WhoIs(r.Context()).May(web.Operator) {
		list = append(list, item{"Operations", "/ops", strings.HasPrefix(path, "/ops")})
	}
	return list
}

// tabs are the five of a system.
func tabs(name, current string) []item {
	var list []item
	for _, t := range []struct{ title, path string }{{"Use", ""}, {"Prove", "prove"}, {"Plan", "plan"}, {"API", "api"}, {"About", "about"}} {
		list = append(list, item{t.title, "/" + name + "/" + t.path, strings.EqualFold(t.title, current)})
	}
	return list
}

// show shows one of the console's own pages.
func (c *Console) show(w http.ResponseWriter, r *http.Request, v web.View) error {
	return c.Show(w, r, c.pages, v)
}
