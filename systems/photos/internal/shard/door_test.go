package shard

import (
	"context"
	"io"
	"testing"

	"plumb/engines/cas"
)

func TestTheFirstShardReadsAndWrites(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		h := newHouse(t, kind)
		s := h.process()
		ctx := context.Background()
		if list, at, err := photosOf(ctx, s, "nobody"); err != nil || len(list) != 0 || at.Name != FirstName {
			t.Fatalf("of nobody: %v, %v, %v", list, at, err)
		}
		must(t, put(ctx, s, "ada", "p1", "one"))
		must(t, put(ctx, s, "ada", "p2", "two"))
		list, at, err := photosOf(ctx, s, "ada")
		if err != nil || len(list) != 2 {
			t.Fatalf("%v, %v", list, err)
		}
		hash, err := cas.ParseHash(list[1].hash)
		must(t, err)
		r, err := at.CAS.Open(ctx, hash)
		must(t, err)
		defer r.Close()
		if text, err := io.ReadAll(r); err != nil || string(text) != "two" {
			t.Errorf("%q, %v", text, err)
		}
		owners, err := s.Owners(ctx, at, "", 10)
		if err != nil || len(owners) != 1 || owners[0].Rev != 2 || owners[0].Photos != 2 || owners[0].Bytes != 6 {
			t.Errorf("%+v, %v", owners, err)
		}
		must(t, s.Check(ctx))
		// Another process, and a later one, find the same.
		other := h.process()
		if list, _, err := photosOf(ctx, other, "ada"); err != nil || len(list) != 2 {
			t.Errorf("another process: %v, %v", list, err)
		}
	})
}
