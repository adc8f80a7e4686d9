package files

import (
	"context"
	"fmt"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
)

// Stat returns the node at path. Errors: Invalid, NotFound.
func (s *System) Stat(ctx context.Context, who Person, path string) (Node, error) {
	n, _, err := s.StatRights(ctx, who, path)
	return n, err
}

// StatRights is Stat with what who may do there.
func (s *System) StatRights(ctx context.Context, who Person, path string) (Node, Rights, error) {
	p, err := parsePath(path)
	if err != nil {
		return Node{}, None, err
	}
	type found struct {
		Node
		Rights
	}
	f, err := read(ctx, s, "look up", func(ctx context.Context, tx *sqldb.Tx) (f found, err error) {
		f.Node, f.Rights, err = s.find(ctx, tx, who, p)
		return f, err
	})
	return f.Node, f.Rights, err
}

// File is an open file: its node, and its content to read.
type File struct {
	Node
	*cas.Reader
}

// Size returns the content's bytes; both parts of a File have one.
func (f *File) Size() int64 { return f.Node.Size }

// Open opens the file at path. Errors: those of Stat; Conflict for a folder; Barred
// for content that was taken down.
func (s *System) Open(ctx context.Context, who Person, path string) (*File, error) {
	n, err := s.Stat(ctx, who, path)
	if err != nil {
		return nil, err
	}
	return s.open(ctx, n)
}

// open opens a node that who may read.
func (s *System) open(ctx context.Context, n Node) (*File, error) {
	if err := n.readable(); err != nil {
		return nil, err
	}
	r, err := s.n.CAS.Open(ctx, n.Hash)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", n.ID, err)
	}
	return &File{n, r}, nil
}

// readable refuses what has no content to give.
func (n Node) readable() error {
	switch {
	case n.Folder:
		return errs.New(errs.Conflict, "%q is a folder: it can be listed, or taken as a zip", n.Name)
	case n.Blocked:
		return errBlocked()
	}
	return nil
}

// Page limits of lists.
const (
	usualPage = 100
	mostPage  = 1000
)

// page returns the rows of a page, in its bounds.
func page(limit int) int {
	if limit <= 0 {
		return usualPage
	}
	return min(limit, mostPage)
}

// List returns the nodes in the folder at path, by name, and the cursor of the next
// page, "" on the last. Errors: those of Stat; Conflict for a file.
func (s *System) List(ctx context.Context, who Person, path, cursor string, limit int) ([]Node, string, error) {
	p, err := parsePath(path)
	if err != nil {
		return nil, "", err
	}
	limit = page(limit)
	list, err := read(ctx, s, "list", func(ctx context.Context, tx *sqldb.Tx) ([]Node, error) {
		n, _, err := s.find(ctx, tx, who, p)
		if err != nil {
			return nil, err
		}
		if !n.Folder {
			return nil, errs.New(errs.Conflict, "%q is a file", n.Name)
		}
		if n.ID == "" {
			return nil, nil
		}
		return s.store.nodes(ctx, tx, listSQL, n.Owner, n.ID, cursor, int64(limit+1))
	})
	if err != nil {
		return nil, "", err
	}
	return cut(list, limit, func(n Node) string { return n.Name })
}

// cut takes the one row too many off a page and returns the cursor of the next.
func cut[T any](list []T, limit int, cursor func(T) string) ([]T, string, error) {
	if len(list) <= limit {
		return list, "", nil
	}
	return list[:limit], cursor(list[limit-1]), nil
}

// Step is a folder on the way to a node.
type Step struct{ ID, Name string }

// Way returns the folders from the highest that who may see down to the node itself:
// breadcrumbs. A person's own root has no name.
func (s *System) Way(ctx context.Context, who Person, n Node) ([]Step, error) {
	return read(ctx, s, "find the way", func(ctx context.Context, tx *sqldb.Tx) ([]Step, error) {
		up, err := s.chain(ctx, tx, n.ID)
		if err != nil {
			return nil, err
		}
		var way []Step
		for _, step := range up {
			if n.Owner != who.ID {
				r, err := s.may(ctx, tx, who, Node{ID: step.ID, Owner: n.Owner})
				if err != nil {
					return nil, err
				}
				if r < Read {
					break
				}
			}
			way = append([]Step{step}, way...)
		}
		return way, nil
	})
}

// chain returns a node and all folders above it, the root last.
func (s *System) chain(ctx context.Context, tx *sqldb.Tx, id string) (up []Step, err error) {
	rows, err := tx.Query(ctx, chainSQL, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var step Step
		if err := rows.Scan(&step.ID, &step.Name); err != nil {
			return nil, err
		}
		up = append(up, step)
	}
	return up, rows.Err()
}

// Mkdir makes the folder at path, and with parents those above it; then a folder that
// is there already is no error. Errors: Invalid, NotFound, Denied; Conflict when the
// name is taken, or a folder above lacks.
func (s *System) Mkdir(ctx context.Context, who Person, path string, parents bool) (Node, error) {
	p, err := parsePath(path)
	if err != nil {
		return Node{}, err
	}
	n, err := write(ctx, s, "make folder", p.String(), func(ctx context.Context, tx *sqldb.Tx) (Node, error) {
		if parents || len(p.names) == 0 {
			return s.folder(ctx, tx, who, p, true)
		}
		above, name := p.parent()
		parent, err := s.folder(ctx, tx, who, above, false)
		if err != nil {
			return Node{}, err
		}
		if _, taken, err := s.store.child(ctx, tx, parent.Owner, parent.ID, name); err != nil || taken {
			return Node{}, errIfNot(err, errs.New(errs.Conflict, "there is %q already", p.String()))
		}
		return s.makeFolder(ctx, tx, parent, name)
	})
	if err == nil {
		s.changed(ctx, n, "made")
	}
	return n, err
}

// errIfNot returns err, or other where there is none.
func errIfNot(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
