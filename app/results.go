package app

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"plumb/engines/lab"
	filesprove "plumb/systems/files/prove"
	photosprove "plumb/systems/photos/prove"
	vendingprove "plumb/systems/vending/prove"
)

// shipped are the results that `make figures` brought into the tree.
func shipped() (lab.Results, error) {
	files, err := lab.LoadResults(filesprove.Results)
	if err != nil {
		return nil, err
	}
	photos, err := lab.LoadResults(photosprove.Results)
	if err != nil {
		return nil, err
	}
	vending, err := lab.LoadResults(vendingprove.Results)
	return lab.Join(files, photos, vending), err
}

// ProveFolder is where a data folder keeps results.
func ProveFolder(data string) string { return filepath.Join(data, "prove") }

// archive is what was measured: the shipped results and those of a data folder,
// where proofs add files while the house runs. A kept file never changes, so
// that each is read once. Its methods are safe for concurrent use.
type archive struct {
	folder  string
	log     *slog.Logger
	shipped lab.Results

	mu   sync.Mutex
	read map[string]lab.Results // by path; empty for a file that is no result
}

// openArchive opens the results of a data folder; "" has the shipped ones only.
func openArchive(data string, log *slog.Logger) (*archive, error) {
	own, err := shipped()
	if err != nil {
		return nil, err
	}
	a := &archive{log: log, shipped: own, read: map[string]lab.Results{}}
	if data != "" {
		a.folder = ProveFolder(data)
	}
	return a, nil
}

// Results returns all results, newest first. A file that is no result is logged
// once and left out: somebody else's file must not hide what was measured.
func (a *archive) Results() (lab.Results, error) {
	if a.folder == "" {
		return a.shipped, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	lists := []lab.Results{}
	err := filepath.WalkDir(a.folder, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // nothing was proven here, or it was tidied away just now
		}
		if err != nil || e.IsDir() || filepath.Ext(path) != ".json" {
			return err
		}
		one, known := a.read[path]
		if !known {
			if one, err = readResult(path); err != nil {
				a.log.Warn("a file among the results of proofs is left out", "error", err)
			}
			a.read[path] = one
		}
		lists = append(lists, one)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the results of proofs: %w", err)
	}
	return lab.Join(append(lists, a.shipped)...), nil
}

// latest is Results for who can do without.
func (a *archive) latest() lab.Results {
	rs, err := a.Results()
	if err != nil {
		a.log.Warn("the results of proofs cannot be read", "error", err)
		return a.shipped
	}
	return rs
}

func readResult(path string) (lab.Results, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r, err := lab.ParseReport(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r.Stored(), nil
}
