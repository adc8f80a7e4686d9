package shard

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

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
	s = h.process() // the house starts all the same: how else would the shard be given up?
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if err := s.Read(short, "ada", func(context.Context, *sqldb.Tx, *Shard) error { return nil }); err == nil {
		t.Error("the shard is served from an empty database")
	}
	s.Close()
	for _, f := range files {
		must(t, os.Rename(f+".away", f))
	}
	whole(t, h.process(), map[string]map[string]string{"ada": {"one": "text"}})
}

// What was begun of a shard whose place does not fit stands in nobody's way.
func TestAShardThatCannotBeginLeavesItsName(t *testing.T) {
	h := newHouse(t, sqldbtest.SQLite)
	ctx := context.Background()
	s := h.process()
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, []byte("no folder"), 0o600))
	if _, _, err := s.Add(ctx, New{Name: "second", Bucket: "dir:" + file}); err == nil {
		t.Fatal("a file is taken for a bucket")
	}
	if _, err := os.Stat(filepath.Join(h.folder, "second")); !os.IsNotExist(err) {
		t.Errorf("its folder is left: %v", err)
	}
	if _, _, err := s.Add(ctx, New{Name: "second"}); err != nil {
		t.Errorf("the name is taken: %v", err)
	}
}
