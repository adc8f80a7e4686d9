package vending

import (
	"bytes"
	"context"
	"embed"
	"encoding/csv"
	"errors"
	"fmt"
	"html/template"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"plumb/base/bounds"
	"plumb/base/errs"
	"plumb/engines/fleet"
	"plumb/engines/once"
	"plumb/engines/web"
	"plumb/face"
	"plumb/systems/vending/internal/dts"
	"plumb/systems/vending/internal/world"
)

//go:embed pages/*.html
var pageFiles embed.FS

// templates are parsed once; a template that does not parse is a fault of the
// program, which every test of a page finds.
var templates = template.Must(web.Templates(pageFiles, "pages/*.html"))

// pages lists the room's pages, below /vending.
func (s *System) pages() []web.Page {
	return append([]web.Page{
		{Pattern: "GET /{$}", Access: web.Person, Handler: s.pageTonight},
		{Pattern: "GET /machines", Access: web.Person, Handler: s.pageMachines},
		{Pattern: "GET /machines/{id}", Access: web.Person, Handler: s.pageMachine},
		{Pattern: "POST /machines/{id}/revoke", Access: web.Operator, Handler: s.doRevoke},
		{Pattern: "POST /machines/{id}/restore", Access: web.Operator, Handler: s.doRestore},
		{Pattern: "POST /machines/{id}/code", Access: web.Operator, Handler: s.doCode},
		{Pattern: "POST /machines/{id}/dts", Access: web.Operator, Handler: s.doAudit, Limit: dts.MaxBytes + 1<<16},
		{Pattern: "GET /enrol", Access: web.Operator, Handler: s.pageEnrol},
		{Pattern: "POST /enrol", Access: web.Operator, Handler: s.doEnrol},
		{Pattern: "POST /import", Access: web.Operator, Handler: s.doImport, Limit: fileBytes},
		{Pattern: "GET /cities", Access: web.Person, Handler: s.pageCities},
		{Pattern: "POST /cities", Access: web.Operator, Handler: s.doCity},
		{Pattern: "GET /cities/{city}", Access: web.Person, Handler: s.pageCity},
		{Pattern: "GET /plans", Access: web.Person, Handler: s.pagePlans},
		{Pattern: "POST /plans", Access: web.Operator, Handler: s.doPlan},
		{Pattern: "GET /plans/{city}/{date}", Access: web.Person, Handler: s.pagePlan},
		{Pattern: "GET /plans/{city}/{date}/sheets", Access: web.Person, Handler: s.pageSheets},
	}, s.opsPages()...)
}

// links are the room's own pages in its menu.
func (s *System) links() []face.Link {
	return []face.Link{{Title: "Tonight", Path: "/vending/"}, {Title: "Machines", Path: "/vending/machines"},
		{Title: "Plans", Path: "/vending/plans"}, {Title: "Alerts", Path: "/vending/alerts"}, {Title: "Rollouts", Path: "/vending/rollouts"}, {Title: "Cities", Path: "/vending/cities"}, {Title: "Enrol", Path: "/vending/enrol", Access: web.Operator}}
}

func (s *System) show(w http.ResponseWriter, r *http.Request, v web.View) error {
	v.System, v.Tab = realm, "use"
	return s.n.Shell.Show(w, r, templates, v)
}

// tonightPage is pages/tonight.html.
type tonightPage struct {
	Tonight
	MayEnrol bool
	Window   time.Duration
	Grace    time.Duration
	Queue    int           // reports that wait for the database
	Line     time.Duration // until the last slot given to a refused machine
	Reserved int
	Plans    map[string]string // by city: how tonight's plan stands
	Waits    map[string]string // or what it waits for
}

func (s *System) pageTonight(w http.ResponseWriter, r *http.Request) error {
	t, err := s.Tonight(r.Context())
	if err != nil {
		return err
	}
	st := s.door.admission.State(s.n.Clock.Now())
	plans, err := s.PlanStates(r.Context(), t)
	if err != nil {
		return err
	}
	waits := map[string]string{}
	for _, n := range t.Cities {
		if plans[n.City] == "" {
			waits[n.City] = s.Gate(n, t.Now).Because
		}
	}
	return s.show(w, r, web.View{Title: "Tonight", Template: "tonight.html", Refresh: 5 * time.Second, Data: tonightPage{
		Tonight: t, MayEnrol: web.WhoIs(r.Context()).May(web.Operator), Window: s.c.Window, Grace: s.c.Grace, Queue: st.Waiting, Line: st.Line, Reserved: st.Reserved, Plans: plans, Waits: waits,
	}})
}

