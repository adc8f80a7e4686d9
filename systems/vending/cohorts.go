package vending

import (
	"context"
	"fmt"

	"plumb/base/bounds"
	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// A named cohort is a group of machines that somebody chose, such as the first to
// get new firmware. Rollouts may be for one.

// SetCohort puts machines into the named cohort, or with "" out of theirs, and
// returns how many there are of them. Errors: Invalid, also when named cohorts would
// hold more than cohortMost machines: they are for trials.
func (s *System) SetCohort(ctx context.Context, cohort string, machines []string) (int, error) {
	var b bounds.Check
	if cohort != "" {
		checkName(&b, "cohort", cohort)
	}
	if len(machines) > cohortPart {
		b.Fault("machines", "may be %d in one call, not %d", cohortPart, len(machines))
	}
	if err := b.Err("the cohort is not valid"); err != nil {
		return 0, err
	}
	n := 0
	err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		n = 0
		for _, id := range machines {
			k, err := tx.Exec(ctx, setCohortSQL, id, cohort)
			if err != nil {
				return err
			}
			n += int(k)
		}
		var all int64
		if err := tx.QueryRow(ctx, cohortsCountSQL).Scan(&all); err != nil {
			return err
		}
		if all > cohortMost {
			return errs.New(errs.Invalid, "named cohorts may hold %d machines in all, and would hold %d: for more of the fleet, raise the percentage of a city's rollout", cohortMost, all)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("set cohort %.64s: %w", cohort, err)
	}
	return n, s.opsChanged(ctx)
}

// CohortCount is a named cohort and how many machines are in it.
type CohortCount struct {
	Cohort   string
	Machines int
}

// Cohorts returns the named cohorts by name; List with Filter.Cohort returns the
// machines of one.
func (s *System) Cohorts(ctx context.Context) ([]CohortCount, error) {
	var list []CohortCount
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		list, err = s.store.cohortCounts(ctx, tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list cohorts: %w", err)
	}
	return list, nil
}

const (
	cohortPart = 1000
	cohortMost = 20_000 // each process remembers all of them: some megabytes
)

const (
	cohortsSQL      = `SELECT id, cohort FROM vending_machines WHERE cohort <> ''`
	cohortCountsSQL = `SELECT cohort, count(*) FROM vending_machines WHERE cohort <> '' GROUP BY cohort ORDER BY cohort`
	cohortsCountSQL = `SELECT count(*) FROM vending_machines WHERE cohort <> ''`
	setCohortSQL    = `UPDATE vending_machines SET cohort = $2 WHERE id = $1`
)

// cohorts returns the named cohort of each machine that is in one.
func (store) cohorts(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
	rows, err := tx.Query(ctx, cohortsSQL)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := map[string]string{}
	for rows.Next() {
		var id, cohort string
		if err := rows.Scan(&id, &cohort); err != nil {
			return nil, err
		}
		list[id] = cohort
	}
	return list, rows.Err()
}

func (store) cohortCounts(ctx context.Context, tx *sqldb.Tx) ([]CohortCount, error) {
	rows, err := tx.Query(ctx, cohortCountsSQL)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []CohortCount
	for rows.Next() {
		var c CohortCount
		var n int64
		if err := rows.Scan(&c.Cohort, &n); err != nil {
			return nil, err
		}
		c.Machines = int(n)
		list = append(list, c)
	}
	return list, rows.Err()
}
