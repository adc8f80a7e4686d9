package plumb

import (
	"bufio"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "plumb"

// plan is floors.txt, read.
type plan struct {
	floors []floor
	walls  map[string][]string // standard package -> file names in a room
	never  map[string][]string // folder -> folders
	only   map[string][]string // foreign package -> folders
	pure   []string
}

type floor struct {
	pattern string
	apart   bool
}

// TestArrowsPointDown fails on any import that climbs a floor, crosses between
// rooms that stand apart, or goes through a wall inside a room.
func TestArrowsPointDown(t *testing.T) {
	f, err := os.Open("floors.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := readPlan(t, f)
	files := 0
	for _, fault := range faults(t, p, os.DirFS("."), &files) {
		t.Error(fault)
	}
	if files < 50 {
		t.Errorf("looked at %d files only", files)
	}
}

// TestPlantedViolationsAreCaught plants one file a rule and wants each reported.
func TestPlantedViolationsAreCaught(t *testing.T) {
	f, err := os.Open("floors.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := readPlan(t, f)
	src := func(imports ...string) *fstest.MapFile {
		var b strings.Builder
		b.WriteString("package x\n")
		for _, i := range imports {
			fmt.Fprintf(&b, "import _ %q\n", i)
		}
		return &fstest.MapFile{Data: []byte(b.String())}
	}
	for name, c := range map[string]struct {
		file string
		src  *fstest.MapFile
		want string
	}{
		"engine climbs to a room":       {"engines/web/a.go", src("plumb/systems/vending"), "above it"},
		"base climbs to an engine":      {"base/errs/a.go", src("plumb/engines/web"), "above it"},
		"lower engine climbs":           {"engines/sqldb/a.go", src("plumb/engines/web"), "above it"},
		"room imports a room":           {"systems/files/a.go", src("plumb/systems/vending"), "stand apart"},
		"proof imports another's room":  {"systems/files/prove/a.go", src("plumb/systems/vending"), "stand apart"},
		"room imports its own proof":    {"systems/files/a.go", src("plumb/systems/files/prove"), "above it"},
		"console imports a room":        {"console/a.go", src("plumb/systems/vending"), "never"},
		"engine imports face":           {"engines/web/a.go", src("plumb/face"), "above it"},
		"webbing.go is no page":         {"systems/files/webbing.go", src("net/http"), "only in"},
		"store.go uses net/http":        {"systems/files/store.go", src("net/http"), "only in"},
		"web.go uses database/sql":      {"systems/files/web.go", src("database/sql"), "only in"},
		"a pure engine imports another": {"engines/forecast/a.go", src("plumb/engines/chart"), "pure"},
		"a room speaks NATS itself":     {"systems/files/a.go", src("github.com/nats-io/nats.go"), "may be imported only by"},
		"a folder on no floor":          {"util/a.go", src(), "no floor"},
		"cmd imports cmd":               {"cmd/plumb/a.go", src("plumb/cmd/plumb-sql"), "stand apart"},
	} {
		n := 0
		got := faults(t, p, fstest.MapFS{c.file: c.src}, &n)
		if len(got) != 1 || !strings.Contains(got[0], c.want) {
			t.Errorf("%s: got %q, want one fault with %q", name, got, c.want)
		}
	}
	n := 0
	ok := fstest.MapFS{
		"systems/files/web_plans.go":  src("net/http", "html/template"),
		"systems/files/api.go":        src("net/http", "plumb/engines/web", "plumb/base/errs"),
		"systems/files/prove/a.go":    src("plumb/systems/files", "plumb/engines/lab"),
		"engines/jobs/a.go":           src("database/sql", "plumb/engines/sqldb"),
		"systems/files/internal/x.go": src("plumb/base/errs"),
	}
	if got := faults(t, p, ok, &n); len(got) != 0 || n != 5 {
		t.Errorf("good imports are refused: %q (%d files)", got, n)
	}
}

// faults returns a line for each import that the plan forbids.
func faults(t *testing.T, p plan, root fs.FS, files *int) (list []string) {
	t.Helper()
	fset := token.NewFileSet()
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (name == "tools" || name == "bin" || strings.HasPrefix(path.Base(name), ".") && name != "." || path.Base(name) == "testdata") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || !strings.Contains(name, "/") {
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, name, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		*files++
		from := path.Dir(name)
		if at, _ := p.place(from); at < 0 {
			list = append(list, fmt.Sprintf("%s: folder %s is on no floor; add it to floors.txt", name, from))
			return nil
		}
		for _, im := range f.Imports {
			if fault := p.judge(name, from, strings.Trim(im.Path.Value, `"`)); fault != "" {
				list = append(list, fmt.Sprintf("%s: %s", fset.Position(im.Pos()), fault))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// judge returns what is wrong with file, in folder from, importing to; "" when nothing is.
func (p plan) judge(file, from, to string) string {
	at, room := p.place(from)
	test := strings.HasSuffix(file, "_test.go")
	if names, ok := p.walls[to]; ok && p.floors[at].pattern == "systems" && strings.Count(from, "/") == 1 && !test && !slices.ContainsFunc(names, func(n string) bool { ok, _ := path.Match(n, path.Base(file)); return ok }) {
		return fmt.Sprintf("%s may be imported only in %v", to, names)
	}
	for foreign, folders := range p.only {
		if (to == foreign || strings.HasPrefix(to, foreign+"/") || strings.HasPrefix(to, foreign+".")) && !test && !slices.ContainsFunc(folders, func(d string) bool { return within(from, d) }) {
			return fmt.Sprintf("%s may be imported only by %v", to, folders)
		}
	}
	to, ours := strings.CutPrefix(to, module+"/")
	if !ours {
		return ""
	}
	below, other := p.place(to)
	top := strings.Split(to, "/")[0]
	switch {
	case below < 0:
		return to + " is on no floor"
	case below < at && !(test && within(from, "engines") && within(to, "engines/lab")):
		// An engine's own tests may use the lab's power cuts.
		return fmt.Sprintf("%s imports %s, which is above it", from, to)
	case slices.Contains(p.never[strings.Split(from, "/")[0]], top):
		return fmt.Sprintf("%s may never import %s", from, to)
	case p.isPure(from) && top != "base" && !within(to, ownRoot(from)) && !test:
		return fmt.Sprintf("%s is pure: it may import nothing of ours but base, not %s", from, to)
	case p.floors[at].apart && room != other && (below == at || within(room, "systems") && within(other, "systems")):
		return fmt.Sprintf("%s and %s stand apart; pass what is needed through app", room, other)
	}
	return ""
}

// within says whether folder is root or below it.
func within(folder, root string) bool { return folder == root || strings.HasPrefix(folder, root+"/") }

// ownRoot is the engine that a folder belongs to.
func ownRoot(folder string) string {
	parts := strings.Split(folder, "/")
	return strings.Join(parts[:min(len(parts), 2)], "/")
}

func (p plan) isPure(folder string) bool {
	// A reader of plan files beside the pure engine may use what it likes.
	return slices.Contains(p.pure, folder) || slices.Contains(p.pure, strings.Split(folder, "/")[0])
}

// place returns the floor of folder and the room it belongs to.
func (p plan) place(folder string) (int, string) {
	got := strings.Split(folder, "/")
	for i, f := range p.floors {
		pat := strings.Split(f.pattern, "/")
		if len(got) < len(pat) {
			continue
		}
		if ok, _ := path.Match(f.pattern, strings.Join(got[:len(pat)], "/")); ok {
			return i, strings.Join(got[:min(len(got), 2)], "/")
		}
	}
	return -1, ""
}

func readPlan(t *testing.T, r io.Reader) plan {
	t.Helper()
	p := plan{walls: map[string][]string{}, never: map[string][]string{}, only: map[string][]string{}}
	s := bufio.NewScanner(r)
	for s.Scan() {
		line, _, _ := strings.Cut(s.Text(), "#")
		w := strings.Fields(line)
		switch {
		case len(w) == 0:
		case w[0] == "wall":
			p.walls[w[1]] = w[2:]
		case w[0] == "never":
			p.never[w[1]] = append(p.never[w[1]], w[2:]...)
		case w[0] == "only":
			p.only[w[1]] = w[2:]
		case w[0] == "pure":
			p.pure = append(p.pure, w[1])
		default:
			p.floors = append(p.floors, floor{w[0], slices.Contains(w[1:], "apart")})
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return p
}
