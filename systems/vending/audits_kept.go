package vending

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// What is kept of audits: files, serial numbers and sales.

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
		_, err = tx.Exec(ctx, dropMeterSQL, machine)
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

// AuditText returns the file of an audit, as it came. Errors: NotFound.
func (s *System) AuditText(ctx context.Context, machine, id string) ([]byte, error) {
	var body string
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var at int64
		return tx.QueryRow(ctx, oneAuditSQL, machine, id).Scan(&at, &body)
	})
	if err == sqldb.ErrNoRows {
		return nil, errs.New(errs.NotFound, "machine %.64s has no audit %.64s", machine, id)
	}
	if err != nil {
		return nil, err
	}
	return kept(body)
}

// Serial returns the serial number that belongs to a machine; "" where its audits
// have named none.
func (s *System) Serial(ctx context.Context, machine string) (serial string, err error) {
	err = s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, serialSQL, machine).Scan(&serial)
	})
	if err == sqldb.ErrNoRows {
		return "", nil
	}
	return serial, err
}

// Sold is what a machine sold in a period, by selection.
type Sold struct {
	Since, Until time.Time // when the audits came between which it was counted
	Items        map[string]int64
}

// Sales returns what a machine sold in its newest periods, as its audits counted it:
// up to limit (1 to 500), the newest first. Errors: Invalid.
func (s *System) Sales(ctx context.Context, machine string, limit int) (list []Sold, err error) {
	if limit < 1 || limit > 500 {
		return nil, errs.New(errs.Invalid, "limit must be 1 to 500, not %d", limit)
	}
	err = s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, salesSQL, machine, int64(limit))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var since, until int64
			var body string
			if err := rows.Scan(&since, &until, &body); err != nil {
				return err
			}
			v := Sold{Since: instant(since), Until: instant(until)}
			if err := json.Unmarshal([]byte(body), &v.Items); err != nil {
				return fmt.Errorf("sales as they are kept: %w", err)
			}
			list = append(list, v)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("sales of machine %.64s: %w", machine, err)
	}
	return list, nil
}
