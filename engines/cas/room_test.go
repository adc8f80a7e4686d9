package cas_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"

	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// small is a bucket on a disk with so much free of a gigabyte.
type small struct {
	bucket.Bucket
	free atomic.Int64
}

func (b *small) Room() (free, size int64) { return b.free.Load(), 1 << 30 }

// A disk that contents have filled can be emptied: the last of it is for removing.
func TestTheLastOfADiskIsForRemoving(t *testing.T) {
	b := &small{Bucket: bucket.Memory()}
	b.free.Store(1 << 30)
	db := sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{RunTwice: true})
	s := open(t, db, b, cas.Options{})
	ctx := t.Context()
	put := func(r io.Reader) (*cas.Pending, error) { return s.Put(ctx, r, cas.PutOptions{}) }
	p, err := put(bytes.NewReader(make([]byte, 300_000)))
	if err != nil {
		t.Fatal(err)
	}
	b.free.Store(60 << 20)
	for name, n := range map[string]int{"small": 10, "large": 3 << 20} {
		if _, err := put(bytes.NewReader(make([]byte, n))); !errs.Is(err, errs.Busy) || !errors.Is(err, errs.ErrFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What was put before is taken and dropped, and the collector works.
	for _, fn := range []sqldb.Fn{
		func(ctx context.Context, tx *sqldb.Tx) error { return s.Take(ctx, tx, p) },
		func(ctx context.Context, tx *sqldb.Tx) error { return s.Drop(ctx, tx, p.Hash()) },
	} {
		if err := db.Batch(ctx, fn); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := s.Collect(ctx, nil); err != nil || r.Freed == 0 {
		t.Errorf("%+v, %v", r, err)
	}
	// A disk that fills while content comes.
	b.free.Store(1 << 30)
	r := io.MultiReader(bytes.NewReader(make([]byte, 4<<20)), fills{b}, bytes.NewReader(make([]byte, 4<<20)))
	if _, err := put(r); !errors.Is(err, errs.ErrFull) {
		t.Errorf("while it fills: %v", err)
	}
	b.free.Store(1 << 30)
	if _, err := put(bytes.NewReader(make([]byte, 10))); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// fills is empty, and fills the disk when it is read.
type fills struct{ b *small }

func (f fills) Read([]byte) (int, error) { f.b.free.Store(0); return 0, io.EOF }
