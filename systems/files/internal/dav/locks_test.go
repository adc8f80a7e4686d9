package dav

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestBlocked(t *testing.T) {
	locks := []Lock{
		{Token: "file", Path: "a/f"}, {Token: "tree", Path: "d", Deep: true}, {Token: "flat", Path: "e"},
		{Token: "s1", Path: "s", Shared: true}, {Token: "s2", Path: "s", Shared: true}, {Token: "s3", Path: "s/x", Shared: true},
	}
	for _, c := range []struct {
		change Change
		tokens string
		by     string
	}{
		{Change{Path: "a/f"}, "", "file"},
		{Change{Path: "a/f"}, "file", ""},
		{Change{Path: "a/g"}, "", ""},
		{Change{Path: "a", Members: true, Below: true}, "", "file"},
		{Change{Path: "a", Below: true}, "file", ""},
		{Change{Path: "d/x/y"}, "", "tree"},
		{Change{Path: "dx"}, "", ""},
		{Change{Path: "d", Members: true}, "flat", "tree"},
		{Change{Path: "e/new", Members: true}, "", "flat"}, // a member of a locked folder
		{Change{Path: "e/old"}, "", ""},                    // what is in it is not locked
		{Change{Path: "s"}, "", "s1 s2"},
		{Change{Path: "s"}, "s2", ""}, // one of the shared ones is enough
		{Change{Path: "s", Below: true}, "s2", "s3"},
		{Change{Path: "", Members: true, Below: true}, "file tree flat s1 s3", ""},
	} {
		var by []string
		for _, l := range Blocked(locks, strings.Fields(c.tokens), c.change) {
			by = append(by, l.Token)
		}
		if got := strings.Join(by, " "); got != c.by {
			t.Errorf("%+v with %q: blocked by %q, want %q", c.change, c.tokens, got, c.by)
		}
	}
}

// Locks that were let in one after the other never hold against each other: no path has
// two of which one is exclusive.
func TestLocksExclude(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SampledFrom([]string{"", "a", "b", "a/a", "a/b", "ab", "a/a/a", "a/b/c"})
		var held []Lock
	next:
		for range rapid.IntRange(1, 12).Draw(t, "locks") {
			l := Lock{Path: names.Draw(t, "path"), Deep: rapid.Bool().Draw(t, "deep"), Shared: rapid.Bool().Draw(t, "shared")}
			for _, h := range held {
				if h.Conflicts(l) != l.Conflicts(h) {
					t.Fatalf("%+v and %+v do not agree", h, l)
				}
				if h.Conflicts(l) {
					continue next
				}
			}
			held = append(held, l)
		}
		for _, path := range []string{"", "a", "b", "a/a", "a/b", "ab", "a/a/a", "a/b/c", "a/b/c/d"} {
			all, exclusive := 0, 0
			for _, l := range held {
				if l.Covers(path) {
					all++
					if !l.Shared {
						exclusive++
					}
				}
			}
			if exclusive > 1 || exclusive == 1 && all > 1 {
				t.Fatalf("%q has %d locks, %d of them exclusive: %+v", path, all, exclusive, held)
			}
		}
	})
}
