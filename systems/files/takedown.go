package files

import (
	"context"
	"fmt"
	"strings"
	"time"

	"plumb/base/bounds"
	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
)

// Flag is a report of abuse.
type Flag struct {
	ID     string
	Node   string
	Hash   cas.Hash
	Name   string // of the file, then
	Reason string
	Person string // who reported it; "" for a stranger
	At     time.Time
	State  string // open, blocked, dismissed
}

// Blocked is content that was taken down.
type Blocked struct {
	Hash   cas.Hash
	Reason string
	Person string // who took it down
	At     time.Time
}

// mostFlags is how many open reports of one file are kept: more say nothing new.
const mostFlags = 20

// Flag reports the file at path, which who may read, to the operators. Operators may
// read what was reported. Errors: those of Stat; Conflict for a folder; Invalid.
func (s *System) Flag(ctx context.Context, who Person, path, reason string) (Flag, error) {
	p, err := parsePath(path)
	if err != nil {
		return Flag{}, err
	}
	return s.flag(ctx, who, p, reason, func(ctx context.Context, tx *sqldb.Tx) (Node, error) {
		n, _, err := s.find(ctx, tx, who, p)
		return n, err
	})
}

// FlagLinked is Flag by somebody who holds a link. Errors: those of Through.
func (s *System) FlagLinked(ctx context.Context, token, password, remote, rest, reason string) (Flag, error) {
	_, n, err := s.Through(ctx, token, password, remote, rest)
	if err != nil {
		return Flag{}, err
	}
	return s.flag(ctx, Person{}, place{node: n.ID}, reason, func(context.Context, *sqldb.Tx) (Node, error) { return n, nil })
}

func (s *System) flag(ctx context.Context, who Person, p place, reason string, find func(context.Context, *sqldb.Tx) (Node, error)) (Flag, error) {
	reason = strings.TrimSpace(reason)
	var b bounds.Check
	b.Text("reason", reason, 1, 1000)
	if err := b.Err("the report is not valid"); err != nil {
		return Flag{}, err
	}
	f, err := write(ctx, s, "report", fmt.Sprint(p, reason), func(ctx context.Context, tx *sqldb.Tx) (Flag, error) {
		n, err := find(ctx, tx)
		if err != nil {
			return Flag{}, err
		}
		if n.Folder {
			return Flag{}, errs.New(errs.Conflict, "report the file in the folder that you mean")
		}
		var open int64
		if err := tx.QueryRow(ctx, flaggedSQL, n.ID).Scan(&open); err != nil {
			return Flag{}, err
		}
		now := s.n.Clock.Now().UTC().Truncate(time.Microsecond)
		f := Flag{ids.New(now), n.ID, n.Hash, n.Name, reason, who.ID, now, "open"}
		if open >= mostFlags {
			return f, nil
		}
		_, err = tx.Exec(ctx, addFlagSQL, f.ID, f.Node, f.Hash[:], f.Name, f.Reason, f.Person, f.At.UnixMicro(), f.State)
		return f, err
	})
	if err == nil {
		s.measures.flags.Inc()
	}
	return f, err
}

// operator refuses everybody else.
func operator(who Person) error {
	if !who.Operator {
		return errs.New(errs.Denied, "this is for operators")
	}
	return nil
}

// Flags returns reports in a state (open, blocked, dismissed), the newest first.
// Errors: Denied for all but operators.
func (s *System) Flags(ctx context.Context, who Person, state, cursor string, limit int) ([]Flag, string, error) {
	if err := operator(who); err != nil {
		return nil, "", err
	}
	if cursor == "" {
		cursor = "~"
	}
	limit = page(limit)
	list, err := read(ctx, s, "list reports", func(ctx context.Context, tx *sqldb.Tx) (list []Flag, err error) {
		rows, err := tx.Query(ctx, flagsSQL, state, cursor, int64(limit+1))
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			var f Flag
			var hash []byte
			var at int64
			if err := rows.Scan(&f.ID, &f.Node, &hash, &f.Name, &f.Reason, &f.Person, &at, &f.State); err != nil {
				return nil, err
			}
			f.Hash, f.At = hashOf(hash), when(at)
			list = append(list, f)
		}
		return list, rows.Err()
	})
	if err != nil {
		return nil, "", err
	}
	return cut(list, limit, func(f Flag) string { return f.ID })
}

