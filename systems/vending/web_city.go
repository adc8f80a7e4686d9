package vending

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"plumb/base/errs"
	"plumb/base/units"
	"plumb/engines/chart"
	"plumb/engines/web"
	"plumb/systems/vending/internal/gate"
)

// cityPage is pages/city.html.
type cityPage struct {
	City
	Night  Night
	Has    bool // machines, and so a night
	Gate   gate.Decision
	Opens  time.Time // when the gate opens by time alone; zero: it is open
	Map    template.HTML
	Cut    bool // the map shows only the first of the machines
	Late   []Machine
	Faulty []Machine
	Plan   *Plan // tonight's newest; nil: none yet
	Now    time.Time
	CSRF   template.HTML
	May    bool
}

const (
	cityMapMost = 10_000 // machines on a city's map
	cityListed  = 10     // late and faulty ones on its page
)

func (s *System) pageCity(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	c, ok := s.city(r.PathValue("city"))
	if !ok {
		return errs.New(errs.NotFound, "there is no city %.64q", r.PathValue("city"))
	}
	p := cityPage{City: c, Now: s.n.Clock.Now(), CSRF: web.Field(r), May: web.WhoIs(ctx).May(web.Operator)}
	t, err := s.Tonight(ctx)
	if err != nil {
		return err
	}
	for _, n := range t.Cities {
		if n.City == c.Name {
			p.Night, p.Has, p.Gate = n, true, s.Gate(n, p.Now)
		}
	}
	if p.Has {
		if !p.Gate.Go {
			p.Opens = p.Now.Add(p.Gate.Wait)
		}
		if p.Map, p.Cut, err = s.cityMap(ctx, c); err != nil {
			return err
		}
		if p.Late, err = s.some(ctx, Filter{City: c.Name, Late: true}); err != nil {
			return err
		}
		if p.Faulty, err = s.some(ctx, Filter{City: c.Name, Faulty: true}); err != nil {
			return err
		}
		plan, err := s.Plan(ctx, c.Name, p.Night.Date, 0)
		switch {
		case err == nil:
			p.Plan = &plan
		case !errs.Is(err, errs.NotFound):
			return err
		}
	}
	return s.show(w, r, web.View{Title: c.Name, Template: "city.html", Refresh: 10 * time.Second, Data: p})
}

func (s *System) some(ctx context.Context, f Filter) ([]Machine, error) {
	f.Limit = cityListed
	p, err := s.List(ctx, f)
	return p.Machines, err
}

// The sorts of machines on a city's map, worse ones later: they are drawn above.
var stockSorts = []chart.Sort{
	{Label: "stocked", Look: chart.Fine}, {Label: "not heard in this night", Look: chart.Blank},
	{Label: "slots sold out", Look: chart.Short}, {Label: "a quarter of the slots or more sold out", Look: chart.Bad},
}

// cityMap draws the machines of a city by their stock.
func (s *System) cityMap(ctx context.Context, c City) (picture template.HTML, cut bool, err error) {
	m := chart.Map{Title: "Stock of the machines in " + c.Name, Depot: &chart.Place{Lat: c.Lat, Lon: c.Lon}, Sorts: stockSorts}
	f := Filter{City: c.Name, Limit: 1000}
	placed, out := 0, 0
	for {
		page, err := s.List(ctx, f)
		if err != nil {
			return "", false, err
		}
		for _, one := range page.Machines {
			if !one.Revoked.IsZero() || one.Lat == nil || one.Lon == nil {
				continue
			}
			spot := chart.Spot{Place: chart.Place{Lat: *one.Lat, Lon: *one.Lon}}
			spot.Sort, spot.Label = stockOf(one)
			if spot.Sort >= 2 {
				out++
			}
			placed++
			m.Spots = append(m.Spots, spot)
		}
		if f.Cursor = page.Next; f.Cursor == "" {
			break
		}
		if placed >= cityMapMost {
			cut = true
			break
		}
	}
	m.Desc = fmt.Sprintf("%s machines whose place is known, around the depot; %s of them have slots that are sold out.", units.Count(int64(placed)), units.Count(int64(out)))
	return m.SVG(), cut, nil
}

// stockOf says which of stockSorts a machine is, and why.
func stockOf(m Machine) (sort int, label string) {
	switch {
	case m.Late || m.Heard.IsZero():
		return 1, m.ID + ": not heard in this night"
	case m.Slots > 0 && 4*m.Empty >= m.Slots:
		sort = 3
	case m.Empty > 0:
		sort = 2
	}
	label = fmt.Sprintf("%s: %d of %d slots sold out", m.ID, m.Empty, m.Slots)
	if m.Faults > 0 {
		label += fmt.Sprintf(", %d faults", m.Faults)
	}
	return sort, label
}
