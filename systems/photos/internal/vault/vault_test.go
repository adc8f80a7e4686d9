package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"

	"plumb/base/errs"
	"plumb/engines/bucket"
)

var house = bytes.Repeat([]byte{7}, 32)

func logNone() *slog.Logger { return slog.New(slog.DiscardHandler) }

// open returns a vault over n buckets in memory; domains names those of the first.
func open(t testing.TB, n int, domains ...string) (*Vault, []Place) {
	t.Helper()
	places := make([]Place, n)
	for i := range places {
		places[i] = Place{No: int64(i + 1), Bucket: bucket.Memory(), Takes: true}
		if i < len(domains) {
			places[i].Domain = domains[i]
		}
	}
	v, err := New(Needs{Places: func() []Place { return places }, Key: house, Log: logNone()})
	if err != nil {
		t.Fatal(err)
	}
	return v, places
}

func bytesOf(n int) []byte {
	b := make([]byte, n)
	rnd := rand.NewChaCha8([32]byte{1})
	rnd.Read(b)
	return b
}

func TestCopiesComeBackWhole(t *testing.T) {
	v, _ := open(t, 3)
	for _, n := range []int{0, 1, 64 << 10, part - 1, part, part + 1, 3*part + 5} {
		want := bytesOf(n)
		photo := fmt.Sprintf("p-%d", n)
		holders, err := v.Put(t.Context(), Copy{Owner: "anna", Photo: photo, Note: []byte("row of " + photo), Home: 2}, bytes.NewReader(want), int64(n), 1)
		if err != nil || len(holders) != 1 || holders[0] == 2 {
			t.Fatalf("%d bytes: holders %v, %v", n, holders, err)
		}
		r, err := v.Open(t.Context(), "anna", photo, holders)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want) || string(r.Note) != "row of "+photo || r.Size() != int64(n) {
			t.Errorf("%d bytes: %d came back with %q, %v", n, len(got), r.Note, err)
		}
		if n > 0 {
			one := make([]byte, 1)
			if _, err := r.ReadAt(one, int64(n-1)); err != nil || one[0] != want[n-1] {
				t.Errorf("%d bytes: the last is %v, %v", n, one, err)
			}
		}
		if _, err := v.Open(t.Context(), "anna", photo, nil); err != nil {
			t.Errorf("without its row the copy is not found: %v", err)
		}
		if err := v.Remove(t.Context(), "anna", photo, holders); err != nil {
			t.Error(err)
		}
		if _, err := v.Open(t.Context(), "anna", photo, nil); !errs.Is(err, errs.NotFound) {
			t.Errorf("a removed copy: %v", err)
		}
	}
}

