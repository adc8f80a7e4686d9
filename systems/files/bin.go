package files

import (
	"context"
	"strconv"
	"strings"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// Remove puts the node at path into its owner's bin, with all that is below it.
// Errors: Invalid for a root; NotFound, Denied.
func (s *System) Remove(ctx context.Context, who Person, path string) error {
	p, err := parsePath(path)
	if err != nil {
		return err
	}
	n, err := write(ctx, s, "remove", p.String(), func(ctx context.Context, tx *sqldb.Tx) (Node, error) {
		n, err := s.movable(ctx, tx, who, p)
		if err != nil {
			return Node{}, err
		}
		_, err = tx.Exec(ctx, binSQL, n.ID, s.n.Clock.Now().UnixMicro())
		return n, err
	})
	if err == nil {
		s.changed(ctx, n, "removed")
	}
	return err
}

// Bin returns what who removed, the last first.
func (s *System) Bin(ctx context.Context, who Person, cursor string, limit int) ([]Node, string, error) {
	at, id := int64(1)<<62, "~"
	if cursor != "" {
		text, node, ok := strings.Cut(cursor, ".")
		n, err := strconv.ParseInt(text, 10, 64)
		if !ok || err != nil {
			return nil, "", errs.New(errs.Invalid, "this is no cursor of the bin")
		}
		at, id = n, node
	}
	limit = page(limit)
	list, err := read(ctx, s, "list the bin", func(ctx context.Context, tx *sqldb.Tx) ([]Node, error) {
		return s.store.nodes(ctx, tx, inBinSQL, who.ID, at, id, int64(limit+1))
	})
	if err != nil {
		return nil, "", err
	}
	return cut(list, limit, func(n Node) string { return strconv.FormatInt(n.Binned.UnixMicro(), 10) + "." + n.ID })
}

// binned finds a node that lies in who's bin itself.
func (s *System) binned(ctx context.Context, tx *sqldb.Tx, who Person, id string) (Node, error) {
	n, found, err := s.store.byID(ctx, tx, id)
	if err == nil && (!found || n.Owner != who.ID || who.ID == "" || n.Binned.IsZero() || n.gone != 0) {
		err = errs.New(errs.NotFound, "there is nothing in the bin with the id %.40q", id)
	}
	return n, err
}

// Restore takes a node out of the bin: to the path to, or where it was when to is
// empty, with a number where its name is taken by now. Errors: NotFound; Conflict when
// the folder that it was in is in the bin too, or to is taken.
func (s *System) Restore(ctx context.Context, who Person, id, to string) (Node, error) {
	p, err := parsePath(to)
	if err != nil {
		return Node{}, err
	}
	n, err := write(ctx, s, "restore", move{id, p.String()}, func(ctx context.Context, tx *sqldb.Tx) (Node, error) {
		n, err := s.binned(ctx, tx, who, id)
		if err != nil {
			return Node{}, err
		}
		if to != "" {
			parent, name, err := s.destination(ctx, tx, who, p)
			if err != nil {
				return Node{}, err
			}
			return s.relocate(ctx, tx, n, parent, name, false)
		}
		parent, found, err := s.store.byID(ctx, tx, n.Parent)
		if err != nil {
			return Node{}, err
		}
		if r, err := s.may(ctx, tx, who, parent); err != nil || r < Own || !found {
			return Node{}, errIfNot(err, errs.New(errs.Conflict, "the folder that %q was in is in the bin too: restore that, or say where to", n.Name))
		}
		name, err := s.free(ctx, tx, parent, n.Name)
		if err != nil {
			return Node{}, err
		}
		return s.relocate(ctx, tx, n, parent, name, false)
	})
	if err == nil {
		s.changed(ctx, n, "restored")
	}
	return n, err
}

// free returns the name, or one like it that nobody has in the folder.
func (s *System) free(ctx context.Context, tx *sqldb.Tx, parent Node, name string) (string, error) {
	try := name
	for i := 2; i < 100; i++ {
		_, taken, err := s.store.child(ctx, tx, parent.Owner, parent.ID, try)
		if err != nil || !taken {
			return try, err
		}
		try = numbered(name, strconv.Itoa(i))
	}
	return "", errs.New(errs.Conflict, "there are a hundred of the name %q already: say where to", name)
}

// Purge ends a node of the bin for good, with all that is below it. Errors: NotFound.
func (s *System) Purge(ctx context.Context, who Person, id string) error {
	n, err := write(ctx, s, "purge", id, func(ctx context.Context, tx *sqldb.Tx) (Node, error) {
		n, err := s.binned(ctx, tx, who, id)
		if err != nil {
			return Node{}, err
		}
		_, err = tx.Exec(ctx, goneSQL, n.ID, s.n.Clock.Now().UnixMicro())
		return n, err
	})
	if err != nil {
		return err
	}
	// From here on it is gone, whoever goes away; what is left the room's work erases.
	return s.erase(context.WithoutCancel(ctx), n)
}

// EmptyBin purges all of who's bin, and says how many nodes lay in it.
func (s *System) EmptyBin(ctx context.Context, who Person) (int, error) {
	for n := 0; ; {
		list, _, err := s.Bin(ctx, who, "", batch)
		if err != nil || len(list) == 0 {
			return n, err
		}
		for _, node := range list {
			if err := s.Purge(ctx, who, node.ID); err != nil && !errs.Is(err, errs.NotFound) {
				return n, err
			}
			n++
		}
	}
}