// Dismiss closes a report without consequence. Errors: Denied; NotFound.
func (s *System) Dismiss(ctx context.Context, who Person, id string) error {
	if err := operator(who); err != nil {
		return err
	}
	_, err := write(ctx, s, "dismiss a report", id, func(ctx context.Context, tx *sqldb.Tx) (int, error) {
		n, err := tx.Exec(ctx, dismissSQL, id)
		if err == nil && n == 0 {
			err = errs.New(errs.NotFound, "there is no open report %.40q", id)
		}
		return 0, err
	})
	s.lookups.changed("") // an operator may not read the file any more
	return err
}

// Block takes content down by its hash: nobody may read it any more under any name, nor
// store it again. It closes the reports of it. Errors: Denied; Invalid.
func (s *System) Block(ctx context.Context, who Person, hash cas.Hash, reason string) error {
	if err := operator(who); err != nil {
		return err
	}
	var b bounds.Check
	b.Text("reason", reason, 1, 1000)
	if err := b.Err("the takedown is not valid"); err != nil {
		return err
	}
	_, err := write(ctx, s, "take down", hash.String(), func(ctx context.Context, tx *sqldb.Tx) (int, error) {
		if _, err := tx.Exec(ctx, blockSQL, hash[:], reason, who.ID, s.n.Clock.Now().UnixMicro()); err != nil {
			return 0, err
		}
		_, err := tx.Exec(ctx, closeFlagsSQL, hash[:])
		return 0, err
	})
	if err == nil {
		s.n.Log.Info("content was taken down", "hash", hash.String(), "by", who.ID, "reason", reason)
		s.changed(ctx, Node{Hash: hash}, "blocked")
	}
	return err
}

// Unblock undoes Block. Errors: Denied; NotFound.
func (s *System) Unblock(ctx context.Context, who Person, hash cas.Hash) error {
	if err := operator(who); err != nil {
		return err
	}
	_, err := write(ctx, s, "undo a takedown", hash.String(), func(ctx context.Context, tx *sqldb.Tx) (int, error) {
		n, err := tx.Exec(ctx, unblockSQL, hash[:])
		if err == nil && n == 0 {
			err = errs.New(errs.NotFound, "this content was not taken down")
		}
		return 0, err
	})
	if err == nil {
		s.n.Log.Info("a takedown was undone", "hash", hash.String(), "by", who.ID)
		s.changed(ctx, Node{Hash: hash}, "blocked")
	}
	return err
}

// Blocked returns what was taken down, by hash. Errors: Denied.
func (s *System) Blocked(ctx context.Context, who Person, cursor string, limit int) ([]Blocked, string, error) {
	if err := operator(who); err != nil {
		return nil, "", err
	}
	from := []byte{}
	if cursor != "" {
		h, err := cas.ParseHash(cursor)
		if err != nil {
			return nil, "", err
		}
		from = h[:]
	}
	limit = page(limit)
	list, err := read(ctx, s, "list what was taken down", func(ctx context.Context, tx *sqldb.Tx) (list []Blocked, err error) {
		rows, err := tx.Query(ctx, blockedSQL, from, int64(limit+1))
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			var b Blocked
			var hash []byte
			var at int64
			if err := rows.Scan(&hash, &b.Reason, &b.Person, &at); err != nil {
				return nil, err
			}
			b.Hash, b.At = hashOf(hash), when(at)
			list = append(list, b)
		}
		return list, rows.Err()
	})
	if err != nil {
		return nil, "", err
	}
	return cut(list, limit, func(b Blocked) string { return b.Hash.String() })
}

const (
	addFlagSQL    = `INSERT INTO files_flags (id, node, hash, name, reason, person, at, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	flagsSQL      = `SELECT id, node, hash, name, reason, person, at, state FROM files_flags WHERE state = $1 AND id < $2 ORDER BY id DESC LIMIT $3`
	dismissSQL    = `UPDATE files_flags SET state = 'dismissed' WHERE id = $1 AND state = 'open'`
	closeFlagsSQL = `UPDATE files_flags SET state = 'blocked' WHERE hash = $1 AND state = 'open'`
	blockSQL      = `INSERT INTO files_blocked (hash, reason, person, at) VALUES ($1, $2, $3, $4) ON CONFLICT (hash) DO UPDATE SET reason = $2, person = $3, at = $4`
	unblockSQL    = `DELETE FROM files_blocked WHERE hash = $1`
	blockedSQL    = `SELECT hash, reason, person, at FROM files_blocked WHERE hash > $1 ORDER BY hash LIMIT $2`
)
