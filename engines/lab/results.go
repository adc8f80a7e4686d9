package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"
)

// Stored is a kept result with where and when it was taken.
type Stored struct {
	Plumb   string
	At      time.Time
	Machine Machine
	Seed    uint64
	*Result
}

// Results are kept results, newest first: from DATA/prove, or embedded from
// systems/NAME/prove/results.
type Results []Stored

// LoadResults reads every *.json below the root of fsys. A folder that does not
// exist holds none. A file that is not a report is an error that names it.
func LoadResults(fsys fs.FS) (Results, error) {
	var out Results
	err := fs.WalkDir(fsys, ".", func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && name == "." {
			return fs.SkipAll
		}
		if err != nil || e.IsDir() || path.Ext(name) != ".json" {
			return err
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		r, err := ParseReport(data)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, r.Stored()...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load results: %w", err)
	}
	return Join(out), nil
}

// ParseReport reads what plumb prove --json printed.
func ParseReport(data []byte) (*Report, error) {
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("not a report of plumb prove: %w", err)
	}
	for i, x := range r.Results {
		if x == nil || x.System == "" || x.Experiment == "" {
			return nil, fmt.Errorf("not a report of plumb prove: result %d names no experiment", i+1)
		}
		for k, d := range x.Designs {
			if d == nil {
				return nil, fmt.Errorf("not a report of plumb prove: design %d of %s is empty", k+1, x.Experiment)
			}
		}
	}
	return &r, nil
}

// Stored returns the report's results one by one.
func (r *Report) Stored() Results {
	var out Results
	for _, x := range r.Results {
		out = append(out, Stored{Plumb: r.Plumb, At: r.At, Machine: r.Machine, Seed: r.Seed, Result: x})
	}
	return out
}

// Join returns all results of all lists, newest first.
func Join(lists ...Results) Results {
	out := slices.Concat(lists...)
	slices.SortStableFunc(out, func(a, b Stored) int { return b.At.Compare(a.At) })
	return out
}

// Latest returns the newest result of an experiment.
func (rs Results) Latest(system, experiment string) (Stored, bool) {
	for _, s := range rs {
		if s.System == system && s.Experiment == experiment {
			return s, true
		}
	}
	return Stored{}, false
}

// System returns the newest result of each experiment of a system, by name.
func (rs Results) System(system string) Results {
	var out Results
	seen := map[string]bool{}
	for _, s := range rs {
		if s.System == system && !seen[s.Experiment] {
			seen[s.Experiment] = true
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b Stored) int {
		if a.Experiment < b.Experiment {
			return -1
		}
		return 1
	})
	return out
}

// Figure returns a metric of a design (by name or kind) of the newest result.
func (rs Results) Figure(system, experiment, design, metric string) (v float64, m Metric, ok bool) {
	s, ok := rs.Latest(system, experiment)
	if !ok {
		return 0, Metric{}, false
	}
	_, v, ok = value(s.Designs, design, metric)
	return v, s.Metric(metric), ok
}
