package prove

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

func put(t *testing.T, k keeper, name string, body []byte) {
	t.Helper()
	if err := k.put(name, bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
}

// reads says what a name has; nil when it cannot be read.
func reads(t *testing.T, k keeper, name string) []byte {
	t.Helper()
	f, err := k.open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	got, err := io.ReadAll(f)
	if err != nil {
		return nil
	}
	return got
}

// The designs that are set beside the built one are right when nothing is in their way:
// what they get wrong is their design's, and not this package's.
func TestTheOtherDesignsKeepWhatTheyAreGivenOneAfterTheOther(t *testing.T) {
	links, err := newLinkStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	hashes, err := newHashStore(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer hashes.close()
	for what, k := range map[string]keeper{"links": links, "hashes": hashes, "blocks": newBlockStore(t.TempDir())} {
		want := map[string][]byte{}
		for i := range 40 {
			name, body := fmt.Sprint("f", i%25), noise(1, fmt.Sprint(i%7), 5000*(1+i%3))
			if i%7 == 0 {
				body = nil
			}
			if what == "links" {
				name = fmt.Sprint("f", i) // a replaced original is what breaks its links
			}
			put(t, k, name, body)
			want[name] = body
		}
		for name, body := range want {
			if got := reads(t, k, name); !bytes.Equal(got, body) || got == nil {
				t.Errorf("%s: %s reads as %d bytes of %d", what, name, len(got), len(body))
			}
		}
		if err := k.remove("none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: what is not there is removed: %v", what, err)
		}
		if _, err := k.open("none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: what is not there is opened: %v", what, err)
		}
	}
}

// An upload is compared with every file of its length and no other, each content is a
// file once, and the rest are links.
func TestLinkStoreBooksBalance(t *testing.T) {
	dir := t.TempDir()
	k, err := newLinkStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	head := noise(1, "head", 4096)
	for i := range 10 {
		put(t, k, fmt.Sprint("same length ", i), append(head[:4096:4096], noise(1, fmt.Sprint(i), 200_000)...))
		put(t, k, fmt.Sprint("other length ", i), noise(1, fmt.Sprint(i), 1000+i))
	}
	// 45 pairs, each told apart by the first step after the shared beginning.
	if k.opened.Load() != 45 || k.read.Load() != 45*(4<<10+128<<10) {
		t.Errorf("%d files opened, %d bytes read", k.opened.Load(), k.read.Load())
	}
	put(t, k, "copy", append(head[:4096:4096], noise(1, "7", 200_000)...))
	if files, _, err := regular(filepath.Join(dir, "files")); files != 20 || err != nil {
		t.Errorf("%d files and no link: %v", files, err)
	}
	if err := k.remove("same length 7"); err != nil {
		t.Fatal(err)
	}
	if got := reads(t, k, "copy"); got != nil {
		t.Error("the link outlives its original")
	}
}

// One after the other, the table's counts are exact, and the last name takes the
// content with it.
func TestHashStoreBooksBalance(t *testing.T) {
	dir := t.TempDir()
	k, err := newHashStore(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer k.close()
	body := noise(1, "body", 10_000)
	for i := range 5 {
		put(t, k, fmt.Sprint(i), body)
	}
	if err := k.adopt("5", "00"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	put(t, k, "0", noise(1, "other", 10))
	wrong, err := k.miscounted()
	if files, _, _ := regular(filepath.Join(dir, "contents")); files != 2 || wrong != 0 || err != nil {
		t.Errorf("%d contents, %d miscounted: %v", files, wrong, err)
	}
	for i := range 5 {
		if err := k.remove(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if files, _, _ := regular(filepath.Join(dir, "contents")); files != 0 {
		t.Errorf("%d contents are left", files)
	}
}

// The edits are what they say: of one file, with so many bytes more, at their places.
func TestEditsAreOfTheSameFile(t *testing.T) {
	file := noise(1, "file", 100_000)
	for _, u := range edited(3, file, 10) {
		body := u.body()
		if len(body) != u.size || !bytes.Equal(body, u.body()) {
			t.Errorf("%s: %d bytes, said %d", u.metric, len(body), u.size)
		}
		switch u.metric {
		case "", "same":
			if !bytes.Equal(body, file) {
				t.Errorf("%q is another file", u.metric)
			}
		case "front":
			if !bytes.Equal(body[100:], file) {
				t.Error("front")
			}
		case "append":
			if !bytes.Equal(body[:len(file)], file) {
				t.Error("append")
			}
		case "middle", "many":
			if u.metric == "many" && u.size != len(file)+1000 {
				t.Error("many")
			}
			rest := body // the file is what is left without the inserts: a subsequence
			for _, c := range file {
				at := bytes.IndexByte(rest, c)
				if at < 0 {
					t.Fatalf("%s does not hold the file", u.metric)
				}
				rest = rest[at+1:]
			}
		}
	}
}

func TestTold(t *testing.T) {
	for _, c := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2, 3}, []float64{4, 5, 6}, 1},
		{[]float64{4, 5, 6}, []float64{1, 2, 3}, 1},
		{[]float64{1, 2, 3}, []float64{1, 2, 3}, 0},
		{[]float64{1, 3}, []float64{2, 4}, 0.5},
	} {
		if got := told(c.a, c.b); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%v, %v: %g, by hand %g", c.a, c.b, got, c.want)
		}
	}
	// The standard error is that of many tries with what tells nothing.
	rng, square := rand.New(rand.NewPCG(1, 1)), 0.0
	for range 20_000 {
		var a, b []float64
		for range 60 {
			a, b = append(a, rng.Float64()), append(b, rng.Float64())
		}
		square += told(a, b) * told(a, b) / 20_000
	}
	if got := math.Sqrt(square) / coin(60); got < 0.95 || got > 1.05 {
		t.Errorf("the error of told is %.3f of what is stated", got)
	}
	var normal []float64
	for i := range 1000 { // quantiles of a normal distribution with a deviation of 5
		normal = append(normal, 100+5*math.Sqrt2*math.Erfinv(2*(float64(i)+0.5)/1000-1))
	}
	if got := spread(append(normal, 1e9)); math.Abs(got-5) > 0.1 {
		t.Errorf("a deviation of 5 is measured as %g", got)
	}
}
