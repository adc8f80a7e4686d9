package vending

import (
	"context"
	"fmt"
	"time"

	"plumb/base/errs"
	"plumb/engines/fleet/slots"
	"plumb/engines/sqldb"
	"plumb/systems/vending/internal/gate"
)

// Plan is who drives where on the morning after a city's night.
type Plan struct {
	City     string
	Zone     string
	Date     slots.Date // of the night
	Revision int        // from 1; a later one replaces those before
	State    string     // queued, planning, done, failed
	Because  string     // why it was made
	Asked    time.Time
	Started  time.Time // zero: not yet
	Finished time.Time // zero: not yet
	Problem  string    // why it failed, or what is wrong with the city; "" for none
	Outcome
	Routes []Route // by team and vehicle; empty in lists
}

// Outcome counts what came of a plan.
type Outcome struct {
	Machines   int     `json:"machines"` // in good standing
	Reported   int     `json:"reported"` // in this night
	Stale      int     `json:"stale"`    // planned from their last report and the forecast
	Unknown    int     `json:"unknown"`  // never heard: nothing to plan from
	Candidates int     `json:"candidates"`
	Visits     int     `json:"visits"`
	Left       int     `json:"left"` // wanted, and nobody comes
	Vehicles   int     `json:"vehicles"`
	Trips      int     `json:"trips"` // of all vehicles: as many as routes
	Items      int64   `json:"items"`
	Metres     float64 `json:"metres"`
	LeftOut    []Visit `json:"left_out,omitzero"` // the most urgent first; 500 at most; nil in lists
}

// Route is one trip of a vehicle, from the depot and back.
type Route struct {
	Kind    string    `json:"kind"`    // restock or repair
	Vehicle int       `json:"vehicle"` // from 1 in its kind
	Trip    int       `json:"trip"`    // of the vehicle's day, from 1
	Trips   int       `json:"trips"`   // of the vehicle on that day
	Metres  float64   `json:"metres"`
	Leave   time.Time `json:"leave_at"`
	Back    time.Time `json:"back_at"`
	Items   int64     `json:"items"`
	Load    []SKULoad `json:"load"` // what the vehicle carries
	Stops   []Visit   `json:"stops"`
}

// SKULoad is how much of one thing a vehicle carries.
type SKULoad struct {
	SKU   string `json:"sku"`
	Items int64  `json:"items"`
}

// Visit is one stop of a route, or one that was left out.
type Visit struct {
	Machine  string     `json:"machine"`
	Kind     string     `json:"kind"`
	Lat      *float64   `json:"lat,omitempty"`
	Lon      *float64   `json:"lon,omitempty"`
	Arrive   *time.Time `json:"arrive_at,omitempty"`
	ServiceS float64    `json:"service_s"`
	Items    int64      `json:"items"`
	Load     []SlotLoad `json:"load,omitempty"`
	Faults   []Fault    `json:"faults,omitempty"`
	Why      []string   `json:"why"`
	Stale    bool       `json:"stale"`
	Risk     float64    `json:"risk"` // that a slot sells out before the next visit, 0 to 1
	Lost     float64    `json:"lost"` // items that would not be sold without the visit
}

// SlotLoad is what is brought for a slot.
type SlotLoad struct {
	Slot  string `json:"slot"`
	SKU   string `json:"sku"`
	Items int64  `json:"items"`
}

// The states of a plan.
const (
	planQueued   = "queued"
	planPlanning = "planning"
	planDone     = "done"
	planFailed   = "failed"
)

// planKind is the background work that makes plans.
const planKind = "vending.plan"

// planKey names one revision; it is the work's payload.
type planKey struct {
	City     string `json:"city"`
	Date     string `json:"date"`
	Revision int64  `json:"revision"`
}

// gate returns the rule by which a night is planned.
func (s *System) gate() gate.Gate {
	return gate.Gate{Share: s.c.GateShare, Earliest: s.c.GateEarliest, Deadline: s.c.GateDeadline}
}

// Gate says how the gate of a city's night stands.
func (s *System) Gate(n Night, now time.Time) gate.Decision {
	return s.gate().Decide(gate.State{Since: now.Sub(n.Start), Expected: n.Machines - n.New, Reported: n.Reported})
}

// MakePlan asks for the plan of a city's night, and returns it as it stands: the
// newest that is there, or a new one that is queued (made is true). With again, a
// new revision is asked for unless one is under way. Errors: Invalid for a date
// that is not yesterday's, tonight's or tomorrow's in the city; NotFound for a city
// that is not defined.
func (s *System) MakePlan(ctx context.Context, city string, date slots.Date, again bool, because string) (p Plan, made bool, err error) {
	c, ok := s.city(city)
	if !ok {
		return Plan{}, false, errs.New(errs.NotFound, "there is no city %.64q", city)
	}
	if s.foreign(c) {
		return Plan{}, false, s.elsewhere(c)
	}
	tonight, _ := slots.Tonight(s.n.Clock.Now(), c.zone)
	if date != tonight && date != tonight.Add(-1) && date != tonight.Add(1) {
		return Plan{}, false, errs.WithDetails(fmt.Sprintf("in %s it is the night of %s: plans are made for it and for the nights beside it", c.Name, tonight),
			[]errs.Detail{{Where: "date", What: "is too far from tonight"}})
	}
	made, err = s.ask(ctx, c, date, again, false, because)
	if err != nil {
		return Plan{}, false, err
	}
	p, err = s.Plan(ctx, c.Name, date, 0)
	return p, made, err
}

