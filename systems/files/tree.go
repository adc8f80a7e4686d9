package files

import (
	"context"
	"fmt"
	"time"

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
	if n.Folder && n.Parent != parent.ID {
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
