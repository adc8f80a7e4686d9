package vending

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// How audits are kept: a batch of files costs a few statements, not a few each.

var (
	meteredSQL = newBulk(`
		SELECT m.id, m.city, m.revoked_at, m.report_id, m.faults, m.severity, m.slots, m.empty, COALESCE(s.serial, ''), COALESCE(t.at, 0), COALESCE(t.body, ''), COALESCE(t.stock, ''), COALESCE(t.faults, ''), COALESCE(t.taken, '')
		FROM vending_machines AS m LEFT JOIN vending_serials AS s ON s.machine = m.id LEFT JOIN vending_meters AS t ON t.machine = m.id
		WHERE m.id IN (`, "?", `)`)

	auditSQL = newBulk(`INSERT INTO vending_audits (machine, id, received_at, verdict, body) VALUES `, "(?, ?, ?, ?, ?)",
		` ON CONFLICT DO NOTHING RETURNING machine, id`)

	bindSQL = newBulk(`INSERT INTO vending_serials (machine, serial, bound_at) VALUES `, "(?, ?, ?)", ` ON CONFLICT DO NOTHING`)

	setMeterSQL = newBulk(`INSERT INTO vending_meters (machine, at, body, stock, faults, taken) VALUES `, "(?, ?, ?, ?, ?, ?)", `
		ON CONFLICT (machine) DO UPDATE SET at = excluded.at, body = excluded.body, stock = excluded.stock, faults = excluded.faults, taken = excluded.taken`)

	soldSQL = newBulk(`INSERT INTO vending_sales (machine, until, since, body) VALUES `, "(?, ?, ?, ?)", ` ON CONFLICT DO NOTHING`)

	heardAuditSQL = newBulk(`
		WITH v (id, heard, due) AS (VALUES `, "(CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT))", `)
		UPDATE vending_machines SET heard_at = v.heard, due_at = v.due FROM v WHERE vending_machines.id = v.id`)

	// Apart, because it is seldom needed and touches every index.
	stateAuditSQL = newBulk(`
		WITH v (id, faults, severity, slots, empty) AS (VALUES `,
		"(CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT))", `)
		UPDATE vending_machines SET faults = v.faults, severity = v.severity, slots = v.slots, empty = v.empty
		FROM v WHERE vending_machines.id = v.id`)
)

const (
	unbindSQL    = `DELETE FROM vending_serials WHERE machine = $1`
	dropMeterSQL = `DELETE FROM vending_meters WHERE machine = $1`

	auditsSQL     = `SELECT id, received_at, verdict FROM vending_audits WHERE machine = $1 AND (received_at, id) < ($2, $3) ORDER BY received_at DESC, id DESC LIMIT $4`
	oneAuditSQL   = `SELECT received_at, body FROM vending_audits WHERE machine = $1 AND id = $2`
	serialSQL     = `SELECT serial FROM vending_serials WHERE machine = $1`
	salesSQL      = `SELECT since, until, body FROM vending_sales WHERE machine = $1 ORDER BY until DESC LIMIT $2`
	pruneAuditSQL = `DELETE FROM vending_audits WHERE machine = $1 AND received_at < $2`
	pruneSalesSQL = `DELETE FROM vending_sales WHERE machine = $1 AND until < $2`
)

// metered is a machine as its audits find it, and as they leave it.
type metered struct {
	id, city string
	home     City // "" until its standing is known
	revoked  bool
	report   string // id of its newest report; "": it has sent none
	is, was  condition
	serial   string

	// Its last good audit: see vending_meters.
	at                         int64 // when the counters came; 0: none did
	counters                   map[string]int64
	body, stock, faults, taken string

	sold  map[string]int64 // by selection
	since int64            // from when on that is; 0: nobody knows

	bound, changed, heard bool // what is to be written: the serial number, the meter, that it was heard
}

// condition is what a machine's row says of it.
type condition struct{ faults, severity, slots, empty int64 }

// filing is one transaction's keeping of files.
type filing struct {
	store
	at       int64 // now
	machines map[string]*metered
	standing func(*metered) error
	due      func(*metered) int64
}

// keep stores the files that may be stored and moves their machines on.
func (b *filing) keep(ctx context.Context, tx *sqldb.Tx, list []*filed) error {
	if err := b.read(ctx, tx, list); err != nil {
		return err
	}
	type key struct{ machine, id string }
	fresh := make(map[key]*filed, len(list))
	var rows [][]any
	for _, f := range list {
		f.duplicate = false
		if f.err = b.admit(f); f.err != nil {
			continue
		}
		k := key{f.machine, f.id}
		if f.duplicate = fresh[k] != nil; f.duplicate {
			continue
		}
		fresh[k] = f
		rows = append(rows, []any{f.machine, f.id, b.at, string(f.file.Verdict), f.body})
	}
	stored := make(map[key]bool, len(rows))
	err := auditSQL.query(ctx, tx, rows, func(r *sqldb.Rows) error {
		var k key
		err := r.Scan(&k.machine, &k.id)
		stored[k] = true
		return err
	})
	if err != nil {
		return err
	}
	for _, f := range list {
		k := key{f.machine, f.id}
		if f.err != nil || fresh[k] != f {
			continue
		}
		if f.duplicate = !stored[k]; f.duplicate {
			continue
		}
		if err := b.machines[f.machine].fold(f.said, b.at); err != nil {
			return err
		}
	}
	return b.write(ctx, tx)
}

