package files

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"plumb/base/errs"
)

// Whatever a path says, its names are fit to stand in a tree, in a zip and in a folder
// of somebody's disk, and reading what was written gives the same.
func FuzzPaths(f *testing.F) {
	for _, s := range []string{"", "a/b", "/a/", "../x", "a/./b", "a//b", "\x00", "a\\b", "\xff", "\xc0\xae", "@0193b0f2-1111-7111-8111-111111111111/x", "@0193b0f2-1111-7111-8111-11111111111g",
		strings.Repeat("x", 256), strings.Repeat("a/", 70), "u\u0308", "\u202etxt.exe", "CON", "a:b", "ﬁ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePath(s)
		if err != nil {
			if !errs.Is(err, errs.Invalid) || errs.Message(err) == "" {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		for _, name := range p.names {
			if name == "" || name == "." || name == ".." || len(name) > MaxName || !utf8.ValidString(name) || strings.ContainsAny(name, "/\x00\n\r") || !norm.NFC.IsNormalString(name) || isNodeName(name) {
				t.Errorf("%q gives the name %q", s, name)
			}
			for _, w := range words(name) {
				if w == "" || !utf8.ValidString(w) || len(w) > 64 {
					t.Errorf("%q has the word %q", name, w)
				}
			}
			if got := numbered(name, "2"); len(got) > MaxName || !utf8.ValidString(got) {
				t.Errorf("%q is numbered %q", name, got)
			}
			d := disposition("attachment", name)
			if strings.ContainsAny(d, "\r\n\x00") || strings.Count(d, `"`) != 2 {
				t.Errorf("%q: %s", name, d)
			}
		}
		if len(p.names) > MaxDepth+1 {
			t.Errorf("%q is %d deep", s, len(p.names))
		}
		again, err := parsePath(p.String())
		if err != nil && len(p.String()) <= MaxPath || err == nil && again.String() != p.String() {
			t.Errorf("%q is written %q, and read %q, %v", s, p, again, err)
		}
	})
}

func FuzzCursors(f *testing.F) {
	f.Add("")
	f.Add(spot{"o", "w", "n", 3}.String())
	f.Fuzz(func(t *testing.T, s string) {
		if at, err := readSpot(s); err == nil && s != "" && (at.String() == "" || at.skip < 0) {
			t.Error(s)
		}
	})
}
