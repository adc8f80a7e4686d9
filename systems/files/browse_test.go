package files

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// shelf lists all of a folder in pages of two; folders end in a slash.
func (h *house) shelf(name, path, by string, down bool) string {
	h.t.Helper()
	var list []string
	for cursor := ""; ; {
		sh, err := h.Browse(context.Background(), h.who[name], path, Browse{By: by, Down: down, Cursor: cursor, Limit: 2})
		if err != nil {
			return "(" + string(errs.KindOf(err)) + ")"
		}
		for _, n := range sh.Nodes {
			if n.Folder {
				n.Name += "/"
			}
			list = append(list, n.Name)
		}
		if cursor = sh.Next; cursor == "" {
			return strings.Join(list, " ")
		}
	}
}

func TestBrowseOrders(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		if got := h.shelf("ada", "", "", false); got != "" {
			t.Errorf("before the first file: %q", got)
		}
		for i, f := range []struct{ name, text string }{{"b.txt", "four"}, {"ä", "1"}, {"a.txt", "333"}, {"c.txt", "four"}} {
			o := WriteOptions{Size: -1, Modified: noon.Add(-time.Duration(i) * time.Hour)}
			if _, _, err := h.Write(ctx, h.who["ada"], "d/"+f.name, strings.NewReader(f.text), o); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"z", "y", "10%"} {
			if _, err := h.Mkdir(ctx, h.who["ada"], "d/"+name, false); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			by   string
			down bool
			want string
		}{
			{"", false, "10%/ y/ z/ a.txt b.txt c.txt ä"},
			{"name", true, "z/ y/ 10%/ ä c.txt b.txt a.txt"},
			{"size", false, "10%/ y/ z/ ä a.txt b.txt c.txt"},
			{"size", true, "10%/ y/ z/ c.txt b.txt a.txt ä"},
			{"modified", false, "10%/ y/ z/ c.txt a.txt ä b.txt"},
			{"modified", true, "10%/ y/ z/ b.txt ä a.txt c.txt"},
			{"mood", false, "(invalid)"},
		} {
			if got := h.shelf("ada", "d", c.by, c.down); got != c.want {
				t.Errorf("by %q, down %v: %s, want %s", c.by, c.down, got, c.want)
			}
		}
		if err := h.Remove(ctx, h.who["ada"], "d/y"); err != nil {
			t.Fatal(err)
		}
		if err := h.Remove(ctx, h.who["ada"], "d/b.txt"); err != nil {
			t.Fatal(err)
		}
		if got := h.shelf("ada", "d", "size", false); got != "10%/ z/ ä a.txt c.txt" {
			t.Error(got)
		}
		for path, want := range map[string]errs.Kind{"d/a.txt": errs.Conflict, "none": errs.NotFound} {
			_, err := h.Browse(ctx, h.who["ada"], path, Browse{})
			kind(t, path, err, want)
		}
		d, err := h.Stat(ctx, h.who["ada"], "d")
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.Browse(ctx, h.who["bob"], at(d.ID), Browse{})
		kind(t, "somebody else's", err, errs.NotFound)
		for _, cursor := range []string{"x", "d/0/", "f//a", "f/x/a", "d", "/0/a"} {
			_, err := h.Browse(ctx, h.who["ada"], "d", Browse{Cursor: cursor})
			kind(t, cursor, err, errs.Invalid)
		}
	})
}

// TestBrowseReadsNoMoreThanAPage: by name, a page of folders and one of files is a
// range of an index, however many of the other lie beside them.
func TestBrowseReadsNoMoreThanAPage(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		for _, folder := range []bool{true, false} {
			for _, after := range []bool{true, false} {
				args := []any{"p", int64(2), "o", "n"}
				if folder {
					args = []any{"p", int64(2), "n"}
				}
				if !after {
					args = args[:len(args)-1]
				}
				plan, err := read(context.Background(), h.System, "explain", func(ctx context.Context, tx *sqldb.Tx) (text string, err error) {
					rows, err := tx.Query(ctx, "EXPLAIN QUERY PLAN "+shelfStatement(folder, "", true, after), args...)
					if err != nil {
						return "", err
					}
					defer rows.Close()
					for rows.Next() {
						var id, parent, unused int64
						var detail string
						if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
							return "", err
						}
						text += detail + "\n"
					}
					return text, rows.Err()
				})
				want := map[bool]string{true: "files_nodes_folders", false: "files_nodes_name"}[folder]
				if err != nil || !strings.Contains(plan, want) || strings.Contains(plan, "TEMP B-TREE") || strings.Contains(plan, "SCAN n") {
					t.Errorf("folders %v, after %v: %v\n%s", folder, after, err, plan)
				}
			}
		}
	})
}

func TestManyInAFolderAreSortedByName(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		n := h.put("ada", "d/first", "1")
		err := h.n.DB.Write(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, `WITH RECURSIVE i (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < $3)
				INSERT INTO files_nodes (id, owner, parent, name, folder, hash, size, type, modified, made, n, public, bin_at, gone)
				SELECT 'many-' || i, $1, $2, 'x' || i, 1, x'', 0, '', 0, 0, 1, 0, 0, 0 FROM i`, n.Owner, n.Parent, int64(mostSorted))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		sh, err := h.Browse(context.Background(), h.who["ada"], "d", Browse{By: "size"})
		if err != nil || !sh.ByName || len(sh.Nodes) != usualPage || sh.Nodes[0].Name != "x1" {
			t.Fatal(err, sh.ByName, len(sh.Nodes))
		}
		wantPage(t, page1(h, fmt.Sprintf("/files/n/%s?by=size", n.Parent), "ada"), 200, "more than 20,000 here")
	})
}
