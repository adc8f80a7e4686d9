package shard

import (
	"context"
	"fmt"

	"plumb/engines/sqldb"
)

// takeOver gives owners who were moving to or from a shard that is lost to the shard that
// has what is left of them. They count as made now, as who comes anew does: what they did
// on the lost shard since is missing. Whoever went on from there lives elsewhere, and is
// only pointed to.
func (s *Set) takeOver(ctx context.Context, p *pendingMap) error {
	for _, lost := range p.records {
		if lost.State != Lost {
			continue
		}
		for _, at := range s.Shards() {
			for after := ""; ; {
				list, err := at.strandedBy(ctx, lost.No, after)
				if err != nil {
					return fmt.Errorf("take over from shard %s on %s: %w", lost.Name, at.Name, err)
				}
				for _, owner := range list {
					if err := s.takeOverOne(ctx, at, owner, lost.No); err != nil {
						return fmt.Errorf("take %s over from shard %s on %s: %w", owner, lost.Name, at.Name, err)
					}
					after = owner
				}
				if len(list) < planRows {
					break
				}
			}
		}
	}
	return nil
}

// strandedBy returns some of the owners of whom a shard has something, and says that they
// are on a lost one, after an owner.
func (at *Shard) strandedBy(ctx context.Context, lost int64, after string) (list []string, err error) {
	err = at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, sqlOwnersStranded, lost, after, int64(planRows))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var owner string
			if err := rows.Scan(&owner); err != nil {
				return err
			}
			list = append(list, owner)
		}
		return rows.Err()
	})
	return list, err
}

func (s *Set) takeOverOne(ctx context.Context, at *Shard, owner string, lost int64) error {
	holder := int64(0)
	for _, other := range s.Shards() {
		if other.No == at.No || other.No == lost {
			continue
		}
		st, found, err := other.standing(ctx, owner)
		if err != nil {
			return err
		}
		if found && (st.state == here || st.state == leaving) {
			holder = other.No
		}
	}
	now := s.n.Clock.Now().UnixMicro()
	return at.write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if holder != 0 {
			_, err = tx.Exec(ctx, sqlOwnerStranded, owner, lost, holder)
		} else {
			_, err = tx.Exec(ctx, sqlOwnerRescue, owner, lost, now)
		}
		return err
	})
}
