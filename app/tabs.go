package app

import (
	"context"

	"plumb/console"
	"plumb/engines/forecast"
	"plumb/engines/lab"
	"plumb/engines/lab/child"
)

// proveTab is the Prove tab over every room's experiments; what runs in it ends
// with ctx.
func proveTab(ctx context.Context, data string, kept *archive) console.Tab {
	return console.NewProve(ctx, proving{data, kept})
}

// proving is console.Proofs.
type proving struct {
	data string
	*archive
}

// Experiments lists those of a system, or all of them.
func (p proving) Experiments(system string) []lab.Experiment {
	var list []lab.Experiment
	for _, e := range proofs() {
		if system == "" || e.System == system {
			list = append(list, e)
		}
	}
	return list
}

// Command runs one experiment by this same binary.
func (p proving) Command(experiment string, full bool) (string, []string, error) {
	program, err := child.Program()
	mode := "--quick"
	if full {
		mode = "--full"
	}
	return program, []string{"prove", experiment, mode, "--json", "--progress", "ndjson", "--data", p.data}, err
}

func planTab() console.Tab { return console.NewPlan(planning{}) }

// planning is console.Plans.
type planning struct{}

// Models lists every room's.
func (planning) Models() []forecast.Model { return plans() }
