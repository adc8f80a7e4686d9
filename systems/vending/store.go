package vending

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// store is the room's SQL. Its functions work in the caller's transaction.
type store struct{ db *sqldb.DB }

// never is when a revoked machine is due.
const never = math.MaxInt64 / 2

const (
	citiesSQL = `SELECT name, zone, lat, lon, vehicles, technicians, capacity, shift_minutes, region FROM vending_cities ORDER BY name`

	addCitySQL = `
		INSERT INTO vending_cities (name, zone, lat, lon, vehicles, technicians, capacity, shift_minutes, region, changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (name) DO NOTHING`

	setCitySQL = `
		INSERT INTO vending_cities (name, zone, lat, lon, vehicles, technicians, capacity, shift_minutes, region, changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (name) DO UPDATE SET zone = excluded.zone, lat = excluded.lat, lon = excluded.lon, vehicles = excluded.vehicles,
			technicians = excluded.technicians, region = excluded.region, capacity = excluded.capacity, shift_minutes = excluded.shift_minutes, changed_at = excluded.changed_at`

	addMachineSQL = `
		INSERT INTO vending_machines (id, city, lat, lon, model, added_at, revoked_at, report_id, taken_at, heard_at, due_at, faults, severity, slots, empty)
		VALUES ($1, $2, $3, $4, $5, $6, 0, '', 0, 0, $7, 0, 0, 0, 0)`

	cityOfSQL = `SELECT city FROM vending_machines WHERE id = $1`

	revokeSQL  = `UPDATE vending_machines SET revoked_at = $2, due_at = $3 WHERE id = $1 AND revoked_at = 0`
	restoreSQL = `UPDATE vending_machines SET revoked_at = 0, due_at = $2 WHERE id = $1 AND revoked_at > 0`

	// Both values of a CASE are the old row's or the report's: an older report
	// changes only when the machine was heard and is due.
	heardSQL = `
		UPDATE vending_machines SET
			report_id = CASE WHEN $3 >= taken_at THEN $2 ELSE report_id END,
			faults = CASE WHEN $3 >= taken_at THEN $4 ELSE faults END,
			severity = CASE WHEN $3 >= taken_at THEN $5 ELSE severity END,
			slots = CASE WHEN $3 >= taken_at THEN $6 ELSE slots END,
			empty = CASE WHEN $3 >= taken_at THEN $7 ELSE empty END,
			firmware = CASE WHEN $3 >= taken_at AND $10 <> '' THEN $10 ELSE firmware END,
			config = CASE WHEN $3 >= taken_at AND $11 <> '' THEN $11 ELSE config END,
			taken_at = CASE WHEN $3 >= taken_at THEN $3 ELSE taken_at END,
			heard_at = $8, due_at = $9
		WHERE id = $1 AND revoked_at = 0`

	bodySQL = `SELECT body FROM vending_reports WHERE machine = $1 AND id = $2`

	pruneSQL = `DELETE FROM vending_reports WHERE machine = $1 AND taken_at < $2`
)

func (store) cities(ctx context.Context, tx *sqldb.Tx) ([]City, error) {
	rows, err := tx.Query(ctx, citiesSQL)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []City
	for rows.Next() {
		var c City
		var vehicles, technicians, capacity, minutes int64
		if err := rows.Scan(&c.Name, &c.Zone, &c.Lat, &c.Lon, &vehicles, &technicians, &capacity, &minutes, &c.Region); err != nil {
			return nil, err
		}
		c.Vehicles, c.Technicians, c.Capacity, c.Shift = int(vehicles), int(technicians), int(capacity), time.Duration(minutes)*time.Minute
		list = append(list, c)
	}
	return list, rows.Err()
}

func (store) addCity(ctx context.Context, tx *sqldb.Tx, c City, now time.Time) error {
	_, err := tx.Exec(ctx, addCitySQL, c.values(now)...)
	return err
}

func (store) setCity(ctx context.Context, tx *sqldb.Tx, c City, now time.Time) error {
	_, err := tx.Exec(ctx, setCitySQL, c.values(now)...)
	return err
}

func (c City) values(now time.Time) []any {
	return []any{c.Name, c.Zone, c.Lat, c.Lon, int64(c.Vehicles), int64(c.Technicians), int64(c.Capacity), int64(c.Shift / time.Minute), c.Region, now.UnixMicro()}
}

