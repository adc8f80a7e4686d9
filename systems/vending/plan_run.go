package vending

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"plumb/base/errs"
	"plumb/engines/fleet/slots"
	"plumb/engines/routing"
	"plumb/engines/sqldb"
	"plumb/systems/vending/internal/demand"
	"plumb/systems/vending/internal/dispatch"
)

const (
	fleetPage  = 500 // machines that are read, and whose demand is written, at once
	foldMost   = 60  // reports of a machine that are folded in at once: two months of nights
	leftMost   = 500 // visits left out that a plan names
	nextChance = 48 * time.Hour
	stepsAStop = 1500 // of the search, where time does not end it before
	leastSteps = 2000
)

// plan makes one revision. It may be run again after a crash at any point: what it
// writes before the end is only what it learnt of demand, which is the same again.
func (s *System) plan(ctx context.Context, payload []byte) error {
	var k planKey
	if err := json.Unmarshal(payload, &k); err != nil {
		return errs.Wrap(errs.Invalid, err, "read what is to be planned")
	}
	date, err := slots.ParseDate(k.Date)
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "read what is to be planned")
	}
	c, ok := s.city(k.City)
	if !ok {
		return errs.New(errs.NotFound, "there is no city %q", k.City)
	}
	var started time.Time
	err = s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		started, err = s.store.beginPlan(ctx, tx, k, s.n.Clock.Now())
		return err
	})
	if err != nil || started.IsZero() {
		return err
	}
	s.announce(ctx, subjectPlan, Planned{k.City, k.Date, planPlanning})
	state := planDone
	b, routes, err := s.makeRoutes(ctx, c, date, k.Revision)
	if err != nil {
		if ctx.Err() != nil || errs.Is(err, errs.Busy) {
			return fmt.Errorf("plan %s for %s: %w", k.City, k.Date, err) // comes again
		}
		state, b = planFailed, planBody{Problem: errs.Message(err)}
		s.n.Log.Error("a plan failed", "city", k.City, "date", k.Date, "error", err)
	}
	now := s.n.Clock.Now()
	err = s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return s.store.endPlan(ctx, tx, k, state, b, routes, now)
	})
	if err != nil {
		return fmt.Errorf("plan %s for %s: %w", k.City, k.Date, err)
	}
	s.measures.plan(state, now.Sub(started), b.Left)
	s.announce(ctx, subjectPlan, Planned{k.City, k.Date, state})
	return nil
}

// makeRoutes plans a city's morning from what is known now.
func (s *System) makeRoutes(ctx context.Context, c City, date slots.Date, revision int64) (planBody, []Route, error) {
	leave := s.departure(c, date)
	if leave.IsZero() {
		return planBody{}, nil, errs.New(errs.Invalid, "the date %s does not exist in %s", date, c.Name)
	}
	var b planBody
	machines, err := s.forecast(ctx, c, date, leave, &b.Outcome)
	if err != nil {
		return planBody{}, nil, err
	}
	if c.Vehicles == 0 {
		b.Problem = "the city has no vehicles: whatever is wanted is left out"
	}
	seed := fnv.New64a() // the same plan again after a crash, but for what came in since
	fmt.Fprintf(seed, "%s %s %d", c.Name, date, revision)
	d, err := dispatch.Make(ctx, dispatch.City{
		Depot: routing.Place{Lat: c.Lat, Lon: c.Lon}, Vehicles: c.Vehicles, Technicians: c.Technicians, Capacity: int64(c.Capacity), Shift: c.Shift,
	}, machines, dispatch.Budget{CPU: s.c.PlanCPU, Steps: max(leastSteps, stepsAStop*len(machines)), Seed: seed.Sum64()})
	if err != nil {
		return planBody{}, nil, err
	}
	b.Candidates, b.Left, b.Metres, b.Trips = d.Candidates, len(d.LeftOut), d.Metres, len(d.Routes)
	for _, v := range d.LeftOut[:min(len(d.LeftOut), leftMost)] {
		b.LeftOut = append(b.LeftOut, visit(machines, v, "", time.Time{}))
	}
	var routes []Route
	for _, r := range d.Routes {
		out := Route{Kind: r.Kind, Vehicle: r.Vehicle, Trip: r.Trip, Trips: r.Trips, Metres: r.Metres, Leave: leave.Add(r.Leave).UTC(), Back: leave.Add(r.Back).UTC()}
		if r.Trip == 1 {
			b.Vehicles++
		}
		carries := map[string]int64{}
		for _, v := range r.Visits {
			stop := visit(machines, v, r.Kind, leave)
			for _, l := range stop.Load {
				carries[l.SKU] += l.Items
			}
			out.Items += stop.Items
			out.Stops = append(out.Stops, stop)
		}
		for _, sku := range slices.Sorted(maps.Keys(carries)) {
			out.Load = append(out.Load, SKULoad{sku, carries[sku]})
		}
		slices.SortStableFunc(out.Load, func(a, b SKULoad) int { return cmp.Compare(b.Items, a.Items) })
		b.Visits += len(out.Stops)
		b.Items += out.Items
		routes = append(routes, out)
	}
	return b, routes, nil
}

