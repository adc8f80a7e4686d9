package files

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"plumb/base/errs"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// forest is a tree as a map: a path's content, or "/" for a folder. The root is "".
type forest map[string]string

func (f forest) folder(p string) bool { return f[p] == "/" }

// sub returns what is at p and below it, by the rest of its path.
func (f forest) sub(p string) forest {
	out := forest{}
	for at, text := range f {
		if at == p {
			out[""] = text
		} else if rest, ok := strings.CutPrefix(at, p+"/"); ok {
			out["/"+rest] = text
		}
	}
	return out
}

func (f forest) remove(p string) {
	for rest := range f.sub(p) {
		delete(f, p+rest)
	}
}

func (f forest) place(p string, s forest) {
	for rest, text := range s {
		f[p+rest] = text
	}
}

func above(p string) string {
	if d := path.Dir(p); d != "." {
		return d
	}
	return ""
}

// move is what Move and Copy do to a forest, or why not.
func (f forest) move(from, to string, copies, overwrite bool) errs.Kind {
	text, there := f[from]
	inside := from == to || strings.HasPrefix(to, from+"/")
	switch {
	case !there:
		return errs.NotFound
	case copies && text != "/" && from == to:
		return errs.Conflict
	case !f.folder(above(to)):
		return errs.Conflict
	case !copies && from == to:
		return ""
	case !copies && inside:
		return errs.Conflict
	}
	if _, taken := f[to]; taken {
		if !overwrite || strings.HasPrefix(from, to+"/") && !copies {
			return errs.Conflict
		}
	}
	s := f.sub(from)
	if !copies {
		f.remove(from)
	}
	f.remove(to)
	f.place(to, s)
	return ""
}

// write is what Write does.
func (f forest) write(p, text string) errs.Kind {
	for up := above(p); up != ""; up = above(up) {
		if t, there := f[up]; there && t != "/" {
			return errs.Conflict
		}
	}
	if f.folder(p) {
		return errs.Conflict
	}
	f[p] = text
	for up := above(p); up != ""; up = above(up) {
		f[up] = "/"
	}
	return ""
}

// walk reads the room's whole tree of a person as a forest.
func (h *house) forest(name string) forest {
	h.t.Helper()
	f := forest{"": "/"}
	var down func(p string)
	down = func(p string) {
		for cursor := ""; ; {
			list, next, err := h.List(h.t.Context(), h.who[name], p, cursor, 3)
			if err != nil {
				h.t.Fatal(err)
			}
			for _, n := range list {
				at := strings.TrimPrefix(p+"/"+n.Name, "/")
				if n.Folder {
					f[at] = "/"
					down(at)
				} else {
					f[at] = h.text(name, at)
				}
			}
			if cursor = next; next == "" {
				return
			}
		}
	}
	down("")
	return f
}

// TestTreesBehaveAsAMap does operations in any order and compares with a model.
func TestTreesBehaveAsAMap(t *testing.T) {
	t.Parallel()
	for _, k := range sqldbtest.Kinds() {
		t.Run(k, func(t *testing.T) {
			h := open(t, sqldbtest.Open(t, k, sqldb.Options{}))
			run := 0
			rapid.Check(t, func(r *rapid.T) {
				run++
				name := fmt.Sprintf("person-%d", run)
				h.enter(name)
				ctx, who := h.t.Context(), h.who[name]
				model := forest{"": "/"}
				paths := rapid.Custom(func(r *rapid.T) string {
					return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ü"}), 1, 3).Draw(r, "names"), "/")
				})
				for range rapid.IntRange(1, 15).Draw(r, "steps") {
					p, q := paths.Draw(r, "path"), paths.Draw(r, "other")
					overwrite := rapid.Bool().Draw(r, "overwrite")
					var want errs.Kind
					var err error
					var what string
					switch rapid.IntRange(0, 4).Draw(r, "what") {
					case 0, 1:
						text := rapid.SampledFrom([]string{"one", "two", ""}).Draw(r, "text")
						what, want = "write "+p, model.write(p, text)
						_, _, err = h.Write(ctx, who, p, strings.NewReader(text), WriteOptions{Size: -1})
					case 2:
						what, want = "move "+p+" "+q, model.move(p, q, false, overwrite)
						err = h.Move(ctx, who, p, q, overwrite)
					case 3:
						what, want = "copy "+p+" "+q, model.move(p, q, true, overwrite)
						err = h.Copy(ctx, who, p, q, overwrite)
					case 4:
						if _, there := model[p]; !there {
							want = errs.NotFound
						}
						model.remove(p)
						what, err = "remove "+p, h.Remove(ctx, who, p)
					}
					if got := errs.KindOf(err); err != nil && got != want || err == nil && want != "" {
						r.Fatalf("%s (overwrite %v): %v, want %q", what, overwrite, err, want)
					}
				}
				if got := h.forest(name); !maps.Equal(got, model) {
					r.Fatalf("the tree is %q\nnot %q", sortedKeys(got), sortedKeys(model))
				}
			})
			if _, err := h.Collect(t.Context(), nil); err != nil {
				t.Error(err)
			}
			h.sound()
			for i := range run {
				name := fmt.Sprintf("person-%d", i+1)
				for _, n := range h.below(name) {
					if err := h.Remove(t.Context(), h.who[name], n); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := h.EmptyBin(t.Context(), h.who[name]); err != nil {
					t.Fatal(err)
				}
			}
			h.sound()
			if all, err := h.Stats(t.Context(), Person{Operator: true}); err != nil || all.Logical != 0 || all.Store.Blobs != 0 || all.Store.References != 0 {
				t.Errorf("everything was purged, and %+v %+v stay; %v", all, all.Store, err)
			}
		})
	}
}

func sortedKeys(f forest) []string { return slices.Sorted(maps.Keys(f)) }

// below lists the names in a person's root.
func (h *house) below(name string) []string {
	var list []string
	for _, n := range strings.Fields(h.names(name, "")) {
		list = append(list, strings.TrimSuffix(n, "/"))
	}
	return list
}
