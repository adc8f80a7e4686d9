package console

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/accounts"
	"plumb/engines/jobs"
	"plumb/engines/web"
)

// opsMenu is shown above each page of the operations.
func opsMenu(r *http.Request) []item {
	list := []item{{"Engines", "/ops", false}, {"Jobs", "/ops/jobs", false}}
	if web.WhoIs(r.Context()).May(web.Admin) {
		list = append(list, item{"People and tokens", "/ops/people", false})
	}
	list = append(list, item{"Audit log", "/ops/audit", false})
	for i := range list {
		list[i].Current = list[i].Path == r.URL.Path
	}
	return list
}

// opsView is pages/ops.html.
type opsView struct {
	Menu    []item
	Engines []engine
	Build   Build
	Began   time.Time
	Now     time.Time
	Kinds   []kindRow
	Faces   []item
}

// kindRow is one kind of job with how many are in each state.
type kindRow struct {
	Kind                                 string
	Waiting, Running, Failing, Discarded int64
}

// ops is the overview: engines, systems, jobs by kind.
func (c *Console) ops(w http.ResponseWriter, r *http.Request) error {
	v := opsView{Menu: opsMenu(r), Engines: c.health.get(c), Build: c.n.Build, Began: c.begun, Now: c.n.Clock.Now()}
	counts, err := c.n.Jobs.Counts(r.Context())
	if err != nil {
		return err
	}
	v.Kinds = byKind(counts)
	for _, f := range c.faces {
		v.Faces = append(v.Faces, item{Title: f.Title, Path: "/" + f.Name + "/"})
	}
	return c.show(w, r, web.View{Title: "Operations", Template: "ops", Data: v, Refresh: 5 * time.Second})
}

// byKind folds River's states into the four that one acts on.
func byKind(counts []jobs.Count) []kindRow {
	rows := map[string]*kindRow{}
	for _, n := range counts {
		k := rows[n.Kind]
		if k == nil {
			k = &kindRow{Kind: n.Kind}
			rows[n.Kind] = k
		}
		switch n.State {
		case "available", "pending", "scheduled":
			k.Waiting += n.N
		case "running":
			k.Running += n.N
		case "retryable":
			k.Failing += n.N
		case "discarded":
			k.Discarded += n.N
		}
	}
	var list []kindRow
	for _, k := range rows {
		list = append(list, *k)
	}
	slices.SortFunc(list, func(a, b kindRow) int { return strings.Compare(a.Kind, b.Kind) })
	return list
}

// jobsView is pages/jobs.html.
type jobsView struct {
	Menu   []item
	Kinds  []string
	States []string
	Kind   string
	State  string
	Jobs   []jobs.Job
	Most   int
	Now    time.Time
	CSRF   template.HTML
	Back   string // the query, so that a change comes back to the same list
}

const mostJobs = 100

// jobs lists jobs, narrowed by kind and state.
func (c *Console) jobs(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	v := jobsView{Menu: opsMenu(r), States: jobs.States(), Kind: q.Get("kind"), State: q.Get("state"), Most: mostJobs, Now: c.n.Clock.Now(), CSRF: web.Field(r), Back: r.URL.RawQuery}
	if v.State != "" && !slices.Contains(v.States, v.State) {
		return errs.New(errs.Invalid, "the state must be one of %s", strings.Join(v.States, ", "))
	}
	counts, err := c.n.Jobs.Counts(r.Context())
	if err != nil {
		return err
	}
	for _, k := range byKind(counts) {
		v.Kinds = append(v.Kinds, k.Kind)
	}
	if v.Jobs, err = c.n.Jobs.List(r.Context(), jobs.Filter{Kind: v.Kind, State: v.State}, mostJobs); err != nil {
		return err
	}
	return c.show(w, r, web.View{Title: "Jobs", Template: "jobs", Data: v, Refresh: 5 * time.Second})
}

// changeJob retries or cancels one.
func (c *Console) changeJob(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return errs.New(errs.NotFound, "there is no job %s", r.PathValue("id"))
	}
	switch verb := r.PathValue("verb"); verb {
	case "retry":
		err = c.n.Jobs.Retry(r.Context(), id)
	case "cancel":
		err = c.n.Jobs.Cancel(r.Context(), id)
	default:
		err = errs.New(errs.NotFound, "a job can be retried or cancelled, not %q", verb)
	}
	if err != nil {
		return err
	}
	back := "/ops/jobs"
	if q, err := url.ParseQuery(r.PostFormValue("back")); err == nil && len(q) > 0 {
		back += "?" + q.Encode()
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
	return nil
}

