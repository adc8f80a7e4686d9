package files

import (
	"context"
	"fmt"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// erase deletes what is marked as gone, from below, in bounded steps. It may be called
// again, and by several at once.
func (s *System) erase(ctx context.Context, n Node) error {
	for stack := []Node{n}; len(stack) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		top := stack[len(stack)-1]
		var folders []Node
		done := false
		err := s.n.DB.BatchBy(ctx, lane, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			folders, done, err = s.eraseSome(ctx, tx, top)
			return err
		})
		if err != nil {
			return fmt.Errorf("erase %s: %w", n.ID, err)
		}
		if done {
			stack = stack[:len(stack)-1]
		}
		stack = append(stack, folders...)
	}
	return nil
}

// eraseSome deletes some of what is below n, then n; it returns folders that are still
// to be erased before.
func (s *System) eraseSome(ctx context.Context, tx *sqldb.Tx, n Node) (folders []Node, done bool, err error) {
	var below []Node
	if n.Folder {
		if below, err = s.store.nodes(ctx, tx, belowSQL, n.ID, int64(batch)); err != nil {
			return nil, false, err
		}
	} else {
		below = []Node{n}
	}
	left := batch
	for _, b := range below {
		if b.Folder {
			folders = append(folders, b)
			continue
		}
		if left <= 0 {
			return folders, false, nil
		}
		whole, used, err := s.eraseFile(ctx, tx, b, left)
		if err != nil {
			return nil, false, err
		}
		if left -= used; !whole {
			return folders, false, nil
		}
	}
	switch {
	case !n.Folder:
		return nil, true, nil
	case len(below) > 0:
		return folders, false, nil
	}
	return nil, true, s.eraseRow(ctx, tx, n)
}

// eraseFile deletes a file and its versions, most rows at a time.
func (s *System) eraseFile(ctx context.Context, tx *sqldb.Tx, n Node, most int) (whole bool, used int, err error) {
	var again Node
	var found bool
	if again, found, err = s.store.byID(ctx, tx, n.ID); err != nil || !found {
		return true, 0, err // somebody else was first
	}
	versions, err := s.store.someVersions(ctx, tx, n.ID, most)
	if err != nil {
		return false, 0, err
	}
	var bytes int64
	for _, v := range versions {
		if err := s.n.CAS.Drop(ctx, tx, v.Hash); err != nil {
			return false, 0, err
		}
		if _, err := tx.Exec(ctx, dropVersionSQL, n.ID, v.Version); err != nil {
			return false, 0, err
		}
		bytes += v.Size
	}
	if len(versions) == most {
		return false, most, s.charge(ctx, tx, again.Owner, -bytes, 0)
	}
	if err := s.n.CAS.Drop(ctx, tx, again.Hash); err != nil {
		return false, 0, err
	}
	if err := s.charge(ctx, tx, again.Owner, -bytes-again.Size, -1); err != nil {
		return false, 0, err
	}
	return true, len(versions) + 1, s.eraseRow(ctx, tx, again)
}

// eraseRow deletes a node's row and what hangs on it.
func (s *System) eraseRow(ctx context.Context, tx *sqldb.Tx, n Node) error {
	for _, q := range []string{deleteSQL, dropWordsSQL, dropSharesSQL} {
		if _, err := tx.Exec(ctx, q, n.ID); err != nil {
			return err
		}
	}
	return s.n.Links.RevokeTarget(ctx, tx, realm, n.ID)
}

// expire ends what lay in the bin too long, earlier contents that are too old, and what
// a crash left half done. Each step is bounded.
func (s *System) expire(ctx context.Context) error {
	now := s.n.Clock.Now()
	if err := s.expireVersions(ctx, now.Add(-s.c.Versions)); err != nil {
		return fmt.Errorf("expire earlier contents: %w", err)
	}
	for {
		list, err := read(ctx, s, "expire the bin", func(ctx context.Context, tx *sqldb.Tx) ([]Node, error) {
			return s.store.nodes(ctx, tx, oldBinSQL, now.Add(-s.c.Bin).UnixMicro(), int64(batch))
		})
		if err != nil {
			return err
		}
		for _, n := range list {
			if err := s.Purge(ctx, Person{ID: n.Owner}, n.ID); err != nil && !errs.Is(err, errs.NotFound) {
				return err
			}
		}
		if len(list) < batch {
			break
		}
	}
	dead := now.Add(-24 * time.Hour) // what began before is nobody's any more
	if !s.n.DB.Postgres() {
		dead = s.began // there is no other process, and its owner's quota counts it
	}
	left, err := read(ctx, s, "look for what is half done", func(ctx context.Context, tx *sqldb.Tx) ([]Node, error) {
		return s.store.nodes(ctx, tx, goneNodesSQL, dead.UnixMicro(), int64(batch))
	})
	if err != nil {
		return err
	}
	for _, n := range left {
		if err := s.erase(ctx, n); err != nil {
			return err
		}
	}
	_, err = s.n.Links.Sweep(ctx, now.Add(-30*24*time.Hour), 1000)
	return err
}

// expireVersions drops earlier contents that were replaced before a moment.
func (s *System) expireVersions(ctx context.Context, before time.Time) error {
	for {
		n := 0
		err := s.n.DB.BatchBy(ctx, lane, func(ctx context.Context, tx *sqldb.Tx) error {
			list, err := s.store.oldVersions(ctx, tx, before)
			if err != nil {
				return err
			}
			n = len(list)
			for _, v := range list {
				if err := s.dropVersion(ctx, tx, v); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || n < batch {
			return err
		}
	}
}
