package vending

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"plumb/base/bounds"
	"plumb/base/errs"
	"plumb/engines/fleet"
	"plumb/engines/sqldb"
	"plumb/systems/vending/internal/demand"
)

// TakenOver is what became of one machine.
type TakenOver struct {
	ID     string
	Status string // "taken", "invalid" or "conflict"
	Err    error  // of an invalid or conflicting one
}

// TakeOver enrols machines that another cell hands over, with the tokens that they
// have, and returns when that is durable: what became of each, in their order. The
// same again changes nothing; a machine that is here in good standing with other
// credentials is a conflict. Errors: Invalid for too many.
func (s *System) TakeOver(ctx context.Context, list []Handed) ([]TakenOver, error) {
	if len(list) < 1 || len(list) > handedMost {
		return nil, errs.New(errs.Invalid, "1 to %d machines are taken over at once, not %d", handedMost, len(list))
	}
	out := make([]TakenOver, len(list))
	rows := make([]*taking, len(list))
	for i, h := range list {
		rows[i], out[i] = &taking{Handed: h}, TakenOver{ID: h.ID}
		if out[i].Err = s.prepareTaking(ctx, rows[i]); out[i].Err != nil && !errs.Is(out[i].Err, errs.Invalid) && !errs.Is(out[i].Err, errs.Denied) {
			return nil, out[i].Err
		}
	}
	bad := make([]error, len(list)) // by the transaction, which may run twice
	err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for i, row := range rows {
			if bad[i] = out[i].Err; bad[i] != nil {
				continue
			}
			if bad[i] = s.takeOne(ctx, tx, row); bad[i] != nil && !errs.Is(bad[i], errs.Conflict) && !errs.Is(bad[i], errs.Invalid) {
				return bad[i]
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("take over %d machines: %w", len(list), err)
	}
	for i := range out {
		out[i].Err, out[i].Status = bad[i], "taken"
		switch {
		case errs.Is(bad[i], errs.Conflict):
			out[i].Status = "conflict"
		case bad[i] != nil:
			out[i].Status = "invalid"
		default:
			s.defined(ctx, rows[i].city)
			s.n.Fleet.Changed(ctx, realm, out[i].ID)
		}
	}
	s.tonight.forget()
	return out, s.opsChanged(ctx)
}

// taking is a machine on its way in.
type taking struct {
	Handed
	city   City
	first  int64 // when it is expected
	report *incoming
	demand demand.Machine
}

// prepareTaking checks what another cell says of a machine, outside of the
// transaction. Errors: Invalid; Denied for a city that is not of this cell either.
func (s *System) prepareTaking(ctx context.Context, t *taking) error {
	var b bounds.Check
	NewMachine{ID: t.ID, City: t.City, Lat: t.Lat, Lon: t.Lon, Model: t.Model}.check(&b)
	if t.Cohort != "" {
		checkName(&b, "cohort", t.Cohort)
	}
	b.Text("serial", t.Serial, 0, 64)
	// A moment ahead would keep what is newer here from being believed, for good.
	now := s.n.Clock.Now()
	past := func(where string, at time.Time) {
		if at.After(now.Add(s.c.Ahead)) || at.Year() < 1970 {
			b.Fault(where, "is not a time of the past: %s", at.Format(time.RFC3339))
		}
	}
	if len(t.Demand) > handedBytes {
		b.Fault("demand", "must have at most %d bytes, not %d", handedBytes, len(t.Demand))
	}
	if t.Report != nil {
		past("report.taken_at", t.Report.Taken)
		past("report.received_at", t.Report.Received)
	}
	if m := t.Meter; m != nil {
		b.Text("meter.taken", m.Taken, 0, 64)
		past("meter.at", m.At)
		if n := len(m.Counters) + len(m.Stock) + len(m.Faults); n > handedBytes {
			b.Fault("meter", "must have at most %d bytes, not %d", handedBytes, n)
		}
	}
	if err := b.Err("the machine is not valid"); err != nil {
		return err
	}
	city, err := s.cityFor(ctx, t.City)
	if err != nil {
		return err
	}
	if s.foreign(city) {
		return s.elsewhere(city)
	}
	t.city, t.first = city, s.firstCall(t.ID, city, now).UnixMicro()
	if len(t.Demand) > 0 {
		if err := json.Unmarshal(t.Demand, &t.demand); err != nil || t.demand.At.After(now.Add(s.c.Ahead)) {
			return errs.New(errs.Invalid, "demand cannot be read, or is of the future")
		}
	}
	return s.prepareReport(t)
}

// prepareReport reads the newest report of a machine that is handed over, if there
// is one. Errors: Invalid.
func (s *System) prepareReport(t *taking) error {
	if t.Report == nil {
		return nil
	}
	var kept body
	if err := json.Unmarshal(t.Report.Body, &kept); err != nil {
		return errs.Wrap(errs.Invalid, err, "report.body cannot be read")
	}
	r := Report{ID: t.Report.ID, Slots: kept.Slots, Faults: kept.Faults, Firmware: kept.Firmware, Config: kept.Config}
	if kept.Taken != nil {
		r.Taken = *kept.Taken
	}
	if err := r.check(); err != nil {
		return err
	}
	t.report, _ = s.row(&r, t.Report.Received)
	t.report.taken, t.report.received = t.Report.Taken.UnixMicro(), t.Report.Received.UnixMicro()
	return nil
}

const (
	keepSerialSQL = `INSERT INTO vending_serials (machine, serial, bound_at) VALUES ($1, $2, $3) ON CONFLICT (machine) DO UPDATE SET serial = excluded.serial, bound_at = excluded.bound_at`
	// What is newer here stays: a machine that comes home brings what it has since.
	keepDemandSQL = `
		INSERT INTO vending_demand (machine, at, body) VALUES ($1, $2, $3)
		ON CONFLICT (machine) DO UPDATE SET at = excluded.at, body = excluded.body WHERE vending_demand.at < excluded.at`
	keepMeterSQL = `
		INSERT INTO vending_meters (machine, at, body, stock, faults, taken) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (machine) DO UPDATE SET at = excluded.at, body = excluded.body, stock = excluded.stock, faults = excluded.faults, taken = excluded.taken
		WHERE vending_meters.at < excluded.at`
	modelSQL = `UPDATE vending_machines SET model = $2, cohort = $3, revoked_at = $4 WHERE id = $1`
)

// takeOne writes one machine. Errors: Conflict, Invalid; after those nothing of the
// machine was written.
func (s *System) takeOne(ctx context.Context, tx *sqldb.Tx, t *taking) error {
	have, err := s.store.cityOf(ctx, tx, t.ID)
	here := err == nil
	if err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	// One that this cell handed over before comes home, and brings what it has now.
	replace := false
	if c, ok := s.city(have); here && ok {
		replace = s.foreign(c)
	}
	cred := fleet.Credential{Machine: fleet.Machine{Realm: realm, ID: t.ID, Cohort: t.city.Name}, Token: t.Credential, Enrolled: t.Enrolled}
	due, revoked := t.first, int64(0)
	if t.Revoked != nil {
		cred.Revoked, revoked, due = *t.Revoked, t.Revoked.UnixMicro(), never
	}
	if here && !replace && have != t.city.Name {
		return errs.New(errs.Conflict, "machine %s stands in %s already", t.ID, have)
	}
	if err := s.n.Fleet.Adopt(ctx, tx, cred, replace); err != nil {
		return err
	}
	if err := s.define(ctx, tx, t.city); err != nil {
		return err
	}
	m := NewMachine{ID: t.ID, City: t.city.Name, Lat: t.Lat, Lon: t.Lon, Model: t.Model}
	if !here {
		err = s.store.add(ctx, tx, m, t.Enrolled, time.UnixMicro(due))
	} else if replace {
		_, err = tx.Exec(ctx, placeSQL, m.ID, m.City, m.Lat, m.Lon, due)
	} else {
		return nil // taken over before: what it reported since is newer than this
	}
	if err != nil {
		return err
	}
	if t.report != nil {
		if err := s.store.take(ctx, tx, t.ID, []*incoming{t.report}, due); err != nil {
			return err
		}
	}
	// After the report, which a revoked machine could not bring.
	if _, err := tx.Exec(ctx, modelSQL, t.ID, t.Model, t.Cohort, revoked); err != nil {
		return err
	}
	return s.takeRest(ctx, tx, t)
}

// takeRest writes what else is known of a machine.
func (s *System) takeRest(ctx context.Context, tx *sqldb.Tx, t *taking) error {
	if t.Serial != "" {
		if _, err := tx.Exec(ctx, keepSerialSQL, t.ID, t.Serial, t.Enrolled.UnixMicro()); err != nil {
			return err
		}
	}
	if len(t.Demand) > 0 {
		if _, err := tx.Exec(ctx, keepDemandSQL, t.ID, t.demand.At.UnixMicro(), string(t.Demand)); err != nil {
			return err
		}
	}
	if m := t.Meter; m != nil {
		if _, err := tx.Exec(ctx, keepMeterSQL, t.ID, m.At.UnixMicro(), string(m.Counters), string(m.Stock), string(m.Faults), m.Taken); err != nil {
			return err
		}
	}
	return nil
}
