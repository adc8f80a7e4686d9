package cas_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/bucket/buckettest"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

var houseKey = bytes.Repeat([]byte{7}, 32)

func newBucket(t testing.TB, kind string) bucket.Bucket {
	t.Helper()
	url := "mem:"
	switch kind {
	case "folder":
		url = "dir:" + t.TempDir()
	case "s3":
		url = buckettest.S3(t)
	}
	b, err := bucket.Open(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, db *sqldb.DB, b bucket.Bucket, o cas.Options) *cas.Store {
	t.Helper()
	// With a clock that stands the collector comes when it is called only.
	stands := clock.NewManual(time.UnixMilli(1_800_000_000_000))
	s, err := cas.Open(context.Background(), cas.Needs{DB: db, Bucket: b, Key: houseKey, Clock: stands}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// each runs fn on both databases and all buckets.
func each(t *testing.T, fn func(t *testing.T, db *sqldb.DB, b bucket.Bucket)) {
	for _, kind := range []string{"memory", "folder", "s3"} {
		t.Run(kind, func(t *testing.T) {
			b := newBucket(t, kind)
			sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { fn(t, db, b) })
		})
	}
}

// random returns n bytes that the seed decides, and which don't compress.
func random(seed uint64, n int) []byte {
	var key [32]byte
	key[0], key[1], key[2] = byte(seed), byte(seed>>8), byte(seed>>16)
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b)
	return b
}

// text returns n bytes that compress.
func text(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "%d bottles of %x on the wall\n", r.IntN(100), r.IntN(1<<16))
	}
	return b.Bytes()[:n]
}

// keep puts and takes.
func keep(t testing.TB, db *sqldb.DB, s *cas.Store, b []byte, opt cas.PutOptions) cas.Hash {
	t.Helper()
	p, err := s.Put(t.Context(), bytes.NewReader(b), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	take(t, db, s, p)
	return p.Hash()
}

func take(t testing.TB, db *sqldb.DB, s *cas.Store, p *cas.Pending) {
	t.Helper()
	err := s.Write(t.Context(), p.Hash(), func(ctx context.Context, tx *sqldb.Tx) error { return s.Take(ctx, tx, p) })
	if err != nil {
		t.Fatal(err)
	}
}

func drop(t testing.TB, db *sqldb.DB, s *cas.Store, h cas.Hash) {
	t.Helper()
	err := s.Write(t.Context(), h, func(ctx context.Context, tx *sqldb.Tx) error { return s.Drop(ctx, tx, h) })
	if err != nil {
		t.Fatal(err)
	}
}

func stats(t testing.TB, s *cas.Store) cas.Stats {
	t.Helper()
	st, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// reads says that the content is there, by every way of reading it.
func reads(t testing.TB, s *cas.Store, h cas.Hash, want []byte) {
	t.Helper()
	r, err := s.Open(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got bytes.Buffer
	if n, err := r.WriteTo(&got); err != nil || n != int64(len(want)) || !bytes.Equal(got.Bytes(), want) {
		t.Fatalf("blob %s: wrote %d of %d bytes, %v, the same: %v", h, n, len(want), err, bytes.Equal(got.Bytes(), want))
	}
	if _, err := s.Open(t.Context(), cas.Hash{1}); !errs.Is(err, errs.NotFound) {
		t.Fatalf("what was never put: %v", err)
	}
}

func TestPutTakeReadDrop(t *testing.T) {
	contents := map[string][]byte{
		"empty": {}, "one": {1}, "small": random(1, 1000), "small text": text(1, 100_000),
		"limit": random(2, 128<<10), "over": random(3, 128<<10+1), "large": random(4, 3<<20+17), "large text": text(5, 2<<20),
		"zeros": make([]byte, 5<<20),
	}
	each(t, func(t *testing.T, db *sqldb.DB, b bucket.Bucket) {
		for _, plain := range []bool{false, true} {
			s := open(t, db, b, cas.Options{Plain: plain})
			for name, c := range contents {
				t.Run(fmt.Sprintf("%s plain=%v", name, plain), func(t *testing.T) {
					before := stats(t, s)
					h := keep(t, db, s, c, cas.PutOptions{})
					reads(t, s, h, c)
					one := stats(t, s)
					if one.Blobs != before.Blobs+1 || one.Logical != before.Logical+int64(len(c)) || one.Unique != before.Unique+int64(len(c)) {
						t.Errorf("after one: %+v, before %+v", one, before)
					}
					if again := keep(t, db, s, c, cas.PutOptions{}); again != h {
						t.Errorf("the same content is %s and %s", h, again)
					}
					two := stats(t, s)
					if two.Blobs != one.Blobs || two.References != one.References+1 || two.Stored != one.Stored || two.Chunks != one.Chunks {
						t.Errorf("after two: %+v, after one %+v", two, one)
					}
					drop(t, db, s, h)
					reads(t, s, h, c)
					r, err := s.Open(t.Context(), h)
					if err != nil {
						t.Fatal(err)
					}
					if len(c) < 10_000 {
						if err := iotest.TestReader(struct{ io.ReadSeeker }{r}, c); err != nil {
							t.Error(err)
						}
					}
					for _, off := range []int{0, len(c) / 3, len(c) - 70_000, len(c) - 1} {
						if off < 0 {
							continue
						}
						part := make([]byte, min(70_000, len(c)-off))
						if _, err := r.ReadAt(part, int64(off)); err != nil || !bytes.Equal(part, c[off:off+len(part)]) {
							t.Errorf("%d bytes at %d: %v", len(part), off, err)
						}
					}
					r.Close()
					drop(t, db, s, h)
					if _, err := s.Open(t.Context(), h); !errs.Is(err, errs.NotFound) {
						t.Errorf("after the last reference went: %v", err)
					}
				})
			}
		}
	})
}

func sum(b []byte) [32]byte { return sha256.Sum256(b) }
