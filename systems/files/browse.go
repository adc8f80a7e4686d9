package files

import (
	"context"
	"strconv"
	"strings"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// Browse says how a folder is to be listed for people: folders first, by name, then
// the files.
type Browse struct {
	By     string // of the files: "" or "name", "size", "modified"
	Down   bool   // from the last to the first
	Cursor string // Next of the page before
	Limit  int    // 1 to 1,000; 100 when 0
}

// Shelf is a page of a folder.
type Shelf struct {
	Nodes []Node
	Next  string // cursor; "" on the last page
	// ByName: there are so many that they were sorted by name, whatever was asked.
	ByName bool
}

// mostSorted is how many nodes of one folder are sorted by what has no index.
const mostSorted = 20_000

// The parts of the statements that list a folder.
const (
	shelfSQL     = `SELECT ` + nodeColumns + ` FROM files_nodes AS n WHERE n.parent = $1 AND n.bin_at = 0 AND n.gone = 0`
	shelfManySQL = `SELECT count(*) FROM (SELECT 1 FROM files_nodes WHERE parent = $1 LIMIT $2) AS n`
)

// shelfStatement returns the statement for folders or files in an order, from the first
// or after a cursor. All its parts are constants. Folders are found by an index of
// their own, whatever number of files lies beside them: so theirs names no owner.
func shelfStatement(folder bool, by string, down, after bool) string {
	sign, way := ">", ""
	if down {
		sign, way = "<", " DESC"
	}
	var b strings.Builder
	b.WriteString(shelfSQL)
	switch {
	case folder && after:
		b.WriteString(" AND n.folder = 1 AND n.name " + sign + " $3")
	case folder:
		b.WriteString(" AND n.folder = 1")
	case after && by == "":
		b.WriteString(" AND n.folder = 0 AND n.owner = $3 AND n.name " + sign + " $4")
	case after:
		b.WriteString(" AND n.folder = 0 AND n.owner = $3 AND (n." + by + ", n.name) " + sign + " ($5, $4)")
	default:
		b.WriteString(" AND n.folder = 0 AND n.owner = $3")
	}
	b.WriteString(" ORDER BY ")
	if by != "" {
		b.WriteString("n." + by + way + ", ")
	}
	b.WriteString("n.name" + way + " LIMIT $2")
	return b.String()
}

// shelfAt is a cursor, read.
type shelfAt struct {
	folder bool
	key    int64 // the size, or the time in microseconds
	name   string
}

// parseShelf reads a cursor: "d" or "f", the key, and the name, with slashes between.
func parseShelf(cursor string) (at shelfAt, ok bool) {
	kind, rest, _ := strings.Cut(cursor, "/")
	key, name, _ := strings.Cut(rest, "/")
	n, err := strconv.ParseInt(key, 10, 64)
	return shelfAt{kind == "d", n, name}, err == nil && (kind == "d" || kind == "f") && name != ""
}

func shelfCursor(n Node, by string) string {
	kind, key := "f", int64(0)
	switch {
	case n.Folder:
		kind = "d"
	case by == "size":
		key = n.Size
	case by == "modified":
		key = n.Modified.UnixMicro()
	}
	return kind + "/" + strconv.FormatInt(key, 10) + "/" + n.Name
}

// Browse lists the folder at path for people. Errors: those of Stat; Conflict for a
// file; Invalid for an unknown order or cursor.
func (s *System) Browse(ctx context.Context, who Person, path string, o Browse) (Shelf, error) {
	p, err := parsePath(path)
	if err != nil {
		return Shelf{}, err
	}
	var at shelfAt
	if o.Cursor != "" {
		var ok bool
		if at, ok = parseShelf(o.Cursor); !ok {
			return Shelf{}, errs.New(errs.Invalid, "the cursor is none of this list")
		}
	}
	if o.By == "name" {
		o.By = ""
	}
	if o.By != "" && o.By != "size" && o.By != "modified" {
		return Shelf{}, errs.New(errs.Invalid, "files are sorted by name, size or modified")
	}
	return read(ctx, s, "browse", func(ctx context.Context, tx *sqldb.Tx) (Shelf, error) {
		n, _, err := s.find(ctx, tx, who, p)
		switch {
		case err != nil:
			return Shelf{}, err
		case !n.Folder:
			return Shelf{}, errs.New(errs.Conflict, "%q is a file", n.Name)
		case n.ID == "":
			return Shelf{}, nil
		}
		return s.shelf(ctx, tx, n, o, at)
	})
}

// shelf reads a page: folders while there are any, then files.
func (s *System) shelf(ctx context.Context, tx *sqldb.Tx, n Node, o Browse, at shelfAt) (sh Shelf, err error) {
	if o.By != "" {
		var many int64
		if err := tx.QueryRow(ctx, shelfManySQL, n.ID, int64(mostSorted+1)).Scan(&many); err != nil {
			return Shelf{}, err
		}
		if sh.ByName = many > mostSorted; sh.ByName {
			o.By = ""
		}
	}
	limit := page(o.Limit)
	if o.Cursor == "" || at.folder {
		args := []any{n.ID, int64(limit + 1)}
		if o.Cursor != "" {
			args = append(args, at.name)
		}
		if sh.Nodes, err = s.store.nodes(ctx, tx, shelfStatement(true, "", o.Down && o.By == "", o.Cursor != ""), args...); err != nil {
			return Shelf{}, err
		}
	}
	if left := limit + 1 - len(sh.Nodes); left > 0 {
		after := o.Cursor != "" && !at.folder
		args := []any{n.ID, int64(left), n.Owner}
		if after {
			args = append(args, at.name)
		}
		if after && o.By != "" {
			args = append(args, at.key)
		}
		files, err := s.store.nodes(ctx, tx, shelfStatement(false, o.By, o.Down, after), args...)
		if err != nil {
			return Shelf{}, err
		}
		sh.Nodes = append(sh.Nodes, files...)
	}
	sh.Nodes, sh.Next, err = cut(sh.Nodes, limit, func(n Node) string { return shelfCursor(n, o.By) })
	return sh, err
}
