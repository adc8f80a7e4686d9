package files

import (
	"context"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// move is a move as a key's request names it.
type move struct{ From, To string }

// Move gives the node at from the place to. It changes one row, whatever is below. What
// stands at to goes to the bin when overwrite is set. A move stays within one owner's
// tree. Errors: Invalid; NotFound, Denied; Conflict when the name is taken, the folder
// above lacks, or a folder would come below itself.
func (s *System) Move(ctx context.Context, who Person, from, to string, overwrite bool) error {
	_, err := s.move(ctx, who, from, to, overwrite)
	return err
}

func (s *System) move(ctx context.Context, who Person, from, to string, overwrite bool) (Node, error) {
	src, err := parsePath(from)
	if err != nil {
		return Node{}, err
	}
	dst, err := parsePath(to)
	if err != nil {
		return Node{}, err
	}
	n, err := write(ctx, s, "move", move{src.String(), dst.String()}, func(ctx context.Context, tx *sqldb.Tx) (Node, error) {
		n, err := s.movable(ctx, tx, who, src)
		if err != nil {
			return Node{}, err
		}
		parent, name, err := s.destination(ctx, tx, who, dst)
		if err != nil {
			return Node{}, err
		}
		return s.relocate(ctx, tx, n, parent, name, overwrite)
	})
	if err == nil {
		s.changed(ctx, n, "moved")
	}
	return n, err
}

// movable finds a node whose place who may change: that of its own tree's, or one
// below a folder that they may write to.
func (s *System) movable(ctx context.Context, tx *sqldb.Tx, who Person, p place) (Node, error) {
	n, r, err := s.find(ctx, tx, who, p)
	if err != nil {
		return Node{}, err
	}
	if n.Parent == "" {
		return Node{}, errs.New(errs.Invalid, "a root stays where it is")
	}
	if r == Own {
		return n, nil
	}
	above, err := s.may(ctx, tx, who, Node{ID: n.Parent, Owner: n.Owner})
	if err == nil && above < Write {
		err = errDenied(p)
	}
	return n, err
}

// destination finds the folder above a place that something is to get.
func (s *System) destination(ctx context.Context, tx *sqldb.Tx, who Person, p place) (parent Node, name string, err error) {
	if len(p.names) == 0 {
		return Node{}, "", badPath("the destination needs a name")
	}
	above, name := p.parent()
	parent, err = s.folder(ctx, tx, who, above, false)
	return parent, name, err
}

// relocate changes the row of n.
func (s *System) relocate(ctx context.Context, tx *sqldb.Tx, n, parent Node, name string, overwrite bool) (Node, error) {
	if n.Owner != parent.Owner {
		return Node{}, errs.New(errs.Invalid, "what is another person's can be copied, not moved, into one's own tree")
	}
	if n.Parent == parent.ID && n.Name == name && n.Binned.IsZero() && n.gone == 0 {
		return n, nil
	}
	// One that comes out of the bin was not counted when the folders above it moved.
	if n.Folder && (n.Parent != parent.ID || !n.Binned.IsZero()) {
		if err := s.fits(ctx, tx, n, parent); err != nil {
			return Node{}, err
		}
	}
	if err := s.clear(ctx, tx, n, parent, name, overwrite); err != nil {
		return Node{}, err
	}
	if _, err := tx.Exec(ctx, placeSQL, n.ID, parent.ID, name); err != nil {
		return Node{}, err
	}
	renamed := n.Name != name
	n.Parent, n.Name, n.Binned, n.gone = parent.ID, name, time.Time{}, 0
	if renamed {
		return n, s.store.index(ctx, tx, n, true)
	}
	return n, nil
}

// fits refuses a folder below itself, and nesting that is too deep.
func (s *System) fits(ctx context.Context, tx *sqldb.Tx, n, parent Node) error {
	up, err := s.chain(ctx, tx, parent.ID)
	if err != nil {
		return err
	}
	for _, step := range up {
		if step.ID == n.ID {
			return errs.New(errs.Conflict, "%q cannot come below itself", n.Name)
		}
	}
	var height int64
	if err := tx.QueryRow(ctx, heightSQL, n.ID).Scan(&height); err != nil {
		return err
	}
	if len(up)+int(height) > MaxDepth {
		return errs.New(errs.Invalid, "folders nest %d deep at most", MaxDepth)
	}
	return nil
}

// clear makes the name free: what has it goes to the bin, with overwrite, unless it is
// n itself or holds n.
func (s *System) clear(ctx context.Context, tx *sqldb.Tx, n, parent Node, name string, overwrite bool) error {
	old, taken, err := s.store.child(ctx, tx, parent.Owner, parent.ID, name)
	if err != nil || !taken || old.ID == n.ID {
		return err
	}
	if !overwrite {
		return errs.New(errs.Conflict, "there is %q already", name)
	}
	up, err := s.chain(ctx, tx, n.Parent)
	if err != nil {
		return err
	}
	for _, step := range up {
		if step.ID == old.ID {
			return errs.New(errs.Conflict, "%q holds what is to replace it", name)
		}
	}
	_, err = tx.Exec(ctx, binSQL, old.ID, s.n.Clock.Now().UnixMicro())
	return err
}
