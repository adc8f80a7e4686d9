package vending

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/fleet/slots"
	"plumb/systems/vending/internal/sheets"
)

// The wire types of plans, and their exports.

type planOut struct {
	City       string     `json:"city"`
	Zone       string     `json:"zone"`
	Date       string     `json:"date" format:"date" doc:"Of the night"`
	Revision   int        `json:"revision"`
	State      string     `json:"state" enum:"queued,planning,done,failed"`
	Because    string     `json:"because"`
	AskedAt    time.Time  `json:"asked_at"`
	StartedAt  *time.Time `json:"started_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	Problem    string     `json:"problem,omitempty"`
	Outcome
	Routes []Route `json:"routes,omitzero"`
}

// out writes a plan without its parts, as lists have it.
func (p Plan) out() planOut {
	p.Routes, p.LeftOut, p.Metres = nil, nil, math.Round(p.Metres)
	return planOut{p.City, p.Zone, p.Date.String(), p.Revision, p.State, p.Because, p.Asked, optional(p.Started), optional(p.Finished), p.Problem, p.Outcome, p.Routes}
}

// whole writes a plan with its routes and what was left out: lists that are empty
// rather than not there, and metres without decimals.
func (p Plan) whole() planOut {
	o := p.out()
	o.Routes, o.LeftOut = append([]Route{}, p.Routes...), append([]Visit{}, p.LeftOut...)
	for i := range o.Routes {
		r := &o.Routes[i]
		r.Metres, r.Load = math.Round(r.Metres), append([]SKULoad{}, r.Load...)
	}
	return o
}

type postPlanIn struct {
	Body struct {
		City  string `json:"city" minLength:"1" maxLength:"64"`
		Date  string `json:"date" format:"date" doc:"Of the night, in the city"`
		Again bool   `json:"again,omitempty" doc:"Make a new revision, unless one is under way"`
	}
}

// planned is an answer with a status of its own: 202 for a plan that was asked for.
type planned struct {
	Status int
	Body   planOut
}

func (s *System) postPlan(ctx context.Context, in *postPlanIn) (*planned, error) {
	date, err := dateIn(in.Body.Date)
	if err != nil {
		return nil, err
	}
	p, made, err := s.MakePlan(ctx, in.Body.City, date, in.Body.Again, "asked for")
	if err != nil {
		return nil, err
	}
	if made {
		return &planned{202, p.whole()}, nil
	}
	return &planned{200, p.whole()}, nil
}

// dateIn reads a date of a request.
func dateIn(text string) (slots.Date, error) {
	d, err := slots.ParseDate(text)
	if err != nil {
		what := fmt.Sprintf("%.40q is not a date such as 2026-03-01", text)
		return d, errs.WithDetails("the date is not valid: "+what, []errs.Detail{{Where: "date", What: what}})
	}
	return d, nil
}

type onePlanIn struct {
	City     string `path:"city" maxLength:"64"`
	Date     string `path:"date" maxLength:"40"`
	Revision int    `query:"revision" minimum:"0" doc:"0: the newest"`
}

func (s *System) getPlan(ctx context.Context, in *onePlanIn) (*answer[planOut], error) {
	date, err := dateIn(in.Date)
	if err != nil {
		return nil, err
	}
	p, err := s.Plan(ctx, in.City, date, in.Revision)
	if err != nil {
		return nil, err
	}
	return &answer[planOut]{p.whole()}, nil
}

type plansIn struct {
	City  string `query:"city" maxLength:"64"`
	Limit int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

type plansOut struct {
	Plans []planOut `json:"plans" doc:"Without their routes, the newest nights first"`
}

func (s *System) getPlans(ctx context.Context, in *plansIn) (*answer[plansOut], error) {
	list, err := s.Plans(ctx, in.City, in.Limit)
	if err != nil {
		return nil, err
	}
	out := plansOut{Plans: make([]planOut, len(list))}
	for i, p := range list {
		out.Plans[i] = p.out()
	}
	return &answer[plansOut]{out}, nil
}

// export writes a plan's routes in a form for other programs: csv or geojson.
func (s *System) export(w io.Writer, form string, p Plan) error {
	c, ok := s.city(p.City)
	if !ok {
		return fmt.Errorf("export: the city %s is not defined", p.City)
	}
	if form == "csv" {
		return sheets.CSV(w, p.rows(c))
	}
	var routes []sheets.Route
	for _, r := range p.Routes {
		out := sheets.Route{Team: r.Kind, Vehicle: r.Vehicle, Trip: r.Trip, Metres: math.Round(r.Metres)}
		for _, v := range r.Stops {
			stop := sheets.Stop{Machine: v.Machine, Items: v.Items, Why: v.Why}
			if v.Lat != nil && v.Lon != nil {
				stop.Place = sheets.Place{Lat: *v.Lat, Lon: *v.Lon}
			}
			if v.Arrive != nil {
				stop.Arrive = v.Arrive.Format(wireTime)
			}
			out.Stops = append(out.Stops, stop)
		}
		routes = append(routes, out)
	}
	return sheets.GeoJSON(w, sheets.Place{Lat: c.Lat, Lon: c.Lon}, routes)
}

// rows lists a plan's stops, a row for each slot to fill.
func (p Plan) rows(c City) []sheets.Row {
	var rows []sheets.Row
	for _, r := range p.Routes {
		for i, v := range r.Stops {
			row := sheets.Row{Team: r.Kind, Vehicle: r.Vehicle, Trip: r.Trip, Stop: i + 1, Machine: v.Machine, Lat: v.Lat, Lon: v.Lon, Why: strings.Join(v.Why, "; ")}
			if v.Arrive != nil {
				row.Arrive = v.Arrive.In(c.zone).Format("2006-01-02 15:04")
			}
			var codes []string
			for _, f := range v.Faults {
				codes = append(codes, f.Code)
			}
			row.Faults = strings.Join(codes, " ")
			if len(v.Load) == 0 {
				rows = append(rows, row)
			}
			for _, l := range v.Load {
				row.Slot, row.SKU, row.Items = l.Slot, l.SKU, l.Items
				rows = append(rows, row)
			}
		}
	}
	return rows
}
