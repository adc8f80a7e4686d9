package vending

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"plumb/base/errs"
	"plumb/engines/fleet/slots"
	"plumb/engines/sqldb"
)

// The SQL of plans and of what they are made from.
const (
	newestPlanSQL = `SELECT revision, state FROM vending_plans WHERE city = $1 AND date = $2 ORDER BY revision DESC LIMIT 1`

	queuePlanSQL = `
		INSERT INTO vending_plans (city, date, revision, gated, state, because, asked_at, started_at, finished_at, body)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, '') ON CONFLICT DO NOTHING`

	// Begun again after a crash it keeps its first start, so that a fault which
	// came in meanwhile is still newer.
	beginPlanSQL = `
		UPDATE vending_plans SET state = $4, started_at = CASE WHEN started_at = 0 THEN $5 ELSE started_at END
		WHERE city = $1 AND date = $2 AND revision = $3 AND state IN ('queued', 'planning') RETURNING started_at`

	endPlanSQL = `
		UPDATE vending_plans SET state = $4, finished_at = $5, body = $6
		WHERE city = $1 AND date = $2 AND revision = $3 AND state <> 'done'`

	clearRoutesSQL = `DELETE FROM vending_routes WHERE city = $1 AND date = $2 AND revision = $3`
	addRouteSQL    = `INSERT INTO vending_routes (city, date, revision, place, body) VALUES ($1, $2, $3, $4, $5)`
	routesSQL      = `SELECT body FROM vending_routes WHERE city = $1 AND date = $2 AND revision = $3 ORDER BY place`

	plansSQL = `SELECT city, date, revision, state, because, asked_at, started_at, finished_at, body FROM vending_plans`

	planStatesSQL = `SELECT city, date, revision, state FROM vending_plans WHERE date >= $1 ORDER BY revision`

	freshFaultSQL = `
		SELECT id FROM vending_machines WHERE city = $1 AND faults > 0 AND revoked_at = 0 AND severity = 3 AND heard_at >
			(SELECT started_at FROM vending_plans WHERE city = $1 AND date = $2 AND state = 'done' ORDER BY revision DESC LIMIT 1)
		ORDER BY id LIMIT 1`

	// The fleet as a plan sees it, page by page.
	fleetSQL = `
		SELECT m.id, m.lat, m.lon, m.report_id, m.taken_at, m.heard_at, m.faults, COALESCE(d.at, 0), COALESCE(d.body, ''),
			COALESCE(d.counted, 0), COALESCE(t.at, -1), COALESCE(t.stock, ''), COALESCE(t.faults, '')
		FROM vending_machines AS m LEFT JOIN vending_demand AS d ON d.machine = m.id LEFT JOIN vending_meters AS t ON t.machine = m.id
		WHERE m.city = $1 AND m.id > $2 AND m.revoked_at = 0 ORDER BY m.id LIMIT $3`

	// Reports that were not folded in yet, the newest first.
	unfoldedSQL = `SELECT taken_at, body FROM vending_reports WHERE machine = $1 AND taken_at > $2 ORDER BY taken_at DESC LIMIT $3`

	setDemandSQL = `
		INSERT INTO vending_demand (machine, at, body, counted) VALUES ($1, $2, $3, $4)
		ON CONFLICT (machine) DO UPDATE SET at = excluded.at, body = excluded.body, counted = excluded.counted`
)

func (store) newestPlan(ctx context.Context, tx *sqldb.Tx, city, date string) (revision int64, state string, err error) {
	err = tx.QueryRow(ctx, newestPlanSQL, city, date).Scan(&revision, &state)
	if err == sqldb.ErrNoRows {
		return 0, "", nil
	}
	return revision, state, err
}

// queuePlan adds a revision; made is false where another process was first.
func (store) queuePlan(ctx context.Context, tx *sqldb.Tx, k planKey, gated bool, because string, now time.Time) (made bool, err error) {
	own := int64(0)
	if gated {
		own = 1
	}
	n, err := tx.Exec(ctx, queuePlanSQL, k.City, k.Date, k.Revision, own, planQueued, because, now.UnixMicro())
	return n == 1, err
}

// beginPlan returns when the plan was begun; zero when it is done already.
func (store) beginPlan(ctx context.Context, tx *sqldb.Tx, k planKey, now time.Time) (time.Time, error) {
	var started int64
	err := tx.QueryRow(ctx, beginPlanSQL, k.City, k.Date, k.Revision, planPlanning, now.UnixMicro()).Scan(&started)
	if err == sqldb.ErrNoRows {
		return time.Time{}, nil
	}
	return instant(started), err
}

