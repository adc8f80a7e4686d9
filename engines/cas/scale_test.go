package cas_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"plumb/engines/bucket"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// TestScale fills the tables with rows and reports what they take, and what a look-up
// and a collection cost beside them.
func TestScale(t *testing.T) {
	chunks := 4_000
	if os.Getenv("PLUMB_SOAK") != "" {
		chunks = 1_000_000
	}
	for _, kind := range sqldbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			db := sqldbtest.Open(t, kind, sqldb.Options{})
			s := open(t, db, bucket.Memory(), cas.Options{})
			h := keep(t, db, s, random(1, 2000), cas.PutOptions{})
			before, err := db.Size(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			lookup := func() time.Duration {
				start := time.Now()
				for range 200 {
					r, err := s.Open(t.Context(), h)
					if err != nil {
						t.Fatal(err)
					}
					r.Close()
				}
				return time.Since(start) / 200
			}
			few := lookup()
			fill(t, db, chunks)
			size, err := db.Size(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if _, err := s.Collect(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d chunks, each a blob and a part: %d bytes each; Open %v before, %v after; a collection with nothing to do %v",
				chunks, (size-before)/int64(chunks), few, lookup(), time.Since(start))
		})
	}
}

// fill makes chunks, a blob of one chunk for each, and as many parts of larger blobs.
func fill(t *testing.T, db *sqldb.DB, chunks int) {
	t.Helper()
	const step = 2000
	for from := 0; from < chunks; from += step {
		err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			for i := from; i < from+step; i++ {
				id := sum([]byte(fmt.Sprint(i)))
				pack := fmt.Sprintf("0193b0f2-0000-7000-8000-%012d", i/128)
				if i%128 == 0 || i == from {
					if _, err := tx.Exec(ctx, `INSERT INTO cas_packs (id, kind, state, key, size, live, until, asleep) VALUES ($1, 'object', 'stored', $2, 33554432, 33554432, 0, 0) ON CONFLICT (id) DO NOTHING`, pack, make([]byte, 69)); err != nil {
						return err
					}
				}
				if _, err := tx.Exec(ctx, `INSERT INTO cas_chunks (id, pack, off, stored, size, codec, refs, bad) VALUES ($1, $2, $3, 262208, 262144, 0, 2, 0)`, id[:], pack, int64(32+i%128*262208)); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, `INSERT INTO cas_blobs (hash, id, size, parts, refs, takes) VALUES ($1, $2, 262144, 0, 1, 1)`, id[:], fmt.Sprintf("0193b0f2-0000-7000-8000-%012d", i)); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, `INSERT INTO cas_parts (blob, off_end, chunk) VALUES ($1, $2, $3)`, fmt.Sprintf("0193b0f2-0000-7000-8001-%012d", i/16), int64(i%16+1)*262144, id[:]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