// peopleView is pages/people.html.
type peopleView struct {
	Menu   []item
	People []accounts.Person
	Tokens []accounts.Token
	Now    time.Time
	CSRF   template.HTML
	Me     string
	Link   string // a sign-in link just made, shown once
	For    string // whose it is
	Done   string
}

func (c *Console) people(w http.ResponseWriter, r *http.Request) error {
	return c.showPeople(w, r, peopleView{Done: done(r)})
}

func (c *Console) showPeople(w http.ResponseWriter, r *http.Request, v peopleView) error {
	v.Menu, v.Now, v.CSRF, v.Me = opsMenu(r), c.n.Clock.Now(), web.Field(r), web.WhoIs(r.Context()).ID
	var err error
	if v.People, err = c.n.People.People(r.Context()); err != nil {
		return err
	}
	if v.Tokens, err = c.n.People.Tokens(r.Context(), ""); err != nil {
		return err
	}
	if v.Link != "" {
		w.Header().Set("Cache-Control", "no-store")
	}
	return c.show(w, r, web.View{Title: "People and tokens", Template: "people", Data: v})
}

// roles reads the form's role: one word stands for itself and all below it.
func roles(word string) ([]web.Access, error) {
	switch word {
	case "":
		return nil, nil
	case "operator":
		return []web.Access{web.Operator}, nil
	case "admin":
		return []web.Access{web.Admin, web.Operator}, nil
	}
	return nil, errs.New(errs.Invalid, "the role must be operator, admin or none")
}

func (c *Console) addPerson(w http.ResponseWriter, r *http.Request) error {
	list, err := roles(r.PostFormValue("role"))
	if err != nil {
		return err
	}
	if _, err := c.n.People.Add(r.Context(), web.WhoIs(r.Context()), strings.TrimSpace(r.PostFormValue("name")), list...); err != nil {
		return err
	}
	http.Redirect(w, r, "/ops/people?done=added", http.StatusSeeOther)
	return nil
}

// changePerson changes somebody's role, lets them in or out, or makes a link.
func (c *Console) changePerson(w http.ResponseWriter, r *http.Request) error {
	ctx, by, id := r.Context(), web.WhoIs(r.Context()), r.PathValue("id")
	var err error
	switch verb := r.PathValue("verb"); verb {
	case "role":
		var list []web.Access
		if list, err = roles(r.PostFormValue("role")); err == nil {
			err = c.n.People.SetRoles(ctx, by, id, list...)
		}
	case "disable":
		err = c.n.People.Disable(ctx, by, id)
	case "enable":
		err = c.n.People.Enable(ctx, by, id)
	case "link":
		name := r.PostFormValue("name")
		link, err := c.n.People.LinkBy(ctx, by, name, c.base(r))
		if err != nil {
			return err
		}
		return c.showPeople(w, r, peopleView{Link: link, For: name})
	default:
		err = errs.New(errs.NotFound, "a person cannot be %q", verb)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/ops/people?done=changed", http.StatusSeeOther)
	return nil
}

// base is how the reader's browser reaches this house.
func (c *Console) base(r *http.Request) string {
	scheme := "http"
	if c.secure(r) {
		scheme = "https"
	}
	return fmt.Sprintf("%s://%s", scheme, r.Host)
}

// auditView is pages/audit.html.
type auditView struct {
	Menu    []item
	Entries []accounts.Entry
	Older   string // the id to go on from; empty at the end
}

const auditPage = 50

func (c *Console) audit(w http.ResponseWriter, r *http.Request) error {
	entries, err := c.n.People.Audit(r.Context(), r.URL.Query().Get("before"), auditPage+1)
	if err != nil {
		return err
	}
	v := auditView{Menu: opsMenu(r), Entries: entries}
	if len(entries) > auditPage {
		v.Entries = entries[:auditPage]
		v.Older = v.Entries[auditPage-1].ID
	}
	return c.show(w, r, web.View{Title: "Audit log", Template: "audit", Data: v})
}
