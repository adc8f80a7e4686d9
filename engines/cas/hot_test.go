package cas_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"plumb/base/clock"
	"plumb/engines/bucket"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// hotStore is a store in a folder with a small cache.
func hotStore(t *testing.T, o cas.Options) (*sqldb.DB, *cas.Store, string) {
	db := sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{})
	dir := t.TempDir()
	bk, err := bucket.Folder(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := cas.Open(t.Context(), cas.Needs{DB: db, Bucket: bk, Key: houseKey, Clock: clock.System{}}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return db, s, dir
}

// readFor reads a content whole for somebody's sake.
func readFor(t *testing.T, s *cas.Store, h cas.Hash, sake string) []byte {
	r, err := s.OpenFor(t.Context(), h, sake)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := r.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// damage changes every byte of every object.
func damage(t *testing.T, dir string) {
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i := range b {
			b[i] ^= 1
		}
		return os.WriteFile(path, b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What was read twice is at hand, for the sake of whoever read it, until it is found bad
// where it lies; what was read once is not, nor is more than the bound.
func TestHot(t *testing.T) {
	const size, most = 700_000, 32 * 65536
	db, s, dir := hotStore(t, cas.Options{Cache: most})
	content, other := random(1, size), random(2, 3*most)
	h, big := keep(t, db, s, content, cas.PutOptions{}), keep(t, db, s, other, cas.PutOptions{})
	bad := func(h cas.Hash, sake string) bool {
		r, err := s.OpenFor(t.Context(), h, sake)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		_, err = r.WriteTo(io.Discard)
		return err != nil
	}
	for range 2 {
		if !bytes.Equal(readFor(t, s, h, "ada"), content) {
			t.Fatal("read other bytes")
		}
	}
	if frames, bytes := s.Hot(); frames == 0 || bytes > most {
		t.Fatal("after two readings", frames, bytes)
	}
	readFor(t, s, h, "bob")
	readFor(t, s, big, "ada") // once: it pushes nothing out
	damage(t, dir)
	if bad(h, "ada") {
		t.Error("what was read twice is not at hand")
	}
	if !bad(h, "bob") || !bad(big, "ada") {
		t.Error("damage is read as if it were good")
	}
	if r, err := s.Scrub(t.Context(), nil); err != nil || r.Bad == 0 {
		t.Fatal(r, err)
	}
	if !bad(h, "ada") {
		t.Error("a chunk in quarantine comes from what is at hand")
	}
	if !bytes.Equal(content, random(1, size)) {
		t.Error("a reader changed what it read")
	}
}

// Many read more than there is room for: each gets what is there, within the bound.
func TestHotTogether(t *testing.T) {
	const most = 8 * 65536
	db, s, _ := hotStore(t, cas.Options{Cache: most})
	var want [][]byte
	var names []cas.Hash
	for i := range 4 {
		want = append(want, random(uint64(i), 400_000))
		names = append(names, keep(t, db, s, want[i], cas.PutOptions{}))
	}
	text := bytes.Repeat([]byte("compressed "), 30_000)
	want, names = append(want, text), append(names, keep(t, db, s, text, cas.PutOptions{}))
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 40 {
				n := (w*i + i) % len(want)
				r, err := s.Open(context.Background(), names[n])
				if err != nil {
					t.Error(err)
					return
				}
				off := i * 7919 % 100_000
				r.Seek(int64(off), io.SeekStart)
				var got []byte
				for {
					b, err := r.Next(int64(1 + i*1000))
					got = append(got, b...)
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Error(err)
						break
					}
				}
				if !bytes.Equal(got, want[n][off:]) {
					t.Error("read other bytes")
				}
				r.Close()
			}
		})
	}
	all.Wait()
	if _, bytes := s.Hot(); bytes > most {
		t.Error("it keeps", bytes)
	}
}

// A store without one keeps nothing, and what lies bare is the system's to keep.
func TestHotNone(t *testing.T) {
	for _, o := range []cas.Options{{Cache: -1}, {Plain: true}} {
		db, s, _ := hotStore(t, o)
		h := keep(t, db, s, random(1, 300_000), cas.PutOptions{})
		for range 3 {
			readFor(t, s, h, "")
		}
		if frames, _ := s.Hot(); frames != 0 {
			t.Error(o, "keeps", frames)
		}
	}
}
