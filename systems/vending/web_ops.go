package vending

import (
	"context"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"plumb/base/bounds"
	"plumb/base/errs"
	"plumb/engines/fleet/rollout"
	"plumb/engines/once"
	"plumb/engines/web"
)

// opsPages are the pages of fleet operations, below /vending.
func (s *System) opsPages() []web.Page {
	return []web.Page{
		{Pattern: "GET /alerts", Access: web.Person, Handler: s.pageAlerts},
		{Pattern: "POST /alerts/{id}/ack", Access: web.Operator, Handler: s.doAck},
		{Pattern: "GET /rollouts", Access: web.Person, Handler: s.pageRollouts},
		{Pattern: "POST /rollouts", Access: web.Operator, Handler: s.doRollout},
		{Pattern: "GET /rollouts/{name}", Access: web.Person, Handler: s.pageRollout},
		{Pattern: "POST /rollouts/{name}", Access: web.Operator, Handler: s.doRolloutChange},
		{Pattern: "POST /machines/{id}/commands", Access: web.Operator, Handler: s.doCommand},
	}
}

// alertsPage is pages/alerts.html.
type alertsPage struct {
	Alerts []Alert
	All    bool // closed ones too
	City   string
	Cities []City
	Now    time.Time
	More   string // the next page's address; "" on the last
	CSRF   template.HTML
	May    bool
}

// Open says that its cause lasts.
func (a Alert) Open() bool { return a.Closed.IsZero() }

// Link is where to look after it.
func (a Alert) Link() string {
	switch {
	case a.Kind == "rollout_braked":
		return rolloutPath(a.Subject)
	case a.Subject == a.City:
		return "/vending/cities/" + url.PathEscape(a.City)
	}
	return "/vending/machines/" + url.PathEscape(a.Subject)
}

func (s *System) pageAlerts(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	p := alertsPage{All: q.Get("all") != "", City: q.Get("city"), Cities: s.Cities(), Now: s.n.Clock.Now(), CSRF: web.Field(r), May: web.WhoIs(r.Context()).May(web.Operator)}
	list, next, err := s.Alerts(r.Context(), AlertFilter{All: p.All, City: p.City, Cursor: q.Get("cursor")})
	if err != nil {
		return err
	}
	p.Alerts = list
	v := web.View{Title: "Alerts", Template: "alerts.html"}
	if next != "" {
		q.Set("cursor", next)
		p.More = "?" + q.Encode()
	}
	if q.Get("cursor") == "" {
		v.Refresh = 15 * time.Second
	}
	v.Data = p
	return s.show(w, r, v)
}

func (s *System) doAck(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.AckAlert(r.Context(), by(r.Context()), r.PathValue("id")); err != nil {
		return err
	}
	http.Redirect(w, r, "/vending/alerts", http.StatusSeeOther)
	return nil
}

// rolloutsPage is pages/rollouts.html.
type rolloutsPage struct {
	Rollouts []RolloutDetail
	Cohorts  []CohortCount
	Cities   []City
	Form     rolloutForm
	Wrong    map[string]string
	Fault    string
	CSRF     template.HTML
	May      bool
}

// rolloutForm is what was typed.
type rolloutForm struct{ Name, City, Cohort, Firmware, Config, Percent string }

func rolloutPath(name string) string { return "/vending/rollouts/" + url.PathEscape(name) }

// Words and Was write a rollout's target, and what it replaces.
func (r Rollout) Words() string { return words(r.To) }

// Was writes what the target replaces.
func (r Rollout) Was() string { return words(r.Back) }

// Share is the part of the cohort that has arrived, 0 to 1.
func (c RolloutCount) Share() float64 {
	if c.Machines == 0 {
		return 0
	}
	return float64(c.Arrived) / float64(c.Machines)
}

func (s *System) pageRollouts(w http.ResponseWriter, r *http.Request) error {
	return s.showRollouts(w, r, rolloutsPage{}, http.StatusOK)
}

func (s *System) showRollouts(w http.ResponseWriter, r *http.Request, p rolloutsPage, status int) (err error) {
	if p.Rollouts, err = s.Rollouts(r.Context()); err != nil {
		return err
	}
	if p.Cohorts, err = s.Cohorts(r.Context()); err != nil {
		return err
	}
	p.Cities, p.CSRF, p.May = s.Cities(), web.Field(r), web.WhoIs(r.Context()).May(web.Operator)
	return s.show(w, r, web.View{Title: "Rollouts", Template: "rollouts.html", Data: p, Status: status})
}

