package files

import (
	"context"
	"errors"
	"fmt"
	"time"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/cas"
	"plumb/engines/once"
	"plumb/engines/sqldb"
)

// batch is how many nodes one transaction copies or erases.
const batch = 200

// Copy makes a copy of the node at from, with all that is below it, at to: a reference
// to each content more. A folder's copy is seen once it is whole. What stands at to goes
// to the bin when overwrite is set. What was taken down is left out. Errors: those of
// Move; TooLarge with ErrQuota.
func (s *System) Copy(ctx context.Context, who Person, from, to string, overwrite bool) error {
	_, err := s.copy(ctx, who, from, to, overwrite)
	return err
}

func (s *System) copy(ctx context.Context, who Person, from, to string, overwrite bool) (Node, error) {
	src, err := parsePath(from)
	if err != nil {
		return Node{}, err
	}
	dst, err := parsePath(to)
	if err != nil {
		return Node{}, err
	}
	n, err := read(ctx, s, "copy", func(ctx context.Context, tx *sqldb.Tx) (Node, error) {
		n, _, err := s.find(ctx, tx, who, src)
		return n, err
	})
	if err != nil {
		return Node{}, err
	}
	if !n.Folder {
		return s.copyFile(ctx, who, src, dst, overwrite)
	}
	return s.copyFolder(ctx, who, n, src, dst, overwrite)
}

// copyFile copies one file in one transaction.
func (s *System) copyFile(ctx context.Context, who Person, src, dst place, overwrite bool) (Node, error) {
	n, err := write(ctx, s, "copy", move{src.String(), dst.String()}, func(ctx context.Context, tx *sqldb.Tx) (Node, error) {
		from, _, err := s.find(ctx, tx, who, src)
		if err == nil {
			err = from.readable()
		}
		if err != nil {
			return Node{}, err
		}
		parent, name, err := s.destination(ctx, tx, who, dst)
		if err != nil {
			return Node{}, err
		}
		if parent.ID == from.Parent && name == from.Name {
			return Node{}, errs.New(errs.Conflict, "%q would be copied onto itself", name)
		}
		if err := s.clear(ctx, tx, Node{Parent: parent.ID}, parent, name, overwrite); err != nil {
			return Node{}, err
		}
		to, err := s.copyNode(ctx, tx, from, parent, name)
		if err == nil {
			err = discreet(s.charge(ctx, tx, to.Owner, to.Size, 1), who, to.Owner)
		}
		return to, err
	})
	if err == nil {
		s.changed(ctx, n, "copied")
	}
	return n, err
}

// copyNode adds a copy of one file below a folder. The caller charges for it.
func (s *System) copyNode(ctx context.Context, tx *sqldb.Tx, from, parent Node, name string) (Node, error) {
	now := s.n.Clock.Now().UTC().Truncate(time.Microsecond)
	to := Node{ID: ids.New(now), Owner: parent.Owner, Parent: parent.ID, Name: name, Folder: from.Folder, Hash: from.Hash, Size: from.Size,
		Type: from.Type, Modified: from.Modified, Made: now, Version: 1}
	if !from.Folder {
		if err := s.n.CAS.Add(ctx, tx, from.Hash); err != nil {
			return Node{}, err
		}
	}
	added, err := s.store.insert(ctx, tx, to)
	if err == nil && !added {
		err = errs.New(errs.Conflict, "there is %q already", name)
	}
	if err != nil {
		return Node{}, err
	}
	return to, s.store.index(ctx, tx, to, false)
}