// Whatever byte of an object is changed, cut or taken from another, it does not open.
func TestADamagedCopyIsRefused(t *testing.T) {
	v, places := open(t, 2)
	ctx, b := t.Context(), places[1].Bucket
	content := bytesOf(part + 100)
	for _, photo := range []string{"one", "two"} {
		if _, err := v.Put(ctx, Copy{Owner: "anna", Photo: photo, Note: []byte("note"), Home: 1}, bytes.NewReader(content), int64(len(content)), 1); err != nil {
			t.Fatal(err)
		}
	}
	good := fetch(t, b, "copies/anna/one")
	try := func(what string, raw []byte) {
		t.Helper()
		if err := b.Put(ctx, "copies/anna/one", bytes.NewReader(raw), int64(len(raw)), bucket.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		r, err := v.Open(ctx, "anna", "one", nil)
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if err == nil {
			t.Errorf("%s opens", what)
		}
	}
	for at := 0; at < len(good); at += 1 + at/50*7 {
		bad := bytes.Clone(good)
		bad[at] ^= 4
		try(fmt.Sprintf("with byte %d changed it", at), bad)
	}
	for _, n := range []int{0, 5, wholeHead, wholeHead + 3, len(good) - 1} {
		try(fmt.Sprintf("cut to %d bytes it", n), good[:n])
	}
	try("another photo's copy", fetch(t, b, "copies/anna/two"))
}

func fetch(t testing.TB, b bucket.Bucket, key string) []byte {
	t.Helper()
	r, err := b.Get(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// away is a bucket that cannot be reached.
type away struct{ bucket.Bucket }

func (away) Put(context.Context, string, io.Reader, int64, bucket.PutOptions) error {
	return errs.New(errs.Busy, "away")
}

func TestABucketThatFailsIsPassedOver(t *testing.T) {
	v, places := open(t, 3)
	places[1].Bucket = away{places[1].Bucket}
	for i := range 20 {
		holders, err := v.Put(t.Context(), Copy{Owner: "anna", Photo: fmt.Sprint(i), Home: 1}, bytes.NewReader(nil), 0, 1)
		if err != nil || !slices.Equal(holders, []int64{3}) {
			t.Errorf("photo %d: %v, %v", i, holders, err)
		}
	}
	places[2].Takes = false
	if holders, err := v.Put(t.Context(), Copy{Owner: "anna", Photo: "x", Home: 1}, bytes.NewReader(nil), 0, 1); err != nil || len(holders) != 0 {
		t.Errorf("with no bucket left: %v, %v", holders, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	places[2].Takes, places[2].Bucket = true, away{places[2].Bucket}
	if _, err := v.Put(ctx, Copy{Owner: "anna", Photo: "x", Home: 1}, bytes.NewReader(nil), 0, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Copies spread over all buckets, and stand in other domains while there are such.
func TestCopiesSpreadOverDomains(t *testing.T) {
	v, _ := open(t, 6, "a", "a", "a", "b", "b", "c")
	count := map[int64]int{}
	for i := range 600 {
		holders, err := v.Put(t.Context(), Copy{Owner: "o", Photo: fmt.Sprint(i), Home: 1}, bytes.NewReader(nil), 0, 2)
		if err != nil || len(holders) != 2 || slices.Contains(holders, 2) || slices.Contains(holders, 3) || slices.Contains(holders, 1) || !slices.Contains(holders, 6) {
			t.Fatalf("photo %d of domain a: %v, %v", i, holders, err)
		}
		count[holders[0]]++
		count[holders[1]]++
	}
	if count[4] < 240 || count[5] < 240 {
		t.Errorf("domain b's two buckets got %d and %d of 600", count[4], count[5])
	}
}

func TestOwnersAndTheirPhotosAreFound(t *testing.T) {
	v, places := open(t, 2)
	for _, owner := range []string{"anna", "anna-b", "ben", "zoe"} {
		for _, photo := range []string{"1", "2", "3"} {
			if _, err := v.Put(t.Context(), Copy{Owner: owner, Photo: photo, Home: 1}, bytes.NewReader(nil), 0, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := v.PutManifest(t.Context(), Manifest{"carl", 1, nil}, 2, 1); err != nil {
		t.Fatal(err)
	}
	all, err := Owners(t.Context(), places[1].Bucket, "", 10)
	if err != nil || !slices.Equal(all, []string{"anna-b", "anna", "ben", "carl", "zoe"}) {
		t.Errorf("owners: %q, %v", all, err)
	}
	if some, err := Owners(t.Context(), places[1].Bucket, "anna-b", 2); err != nil || !slices.Equal(some, []string{"anna", "ben"}) {
		t.Errorf("owners after anna-b: %q, %v", some, err)
	}
	if ids, err := Photos(t.Context(), places[1].Bucket, "anna", "1", 10); err != nil || !slices.Equal(ids, []string{"2", "3"}) {
		t.Errorf("anna's photos after the first: %q, %v", ids, err)
	}
}

func TestTheNewestManifestThatOpensIsUsed(t *testing.T) {
	v, places := open(t, 3)
	ctx := t.Context()
	for rev := range int64(5) {
		rows := bytes.Repeat([]byte(fmt.Sprintf("row at %d\n", rev)), 1000)
		holders, err := v.PutManifest(ctx, Manifest{"anna", rev, rows}, 2, 2)
		if err != nil || len(holders) != 2 || !slices.Contains(holders, 2) {
			t.Fatalf("manifest %d: %v, %v", rev, holders, err)
		}
	}
	m, err := v.NewestManifest(ctx, "anna")
	if err != nil || m.Rev != 4 || !bytes.HasPrefix(m.Rows, []byte("row at 4\n")) || len(m.Rows) != 9000 {
		t.Fatalf("the newest is %d with %d bytes, %v", m.Rev, len(m.Rows), err)
	}
	if list, err := places[1].Bucket.List(ctx, "manifests/anna/", "", 10); err != nil || len(list) != 2 {
		t.Errorf("kept at home: %v, %v", list, err)
	}
	for _, p := range places { // the newest is damaged everywhere
		key := fmt.Sprintf("manifests/anna/%020d", 4)
		if _, err := p.Bucket.Stat(ctx, key); err == nil {
			if err := p.Bucket.Put(ctx, key, bytes.NewReader([]byte("x")), 1, bucket.PutOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if m, err := v.NewestManifest(ctx, "anna"); err != nil || m.Rev != 3 {
		t.Errorf("behind a damaged one: %d, %v", m.Rev, err)
	}
	if _, err := v.NewestManifest(ctx, "ben"); !errs.Is(err, errs.NotFound) {
		t.Errorf("nobody's: %v", err)
	}
}

func TestAnEarlierKeyStillOpens(t *testing.T) {
	v, places := open(t, 2)
	if _, err := v.Put(t.Context(), Copy{Owner: "a", Photo: "p", Home: 1}, bytes.NewReader([]byte("x")), 1, 1); err != nil {
		t.Fatal(err)
	}
	next := bytes.Repeat([]byte{8}, 32)
	for _, c := range []struct {
		old  [][]byte
		good bool
	}{{nil, false}, {[][]byte{house}, true}} {
		w, err := New(Needs{Places: func() []Place { return places }, Key: next, Old: c.old, Log: logNone()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Open(t.Context(), "a", "p", nil); (err == nil) != c.good {
			t.Errorf("with %d earlier keys: %v", len(c.old), err)
		}
	}
}

func TestOddIDsAreRefused(t *testing.T) {
	v, _ := open(t, 2)
	for _, id := range []string{"", "../x", "a/b", "A", ".x", string(make([]byte, 65))} {
		if _, err := v.Put(t.Context(), Copy{Owner: id, Photo: "p"}, bytes.NewReader(nil), 0, 1); !errs.Is(err, errs.Invalid) {
			t.Errorf("owner %q: %v", id, err)
		}
	}
	if _, err := v.Put(t.Context(), Copy{Owner: "a", Photo: "p", Note: make([]byte, MaxNote+1)}, bytes.NewReader(nil), 0, 1); !errs.Is(err, errs.TooLarge) {
		t.Errorf("a long note: %v", err)
	}
	if _, err := v.Put(t.Context(), Copy{Owner: "a", Photo: "p"}, bytes.NewReader([]byte("abc")), 5, 1); err != nil {
		t.Errorf("content that is shorter than said stops the upload: %v", err) // it took no copy
	}
	if _, err := v.Open(t.Context(), "a", "p", nil); !errs.Is(err, errs.NotFound) {
		t.Errorf("and left a copy: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	v, places := open(f, 1)
	if err := v.write(f.Context(), places[0].Bucket, "copies/a/p", []byte("note"), bytes.NewReader([]byte("content")), 7); err != nil {
		f.Fatal(err)
	}
	good := fetch(f, places[0].Bucket, "copies/a/p")
	f.Add(good)
	f.Add(good[:wholeHead])
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b := bucket.Memory()
		if err := b.Put(t.Context(), "copies/a/p", bytes.NewReader(raw), int64(len(raw)), bucket.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		r, err := v.open(t.Context(), b, "copies/a/p")
		if err != nil {
			return
		}
		if got, err := io.ReadAll(r); err == nil && string(got) != "content" {
			t.Errorf("%q opens to %q", raw, got)
		}
	})
}
