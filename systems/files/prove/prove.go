// Package prove sets the question's own design of file storage, and the usual fixes,
// beside the one that runs.
//
//	plumb prove files
//	plumb prove files/compare --full --html compare.html
//
// The question's design and the textbook's are small programs of this package
// (linkStore, hashStore, blockStore): real files on a real disk, tuned as well as they
// allow, behind the same HTTP methods. The built one is a plumb serve files, started as
// a child on throw-away data and driven through its API.
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
	return []lab.Experiment{Compare(), Race(), Originals(), Edits(), PowerCut(), Oracle()}
}
