package cas_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// objects returns the files of a folder bucket's packs.
func objects(t *testing.T, dir string) (list []string) {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "cas", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func change(t *testing.T, path string, fn func(b []byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, fn(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestScrub damages a store in every way and sees that a scrub finds it, that reading
// tells, that a replica repairs it and that the same content heals it.
func TestScrub(t *testing.T) {
	damages := map[string]func(t *testing.T, packs []string){
		"a flipped bit": func(t *testing.T, packs []string) {
			change(t, packs[0], func(b []byte) []byte { b[len(b)/2] ^= 4; return b })
		},
		"a flipped bit at the end": func(t *testing.T, packs []string) {
			change(t, packs[1], func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
		},
		"cut off": func(t *testing.T, packs []string) {
			change(t, packs[0], func(b []byte) []byte { return b[:len(b)-1] })
		},
		"empty": func(t *testing.T, packs []string) { change(t, packs[0], func(b []byte) []byte { return nil }) },
		"gone": func(t *testing.T, packs []string) {
			if err := os.Remove(packs[0]); err != nil {
				t.Fatal(err)
			}
		},
		"swapped": func(t *testing.T, packs []string) {
			for _, step := range [][2]string{{packs[0], "x"}, {packs[1], packs[0]}, {"x", packs[1]}} {
				for i := range step {
					if step[i] == "x" {
						step[i] = filepath.Join(filepath.Dir(packs[0]), "x")
					}
				}
				if err := os.Rename(step[0], step[1]); err != nil {
					t.Fatal(err)
				}
			}
		},
	}
	for _, plain := range []bool{false, true} {
		for name, damage := range damages {
			t.Run(fmt.Sprintf("%s plain=%v", name, plain), func(t *testing.T) {
				if plain { // on one database: SQL has no part in it
					scrubOnce(t, sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{RunTwice: true}), plain, damage)
					return
				}
				sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { scrubOnce(t, db, plain, damage) })
			})
		}
	}
}

func scrubOnce(t *testing.T, db *sqldb.DB, plain bool, damage func(*testing.T, []string)) {
	dir, copied := t.TempDir(), t.TempDir()
	b, err := bucket.Folder(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, db, b, cas.Options{Plain: plain})
	contents := [][]byte{random(1, 900_000), text(2, 3_000_000), random(3, 1000)}
	var hashes []cas.Hash
	for _, c := range contents {
		hashes = append(hashes, keep(t, db, s, c, cas.PutOptions{}))
	}
	if r, err := s.Scrub(t.Context(), nil); err != nil || r.Bad > 0 || len(r.Faults) > 0 || r.Bytes != 3_901_000 {
		t.Fatalf("before the damage: %+v, %v", r, err)
	}
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	damage(t, objects(t, dir))

	s = open(t, db, b, cas.Options{Plain: plain}) // without open files
	if unreadable(t, s, hashes, contents) == 0 {
		t.Error("everything reads well")
	}
	r, err := s.Scrub(t.Context(), nil)
	if err != nil || r.Bad == 0 || len(r.Faults) == 0 || r.Repaired > 0 {
		t.Fatalf("after the damage: %+v, %v", r, err)
	}
	if st := stats(t, s); st.Bad != r.Bad {
		t.Errorf("%d chunks in quarantine, %d found", st.Bad, r.Bad)
	}

	// The same content once more heals it.
	healer := open(t, db, b, cas.Options{Plain: plain})
	for _, c := range contents {
		keep(t, db, healer, c, cas.PutOptions{})
	}
	if st := stats(t, s); st.Bad != 0 {
		t.Errorf("%d chunks in quarantine after the same content came again", st.Bad)
	}
	if n := unreadable(t, healer, hashes, contents); n > 0 {
		t.Errorf("%d contents are not healed", n)
	}
	if _, err := s.Collect(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if r, err := s.Scrub(t.Context(), nil); err != nil || r.Bad > 0 {
		t.Errorf("after it was healed: %+v, %v", r, err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func unreadable(t *testing.T, s *cas.Store, hashes []cas.Hash, contents [][]byte) (n int) {
	t.Helper()
	for i, h := range hashes {
		r, err := s.Open(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		r.Close()
		switch {
		case err != nil:
			n++
		case !bytes.Equal(got, contents[i]):
			t.Errorf("content %d reads without an error and is another", i)
		}
	}
	return n
}

// TestRepair repairs from a replica.
func TestRepair(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		dir, copied := t.TempDir(), t.TempDir()
		b, err := bucket.Folder(dir)
		if err != nil {
			t.Fatal(err)
		}
		s := open(t, db, b, cas.Options{})
		contents := [][]byte{random(1, 900_000), text(2, 3_000_000)}
		var hashes []cas.Hash
		for _, c := range contents {
			hashes = append(hashes, keep(t, db, s, c, cas.PutOptions{}))
		}
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		replica, err := bucket.Folder(copied)
		if err != nil {
			t.Fatal(err)
		}
		packs := objects(t, dir)
		change(t, packs[0], func(b []byte) []byte { b[1000] ^= 4; return b })
		if err := os.Remove(packs[1]); err != nil {
			t.Fatal(err)
		}
		s = open(t, db, b, cas.Options{Replica: replica})
		r, err := s.Scrub(t.Context(), nil)
		if err != nil || r.Bad < 2 || r.Repaired != r.Bad {
			t.Fatalf("%+v, %v", r, err)
		}
		for i, h := range hashes {
			reads(t, s, h, contents[i])
		}
		if _, err := s.Collect(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if st := stats(t, s); st.Bad != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestLooseDamage: what lies in the database is verified too.
func TestLooseDamage(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := open(t, db, bucket.Memory(), cas.Options{})
		c := random(1, 5000)
		h := keep(t, db, s, c, cas.PutOptions{})
		err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE cas_loose SET data = $1`, make([]byte, 5016))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := s.Scrub(t.Context(), nil); err != nil || r.Bad != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
		keep(t, db, s, c, cas.PutOptions{})
		reads(t, s, h, c)
		if st := stats(t, s); st.Bad != 0 || st.Loose != 1 {
			t.Errorf("%+v", st)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestOrphans: objects of this store that nothing names go, those of others stay.
func TestOrphans(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		b := bucket.Memory()
		s := open(t, db, b, cas.Options{})
		keep(t, db, s, random(1, 200_000), cas.PutOptions{})
		list, err := b.List(t.Context(), "cas/", "", 10)
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		head, err := b.Get(t.Context(), list[0].Key, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		all, _ := io.ReadAll(head)
		other := bytes.Clone(all)
		other[20] ^= 1 // of the store's name
		for key, body := range map[string][]byte{"cas/aa/0-aa": all, "cas/bb/0-bb": other, "cas/cc/x-cc": []byte("what is this?"), "else/x": all} {
			if err := b.Put(t.Context(), key, bytes.NewReader(body), -1, bucket.PutOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		r, err := s.Scrub(t.Context(), nil)
		if err != nil || r.Orphans != 1 || r.Bad != 0 {
			t.Errorf("%+v, %v", r, err)
		}
		if list, _ := b.List(t.Context(), "", "", 10); len(list) != 4 {
			t.Errorf("left: %v", list)
		}
	})
}

// TestRekey: after it the old key is of no use, and nothing was rewritten.
func TestRekey(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		b := bucket.Memory()
		s := open(t, db, b, cas.Options{})
		contents := [][]byte{random(1, 1000), random(2, 800_000)}
		var hashes []cas.Hash
		for _, c := range contents {
			hashes = append(hashes, keep(t, db, s, c, cas.PutOptions{}))
		}
		s.Close()
		before, _ := b.List(t.Context(), "", "", 100)
		fresh := bytes.Repeat([]byte{9}, 32)
		with := func(key []byte, old ...[]byte) (*cas.Store, error) {
			return cas.Open(t.Context(), cas.Needs{DB: db, Bucket: b, Key: key, Old: old, Clock: clock.System{}}, cas.Options{})
		}
		if _, err := with(fresh); err == nil {
			t.Fatal("a store opens with a key that is not its own")
		}
		both, err := with(fresh, houseKey)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := both.Rekey(t.Context()); err != nil || n != 2 {
			t.Fatalf("%d packs, %v", n, err)
		}
		if n, err := both.Rekey(t.Context()); err != nil || n != 0 {
			t.Fatalf("once more: %d packs, %v", n, err)
		}
		both.Close()
		s, err = with(fresh)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for i, h := range hashes {
			reads(t, s, h, contents[i])
		}
		if _, err := with(houseKey); err == nil {
			t.Error("the old key still opens the store")
		}
		if after, _ := b.List(t.Context(), "", "", 100); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("objects were rewritten: %v, %v", before, after)
		}
	})
}

// flaky is a bucket of which one call in ten fails, before it did something or after.
type flaky struct {
	bucket.Bucket
	mu sync.Mutex
	r  *rand.Rand
	on bool
}

var errFlaky = errs.New(errs.Busy, "the bucket is not itself")

func (f *flaky) fails() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.on && f.r.IntN(10) == 0
}

func (f *flaky) Put(ctx context.Context, key string, r io.Reader, size int64, opt bucket.PutOptions) error {
	if f.fails() {
		io.CopyN(io.Discard, r, 100_000)
		return errFlaky
	}
	err := f.Bucket.Put(ctx, key, r, size, opt)
	if err == nil && f.fails() {
		return errFlaky // and it is there all the same
	}
	return err
}

func (f *flaky) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if f.fails() {
		return nil, errFlaky
	}
	r, err := f.Bucket.Get(ctx, key, off, n)
	if err == nil && f.fails() {
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(r, 1000), broken{}), r}, nil
	}
	return r, err
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errFlaky }

func (f *flaky) Delete(ctx context.Context, key string) error {
	if f.fails() {
		return errFlaky
	}
	return f.Bucket.Delete(ctx, key)
}

// TestFlakyBucket: a bucket that fails now and then loses nothing, damages no count and
// leaves nothing behind.
func TestFlakyBucket(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		b := &flaky{Bucket: bucket.Memory(), r: rand.New(rand.NewPCG(1, 2)), on: true}
		manual := clock.NewManual(time.UnixMilli(1_800_000_000_000))
		s, err := cas.Open(t.Context(), cas.Needs{DB: db, Bucket: b, Key: houseKey, Clock: manual}, cas.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.MakeSmall()
		kept := map[int]cas.Hash{}
		failed := 0
		soft := func(err error) bool {
			if err != nil && !errs.Is(err, errs.Busy) {
				t.Fatal(err)
			}
			if err != nil {
				failed++
			}
			return err == nil
		}
		for i := range 120 {
			c := i % len(machineContents)
			p, err := s.Put(t.Context(), bytes.NewReader(machineContents[c]), cas.PutOptions{})
			if soft(err) {
				if _, there := kept[c]; !there {
					take(t, db, s, p)
					kept[c] = p.Hash()
				}
				p.Close()
			}
			if i%7 == 0 {
				_, err := s.Collect(t.Context(), nil)
				soft(err)
			}
			if i%20 == 0 {
				r, err := s.Scrub(t.Context(), nil)
				if soft(err); r.Bad > 0 {
					t.Fatalf("a fault on the way is taken for damage: %+v", r)
				}
			}
			if h, there := kept[(i*5)%len(machineContents)]; there && i%3 == 0 {
				r, err := s.Open(t.Context(), h)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(r)
				if soft(err) && !bytes.Equal(got, machineContents[(i*5)%len(machineContents)]) {
					t.Fatal("other bytes")
				}
				r.Close()
			}
		}
		b.on = false
		if failed == 0 {
			t.Error("nothing failed")
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
		for c, h := range kept {
			reads(t, s, h, machineContents[c])
			drop(t, db, s, h)
		}
		manual.Advance(50 * time.Hour)
		if _, err := s.Collect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if r, err := s.Scrub(t.Context(), nil); err != nil || r.Chunks > 0 {
			t.Errorf("%+v, %v", r, err)
		}
		if list, _ := b.List(t.Context(), "", "", 100); len(list) > 0 {
			t.Errorf("objects that stay: %v", list)
		}
	})
}

// TestReaderFails: what the source says comes through, and nothing is left.
func TestReaderFails(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := open(t, db, bucket.Memory(), cas.Options{})
		mine := errors.New("the line broke")
		for _, n := range []int{10, 200_000, 3 << 20} {
			_, err := s.Put(t.Context(), io.MultiReader(bytes.NewReader(random(1, n)), errReader{mine}), cas.PutOptions{})
			if !errors.Is(err, mine) {
				t.Errorf("after %d bytes: %v", n, err)
			}
			_, err = s.Put(t.Context(), bytes.NewReader(random(1, n)), cas.PutOptions{Limit: int64(n) - 1})
			if !errs.Is(err, errs.TooLarge) {
				t.Errorf("one more than the limit: %v", err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Put(ctx, strings.NewReader("x"), cas.PutOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		// Somebody else's content goes through beside it.
		h := keep(t, db, s, random(5, 400_000), cas.PutOptions{})
		reads(t, s, h, random(5, 400_000))
		if _, err := s.Collect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if st := stats(t, s); st.Chunks > 10 || st.Blobs != 1 {
			t.Errorf("%+v", st)
		}
	})
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }
