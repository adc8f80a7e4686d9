// Package dispatch turns what is known of a city's machines into routes: which
// machines are visited, by whom, in which order, and with what load.
//
//	plan, err := dispatch.Make(ctx, city, machines, dispatch.Budget{Steps: 200_000, Seed: 1})
//	for _, route := range plan.Routes { ... }
//
// A visit has a price for leaving it out, in metres that one would drive for it:
// so much for each item that would not be sold until the next chance, so much for
// a fault by its severity. Where vehicles and hours do not suffice, the cheapest
// are left out, and the plan names them. Restockers and technicians drive routes of
// their own: a coin jam needs a technician.
package dispatch

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"plumb/engines/routing"
	"plumb/systems/vending/internal/demand"
)

// City is who drives.
type City struct {
	Depot       routing.Place
	Vehicles    int
	Technicians int
	Capacity    int64 // items of a vehicle
	Shift       time.Duration
}

// Machine is what is known of a machine on the morning of the routes.
type Machine struct {
	ID     string
	Place  *routing.Place // nil: not known
	Slots  []Slot
	Faults []Fault
	Stale  bool // it did not report in this night: stock is forecast from its last report
}

// Slot is one selection.
type Slot struct {
	Slot, SKU string
	Stock     int64 // when the vehicles leave, reported or forecast
	Capacity  int64
	Demand    float64 // items expected until the chance after this one
}

// Fault is one of the room's faults.
type Fault struct {
	Code, Severity, Slot string
}

// Kinds of routes.
const (
	Restock = "restock"
	Repair  = "repair"
)

// Route is one trip of a vehicle; the next one of its day follows when it has loaded
// again. Offsets are from when the vehicles leave in the morning.
type Route struct {
	Kind    string
	Vehicle int // from 1 in its kind
	Trip    int // from 1
	Trips   int // of the vehicle
	Metres  float64
	Leave   time.Duration
	Back    time.Duration
	Visits  []Visit
}

// Visit is one stop.
type Visit struct {
	Machine int // of the list
	Arrive  time.Duration
	Service time.Duration
	Load    []Load
	Faults  []Fault
	Why     []string
	Risk    float64 // that a slot sells out before the next chance
	Lost    float64 // items that would not be sold without the visit
	Metres  float64 // that the visit is worth
}

// Load is what is brought for a slot.
type Load struct {
	Slot, SKU string
	Items     int64
}

// Plan is a city's day.
type Plan struct {
	Routes     []Route
	LeftOut    []Visit // wanted, and nobody comes; the most urgent first, each with the reason
	Candidates int
	Metres     float64
}

// Budget bounds the search for routes.
type Budget struct {
	CPU   time.Duration // of all routes of the city together; 0: only Steps count
	Steps int           // for each district
	Seed  uint64
}

// How people work. Metres are what a visit is worth.
const (
	speed      = 25 * 1000 / 3600.0 // metres a second in a city
	detour     = 1.3                // streets over the straight line
	arriving   = 6 * time.Minute    // parking, opening, cleaning, counting the cash
	perItem    = 4 * time.Second
	repairing  = 35 * time.Minute
	quickFix   = 5 * time.Minute // what a restocker can mend
	perLost    = 6000            // metres for an item that would not be sold
	riskFloor  = 0.25            // below this, and
	lostFloor  = 0.5             // this, nobody comes for the stock alone
	district   = 600             // stops that are planned together
	mostLoaded = 10_000          // items that are ever brought to a machine
)

// worth is what a fault is worth, by severity.
var worth = map[string]float64{"low": 8_000, "medium": 30_000, "high": 120_000}

// technical says whether a fault needs a technician.
func technical(code string) bool {
	switch code {
	case "stuck_item", "door_open":
		return false
	}
	return true
}

// Make plans a city's day. Errors: ctx's; Internal when routes break a rule.
func Make(ctx context.Context, c City, machines []Machine, b Budget) (Plan, error) {
	var restock, repair []Visit
	for i := range machines {
		if v, ok := restocking(&machines[i], c.Capacity); ok {
			v.Machine = i
			restock = append(restock, v)
		}
		if v, ok := repairs(&machines[i]); ok {
			v.Machine = i
			repair = append(repair, v)
		}
	}
	p := Plan{Candidates: len(restock) + len(repair)}
	for _, team := range []struct {
		kind     string
		visits   []Visit
		vehicles int
	}{{Repair, repair, c.Technicians}, {Restock, restock, c.Vehicles}} {
		routes, left, err := drive(ctx, c, team.kind, machines, team.visits, team.vehicles, b)
		if err != nil {
			return Plan{}, fmt.Errorf("plan the %s routes: %w", team.kind, err)
		}
		p.Routes = append(p.Routes, routes...)
		p.LeftOut = append(p.LeftOut, left...)
	}
	for _, r := range p.Routes {
		p.Metres += r.Metres
	}
	slices.SortStableFunc(p.LeftOut, func(a, b Visit) int { return cmp.Compare(b.Metres, a.Metres) })
	return p, nil
}

