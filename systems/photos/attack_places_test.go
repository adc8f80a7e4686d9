package photos

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"plumb/base/errs"
	"plumb/systems/photos/internal/shard"
)

// A shard that was given the house's own database or folder, or another's, would sweep
// away what it does not know.
func TestAttackAShardNeedsAPlaceOfItsOwn(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		ctx, boss := context.Background(), h.who["boss"]
		h.put("ada", photograph(1))
		blobs := filepath.Join(h.n.Folder, shard.FirstName, "blobs")
		used := t.TempDir()
		if err := os.WriteFile(filepath.Join(used, "house.db"), []byte("SQLite format 3\x00"), 0o600); err != nil {
			t.Fatal(err)
		}
		disk := t.TempDir()
		if err := os.Mkdir(filepath.Join(disk, "lost+found"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			what string
			NewShard
			want errs.Kind
		}{
			{"a database in use", NewShard{SQL: "sqlite:" + filepath.Join(used, "house.db")}, errs.Conflict},
			{"no database at all", NewShard{SQL: "sqlite:/etc/passwd"}, errs.Conflict},
			{"below a file", NewShard{SQL: "sqlite:" + filepath.Join(used, "house.db", "x.db")}, errs.Invalid},
			{"a folder in use", NewShard{Bucket: "dir:" + used}, errs.Conflict},
			{"the house's folder", NewShard{Bucket: "dir:" + h.n.Folder}, errs.Conflict},
			{"a shard's folder by a way around", NewShard{Bucket: "dir:" + h.n.Folder + "/x/../" + shard.FirstName + "/blobs/"}, errs.Conflict},
			{"in a shard's folder", NewShard{Bucket: "dir:" + filepath.Join(blobs, "cas", "new")}, errs.Conflict},
			{"a database there", NewShard{SQL: "sqlite:" + filepath.Join(blobs, "new.db")}, errs.Conflict},
			{"from where the house was started", NewShard{Bucket: "dir:blobs"}, errs.Invalid},
			{"a database from there", NewShard{SQL: "sqlite:new.db"}, errs.Invalid},
		} {
			c.Name = "new"
			_, err := h.AddShard(ctx, boss, c.NewShard)
			kind(t, c.what, err, c.want)
		}
		if board, err := h.Board(ctx, boss); err != nil || len(board) != 1 {
			t.Fatalf("%+v %v", board, err)
		}
		if _, err := h.AddShard(ctx, boss, NewShard{Name: "new", SQL: "sqlite:" + filepath.Join(disk, "db", "shard.db"), Bucket: "dir:" + disk}); err != nil {
			t.Errorf("a fresh disk: %v", err)
		}
		h.sound()
	})
}

func TestAttackTheHousesOwnPlacesByOtherWords(t *testing.T) {
	for _, c := range []struct {
		a, house string
		same     bool
	}{
		{"postgres://eve@db:5432/plumb?sslmode=disable", "postgres://plumb:pw@DB:5432/plumb", true},
		{"postgres://db/plumb?search_path=second", "postgres://db/plumb", false},
		{"postgres://db/other", "postgres://db/plumb", false},
		{"s3://OTHER@s3:9000/plumb/", "s3://KEY@s3:9000/plumb", true},
		{"s3://KEY@s3:9000/plumb2", "s3://KEY@s3:9000/plumb", false},
		{"", "", false}, {"s3://KEY@s3/x", "", false},
	} {
		if got := samePlace(c.a, c.house); got != c.same {
			t.Errorf("%q, %q: %v", c.a, c.house, got)
		}
	}
}

func TestAttackABackupIsNotPutIntoAShard(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		ctx, boss := context.Background(), h.who["boss"]
		_, err := h.BackupShard(ctx, boss, shard.FirstName, "dir:"+filepath.Join(h.n.Folder, shard.FirstName, "blobs"))
		kind(t, "its own bucket", err, errs.Conflict)
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = h.BackupShard(ctx, boss, shard.FirstName, "dir:"+file)
		kind(t, "a file", err, errs.Invalid)
		_, err = h.RestoreFrom(ctx, boss, "s3://a@127.0.0.1:1/b")
		kind(t, "an odd address", err, errs.Invalid)
	})
}
