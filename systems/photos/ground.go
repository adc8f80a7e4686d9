package photos

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"plumb/base/errs"
	"plumb/engines/bucket"
)

// shardMark is the object by which a shard's bucket says whose it is.
const shardMark = "shard"

// freeGround refuses places for a new shard where something lies already: in a database
// of another's, or a bucket, both would take what the other one holds for their own, and
// sweep it. Errors: Invalid, Conflict.
func (s *System) freeGround(n NewShard) error {
	if path, ok := strings.CutPrefix(n.SQL, "sqlite:"); ok {
		if err := s.freePath("sqlite:", path); err != nil {
			return err
		}
	}
	if path, ok := strings.CutPrefix(n.Bucket, "dir:"); ok {
		if err := s.freePath("dir:", path); err != nil {
			return err
		}
	}
	if samePlace(n.SQL, s.n.SQL) {
		return errs.New(errs.Conflict, "this is the house's own database: without an address, the shard gets a schema of its own there")
	}
	if samePlace(n.Bucket, s.n.Bucket) {
		return errs.New(errs.Conflict, "this is the house's own bucket: without an address, the shard gets a folder of its own there")
	}
	return nil
}

// freePath refuses a file or a folder that holds something, or lies among a house's files.
func (s *System) freePath(scheme, path string) error {
	switch {
	case path == "":
		return nil // whoever opens it says what is missing
	case !filepath.IsAbs(path):
		return errs.New(errs.Invalid, "%s%.200s: a place is named from the root (%s/...): the next start may be in another folder", scheme, path, scheme)
	}
	path = filepath.Clean(path)
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if info, err := os.Lstat(filepath.Join(dir, shardMark)); err == nil && info.Mode().IsRegular() {
			return errs.New(errs.Conflict, "%s%.200s lies in the bucket of a shard (%s): a shard needs a place of its own", scheme, path, dir)
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return errs.Wrap(errs.Invalid, err, "%s%.200s cannot be looked at", scheme, path)
	case scheme == "sqlite:" && info.Mode().IsRegular() && info.Size() == 0:
		return nil
	case scheme == "dir:" && info.IsDir():
		list, err := os.ReadDir(path)
		if err != nil {
			return errs.Wrap(errs.Invalid, err, "%s%.200s cannot be looked at", scheme, path)
		}
		if len(list) == 0 || len(list) == 1 && list[0].Name() == "lost+found" { // a fresh disk's
			return nil
		}
	}
	return errs.New(errs.Conflict, "%s%.200s holds something already: a shard needs a place of its own", scheme, path)
}

// samePlace says whether an address with a host leads where the house's does, whoever
// asks there.
func samePlace(a, house string) bool {
	if a == "" || house == "" {
		return false
	}
	u, err := url.Parse(a)
	v, again := url.Parse(house)
	if err != nil || again != nil {
		return false
	}
	return strings.EqualFold(u.Host, v.Host) && strings.Trim(u.Path, "/") == strings.Trim(v.Path, "/") && u.Query().Get("search_path") == v.Query().Get("search_path")
}

// noShards refuses the bucket of a shard as the place of a backup, which would be lost
// with it. Errors: Conflict.
func noShards(ctx context.Context, place string, b bucket.Bucket) error {
	_, err := b.Stat(ctx, shardMark)
	switch {
	case err == nil:
		return errs.New(errs.Conflict, "%.200s is the bucket of a shard: a backup needs a place of its own", place)
	case errs.Is(err, errs.NotFound):
		return nil
	}
	return err
}
