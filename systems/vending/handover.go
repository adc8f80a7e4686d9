package vending

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"plumb/base/bounds"
	"plumb/base/errs"
	"plumb/engines/sqldb"
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

const (
	handedMost  = 200       // machines in one call
	handedBytes = 256 << 10 // of what was learnt of one
)

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

	placeSQL = `UPDATE vending_machines SET city = $2, lat = $3, lon = $4, due_at = $5 WHERE id = $1`
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
	if s.foreign(c) {
		due = never
	}
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
		if err := s.define(ctx, tx, c); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, placeSQL, id, c.Name, m.Lat, m.Lon, due)
		return err
	})
	if err != nil {
		return fmt.Errorf("move machine %.64s: %w", id, err)
	}
	s.defined(ctx, c)
	s.n.Fleet.Changed(ctx, realm, id)
	s.tonight.forget()
	return nil
}
