// Package console is the one web shell of all systems: the frame around every
// page, the start page by question, the five tabs of a system, search, sign-in,
// operations, health.
//
//	shell, err := console.New(console.Needs{Mux: mux, Gate: gate, API: api, Answers: book, ...})
//	// rooms are opened with the shell, which shows their pages
//	err = shell.Mount(faces)
//	srv := http.Server{Handler: web.House(mux, gate, web.Options{...})}
//
// What holds:
//   - It knows systems by their faces only, and imports none.
//   - Every page works without scripts, by keyboard, at 390 px, light and dark;
//     static/shell.js only adds comfort.
//   - No page loads anything from elsewhere.
//   - A system that is not built, or not served here, is shown as its question
//     and its answer, and says so.
package console

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"plumb/answers"
	"plumb/base/clock"
	"plumb/engines/accounts"
	"plumb/engines/jobs"
	"plumb/engines/web"
	"plumb/face"
)

//go:embed pages/*.html static/*
var own embed.FS

// Jobs is what the operations page does with the queue. plumb/engines/jobs has it.
type Jobs interface {
	Counts(ctx context.Context) ([]jobs.Count, error)
	List(ctx context.Context, f jobs.Filter, limit int) ([]jobs.Job, error)
	Retry(ctx context.Context, id int64) error
	Cancel(ctx context.Context, id int64) error
}

// Tab fills one of the tabs that every system has, Prove or Plan, with routes
// of its own.
type Tab interface {
	// Mount adds the tab's routes for one system with c.Handle; the tab itself
	// is at /NAME/prove or /NAME/plan.
	Mount(c *Console, f face.Face)
	// Rows lists what the tab holds over all systems, for /proofs and /plans.
	Rows(ctx context.Context) ([]Row, error)
}

// Row is a line of /proofs or /plans.
type Row struct {
	System string // the face's name
	Title  string
	Path   string // where it is shown
	Text   string // the last result in a few words; empty when there is none
	Kind   string // "yes" holds, "no" does not, "" neither
}

// Build says what runs.
type Build struct {
	Version string
	Commit  string
	Go      string
	Mode    string // "this machine only" or "clustered"
}

// Command is a command-line verb, for search.
type Command struct {
	Use   string // "plumb vending simulate"
	Short string
}

// Needs is what the console stands on.
type Needs struct {
	Mux     *http.ServeMux
	Gate    *web.Gate
	API     *web.API
	Answers *answers.Book
	Extras  answers.Extras
	People  *accounts.Accounts
	Jobs    Jobs
	Health  func(ctx context.Context) map[string]error // by engine; nil error: it answers
	Vital   []string                                   // the engines without which no request should come here; nil: all
	Metrics http.Handler                               // Prometheus' text; nil: none
	Static  []fs.FS                                    // style sheet, icons, vendored libraries: files by name below /static/
	Systems []string                                   // all that this program holds, served or not
	Build   Build
	Clock   clock.Clock
	Log     *slog.Logger
	Prove   Tab // nil: the tab says that there is nothing yet
	Plan    Tab

	Commands []Command
	Docs     fs.FS // Markdown files: "vending.md"; nil: none
	Secure   bool  // browsers reach us by TLS: cookies are marked so
}

// Console is the shell. It is web.Shell for every room.
type Console struct {
	n        Needs
	static   *web.Static
	layout   *template.Template
	pages    *template.Template
	faces    []face.Face
	health   healthCache
	draining atomic.Bool
	begun    time.Time
}

// New makes the shell and opens the console's own pages. Rooms may be opened
// with it before Mount.
func New(n Needs) (*Console, error) {
	if n.Clock == nil {
		n.Clock = clock.System{}
	}
	pages, err := web.Templates(own, "pages/*.html")
	if err != nil {
		return nil, err
	}
	ours, err := fs.Sub(own, "static")
	if err != nil {
		return nil, fmt.Errorf("console's static files: %w", err)
	}
	static, err := web.NewStatic(append([]fs.FS{ours}, n.Static...)...)
	if err != nil {
		return nil, err
	}
	c := &Console{n: n, static: static, pages: pages, layout: pages, begun: n.Clock.Now()}
	n.Gate.UseShell(c)
	c.routes()
	return c, nil
}

