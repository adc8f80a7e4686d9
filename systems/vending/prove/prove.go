// Package prove sets the question's own design of the vending fleet, and the
// usual fix, beside the one that runs.
//
//	plumb prove vending
//	plumb prove vending/herd --full --sweep --html herd.html
//
// The experiments drive a real plumb serve vending from outside, and where the
// claim is about more machines than this one holds, the very code that decides
// there (engines/fleet/slots) in virtual time, with the capacity measured on the
// real path first.
package prove

import (
	"embed"

	"plumb/engines/lab"
)

// Results holds what a full run measured: the newest that was brought into the
// tree. Read it with lab.LoadResults.
//
//go:embed results
var Results embed.FS

// Experiments returns the experiments, in the order in which they are shown.
func Experiments() []lab.Experiment {
	return []lab.Experiment{Herd(), Sockets(), Storm(), BadLines(), Gated(), Tenfold(), PowerCut()}
}
