package app

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"plumb/base/errs"
	"plumb/base/units"
	"plumb/engines/forecast"
	"plumb/engines/lab"
	"plumb/engines/report"
	filesplan "plumb/systems/files/plan"
	photosplan "plumb/systems/photos/plan"
	vendingplan "plumb/systems/vending/plan"
)

// plans lists every room's model, with the unit costs that the shipped results
// of its proofs measured. Results that cannot be read leave the assumptions.
func plans() []forecast.Model {
	rs, _ := shipped()
	return []forecast.Model{
		measured(filesplan.Model(), filesplan.FromProofs(figuresOf(rs, "files"))),
		measured(photosplan.Model(), photosplan.FromProofs(figuresOf(rs, "photos"))),
		measured(vendingplan.Model(), vendingplan.FromProofs(figuresOf(rs, "vending"))),
	}
}

// samplers measure a folder of the user's own for the plans that can learn from one,
// and tell on stderr what they do.
var samplers = map[string]func(ctx context.Context, folder string, stderr io.Writer) (map[string]forecast.Measurement, error){
	"files": func(ctx context.Context, folder string, stderr io.Writer) (map[string]forecast.Measurement, error) {
		return sampled(ctx, filesplan.Measure, folder, stderr, func(s filesplan.Sample) string {
			return fmt.Sprintf("%s files, %s", units.Count(s.Files), units.Bytes(float64(s.Bytes)))
		})
	},
	"photos": func(ctx context.Context, folder string, stderr io.Writer) (map[string]forecast.Measurement, error) {
		return sampled(ctx, photosplan.Measure, folder, stderr, func(s photosplan.Sample) string {
			return fmt.Sprintf("%s photos, %s", units.Count(s.Photos), units.Bytes(float64(s.Bytes)))
		})
	},
}

// sample is what a plan's Measure finds.
type sample interface {
	Inputs() map[string]forecast.Measurement
	String() string
}

// sampled measures a folder, with a line of progress on a terminal.
func sampled[S sample](ctx context.Context, measure func(context.Context, string, time.Time, func(S)) (S, error), folder string, stderr io.Writer, line func(S) string) (map[string]forecast.Measurement, error) {
	tell := func(s S) { fmt.Fprintf(stderr, "\r%s ", line(s)) }
	if f, ok := stderr.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		tell = nil // a file or a pipe gets the result alone
	}
	s, err := measure(ctx, folder, time.Now(), tell)
	if tell != nil {
		fmt.Fprint(stderr, "\r\x1b[K")
	}
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(stderr, "%s: %s\n", folder, s)
	return s.Inputs(), nil
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

// sampledPlan returns a system's model with what is measured on a folder; "" measures
// nothing.
func sampledPlan(ctx context.Context, system, folder string, stderr io.Writer) (forecast.Model, error) {
	m, err := planOf(system)
	if err != nil || folder == "" {
		return m, err
	}
	sample, ok := samplers[system]
	if !ok {
		return m, errs.New(errs.Invalid, "the plan of %s takes no --calibrate; these do: %s", system, strings.Join(slices.Sorted(maps.Keys(samplers)), ", "))
	}
	found, err := sample(ctx, folder, stderr)
	if err != nil {
		return m, err
	}
	return m.WithMeasured(found)
}

// Plan evaluates a system's model and prints the result. A folder, where one is named,
// is measured first.
func Plan(ctx context.Context, system, folder string, o report.Options, stdout, stderr io.Writer) error {
	m, err := sampledPlan(ctx, system, folder, stderr)
	if err != nil {
		return err
	}
	return report.Run(ctx, m, o, stdout, stderr)
}

// PlanInit prints a commented plan file, with what is measured on a folder, where one
// is named.
func PlanInit(ctx context.Context, system, folder string, stdout, stderr io.Writer) error {
	m, err := sampledPlan(ctx, system, folder, stderr)
	if err != nil {
		return err
	}
	return report.Init(m, stdout)
}
