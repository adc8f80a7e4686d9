package shard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/links"
	"plumb/engines/sqldb"
)

const exportRows = 200 // rows that are read at once

// Export calls w with every row of the owner that changed after since, and then with all
// of their links, and returns the number to go on from. Deleted rows are among them.
// Errors: NotFound for who has nothing; w's own.
func (s *Set) Export(ctx context.Context, owner string, since int64, w func(Row) error) (int64, error) {
	upto, err := s.export(ctx, owner, since, w)
	if err != nil {
		return 0, fmt.Errorf("export what %s has: %w", owner, err)
	}
	return upto, nil
}

func (s *Set) export(ctx context.Context, owner string, since int64, w func(Row) error) (upto int64, err error) {
	err = s.Read(ctx, owner, func(ctx context.Context, tx *sqldb.Tx, _ *Shard) error {
		st, found, err := readStanding(ctx, tx, owner)
		if err == nil && !found {
			err = errs.New(errs.NotFound, "there is no such owner")
		}
		upto = st.rev
		return err
	})
	if err != nil {
		return 0, err
	}
	for i := range s.tables {
		if err := s.exportTable(ctx, &s.tables[i], owner, since, upto, w); err != nil {
			return 0, err
		}
	}
	for after := ""; ; {
		var list []links.Row
		err := s.Read(ctx, owner, func(ctx context.Context, tx *sqldb.Tx, at *Shard) (err error) {
			list, err = at.Links.Out(ctx, tx, Realm, owner, after, exportRows)
			return err
		})
		if err != nil {
			return 0, err
		}
		for _, l := range list {
			if err := w(linkRow(l)); err != nil {
				return 0, err
			}
			after = l.ID
		}
		if len(list) < exportRows {
			return upto, nil
		}
	}
}

// exportTable hands on the rows with numbers after since. A row that changes meanwhile has
// a number beyond upto by then, and is in the next export.
func (s *Set) exportTable(ctx context.Context, t *tableText, owner string, since, upto int64, w func(Row) error) error {
	for last := []any(nil); ; {
		var rows [][]any
		err := s.Read(ctx, owner, func(ctx context.Context, tx *sqldb.Tx, _ *Shard) (err error) {
			args := []any{owner, since, upto, int64(exportRows)}
			if last == nil {
				rows, err = t.query(ctx, tx, t.first, args...)
			} else {
				rows, err = t.query(ctx, tx, t.more, append(append(args, last[t.rev]), t.key(last)...)...)
			}
			return err
		})
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := w(t.row(row)); err != nil {
				return err
			}
			last = row
		}
		if len(rows) < exportRows {
			return nil
		}
	}
}

// linkRow and rowLink go by a link's own JSON.
func linkRow(l links.Row) Row {
	return Row{LinksTable, map[string]any{"id": l.ID, "hash": l.Hash, "realm": l.Realm, "owner": l.Owner, "target": l.Target,
		"password": l.Password, "made": l.Made, "expires": l.Expires, "revoked": l.Revoked, "most": l.Most, "used": l.Used}}
}

func rowLink(r Row) (l links.Row, err error) {
	text, err := json.Marshal(r.Values)
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err != nil {
		err = errs.New(errs.Invalid, "a link's row cannot be read: %v", err)
	}
	return l, err
}

// Fetch puts a content that a shard lacks, and nothing takes it; nil without an error
// means that it is not to be had.
type Fetch = func(ctx context.Context, at *Shard, h cas.Hash) (*cas.Pending, error)

// Import writes rows that Export gave, where the owner is now: over older ones of the same
// key, not over newer ones, and in any order, again and again. A content that the shard
// lacks and fetch does not find leaves the row's column empty. What the owner's row counts
// is the caller's to bring up to date (SetTally). Errors: Invalid rows; fetch's own; Busy.
func (s *Set) Import(ctx context.Context, owner string, rows []Row, fetch Fetch) error {
	for len(rows) > 0 {
		n := min(len(rows), copyRows)
		if err := s.importSome(ctx, owner, rows[:n], fetch); err != nil {
			return fmt.Errorf("import what %s has: %w", owner, err)
		}
		rows = rows[n:]
	}
	return nil
}

// imported is a row on its way in.
type imported struct {
	t      *tableText
	values []any
}

