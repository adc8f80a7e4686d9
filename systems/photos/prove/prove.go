// Package prove sets the question's own design of photo sharing, one letter of the
// alphabet a server, and the usual fixes, beside the one that runs.
//
//	plumb prove photos
//	plumb prove photos/evenness --full --html evenness.html
//
// Where the claim is about who is placed where, the experiments are arithmetic: real
// names (package names), the very code that decides in serve (engines/placement), and
// no server. What is assumed of users stands in crowd.go.
package prove

import (
	"embed"

	"plumb/engines/lab"
)

// Results holds what a full run measured: the newest that was brought into the tree.
// Read it with lab.LoadResults.
//
//go:embed results
var Results embed.FS

// Experiments returns the experiments, in the order in which they are shown.
func Experiments() []lab.Experiment {
	return []lab.Experiment{Evenness(), Growth(), Skew(), Celebrity(), Upload(), AddShard(), LostShard(), HotLink(), PowerCut()}
}