func (store) add(ctx context.Context, tx *sqldb.Tx, m NewMachine, now, first time.Time) error {
	_, err := tx.Exec(ctx, addMachineSQL, m.ID, m.City, m.Lat, m.Lon, m.Model, now.UnixMicro(), first.UnixMicro())
	return err
}

func (store) cityOf(ctx context.Context, tx *sqldb.Tx, id string) (city string, err error) {
	err = tx.QueryRow(ctx, cityOfSQL, id).Scan(&city)
	if err == sqldb.ErrNoRows {
		return "", errs.New(errs.NotFound, "there is no machine %s", id)
	}
	return city, err
}

func (store) revoke(ctx context.Context, tx *sqldb.Tx, id string, now time.Time) error {
	_, err := tx.Exec(ctx, revokeSQL, id, now.UnixMicro(), int64(never))
	return err
}

func (store) restore(ctx context.Context, tx *sqldb.Tx, id string, due time.Time) error {
	_, err := tx.Exec(ctx, restoreSQL, id, due.UnixMicro())
	return err
}

// take inserts the rows of one machine that are not there yet, marks those that
// it inserted and those whose id stands for other content, and moves the
// machine's state on to the newest.
func (st store) take(ctx context.Context, tx *sqldb.Tx, machine string, rows []*incoming, due int64) error {
	byID := make(map[string]*incoming, len(rows))
	for _, r := range rows {
		r.inserted, r.other = false, false // this may be a second run
		byID[r.id] = r
	}
	for left := rows; len(left) > 0; {
		n := piece(len(left))
		if err := st.insert(ctx, tx, machine, left[:n], byID); err != nil {
			return err
		}
		left = left[n:]
	}
	var newest *incoming
	for _, r := range rows {
		if r.inserted {
			if newest == nil || r.taken >= newest.taken {
				newest = r
			}
			continue
		}
		var was string
		if err := tx.QueryRow(ctx, bodySQL, machine, r.id).Scan(&was); err != nil {
			return fmt.Errorf("read report %s again: %w", r.id, err)
		}
		r.other = was != r.body
	}
	if newest == nil {
		return nil
	}
	_, err := tx.Exec(ctx, heardSQL, machine, newest.id, newest.taken, newest.faults, newest.severity, newest.slots, newest.empty, newest.received, due, newest.firmware, newest.config)
	return err
}

// insert adds rows in one statement and marks which of them were not there.
func (store) insert(ctx context.Context, tx *sqldb.Tx, machine string, rows []*incoming, byID map[string]*incoming) error {
	args := make([]any, 0, 5*len(rows))
	for _, r := range rows {
		args = append(args, machine, r.id, r.taken, r.received, r.body)
	}
	q := insertSQL[len(rows)]
	if len(rows) == 1 { // the usual case: the count says it all
		n, err := tx.Exec(ctx, q, args...)
		rows[0].inserted = n == 1
		return err
	}
	got, err := tx.Query(ctx, q+` RETURNING id`, args...)
	if err != nil {
		return err
	}
	defer got.Close()
	for got.Next() {
		var id string
		if err := got.Scan(&id); err != nil {
			return err
		}
		byID[id].inserted = true
	}
	return got.Err()
}

// insertSQL has a statement for each number of rows that piece returns. One
// statement for many rows costs a database a fraction of one for each; few
// different texts keep the statements prepared.
var insertSQL = func() map[int]string {
	m := map[int]string{}
	for _, n := range pieces {
		var b strings.Builder
		b.WriteString(`INSERT INTO vending_reports (machine, id, taken_at, received_at, body) VALUES `)
		for i := range n {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "($%d, $%d, $%d, $%d, $%d)", 5*i+1, 5*i+2, 5*i+3, 5*i+4, 5*i+5)
		}
		b.WriteString(` ON CONFLICT (machine, id) DO NOTHING`)
		m[n] = b.String()
	}
	return m
}()

var pieces = []int{64, 16, 4, 1}

// piece returns how many of n rows go into the next statement.
func piece(n int) int {
	for _, p := range pieces {
		if n >= p {
			return p
		}
	}
	return 0
}

// prune deletes the machine's reports that were taken before a moment, and the
// audits that came before it, with the sales that they told.
func (store) prune(ctx context.Context, tx *sqldb.Tx, machine string, before int64) (gone int64, err error) {
	for _, q := range []string{pruneSQL, pruneAuditSQL, pruneSalesSQL} {
		n, err := tx.Exec(ctx, q, machine, before)
		if err != nil {
			return 0, err
		}
		gone += n
	}
	return gone, nil
}
