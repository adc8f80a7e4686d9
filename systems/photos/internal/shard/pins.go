package shard

import (
	"context"
	"fmt"
	"strings"

	"plumb/engines/sqldb"
)

// pinAll looks at every owner of every shard, and pins those who are not where the next
// map says.
func (s *Set) pinAll(ctx context.Context, p *pendingMap) error {
	allow, err := s.allowances(ctx, p)
	if err != nil {
		return err
	}
	for _, r := range p.records {
		if r.State == Lost {
			continue
		}
		at, err := s.dir.Load().shard(r.No)
		if err != nil {
			return err
		}
		for after := ""; ; {
			if err := s.step("pin"); err != nil {
				return err
			}
			list, err := at.ownersPage(ctx, after)
			if err == nil && len(list) > 0 {
				err = s.pinPage(ctx, p, at, list, allow)
			}
			if err != nil {
				return fmt.Errorf("pin owners of shard %s: %w", at.Name, err)
			}
			if len(list) < planRows {
				break
			}
			after = list[len(list)-1].owner
		}
	}
	return nil
}

// placed is an owner on a shard.
type placed struct {
	owner         string
	peer          int64
	photos, bytes int64
}

func (at *Shard) ownersPage(ctx context.Context, after string) (list []placed, err error) {
	err = at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, sqlOwnersPlaced, after, int64(planRows))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var o placed
			if err := rows.Scan(&o.owner, &o.peer, &o.photos, &o.bytes); err != nil {
				return err
			}
			list = append(list, o)
		}
		return rows.Err()
	})
	return list, err
}

// allowances returns how many bytes may still move to each shard, so that none gets more
// than bound times its share; nil where nothing is bounded. Each shard gives by what it
// holds and how much of its share it loses. What is bounded is what a shard gets and not
// each way to it: of a shard among many, the part is less than one person has.
func (s *Set) allowances(ctx context.Context, p *pendingMap) (map[string]float64, error) {
	gain, gains := map[string]float64{}, 0.0
	for i, n := range p.next.Nodes() {
		g := p.next.Share(i)
		if j, ok := p.old.Index(n.Name); ok {
			g -= p.old.Share(j)
		}
		if g > 0 {
			gain[n.Name] = g
			gains += g
		}
	}
	allow, given, ideal := map[string]float64{}, map[string]float64{}, 0.0
	for _, r := range p.records {
		i, was := p.old.Index(r.Name)
		if !was || r.State == Lost {
			continue
		}
		loss := 1.0
		if j, is := p.next.Index(r.Name); is {
			loss = max(0, 1-p.next.Share(j)/p.old.Share(i))
		}
		at, err := s.dir.Load().shard(r.No)
		if err != nil {
			return nil, err
		}
		var bytes int64
		err = at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			var owners, photos int64
			return tx.QueryRow(ctx, sqlOwnersSum).Scan(&owners, &photos, &bytes)
		})
		if err != nil {
			return nil, err
		}
		ideal += loss * float64(bytes)
		for to, g := range gain {
			allow[to] += bound * loss * float64(bytes) * g / gains
		}
	}
	p.ideal = int64(ideal)
	if !p.bounded {
		return nil, nil
	}
	// Owners are gone over twice: what they were given before counts.
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		rows, err := tx.Query(ctx, sqlPinsComing, p.migration)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var want, bytes int64
			if err := rows.Scan(&want, &bytes); err != nil {
				return err
			}
			given[nameOf(p.records, want)] = float64(bytes)
		}
		return rows.Err()
	})
	for to, bytes := range given {
		allow[to] -= bytes
	}
	return allow, err
}

// pinPage pins those of a page of owners who must be.
func (s *Set) pinPage(ctx context.Context, p *pendingMap, at *Shard, list []placed, allow map[string]float64) error {
	no := map[string]int64{}
	for _, r := range p.records {
		no[r.Name] = r.No
	}
	spent := map[string]float64{}
	err := s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		clear(spent)
		var state string
		if err := tx.QueryRow(ctx, sqlMapState, p.epoch).Scan(&state); err != nil {
			return err
		}
		var puts []pin
		if state != mapPending { // somebody else was faster
			return nil
		}
		pins, err := readPinRange(ctx, tx, list[0].owner, list[len(list)-1].owner)
		if err != nil {
			return err
		}
		for _, o := range list {
			to := p.next.Node(p.next.Place(o.owner)).Name
			want, why := no[to], whyMap
			was, pinned := pins[o.owner]
			if pinned && (was.why == whyPin || was.why == whyBalance) {
				stays := was.want
				if stays == 0 {
					stays = was.shard
				}
				if _, is := p.next.Index(nameOf(p.records, stays)); is {
					continue
				}
			}
			migration := p.migration
			switch {
			case want == at.No && o.peer != 0: // what was copied elsewhere goes
			case want == at.No && !pinned:
				continue
			case want == at.No:
				want, why, migration = 0, whyDrop, ""
			case allow == nil || pinned && was.want != 0: // also those who were to move already
			case spent[to]+float64(o.bytes) > allow[to]:
				want, why, migration = 0, whyBound, ""
			default:
				spent[to] += float64(o.bytes)
			}
			next := pin{owner: o.owner, shard: at.No, want: want, epoch: p.epoch, migration: migration, why: why, photos: o.photos, bytes: o.bytes}
			if was != next { // the second time most are the same
				puts = append(puts, next)
			}
		}
		if err := putPins(ctx, tx, puts); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, sqlMapLease, p.epoch, s.n.Clock.Now().Add(s.hold).UnixMicro())
		return err
	})
	for to, bytes := range spent {
		allow[to] -= bytes
	}
	return err
}

func nameOf(records []record, no int64) string {
	for _, r := range records {
		if r.No == no {
			return r.Name
		}
	}
	return ""
}

func readPinRange(ctx context.Context, tx *sqldb.Tx, from, to string) (map[string]pin, error) {
	rows, err := tx.Query(ctx, sqlPinRange, from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	pins := map[string]pin{}
	for rows.Next() {
		var p pin
		if err := rows.Scan(&p.owner, &p.shard, &p.want, &p.epoch, &p.migration, &p.why, &p.photos, &p.bytes); err != nil {
			return nil, err
		}
		pins[p.owner] = p
	}
	return pins, rows.Err()
}

// putPins writes pins, many in one statement.
func putPins(ctx context.Context, tx *sqldb.Tx, pins []pin) error {
	for len(pins) > 0 {
		n := 1
		if len(pins) >= manyPins {
			n = manyPins
		}
		args := make([]any, 0, 8*n)
		for _, p := range pins[:n] {
			args = append(args, p.owner, p.shard, p.want, p.epoch, p.migration, p.why, p.photos, p.bytes)
		}
		if _, err := tx.Exec(ctx, pinsText(n), args...); err != nil {
			return err
		}
		pins = pins[n:]
	}
	return nil
}

const manyPins = 25

// pinsText is the statement that writes n pins.
func pinsText(n int) string {
	var b strings.Builder
	b.WriteString(sqlPinsInto)
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		j := 8 * i
		fmt.Fprintf(&b, "($%d, $%d, $%d, $%d, $%d, $%d, $%d, $%d, 0, 0, 0, 0, '')", j+1, j+2, j+3, j+4, j+5, j+6, j+7, j+8)
	}
	b.WriteString(sqlPinsOver)
	return b.String()
}
