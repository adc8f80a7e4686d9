package accounts

import (
	"context"
	"fmt"
	"strings"
	"time"

	"plumb/base/ids"
	"plumb/engines/sqldb"
	"plumb/engines/web"
)

// Entry is one row of the audit log.
type Entry struct {
	ID     string
	At     time.Time
	Who    string // a person's name, or "the system"
	Action string
	What   string
}

// Note writes a row into the audit log, in the caller's transaction: rooms note
// what people change.
func (a *Accounts) Note(ctx context.Context, tx *sqldb.Tx, by web.Who, action, what string) error {
	return a.note(ctx, tx, by, action, what)
}

func (a *Accounts) note(ctx context.Context, tx *sqldb.Tx, by web.Who, action, what string) error {
	if by.Name == "" {
		by.Name = "the system"
	}
	now := a.clock.Now()
	_, err := tx.Exec(ctx, `INSERT INTO accounts_audit (id, at, who, action, what) VALUES ($1, $2, $3, $4, $5)`,
		ids.New(now), now.UnixMicro(), by.Name, action, short(what))
	return err
}

// short keeps an entry to 500 bytes of valid text.
func short(s string) string {
	if len(s) > 500 {
		s = s[:500]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// Audit returns the newest entries, at most limit (1 to 1,000), those before
// the entry with the id before; an empty one starts at the newest.
func (a *Accounts) Audit(ctx context.Context, before string, limit int) ([]Entry, error) {
	limit = min(max(limit, 1), 1000)
	var list []Entry
	err := a.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, `SELECT id, at, who, action, what FROM accounts_audit WHERE $1 = '' OR id < $1 ORDER BY id DESC LIMIT $2`, before, int64(limit))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var e Entry
			var at int64
			if err := rows.Scan(&e.ID, &at, &e.Who, &e.Action, &e.What); err != nil {
				return err
			}
			e.At = when(at)
			list = append(list, e)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	return list, nil
}
