package files

import (
	"context"
	"fmt"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
)

// Usage is what a person keeps.
type Usage struct {
	Files int64
	Used  int64 // bytes, versions and bin included
	Limit int64 // bytes; 0: none
}

// Quota returns what who keeps, and may keep.
func (s *System) Quota(ctx context.Context, who Person) (Usage, error) {
	return s.usage(ctx, who.ID)
}

func (s *System) usage(ctx context.Context, person string) (Usage, error) {
	return read(ctx, s, "look up the quota", func(ctx context.Context, tx *sqldb.Tx) (u Usage, err error) {
		var most int64
		if err := tx.QueryRow(ctx, usedSQL, person).Scan(&most, &u.Used, &u.Files); err != nil && err != sqldb.ErrNoRows {
			return u, err
		}
		if u.Limit = s.limit(most); u.Limit == 1<<62 {
			u.Limit = 0
		}
		return u, nil
	})
}

// SetQuota gives a named person a quota of their own: bytes, 0 for the house's usual
// one, -1 for no limit. What is there stays. Errors: Denied; Invalid; NotFound.
func (s *System) SetQuota(ctx context.Context, who Person, name string, most int64) (Usage, error) {
	if err := operator(who); err != nil {
		return Usage{}, err
	}
	if most < -1 || most > 1<<53 {
		return Usage{}, errs.New(errs.Invalid, "a quota is -1 to %d bytes", int64(1<<53))
	}
	p, err := s.n.People.Named(ctx, name)
	if err != nil {
		return Usage{}, err
	}
	if _, err := write(ctx, s, "set a quota", fmt.Sprint(p.ID, most), func(ctx context.Context, tx *sqldb.Tx) (int, error) {
		_, err := tx.Exec(ctx, setMostSQL, p.ID, most)
		return 0, err
	}); err != nil {
		return Usage{}, err
	}
	return s.usage(ctx, p.ID)
}

// Totals is what the room holds. Bytes as they lie are an operator's to know: how much
// an upload of one's own added to them would tell whether somebody else has it.
type Totals struct {
	Files   int64
	Logical int64      // bytes, versions and bin included: everybody's for an operator, else one's own
	Store   *cas.Stats // for an operator; else nil
}

// Stats returns what the room holds, as far as who may know.
func (s *System) Stats(ctx context.Context, who Person) (Totals, error) {
	if !who.Operator {
		u, err := s.Quota(ctx, who)
		return Totals{Files: u.Files, Logical: u.Used}, err
	}
	t, err := read(ctx, s, "count", func(ctx context.Context, tx *sqldb.Tx) (t Totals, err error) {
		err = tx.QueryRow(ctx, totalSQL).Scan(&t.Logical, &t.Files)
		return t, err
	})
	if err != nil {
		return Totals{}, err
	}
	store, err := s.n.CAS.Stats(ctx)
	t.Store = &store
	return t, err
}

// Saved is what storing contents once saves, by its cause, in bytes.
type Saved struct{ SameFile, SameChunks, Compression int64 }

// Saved tells it from an operator's totals; nothing from anybody else's.
func (t Totals) Saved() Saved {
	if t.Store == nil {
		return Saved{}
	}
	c := *t.Store
	// Uploads under way hold contents that no file names yet, chunks stay until the
	// collector has been by, and sealing takes some bytes: none of it is a loss.
	return Saved{max(t.Logical-c.Unique, 0), max(c.Unique-c.Chunked, 0), max(c.Chunked-c.Stored, 0)}
}
