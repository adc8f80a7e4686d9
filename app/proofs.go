package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"plumb/engines/lab"
	filesprove "plumb/systems/files/prove"
	photosprove "plumb/systems/photos/prove"
	vendingprove "plumb/systems/vending/prove"
)

// proofs lists every room's experiments, reached by the word prove alone.
func proofs() []lab.Experiment {
	return slices.Concat(filesprove.Experiments(), photosprove.Experiments(), vendingprove.Experiments())
}

// Prove runs experiments and returns the exit status.
func Prove(ctx context.Context, o lab.Options, stdout, stderr io.Writer) int {
	o.Version = Version
	return lab.Run(ctx, proofs(), o, stdout, stderr)
}

// Figures renders the newest results (shipped ones, and those of the data
// folder when it is named) into the marked blocks of dir's Markdown files.
func Figures(dir, data string) error {
	kept, err := openArchive(data, slog.Default())
	if err != nil {
		return err
	}
	rs, err := kept.Results()
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
