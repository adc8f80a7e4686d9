package app

import (
	"context"
	"io"
	"strings"

	"plumb/base/errs"
	"plumb/engines/forecast"
	"plumb/engines/report"
	vendingplan "plumb/systems/vending/plan"
)

// plans lists every room's model.
func plans() []forecast.Model {
	return []forecast.Model{vendingplan.Model()}
}

// planOf returns a system's model.
func planOf(system string) (forecast.Model, error) {
	var names []string
	for _, m := range plans() {
		if m.Name == system {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return forecast.Model{}, errs.New(errs.Invalid, "there is no plan of %q; there are: %s", system, strings.Join(names, ", "))
}

// Plan evaluates a system's model and prints the result.
func Plan(ctx context.Context, system string, o report.Options, stdout, stderr io.Writer) error {
	m, err := planOf(system)
	if err != nil {
		return err
	}
	return report.Run(ctx, m, o, stdout, stderr)
}

// PlanInit prints a commented plan file.
func PlanInit(system string, stdout io.Writer) error {
	m, err := planOf(system)
	if err != nil {
		return err
	}
	return report.Init(m, stdout)
}
