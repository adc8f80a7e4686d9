package vending

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/fleet"
	"plumb/engines/sqldb"
	"plumb/systems/vending/internal/dts"
)

// Audit is what became of an EVA-DTS file.
type Audit struct {
	dts.File
	ID        string // SHA-256 of the file
	Received  time.Time
	Duplicate bool // it came before
}

// audited is an audit on its way into the database.
type audited struct {
	machine, id, verdict, body string
	at                         int64
	serial                     string           // of its good sets; "": none says
	counters                   map[string]int64 // vends by product, of its last good set; nil: none
	faults, severity           int64
	due                        int64
	duplicate                  bool
}

// Audit takes an EVA-DTS file of machine m and returns when it is durable. The
// machine counts as heard. A file with a wrong checksum is kept and says so; its
// counters are not believed. Errors: *Refused (Busy); Invalid, TooLarge; Conflict
// when the file is that of a machine with another serial number.
func (s *System) Audit(ctx context.Context, m fleet.Machine, text []byte) (Audit, error) {
	f, err := dts.Read(text)
	if err != nil {
		return Audit{}, err
	}
	a, err := s.audited(m, text, f)
	if err != nil {
		return Audit{}, err
	}
	if err := s.enter(m.ID, 1); err != nil {
		return Audit{}, err
	}
	err = s.n.DB.Batch(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.store.audit(ctx, tx, a) })
	stored := 0
	if err == nil {
		stored = 1
	}
	if err := s.leave(m.ID, 1, stored, err); err != nil {
		return Audit{}, fmt.Errorf("keep an audit of machine %s: %w", m.ID, err)
	}
	s.measures.audits.WithLabelValues(a.verdict).Inc()
	return Audit{f, a.id, instant(a.at), a.duplicate}, nil
}

// audited turns a file into what the database keeps of it.
func (s *System) audited(m fleet.Machine, text []byte, f dts.File) (*audited, error) {
	city, ok := s.city(m.Cohort)
	if !ok {
		return nil, fmt.Errorf("audit of machine %s: its city %s is not defined", m.ID, m.Cohort)
	}
	now := s.n.Clock.Now()
	sum := sha256.Sum256(text)
	a := &audited{
		machine: m.ID, id: hex.EncodeToString(sum[:]), verdict: string(f.Verdict), at: now.UnixMicro(),
		body: readable(text), due: s.nextCall(m.ID, city, now).UnixMicro(),
	}
	for _, set := range f.Sets {
		if set.Verdict == dts.BadChecksum {
			continue
		}
		if a.serial == "" {
			a.serial = set.Machine
		} else if set.Machine != "" && set.Machine != a.serial {
			return nil, errs.New(errs.Conflict, "the file holds audits of two machines, %q and %q: send each under its own machine", a.serial, set.Machine)
		}
		if len(set.Products) > 0 {
			a.counters = make(map[string]int64, len(set.Products))
			for _, p := range set.Products {
				a.counters[p.ID] = p.Sold
			}
		}
		a.faults, a.severity = 0, 0
		for _, e := range set.Events {
			if e.Active && e.Fault() != "" {
				a.faults++
				a.severity = max(a.severity, int64(rank(Codes[e.Fault()])))
			}
		}
	}
	return a, nil
}

// readable keeps a text storable: valid UTF-8 without NUL, which PostgreSQL refuses.
func readable(text []byte) string {
	return strings.ToValidUTF8(strings.ReplaceAll(string(text), "\x00", "\uFFFD"), "\uFFFD")
}

const (
	auditSQL  = `INSERT INTO vending_audits (machine, id, received_at, verdict, body) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`
	bindSQL   = `INSERT INTO vending_serials (machine, serial, bound_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`
	serialSQL = `SELECT serial FROM vending_serials WHERE machine = $1`
	unbindSQL = `DELETE FROM vending_serials WHERE machine = $1`

	meterSQL    = `SELECT at, body FROM vending_meters WHERE machine = $1`
	setMeterSQL = `
		INSERT INTO vending_meters (machine, at, body) VALUES ($1, $2, $3)
		ON CONFLICT (machine) DO UPDATE SET at = excluded.at, body = excluded.body`
	soldSQL = `INSERT INTO vending_sales (machine, until, since, body) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`

	// An audit tells faults only where it is newer than the newest report.
	heardAuditSQL = `
		UPDATE vending_machines SET
			faults = CASE WHEN $2 >= taken_at THEN $3 ELSE faults END,
			severity = CASE WHEN $2 >= taken_at THEN $4 ELSE severity END,
			heard_at = $2, due_at = $5
		WHERE id = $1 AND revoked_at = 0`

	auditsSQL     = `SELECT id, received_at, verdict FROM vending_audits WHERE machine = $1 AND (received_at, id) < ($2, $3) ORDER BY received_at DESC, id DESC LIMIT $4`
	oneAuditSQL   = `SELECT received_at, body FROM vending_audits WHERE machine = $1 AND id = $2`
	pruneAuditSQL = `DELETE FROM vending_audits WHERE machine = $1 AND received_at < $2`
	pruneSalesSQL = `DELETE FROM vending_sales WHERE machine = $1 AND until < $2`
)

