package prove

import (
	"slices"
	"testing"

	"plumb/engines/lab"
)

// What is shipped belongs to experiments that exist, and its verdicts follow
// from its figures.
func TestShippedResults(t *testing.T) {
	all, err := lab.LoadResults(Results)
	if err != nil || len(all) == 0 {
		t.Fatal(len(all), err)
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
