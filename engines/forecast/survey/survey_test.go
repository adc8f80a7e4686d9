package survey

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"plumb/base/errs"
)

func write(t *testing.T, path string, data string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(data), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func TestAWalkSeesEveryFileOnceAndFollowsNothing(t *testing.T) {
	dir := t.TempDir()
	want := []string{}
	for i := range 700 { // more than one reading of a folder
		name := fmt.Sprintf("%d/%d", i%3, i)
		want = append(want, name)
		write(t, filepath.Join(dir, name), name)
	}
	if err := errors.Join(os.Symlink(filepath.Join(dir, "0"), filepath.Join(dir, "link")), syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644)); err != nil {
		t.Fatal(err)
	}
	var got []string
	w := Walk{Flag: "--x"}
	err := w.Folder(t.Context(), dir, func(f *os.File, path string) error {
		data, err := io.ReadAll(f)
		got = append(got, string(data))
		if path != filepath.Join(dir, string(data)) {
			t.Errorf("%s holds %s", path, data)
		}
		return err
	})
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) || w.Others != 2 || w.Skipped != 0 || !strings.Contains(w.String(), "2 links") {
		t.Errorf("%d files of %d, %+v, %v", len(got), len(want), w, err)
	}
}

func TestWhatCannotBeReadIsCountedAndNamed(t *testing.T) {
	dir := t.TempDir()
	for i := range 9 {
		write(t, filepath.Join(dir, fmt.Sprint("f", i)), "x")
	}
	w := Walk{Flag: "--x"}
	err := w.Folder(t.Context(), dir, func(f *os.File, path string) error {
		if strings.HasSuffix(path, "f0") {
			return nil
		}
		return &os.PathError{Op: "read", Path: path, Err: syscall.EIO}
	})
	if text := w.String(); err != nil || w.Skipped != 8 || len(w.Faults) != mostFaults || !strings.Contains(text, "8 could not be read") || !strings.Contains(text, "and 3 more") || strings.Contains(text, ": read /") {
		t.Errorf("%v %d\n%s", err, w.Skipped, w.String())
	}
	for _, bad := range []string{filepath.Join(dir, "none"), filepath.Join(dir, "f0"), ""} {
		w := Walk{Flag: "--x"}
		if err := w.Folder(t.Context(), bad, nil); !errs.Is(err, errs.Invalid) || !strings.HasPrefix(err.Error(), "--x "+bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestAWalkStopsWhenItIsTold(t *testing.T) {
	dir := t.TempDir()
	for i := range 50 {
		write(t, filepath.Join(dir, fmt.Sprint(i)), "x")
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	w := Walk{Flag: "--x"}
	err := w.Folder(ctx, dir, func(*os.File, string) error {
		seen++
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || seen != 1 {
		t.Errorf("%v after %d files", err, seen)
	}
}

// However much comes, so many are kept, and each of those with all its times.
func TestMemoryIsBoundedAndSharesStay(t *testing.T) {
	type content struct{ id, times int }
	thin := NewThin[content](1000)
	times := func(i int) int { return 1 + i%4 }
	for round := range 4 {
		for i := range 50_000 {
			if times(i) > round {
				if c := thin.At(sha256.Sum256(fmt.Append(nil, i))); c != nil {
					c.id, c.times = i, c.times+1
				}
			}
		}
		if len(thin.by) > 1000 {
			t.Fatalf("%d are kept", len(thin.by))
		}
	}
	kept, sum := 0, 0
	thin.Each(func(c *content) {
		kept, sum = kept+1, sum+c.times
		if c.times != times(c.id) {
			t.Errorf("%d came %d times, %d are known", c.id, times(c.id), c.times)
		}
	})
	if mean := float64(sum) / float64(kept); kept < 400 || math.Abs(mean-2.5) > 0.2 {
		t.Errorf("%d are kept, %.2f times on average, not 2.5", kept, mean)
	}
}
