package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"plumb/engines/lab"
	vendingprove "plumb/systems/vending/prove"
)

// proofs lists every room's experiments, reached by the word prove alone.
func proofs() []lab.Experiment {
	return vendingprove.Experiments()
}

// shipped are the results that `make figures` brought into the tree.
func shipped() (lab.Results, error) {
	return lab.LoadResults(vendingprove.Results)
}

// ProveFolder is where a data folder keeps results.
func ProveFolder(data string) string { return filepath.Join(data, "prove") }

// Prove runs experiments and returns the exit status.
func Prove(ctx context.Context, o lab.Options, stdout, stderr io.Writer) int {
	o.Version = Version
	return lab.Run(ctx, proofs(), o, stdout, stderr)
}

// results joins what was measured in the data folder with what is shipped,
// newest first. A folder that cannot be read does not hide the shipped ones.
func results(data string) (lab.Results, error) {
	all, err := shipped()
	if err != nil || data == "" {
		return all, err
	}
	own, err := lab.LoadResults(os.DirFS(ProveFolder(data)))
	return lab.Join(own, all), err
}

// Figures renders the newest results (shipped ones, and those of the data
// folder when it is named) into the marked blocks of dir's Markdown files.
func Figures(dir, data string) error {
	rs, err := results(data)
	if err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".md") {
			return err
		}
		old, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("render figures: %w", err)
		}
		new, err := lab.Figures(old, rs)
		if err != nil {
			return fmt.Errorf("render figures into %s: %w", path, err)
		}
		if string(new) == string(old) {
			return nil
		}
		return errors.Join(os.WriteFile(path, new, 0o644))
	})
}
