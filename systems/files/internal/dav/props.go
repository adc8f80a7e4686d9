package dav

import (
	"context"
	"errors"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// Bounds of what clients store as properties of one file or folder.
const (
	MostProps = 100
	MaxProps  = 64 << 10 // characters of all, with their names
)

// ErrNoRoom marks the TooLarge error of a property that there is no room for.
var ErrNoRoom = errors.New("no room for the property")

// Prop is a dead property: one that clients store and we only keep.
type Prop struct {
	Node string
	Name Name
	XML  string // its whole element
}

// Properties hang on a node's id, so that they go where it goes, and end with its row.
const (
	propsSQL      = `SELECT node, ns, name, value FROM files_props WHERE node = $1 ORDER BY ns, name`
	propsBelowSQL = `SELECT p.node, p.ns, p.name, p.value FROM files_nodes AS n JOIN files_props AS p ON p.node = n.id
		WHERE n.owner = $1 AND n.parent = $2 AND n.name >= $3 AND n.name <= $4 AND n.bin_at = 0 AND n.gone = 0 ORDER BY p.node, p.ns, p.name`
	setPropSQL  = `INSERT INTO files_props (node, ns, name, person, value) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (node, ns, name) DO UPDATE SET value = $5`
	dropPropSQL = `DELETE FROM files_props WHERE node = $1 AND ns = $2 AND name = $3`
	sizePropSQL = `SELECT count(*), COALESCE(sum(length(ns) + length(name) + length(value)), 0) FROM files_props WHERE node = $1`

	copyPropsSQL = `INSERT INTO files_props (node, ns, name, person, value)
		SELECT $2, p.ns, p.name, p.person, p.value FROM files_props AS p WHERE p.node = $1 ON CONFLICT DO NOTHING`
	copyBelowSQL = `INSERT INTO files_props (node, ns, name, person, value)
		SELECT d.id, p.ns, p.name, p.person, p.value FROM files_nodes AS s
		JOIN files_nodes AS d ON d.owner = $3 AND d.parent = $2 AND d.name = s.name AND d.bin_at = 0 AND d.gone = 0
		JOIN files_props AS p ON p.node = s.id
		WHERE s.owner = $3 AND s.parent = $1 AND s.bin_at = 0 AND s.gone = 0 ON CONFLICT DO NOTHING`
	foldersSQL = `SELECT s.id, d.id FROM files_nodes AS s
		JOIN files_nodes AS d ON d.owner = $3 AND d.parent = $2 AND d.name = s.name AND d.folder = 1 AND d.bin_at = 0 AND d.gone = 0
		WHERE s.owner = $3 AND s.parent = $1 AND s.folder = 1 AND s.bin_at = 0 AND s.gone = 0`
	anyPropsSQL = `SELECT count(*) FROM (SELECT 1 FROM files_props WHERE person = $1 LIMIT 1) AS one`
)

// Props returns a node's properties.
func Props(ctx context.Context, tx *sqldb.Tx, node string) ([]Prop, error) {
	return props(ctx, tx, propsSQL, node)
}

// PropsBelow returns the properties of what lies in a folder, from one name to another.
func PropsBelow(ctx context.Context, tx *sqldb.Tx, owner, folder, from, to string) ([]Prop, error) {
	return props(ctx, tx, propsBelowSQL, owner, folder, from, to)
}

func props(ctx context.Context, tx *sqldb.Tx, query string, args ...any) (list []Prop, err error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var p Prop
		if err := rows.Scan(&p.Node, &p.Name.Space, &p.Name.Local, &p.XML); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

// Apply changes the properties of a node, which owner owns, in their order. Errors:
// TooLarge, with ErrNoRoom.
func Apply(ctx context.Context, tx *sqldb.Tx, owner, node string, list []Patch) error {
	for _, p := range list {
		var err error
		if p.Remove {
			_, err = tx.Exec(ctx, dropPropSQL, node, p.Name.Space, p.Name.Local)
		} else {
			_, err = tx.Exec(ctx, setPropSQL, node, p.Name.Space, p.Name.Local, owner, p.Value)
		}
		if err != nil {
			return err
		}
	}
	var n, bytes int64
	if err := tx.QueryRow(ctx, sizePropSQL, node).Scan(&n, &bytes); err != nil {
		return err
	}
	if n > MostProps || bytes > MaxProps {
		return errs.Wrap(errs.TooLarge, ErrNoRoom, "a file or folder may have %d properties of %d characters together", MostProps, MaxProps)
	}
	return nil
}

// Copied is a node and its copy.
type Copied struct{ From, To string }

// CopyProps copies properties from one node to its copy, and those of what lies in them.
// It returns the folders in both, to go on with; nothing is left to do when the owner
// stores no properties at all.
func CopyProps(ctx context.Context, tx *sqldb.Tx, owner string, c Copied) (folders []Copied, err error) {
	var n int64
	if err := tx.QueryRow(ctx, anyPropsSQL, owner).Scan(&n); err != nil || n == 0 {
		return nil, err
	}
	if _, err := tx.Exec(ctx, copyPropsSQL, c.From, c.To); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, copyBelowSQL, c.From, c.To, owner); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, foldersSQL, c.From, c.To, owner)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var f Copied
		if err := rows.Scan(&f.From, &f.To); err != nil {
			return nil, err
		}
		folders = append(folders, f)
	}
	return folders, rows.Err()
}
