package shard

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/links"
	"plumb/engines/once"
	"plumb/engines/sqldb"
)

const (
	copyRows  = 32       // rows of a batch
	copyBytes = 32 << 20 // bytes of new contents after which a batch ends
	linkRows  = 500      // links and answers that are read at once
)

// copyEnded writes rows that are gone, before the others of a round: what stands in the
// place of one, under a unique index, may have a lower number.
func (m *move) copyEnded(ctx context.Context, t *tableText, since int64) error {
	for last := []any(nil); ; {
		var rows [][]any
		err := m.from.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			args := []any{m.pin.owner, since, int64(0), int64(copyRows)}
			if last == nil {
				rows, err = t.query(ctx, tx, t.ended, args...)
			} else {
				rows, err = t.query(ctx, tx, t.later, append(append(args, last[t.rev]), t.key(last)...)...)
			}
			return err
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		err = m.toWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			for _, row := range rows {
				if err := m.to.writeRow(ctx, tx, t, row, nil, nil); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(rows) < copyRows {
			return err
		}
		last = rows[len(rows)-1]
	}
}

// copyTable copies the rows of one table with numbers after since, up to c.Upto.
func (m *move) copyTable(ctx context.Context, t *tableText, since int64, c copied) (batches int, err error) {
	if err := m.copyEnded(ctx, t, since); err != nil {
		return 0, err
	}
	for {
		var rows [][]any
		err := m.from.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			args := []any{m.pin.owner, since, c.Upto, int64(copyRows)}
			if c.Key == nil {
				rows, err = t.query(ctx, tx, t.first, args...)
			} else {
				rows, err = t.query(ctx, tx, t.more, append(append(args, c.Rev), c.Key...)...)
			}
			return err
		})
		if err != nil || len(rows) == 0 {
			return batches, err
		}
		last := len(rows) < copyRows
		for len(rows) > 0 {
			if err := m.s.step("copy"); err != nil {
				return batches, err
			}
			n, err := m.copyBatch(ctx, t, rows, &c)
			if err != nil {
				return batches, err
			}
			rows = rows[n:]
			batches++
		}
		if last {
			return batches, nil
		}
	}
}

// copyBatch writes the first of the rows, as many as their contents allow, with their
// contents, and how far that is. It returns how many.
func (m *move) copyBatch(ctx context.Context, t *tableText, rows [][]any, c *copied) (n int, err error) {
	put := map[cas.Hash]*cas.Pending{}
	defer func() {
		for _, p := range put {
			p.Close()
		}
	}()
	fresh := int64(0)
	for ; n < len(rows) && fresh < copyBytes; n++ {
		for _, text := range t.contents(rows[n]) {
			size, err := m.putContent(ctx, text, put, false)
			if err != nil {
				return 0, err
			}
			fresh += size
		}
	}
	rows = rows[:n]
	end := *c
	end.Rev, end.Key = rows[n-1][t.rev].(int64), t.key(rows[n-1])
	progress, err := json.Marshal(end)
	if err != nil {
		return 0, err
	}
	for try := 0; ; try++ {
		for _, p := range put {
			if err := p.Ready(ctx); err != nil {
				return 0, err
			}
		}
		missing := errMissing{}
		err = m.toWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			clear(missing)
			for _, row := range rows {
				if err := m.to.writeRow(ctx, tx, t, row, put, missing); err != nil {
					return err
				}
			}
			if len(missing) > 0 {
				return missing
			}
			_, err := tx.Exec(ctx, sqlOwnerProgress, m.pin.owner, string(progress))
			return err
		})
		if !errors.As(err, &missing) || try == 3 {
			break
		}
		for h := range missing { // known a moment ago, and collected since
			if _, err := m.putContent(ctx, h.String(), put, true); err != nil {
				return 0, err
			}
		}
	}
	if err != nil {
		return 0, err
	}
	m.moved.Add(fresh)
	*c = end
	for h := range put {
		if err := verify(ctx, m.to, h); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// putContent brings a content to the target, unless it is there, and returns how many
// bytes were copied.
func (m *move) putContent(ctx context.Context, text string, put map[cas.Hash]*cas.Pending, always bool) (int64, error) {
	h, err := cas.ParseHash(text)
	if err != nil {
		return 0, err
	}
	if put[h] != nil {
		return 0, nil
	}
	if !always {
		r, err := m.to.CAS.Open(ctx, h)
		if err == nil {
			return 0, r.Close()
		}
		if !errs.Is(err, errs.NotFound) {
			return 0, err
		}
	}
	r, err := m.from.CAS.Open(ctx, h)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	// Whole: a photo's small sizes are read at once, and never edited.
	p, err := m.to.CAS.Put(ctx, &throttled{ctx: ctx, t: m.s.rate, r: r}, cas.PutOptions{Later: true, Whole: r.Size() <= 1<<20})
	if err != nil {
		return 0, err
	}
	if p.Hash() != h || p.Size() != r.Size() {
		p.Close()
		return 0, errs.New(errs.Internal, "content %s of shard %s is %s when it is read", h, m.from.Name, p.Hash())
	}
	put[h] = p
	return p.Size(), nil
}

// verify reads a content back.
func verify(ctx context.Context, at *Shard, h cas.Hash) error {
	r, err := at.CAS.Open(ctx, h)
	if err != nil {
		return err
	}
	defer r.Close()
	sum := sha256.New()
	if _, err := r.WriteTo(sum); err != nil {
		return fmt.Errorf("read back content %s on shard %s: %w", h, at.Name, err)
	}
	if !bytes.Equal(sum.Sum(nil), h[:]) {
		return errs.New(errs.Internal, "content %s on shard %s is another when it is read back", h, at.Name)
	}
	return nil
}

// copyLinks makes the owner's links at the target what they are at the source.
func (m *move) copyLinks(ctx context.Context) error {
	for after := ""; ; {
		var have, is []links.Row
		err := m.from.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			have, err = m.from.Links.Out(ctx, tx, Realm, m.pin.owner, after, linkRows)
			return err
		})
		if err == nil {
			err = m.to.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
				is, err = m.to.Links.Out(ctx, tx, Realm, m.pin.owner, after, linkRows)
				return err
			})
		}
		if err != nil {
			return err
		}
		// Up to where both lists are known.
		end := ""
		for _, list := range [][]links.Row{have, is} {
			if len(list) == linkRows && (end == "" || list[linkRows-1].ID < end) {
				end = list[linkRows-1].ID
			}
		}
		if err := m.writeLinks(ctx, have, is, end); err != nil || end == "" {
			return err
		}
		after = end
	}
}

