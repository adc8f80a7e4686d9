package vault_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"plumb/engines/bucket"
	"plumb/systems/photos/internal/vault"
)

func Example() {
	places := []vault.Place{{No: 1, Bucket: bucket.Memory(), Takes: true}, {No: 2, Bucket: bucket.Memory(), Takes: true}}
	v, err := vault.New(vault.Needs{Places: func() []vault.Place { return places }, Key: bytes.Repeat([]byte{1}, 32), Log: slog.Default()})
	if err != nil {
		panic(err)
	}
	ctx, photo := context.Background(), "the picture's bytes"
	holders, err := v.Put(ctx, vault.Copy{Owner: "anna", Photo: "p-1", Note: []byte("taken at the sea"), Home: 1}, strings.NewReader(photo), int64(len(photo)), 1)
	if err != nil {
		panic(err)
	}
	r, err := v.Open(ctx, "anna", "p-1", holders)
	if err != nil {
		panic(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	fmt.Printf("shard %d has %q, %s, %v\n", r.Holder, got, r.Note, err)
	// Output: shard 2 has "the picture's bytes", taken at the sea, <nil>
}
