package app

import (
	"context"
	"encoding/json"
	"io"

	"plumb/engines/farm"
	"plumb/systems/photos"
)

// FarmWord is what a child of the farm is started with; see cmd/plumb.
const FarmWord = "farm"

// FarmWorks lists the work that rooms have done in child processes, by name.
func FarmWorks() map[string]farm.Work {
	works := photos.Works()
	works["farm.echo"] = echo
	return works
}

// echo gives its input back: what it takes to have something done in a child.
func echo(_ context.Context, _ json.RawMessage, in *io.SectionReader, out func(string) io.WriteCloser) error {
	w := out("echo")
	if _, err := io.Copy(w, in); err != nil {
		return err
	}
	return w.Close()
}