// restocking says whether a restocker should come, and with what.
func restocking(m *Machine, capacity int64) (Visit, bool) {
	v := Visit{Service: arriving}
	type need struct {
		slot int
		lost float64
	}
	var needs []need
	out, low := 0, 0
	for i, s := range m.Slots {
		risk, lost := demand.Risk(s.Stock, s.Demand), demand.Lost(s.Stock, s.Demand)
		v.Risk, v.Lost = max(v.Risk, risk), v.Lost+lost
		if s.Stock == 0 {
			out++
		} else if risk >= riskFloor {
			low++
		}
		if s.Stock < s.Capacity {
			needs = append(needs, need{i, lost})
		}
	}
	wanted := v.Risk >= riskFloor && v.Lost >= lostFloor
	v.Metres = perLost * v.Lost
	for _, f := range m.Faults {
		if technical(f.Code) {
			continue
		}
		v.Faults = append(v.Faults, f)
		v.Metres += worth[f.Severity]
		v.Service += quickFix
		v.Why = append(v.Why, fmt.Sprintf("%s (%s)", plain(f.Code), f.Severity))
		wanted = true
	}
	if !wanted {
		return Visit{}, false
	}
	if out > 0 {
		v.Why = append(v.Why, fmt.Sprintf("%d of %d slots sold out", out, len(m.Slots)))
	}
	if low > 0 {
		v.Why = append(v.Why, fmt.Sprintf("%d may sell out before the next visit", low))
	}
	// What is lost most comes first, should the vehicle not hold all of it.
	slices.SortStableFunc(needs, func(a, b need) int { return cmp.Compare(b.lost, a.lost) })
	room := min(capacity, mostLoaded)
	var chosen []int
	for _, n := range needs {
		chosen = append(chosen, n.slot)
	}
	items := make(map[int]int64, len(chosen))
	for _, i := range chosen {
		n := min(room, m.Slots[i].Capacity-m.Slots[i].Stock)
		items[i] = n
		room -= n
	}
	for i, s := range m.Slots { // in the order of the machine, as one fills it
		if items[i] > 0 {
			v.Load = append(v.Load, Load{s.Slot, s.SKU, items[i]})
			v.Service += time.Duration(items[i]) * perItem
		}
	}
	v.Metres = max(v.Metres, 1)
	return v, true
}

// repairs says whether a technician should come.
func repairs(m *Machine) (Visit, bool) {
	v := Visit{Service: arriving}
	for _, f := range m.Faults {
		if !technical(f.Code) {
			continue
		}
		v.Faults = append(v.Faults, f)
		v.Metres += worth[f.Severity]
		v.Service += repairing
		v.Why = append(v.Why, fmt.Sprintf("%s (%s)", plain(f.Code), f.Severity))
	}
	return v, len(v.Faults) > 0
}

// plain writes coin_jam as "coin jam".
func plain(code string) string {
	b := []byte(code)
	for i := range b {
		if b[i] == '_' {
			b[i] = ' '
		}
	}
	return string(b)
}

// drive plans one team's routes, district by district.
func drive(ctx context.Context, c City, kind string, machines []Machine, visits []Visit, vehicles int, b Budget) (routes []Route, left []Visit, err error) {
	var placed []Visit
	for _, v := range visits {
		if machines[v.Machine].Place == nil {
			v.Why = append(v.Why, "nobody knows where it stands")
			left = append(left, v)
			continue
		}
		placed = append(placed, v)
	}
	if vehicles == 0 {
		for _, v := range placed {
			v.Why = append(v.Why, map[string]string{Restock: "the city has no vehicles", Repair: "the city has no technicians"}[kind])
			left = append(left, v)
		}
		return nil, left, nil
	}
	parts, used := districts(c, machines, placed, vehicles), 0
	for i, part := range parts {
		share := b
		share.CPU = time.Duration(float64(b.CPU) * float64(len(part.visits)) / float64(max(1, len(placed))))
		share.Seed += uint64(i)
		r, out, err := part.plan(ctx, c, kind, machines, share)
		if err != nil {
			return nil, nil, err
		}
		for k := range r {
			r[k].Vehicle += used
		}
		if len(r) > 0 {
			used = r[len(r)-1].Vehicle
		}
		routes, left = append(routes, r...), append(left, out...)
	}
	return routes, left, nil
}

// part is a district: visits that are planned together.
type part struct {
	visits   []Visit
	vehicles int
}

// districts cuts a large city like a cake around its depot, so that the search
// stays good: into parts of equal numbers of visits, with the vehicles shared out.
func districts(c City, machines []Machine, visits []Visit, vehicles int) []part {
	n := min(1+len(visits)/district, vehicles)
	if n <= 1 {
		return []part{{visits, vehicles}}
	}
	angle := func(v Visit) float64 {
		p := machines[v.Machine].Place
		return math.Atan2(p.Lat-c.Depot.Lat, (p.Lon-c.Depot.Lon)*math.Cos(c.Depot.Lat*math.Pi/180))
	}
	visits = slices.Clone(visits)
	slices.SortStableFunc(visits, func(a, b Visit) int { return cmp.Compare(angle(a), angle(b)) })
	list := make([]part, n)
	for i := range list {
		from, to := len(visits)*i/n, len(visits)*(i+1)/n
		list[i] = part{visits[from:to], vehicles*(i+1)/n - vehicles*i/n}
	}
	return list
}