// planBody is the column body of a plan.
type planBody struct {
	Outcome
	Problem string `json:"problem,omitempty"`
}

// endPlan writes a plan whole, once.
func (store) endPlan(ctx context.Context, tx *sqldb.Tx, k planKey, state string, b planBody, routes []Route, now time.Time) error {
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, endPlanSQL, k.City, k.Date, k.Revision, state, now.UnixMicro(), string(text))
	if err != nil || n == 0 {
		return err
	}
	if _, err := tx.Exec(ctx, clearRoutesSQL, k.City, k.Date, k.Revision); err != nil {
		return err
	}
	for i, r := range routes {
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, addRouteSQL, k.City, k.Date, k.Revision, int64(i+1), string(text)); err != nil {
			return err
		}
	}
	return nil
}

func (st store) plan(ctx context.Context, tx *sqldb.Tx, city, date string, revision int64) (Plan, error) {
	q, args := plansSQL+` WHERE city = $1 AND date = $2 ORDER BY revision DESC LIMIT 1`, []any{city, date}
	if revision > 0 {
		q, args = plansSQL+` WHERE city = $1 AND date = $2 AND revision = $3`, []any{city, date, revision}
	}
	list, err := st.readPlans(ctx, tx, q, args...)
	if err != nil {
		return Plan{}, err
	}
	if len(list) == 0 {
		return Plan{}, errs.New(errs.NotFound, "there is no plan of %s for the night of %s yet", city, date)
	}
	p := list[0]
	rows, err := tx.Query(ctx, routesSQL, city, date, int64(p.Revision))
	if err != nil {
		return Plan{}, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		var r Route
		if err := rows.Scan(&text); err != nil {
			return Plan{}, err
		}
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return Plan{}, fmt.Errorf("a route as it is kept: %w", err)
		}
		r.Trip, r.Trips = max(r.Trip, 1), max(r.Trips, 1) // kept before there were trips
		p.Routes = append(p.Routes, r)
	}
	return p, rows.Err()
}

func (st store) plans(ctx context.Context, tx *sqldb.Tx, city string, limit int64) ([]Plan, error) {
	if city == "" {
		return st.readPlans(ctx, tx, plansSQL+` ORDER BY date DESC, city, revision DESC LIMIT $1`, limit)
	}
	return st.readPlans(ctx, tx, plansSQL+` WHERE city = $1 ORDER BY date DESC, revision DESC LIMIT $2`, city, limit)
}

// planStates returns the state of the newest plan of each night since a date.
func (store) planStates(ctx context.Context, tx *sqldb.Tx, since string) (map[planKey]string, error) {
	rows, err := tx.Query(ctx, planStatesSQL, since)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	states := map[planKey]string{}
	for rows.Next() {
		var k planKey
		var state string
		if err := rows.Scan(&k.City, &k.Date, &k.Revision, &state); err != nil {
			return nil, err
		}
		k.Revision = 0 // later ones replace earlier ones
		states[k] = state
	}
	return states, rows.Err()
}

func (store) readPlans(ctx context.Context, tx *sqldb.Tx, q string, args ...any) ([]Plan, error) {
	rows, err := tx.Query(ctx, q, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Plan
	for rows.Next() {
		var p Plan
		var date, text string
		var revision, asked, started, finished int64
		if err := rows.Scan(&p.City, &date, &revision, &p.State, &p.Because, &asked, &started, &finished, &text); err != nil {
			return nil, err
		}
		if p.Date, err = slots.ParseDate(date); err != nil {
			return nil, err
		}
		p.Revision, p.Asked, p.Started, p.Finished = int(revision), instant(asked), instant(started), instant(finished)
		if text != "" {
			var b planBody
			if err := json.Unmarshal([]byte(text), &b); err != nil {
				return nil, fmt.Errorf("a plan as it is kept: %w", err)
			}
			p.Outcome, p.Problem = b.Outcome, b.Problem
			p.Trips = max(p.Trips, p.Vehicles)
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

// freshFault returns a machine with a grave fault that came in after the newest
// plan of a night was begun; "" when there is none, or no plan.
func (store) freshFault(ctx context.Context, tx *sqldb.Tx, city, date string) (machine string, err error) {
	err = tx.QueryRow(ctx, freshFaultSQL, city, date).Scan(&machine)
	if err == sqldb.ErrNoRows {
		return "", nil
	}
	return machine, err
}
