package files

import (
	"context"
	"math"
	"strconv"
	"time"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
)

// Version is an earlier content of a file.
type Version struct {
	Version  int64
	Hash     cas.Hash
	Size     int64
	Type     string
	Modified time.Time
	Replaced time.Time // when the next one came

	node, owner string
}

// Versions returns the earlier contents of the file at path, the newest first. They are
// for those who may write it: a reader was shown what it is now. Errors: NotFound,
// Denied; Conflict for a folder.
func (s *System) Versions(ctx context.Context, who Person, path, cursor string, limit int) ([]Version, string, error) {
	p, err := parsePath(path)
	if err != nil {
		return nil, "", err
	}
	before := int64(math.MaxInt64)
	if cursor != "" {
		if before, err = strconv.ParseInt(cursor, 10, 64); err != nil {
			return nil, "", errs.New(errs.Invalid, "this is no cursor of versions")
		}
	}
	limit = page(limit)
	list, err := read(ctx, s, "list versions", func(ctx context.Context, tx *sqldb.Tx) ([]Version, error) {
		n, err := s.writable(ctx, tx, who, p)
		if err != nil {
			return nil, err
		}
		return s.store.versions(ctx, tx, n.ID, before, limit+1)
	})
	if err != nil {
		return nil, "", err
	}
	return cut(list, limit, func(v Version) string { return strconv.FormatInt(v.Version, 10) })
}

// writable finds a file whose content who may change.
func (s *System) writable(ctx context.Context, tx *sqldb.Tx, who Person, p place) (Node, error) {
	n, r, err := s.find(ctx, tx, who, p)
	switch {
	case err != nil:
		return Node{}, err
	case r < Write:
		return Node{}, errDenied(p)
	case n.Folder:
		return Node{}, errs.New(errs.Conflict, "%q is a folder", n.Name)
	}
	return n, nil
}

// version finds one earlier content of a file, and the file.
func (s *System) version(ctx context.Context, tx *sqldb.Tx, who Person, p place, version int64) (Node, Version, error) {
	n, err := s.writable(ctx, tx, who, p)
	if err != nil {
		return Node{}, Version{}, err
	}
	v, err := scanVersion(tx.QueryRow(ctx, versionSQL, n.ID, version).Scan)
	if err == sqldb.ErrNoRows {
		err = errs.New(errs.NotFound, "%q has no earlier version %d", n.Name, version)
	}
	v.node, v.owner = n.ID, n.Owner
	return n, v, err
}

// OpenVersion opens an earlier content, as a file of the same name. Errors: those of
// Versions and Open.
func (s *System) OpenVersion(ctx context.Context, who Person, path string, version int64) (*File, error) {
	n, err := s.statVersion(ctx, who, path, version)
	if err != nil {
		return nil, err
	}
	return s.open(ctx, n)
}

// statVersion returns the node as it was.
func (s *System) statVersion(ctx context.Context, who Person, path string, version int64) (Node, error) {
	p, err := parsePath(path)
	if err != nil {
		return Node{}, err
	}
	return read(ctx, s, "look up a version", func(ctx context.Context, tx *sqldb.Tx) (Node, error) {
		n, v, err := s.version(ctx, tx, who, p, version)
		if err != nil {
			return Node{}, err
		}
		n.Hash, n.Size, n.Type, n.Modified, n.Version = v.Hash, v.Size, v.Type, v.Modified, v.Version
		err = s.notBlocked(ctx, tx, v.Hash)
		return n, err
	})
}

// Revert makes an earlier content the file's again; the present one becomes a version.
// Errors: those of Versions; TooLarge with ErrQuota.
func (s *System) Revert(ctx context.Context, who Person, path string, version int64) (Node, error) {
	p, err := parsePath(path)
	if err != nil {
		return Node{}, err
	}
	n, err := write(ctx, s, "revert", p.String()+" "+strconv.FormatInt(version, 10), func(ctx context.Context, tx *sqldb.Tx) (Node, error) {
		n, v, err := s.version(ctx, tx, who, p, version)
		if err == nil {
			err = s.notBlocked(ctx, tx, v.Hash)
		}
		if err != nil {
			return Node{}, err
		}
		now := s.n.Clock.Now().UTC().Truncate(time.Microsecond)
		out, err := s.replace(ctx, tx, n, content{v.Hash, v.Size, nil, func(ctx context.Context, tx *sqldb.Tx) error {
			return s.n.CAS.Add(ctx, tx, v.Hash)
		}}, v.Type, v.Modified, now)
		return out, discreet(err, who, n.Owner)
	})
	if err == nil {
		s.changed(ctx, n, "written")
	}
	return n, err
}

// Forget ends an earlier content at once, for good. Errors: those of Versions.
func (s *System) Forget(ctx context.Context, who Person, path string, version int64) error {
	p, err := parsePath(path)
	if err != nil {
		return err
	}
	_, err = write(ctx, s, "forget a version", p.String()+" "+strconv.FormatInt(version, 10), func(ctx context.Context, tx *sqldb.Tx) (int, error) {
		_, v, err := s.version(ctx, tx, who, p, version)
		if err != nil {
			return 0, err
		}
		return 0, s.dropVersion(ctx, tx, v)
	})
	return err
}

// dropVersion deletes an earlier content and its reference.
func (s *System) dropVersion(ctx context.Context, tx *sqldb.Tx, v Version) error {
	n, err := tx.Exec(ctx, dropVersionSQL, v.node, v.Version)
	if err != nil || n == 0 {
		return err
	}
	if err := s.n.CAS.Drop(ctx, tx, v.Hash); err != nil {
		return err
	}
	return s.charge(ctx, tx, v.owner, -v.Size, 0)
}

func scanVersion(scan func(...any) error) (v Version, err error) {
	var hash []byte
	var modified, at int64
	err = scan(&v.Version, &hash, &v.Size, &v.Type, &modified, &at)
	v.Hash, v.Modified, v.Replaced = hashOf(hash), when(modified), when(at)
	return v, err
}

func (store) versions(ctx context.Context, tx *sqldb.Tx, node string, before int64, limit int) (list []Version, err error) {
	rows, err := tx.Query(ctx, versionsSQL, node, before, int64(limit))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		v, err := scanVersion(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// someVersions returns some earlier contents with what a reference needs.
func (store) someVersions(ctx context.Context, tx *sqldb.Tx, node string, limit int) (list []Version, err error) {
	rows, err := tx.Query(ctx, someVersionsSQL, node, int64(limit))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v Version
		var hash []byte
		if err := rows.Scan(&v.Version, &hash, &v.Size); err != nil {
			return nil, err
		}
		v.Hash = hashOf(hash)
		list = append(list, v)
	}
	return list, rows.Err()
}

// oldVersions returns some that were replaced before a moment.
func (store) oldVersions(ctx context.Context, tx *sqldb.Tx, before time.Time) (list []Version, err error) {
	rows, err := tx.Query(ctx, oldVersionsSQL, before.UnixMicro(), int64(batch))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v Version
		var hash []byte
		if err := rows.Scan(&v.node, &v.Version, &hash, &v.Size, &v.owner); err != nil {
			return nil, err
		}
		v.Hash = hashOf(hash)
		list = append(list, v)
	}
	return list, rows.Err()
}
