package main

import (
	"io"
	"strings"
	"testing"

	"plumb/app"
	"plumb/engines/farm"
)

// The hidden word serves a farm's tasks, and only those.
func TestFarm(t *testing.T) {
	p, err := farm.New(farm.Options{Args: []string{app.FarmWord}, Size: 1, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var got []byte
	u, err := p.Do(t.Context(), farm.Task{Name: "farm.echo", In: strings.NewReader("hello"), Out: func(_ string, r io.Reader) (err error) {
		got, err = io.ReadAll(r)
		return err
	}})
	if err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	t.Logf("%+v; %s", u, strings.Join(p.Stats().Isolation, "; "))
	if code, out, said := plumb(t, app.FarmWord); code != usage || out != "" || !strings.Contains(said, "children that the program starts itself") {
		t.Errorf("by hand: exit %d, %q, %q", code, out, said)
	}
	if _, out, _ := plumb(t, "--help"); strings.Contains(out, app.FarmWord) {
		t.Error("the word is not for people")
	}
}

// BenchmarkFarm starts a fresh child of this program for each task: what its size costs.
func BenchmarkFarm(b *testing.B) {
	p, err := farm.New(farm.Options{Args: []string{app.FarmWord}, Size: 1, Reuse: 1, Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	for b.Loop() {
		if _, err := p.Do(b.Context(), farm.Task{Name: "farm.echo"}); err != nil {
			b.Fatal(err)
		}
	}
}