// doRollout begins a rollout.
func (s *System) doRollout(w http.ResponseWriter, r *http.Request) error {
	v := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	f := rolloutForm{v("name"), v("city"), v("cohort"), v("firmware"), v("config"), v("percent")}
	var b bounds.Check
	n := NewRollout{City: &f.City, Cohort: &f.Cohort, To: &rollout.Version{Firmware: f.Firmware, Config: f.Config}, Percent: formPercent(&b, f.Percent)}
	err := b.Err("the rollout is not valid")
	if err == nil {
		_, err = s.SetRollout(r.Context(), by(r.Context()), f.Name, n)
	}
	if errs.Is(err, errs.Invalid) || errs.Is(err, errs.Conflict) {
		p := rolloutsPage{Form: f, Wrong: map[string]string{}}
		for _, d := range errs.Details(err) {
			p.Wrong[d.Where] = d.What
		}
		if len(p.Wrong) == 0 {
			p.Fault = errs.Message(err)
		}
		return s.showRollouts(w, r, p, web.Status(err))
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, rolloutPath(f.Name), http.StatusSeeOther)
	return nil
}

// formPercent reads a percentage; nil for none.
func formPercent(b *bounds.Check, text string) *float64 {
	if text == "" {
		return nil
	}
	v, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil {
		b.Fault("percent", "is not a number")
		return nil
	}
	return &v
}

// rolloutPage is pages/rollout.html.
type rolloutPage struct {
	RolloutDetail
	Fault string
	CSRF  template.HTML
	May   bool
}

func (s *System) pageRollout(w http.ResponseWriter, r *http.Request) error {
	return s.showRollout(w, r, "", http.StatusOK)
}

func (s *System) showRollout(w http.ResponseWriter, r *http.Request, fault string, status int) error {
	d, err := s.RolloutOf(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	return s.show(w, r, web.View{Title: "Rollout " + d.Name, Template: "rollout.html", Status: status,
		Data: rolloutPage{d, fault, web.Field(r), web.WhoIs(r.Context()).May(web.Operator)}})
}

// doRolloutChange does what the button says that was pressed.
func (s *System) doRolloutChange(w http.ResponseWriter, r *http.Request) error {
	ctx, name, did := r.Context(), r.PathValue("name"), by(r.Context())
	if _, err := s.RolloutOf(ctx, name); err != nil {
		return err // a form that is old must not begin it anew
	}
	to := rolloutPath(name)
	err := s.changeRollout(ctx, did, name, r.PostFormValue("do"), r.PostFormValue("percent"))
	if r.PostFormValue("do") == "end" {
		to = "/vending/rollouts"
	}
	if errs.Is(err, errs.Invalid) || errs.Is(err, errs.Conflict) {
		return s.showRollout(w, r, errs.Message(err), web.Status(err))
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

func (s *System) changeRollout(ctx context.Context, did, name, do, percent string) error {
	pause := do == "pause"
	var err error
	switch do {
	case "percent":
		var b bounds.Check
		n := NewRollout{Percent: formPercent(&b, strings.TrimSpace(percent))}
		if err = b.Err("the percentage is not valid"); err == nil {
			_, err = s.SetRollout(ctx, did, name, n)
		}
	case "pause", "resume":
		_, err = s.SetRollout(ctx, did, name, NewRollout{Pause: &pause})
	case "undo":
		_, err = s.UndoRollout(ctx, did, name)
	case "end":
		err = s.EndRollout(ctx, name)
	default:
		err = errs.New(errs.Invalid, "nothing was chosen that can be done to a rollout")
	}
	return err
}

// doCommand sends a command from a machine's page.
func (s *System) doCommand(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	n := NewCommand{Kind: strings.TrimSpace(r.PostFormValue("kind"))}
	if text := strings.TrimSpace(r.PostFormValue("body")); text != "" {
		n.Body = json.RawMessage(text)
	}
	_, err := s.SendCommand(r.Context(), by(r.Context()), id, n, once.Request{})
	if errs.Is(err, errs.Invalid) || errs.Is(err, errs.Conflict) || errs.Is(err, errs.Denied) {
		return s.showMachine(w, r, machinePage{Unsent: errs.Message(err)})
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/vending/machines/"+url.PathEscape(id)+"?did=sent#commands", http.StatusSeeOther)
	return nil
}
