package files

import (
	"context"
	"fmt"
	"time"

	"plumb/base/errs"
	"plumb/engines/links"
	"plumb/engines/sqldb"
)

// owned finds a node that is who's own: only its owner shares it.
func (s *System) owned(ctx context.Context, tx *sqldb.Tx, who Person, p place) (Node, error) {
	n, r, err := s.find(ctx, tx, who, p)
	switch {
	case err != nil:
		return Node{}, err
	case r < Own:
		return Node{}, errs.New(errs.Denied, "only its owner may share %q", p.String())
	case n.Parent == "":
		return Node{}, errs.New(errs.Invalid, "a whole root is not shared: choose what is in it")
	}
	return n, nil
}

// Publish lets everybody read the node at path and what is below it, or ends that.
// Errors: Invalid for a root; NotFound, Denied.
func (s *System) Publish(ctx context.Context, who Person, path string, public bool) (Node, error) {
	p, err := parsePath(path)
	if err != nil {
		return Node{}, err
	}
	n, err := write(ctx, s, "publish", fmt.Sprint(p, public), func(ctx context.Context, tx *sqldb.Tx) (Node, error) {
		n, err := s.owned(ctx, tx, who, p)
		if err != nil {
			return Node{}, err
		}
		n.Public = public
		_, err = tx.Exec(ctx, publicSQL, n.ID, bit(public))
		return n, err
	})
	if err == nil {
		s.changed(ctx, n, "published")
	}
	return n, err
}

// Shared is somebody with whom a node is shared.
type Shared struct {
	Person string // id
	Name   string
	Rights Rights // Read or Write
	At     time.Time
}

// Share lets the named person read, or write, the node at path and what is below it.
// Sharing again changes the rights. Errors: Invalid; NotFound for the path or the
// person; Denied.
func (s *System) Share(ctx context.Context, who Person, path, name string, r Rights) (Shared, error) {
	p, err := parsePath(path)
	if err != nil {
		return Shared{}, err
	}
	if r != Read && r != Write {
		return Shared{}, errs.New(errs.Invalid, "share to read or to write")
	}
	with, err := s.n.People.Named(ctx, name)
	if err != nil {
		return Shared{}, err
	}
	if with.ID == who.ID {
		return Shared{}, errs.New(errs.Invalid, "it is yours already")
	}
	type result struct {
		Node   Node
		Shared Shared
	}
	out, err := write(ctx, s, "share", fmt.Sprint(p, with.ID, r), func(ctx context.Context, tx *sqldb.Tx) (result, error) {
		n, err := s.owned(ctx, tx, who, p)
		if err != nil {
			return result{}, err
		}
		now := s.n.Clock.Now().UTC().Truncate(time.Microsecond)
		_, err = tx.Exec(ctx, shareSQL, n.ID, with.ID, int64(r), now.UnixMicro())
		return result{n, Shared{with.ID, with.Name, r, now}}, err
	})
	if err == nil {
		s.changed(ctx, out.Node, "shared")
	}
	return out.Shared, err
}

// Unshare ends a person's rights, by name; those with whom a node is shared may so end
// their own. Errors: NotFound.
func (s *System) Unshare(ctx context.Context, who Person, path, name string) error {
	p, err := parsePath(path)
	if err != nil {
		return err
	}
	with, err := s.n.People.Named(ctx, name)
	if err != nil {
		return err
	}
	n, err := write(ctx, s, "unshare", fmt.Sprint(p, with.ID), func(ctx context.Context, tx *sqldb.Tx) (Node, error) {
		n, r, err := s.find(ctx, tx, who, p)
		if err != nil {
			return Node{}, err
		}
		if r < Own && with.ID != who.ID {
			return Node{}, errs.New(errs.Denied, "only its owner may share %q", p.String())
		}
		gone, err := tx.Exec(ctx, unshareSQL, n.ID, with.ID)
		if err == nil && gone == 0 {
			err = errs.New(errs.NotFound, "%q is not shared with %s", n.Name, name)
		}
		return n, err
	})
	if err == nil {
		s.changed(ctx, n, "shared")
	}
	return err
}

// Shares returns with whom the node at path itself is shared. Errors: NotFound; Denied
// for all but its owner.
func (s *System) Shares(ctx context.Context, who Person, path string) ([]Shared, error) {
	p, err := parsePath(path)
	if err != nil {
		return nil, err
	}
	list, err := read(ctx, s, "list shares", func(ctx context.Context, tx *sqldb.Tx) ([]Shared, error) {
		n, err := s.owned(ctx, tx, who, p)
		if err != nil {
			return nil, err
		}
		return s.store.shares(ctx, tx, n.ID)
	})
	for i := range list {
		if with, err := s.n.People.ByID(ctx, list[i].Person); err == nil {
			list[i].Name = with.Name
		}
	}
	return list, err
}

func (store) shares(ctx context.Context, tx *sqldb.Tx, node string) (list []Shared, err error) {
	rows, err := tx.Query(ctx, sharesSQL, node)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var sh Shared
		var r, at int64
		if err := rows.Scan(&sh.Person, &r, &at); err != nil {
			return nil, err
		}
		sh.Rights, sh.At = Rights(r), when(at)
		list = append(list, sh)
	}
	return list, rows.Err()
}

// SharedWithMe returns what others share with who, the newest node first.
func (s *System) SharedWithMe(ctx context.Context, who Person, cursor string, limit int) ([]Node, string, error) {
	return s.seen(ctx, who, sharedSQL, []any{who.ID}, cursor, limit)
}