// audit keeps one file, binds its serial number and tells the sales since the last.
func (st store) audit(ctx context.Context, tx *sqldb.Tx, a *audited) error {
	if err := st.bind(ctx, tx, a); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, auditSQL, a.machine, a.id, a.at, a.verdict, a.body)
	if err != nil {
		return err
	}
	if a.duplicate = n == 0; a.duplicate {
		return nil
	}
	if a.counters != nil {
		if err := st.meter(ctx, tx, a); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, heardAuditSQL, a.machine, a.at, a.faults, a.severity, a.due)
	return err
}

// bind holds a machine to the first serial number that it named.
func (store) bind(ctx context.Context, tx *sqldb.Tx, a *audited) error {
	if a.serial == "" {
		return nil
	}
	if _, err := tx.Exec(ctx, bindSQL, a.machine, a.serial, a.at); err != nil {
		return err
	}
	var bound string
	if err := tx.QueryRow(ctx, serialSQL, a.machine).Scan(&bound); err != nil {
		return err
	}
	if bound != a.serial {
		return errs.New(errs.Conflict, "machine %s has the serial number %q, the file is that of %q: unbind the old one first, if the machine was exchanged", a.machine, bound, a.serial)
	}
	return nil
}

// meter moves the counters on and keeps what was sold. A counter that runs
// backwards was reset, or is another machine's: nothing is known to be sold then.
func (store) meter(ctx context.Context, tx *sqldb.Tx, a *audited) error {
	var since int64
	var text string
	err := tx.QueryRow(ctx, meterSQL, a.machine).Scan(&since, &text)
	first := err == sqldb.ErrNoRows
	if err != nil && !first {
		return err
	}
	counters, err := json.Marshal(a.counters)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, setMeterSQL, a.machine, a.at, string(counters)); err != nil || first {
		return err
	}
	var before map[string]int64
	if err := json.Unmarshal([]byte(text), &before); err != nil {
		return fmt.Errorf("counters of machine %s as they are kept: %w", a.machine, err)
	}
	sold := map[string]int64{}
	for product, now := range a.counters {
		if was, ok := before[product]; ok && now > was {
			sold[product] = now - was
		}
	}
	if len(sold) == 0 {
		return nil
	}
	body, err := json.Marshal(sold)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, soldSQL, a.machine, a.at, since, string(body))
	return err
}

// Unbind forgets the serial number of a machine that was exchanged, and its
// counters; the next audit binds anew. Errors: NotFound.
func (s *System) Unbind(ctx context.Context, machine string) error {
	err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		n, err := tx.Exec(ctx, unbindSQL, machine)
		if err != nil {
			return err
		}
		if n == 0 {
			return errs.New(errs.NotFound, "machine %.64s has no serial number", machine)
		}
		_, err = tx.Exec(ctx, `DELETE FROM vending_meters WHERE machine = $1`, machine)
		return err
	})
	if err != nil {
		return fmt.Errorf("unbind machine %.64s: %w", machine, err)
	}
	return nil
}

// PastAudit is one audit of a machine's list.
type PastAudit struct {
	ID       string
	Received time.Time
	Verdict  string
}

// Audits returns up to limit (1 to 500) audits of a machine, the newest first, and
// the cursor of the next page. Errors: Invalid.
func (s *System) Audits(ctx context.Context, machine, cursor string, limit int) (list []PastAudit, next string, err error) {
	if limit < 1 || limit > 500 {
		return nil, "", errs.New(errs.Invalid, "limit must be 1 to 500, not %d", limit)
	}
	at, before := int64(never), ""
	if cursor != "" {
		if at, before, err = readCursor(Filter{Late: true, Cursor: cursor}); err != nil {
			return nil, "", err
		}
	}
	err = s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, auditsSQL, machine, at, before, int64(limit+1))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var a PastAudit
			var received int64
			if err := rows.Scan(&a.ID, &received, &a.Verdict); err != nil {
				return err
			}
			a.Received = instant(received)
			list = append(list, a)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, "", fmt.Errorf("audits of machine %.64s: %w", machine, err)
	}
	if len(list) > limit {
		list = list[:limit]
		next = timeCursor(list[limit-1].Received, list[limit-1].ID)
	}
	return list, next, nil
}

// AuditText returns the file of an audit as it is kept. Errors: NotFound.
func (s *System) AuditText(ctx context.Context, machine, id string) (string, error) {
	var text string
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var at int64
		return tx.QueryRow(ctx, oneAuditSQL, machine, id).Scan(&at, &text)
	})
	if err == sqldb.ErrNoRows {
		return "", errs.New(errs.NotFound, "machine %.64s has no audit %.64s", machine, id)
	}
	return text, err
}