// visit writes a stop as plans keep it.
func visit(machines []dispatch.Machine, v dispatch.Visit, kind string, leave time.Time) Visit {
	m := machines[v.Machine]
	out := Visit{Machine: m.ID, Kind: kind, ServiceS: v.Service.Seconds(), Why: v.Why, Stale: m.Stale, Risk: v.Risk, Lost: v.Lost}
	if kind == "" {
		out.Kind = dispatch.Restock
		if len(v.Load) == 0 {
			out.Kind = dispatch.Repair
		}
	}
	if m.Place != nil {
		out.Lat, out.Lon = &m.Place.Lat, &m.Place.Lon
	}
	if !leave.IsZero() {
		at := leave.Add(v.Arrive).UTC()
		out.Arrive = &at
	}
	for _, l := range v.Load {
		out.Load = append(out.Load, SlotLoad(l))
		out.Items += l.Items
	}
	for _, f := range v.Faults {
		out.Faults = append(out.Faults, Fault{Code: f.Code, Severity: f.Severity, Slot: f.Slot})
	}
	return out
}

// heardOf is a machine as a plan reads it.
type heardOf struct {
	id       string
	lat, lon *float64
	report   string
	taken    int64
	heard    int64
	faults   int64
	folded   int64
	state    string
	fresh    []unfolded // the oldest first
	audits   told
}

type unfolded struct {
	taken int64
	body  string
}

// forecast says what each machine of a city will have and sell, and counts them.
func (s *System) forecast(ctx context.Context, c City, date slots.Date, leave time.Time, count *Outcome) ([]dispatch.Machine, error) {
	start, _ := slots.Night(date, c.zone)
	visits, err := s.visitsOf(ctx, c, date.Add(-1))
	if err != nil {
		return nil, err
	}
	var list []dispatch.Machine
	for after := ""; ; {
		var page []*heardOf
		err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			page, err = s.store.heardOf(ctx, tx, c.Name, after)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read the machines of %s: %w", c.Name, err)
		}
		if len(page) == 0 {
			return list, nil
		}
		after = page[len(page)-1].id
		learnt := map[string]*demand.Machine{}
		for _, h := range page {
			count.Machines++
			m, known, err := s.expect(h, c, start, leave, visits, learnt)
			if err != nil {
				return nil, err
			}
			switch {
			case !known:
				count.Unknown++
				continue
			case m.Stale:
				count.Stale++
			default:
				count.Reported++
			}
			list = append(list, m)
		}
		if err := s.learn(ctx, learnt); err != nil {
			return nil, err
		}
	}
}

