package plan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/engines/forecast"
)

var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// random returns bytes that nothing compresses, the same for the same seed.
func random(seed uint64, n int) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b)
	return b
}

// text returns words of some hundred, of which compression saves more than half.
func text(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 0))
	words := make([]string, 300)
	for i := range words {
		for range 2 + rng.IntN(8) {
			words[i] += string("etaoinshrdlucmfw"[rng.IntN(16)])
		}
	}
	b := make([]byte, 0, n+16)
	for len(b) < n {
		b = append(append(b, words[rng.IntN(len(words))]...), ' ')
	}
	return b[:n]
}

// tree makes a folder of files.
func tree(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func about(got, want float64) bool { return math.Abs(got-want) < 0.005 }

func TestASampleMeasuresWhatTheTreeWasMadeOf(t *testing.T) {
	const mb = 1 << 20
	big := random(1, 8*mb)
	edited := append(append(bytes.Clone(big[:4*mb]), "inserted"...), big[4*mb:]...)
	dir := tree(t, map[string][]byte{
		"big": big, "deep/er/big again": big, "edited": edited, "one": random(2, mb), "two": random(3, mb), "empty": nil, "notes.txt": text(4, 2*mb),
	})
	if err := os.Symlink("big", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := Measure(t.Context(), dir, day, nil)
	if err != nil {
		t.Fatal(err)
	}
	total := float64(8*3*mb + 4*mb + 8)
	rest := total - 8*mb
	if s.Files != 7 || s.Bytes != int64(total) || s.Others != 2 || s.Skipped != 0 || !near(s.SizeMean, total/7) {
		t.Errorf("%+v", s)
	}
	if !about(s.SameFiles, 8*mb/total) {
		t.Errorf("equal files %.4f, made %.4f", s.SameFiles, 8*mb/total)
	}
	// All of the edited copy but the chunk around the insertion, 1 MiB at most or two.
	if most := 8 * mb / rest; s.SameChunks > most || s.SameChunks < most-2*mb/rest {
		t.Errorf("equal chunks %.4f, made %.4f", s.SameChunks, most)
	}
	// The text is 2 MB of what is left; the rest is random.
	if left := rest * (1 - s.SameChunks); s.Compression < 0.4*2*mb/left || s.Compression > 0.8*2*mb/left {
		t.Errorf("compression %.4f", s.Compression)
	}
	again, err := Measure(t.Context(), dir, day, nil)
	if err != nil || fmt.Sprint(again) != fmt.Sprint(s) {
		t.Errorf("the same tree gives other figures: %v, then %v", s, again)
	}
}

func TestASampleSetsTheInputsAndMarksThem(t *testing.T) {
	dir := tree(t, map[string][]byte{"a": random(1, 300_000), "b": random(1, 300_000), "c": random(2, 100_000)})
	s, err := Measure(t.Context(), dir, day, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Model().WithMeasured(s.Inputs())
	if err != nil {
		t.Fatal(err)
	}
	r := with(t, compiled(t, m), forecast.Options{Samples: 500, Seed: 1}, nil)
	marked := 0
	for _, u := range r.Inputs {
		if !u.Measured {
			continue
		}
		if marked++; !strings.Contains(u.From, "3 files") || !strings.Contains(u.From, dir) || !strings.Contains(u.From, "1 March 2026") {
			t.Errorf("%s: from %q", u.Name, u.From)
		}
		switch u.Name {
		case "duplicates":
			if math.Abs(u.P50-100*3/7.0) > 0.1 {
				t.Errorf("duplicates %v", u.P50)
			}
		case "file_size":
			if u.P5 >= 0.2333 || u.P95 <= 0.2334 || math.Abs(u.P50-0.2333) > 0.03 {
				t.Errorf("file_size %v to %v", u.P5, u.P95)
			}
		}
	}
	if marked != 4 {
		t.Errorf("%d inputs are marked as measured", marked)
	}
}

func TestASampleSkipsWhatItCannotReadAndSaysSo(t *testing.T) {
	dir := tree(t, map[string][]byte{"a": random(1, 1000), "closed": random(2, 1000), "folder/closed": random(3, 1000)})
	w, err := newWalker(t.Context(), dir, day, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = w.s.Walk.Folder(t.Context(), dir, func(f *os.File, path string) error {
		if strings.HasSuffix(path, "closed") {
			f.Close() // nothing is closed to root: so reading fails for anybody
		}
		return w.file(f, path)
	})
	if s := w.result(); err != nil || s.Skipped != 2 || s.Files != 1 || len(s.Faults) != 2 || !strings.Contains(s.String(), "2 could not be read") || !strings.Contains(s.Faults[0], "closed") {
		t.Errorf("%v %+v\n%s", err, s, s)
	}
}

func TestAFolderThatHasNothingIsRefused(t *testing.T) {
	file := filepath.Join(tree(t, map[string][]byte{"f": {1}}), "f")
	for _, dir := range []string{t.TempDir(), tree(t, map[string][]byte{"empty": nil}), filepath.Join(t.TempDir(), "none"), file, ""} {
		if _, err := Measure(t.Context(), dir, day, nil); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", dir, err)
		}
	}
}

func TestASampleCanBeStoppedAndTellsHowFarItIs(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	files := map[string][]byte{}
	for i := range 20 {
		files[fmt.Sprint(i)] = random(uint64(i), 1<<20)
	}
	told := 0
	_, err := Measure(ctx, tree(t, files), day, func(s Sample) {
		if told++; s.Bytes == 0 {
			t.Errorf("%+v", s)
		}
		cancel()
	})
	if !errors.Is(err, context.Canceled) || told != 1 {
		t.Errorf("%v after %d", err, told)
	}
}

func BenchmarkMeasure(b *testing.B) {
	dir := tree(b, map[string][]byte{"random": random(1, 64<<20), "text": text(2, 16<<20)})
	b.SetBytes(80 << 20)
	for b.Loop() {
		if _, err := Measure(b.Context(), dir, day, nil); err != nil {
			b.Fatal(err)
		}
	}
}
