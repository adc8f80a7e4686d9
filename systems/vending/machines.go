package vending

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// Machine is what is known of a machine at one moment.
type Machine struct {
	ID       string
	City     string
	Lat, Lon *float64 // nil: not known
	Model    string
	Added    time.Time
	Revoked  time.Time // zero: in good standing
	ReportID string    // of the newest report by the time it was taken; "" before the first
	Taken    time.Time // when that was taken
	Heard    time.Time // when a report last came in, however old; zero: never
	Due      time.Time // when the next is expected; zero when revoked, or when another cell serves it
	Late     bool      // due, and the grace is over too
	Faults   int       // in the newest report
	Severity string    // of the worst of them; "" without
	Slots    int
	Empty    int    // slots sold out
	Firmware string // that runs on it; "": it never said
	Config   string
	Cohort   string // that somebody named; "": only its city
}

// State is the one word that matters most: revoked, late, faulty, new (never
// heard) or ok.
func (m Machine) State() string {
	switch {
	case !m.Revoked.IsZero():
		return "revoked"
	case m.Late:
		return "late"
	case m.Faults > 0:
		return "faulty"
	case m.Heard.IsZero():
		return "new"
	}
	return "ok"
}

// Place writes where the machine stands; "" when that is not known.
func (m Machine) Place() string {
	if m.Lat == nil || m.Lon == nil {
		return ""
	}
	return fmt.Sprintf("%.4f, %.4f", *m.Lat, *m.Lon)
}

// Detail is a machine with its newest report and its standing in the fleet.
type Detail struct {
	Machine
	SlotList  []Slot
	FaultList []Fault
	Claimed   *time.Time // taken_at of the newest report as the machine gave it, where its clock was not believed
	Seen      time.Time  // the last call with its token, whatever came of it; zero: never
	HasToken  bool       // false until it changed its first code
}

// Machine returns one machine. Errors: NotFound.
func (s *System) Machine(ctx context.Context, id string) (Detail, error) {
	var d Detail
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		m, err := s.store.machine(ctx, tx, id)
		if err != nil {
			return err
		}
		d = Detail{Machine: m}
		if m.ReportID == "" {
			return nil
		}
		var text string
		if err := tx.QueryRow(ctx, bodySQL, id, m.ReportID).Scan(&text); err == sqldb.ErrNoRows {
			return nil // pruned: the machine has been silent for longer than reports are kept
		} else if err != nil {
			return err
		}
		return d.read(text)
	})
	if err != nil {
		return Detail{}, fmt.Errorf("machine %.64s: %w", id, err)
	}
	s.judge(&d.Machine)
	st, err := s.n.Fleet.Standing(ctx, realm, id)
	if err != nil {
		return Detail{}, fmt.Errorf("machine %s: %w", id, err)
	}
	d.Seen, d.HasToken = st.Seen, st.HasToken
	return d, nil
}

// read fills in what a report's body says.
func (d *Detail) read(text string) error {
	var b body
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return fmt.Errorf("report %s as it is kept: %w", d.ReportID, err)
	}
	d.SlotList, d.FaultList = b.Slots, b.Faults
	if b.Taken != nil && !b.Taken.Equal(d.Taken) {
		d.Claimed = b.Taken
	}
	return nil
}

// judge says whether the machine is late by now.
func (s *System) judge(m *Machine) {
	m.Late = !m.Due.IsZero() && m.Due.Add(s.c.Grace).Before(s.n.Clock.Now())
}

// Filter says which machines List returns.
type Filter struct {
	City    string // "" for all
	Late    bool   // only those whose report is overdue, the longest overdue first
	Faulty  bool   // only those in good standing whose newest report names faults
	Revoked bool   // only those that are revoked
	Search  string // the beginning of the id
	Cohort  string // "" for all
	Limit   int    // 1 to 1,000; 50 if 0
	Cursor  string // Next of the page before
}

// Page is one page of List.
type Page struct {
	Machines []Machine
	Next     string // the cursor of the next page; "" on the last
}

// List returns a page of machines by id, or with Late by how long they are
// overdue. A page of 50 costs milliseconds however many machines there are.
// Errors: Invalid.
func (s *System) List(ctx context.Context, f Filter) (Page, error) {
	if f.Limit == 0 {
		f.Limit = 50
	}
	if f.Limit < 1 || f.Limit > 1000 {
		return Page{}, errs.New(errs.Invalid, "limit must be 1 to 1,000, not %d", f.Limit)
	}
	q, args, err := f.query(s.n.Clock.Now().Add(-s.c.Grace))
	if err != nil {
		return Page{}, err
	}
	var p Page
	err = s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		p.Machines, err = s.store.machines(ctx, tx, q, args)
		return err
	})
	if err != nil {
		return Page{}, fmt.Errorf("list machines: %w", err)
	}
	for i := range p.Machines {
		s.judge(&p.Machines[i])
	}
	if len(p.Machines) > f.Limit {
		p.Machines = p.Machines[:f.Limit]
		p.Next = cursor(f, p.Machines[f.Limit-1])
	}
	return p, nil
}

