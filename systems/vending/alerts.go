package vending

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/fleet/rollout"
	"plumb/engines/sqldb"
	"plumb/systems/vending/internal/alerts"
)

// Alert is something that somebody should look at. It is raised and closed by
// itself, within a minute of its cause; see internal/alerts for the causes.
type Alert struct {
	ID       string
	Kind     string // one of AlertKinds
	Subject  string // by kind: a machine, a city, a rollout
	City     string // "" where there is none
	Severity string // medium, high
	What     string
	Raised   time.Time
	Acked    time.Time // zero: nobody has seen to it
	AckedBy  string
	Closed   time.Time // zero: its cause lasts
}

// AlertKinds lists the kinds of alerts.
func AlertKinds() []string { return alerts.Kinds() }

// watchEvery is how often the fleet is looked over for alerts and brakes.
const watchEvery = time.Minute

// watch looks the fleet over: it expects machines where they report, brakes rollouts
// that do badly, then raises and closes alerts. One of the processes does it; a run that fails leaves all to the
// next.
func (s *System) watch(ctx context.Context) error {
	if err := s.adjustDue(ctx); err != nil {
		return err
	}
	if err := s.brake(ctx); err != nil {
		return fmt.Errorf("look after rollouts: %w", err)
	}
	now, err := s.conditions(ctx)
	if err != nil {
		return fmt.Errorf("look for alerts: %w", err)
	}
	if err := s.settleAlerts(ctx, now); err != nil {
		return fmt.Errorf("raise and close alerts: %w", err)
	}
	return nil
}

// brake stops each rollout that does badly.
func (s *System) brake(ctx context.Context) error {
	list, err := s.Rollouts(ctx)
	if err != nil {
		return err
	}
	for _, r := range list {
		if r.State != rollout.Active || !r.Brake.Pulled(r.Arrived, r.Bad) {
			continue
		}
		because := fmt.Sprintf("%d of %d machines on %s are late or faulty", r.Bad, r.Arrived, words(r.To))
		if err := s.brakeRollout(ctx, r.Rollout, because); err != nil {
			return err
		}
		s.n.Log.Warn("a rollout was braked", "rollout", r.Name, "because", because)
	}
	return nil
}

// conditions says what is the matter now.
func (s *System) conditions(ctx context.Context) ([]alerts.Condition, error) {
	t, err := s.countNight(ctx)
	if err != nil {
		return nil, err
	}
	var list []alerts.Condition
	for _, n := range t.Cities {
		c, ok := s.city(n.City)
		if !ok {
			continue // dropped since it was counted
		}
		var state alerts.City
		err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			state, err = s.store.cityState(ctx, tx, c, n, t.Now.Add(-s.c.Grace))
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("how %s stands: %w", c.Name, err)
		}
		state.Share, state.Past = s.c.GateShare, t.Now.Sub(n.Start) >= s.c.GateDeadline
		list = append(list, alerts.OfCity(state)...)
	}
	s.known.mu.RLock()
	defer s.known.mu.RUnlock()
	for _, r := range s.known.rollouts {
		if r.State == rollout.Braked {
			list = append(list, alerts.Condition{Kind: alerts.Rollout, Subject: r.Name, City: r.City, Severity: alerts.High,
				What: fmt.Sprintf("the rollout %s was braked: %s", r.Name, r.Because)})
		}
	}
	return list, nil
}

// The SQL of alerts.
const (
	lateFirstSQL  = `SELECT id, due_at FROM vending_machines WHERE city = $1 AND due_at < $2 ORDER BY due_at, id LIMIT $3`
	graveFirstSQL = `SELECT id, 0 FROM vending_machines WHERE city = $1 AND severity = 3 AND revoked_at = 0 ORDER BY id LIMIT $2`
	graveAllSQL   = `SELECT count(*) FROM vending_machines WHERE city = $1 AND severity = 3 AND revoked_at = 0`
	bareFirstSQL  = `SELECT id, 0 FROM vending_machines WHERE city = $1 AND 2 * empty >= slots AND slots > 0 AND revoked_at = 0 ORDER BY id LIMIT $2`
	bareAllSQL    = `SELECT count(*) FROM vending_machines WHERE city = $1 AND 2 * empty >= slots AND slots > 0 AND revoked_at = 0`
	lastPlanSQL   = `SELECT date, state, CASE WHEN state = 'failed' THEN body ELSE '' END FROM vending_plans WHERE city = $1 AND date >= $2 ORDER BY date DESC, revision DESC LIMIT 1`

	alertsSQL = `SELECT id, kind, subject, city, severity, what, raised_at, acked_at, acked_by, closed_at FROM vending_alerts`
	raiseSQL  = `
		INSERT INTO vending_alerts (id, kind, subject, city, severity, what, raised_at, acked_at, acked_by, closed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, '', 0)
		ON CONFLICT (kind, subject) WHERE closed_at = 0 DO NOTHING`
	renameSQL     = `UPDATE vending_alerts SET what = $2 WHERE id = $1 AND closed_at = 0`
	closeSQL      = `UPDATE vending_alerts SET closed_at = $2 WHERE id = $1 AND closed_at = 0`
	ackSQL        = `UPDATE vending_alerts SET acked_at = $2, acked_by = $3 WHERE id = $1 AND acked_at = 0`
	alertCountSQL = `SELECT kind, count(*) FROM vending_alerts WHERE closed_at = 0 GROUP BY kind`
	dropAlertsSQL = `DELETE FROM vending_alerts WHERE closed_at > 0 AND closed_at < $1`
)

