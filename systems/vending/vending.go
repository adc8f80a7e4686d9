// Package vending looks after a fleet of vending machines (question 12): 188,888
// of them report their stock and faults every night. If all call one server at
// midnight, the server falls over, reports are lost on the way, and whatever is
// planned at 01:00 is planned on yesterday's stock.
//
// The answer in five lines:
//
//   - Each machine has its own slot in a window after its city's midnight, from
//     a hash of its id (engines/fleet/slots): 52 reports a second, not 188,888.
//   - A report is acknowledged when it is committed and synced, and applied once
//     per the id that the machine chose, however often it is sent.
//   - When more arrive than the database takes, the rest is refused early, each
//     with a slot to come back in; nothing that was acknowledged is dropped.
//   - An answer carries the next time as an instant and as seconds from now, so
//     that a machine without a clock keeps its slot too.
//   - Reports taken offline arrive late and land under the time they were taken:
//     an older report never overwrites what a newer one says.
//
// The rule about clocks: a report whose taken_at is more than Config.Ahead in the
// future, or older than Config.Retention, or missing, is stored under the time at
// which it was received; the claimed time stays in it, and it is counted.
package vending

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"plumb/base/bounds"
	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/devices"
	"plumb/engines/fleet"
	"plumb/engines/fleet/slots"
	"plumb/engines/once"
	"plumb/engines/sqldb"
)

//go:embed schema/*.sql
var schema embed.FS

// realm is the room's name, and its machines' realm in the fleet.
const realm = "vending"

// System is the room.
type System struct {
	n        Needs
	c        Config
	store    store
	door     door // admission, rate, breaker
	measures measures
	stop     []func() // subscriptions

	reading sync.Mutex // one reads the cities at a time, or an older view could replace a newer
	mu      sync.RWMutex
	cities  map[string]City // by name; replaced, never changed

	known      known // what answers to reports say beside
	tonight    tonight
	background sync.WaitGroup // counts of the night that nobody waits for
}

// New opens the room and brings its tables up to date.
func New(ctx context.Context, n Needs, c Config) (*System, error) {
	if err := c.valid(); err != nil {
		return nil, err
	}
	if err := n.DB.Migrate(ctx, realm, schema); err != nil {
		return nil, fmt.Errorf("open vending: %w", err)
	}
	if err := devices.Tables(ctx, n.DB); err != nil {
		return nil, fmt.Errorf("open vending: %w", err)
	}
	s := &System{n: n, c: c, store: store{n.DB}}
	measured, err := s.recall(ctx, c.Capacity)
	if err != nil {
		return nil, fmt.Errorf("open vending: %w", err)
	}
	c.Capacity = measured
	s.door = newDoor(c)
	s.measures = newMeasures(s)
	if err := s.loadCities(ctx); err != nil {
		return nil, fmt.Errorf("open vending: %w", err)
	}
	if err := s.loadOps(ctx); err != nil {
		return nil, fmt.Errorf("open vending: %w", err)
	}
	if err := s.listen(); err != nil {
		s.Close()
		return nil, fmt.Errorf("open vending: %w", err)
	}
	return s, nil
}

// Close ends the room's subscriptions and waits for what runs in the background.
func (s *System) Close() {
	s.background.Wait()
	for _, stop := range s.stop {
		stop()
	}
}

// Run looks after the nights, and remembers what was measured and what the other
// processes did, until ctx ends.
func (s *System) Run(ctx context.Context) error {
	var all sync.WaitGroup
	var gates, ops error
	all.Go(func() { gates = s.watchNights(ctx) })
	all.Go(func() { ops = s.heedOps(ctx) })
	err := s.rememberCapacity(ctx)
	all.Wait()
	return errors.Join(err, gates, ops)
}

// NewMachine is what is known of a machine before it calls.
type NewMachine struct {
	ID       string // 1 to 64 of A-Z a-z 0-9 _ and -
	City     string
	Lat, Lon *float64 // degrees; both or none
	Model    string   // up to 64 characters
}

// checkName checks an id that was chosen outside, as ids.Name.
func checkName(b *bounds.Check, where, v string) {
	if err := ids.Name(where, v); err != nil {
		b.Fault(where, "%s", strings.TrimPrefix(errs.Message(err), where+" "))
	}
}

// check names every fault of m, with places below prefix.
func (m NewMachine) check(b *bounds.Check) {
	checkName(b, "id", m.ID)
	b.Text("city", m.City, 1, 64)
	b.Text("model", m.Model, 0, 64)
	switch {
	case (m.Lat == nil) != (m.Lon == nil):
		b.Fault("lat", "and lon are given both, or none")
	case m.Lat != nil:
		b.Float("lat", *m.Lat, -90, 90)
		b.Float("lon", *m.Lon, -180, 180)
	}
}

// Enrolled is the answer to who brings a new machine.
type Enrolled struct {
	ID       string
	Token    string // shown this once
	Endpoint string // where the machine reports
	ReportAt time.Time
	Cell     *Cell // where it belongs, in a house of several regions
}

// Enrol adds a machine and gives it its token. Errors: Invalid, also for a city
// that nobody defined and the table of the world's cities does not hold;
// Conflict when the id is taken.
func (s *System) Enrol(ctx context.Context, m NewMachine) (Enrolled, error) {
	return s.EnrolOnce(ctx, m, once.Request{})
}

