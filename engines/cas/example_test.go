package cas_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"plumb/base/clock"
	"plumb/engines/bucket"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "cas")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	db, err := sqldb.Open(ctx, "sqlite:"+filepath.Join(dir, "plumb.db"), sqldb.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	store, err := cas.Open(ctx, cas.Needs{DB: db, Bucket: bucket.Memory(), Key: bytes.Repeat([]byte{1}, 32), Clock: clock.System{}}, cas.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	var hash cas.Hash
	for range 2 { // two who store the same
		p, err := store.Put(ctx, strings.NewReader("the same bytes"), cas.PutOptions{})
		if err != nil {
			log.Fatal(err)
		}
		hash = p.Hash()
		if err := store.Write(ctx, hash, func(ctx context.Context, tx *sqldb.Tx) error { return store.Take(ctx, tx, p) }); err != nil {
			log.Fatal(err)
		}
		p.Close()
	}
	st, err := store.Stats(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(st.Blobs, "blob,", st.References, "references,", st.Logical, "bytes for", st.Unique)

	r, err := store.Open(ctx, hash)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	r.WriteTo(os.Stdout)
	// Output:
	// 1 blob, 2 references, 28 bytes for 14
	// the same bytes
}