// copyFolder copies into a folder that nobody sees, in bounded steps, and then gives
// that its place. What a crash leaves behind, the room's work erases.
func (s *System) copyFolder(ctx context.Context, who Person, from Node, src, dst place, overwrite bool) (n Node, err error) {
	hidden, err := write(context.WithValue(ctx, againKey{}, once.Request{}), s, "copy", nil, func(ctx context.Context, tx *sqldb.Tx) (Node, error) {
		parent, name, err := s.destination(ctx, tx, who, dst)
		if err != nil {
			return Node{}, err
		}
		if !overwrite {
			if _, taken, err := s.store.child(ctx, tx, parent.Owner, parent.ID, name); err != nil || taken {
				return Node{}, errIfNot(err, errs.New(errs.Conflict, "there is %q already", dst.String()))
			}
		}
		now := s.n.Clock.Now().UTC().Truncate(time.Microsecond)
		h := Node{ID: ids.New(now), Owner: parent.Owner, Name: name, Folder: true, Modified: from.Modified, Made: now, Version: 1, gone: now.UnixMicro()}
		_, err = s.store.insert(ctx, tx, h)
		return h, err
	})
	if err != nil {
		return Node{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.erase(context.WithoutCancel(ctx), hidden))
		}
	}()
	if err := s.copyBelow(ctx, from, hidden); err != nil {
		return Node{}, fmt.Errorf("copy %s: %w", src, discreet(err, who, hidden.Owner))
	}
	n, err = write(ctx, s, "copy", move{src.String(), dst.String()}, func(ctx context.Context, tx *sqldb.Tx) (Node, error) {
		parent, name, err := s.destination(ctx, tx, who, dst)
		if err != nil {
			return Node{}, err
		}
		n, err := s.relocate(ctx, tx, hidden, parent, name, overwrite)
		if err == nil {
			err = s.store.index(ctx, tx, n, true)
		}
		return n, err
	})
	if err != nil {
		return Node{}, err
	}
	s.changed(ctx, n, "copied")
	if n.ID != hidden.ID { // the same request was done before: this copy is one too many
		return n, s.erase(context.WithoutCancel(ctx), hidden)
	}
	return n, nil
}

// pair is a folder and its copy.
type pair struct{ from, to Node }

// copyBelow copies what is below a folder, level by level.
func (s *System) copyBelow(ctx context.Context, from, to Node) error {
	for queue := []pair{{from, to}}; len(queue) > 0; queue = queue[1:] {
		for cursor := ""; ; {
			type step struct {
				folders []pair
				next    string
				full    bool
			}
			at := queue[0]
			var st step
			err := s.n.DB.BatchBy(ctx, lane, func(ctx context.Context, tx *sqldb.Tx) error {
				st = step{}
				list, err := s.store.nodes(ctx, tx, listSQL, at.from.Owner, at.from.ID, cursor, int64(batch))
				if err != nil {
					return err
				}
				var bytes, files int64
				for _, n := range list {
					st.next, st.full = n.Name, len(list) == batch
					if n.Blocked {
						continue
					}
					c, err := s.copyNode(ctx, tx, n, at.to, n.Name)
					if err != nil {
						return err
					}
					if n.Folder {
						st.folders = append(st.folders, pair{n, c})
						continue
					}
					bytes, files = bytes+c.Size, files+1
				}
				return s.charge(ctx, tx, at.to.Owner, bytes, files)
			})
			if err != nil {
				return err
			}
			queue = append(queue, st.folders...)
			if cursor = st.next; !st.full {
				break
			}
		}
	}
	return nil
}

// Instant gives the file at path content that who keeps already under another name, so
// that its bytes need not be sent. Only one's own files count: an answer about others'
// would tell what they keep. Errors: NotFound when who has no such content; those of
// Write.
func (s *System) Instant(ctx context.Context, who Person, path string, hash cas.Hash, size int64, o WriteOptions) (Node, bool, error) {
	p, err := parsePath(path)
	if err != nil {
		return Node{}, false, err
	}
	type made struct {
		Node    Node
		Created bool
	}
	m, err := write(ctx, s, "instant upload", p.String()+" "+hash.String(), func(ctx context.Context, tx *sqldb.Tx) (m made, err error) {
		var found int64
		if err := tx.QueryRow(ctx, ownHashSQL, hash[:], who.ID, size).Scan(&found); err != nil {
			return m, err
		}
		if found == 0 || who.ID == "" {
			return m, errs.New(errs.NotFound, "none of your files has this content: send it")
		}
		m.Node, m.Created, err = s.put(ctx, tx, who, p, content{hash, size, nil, func(ctx context.Context, tx *sqldb.Tx) error {
			return s.n.CAS.Add(ctx, tx, hash)
		}}, o)
		return m, err
	})
	if err == nil {
		s.changed(ctx, m.Node, "written")
	}
	return m.Node, m.Created, err
}
