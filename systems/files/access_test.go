package files

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// TestWhoMayDoWhat goes through everybody who may ask and everything that may be asked:
// nothing is allowed that does not stand here, and what one may not see is not found.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	one(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		ada := h.who["ada"]
		for _, name := range []string{"reader", "writer", "none", "operator"} {
			h.enter(name)
		}
		operator := h.who["operator"]
		operator.Operator = true
		askers := []struct {
			name string
			who  Person
		}{{"owner", ada}, {"shared to read", h.who["reader"]}, {"shared to write", h.who["writer"]}, {"another person", h.who["none"]}, {"operator", operator}, {"stranger", Person{}}}
		// Three of ada's folders: private ones, shared ones, and one that is public. Each asker
		// gets a fresh one, as what they do changes it.
		fresh := 0
		folder := func(state string) (dir, file Node) {
			fresh++
			name := fmt.Sprintf("%s-%d", state, fresh)
			file = h.put("ada", name+"/below/f", "old "+name)
			h.put("ada", name+"/below/f", "new "+name)
			dir = mustStat(h, "ada", name)
			must := func(err error) {
				if err != nil {
					t.Fatal(err)
				}
			}
			switch state {
			case "shared":
				_, err := h.Share(ctx, ada, name, "reader", Read)
				must(err)
				_, err = h.Share(ctx, ada, name, "writer", Write)
				must(err)
			case "public":
				_, err := h.Publish(ctx, ada, name, true)
				must(err)
			case "removed":
				_, err := h.Share(ctx, ada, name, "writer", Write)
				must(err)
				_, err = h.Publish(ctx, ada, name, true)
				must(err)
				must(h.Remove(ctx, ada, name))
			}
			return dir, file
		}
		type operation struct {
			name string
			do   func(who Person, dir, file Node) error
		}
		write := func(path string) func(Person, Node, Node) error {
			return func(who Person, dir, file Node) error {
				_, _, err := h.Write(ctx, who, strings.NewReplacer("DIR", "@"+dir.ID, "FILE", "@"+file.ID).Replace(path), strings.NewReader("changed"), WriteOptions{Size: -1})
				return err
			}
		}
		reads := []operation{
			{"stat", func(who Person, dir, file Node) error { _, err := h.Stat(ctx, who, "@"+file.ID); return err }},
			{"stat below", func(who Person, dir, file Node) error { _, err := h.Stat(ctx, who, "@"+dir.ID+"/below/f"); return err }},
			{"open", func(who Person, dir, file Node) error {
				f, err := h.Open(ctx, who, "@"+file.ID)
				if err != nil {
					return err
				}
				defer f.Close()
				_, err = io.ReadAll(f)
				return err
			}},
			{"list", func(who Person, dir, file Node) error {
				_, _, err := h.List(ctx, who, "@"+dir.ID+"/below", "", 0)
				return err
			}},
			{"report", func(who Person, dir, file Node) error {
				// Reported files may be read by operators: see the end of this test.
				_, err := read(ctx, h.System, "would report", func(ctx context.Context, tx *sqldb.Tx) (Node, error) {
					n, _, err := h.find(ctx, tx, who, place{node: file.ID})
					return n, err
				})
				return err
			}},
		}
		mine := []operation{ // of whoever may read and has a tree of their own
			{"copy home", func(who Person, dir, file Node) error {
				return h.Copy(ctx, who, "@"+dir.ID, fmt.Sprint("copy", fresh), false)
			}},
		}
		writes := []operation{
			{"write below", write("DIR/new")}, {"write in a new folder", write("DIR/a/b/new")}, {"write over", write("FILE")}, {"write over by path", write("DIR/below/f")},
			{"make a folder", func(who Person, dir, file Node) error {
				_, err := h.Mkdir(ctx, who, "@"+dir.ID+"/made", false)
				return err
			}},
			{"move below", func(who Person, dir, file Node) error {
				return h.Move(ctx, who, "@"+file.ID, "@"+dir.ID+"/moved", false)
			}},
			{"copy below", func(who Person, dir, file Node) error {
				return h.Copy(ctx, who, "@"+file.ID, "@"+dir.ID+"/copied", false)
			}},
			{"versions", func(who Person, dir, file Node) error {
				_, _, err := h.Versions(ctx, who, "@"+file.ID, "", 0)
				return err
			}},
			{"revert", func(who Person, dir, file Node) error { _, err := h.Revert(ctx, who, "@"+file.ID, 1); return err }},
			{"remove below", func(who Person, dir, file Node) error { return h.Remove(ctx, who, "@"+file.ID) }},
		}
		owns := []operation{
			{"publish", func(who Person, dir, file Node) error { _, err := h.Publish(ctx, who, "@"+dir.ID, true); return err }},
			{"share", func(who Person, dir, file Node) error {
				_, err := h.Share(ctx, who, "@"+dir.ID, "eve", Read)
				return err
			}},
			{"shares", func(who Person, dir, file Node) error { _, err := h.Shares(ctx, who, "@"+dir.ID); return err }},
			{"link", func(who Person, dir, file Node) error {
				_, err := h.Link(ctx, who, "@"+dir.ID, LinkOptions{})
				return err
			}},
			{"remove", func(who Person, dir, file Node) error { return h.Remove(ctx, who, "@"+dir.ID) }},
			{"rename", func(who Person, dir, file Node) error { return h.Move(ctx, who, "@"+dir.ID, "renamed"+dir.Name, false) }},
		}
		// rights[state][asker] is what may be done.
		rights := map[string]map[string]Rights{
			"private": {"owner": Own},
			"shared":  {"owner": Own, "shared to read": Read, "shared to write": Write},
			"public":  {"owner": Own, "shared to read": Read, "shared to write": Read, "another person": Read, "operator": Read, "stranger": Read},
			"removed": {},
		}
		for state, by := range rights {
			for _, a := range askers {
				has := by[a.name]
				check := func(ops []operation, needs Rights) {
					for _, op := range ops {
						dir, file := folder(state)
						err := op.do(a.who, dir, file)
						want := errs.Kind("")
						switch {
						case has >= needs && has > None:
						case has == None:
							want = errs.NotFound
						default:
							want = errs.Denied
						}
						got := errs.Kind("")
						if err != nil {
							got = errs.KindOf(err)
						}
						// Who has no tree cannot say where to copy or rename to.
						if a.who.ID == "" && got == errs.Unknown && (op.name == "copy home" || op.name == "rename") && want != "" {
							continue
						}
						if got != want {
							t.Errorf("%s, %s: %s: %v, want %q", state, a.name, op.name, err, want)
						}
					}
				}
				check(reads, Read)
				if a.who.ID != "" {
					check(mine, Read)
				}
				check(writes, Write)
				check(owns, Own)
			}
		}
		// An operator reads what was reported, and nothing beside it.
		dir, file := folder("shared")
		if _, err := h.Flag(ctx, h.who["reader"], "@"+file.ID, "look at it"); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Stat(ctx, operator, "@"+file.ID); err != nil {
			t.Errorf("a reported file: %v", err)
		}
		_, err := h.Stat(ctx, operator, "@"+dir.ID)
		kind(t, "the folder of a reported file", err, errs.NotFound)
		kind(t, "a change of a reported file", write("FILE")(operator, dir, file), errs.Denied)
		h.sound()
	})
}