// cityState reads what alerts of a city depend on: a few short ranges of indexes,
// however many machines it has.
func (st store) cityState(ctx context.Context, tx *sqldb.Tx, c City, n Night, lateBefore time.Time) (alerts.City, error) {
	a := alerts.City{Name: c.Name, Zone: c.zone, Expected: n.Machines - n.New, Reported: n.Reported}
	a.Late.All = n.Late
	most := int64(alerts.Most)
	var err error
	if a.Late.First, err = st.first(ctx, tx, lateFirstSQL, c.Name, lateBefore.UnixMicro(), most); err != nil {
		return a, err
	}
	a.Late.All = max(a.Late.All, len(a.Late.First)) // counted a moment before
	for _, m := range []struct {
		many       *alerts.Many
		first, all string
	}{{&a.Grave, graveFirstSQL, graveAllSQL}, {&a.Bare, bareFirstSQL, bareAllSQL}} {
		if m.many.First, err = st.first(ctx, tx, m.first, c.Name, most); err != nil {
			return a, err
		}
		m.many.All = len(m.many.First)
		if m.many.All < alerts.Most {
			continue
		}
		var all int64
		if err := tx.QueryRow(ctx, m.all, c.Name).Scan(&all); err != nil {
			return a, err
		}
		m.many.All = int(all)
	}
	var state, text string
	// A failure of last week is past: somebody drove without a plan, or none drove.
	err = tx.QueryRow(ctx, lastPlanSQL, c.Name, n.Date.Add(-1).String()).Scan(&a.Date, &state, &text)
	if err == sqldb.ErrNoRows || err == nil && state != planFailed {
		return a, nil
	}
	if err != nil {
		return a, err
	}
	var b planBody
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return a, fmt.Errorf("the plan of %s for %s as it is kept: %w", c.Name, a.Date, err)
	}
	// An error of the house's own shows nothing of itself.
	a.Plan = cmp.Or(b.Problem, "something went wrong here; the log says what")
	return a, nil
}

// first reads the machines that get an alert of their own.
func (store) first(ctx context.Context, tx *sqldb.Tx, q string, args ...any) ([]alerts.Machine, error) {
	rows, err := tx.Query(ctx, q, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []alerts.Machine
	for rows.Next() {
		var m alerts.Machine
		var since int64
		if err := rows.Scan(&m.ID, &since); err != nil {
			return nil, err
		}
		m.Since = instant(since)
		list = append(list, m)
	}
	return list, rows.Err()
}

// alertsAtOnce is how many alerts are raised or closed in one transaction.
const alertsAtOnce = 200

// settleAlerts makes the open alerts those of now.
func (s *System) settleAlerts(ctx context.Context, now []alerts.Condition) error {
	var open []alerts.Open
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		open = nil
		list, err := s.store.readAlerts(ctx, tx, alertsSQL+` WHERE closed_at = 0 ORDER BY id`)
		for _, a := range list {
			open = append(open, alerts.Open{ID: a.ID, Kind: a.Kind, Subject: a.Subject, What: a.What})
		}
		return err
	})
	if err != nil {
		return err
	}
	raise, change, end := alerts.Diff(open, now)
	at := s.n.Clock.Now()
	var todo []sqldb.Fn
	for _, c := range raise {
		id := ids.New(at)
		todo = append(todo, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, raiseSQL, id, c.Kind, c.Subject, c.City, c.Severity, c.What, at.UnixMicro())
			return err
		})
	}
	for _, c := range change {
		todo = append(todo, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, renameSQL, c.ID, c.What)
			return err
		})
	}
	for _, id := range end {
		todo = append(todo, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, closeSQL, id, at.UnixMicro())
			return err
		})
	}
	if err := s.inParts(ctx, todo); err != nil {
		return err
	}
	for _, c := range raise {
		s.measures.alerts.WithLabelValues(c.Kind).Inc()
	}
	if len(raise)+len(end) > 0 {
		return s.opsChanged(ctx) // every process shows the new count
	}
	return nil
}

