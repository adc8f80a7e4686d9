package shard

import (
	"context"
	"errors"
	"fmt"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
)

// errMissing says which contents must be put before rows can be written.
type errMissing map[cas.Hash]bool

func (m errMissing) Error() string { return fmt.Sprintf("%d contents are not on the shard", len(m)) }

// writeRow writes a row over the one that stands there, and changes references by what
// differs. A content that is not on the shard and not in put is added to missing, and the
// row is written all the same: the caller gives the transaction up.
func (at *Shard) writeRow(ctx context.Context, tx *sqldb.Tx, t *tableText, row []any, put map[cas.Hash]*cas.Pending, missing errMissing) error {
	old, _, err := t.oldContents(ctx, tx, t.key(row))
	if err != nil {
		return err
	}
	less := map[string]int{}
	for _, h := range old {
		less[h]++
	}
	for _, text := range t.contents(row) {
		if less[text] > 0 {
			less[text]--
			continue
		}
		h, err := cas.ParseHash(text)
		if err != nil {
			return fmt.Errorf("a row of %s: %w", t.Name, err)
		}
		if p := put[h]; p != nil {
			err = at.CAS.Take(ctx, tx, p)
		} else if err = at.CAS.Add(ctx, tx, h); errs.Is(err, errs.NotFound) {
			missing[h] = true
			err = nil
		}
		if err != nil {
			return err
		}
	}
	for _, text := range old {
		if less[text] == 0 {
			continue
		}
		less[text]--
		if err := at.drop(ctx, tx, text); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, t.upsert, row...)
	return err
}

func (at *Shard) drop(ctx context.Context, tx *sqldb.Tx, text string) error {
	h, err := cas.ParseHash(text)
	if err != nil {
		return err
	}
	return at.CAS.Drop(ctx, tx, h)
}

// removeRows removes rows for good, with their references.
func (at *Shard) removeRows(ctx context.Context, tx *sqldb.Tx, t *tableText, rows [][]any) error {
	for _, row := range rows {
		for _, text := range t.contents(row) {
			if err := at.drop(ctx, tx, text); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, t.remove, t.key(row)...); err != nil {
			return err
		}
	}
	return nil
}

// eraseRows are rows that one transaction removes.
const eraseRows = 200

// errStepped: the owner's row is not what it was: somebody else goes on with the move.
var errStepped = errors.New("another process goes on with this")

// erase removes all rows of an owner from a shard that does not hold them, while the
// owner's row is as was says.
func (s *Set) erase(ctx context.Context, at *Shard, owner string, was standing) error {
	guard := func(ctx context.Context, tx *sqldb.Tx) error {
		st, found, err := readStanding(ctx, tx, owner)
		if err == nil && (!found || st.state != was.state || st.turn != was.turn) {
			err = errStepped
		}
		return err
	}
	for i := range s.tables {
		t := &s.tables[i]
		for more := true; more; {
			err := at.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				if err := guard(ctx, tx); err != nil {
					return err
				}
				rows, err := t.query(ctx, tx, t.some, owner, int64(eraseRows))
				if err != nil {
					return err
				}
				more = len(rows) == eraseRows
				return at.removeRows(ctx, tx, t, rows)
			})
			if err != nil {
				return fmt.Errorf("erase %s of %s on shard %s: %w", t.Name, owner, at.Name, err)
			}
			if err := s.step("erase"); err != nil {
				return err
			}
		}
	}
	for more := true; more; {
		err := at.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			if err := guard(ctx, tx); err != nil {
				return err
			}
			n, err := at.Once.Forget(ctx, tx, Scope(owner, ""), eraseRows)
			more = n == eraseRows
			return err
		})
		if err != nil {
			return fmt.Errorf("erase answers of %s on shard %s: %w", owner, at.Name, err)
		}
	}
	// The links stay, revoked, so that an old hint finds its way.
	return at.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := guard(ctx, tx); err != nil {
			return err
		}
		_, err := at.Links.RevokeOwner(ctx, tx, Realm, owner)
		return err
	})
}

// Realm is the realm of owners' links.
const Realm = "photos"

// Scope is the scope under which an owner's answers are kept (engines/once), so that they
// move with the owner.
func Scope(owner, operation string) string { return owner + "/" + operation }

// Sweep removes rows for good that were deleted before a moment, of owners who are not
// being moved just now, and returns how many.
func (s *Set) Sweep(ctx context.Context, at *Shard, before int64) (n int, err error) {
	for i := range s.tables {
		t := &s.tables[i]
		for {
			removed, looked := 0, 0
			err := at.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				rows, err := t.query(ctx, tx, t.dead, before, int64(eraseRows))
				if err != nil {
					return err
				}
				looked, removed = len(rows), 0
				kept := rows[:0]
				for _, row := range rows {
					st, found, err := readStanding(ctx, tx, row[t.owner].(string))
					if err != nil {
						return err
					}
					if found && st.state == here && st.peer == 0 {
						kept = append(kept, row)
					}
				}
				removed = len(kept)
				return at.removeRows(ctx, tx, t, kept)
			})
			n += removed
			if err != nil {
				return n, fmt.Errorf("sweep %s of shard %s: %w", t.Name, at.Name, err)
			}
			if looked < eraseRows || removed == 0 {
				break
			}
		}
	}
	return n, nil
}