// machinesPage is pages/machines.html.
type machinesPage struct {
	Page
	Now      time.Time
	City     string
	State    string // "", late, faulty, revoked
	Search   string
	Filtered bool
	First    bool   // the first page
	More     string // query of the next page; "" on the last
	Cities   []City
	MayEnrol bool
}

func (s *System) pageMachines(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	p := machinesPage{Now: s.n.Clock.Now(), City: q.Get("city"), State: q.Get("state"), Search: strings.TrimSpace(q.Get("find")), Cities: s.Cities(), MayEnrol: web.WhoIs(r.Context()).May(web.Operator)}
	f := Filter{City: p.City, Late: p.State == "late", Faulty: p.State == "faulty", Revoked: p.State == "revoked", Search: p.Search, Cursor: q.Get("cursor")}
	var err error
	if p.Page, err = s.List(r.Context(), f); err != nil {
		return err
	}
	p.Filtered, p.First = p.City != "" || p.State != "" || p.Search != "", f.Cursor == ""
	if p.Next != "" {
		q.Set("cursor", p.Next)
		p.More = "?" + q.Encode()
	}
	return s.show(w, r, web.View{Title: "Machines", Template: "machines.html", Data: p})
}

// machinePage is pages/machine.html.
type machinePage struct {
	Detail
	Now     time.Time
	History []Past
	More    string // query of older reports
	CSRF    template.HTML
	May     bool // change it
	Did     string
	Code    string // just made, shown once
	Expires time.Time
	Refused []Refusal          // messages over MQTT that were no report, the newest first
	Audits  []PastAudit        // EVA-DTS files, the newest first
	Fault   string             // what was wrong with an audit that was brought here
	Took    *Audit             // the audit that was
	Sells   map[string]float64 // what each slot is expected to sell in a day

	Commands []Command // the newest first
	Unsent   string    // why one was not sent
}

func (s *System) pageMachine(w http.ResponseWriter, r *http.Request) error {
	return s.showMachine(w, r, machinePage{Did: r.URL.Query().Get("did")})
}

func (s *System) showMachine(w http.ResponseWriter, r *http.Request, p machinePage) error {
	id, cursor := r.PathValue("id"), r.URL.Query().Get("cursor")
	d, err := s.Machine(r.Context(), id)
	if err != nil {
		return err
	}
	list, next, err := s.History(r.Context(), id, cursor, 30)
	if err != nil {
		return err
	}
	if p.Refused, err = s.Refusals(r.Context(), id); err != nil {
		return err
	}
	if p.Audits, _, err = s.Audits(r.Context(), id, "", 10); err != nil {
		return err
	}
	if p.Sells, err = s.Expected(r.Context(), id); err != nil {
		return err
	}
	if p.Commands, err = s.Commands(r.Context(), id); err != nil {
		return err
	}
	p.Detail, p.Now, p.History, p.CSRF, p.May = d, s.n.Clock.Now(), list, web.Field(r), web.WhoIs(r.Context()).May(web.Operator)
	if next != "" {
		p.More = "?cursor=" + url.QueryEscape(next)
	}
	return s.show(w, r, web.View{Title: d.ID, Template: "machine.html", Data: p})
}

func (s *System) doRevoke(w http.ResponseWriter, r *http.Request) error {
	return s.change(w, r, "revoked", s.Revoke)
}

func (s *System) doRestore(w http.ResponseWriter, r *http.Request) error {
	return s.change(w, r, "restored", s.Restore)
}

// change does one thing to a machine and shows its page again.
func (s *System) change(w http.ResponseWriter, r *http.Request, did string, do func(context.Context, string) error) error {
	id := r.PathValue("id")
	if err := do(r.Context(), id); err != nil {
		return err
	}
	http.Redirect(w, r, "/vending/machines/"+url.PathEscape(id)+"?did="+did, http.StatusSeeOther)
	return nil
}

// doCode shows the code in the answer itself: it must not stand in an address.
func (s *System) doCode(w http.ResponseWriter, r *http.Request) error {
	c, err := s.Code(r.Context(), r.PathValue("id"), once.Request{})
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return s.showMachine(w, r, machinePage{Code: c.Code, Expires: c.Expires})
}

