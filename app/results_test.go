package app

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A proof that ends while the house runs is seen at once, and somebody else's
// file beside its result hides nothing.
func TestArchiveSeesNewResultsAndLeavesOutOthers(t *testing.T) {
	data := t.TempDir()
	var said bytes.Buffer
	a, err := openArchive(data, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	before, err := a.Results()
	if err != nil {
		t.Fatalf("without a folder: %v", err)
	}
	put := func(name, text string) {
		path := filepath.Join(ProveFolder(data), "vending", "herd", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("20990101T000000Z-quick.json", `{"at":"2099-01-01T00:00:00Z","seed":7,"results":[{"system":"vending","experiment":"herd","designs":[],"claims":[]}]}`)
	put("notes.json", "not a result")
	for range 2 {
		after, err := a.Results()
		if err != nil {
			t.Fatal(err)
		}
		newest, ok := after.Latest("vending", "herd")
		if len(after) != len(before)+1 || !ok || newest.Seed != 7 {
			t.Errorf("%d results, %d before; the newest has seed %d", len(after), len(before), newest.Seed)
		}
	}
	if n := strings.Count(said.String(), "notes.json"); n != 1 {
		t.Errorf("the other file is told %d times: %s", n, said.String())
	}
}
