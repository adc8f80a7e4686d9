package cas_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// twoStores are what two processes have: a connection and a Store each, on the same
// database and bucket.
func twoStores(t *testing.T, kind string, b bucket.Bucket) (dbs [2]*sqldb.DB, stores [2]*cas.Store) {
	url := sqldbtest.URL(t, kind)
	for i := range dbs {
		db, err := sqldb.Open(t.Context(), url, sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		dbs[i], stores[i] = db, open(t, db, b, cas.Options{})
	}
	return dbs, stores
}

// TestThousandAtOnce: 1,000 put and take the same bytes through two processes.
func TestThousandAtOnce(t *testing.T) {
	const clients = 1000
	for _, kind := range sqldbtest.Kinds() {
		for _, size := range []int{20_000, 300_000} {
			t.Run(fmt.Sprintf("%s %d bytes", kind, size), func(t *testing.T) {
				dbs, stores := twoStores(t, kind, newBucket(t, "folder"))
				content := random(1, size)
				var wg sync.WaitGroup
				for i := range clients {
					s := stores[i%2]
					wg.Go(func() {
						p, err := s.Put(context.Background(), bytes.NewReader(content), cas.PutOptions{})
						if err != nil {
							t.Error(err)
							return
						}
						defer p.Close()
						if err := s.Write(context.Background(), p.Hash(), func(ctx context.Context, tx *sqldb.Tx) error { return s.Take(ctx, tx, p) }); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				st := stats(t, stores[0])
				if st.Blobs != 1 || st.References != clients || st.Unique != int64(size) || st.Chunked != int64(size) {
					t.Errorf("%+v", st)
				}
				for i, db := range dbs {
					t.Logf("process %d: %d transactions tried again, packs %d", i, db.Stats().Retries, st.Packs)
				}
				if err := stores[1].Check(t.Context()); err != nil {
					t.Error(err)
				}
				if _, err := stores[0].Collect(t.Context(), nil); err != nil {
					t.Error(err)
				}
				st = stats(t, stores[0])
				if st.Blobs != 1 || st.References != clients || st.Waiting > int64(size) || st.Packs > 1 {
					t.Errorf("after the collector: %+v", st)
				}
				if err := stores[1].Check(t.Context()); err != nil {
					t.Error(err)
				}
				reads(t, stores[1], cas.Hash(sum(content)), content)
			})
		}
	}
}

// TestEverythingAtOnce lets putters, droppers, readers and collectors of two processes
// work on few contents.
func TestEverythingAtOnce(t *testing.T) {
	for _, kind := range sqldbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			_, stores := twoStores(t, kind, newBucket(t, "folder"))
			for _, s := range stores {
				s.MakeSmall()
			}
			ctx, stop := context.WithCancel(context.Background())
			var background, work sync.WaitGroup
			for _, s := range stores {
				background.Go(func() {
					for ctx.Err() == nil {
						if _, err := s.Collect(ctx, nil); err != nil && ctx.Err() == nil && !errs.Is(err, errs.Busy) {
							t.Error(err)
							return
						}
					}
				})
			}
			for w := range 8 {
				s := stores[w%2]
				work.Go(func() {
					for i := range 25 {
						c := machineContents[(w*7+i*3)%len(machineContents)]
						if err := putReadDrop(s, c); err != nil {
							t.Errorf("worker %d, round %d: %v", w, i, err)
							return
						}
					}
				})
			}
			work.Wait()
			stop()
			background.Wait()
			for range 2 {
				if err := stores[0].Check(t.Context()); err != nil {
					t.Fatal(err)
				}
				if _, err := stores[0].Collect(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
			}
			if st := stats(t, stores[1]); st.Blobs != 0 || st.References != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func putReadDrop(s *cas.Store, c []byte) error {
	ctx := context.Background()
	p, err := s.Put(ctx, bytes.NewReader(c), cas.PutOptions{})
	if err != nil {
		return err
	}
	defer p.Close()
	h := p.Hash()
	if err := s.Write(ctx, p.Hash(), func(ctx context.Context, tx *sqldb.Tx) error { return s.Take(ctx, tx, p) }); err != nil {
		return fmt.Errorf("take: %w", err)
	}
	r, err := s.Open(ctx, h)
	if err != nil {
		return err
	}
	defer r.Close()
	var got bytes.Buffer
	if _, err := r.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), c) {
		return fmt.Errorf("read %d of %d bytes: %w", got.Len(), len(c), err)
	}
	if err := s.Write(ctx, h, func(ctx context.Context, tx *sqldb.Tx) error { return s.Drop(ctx, tx, h) }); err != nil {
		return fmt.Errorf("drop: %w", err)
	}
	return nil
}