func (s *Set) importSome(ctx context.Context, owner string, rows []Row, fetch Fetch) error {
	var list []imported
	var in []links.Row
	most := int64(0)
	for _, r := range rows {
		if r.Table == LinksTable {
			l, err := rowLink(r)
			if err == nil && (l.Owner != owner || l.Realm != Realm) {
				err = errs.New(errs.Invalid, "a link of %q is not one of %q", l.Owner, owner)
			}
			if err != nil {
				return err
			}
			in = append(in, l)
			continue
		}
		t := s.table(r.Table)
		if t == nil {
			return errs.New(errs.Invalid, "there is no table %.40q", r.Table)
		}
		values, err := t.values(r)
		if err != nil {
			return err
		}
		if values[t.owner] != owner {
			return errs.New(errs.Invalid, "a row of %s is not one of %q", t.Name, owner)
		}
		list = append(list, imported{t, values})
		most = max(most, values[t.rev].(int64))
	}
	for { // until the owner stays long enough
		at, err := s.Home(ctx, owner)
		if err != nil {
			return err
		}
		err = s.importOn(ctx, at, owner, list, in, most, fetch)
		if !errors.Is(err, ErrMoved) {
			return err
		}
		if err := pause(ctx, 3); err != nil {
			return err
		}
	}
}

func (s *Set) table(name string) *tableText {
	for i := range s.tables {
		if s.tables[i].Name == name {
			return &s.tables[i]
		}
	}
	return nil
}

func (s *Set) importOn(ctx context.Context, at *Shard, owner string, list []imported, in []links.Row, most int64, fetch Fetch) error {
	put, none := map[cas.Hash]*cas.Pending{}, map[cas.Hash]bool{}
	defer func() {
		for _, p := range put {
			p.Close()
		}
	}()
	want := errMissing{}
	for _, r := range list {
		for _, text := range r.t.contents(r.values) {
			h, err := cas.ParseHash(text)
			if err != nil {
				return err
			}
			if c, err := at.CAS.Open(ctx, h); err == nil {
				c.Close()
			} else if errs.Is(err, errs.NotFound) {
				want[h] = true
			} else {
				return err
			}
		}
	}
	for try := 0; ; try++ {
		for h := range want {
			p, err := fetch(ctx, at, h)
			switch {
			case err != nil:
				return err
			case p == nil:
				none[h] = true
			case p.Hash() != h:
				p.Close()
				return errs.New(errs.Internal, "content %s was fetched for %s", p.Hash(), h)
			default:
				put[h] = p
				if err := p.Ready(ctx); err != nil {
					return err
				}
			}
		}
		want = errMissing{}
		err := s.Write(ctx, owner, at, func(ctx context.Context, tx *sqldb.Tx, at *Shard, _ int64) error {
			clear(want)
			for _, r := range list {
				if err := at.importRow(ctx, tx, r, put, none, want); err != nil {
					return err
				}
			}
			if len(want) > 0 {
				return want
			}
			for _, l := range in {
				if _, err := at.Links.OwnerIn(ctx, tx, l.Hash); err == nil && l.Revoked == 0 {
					continue // what is here is newer, or as new
				} else if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
					return err
				}
				if err := at.Links.In(ctx, tx, l); err != nil {
					return err
				}
			}
			_, err := tx.Exec(ctx, sqlOwnerReach, owner, most)
			return err
		})
		if !errors.As(err, &want) || try == 3 {
			return err
		}
	}
}

// importRow writes a row unless a newer one stands there.
func (at *Shard) importRow(ctx context.Context, tx *sqldb.Tx, r imported, put map[cas.Hash]*cas.Pending, none map[cas.Hash]bool, want errMissing) error {
	t := r.t
	var rev int64
	err := tx.QueryRow(ctx, t.number, t.key(r.values)...).Scan(&rev)
	if err == nil && rev >= r.values[t.rev].(int64) {
		return nil
	}
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return err
	}
	values := append([]any(nil), r.values...)
	for _, i := range t.hashes {
		if h, err := cas.ParseHash(values[i].(string)); err == nil && none[h] {
			values[i] = ""
		}
	}
	return at.writeRow(ctx, tx, t, values, put, want)
}

// SetTally sets what the owner's row counts, in a Write's fn.
func (s *Set) SetTally(ctx context.Context, tx *sqldb.Tx, owner string, photos, bytes int64) error {
	_, err := tx.Exec(ctx, sqlOwnerSetTally, owner, photos, bytes)
	return err
}