// A share ends for what is below it too, and its receiver may end it.
func TestSharesEnd(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		ctx, ada, bob := t.Context(), h.who["ada"], h.who["bob"]
		n := h.put("ada", "d/e/f", "shared")
		dir := mustStat(h, "ada", "d")
		if _, err := h.Share(ctx, ada, "d", "bob", Write); err != nil {
			t.Fatal(err)
		}
		if list, _, err := h.SharedWithMe(ctx, bob, "", 0); err != nil || len(list) != 1 || list[0].ID != dir.ID {
			t.Errorf("%+v, %v", list, err)
		}
		if way, err := h.Way(ctx, bob, n); err != nil || len(way) != 3 || way[0].Name != "d" {
			t.Errorf("%+v, %v", way, err)
		}
		h.put("bob", "@"+dir.ID+"/e/g", "of bob")
		if u, err := h.Quota(ctx, ada); err != nil || u.Files != 2 {
			t.Errorf("whose tree it is pays: %+v, %v", u, err)
		}
		kind(t, "out of the owner's tree", h.Move(ctx, bob, "@"+dir.ID+"/e/g", "mine", false), errs.Invalid)
		if list, err := h.Shares(ctx, ada, "d"); err != nil || len(list) != 1 || list[0].Name != "bob" || list[0].Rights != Write {
			t.Errorf("%+v, %v", list, err)
		}
		kind(t, "somebody else's share", h.Unshare(ctx, h.who["eve"], "@"+dir.ID, "bob"), errs.NotFound)
		if err := h.Unshare(ctx, bob, "@"+dir.ID, "bob"); err != nil {
			t.Fatal(err)
		}
		if got := h.text("bob", "@"+n.ID); got != "(not found)" {
			t.Errorf("after its end: %q", got)
		}
		if list, _, err := h.SharedWithMe(ctx, bob, "", 0); err != nil || len(list) != 0 {
			t.Errorf("%+v, %v", list, err)
		}
		if _, err := h.Publish(ctx, ada, "d/e", true); err != nil {
			t.Fatal(err)
		}
		if list, _, err := h.Public(ctx, "", 0); err != nil || len(list) != 1 || h.text("", "@"+n.ID) != "shared" {
			t.Errorf("%+v, %v", list, err)
		}
		if err := h.Move(ctx, ada, "d/e/f", "f", false); err != nil {
			t.Fatal(err)
		}
		if got := h.text("", "@"+n.ID); got != "(not found)" {
			t.Errorf("moved out of a public folder: %q", got)
		}
		h.sound()
	})
}
