// Package report shows what a plan found: as a table with small charts on a
// terminal, as JSON and CSV for programs, and as one HTML file that needs
// nothing else.
//
//	err := report.Run(ctx, plan.Model(), report.Options{Months: 12, Set: []string{"machines=50k"}}, os.Stdout, os.Stderr)
//
// All four forms are pure functions of the forecast.Result, so the same seed
// gives the same bytes. A figure that was measured is marked as such in each.
package report

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"plumb/base/errs"
	"plumb/engines/forecast"
	"plumb/engines/forecast/planfile"
)

// Options say what to run and what to show. Zero values leave the choice to
// the plan file, and after it to the defaults: 12 months, 20,000 samples, seed
// 1, the expected scenario, a table.
type Options struct {
	File     string // a plan file; "" for the model's own defaults
	Months   int
	Samples  int
	Seed     uint64
	HasSeed  bool // Seed was given: it goes before the file's
	Scenario string
	Set      []string // INPUT=VALUE; a VALUE without a unit is in the input's own
	JSON     bool
	CSV      bool
	HTML     string // write the report into this file too
}

// Run evaluates m and prints the result to stdout. Errors of kind Invalid are
// wrong usage: a plan file's faults (one a line, with file, line and key), an
// unknown input, an impossible range.
func Run(ctx context.Context, m forecast.Model, o Options, stdout, stderr io.Writer) error {
	if o.JSON && o.CSV {
		return errs.New(errs.Invalid, "JSON and CSV exclude each other")
	}
	r, err := Evaluate(ctx, m, o)
	if err != nil {
		return err
	}
	if o.HTML != "" {
		if err := writeFile(o.HTML, func(w io.Writer) error { return HTML(w, r) }); err != nil {
			return err
		}
		fmt.Fprintf(stderr, "report written to %s\n", o.HTML)
	}
	switch {
	case o.JSON:
		return JSON(stdout, r)
	case o.CSV:
		return CSV(stdout, r)
	}
	return Text(stdout, r)
}

// Init prints a commented plan file with every input of m.
func Init(m forecast.Model, stdout io.Writer) error { return planfile.Write(stdout, m) }

// Evaluate runs m as the options and their plan file say.
func Evaluate(ctx context.Context, m forecast.Model, o Options) (*forecast.Result, error) {
	run := forecast.Options{Seed: 1}
	if o.File != "" {
		f, err := readFile(o.File, m)
		if err != nil {
			return nil, err
		}
		m = f.Model
		run = forecast.Options{Months: f.Months, Samples: f.Samples, Seed: 1, Scenario: f.Scenario, Budget: f.Budget}
		if f.HasSeed {
			run.Seed = f.Seed
		}
	}
	p, err := forecast.Compile(m)
	if err != nil {
		return nil, err
	}
	if o.Months != 0 {
		run.Months = o.Months
	}
	if o.Samples != 0 {
		run.Samples = o.Samples
	}
	if o.HasSeed {
		run.Seed = o.Seed
	}
	if o.Scenario != "" {
		run.Scenario = o.Scenario
	}
	if run.Set, err = readSet(p, o.Set); err != nil {
		return nil, err
	}
	return p.Run(ctx, run)
}

// readSet reads INPUT=VALUE pairs; the last one of an input counts.
func readSet(p *forecast.Program, pairs []string) (map[string]forecast.Range, error) {
	set := map[string]forecast.Range{}
	for _, pair := range pairs {
		name, text, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, errs.New(errs.Invalid, "--set %s: write INPUT=VALUE", pair)
		}
		name = strings.TrimSpace(name)
		rg, err := p.ReadRange(name, text, true)
		if err != nil {
			return nil, errs.New(errs.Invalid, "--set %s: %s", pair, errs.Message(err))
		}
		set[name] = rg
	}
	return set, nil
}

func readFile(name string, m forecast.Model) (planfile.File, error) {
	f, err := os.Open(name)
	if err != nil {
		return planfile.File{}, errs.New(errs.Invalid, "plan file: %v", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, planfile.MaxSize+1))
	if err != nil {
		return planfile.File{}, fmt.Errorf("read plan file %s: %w", name, err)
	}
	return planfile.Read(name, data, m)
}

// writeFile writes beside the target and renames, so that a report half
// written never stands where a good one stood.
func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".plan-*")
	if err != nil {
		return errs.New(errs.Invalid, "write report %s: %v", name, err)
	}
	err = write(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write report %s: %w", name, err)
	}
	return nil
}
