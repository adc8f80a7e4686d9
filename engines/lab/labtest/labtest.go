// Package labtest holds what the tests of every room's experiments need: the program that
// they drive, and checks of the experiments and of the results that are shipped.
//
//	func TestMain(m *testing.M) { os.Exit(labtest.Main(m)) }
//
//	func TestShippedResults(t *testing.T)   { labtest.Shipped(t, Results, Experiments()) }
//	func TestClaimsAreWellFormed(t *testing.T) { labtest.WellFormed(t, "files", Experiments()) }
package labtest

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"plumb/engines/lab"
	"plumb/engines/lab/powercut"
)

// Main runs the tests with the real program at $PLUMB: the one that is named there, or one
// that is built for them. It returns the exit status.
func Main(m *testing.M) int {
	if os.Getenv("PLUMB") == "" {
		dir, err := os.MkdirTemp("", "plumb-prove-")
		if err != nil {
			fmt.Println(err)
			return 1
		}
		defer os.RemoveAll(dir)
		program := filepath.Join(dir, "plumb")
		if out, err := exec.Command("go", "build", "-o", program, "plumb/cmd/plumb").CombinedOutput(); err != nil {
			fmt.Printf("build plumb: %v\n%s", err, out)
			return 1
		}
		os.Setenv("PLUMB", program)
	}
	return m.Run()
}

// NeedFUSE skips on a laptop without FUSE and fails where CI is set.
func NeedFUSE(t *testing.T) {
	t.Helper()
	disk, err := powercut.Open(t.TempDir(), t.TempDir(), powercut.Options{})
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if err := disk.Close(); err != nil {
		t.Fatal(err)
	}
}

// Shipped wants that what is shipped belongs to experiments that exist, and that its
// verdicts follow from its figures.
func Shipped(t *testing.T, results fs.FS, experiments []lab.Experiment) {
	t.Helper()
	all, err := lab.LoadResults(results)
	if err != nil || len(all) == 0 {
		t.Fatalf("%d results, %v", len(all), err)
	}
	for _, r := range all {
		if !slices.ContainsFunc(experiments, func(e lab.Experiment) bool { return e.System == r.System && e.Name == r.Experiment }) {
			t.Errorf("%s/%s is no experiment", r.System, r.Experiment)
		}
		for _, c := range r.Claims {
			if again := c.Claim.Judge(r.Result); again.Holds != c.Holds || again.Control != c.Control {
				t.Errorf("%s/%s, claim %s: shipped as %v (%s), the figures say %v (%s)", r.System, r.Experiment, c.ID, c.Holds, c.Control, again.Holds, again.Figure)
			}
		}
	}
}

// WellFormed wants that every claim has a form that can be judged, about a metric that
// has words.
func WellFormed(t *testing.T, system string, experiments []lab.Experiment) {
	t.Helper()
	for _, e := range experiments {
		if e.System != system || e.Name == "" || e.Title == "" || e.Question == "" || len(e.Claims) == 0 || e.Run == nil {
			t.Errorf("%+v", e)
		}
		metric := func(name string) bool {
			return slices.ContainsFunc(e.Metrics, func(m lab.Metric) bool { return m.Name == name && m.Text != "" })
		}
		seen := map[string]bool{}
		for _, c := range e.Claims {
			if err := c.Check(); err != nil || seen[c.ID] {
				t.Errorf("%s: claim %s: %v", e.Name, c.ID, err)
			}
			seen[c.ID] = true
			if !metric(c.Metric) || c.Than != nil && !metric(c.Than.Metric) {
				t.Errorf("%s: claim %s is about a metric that is not described", e.Name, c.ID)
			}
		}
		for _, p := range e.Picture {
			if !metric(p) {
				t.Errorf("%s: the picture of %s has no metric", e.Name, p)
			}
		}
	}
}