// query writes the statement for f: each condition is a range or an equality
// that an index serves, and the order is that index's.
func (f Filter) query(lateBefore time.Time) (string, []any, error) {
	var where []string
	var args []any
	with := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(args)), 1)
		}
		where = append(where, condition)
	}
	if f.City != "" {
		with("city = ?", f.City)
	}
	if f.Faulty {
		with("faults > 0 AND revoked_at = 0") // as the indexes for it say
	}
	if f.Revoked {
		with("revoked_at > 0")
	}
	if f.Search != "" {
		with("id >= ? AND id < ?", f.Search, f.Search+"~") // "~" is after every letter of an id
	}
	if f.Cohort != "" {
		with("cohort = ? AND cohort <> ''", f.Cohort) // as the index for it says
	}
	order := "id"
	if f.Late {
		order = "due_at, id"
		with("due_at < ?", lateBefore.UnixMicro())
	}
	if f.Cursor != "" {
		due, id, err := readCursor(f)
		if err != nil {
			return "", nil, err
		}
		if f.Late {
			with("(due_at, id) > (?, ?)", due, id)
		} else {
			with("id > ?", id)
		}
	}
	q := machinesSQL
	if len(where) > 0 {
		q += " WHERE " + strings.Join(where, " AND ")
	}
	args = append(args, int64(f.Limit+1))
	return q + " ORDER BY " + order + " LIMIT $" + strconv.Itoa(len(args)), args, nil
}

// cursor names the place after machine last in the order of f.
func cursor(f Filter, last Machine) string {
	if f.Late {
		return timeCursor(last.Due, last.ID)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(last.ID))
}

func timeCursor(at time.Time, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(at.UnixMicro(), 10) + " " + id))
}

func readCursor(f Filter) (due int64, id string, err error) {
	b, err := base64.RawURLEncoding.DecodeString(f.Cursor)
	if err != nil || len(b) > 200 {
		return 0, "", errs.New(errs.Invalid, "cursor: this is not one that a list gave")
	}
	if !f.Late {
		return 0, string(b), nil
	}
	at, id, ok := strings.Cut(string(b), " ")
	if due, err = strconv.ParseInt(at, 10, 64); err != nil || !ok {
		return 0, "", errs.New(errs.Invalid, "cursor: this is not one that this list gave")
	}
	return due, id, nil
}

// Past is one report of a machine's history.
type Past struct {
	ID       string
	Taken    time.Time // under which it is kept
	Received time.Time
	Slots    []Slot
	Faults   []Fault
	ClockOff bool // the machine's clock was not believed
}

// History returns up to limit (1 to 500) reports of the machine, the newest
// first, and the cursor of the next page: "" on the last. Errors: Invalid.
func (s *System) History(ctx context.Context, id, cursor string, limit int) (list []Past, next string, err error) {
	if limit < 1 || limit > 500 {
		return nil, "", errs.New(errs.Invalid, "limit must be 1 to 500, not %d", limit)
	}
	at, before := int64(never), ""
	if cursor != "" {
		if at, before, err = readCursor(Filter{Late: true, Cursor: cursor}); err != nil {
			return nil, "", err
		}
	}
	err = s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		list, err = s.store.history(ctx, tx, id, at, before, limit+1)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("history of machine %.64s: %w", id, err)
	}
	if len(list) > limit {
		list = list[:limit]
		next = timeCursor(list[limit-1].Taken, list[limit-1].ID)
	}
	return list, next, nil
}

// Empty counts the slots that were sold out.
func (p Past) Empty() int {
	n := 0
	for _, s := range p.Slots {
		if s.Remaining == 0 {
			n++
		}
	}
	return n
}

const (
	machinesSQL = `
		SELECT id, city, lat, lon, model, added_at, revoked_at, report_id, taken_at, heard_at, due_at, faults, severity, slots, empty, firmware, config, cohort
		FROM vending_machines`

	historySQL = `
		SELECT id, taken_at, received_at, body FROM vending_reports
		WHERE machine = $1 AND (taken_at, id) < ($2, $3) ORDER BY taken_at DESC, id DESC LIMIT $4`
)

func (st store) machine(ctx context.Context, tx *sqldb.Tx, id string) (Machine, error) {
	list, err := st.machines(ctx, tx, machinesSQL+` WHERE id = $1`, []any{id})
	if err != nil {
		return Machine{}, err
	}
	if len(list) == 0 {
		return Machine{}, errs.New(errs.NotFound, "there is no machine %.64s", id)
	}
	return list[0], nil
}

func (store) machines(ctx context.Context, tx *sqldb.Tx, q string, args []any) ([]Machine, error) {
	rows, err := tx.Query(ctx, q, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Machine
	for rows.Next() {
		var m Machine
		var added, revoked, taken, heard, due, faults, severity, slots, empty int64
		if err := rows.Scan(&m.ID, &m.City, &m.Lat, &m.Lon, &m.Model, &added, &revoked, &m.ReportID, &taken, &heard, &due, &faults, &severity, &slots, &empty, &m.Firmware, &m.Config, &m.Cohort); err != nil {
			return nil, err
		}
		m.Added, m.Revoked, m.Taken, m.Heard = instant(added), instant(revoked), instant(taken), instant(heard)
		if due != never {
			m.Due = instant(due)
		}
		m.Faults, m.Slots, m.Empty, m.Severity = int(faults), int(slots), int(empty), severities[min(max(severity, 0), 3)]
		list = append(list, m)
	}
	return list, rows.Err()
}

func (store) history(ctx context.Context, tx *sqldb.Tx, id string, at int64, before string, limit int) ([]Past, error) {
	rows, err := tx.Query(ctx, historySQL, id, at, before, int64(limit))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Past
	for rows.Next() {
		var p Past
		var taken, received int64
		var text string
		if err := rows.Scan(&p.ID, &taken, &received, &text); err != nil {
			return nil, err
		}
		var b body
		if err := json.Unmarshal([]byte(text), &b); err != nil {
			return nil, fmt.Errorf("report %s as it is kept: %w", p.ID, err)
		}
		p.Taken, p.Received, p.Slots, p.Faults = instant(taken), instant(received), b.Slots, b.Faults
		p.ClockOff = b.Taken != nil && b.Taken.UnixMicro() != taken
		list = append(list, p)
	}
	return list, rows.Err()
}

// instant returns the zero time for 0 microseconds, which here means never.
func instant(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
