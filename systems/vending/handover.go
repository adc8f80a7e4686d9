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

// Machines are handed from cell to cell in three steps, of which each may be
// repeated: HandOver in the old cell, TakeOver in the new, and then the city's
// region is changed in the old (or the machine moved into a city of the new). Until
// that last step the old cell takes the machine's reports, and after it answers them
// with where to go; so a report is never refused by both and never taken by both.

// Handed is a machine as one cell hands it to another: its identity, and what a
// plan needs to know of it. Its older reports stay where they are.
type Handed struct {
	ID         string          `json:"id"`
	City       string          `json:"city"`
	Lat        *float64        `json:"lat,omitempty"`
	Lon        *float64        `json:"lon,omitempty"`
	Model      string          `json:"model,omitempty"`
	Cohort     string          `json:"cohort,omitempty"`
	Credential string          `json:"credential,omitempty" doc:"SHA-256 of the machine's token, in hex; absent before its first"`
	Enrolled   time.Time       `json:"enrolled_at"`
	Revoked    *time.Time      `json:"revoked_at,omitempty"`
	Serial     string          `json:"serial,omitempty" doc:"Of its EVA-DTS files"`
	Report     *HandedReport   `json:"report,omitempty" doc:"The newest"`
	Demand     json.RawMessage `json:"demand,omitempty" doc:"What was learnt from its reports"`
	Meter      *HandedMeter    `json:"meter,omitempty" doc:"Its last good EVA-DTS file, from which the next one's sales are told"`
}

// HandedMeter is what the last good audit of a machine that is handed over says.
type HandedMeter struct {
	At       time.Time       `json:"at" doc:"When it came in"`
	Counters json.RawMessage `json:"counters"`
	Stock    json.RawMessage `json:"stock,omitempty"`
	Faults   json.RawMessage `json:"faults,omitempty"`
	Taken    string          `json:"taken,omitempty" doc:"By the machine's own clock, in no zone"`
}

// HandedReport is the newest report of a machine that is handed over.
type HandedReport struct {
	ID       string          `json:"report_id"`
	Taken    time.Time       `json:"taken_at" doc:"Under which it is kept"`
	Received time.Time       `json:"received_at"`
	Body     json.RawMessage `json:"body"`
}

// handedMost is how many machines are handed over in one call.
const handedMost = 200