// inParts runs many small changes, some of them in each transaction.
func (s *System) inParts(ctx context.Context, todo []sqldb.Fn) error {
	for len(todo) > 0 {
		part := todo[:min(len(todo), alertsAtOnce)]
		err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			for _, fn := range part {
				if err := fn(ctx, tx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		todo = todo[len(part):]
	}
	return nil
}

// AlertFilter says which alerts Alerts returns.
type AlertFilter struct {
	All    bool   // closed ones too
	Kind   string // "" for all
	City   string // "" for all
	Limit  int    // 1 to 500; 100 if 0
	Cursor string // the id of the last alert of the page before
}

// Alerts returns a page of alerts, the newest first, and the cursor of the next:
// "" on the last. Errors: Invalid.
func (s *System) Alerts(ctx context.Context, f AlertFilter) (list []Alert, next string, err error) {
	if f.Limit == 0 {
		f.Limit = 100
	}
	if f.Limit < 1 || f.Limit > 500 || len(f.Cursor) > 64 {
		return nil, "", errs.New(errs.Invalid, "limit must be 1 to 500, and cursor one that a list gave")
	}
	if c, ok := s.city(f.City); ok {
		f.City = c.Name
	}
	where := ` WHERE ($1 = '' OR kind = $1) AND ($2 = '' OR city = $2) AND ($3 = '' OR id < $3)`
	if !f.All {
		where += ` AND closed_at = 0`
	}
	err = s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		list, err = s.store.readAlerts(ctx, tx, alertsSQL+where+` ORDER BY id DESC LIMIT $4`, f.Kind, f.City, f.Cursor, int64(f.Limit+1))
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list alerts: %w", err)
	}
	if len(list) > f.Limit {
		list = list[:f.Limit]
		next = list[f.Limit-1].ID
	}
	return list, next, nil
}

// OpenAlerts returns how many alerts are open, by kind.
func (s *System) OpenAlerts(ctx context.Context) (map[string]int, error) {
	var n map[string]int
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		n, err = s.store.openAlerts(ctx, tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count alerts: %w", err)
	}
	return n, nil
}

// AckAlert notes that somebody sees to an alert, and returns it. The first who says
// so is noted. Errors: NotFound.
func (s *System) AckAlert(ctx context.Context, by, id string) (Alert, error) {
	var a Alert
	now := s.n.Clock.Now()
	err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, ackSQL, id, now.UnixMicro(), by); err != nil {
			return err
		}
		list, err := s.store.readAlerts(ctx, tx, alertsSQL+` WHERE id = $1`, id)
		if err == nil && len(list) == 0 {
			return errs.New(errs.NotFound, "there is no alert %.64q", id)
		}
		if err == nil {
			a = list[0]
		}
		return err
	})
	if err != nil {
		return Alert{}, fmt.Errorf("acknowledge alert %.64s: %w", id, err)
	}
	return a, nil
}

func (store) readAlerts(ctx context.Context, tx *sqldb.Tx, q string, args ...any) ([]Alert, error) {
	rows, err := tx.Query(ctx, q, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Alert
	for rows.Next() {
		var a Alert
		var raised, acked, closed int64
		if err := rows.Scan(&a.ID, &a.Kind, &a.Subject, &a.City, &a.Severity, &a.What, &raised, &acked, &a.AckedBy, &closed); err != nil {
			return nil, err
		}
		a.Raised, a.Acked, a.Closed = instant(raised), instant(acked), instant(closed)
		list = append(list, a)
	}
	return list, rows.Err()
}

func (store) openAlerts(ctx context.Context, tx *sqldb.Tx) (map[string]int, error) {
	rows, err := tx.Query(ctx, alertCountSQL)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := map[string]int{}
	for rows.Next() {
		var kind string
		var n int64
		if err := rows.Scan(&kind, &n); err != nil {
			return nil, err
		}
		list[kind] = int(n)
	}
	return list, rows.Err()
}
