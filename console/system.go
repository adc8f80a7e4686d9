package console

import (
	"context"
	"net/http"

	"plumb/answers"
	"plumb/engines/web"
	"plumb/face"
)

// system opens the tabs of one system that the console itself fills.
func (c *Console) system(f face.Face) {
	root := "/" + f.Name
	c.Handle(web.Page{Pattern: "GET " + root, Access: web.Public, Handler: func(w http.ResponseWriter, r *http.Request) error {
		http.Redirect(w, r, root+"/", http.StatusPermanentRedirect)
		return nil
	}})
	c.Handle(web.Page{Pattern: "GET " + root + "/api", Access: web.Public, Handler: c.apiTab(f)})
	c.Handle(web.Page{Pattern: "GET " + root + "/about", Access: web.Public, Handler: c.aboutTab(f)})
	for _, t := range []struct {
		tab  Tab
		name string
	}{{c.n.Prove, "prove"}, {c.n.Plan, "plan"}} {
		if t.tab != nil {
			t.tab.Mount(c, f)
			continue
		}
		c.Handle(web.Page{Pattern: "GET " + root + "/" + t.name, Access: web.Public, Handler: c.noTab(f, t.name)})
	}
}

// noTabView is pages/notab.html.
type noTabView struct{ System, Tab string }

// noTab says that a tab has nothing to show.
func (c *Console) noTab(f face.Face, tab string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return c.show(w, r, web.View{System: f.Name, Tab: tab, Title: f.Title, Template: "notab", Data: noTabView{f.Name, tab}})
	}
}

// aboutView is pages/about.html.
type aboutView struct {
	Face      face.Face
	Questions []answers.Question
	Doc       string // where its documentation is read; empty: nowhere here
}

// aboutTab tells the question, the answer, the limits, and how it scales out.
func (c *Console) aboutTab(f face.Face) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		v := aboutView{Face: f, Questions: c.n.Answers.Of(f.Name), Doc: c.docPath(f.About.Docs)}
		return c.show(w, r, web.View{System: f.Name, Tab: "about", Title: "About", Template: "about", Data: v})
	}
}

// overviewView is pages/overview.html: all proofs, or all plans.
type overviewView struct {
	Title string
	Word  string // "prove" or "plan"
	Rows  []overviewRow
}

type overviewRow struct {
	Row
	Of string // the system's title
}

// overview lists what a tab holds over all systems.
func (c *Console) overview(title string, tab Tab) web.Handler {
	word := map[string]string{"Proofs": "prove", "Plans": "plan"}[title]
	return func(w http.ResponseWriter, r *http.Request) error {
		v := overviewView{Title: title, Word: word}
		rows, err := c.rows(r.Context(), tab)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if f, ok := c.face(row.System); ok {
				v.Rows = append(v.Rows, overviewRow{row, f.Title})
			}
		}
		return c.show(w, r, web.View{Title: title, Template: "overview", Data: v})
	}
}

func (c *Console) rows(ctx context.Context, tab Tab) ([]Row, error) {
	if tab == nil {
		return nil, nil
	}
	return tab.Rows(ctx)
}