// EnrolOnce is Enrol for a request that may come again: the same key gets the
// same token, where the first answer was lost on the line.
func (s *System) EnrolOnce(ctx context.Context, m NewMachine, again once.Request) (Enrolled, error) {
	var b bounds.Check
	m.check(&b)
	if err := b.Err("the machine is not valid"); err != nil {
		return Enrolled{}, err
	}
	city, err := s.cityFor(ctx, m.City)
	if err != nil {
		return Enrolled{}, err
	}
	if s.foreign(city) {
		return Enrolled{}, s.elsewhere(city)
	}
	m.City = city.Name
	token, now := ids.Token(), s.n.Clock.Now()
	first := s.firstCall(m.ID, city, now)
	var e Enrolled
	err = s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		e, err = once.Give(ctx, s.n.Once, tx, s.asked(again, "machines", m), func() (Enrolled, error) {
			return s.placed(Enrolled{ID: m.ID, Token: token, ReportAt: first}, city), s.add(ctx, tx, m, city, token, now, first)
		})
		return err
	})
	if err != nil {
		return Enrolled{}, fmt.Errorf("enrol machine %s: %w", m.ID, err)
	}
	s.defined(ctx, city)
	s.tonight.forget()
	return e, nil
}

// placed fills in where a machine of the city reports.
func (s *System) placed(e Enrolled, c City) Enrolled {
	cell, regional := s.cell(c)
	e.Endpoint = cell.Endpoint
	if regional {
		e.Cell = &cell
	}
	return e
}

// add writes one machine that stands in the city c, to the fleet and to the room.
func (s *System) add(ctx context.Context, tx *sqldb.Tx, m NewMachine, c City, token string, now, first time.Time) error {
	if err := s.n.Fleet.Enrol(ctx, tx, fleet.Machine{Realm: realm, ID: m.ID, Cohort: m.City}, token); err != nil {
		return err
	}
	if err := s.define(ctx, tx, c); err != nil {
		return err
	}
	return s.store.add(ctx, tx, m, now, first)
}

// asked completes a request that may come again with what it asks for.
func (s *System) asked(r once.Request, operation string, body any) once.Request {
	r.Scope, r.Body, r.Now = realm+"."+operation+"/"+r.Scope, body, s.n.Clock.Now()
	return r
}

// FreshCode is a one-time code and how long it is good.
type FreshCode struct {
	Code    string
	Expires time.Time
}

// Code makes a one-time code with which the machine gets a new token; its
// earlier codes end. Errors: NotFound; Denied when it is revoked.
func (s *System) Code(ctx context.Context, id string, again once.Request) (FreshCode, error) {
	var c FreshCode
	code := fleet.Code()
	err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		c, err = once.Give(ctx, s.n.Once, tx, s.asked(again, "code", id), func() (FreshCode, error) {
			expires, err := s.n.Fleet.NewCode(ctx, tx, realm, id, code)
			return FreshCode{code, expires}, err
		})
		return err
	})
	if err != nil {
		return FreshCode{}, fmt.Errorf("new code for machine %s: %w", id, err)
	}
	return c, nil
}

// Redeem changes a one-time code for a token. Errors: Unknown for a code that is
// not good; Denied for a revoked machine.
func (s *System) Redeem(ctx context.Context, code string, again once.Request) (Enrolled, error) {
	var e Enrolled
	token := ids.Token()
	err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		e, err = once.Give(ctx, s.n.Once, tx, s.asked(again, "enrol", code), func() (Enrolled, error) {
			m, err := s.n.Fleet.Redeem(ctx, tx, realm, code, token)
			return Enrolled{ID: m.ID, Token: token, Endpoint: s.n.URL}, err
		})
		return err
	})
	if err != nil {
		return Enrolled{}, fmt.Errorf("redeem a code: %w", err)
	}
	s.n.Fleet.Changed(ctx, realm, e.ID) // its old token, if it had one, is over
	d, err := s.Machine(ctx, e.ID)
	if err != nil {
		return Enrolled{}, fmt.Errorf("redeem a code: %w", err)
	}
	city, err := s.cityFor(ctx, d.City)
	if err != nil {
		return Enrolled{}, fmt.Errorf("redeem a code of machine %s: %w", e.ID, err)
	}
	e.ReportAt = s.firstCall(e.ID, city, s.n.Clock.Now())
	return s.placed(e, city), nil
}

// Revoke ends a machine's right to report, in every process; what it reported
// stays. Restore gives the right back, with the same token. Errors: NotFound.
func (s *System) Revoke(ctx context.Context, id string) error { return s.revoke(ctx, id, true) }

// Restore undoes Revoke. Errors: NotFound.
func (s *System) Restore(ctx context.Context, id string) error { return s.revoke(ctx, id, false) }

func (s *System) revoke(ctx context.Context, id string, revoked bool) error {
	now := s.n.Clock.Now()
	err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.n.Fleet.Revoke(ctx, tx, realm, id, revoked); err != nil {
			return err
		}
		if revoked {
			return s.store.revoke(ctx, tx, id, now)
		}
		name, err := s.store.cityOf(ctx, tx, id)
		if err != nil {
			return err
		}
		city, ok := s.city(name)
		if !ok {
			return fmt.Errorf("machine %s is in %s, which is not defined", id, name)
		}
		return s.store.restore(ctx, tx, id, s.firstCall(id, city, now))
	})
	if err != nil {
		return fmt.Errorf("revoke machine %s: %w", id, err)
	}
	s.n.Fleet.Changed(ctx, realm, id)
	s.tonight.forget()
	return nil
}

// firstCall and nextCall say when a machine is expected: see slots.
func (s *System) firstCall(id string, c City, now time.Time) time.Time {
	return slots.FirstCall(id, now, c.zone, s.c.Window).UTC()
}

func (s *System) nextCall(id string, c City, now time.Time) time.Time {
	return slots.NextCall(id, now, c.zone, s.c.Window).UTC()
}
