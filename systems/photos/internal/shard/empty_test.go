package shard

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// An empty database in a shard's place is not taken for the shard: who is there would seem
// to have nothing, and begin anew.
func TestAnEmptyDatabaseIsNotTheShard(t *testing.T) {
	h := newHouse(t, sqldbtest.SQLite)
	ctx := context.Background()
	s := h.process()
	must(t, put(ctx, s, "ada", "one", "text"))
	s.Close()
	files, err := filepath.Glob(filepath.Join(h.folder, "*", "shard.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the shard's database is not found: %v, %v", files, err)
	}
	for _, f := range files {
		must(t, os.Rename(f, f+".away"))
	}
	n, c := h.needs()
	if s, err = Open(ctx, n, c); err == nil {
		err = s.Read(ctx, "ada", func(context.Context, *sqldb.Tx, *Shard) error { return nil })
		s.Close()
	}
	if err == nil {
		t.Error("the shard is served from an empty database")
	}
	for _, f := range files {
		must(t, os.Rename(f+".away", f))
	}
	whole(t, h.process(), map[string]map[string]string{"ada": {"one": "text"}})
}