const (
	handSQL = `
		SELECT m.id, m.cohort, coalesce(sn.serial, ''), coalesce(r.id, ''), coalesce(r.taken_at, 0), coalesce(r.received_at, 0), coalesce(r.body, ''), coalesce(d.body, ''),
			coalesce(t.at, 0), coalesce(t.body, ''), coalesce(t.stock, ''), coalesce(t.faults, ''), coalesce(t.taken, '')
		FROM vending_machines AS m
		LEFT JOIN vending_serials AS sn ON sn.machine = m.id
		LEFT JOIN vending_reports AS r ON r.machine = m.id AND r.id = m.report_id
		LEFT JOIN vending_demand AS d ON d.machine = m.id
		LEFT JOIN vending_meters AS t ON t.machine = m.id
		WHERE m.city = $1 AND m.id > $2 ORDER BY m.id LIMIT $3`

	placeSQL      = `UPDATE vending_machines SET city = $2, lat = $3, lon = $4, due_at = $5 WHERE id = $1`
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

// HandOver returns up to limit (1 to 200) machines of a city by id, as another cell
// takes them over, and the cursor of the next page: "" on the last. It changes
// nothing here. Errors: NotFound, Invalid.
func (s *System) HandOver(ctx context.Context, city, cursor string, limit int) (list []Handed, next string, err error) {
	c, ok := s.city(city)
	if !ok {
		return nil, "", errs.New(errs.NotFound, "there is no city %.64q", city)
	}
	if limit < 1 || limit > handedMost || len(cursor) > 64 {
		return nil, "", errs.New(errs.Invalid, "limit must be 1 to %d, and cursor one that a list gave", handedMost)
	}
	err = s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if list, err = s.store.handed(ctx, tx, c.Name, cursor, limit+1); err != nil {
			return err
		}
		next = ""
		if len(list) > limit {
			list = list[:limit]
			next = list[limit-1].ID
		}
		for i := range list {
			if err := s.identify(ctx, tx, &list[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("hand over machines of %s: %w", c.Name, err)
	}
	return list, next, nil
}

// identify fills in a machine's place and credential.
func (s *System) identify(ctx context.Context, tx *sqldb.Tx, h *Handed) error {
	m, err := s.store.machine(ctx, tx, h.ID)
	if err != nil {
		return err
	}
	cred, err := s.n.Fleet.Credential(ctx, tx, realm, h.ID)
	if err != nil {
		return err
	}
	h.City, h.Lat, h.Lon, h.Model = m.City, m.Lat, m.Lon, m.Model
	h.Credential, h.Enrolled, h.Revoked = cred.Token, cred.Enrolled, optional(cred.Revoked)
	return nil
}

// handed reads a page of a city's machines.
func (store) handed(ctx context.Context, tx *sqldb.Tx, city, after string, limit int) ([]Handed, error) {
	rows, err := tx.Query(ctx, handSQL, city, after, int64(limit))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Handed
	for rows.Next() {
		var h Handed
		var r HandedReport
		var t HandedMeter
		var taken, received, at int64
		var body, learnt, counters, stock, faults string
		if err := rows.Scan(&h.ID, &h.Cohort, &h.Serial, &r.ID, &taken, &received, &body, &learnt, &at, &counters, &stock, &faults, &t.Taken); err != nil {
			return nil, err
		}
		if r.ID != "" {
			r.Taken, r.Received, r.Body = instant(taken), instant(received), json.RawMessage(body)
			h.Report = &r
		}
		h.Demand = rawOf(learnt)
		if counters != "" {
			t.At, t.Counters, t.Stock, t.Faults = instant(at), rawOf(counters), rawOf(stock), rawOf(faults)
			h.Meter = &t
		}
		list = append(list, h)
	}
	return list, rows.Err()
}

// rawOf returns kept JSON; nil for none.
func rawOf(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

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
	if t.Meter != nil {
		b.Text("meter.taken", t.Meter.Taken, 0, 64)
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
	t.city, t.first = city, s.firstCall(t.ID, city, s.n.Clock.Now()).UnixMicro()
	if len(t.Demand) > 0 {
		if err := json.Unmarshal(t.Demand, &t.demand); err != nil {
			return errs.Wrap(errs.Invalid, err, "demand cannot be read")
		}
	}
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

// Move puts a machine into another city; nil leaves it where it stands on the map.
// In a city of another cell it has to be taken over there first: from now on its
// reports are answered with where to go. Errors: Invalid, NotFound; Denied when it
// is revoked.
func (s *System) Move(ctx context.Context, id, city string, lat, lon *float64) error {
	var b bounds.Check
	NewMachine{ID: id, City: city, Lat: lat, Lon: lon}.check(&b)
	if err := b.Err("the move is not valid"); err != nil {
		return err
	}
	c, err := s.cityFor(ctx, city)
	if err != nil {
		return err
	}
	due := s.firstCall(id, c, s.n.Clock.Now()).UnixMicro()
	err = s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		m, err := s.store.machine(ctx, tx, id)
		if err != nil {
			return err
		}
		if !m.Revoked.IsZero() {
			return errs.New(errs.Denied, "machine %s is revoked: restore it first", id)
		}
		if lat != nil {
			m.Lat, m.Lon = lat, lon
		}
		if err := s.n.Fleet.Move(ctx, tx, realm, id, c.Name); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, placeSQL, id, c.Name, m.Lat, m.Lon, due)
		return err
	})
	if err != nil {
		return fmt.Errorf("move machine %.64s: %w", id, err)
	}
	s.n.Fleet.Changed(ctx, realm, id)
	s.tonight.forget()
	return nil
}
