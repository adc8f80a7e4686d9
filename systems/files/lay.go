package files

import (
	"context"
	"fmt"
	"io"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
)

// Whoever stores a whole tree lays many files down and settles them together, which
// shares their syncs and transactions.

// Bounds of what is settled together.
const (
	laidFiles = 100
	laidBytes = 32 << 20
)

// laid is a file whose content is in the store; nothing refers to it before it is settled.
type laid struct {
	place   place
	pending *cas.Pending
	options WriteOptions
}

// lay is the first half of Write. It may return before the content is durable.
func (s *System) lay(ctx context.Context, who Person, path string, r io.Reader, o WriteOptions) (*laid, error) {
	p, err := parsePath(path)
	if err != nil {
		return nil, err
	}
	room, err := s.room(ctx, who, p, o)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", p, err)
	}
	pending, err := s.n.CAS.Put(ctx, r, cas.PutOptions{Limit: max(room.left, 1), Trusted: s.c.Trusted, Later: true})
	if err != nil {
		if errs.Is(err, errs.TooLarge) && room.left < cas.MaxSize {
			err = room.over()
		}
		return nil, fmt.Errorf("write %s: %w", p, err)
	}
	if o.Size >= 0 && pending.Size() != o.Size {
		pending.Close()
		return nil, errs.New(errs.Invalid, "%d bytes came, not the %d that were announced", pending.Size(), o.Size)
	}
	return &laid{p, pending, o}, nil
}

// settleAll is the second half of Write for several files: all are seen, durable, when it
// returns, but those that have an error, in the order of list.
func (s *System) settleAll(ctx context.Context, who Person, list []*laid) []error {
	failed := make([]error, len(list))
	together := make([]int, 0, len(list))
	for i, l := range list {
		defer l.pending.Close()
		if failed[i] = l.pending.Ready(ctx); failed[i] == nil {
			together = append(together, i)
		}
	}
	if s.settleTogether(ctx, who, list, together) == nil {
		return failed
	}
	for _, i := range together { // one of them is why: it fails alone
		failed[i] = s.settleTogether(ctx, who, list, []int{i})
	}
	return failed
}

// settleTogether takes some of list in one transaction, all or none.
func (s *System) settleTogether(ctx context.Context, who Person, list []*laid, some []int) error {
	if len(some) == 0 {
		return nil
	}
	nodes, err := write(ctx, s, "write", nil, func(ctx context.Context, tx *sqldb.Tx) ([]Node, error) {
		nodes := make([]Node, 0, len(some))
		for _, i := range some {
			n, _, err := s.adopt(ctx, tx, who, list[i].place, list[i].pending, list[i].options)
			if err != nil {
				return nil, err
			}
			nodes = append(nodes, n)
		}
		return nodes, nil
	})
	for _, n := range nodes {
		s.measures.wrote(n)
		s.changed(ctx, n, "written")
	}
	return err
}