// visitsOf returns the visits that the plan of a night sent out, by machine.
func (s *System) visitsOf(ctx context.Context, c City, date slots.Date) (map[string]demand.Refill, error) {
	p, err := s.Plan(ctx, c.Name, date, 0)
	if errs.Is(err, errs.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	visits := map[string]demand.Refill{}
	for _, r := range p.Routes {
		for _, v := range r.Stops {
			if v.Arrive == nil || len(v.Load) == 0 {
				continue
			}
			items := make(map[string]int64, len(v.Load))
			for _, l := range v.Load {
				items[l.Slot] += l.Items
			}
			visits[v.Machine] = demand.Refill{At: *v.Arrive, Items: items}
		}
	}
	return visits, nil
}

// expect says what one machine will have when the vehicles leave, and what it will
// sell until the chance after that. known is false for one that was never heard.
func (s *System) expect(h *heardOf, c City, start, leave time.Time, visits map[string]demand.Refill, learnt map[string]*demand.Machine) (m dispatch.Machine, known bool, err error) {
	var d demand.Machine
	if h.state != "" {
		if err := json.Unmarshal([]byte(h.state), &d); err != nil {
			return m, false, fmt.Errorf("demand of machine %s as it is kept: %w", h.id, err)
		}
	}
	m = dispatch.Machine{ID: h.id, Stale: h.heard < start.UnixMicro()}
	for _, r := range h.fresh {
		if err := h.audits.count(&d, r.taken, c.zone); err != nil {
			return m, false, fmt.Errorf("machine %s: %w", h.id, err)
		}
		var b body
		if err := json.Unmarshal([]byte(r.body), &b); err != nil {
			return m, false, fmt.Errorf("a report of machine %s as it is kept: %w", h.id, err)
		}
		stock := make([]demand.Stock, len(b.Slots))
		for i, slot := range b.Slots {
			stock[i] = demand.Stock{Slot: slot.Slot, SKU: slot.SKU, Remaining: slot.Remaining, Capacity: slot.Capacity}
		}
		d.Fold(time.UnixMicro(r.taken), stock, c.zone, visits[h.id])
		d.Faults = d.Faults[:0]
		for _, f := range b.Faults {
			d.Faults = append(d.Faults, demand.Fault{Code: f.Code, Severity: f.Severity, Slot: f.Slot})
		}
	}
	news, err := h.foldAudits(&d, c.zone, visits[h.id])
	if err != nil {
		return m, false, err
	}
	if len(h.fresh) > 0 || news {
		learnt[h.id] = &d
	}
	if d.At.IsZero() {
		return m, false, nil
	}
	if h.lat != nil && h.lon != nil {
		m.Place = &routing.Place{Lat: *h.lat, Lon: *h.lon}
	}
	if h.faults > 0 {
		for _, f := range d.Faults {
			m.Faults = append(m.Faults, dispatch.Fault(f))
		}
	}
	stock := d.Stock(leave, c.zone, visits[h.id])
	then := d.Forecast(leave, leave.Add(nextChance), c.zone)
	for i, slot := range d.Slots {
		m.Slots = append(m.Slots, dispatch.Slot{
			Slot: slot.Slot, SKU: slot.SKU, Capacity: slot.Capacity,
			Stock: stock[i], Demand: then[i],
		})
	}
	return m, true, nil
}

// learn keeps what was folded in, so that the next plan reads only what is new.
func (s *System) learn(ctx context.Context, learnt map[string]*demand.Machine) error {
	if len(learnt) == 0 {
		return nil
	}
	texts := map[string]string{}
	for id, d := range learnt {
		text, err := json.Marshal(d)
		if err != nil {
			return fmt.Errorf("write the demand of machine %s: %w", id, err)
		}
		texts[id] = string(text)
	}
	err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for _, id := range slices.Sorted(maps.Keys(texts)) { // in one order: no deadlock
			if _, err := tx.Exec(ctx, setDemandSQL, id, learnt[id].At.UnixMicro(), texts[id], max(0, learnt[id].Counted.UnixMicro())); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep what was learnt of demand: %w", err)
	}
	return nil
}

// heardOf reads a page of a city's machines with the reports that are new.
func (store) heardOf(ctx context.Context, tx *sqldb.Tx, city, after string) ([]*heardOf, error) {
	rows, err := tx.Query(ctx, fleetSQL, city, after, int64(fleetPage))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*heardOf
	for rows.Next() {
		h := &heardOf{}
		if err := rows.Scan(&h.id, &h.lat, &h.lon, &h.report, &h.taken, &h.heard, &h.faults, &h.folded, &h.state, &h.audits.counted, &h.audits.at, &h.audits.stock, &h.audits.faults); err != nil {
			return nil, err
		}
		list = append(list, h)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	rows.Close()
	for _, h := range list {
		if err := h.readSales(ctx, tx); err != nil {
			return nil, err
		}
		if h.report == "" || h.taken <= h.folded {
			continue
		}
		if err := h.read(ctx, tx); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// read fetches the reports of a machine that were not folded in.
func (h *heardOf) read(ctx context.Context, tx *sqldb.Tx) error {
	rows, err := tx.Query(ctx, unfoldedSQL, h.id, h.folded, int64(foldMost))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r unfolded
		if err := rows.Scan(&r.taken, &r.body); err != nil {
			return err
		}
		h.fresh = append(h.fresh, r)
	}
	slices.Reverse(h.fresh)
	return rows.Err()
}
