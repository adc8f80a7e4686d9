package vending

import (
	"context"
	"time"

	"plumb/base/errs"
	"plumb/engines/fleet/rollout"
	"plumb/engines/sqldb"
)

// The SQL of rollouts.
const (
	rolloutsSQL = `
		SELECT name, city, cohort, revision, firmware, config, back_firmware, back_config, percent, state, because, bad_percent, least, changed_at
		FROM vending_rollouts`

	setRolloutSQL = `
		INSERT INTO vending_rollouts (name, city, cohort, revision, firmware, config, back_firmware, back_config, percent, state, because, bad_percent, least, changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		ON CONFLICT (name) DO UPDATE SET revision = excluded.revision, firmware = excluded.firmware, config = excluded.config,
			back_firmware = excluded.back_firmware, back_config = excluded.back_config, percent = excluded.percent, state = excluded.state,
			because = excluded.because, bad_percent = excluded.bad_percent, least = excluded.least, changed_at = excluded.changed_at`

	scopeSQL      = `SELECT name FROM vending_rollouts WHERE city = $1 AND cohort = $2 AND name <> $3`
	endRolloutSQL = `DELETE FROM vending_rollouts WHERE name = $1`

	addStepSQL  = `INSERT INTO vending_rollout_steps (name, id, at, by_whom, what) VALUES ($1, $2, $3, $4, $5)`
	stepsSQL    = `SELECT at, by_whom, what FROM vending_rollout_steps WHERE name = $1 ORDER BY at DESC, id DESC LIMIT 100`
	endStepsSQL = `DELETE FROM vending_rollout_steps WHERE name = $1`

	// Whose machines: $1 the city, $2 the cohort, either may be empty.
	scopedSQL = `revoked_at = 0 AND ($1 = '' OR city = $1) AND ($2 = '' OR cohort = $2)`

	// Parts that the target leaves alone count as one, whatever they are.
	mostRunSQL = `
		SELECT CASE WHEN $3 = '' THEN '' ELSE firmware END, CASE WHEN $4 = '' THEN '' ELSE config END FROM vending_machines
		WHERE ` + scopedSQL + ` AND (firmware <> '' OR config <> '') AND NOT (` + onTarget + `)
		GROUP BY 1, 2 ORDER BY count(*) DESC, 1, 2 LIMIT 1`

	arrivedSQL = `
		SELECT count(*),
			coalesce(sum(CASE WHEN ` + onTarget + ` THEN 1 ELSE 0 END), 0),
			coalesce(sum(CASE WHEN ` + onTarget + ` AND (due_at < $5 OR faults > 0) THEN 1 ELSE 0 END), 0)
		FROM vending_machines WHERE ` + scopedSQL
	onTarget = `($3 = '' OR firmware = $3) AND ($4 = '' OR config = $4)`
)

func (store) rollouts(ctx context.Context, tx *sqldb.Tx) ([]Rollout, error) {
	return readRollouts(ctx, tx, rolloutsSQL+` ORDER BY name`)
}

func (store) rollout(ctx context.Context, tx *sqldb.Tx, name string) (r Rollout, known bool, err error) {
	list, err := readRollouts(ctx, tx, rolloutsSQL+` WHERE name = $1`, name)
	if err != nil || len(list) == 0 {
		return Rollout{}, false, err
	}
	return list[0], true, nil
}

func readRollouts(ctx context.Context, tx *sqldb.Tx, q string, args ...any) ([]Rollout, error) {
	rows, err := tx.Query(ctx, q, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Rollout
	for rows.Next() {
		var r Rollout
		var revision, least, changed int64
		var state string
		err := rows.Scan(&r.Name, &r.City, &r.Cohort, &revision, &r.To.Firmware, &r.To.Config, &r.Back.Firmware, &r.Back.Config,
			&r.Percent, &state, &r.Because, &r.Brake.Percent, &least, &changed)
		if err != nil {
			return nil, err
		}
		r.Revision, r.Brake.Least, r.State, r.Changed = int(revision), int(least), rollout.State(state), instant(changed)
		list = append(list, r)
	}
	return list, rows.Err()
}

func (store) setRollout(ctx context.Context, tx *sqldb.Tx, r Rollout) error {
	// Asked first: the index that forbids a second one would end the transaction.
	var other string
	err := tx.QueryRow(ctx, scopeSQL, r.City, r.Cohort, r.Name).Scan(&other)
	if err == nil {
		return errs.New(errs.Conflict, "rollout %s is for %s already: change that one, or end it", other, r.For())
	}
	if err != sqldb.ErrNoRows {
		return err
	}
	_, err = tx.Exec(ctx, setRolloutSQL, r.Name, r.City, r.Cohort, int64(r.Revision), r.To.Firmware, r.To.Config, r.Back.Firmware, r.Back.Config,
		r.Percent, string(r.State), r.Because, r.Brake.Percent, int64(r.Brake.Least), r.Changed.UnixMicro())
	return err
}

// mostRun returns what most of a rollout's machines run that is not its target, of
// the parts that the target touches; nothing where no machine says.
func (store) mostRun(ctx context.Context, tx *sqldb.Tx, r Rollout) (v rollout.Version, err error) {
	err = tx.QueryRow(ctx, mostRunSQL, r.City, r.Cohort, r.To.Firmware, r.To.Config).Scan(&v.Firmware, &v.Config)
	if err == sqldb.ErrNoRows {
		return rollout.Version{}, nil
	}
	return v, err
}

func (store) addStep(ctx context.Context, tx *sqldb.Tx, r Rollout, id, by, what string, now time.Time) error {
	_, err := tx.Exec(ctx, addStepSQL, r.Name, id, now.UnixMicro(), by, what)
	return err
}

func (store) steps(ctx context.Context, tx *sqldb.Tx, name string) ([]RolloutStep, error) {
	rows, err := tx.Query(ctx, stepsSQL, name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []RolloutStep
	for rows.Next() {
		var at int64
		var st RolloutStep
		if err := rows.Scan(&at, &st.By, &st.What); err != nil {
			return nil, err
		}
		st.At = instant(at)
		list = append(list, st)
	}
	return list, rows.Err()
}

// countRollout says how far a rollout has come. It reads each machine of the
// cohort: 20 ms for a city of 50,000.
func (s *System) countRollout(ctx context.Context, tx *sqldb.Tx, r Rollout) (RolloutCount, error) {
	var machines, arrived, bad int64
	late := s.n.Clock.Now().Add(-s.c.Grace).UnixMicro()
	err := tx.QueryRow(ctx, arrivedSQL, r.City, r.Cohort, r.To.Firmware, r.To.Config, late).Scan(&machines, &arrived, &bad)
	return RolloutCount{int(machines), int(arrived), int(bad)}, err
}