// routes opens the console's own pages.
func (c *Console) routes() {
	for _, p := range []web.Page{
		{Pattern: "GET /{$}", Access: web.Public, Handler: c.start},
		{Pattern: "GET /answers/{$}", Access: web.Public, Handler: func(w http.ResponseWriter, r *http.Request) error {
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return nil
		}},
		{Pattern: "GET /answers/{n}", Access: web.Public, Handler: c.answer},
		{Pattern: "GET /proofs", Access: web.Public, Handler: c.overview("Proofs", c.n.Prove)},
		{Pattern: "GET /plans", Access: web.Public, Handler: c.overview("Plans", c.n.Plan)},
		{Pattern: "GET /search", Access: web.Public, Handler: c.search},
		{Pattern: "GET /docs/{$}", Access: web.Public, Handler: c.docs},
		{Pattern: "GET /docs/{name...}", Access: web.Public, Handler: c.doc},

		{Pattern: "GET /signin", Access: web.Public, Handler: c.signInPage},
		{Pattern: "POST /signin", Access: web.Public, Handler: c.signIn},
		{Pattern: "POST /signout", Access: web.Person, Handler: c.signOut},
		{Pattern: "GET /account", Access: web.Person, Handler: c.account},
		{Pattern: "POST /account/password", Access: web.Person, Handler: c.setPassword},
		{Pattern: "POST /account/tokens", Access: web.Person, Handler: c.newToken},
		{Pattern: "POST /account/tokens/{id}/revoke", Access: web.Person, Handler: c.revoke("/account")},

		{Pattern: "GET /ops", Access: web.Operator, Handler: c.ops},
		{Pattern: "GET /ops/jobs", Access: web.Operator, Handler: c.jobs},
		{Pattern: "POST /ops/jobs/{id}/{verb}", Access: web.Operator, Handler: c.changeJob},
		{Pattern: "GET /ops/people", Access: web.Admin, Handler: c.people},
		{Pattern: "POST /ops/people", Access: web.Admin, Handler: c.addPerson},
		{Pattern: "POST /ops/people/{id}/{verb}", Access: web.Admin, Handler: c.changePerson},
		{Pattern: "POST /ops/tokens/{id}/revoke", Access: web.Admin, Handler: c.revoke("/ops/people")},
		{Pattern: "GET /ops/audit", Access: web.Operator, Handler: c.audit},

		{Pattern: "GET /healthz", Access: web.Public, Handler: c.healthz},
		{Pattern: "GET /readyz", Access: web.Public, Handler: c.readyz},
		{Pattern: "GET /metrics", Access: web.Public, Handler: c.metrics},
		{Pattern: "GET /static/{name...}", Access: web.Public, Handler: c.static.Serve},
		{Pattern: "GET /favicon.ico", Access: web.Public, Handler: func(w http.ResponseWriter, r *http.Request) error {
			http.Redirect(w, r, "/static/icon.svg", http.StatusMovedPermanently)
			return nil
		}},
	} {
		c.Handle(p)
	}
}

// Handle opens one page of the console.
func (c *Console) Handle(p web.Page) {
	c.n.Mux.Handle(p.Pattern, c.n.Gate.Page(p))
}

// Mount opens the pages and the API of every face, and the tabs around them.
// Once. It returns an error where two faces claim the same address.
func (c *Console) Mount(faces []face.Face) (err error) {
	var at string
	defer func() {
		// ServeMux panics when patterns collide; a collision is the caller's
		// news, with the name of who came second.
		if v := recover(); v != nil {
			err = fmt.Errorf("mount %s: %v", at, v)
		}
	}()
	c.faces = faces
	for _, f := range faces {
		at = f.Name
		for _, p := range f.Pages {
			verb, path, ok := strings.Cut(p.Pattern, " ")
			if !ok {
				return fmt.Errorf("mount %s: the pattern %q must name its method", f.Name, p.Pattern)
			}
			if !p.Root {
				path = "/" + f.Name + path
			}
			p.Pattern = verb + " " + path
			c.Handle(p)
		}
		c.n.API.Add(f.API...)
		c.system(f)
	}
	return nil
}

// face returns a system's face by name.
func (c *Console) face(name string) (face.Face, bool) {
	for _, f := range c.faces {
		if f.Name == name {
			return f, true
		}
	}
	return face.Face{}, false
}

// Drain makes /readyz refuse from now on, so that a balancer sends new requests
// elsewhere while this process ends.
func (c *Console) Drain() { c.draining.Store(true) }
