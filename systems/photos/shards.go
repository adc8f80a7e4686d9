package photos

import (
	"context"
	"fmt"

	"plumb/base/errs"
	"plumb/systems/photos/internal/shard"
)

// What operators see and do. The words are the shard set's own.
type (
	// NewShard is a shard to be added.
	NewShard = shard.New
	// Load is what one shard holds and does.
	Load = shard.Load
	// Migration is people who move for one reason.
	Migration = shard.Migration
	// HotOwner is a person who is asked for much.
	HotOwner = shard.HotOwner
	// Proposal is moves that would even a load.
	Proposal = shard.Proposal
	// ProposedMove is one of them.
	ProposedMove = shard.Move
)

// The states of shards and migrations.
const (
	Active   = shard.Active
	Draining = shard.Draining
	Drained  = shard.Drained
	Lost     = shard.Lost

	Planning = shard.Planning
	Moving   = shard.Moving
	Paused   = shard.Paused
	Done     = shard.Done
)

// operates refuses whoever is no operator.
func operates(p Person) error {
	if !p.Operator {
		return errs.New(errs.Denied, "shards are the operators' to see and to change")
	}
	return nil
}

// operate runs fn for an operator.
func operate[T any](p Person, what string, fn func() (T, error)) (T, error) {
	var out T
	err := operates(p)
	if err == nil {
		out, err = fn()
	}
	if err != nil {
		var none T
		return none, fmt.Errorf("%s: %w", what, err)
	}
	return out, nil
}

// Board returns what each shard holds and does, over all processes. Errors: Denied.
func (s *System) Board(ctx context.Context, p Person) ([]Load, error) {
	return operate(p, "look at the shards", func() ([]Load, error) { return s.set.Board(ctx) })
}

// Added is a shard that was added, with the migration that fills it.
type Added struct {
	No        int64
	Name      string
	Migration Migration
}

// AddShard adds a shard, and moves its share of the people there while they go on.
// Errors: Invalid, Conflict for a name that is taken and for a place that holds something; Denied.
func (s *System) AddShard(ctx context.Context, p Person, n NewShard) (Added, error) {
	return operate(p, "add a shard", func() (Added, error) {
		if err := s.freeGround(n); err != nil {
			return Added{}, err
		}
		at, m, err := s.set.Add(ctx, n)
		if err != nil {
			return Added{}, err
		}
		return Added{at.No, at.Name, m}, nil
	})
}

// WeighShard gives a shard another weight, and moves people accordingly.
func (s *System) WeighShard(ctx context.Context, p Person, name string, weight float64) (Migration, error) {
	return operate(p, "weigh a shard", func() (Migration, error) { return s.set.Weigh(ctx, name, weight) })
}

// DrainShard moves everybody away from a shard, and has the copies that it holds of
// others' photos made elsewhere. Errors: NotFound; Conflict for the last.
func (s *System) DrainShard(ctx context.Context, p Person, name string) (Migration, error) {
	return operate(p, "drain a shard", func() (Migration, error) {
		at, err := s.set.Shard(name)
		if err != nil {
			return Migration{}, err
		}
		m, err := s.set.Drain(ctx, name)
		if err == nil {
			err = s.leaveHolder(ctx, at.Name, at.No)
		}
		return m, err
	})
}

// RemoveShard forgets a shard that is drained, or lost, when no photo's copy lies there any more.
// Errors: NotFound, Conflict.
func (s *System) RemoveShard(ctx context.Context, p Person, name string) error {
	_, err := operate(p, "remove a shard", func() (int, error) {
		no, err := s.set.Number(name) // a lost one is not to be reached
		if err != nil {
			return 0, err
		}
		held, err := s.holds(ctx, no)
		if err == nil && held {
			if err = s.leaveHolder(ctx, name, no); err == nil {
				err = errs.New(errs.Conflict, "shard %s holds copies of others' photos, which are being made elsewhere: see the repairs", name)
			}
		}
		if err != nil {
			return 0, err
		}
		return 0, s.set.Remove(ctx, name)
	})
	return err
}

// Migrations returns who moves and moved, the latest first.
func (s *System) Migrations(ctx context.Context, p Person, cursor string, limit int) (list []Migration, next string, err error) {
	list, err = operate(p, "look at migrations", func() (list []Migration, err error) {
		list, next, err = s.set.Migrations(ctx, cursor, page(limit))
		return list, err
	})
	return list, next, err
}

// Migration returns one. Errors: NotFound.
func (s *System) Migration(ctx context.Context, p Person, id string) (Migration, error) {
	return operate(p, "look at a migration", func() (Migration, error) { return s.set.Migration(ctx, id) })
}

// PauseMigration stops a migration's moves until it is resumed; who is half moved stays
// where they are, and works.
func (s *System) PauseMigration(ctx context.Context, p Person, id string) (Migration, error) {
	return operate(p, "pause a migration", func() (Migration, error) {
		if err := s.set.Pause(ctx, id); err != nil {
			return Migration{}, err
		}
		return s.set.Migration(ctx, id)
	})
}

// ResumeMigration goes on with it.
func (s *System) ResumeMigration(ctx context.Context, p Person, id string) (Migration, error) {
	return operate(p, "resume a migration", func() (Migration, error) {
		if err := s.set.Resume(ctx, id); err != nil {
			return Migration{}, err
		}
		return s.set.Migration(ctx, id)
	})
}

// Hot returns the people who are asked for most, the hottest first.
func (s *System) Hot(ctx context.Context, p Person) ([]HotOwner, error) {
	return operate(p, "look for hot people", func() ([]HotOwner, error) { return s.set.Hot(ctx) })
}

// Propose returns moves that would even a load: "bytes", "requests", "bandwidth" or
// "cpu". Nothing is moved before ExecuteProposal. Errors: Invalid.
func (s *System) Propose(ctx context.Context, p Person, by string) (Proposal, error) {
	return operate(p, "propose moves", func() (Proposal, error) { return s.set.Propose(ctx, by) })
}

// ExecuteProposal moves whom a proposal names. Errors: NotFound, Conflict.
func (s *System) ExecuteProposal(ctx context.Context, p Person, id string) (Migration, error) {
	return operate(p, "execute a proposal", func() (Migration, error) { return s.set.Execute(ctx, id) })
}

// PinPerson keeps a person, by name, on a shard, whatever the placement says; shard ""
// ends that.
func (s *System) PinPerson(ctx context.Context, p Person, name, shardName string) (Migration, error) {
	return operate(p, "pin a person", func() (Migration, error) {
		who, err := s.n.People.Named(ctx, name)
		if err != nil {
			return Migration{}, err
		}
		if shardName == "" {
			return s.set.Unpin(ctx, who.ID)
		}
		return s.set.Pin(ctx, who.ID, shardName)
	})
}
