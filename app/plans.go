package app

import (
	"context"
	"fmt"
	"io"
	"strings"

	"plumb/base/errs"
	"plumb/engines/forecast"
	"plumb/engines/lab"
	"plumb/engines/report"
	vendingplan "plumb/systems/vending/plan"
)

// plans lists every room's model, with the unit costs that the shipped results
// of its proofs measured. Results that cannot be read leave the assumptions.
func plans() []forecast.Model {
	rs, _ := shipped()
	return []forecast.Model{
		measured(vendingplan.Model(), vendingplan.FromProofs(figuresOf(rs, "vending"))),
	}
}

// measured replaces assumptions. What does not fit the model is left out: a
// result of an older version must not keep a plan from running.
func measured(m forecast.Model, by map[string]forecast.Measurement) forecast.Model {
	if with, err := m.WithMeasured(by); err == nil {
		return with
	}
	return m
}

// figuresOf looks a system's newest figures up, with where they were taken.
func figuresOf(rs lab.Results, system string) func(experiment, design, metric string) (float64, string, bool) {
	return func(experiment, design, metric string) (float64, string, bool) {
		s, ok := rs.Latest(system, experiment)
		if !ok {
			return 0, "", false
		}
		v, _, ok := rs.Figure(system, experiment, design, metric)
		return v, fmt.Sprintf("%s, on %s with %d cores", s.At.Format("2 January 2006"), s.Machine.CPU, s.Machine.CPUs), ok
	}
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