// read fetches the machines of the files.
func (b *filing) read(ctx context.Context, tx *sqldb.Tx, list []*filed) error {
	names := map[string]bool{}
	for _, f := range list {
		names[f.machine] = true
	}
	var rows [][]any
	for _, id := range slices.Sorted(maps.Keys(names)) {
		rows = append(rows, []any{id})
	}
	return meteredSQL.query(ctx, tx, rows, func(r *sqldb.Rows) error {
		m := &metered{}
		var revoked int64
		err := r.Scan(&m.id, &m.city, &revoked, &m.report, &m.was.faults, &m.was.severity, &m.was.slots, &m.was.empty, &m.serial, &m.at, &m.body, &m.stock, &m.faults, &m.taken)
		m.revoked, m.since, m.is = revoked > 0, m.at, m.was
		b.machines[m.id] = m
		return err
	})
}

// admit says why a file is not to be kept, and binds its machine to the first
// serial number that it names.
func (b *filing) admit(f *filed) error {
	m := b.machines[f.machine]
	if m == nil {
		return errs.New(errs.NotFound, "there is no machine %.64s", f.machine)
	}
	if m.home.Name == "" {
		if err := b.standing(m); err != nil {
			return err
		}
	}
	if f.said.serial == "" {
		return nil
	}
	if m.serial == "" {
		m.serial, m.bound = f.said.serial, true
	}
	if m.serial != f.said.serial {
		return errs.New(errs.Conflict, "machine %s has the serial number %q, the file is that of %q: unbind the old one first, if the machine was exchanged", m.id, m.serial, f.said.serial)
	}
	return nil
}

// fold moves a machine on by a file that was not there before.
func (m *metered) fold(d said, at int64) error {
	m.heard = true
	if !d.good {
		return nil
	}
	if m.counters == nil && m.body != "" {
		if err := json.Unmarshal([]byte(m.body), &m.counters); err != nil {
			return fmt.Errorf("counters of machine %s as they are kept: %w", m.id, err)
		}
	}
	if m.late(d) {
		return nil
	}
	m.changed, m.faults = true, d.faultsText
	if d.taken != "" {
		m.taken = d.taken
	}
	m.is.faults, m.is.severity = int64(len(d.faults)), 0
	for _, f := range d.faults {
		m.is.severity = max(m.is.severity, int64(rank(f.Severity)))
	}
	if d.counters == nil {
		return nil
	}
	// A counter that runs backwards was reset, or is another machine's: nothing is
	// known to be sold then, nor of a first batch: nobody knows since when.
	for product, now := range d.counters {
		if was, ok := m.counters[product]; ok && now >= was && m.since > 0 {
			if m.sold == nil {
				m.sold = make(map[string]int64, len(d.counters))
			}
			m.sold[product] += now - was // also zero: that it sold nothing is known too
		}
	}
	m.counters, m.at, m.body, m.stock = d.counters, max(at, m.at+1), d.countersText, d.stockText
	m.is.slots, m.is.empty = int64(len(d.stock)), 0
	for _, s := range d.stock {
		if s.Remaining == 0 {
			m.is.empty++
		}
	}
	return nil
}

// lateMost is how much older than the last a file may be and still count as one
// that comes late; a clock further back was reset.
const lateMost = 45 * 24 * time.Hour

// late says whether a file was taken before the one that was folded last, as a
// gateway may send them: by the machine's clock, and no counter is ahead.
func (m *metered) late(d said) bool {
	const local = "2006-01-02T15:04:05"
	was, err := time.Parse(local, m.taken)
	if err != nil {
		return false
	}
	now, err := time.Parse(local, d.taken)
	if err != nil || !now.Before(was) || was.Sub(now) > lateMost {
		return false
	}
	for product, n := range d.counters {
		if n > m.counters[product] {
			return false
		}
	}
	return true
}

// write stores what became of the machines, in the order of their ids, so that two
// batches cannot wait for each other.
func (b *filing) write(ctx context.Context, tx *sqldb.Tx) error {
	var serials, meters, sales, heard, states [][]any
	for _, id := range slices.Sorted(maps.Keys(b.machines)) {
		m := b.machines[id]
		if m.bound {
			serials = append(serials, []any{id, m.serial, b.at})
		}
		if m.changed {
			meters = append(meters, []any{id, m.at, m.body, m.stock, m.faults, m.taken})
		}
		if len(m.sold) > 0 {
			body, err := json.Marshal(m.sold)
			if err != nil {
				return err
			}
			sales = append(sales, []any{id, m.at, m.since, string(body)})
		}
		if m.heard {
			heard = append(heard, []any{id, b.at, b.due(m)})
		}
		// A machine that also reports tells its stock and faults with its reports.
		if m.report == "" && m.is != m.was {
			states = append(states, []any{id, m.is.faults, m.is.severity, m.is.slots, m.is.empty})
		}
	}
	for _, w := range []struct {
		bulk bulk
		rows [][]any
	}{{bindSQL, serials}, {setMeterSQL, meters}, {soldSQL, sales}, {heardAuditSQL, heard}, {stateAuditSQL, states}} {
		if err := w.bulk.exec(ctx, tx, w.rows); err != nil {
			return err
		}
	}
	return nil
}
