package prove

import (
	"slices"
	"testing"

	"plumb/engines/lab"
)

// What is shipped belongs to experiments that exist, and its verdicts follow from its
// figures.
func TestShippedResults(t *testing.T) {
	all, err := lab.LoadResults(Results)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if !slices.ContainsFunc(Experiments(), func(e lab.Experiment) bool { return e.System == r.System && e.Name == r.Experiment }) {
			t.Errorf("%s/%s is no experiment", r.System, r.Experiment)
		}
		for _, c := range r.Claims {
			if again := c.Claim.Judge(r.Result); again.Holds != c.Holds || again.Control != c.Control {
				t.Errorf("%s/%s, claim %s: shipped as %v (%s), the figures say %v (%s)", r.System, r.Experiment, c.ID, c.Holds, c.Control, again.Holds, again.Figure)
			}
		}
	}
}

// Every claim has a form that can be judged, about a metric that has words.
func TestClaimsAreWellFormed(t *testing.T) {
	for _, e := range Experiments() {
		if e.System != "files" || e.Name == "" || e.Title == "" || e.Question == "" || e.Run == nil {
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
