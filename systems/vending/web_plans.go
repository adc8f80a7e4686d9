package vending

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/base/units"
	"plumb/engines/chart"
	"plumb/engines/fleet/slots"
	"plumb/engines/web"
)

// plansPage is pages/plans.html.
type plansPage struct {
	Plans  []Plan
	City   string
	Cities []City
	CSRF   template.HTML
	May    bool
}

func (s *System) pagePlans(w http.ResponseWriter, r *http.Request) error {
	p := plansPage{City: r.URL.Query().Get("city"), Cities: s.Cities(), CSRF: web.Field(r), May: web.WhoIs(r.Context()).May(web.Operator)}
	var err error
	if p.Plans, err = s.Plans(r.Context(), p.City, 100); err != nil {
		return err
	}
	return s.show(w, r, web.View{Title: "Plans", Template: "plans.html", Refresh: 5 * time.Second, Data: p})
}

// doPlan asks for a plan and leads to its page.
func (s *System) doPlan(w http.ResponseWriter, r *http.Request) error {
	city, ok := s.city(r.PostFormValue("city"))
	if !ok {
		return errs.New(errs.NotFound, "there is no city %.64q", r.PostFormValue("city"))
	}
	date, _ := slots.Tonight(s.n.Clock.Now(), city.zone)
	if text := r.PostFormValue("date"); text != "" {
		var err error
		if date, err = dateIn(text); err != nil {
			return err
		}
	}
	p, _, err := s.MakePlan(r.Context(), city.Name, date, r.PostFormValue("again") != "", "asked for by "+web.WhoIs(r.Context()).Name)
	if err != nil {
		return err
	}
	http.Redirect(w, r, planPath(p.City, p.Date), http.StatusSeeOther)
	return nil
}

func planPath(city string, date slots.Date) string {
	return "/vending/plans/" + url.PathEscape(city) + "/" + date.String()
}

// planPage is pages/plan.html and pages/sheets.html.
type planPage struct {
	Plan
	Of        City
	Path      string // of the plan, escaped
	Query     string // ?revision=3 where it is not the newest
	Newest    bool
	Revisions []Plan
	Map       template.HTML
	CSRF      template.HTML
	May       bool // plan again
}

// Clock writes a time by the city's clock, as its drivers read it.
func (p planPage) Clock(t time.Time) string { return t.In(p.Of.zone).Format("15:04") }

// Km writes metres.
func (p planPage) Km(metres float64) string { return fmt.Sprintf("%.1f km", metres/1000) }

// Nth counts from one.
func (planPage) Nth(i int) int { return i + 1 }

// Underway says that the plan is not there yet.
func (p planPage) Underway() bool { return p.State == planQueued || p.State == planPlanning }

// planOf reads the plan that a request's path and query name.
func (s *System) planOf(r *http.Request) (planPage, error) {
	date, err := dateIn(r.PathValue("date"))
	if err != nil {
		return planPage{}, errs.Wrap(errs.NotFound, err, "this plan")
	}
	revision := 0
	if text := r.URL.Query().Get("revision"); text != "" {
		if revision, err = strconv.Atoi(text); err != nil || revision < 1 {
			return planPage{}, errs.New(errs.NotFound, "there is no revision %.20q", text)
		}
	}
	plan, err := s.Plan(r.Context(), r.PathValue("city"), date, revision)
	if err != nil {
		return planPage{}, err
	}
	p := planPage{Plan: plan, Path: planPath(plan.City, date), CSRF: web.Field(r), May: web.WhoIs(r.Context()).May(web.Operator)}
	p.Of, _ = s.city(plan.City)
	list, err := s.Plans(r.Context(), plan.City, 100)
	if err != nil {
		return planPage{}, err
	}
	for _, one := range list {
		if one.Date == date {
			p.Revisions = append(p.Revisions, one)
		}
	}
	p.Newest = len(p.Revisions) == 0 || p.Revisions[0].Revision == plan.Revision
	if !p.Newest {
		p.Query = "?revision=" + strconv.Itoa(plan.Revision)
	}
	return p, nil
}

func (s *System) pagePlan(w http.ResponseWriter, r *http.Request) error {
	p, err := s.planOf(r)
	if err != nil {
		return err
	}
	v := web.View{Title: p.City + ", " + p.Date.String(), Template: "plan.html"}
	if p.Underway() {
		v.Refresh = 2 * time.Second
	} else {
		p.Map = p.draw()
	}
	v.Data = p
	return s.show(w, r, v)
}

// pageSheets is for the printer: a sheet for each trip of a vehicle.
func (s *System) pageSheets(w http.ResponseWriter, r *http.Request) error {
	p, err := s.planOf(r)
	if err != nil {
		return err
	}
	return s.show(w, r, web.View{Title: "Route sheets, " + p.City + ", " + p.Date.String(), Template: "sheets.html", Data: p})
}

// draw is the picture of a plan: a line for each vehicle, and what was left out.
func (p planPage) draw() template.HTML {
	m := chart.Map{Title: "Routes in " + p.City, Depot: &chart.Place{Lat: p.Of.Lat, Lon: p.Of.Lon},
		Sorts: []chart.Sort{{Label: "visited"}, {Label: "with a fault", Look: chart.Short}, {Label: "left out", Look: chart.Bad}}}
	for _, r := range p.Routes {
		way := chart.Way{Label: fmt.Sprintf("%s, %s, %d stops", r.Name(), p.Km(r.Metres), len(r.Stops))}
		for i, v := range r.Stops {
			if v.Lat == nil || v.Lon == nil {
				continue
			}
			at := chart.Place{Lat: *v.Lat, Lon: *v.Lon}
			way.Places = append(way.Places, at)
			spot := chart.Spot{Place: at, Label: fmt.Sprintf("%s: stop %d of %s", v.Machine, i+1, r.Name())}
			if len(v.Faults) > 0 {
				spot.Sort = 1
			}
			m.Spots = append(m.Spots, spot)
		}
		m.Ways = append(m.Ways, way)
	}
	for _, v := range p.LeftOut {
		if v.Lat != nil && v.Lon != nil {
			m.Spots = append(m.Spots, chart.Spot{Place: chart.Place{Lat: *v.Lat, Lon: *v.Lon}, Sort: 2, Label: v.Machine + ": left out"})
		}
	}
	m.Desc = fmt.Sprintf("%s routes with %s stops; %s machines are left out.", units.Count(int64(len(p.Routes))), units.Count(int64(p.Visits)), units.Count(int64(p.Left)))
	return m.SVG()
}

// Place writes where a stop is; "" when that is not known.
func (v Visit) Place() string { return Machine{Lat: v.Lat, Lon: v.Lon}.Place() }

// Plain writes a fault's code in words.
func (f Fault) Plain() string { return strings.ReplaceAll(f.Code, "_", " ") }

// Name is what people call a route.
func (r Route) Name() string {
	name := fmt.Sprintf("Vehicle %d", r.Vehicle)
	if r.Kind == "repair" {
		name = fmt.Sprintf("Technician %d", r.Vehicle)
	}
	if r.Trips > 1 {
		name += fmt.Sprintf(", trip %d of %d", r.Trip, r.Trips)
	}
	return name
}