// doAudit takes an EVA-DTS file that a person brought from the machine.
func (s *System) doAudit(w http.ResponseWriter, r *http.Request) error {
	d, err := s.Machine(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	file, _, err := r.FormFile("file")
	if err != nil {
		return s.showMachine(w, r, machinePage{Fault: "no file was chosen"})
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, dts.MaxBytes+1))
	if err != nil {
		return fmt.Errorf("read the file: %w", err)
	}
	a, err := s.Audit(r.Context(), fleet.Machine{Realm: realm, ID: d.ID, Cohort: d.City}, text)
	switch {
	case err == nil:
		return s.showMachine(w, r, machinePage{Took: &a})
	case errs.Is(err, errs.Internal):
		return err
	}
	return s.showMachine(w, r, machinePage{Fault: errs.Message(err)})
}

// enrolPage is pages/enrol.html.
type enrolPage struct {
	CSRF  template.HTML
	Known []string // cities to choose from
	ID    string
	City  string
	Model string
	Lat   string
	Lon   string
	Wrong map[string]string // what is wrong with a field
	Fault string            // or with the whole
	Done  *Enrolled
}

func (s *System) pageEnrol(w http.ResponseWriter, r *http.Request) error {
	return s.showEnrol(w, r, enrolPage{City: r.URL.Query().Get("city")}, nil)
}

// showEnrol shows the form, with err's faults beside the fields that they are about.
func (s *System) showEnrol(w http.ResponseWriter, r *http.Request, p enrolPage, err error) error {
	p.CSRF = web.Field(r)
	for _, c := range s.Cities() {
		p.Known = append(p.Known, c.Name)
	}
	for _, c := range world.All() {
		if _, ok := s.city(c.Name); !ok {
			p.Known = append(p.Known, c.Name)
		}
	}
	status := http.StatusOK
	if err != nil {
		status = web.Status(err)
		p.Wrong = map[string]string{}
		for _, d := range errs.Details(err) {
			p.Wrong[d.Where] = d.What
		}
		if len(p.Wrong) == 0 {
			p.Fault = errs.Message(err)
		}
	}
	w.Header().Set("Cache-Control", "no-store") // it may show a token
	return s.show(w, r, web.View{Title: "Enrol machines", Template: "enrol.html", Data: p, Status: status})
}

func (s *System) doEnrol(w http.ResponseWriter, r *http.Request) error {
	p := enrolPage{ID: strings.TrimSpace(r.PostFormValue("id")), City: strings.TrimSpace(r.PostFormValue("city")), Model: strings.TrimSpace(r.PostFormValue("model")),
		Lat: strings.TrimSpace(r.PostFormValue("lat")), Lon: strings.TrimSpace(r.PostFormValue("lon"))}
	m := NewMachine{ID: p.ID, City: p.City, Model: p.Model}
	var b bounds.Check
	m.Lat, m.Lon = formDegrees(&b, "lat", p.Lat), formDegrees(&b, "lon", p.Lon)
	err := b.Err("the machine is not valid")
	var done Enrolled
	if err == nil {
		done, err = s.Enrol(r.Context(), m)
	}
	switch {
	case err == nil:
		return s.showEnrol(w, r, enrolPage{City: p.City, Model: p.Model, Done: &done}, nil)
	case errs.Is(err, errs.Invalid) || errs.Is(err, errs.Conflict):
		return s.showEnrol(w, r, p, err)
	}
	return err
}

func formDegrees(b *bounds.Check, where, text string) *float64 {
	v, err := degrees(text)
	if err != nil {
		b.Fault(where, "is not a number of degrees")
	}
	return v
}

// importedPage is pages/imported.html.
type importedPage struct {
	Lines  []Imported
	Counts map[string]int
	Fault  string // the file as a whole, or what ended it in the middle
	File   string
}

// pageMost is how many lines a page shows; the answer to a longer file is a file.
const pageMost = 500

