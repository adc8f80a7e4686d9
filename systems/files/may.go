package files

import (
	"context"
	"time"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/sqldb"
)

// may decides what who may do with a node: the one place that does. It looks at the
// node and every folder above it; what lies in the bin, or is not there whole, nobody
// may do anything with.
func (s *System) may(ctx context.Context, tx *sqldb.Tx, who Person, n Node) (Rights, error) {
	r, binned, err := s.mayIn(ctx, tx, who, n)
	if binned {
		return None, err
	}
	return r, err
}

// mayIn is may for the bin's own verbs: it tells whether the node is in the bin,
// itself or with a folder above it.
func (s *System) mayIn(ctx context.Context, tx *sqldb.Tx, who Person, n Node) (r Rights, binned bool, err error) {
	var bin, public, gone, shared, above int64
	if err := tx.QueryRow(ctx, rightsSQL, n.ID, who.ID).Scan(&bin, &public, &gone, &shared, &above); err != nil {
		return None, false, err
	}
	switch {
	case gone != 0:
		return None, false, nil
	case who.ID != "" && n.Owner == who.ID:
		r = Own
	case who.ID != "" && shared != 0:
		r = Rights(shared)
	case public == 1:
		r = Read
	case who.Operator:
		var open int64
		if err := tx.QueryRow(ctx, flaggedSQL, n.ID).Scan(&open); err != nil {
			return None, false, err
		}
		if open > 0 {
			r = Read
		}
	}
	return r, bin != 0, nil
}

// find returns the node at a place and what who may do with it, at least Read.
// Errors: NotFound; Unknown for a stranger without a node; Barred is the caller's.
func (s *System) find(ctx context.Context, tx *sqldb.Tx, who Person, p place) (Node, Rights, error) {
	n, rest, err := s.walk(ctx, tx, who, p)
	if err != nil {
		return Node{}, None, err
	}
	if len(rest) > 0 || n.ID == "" {
		if n.Owner == who.ID && who.ID != "" && len(p.names) == 0 && p.node == "" {
			return n, Own, nil // a root that nothing was put into yet
		}
		return Node{}, None, errNone(p)
	}
	if p.node == "" {
		return n, Own, nil
	}
	r, err := s.may(ctx, tx, who, n)
	if err != nil {
		return Node{}, None, err
	}
	if r < Read {
		return Node{}, None, errNone(p)
	}
	return n, r, nil
}

// walk goes as far down as there are nodes, and returns the last with the names that
// are left. It looks at no rights. The root of somebody who has none yet has no id.
func (s *System) walk(ctx context.Context, tx *sqldb.Tx, who Person, p place) (Node, []string, error) {
	var n Node
	var found bool
	var err error
	if p.node != "" {
		n, found, err = s.store.byID(ctx, tx, p.node)
		if err == nil && (!found || n.gone != 0) {
			err = errNone(p)
		}
	} else {
		if who.ID == "" {
			return Node{}, nil, errs.New(errs.Unknown, "this needs a sign-in or a token")
		}
		n, found, err = s.store.child(ctx, tx, who.ID, "", "")
		if err == nil && !found {
			return Node{Owner: who.ID, Folder: true}, p.names, nil
		}
	}
	if err != nil {
		return Node{}, nil, err
	}
	rest := p.names
	for len(rest) > 0 && n.Folder {
		below, found, err := s.store.child(ctx, tx, n.Owner, n.ID, rest[0])
		if err != nil {
			return Node{}, nil, err
		}
		if !found {
			break
		}
		n, rest = below, rest[1:]
	}
	return n, rest, nil
}

// folder returns the folder at a place for a change below it, and makes what is
// missing of it when parents is set. Errors: NotFound, Denied, Conflict when a file
// stands in the way.
func (s *System) folder(ctx context.Context, tx *sqldb.Tx, who Person, p place, parents bool) (Node, error) {
	n, rest, err := s.walk(ctx, tx, who, p)
	if err != nil {
		return Node{}, err
	}
	if n.ID == "" { // a person's first step
		if n, err = s.makeRoot(ctx, tx, who); err != nil {
			return Node{}, err
		}
	}
	if err := s.mayChange(ctx, tx, who, n, p); err != nil {
		return Node{}, err
	}
	switch {
	case !n.Folder:
		return Node{}, errs.New(errs.Conflict, "%q is a file", n.Name)
	case len(rest) > 0 && !parents:
		return Node{}, errs.New(errs.Conflict, "there is no folder %q", p.String())
	}
	for _, name := range rest {
		if n, err = s.makeFolder(ctx, tx, n, name); err != nil {
			return Node{}, err
		}
	}
	return n, nil
}

// mayChange wants Write: Denied for who may read, NotFound for all others.
func (s *System) mayChange(ctx context.Context, tx *sqldb.Tx, who Person, n Node, p place) error {
	if p.node == "" {
		return nil // one's own, and reached from its root
	}
	r, err := s.may(ctx, tx, who, n)
	switch {
	case err != nil:
		return err
	case r < Read:
		return errNone(p)
	case r < Write:
		return errDenied(p)
	}
	return nil
}

// makeRoot makes a person's root.
func (s *System) makeRoot(ctx context.Context, tx *sqldb.Tx, who Person) (Node, error) {
	return s.make(ctx, tx, Node{Owner: who.ID})
}

// makeFolder makes a folder in another one. How deep that lies a path does not tell: it
// may begin at any node.
func (s *System) makeFolder(ctx context.Context, tx *sqldb.Tx, parent Node, name string) (Node, error) {
	up, err := s.chain(ctx, tx, parent.ID)
	if err == nil && len(up) > MaxDepth {
		err = errs.New(errs.Invalid, "folders nest %d deep at most", MaxDepth)
	}
	if err != nil {
		return Node{}, err
	}
	return s.make(ctx, tx, Node{Owner: parent.Owner, Parent: parent.ID, Name: name})
}

// make inserts an empty folder, or returns the one that somebody made meanwhile.
func (s *System) make(ctx context.Context, tx *sqldb.Tx, n Node) (Node, error) {
	now := s.n.Clock.Now().UTC().Truncate(time.Microsecond)
	n.ID, n.Folder, n.Modified, n.Made, n.Version = ids.New(now), true, now, now, 1
	added, err := s.store.insert(ctx, tx, n)
	if err != nil {
		return Node{}, err
	}
	if !added {
		was, found, err := s.store.child(ctx, tx, n.Owner, n.Parent, n.Name)
		if err == nil && (!found || !was.Folder) {
			err = errs.New(errs.Conflict, "%q is a file", n.Name)
		}
		return was, err
	}
	return n, s.store.index(ctx, tx, n, false)
}