// Public returns what is public, by itself and not through a folder, the newest node
// first. What is below a public folder List shows.
func (s *System) Public(ctx context.Context, cursor string, limit int) ([]Node, string, error) {
	return s.seen(ctx, Person{}, publicNodesSQL, nil, cursor, limit)
}

// seen lists nodes by id downwards, those that who may see.
func (s *System) seen(ctx context.Context, who Person, query string, args []any, cursor string, limit int) ([]Node, string, error) {
	if cursor == "" {
		cursor = "~" // after every id
	}
	limit = page(limit)
	var next string
	list, err := read(ctx, s, "list what others share", func(ctx context.Context, tx *sqldb.Tx) ([]Node, error) {
		rows, err := s.store.nodes(ctx, tx, query, append(args, cursor, int64(limit+1))...)
		if err != nil {
			return nil, err
		}
		rows, next, _ = cut(rows, limit, func(n Node) string { return n.ID })
		var list []Node
		for _, n := range rows {
			r, err := s.may(ctx, tx, who, n)
			if err != nil {
				return nil, err
			}
			if r >= Read && !n.Blocked {
				list = append(list, n)
			}
		}
		return list, nil
	})
	return list, next, err
}

// LinkOptions say how long a link opens its target, and for whom.
type LinkOptions struct {
	Life     time.Duration // 0: for good
	Password string        // "": none
	Most     int64         // downloads; 0: any number
}

// Link makes a link for people without an account to the node at path. Its Token stands
// in the address URL/f/TOKEN, and is told this once. Errors: Invalid; NotFound, Denied.
func (s *System) Link(ctx context.Context, who Person, path string, o LinkOptions) (links.Link, error) {
	p, err := parsePath(path)
	if err != nil {
		return links.Link{}, err
	}
	target, err := read(ctx, s, "link", func(ctx context.Context, tx *sqldb.Tx) (Node, error) { return s.owned(ctx, tx, who, p) })
	if err != nil {
		return links.Link{}, err
	}
	ready, err := s.n.Links.Prepare(ctx, links.New{Realm: realm, Owner: who.ID, Target: target.ID, Life: o.Life, Password: o.Password, Most: o.Most})
	if err != nil {
		return links.Link{}, err
	}
	return write(ctx, s, "link", fmt.Sprint(p, o), func(ctx context.Context, tx *sqldb.Tx) (links.Link, error) {
		if _, err := s.owned(ctx, tx, who, p); err != nil {
			return links.Link{}, err
		}
		return s.n.Links.Add(ctx, tx, ready)
	})
}

// Unlink ends a link of who's, or anybody's for an operator. Errors: NotFound.
func (s *System) Unlink(ctx context.Context, who Person, id string) error {
	owner := who.ID
	if who.Operator {
		owner = ""
	}
	return s.n.Links.Revoke(ctx, realm, owner, id)
}

// Links returns who's links, the newest first; those to the node at path only, where
// one is given.
func (s *System) Links(ctx context.Context, who Person, path, cursor string, limit int) ([]links.Link, string, error) {
	f := links.Filter{Realm: realm, Owner: who.ID, Cursor: cursor, Limit: page(limit)}
	if path != "" {
		n, err := s.Stat(ctx, who, path)
		if err != nil {
			return nil, "", err
		}
		f.Target = n.ID
	}
	return s.n.Links.List(ctx, f)
}

// Through returns what a link leads to: its target, or what is at rest below that. It
// counts no download: see Fetch. Errors: NotFound; Unknown where a password is wanted;
// Busy after too many tries.
func (s *System) Through(ctx context.Context, token, password, remote, rest string) (links.Link, Node, error) {
	link, err := s.n.Links.Open(ctx, realm, token, password, remote)
	if err != nil {
		return links.Link{}, Node{}, err
	}
	p, err := parsePath("@" + link.Target + "/" + rest)
	if err != nil {
		return links.Link{}, Node{}, err
	}
	n, err := read(ctx, s, "open a link", func(ctx context.Context, tx *sqldb.Tx) (Node, error) {
		n, left, err := s.walk(ctx, tx, Person{}, p)
		if errs.Is(err, errs.NotFound) || err == nil && len(left) > 0 {
			return Node{}, errs.New(errs.NotFound, "what this link leads to is not there, or no longer")
		}
		if err != nil {
			return Node{}, err
		}
		// Its maker's right is what the link gives, as long as the maker has it.
		r, err := s.may(ctx, tx, Person{ID: link.Owner}, n)
		if err == nil && r < Read {
			err = errs.New(errs.NotFound, "what this link leads to is not there, or no longer")
		}
		return n, err
	})
	return link, n, err
}

// Fetch counts one download of a link. Errors: NotFound when it is over.
func (s *System) Fetch(ctx context.Context, link links.Link) error {
	return s.n.Links.Use(ctx, link.ID)
}

const (
	shareSQL   = `INSERT INTO files_shares (node, person, rights, at) VALUES ($1, $2, $3, $4) ON CONFLICT (node, person) DO UPDATE SET rights = $3, at = $4`
	unshareSQL = `DELETE FROM files_shares WHERE node = $1 AND person = $2`
	sharesSQL  = `SELECT person, rights, at FROM files_shares WHERE node = $1 ORDER BY person LIMIT 1000`
	sharedSQL  = `SELECT ` + nodeColumns + ` FROM files_shares AS s JOIN files_nodes AS n ON n.id = s.node
		WHERE s.person = $1 AND s.node < $2 ORDER BY s.node DESC LIMIT $3`
	publicNodesSQL = `SELECT ` + nodeColumns + ` FROM files_nodes AS n WHERE n.public = 1 AND n.id < $1 ORDER BY n.id DESC LIMIT $2`
)