func (s *System) doImport(w http.ResponseWriter, r *http.Request) error {
	file, head, err := r.FormFile("file")
	if err != nil {
		return s.showEnrol(w, r, enrolPage{}, errs.WithDetails("no file was chosen", []errs.Detail{{Where: "file", What: "choose a CSV file"}}))
	}
	defer file.Close()
	p := importedPage{Counts: map[string]int{}, File: head.Filename}
	err = s.Import(r.Context(), file, r.PostFormValue("credentials") == "code", func(i Imported) error {
		p.Lines = append(p.Lines, i)
		p.Counts[i.Status]++
		return nil
	})
	if err != nil {
		// What came before is durable, and its tokens are here only: show them.
		p.Fault = errs.Message(err)
		if errs.Is(err, errs.Internal) {
			p.Fault = "it ended early, by a fault of this server"
			s.n.Log.Error("an import ended early; the same file may be sent again", "error", err)
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	if len(p.Lines) > pageMost {
		return sendImported(w, p, head)
	}
	return s.show(w, r, web.View{Title: "Imported", Template: "imported.html", Data: p})
}

// sendImported answers with a CSV file: line, id, status, token, code, detail.
func sendImported(w http.ResponseWriter, p importedPage, head *multipart.FileHeader) error {
	var out bytes.Buffer
	c := csv.NewWriter(&out)
	rows := [][]string{{"line", "id", "status", "token", "code", "detail"}}
	for _, i := range p.Lines {
		rows = append(rows, []string{strconv.Itoa(i.Line), i.ID, i.Status, i.Token, i.Code, errs.Message(i.Err)})
	}
	if p.Fault != "" {
		rows = append(rows, []string{"", "", "ended early", "", "", p.Fault})
	}
	if err := c.WriteAll(rows); err != nil {
		return fmt.Errorf("write the answer to %q: %w", head.Filename, err)
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="enrolled.csv"`)
	w.Header().Set("Content-Length", strconv.Itoa(out.Len()))
	_, err := w.Write(out.Bytes())
	if errors.Is(err, http.ErrHandlerTimeout) {
		return err
	}
	return nil // a browser that went away cannot be told
}

// citiesPage is pages/cities.html.
type citiesPage struct {
	CSRF   template.HTML
	Cities []City
	World  []world.City
	May    bool
	Form   cityForm
	Wrong  map[string]string
	Saved  string
}

// cityForm is what was typed.
type cityForm struct{ City, Zone, Lat, Lon, Vehicles, Technicians, Capacity, Shift, Region string }

func (s *System) pageCities(w http.ResponseWriter, r *http.Request) error {
	p := citiesPage{Saved: r.URL.Query().Get("saved")}
	if c, ok := s.city(r.URL.Query().Get("edit")); ok {
		p.Form = cityForm{c.Name, c.Zone, fmt.Sprint(c.Lat), fmt.Sprint(c.Lon), fmt.Sprint(c.Vehicles), fmt.Sprint(c.Technicians), fmt.Sprint(c.Capacity), fmt.Sprint(int(c.Shift / time.Minute)), c.Region}
	}
	return s.showCities(w, r, p, http.StatusOK)
}

func (s *System) showCities(w http.ResponseWriter, r *http.Request, p citiesPage, status int) error {
	p.CSRF, p.Cities, p.World, p.May = web.Field(r), s.Cities(), world.All(), web.WhoIs(r.Context()).May(web.Operator)
	return s.show(w, r, web.View{Title: "Cities", Template: "cities.html", Data: p, Status: status})
}

func (s *System) doCity(w http.ResponseWriter, r *http.Request) error {
	v := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	f := cityForm{v("city"), v("zone"), v("lat"), v("lon"), v("vehicles"), v("technicians"), v("capacity"), v("shift"), v("region")}
	var b bounds.Check
	b.Text("city", f.City, 1, 64)
	n := NewCity{Zone: f.Zone, Lat: formDegrees(&b, "depot.lat", f.Lat), Lon: formDegrees(&b, "depot.lon", f.Lon)}
	n.Vehicles, n.Technicians, n.Capacity = formInt(&b, "vehicles", f.Vehicles), formInt(&b, "technicians", f.Technicians), formInt(&b, "capacity", f.Capacity)
	if r.PostForm.Has("region") {
		n.Region = &f.Region
	}
	if m := formInt(&b, "shift_minutes", f.Shift); m != nil {
		d := time.Duration(min(max(*m, 0), 100_000)) * time.Minute // out of range stays so
		n.Shift = &d
	}
	err := b.Err("the city is not valid")
	var c City
	if err == nil {
		c, err = s.SetCity(r.Context(), f.City, n)
	}
	if errs.Is(err, errs.Invalid) {
		p := citiesPage{Form: f, Wrong: map[string]string{}}
		for _, d := range errs.Details(err) {
			p.Wrong[d.Where] = d.What
		}
		return s.showCities(w, r, p, web.Status(err))
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/vending/cities?saved="+url.QueryEscape(c.Name), http.StatusSeeOther)
	return nil
}

func formInt(b *bounds.Check, where, text string) *int {
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fault(where, "is not a whole number")
		return nil
	}
	return &n
}