// writeLinks writes those of have that differ in is, and removes those of is that are not
// in have, up to the id end; "" for all.
func (m *move) writeLinks(ctx context.Context, have, is []links.Row, end string) error {
	beyond := func(r links.Row) bool { return end != "" && r.ID > end }
	have, is = slices.DeleteFunc(have, beyond), slices.DeleteFunc(is, beyond)
	stands := map[string]links.Row{}
	for _, r := range is {
		stands[r.ID] = r
	}
	var changed []links.Row
	for _, r := range have {
		if stands[r.ID] != r {
			changed = append(changed, r)
		}
		delete(stands, r.ID)
	}
	if len(changed) == 0 && len(stands) == 0 {
		return nil
	}
	return m.toWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for id := range stands {
			if err := m.to.Links.Drop(ctx, tx, Realm, m.pin.owner, id); err != nil {
				return err
			}
		}
		return m.to.Links.In(ctx, tx, changed...)
	})
}

// copyAnswers copies the answers to the owner's requests that may come again.
func (m *move) copyAnswers(ctx context.Context) error {
	now := m.s.n.Clock.Now()
	for after := (once.Row{}); ; {
		var rows []once.Row
		err := m.from.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			rows, err = m.from.Once.Out(ctx, tx, Scope(m.pin.owner, ""), after, now, linkRows)
			return err
		})
		if err == nil && len(rows) > 0 {
			err = m.toWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return m.to.Once.In(ctx, tx, rows...) })
		}
		if err != nil || len(rows) < linkRows {
			return err
		}
		after = rows[len(rows)-1]
	}
}

// compare counts what is on both shards. Where that differs, what was copied is erased
// and the next run begins anew: a row that was swept at the source between two rounds
// would stay.
func (m *move) compare(ctx context.Context) error {
	for i := range m.s.tables {
		t := &m.s.tables[i]
		var n, sum [2]int64
		for j, at := range []*Shard{m.from, m.to} {
			err := at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				return tx.QueryRow(ctx, t.live, m.pin.owner).Scan(&n[j], &sum[j])
			})
			if err != nil {
				return err
			}
		}
		if n[0] != n[1] || sum[0] != sum[1] {
			return &errDiffers{t.Name, n}
		}
	}
	return nil
}

// errDiffers says that a copy is not what it is a copy of.
type errDiffers struct {
	table string
	n     [2]int64
}

func (e *errDiffers) Error() string {
	return fmt.Sprintf("of %s there are %d rows, and %d in the copy, or they differ", e.table, e.n[0], e.n[1])
}

// restart erases a copy that differs.
func (m *move) restart(ctx context.Context) error {
	st, found, err := m.to.standing(ctx, m.pin.owner)
	if err != nil || !found || st.state != coming && st.state != ready || st.turn != m.toTurn {
		return err
	}
	if err := m.s.erase(ctx, m.to, m.pin.owner, st); err != nil {
		return err
	}
	return m.to.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, sqlOwnerComeAgain, m.pin.owner, st.turn, m.from.No, int64(0), "")
		return err
	})
}