// ask queues a revision, with its work in the same transaction, unless there is one
// that serves: any, or with again one that is under way, or for the night's own run
// (gated) that.
func (s *System) ask(ctx context.Context, c City, date slots.Date, again, gated bool, because string) (made bool, err error) {
	now := s.n.Clock.Now()
	err = s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		made = false
		newest, state, err := s.store.newestPlan(ctx, tx, c.Name, date.String())
		if err != nil {
			return err
		}
		underway := state == planQueued || state == planPlanning
		if !gated && newest > 0 && (underway || !again) {
			return nil
		}
		key := planKey{c.Name, date.String(), newest + 1}
		if made, err = s.store.queuePlan(ctx, tx, key, gated, because, now); err != nil || !made {
			return err
		}
		return s.n.Jobs.Add(ctx, tx, planKind, key)
	})
	if err != nil {
		return false, fmt.Errorf("ask for a plan of %s for %s: %w", c.Name, date, err)
	}
	if made {
		s.announce(ctx, subjectPlan, Planned{c.Name, date.String(), planQueued})
	}
	return made, nil
}

// Plan returns a revision of a night's plan, with its routes; 0 stands for the
// newest. Errors: NotFound.
func (s *System) Plan(ctx context.Context, city string, date slots.Date, revision int) (Plan, error) {
	c, ok := s.city(city)
	if !ok {
		return Plan{}, errs.New(errs.NotFound, "there is no city %.64q", city)
	}
	var p Plan
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		p, err = s.store.plan(ctx, tx, c.Name, date.String(), int64(revision))
		return err
	})
	if err != nil {
		return Plan{}, fmt.Errorf("plan of %s for %s: %w", c.Name, date, err)
	}
	p.Zone = c.Zone
	return p, nil
}

// Plans returns up to limit (1 to 500) plans without their routes, the newest
// nights first: those of one city, or of all ("").
func (s *System) Plans(ctx context.Context, city string, limit int) ([]Plan, error) {
	if limit < 1 || limit > 500 {
		return nil, errs.New(errs.Invalid, "limit must be 1 to 500, not %d", limit)
	}
	if c, ok := s.city(city); ok {
		city = c.Name
	}
	var list []Plan
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		list, err = s.store.plans(ctx, tx, city, int64(limit))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list plans: %w", err)
	}
	for i := range list {
		if c, ok := s.city(list[i].City); ok {
			list[i].Zone = c.Zone
		}
	}
	return list, nil
}

// PlanStates returns how the newest plan of each city's night stands: queued,
// planning, done or failed; no entry where there is none yet.
func (s *System) PlanStates(ctx context.Context, t Tonight) (map[string]string, error) {
	since := ""
	for _, n := range t.Cities {
		if d := n.Date.String(); since == "" || d < since {
			since = d
		}
	}
	var states map[planKey]string
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		states, err = s.store.planStates(ctx, tx, since)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read how tonight's plans stand: %w", err)
	}
	list := map[string]string{}
	for _, n := range t.Cities {
		if state := states[planKey{City: n.City, Date: n.Date.String()}]; state != "" {
			list[n.City] = state
		}
	}
	return list, nil
}

// watchNights looks after every city's gate until ctx ends.
func (s *System) watchNights(ctx context.Context) error {
	for {
		if err := s.openGates(ctx); err != nil && ctx.Err() == nil {
			s.n.Log.Warn("the gates of tonight were not looked at; the next look is soon", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.n.Clock.After(gateEvery):
		}
	}
}

// gateEvery is how often gates are looked at.
const gateEvery = 15 * time.Second

// openGates asks for the plan of each city whose gate is open, and for another
// revision where a grave fault came in after the plan.
func (s *System) openGates(ctx context.Context) error {
	t, err := s.countNight(ctx)
	if err != nil {
		return err
	}
	for _, n := range t.Cities {
		c, ok := s.city(n.City)
		if !ok || s.foreign(c) {
			continue // another cell's
		}
		d := s.Gate(n, t.Now)
		if !d.Go || t.Now.Sub(n.Start) > gateStale {
			continue
		}
		if _, err := s.ask(ctx, c, n.Date, true, true, d.Because); err != nil {
			return err
		}
		if t.Now.Before(s.departure(c, n.Date)) {
			if err := s.planFaults(ctx, c, n.Date); err != nil {
				return err
			}
		}
	}
	return nil
}

// gateStale is how old a night may be to be planned still, by a house that was
// away: after that its routes would be driven in the afternoon.
const gateStale = 8 * time.Hour

// planFaults asks for a new revision where a machine reported a grave fault after
// the plan was begun.
func (s *System) planFaults(ctx context.Context, c City, date slots.Date) error {
	var machine string
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		machine, err = s.store.freshFault(ctx, tx, c.Name, date.String())
		return err
	})
	if err != nil || machine == "" {
		return err
	}
	_, err = s.ask(ctx, c, date, true, false, "a grave fault of machine "+machine)
	return err
}

// departure is when vehicles start on the morning after the night of date.
func (s *System) departure(c City, date slots.Date) time.Time {
	start, ok := slots.Night(date, c.zone)
	if !ok {
		return time.Time{}
	}
	hour := s.c.Leave
	return time.Date(date.Year, date.Month, date.Day, 0, 0, int(hour.Seconds()), 0, start.Location())
}
