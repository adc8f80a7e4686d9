package shard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/cas"
	"plumb/engines/links"
	"plumb/engines/once"
	"plumb/engines/sqldb"
)

// engines are a shard's, open, or why they are not.
type engines struct {
	db     *sqldb.DB
	cas    *cas.Store
	links  *links.Links
	once   *once.Once
	bucket bucket.Bucket
	err    error
	tried  time.Time // by the machine's clock
}

func (e *engines) close() error {
	var all []error
	if e.cas != nil {
		all = append(all, e.cas.Close())
	}
	if e.db != nil {
		all = append(all, e.db.Close())
	}
	*e = engines{err: sqldb.ErrClosed}
	return errors.Join(all...)
}

// record is a row of photos_shards.
type record struct {
	No          int64
	Name        string
	Weight      float64
	Domain      string
	State       State
	SQL, Bucket string
}

// openEngines opens what a shard consists of, and writes into both halves whose they are.
func (s *Set) openEngines(ctx context.Context, r record) (*engines, error) {
	e := &engines{}
	err := s.openInto(ctx, r, e)
	if err != nil {
		e.close()
		return &engines{err: err, tried: time.Now()}, fmt.Errorf("open shard %s: %w", r.Name, err)
	}
	return e, nil
}

func (s *Set) openInto(ctx context.Context, r record, e *engines) (err error) {
	address, err := s.sqlAddress(ctx, r)
	if err != nil {
		return err
	}
	o := s.n.Options
	o.NoSync, o.Clock = s.n.NoSync, s.n.Clock
	if s.n.DB.Postgres() && o.Readers == 0 {
		// Every process has these connections for every shard.
		o.Readers, o.Writers, o.Groups = 4, 4, 1
	}
	if e.db, err = sqldb.Open(ctx, address, o); err != nil {
		return err
	}
	own, err := fs.Sub(schemas, "schema/shard")
	if err != nil {
		return err
	}
	if err := e.db.Migrate(ctx, "photos_shard", own); err != nil {
		return err
	}
	if err := s.claim(ctx, r, e.db); err != nil {
		return err
	}
	if s.n.Schema != nil {
		if err := e.db.Migrate(ctx, "photos", s.n.Schema); err != nil {
			return err
		}
	}
	if e.bucket, err = s.openBucket(ctx, r); err != nil {
		return err
	}
	if e.cas, err = cas.Open(ctx, cas.Needs{DB: e.db, Bucket: e.bucket, Key: s.n.Key, Clock: s.n.Clock, Log: s.n.Log},
		cas.Options{Cache: s.c.Cache / 4, Alone: !s.n.DB.Postgres()}); err != nil {
		return err
	}
	if e.links, err = links.Open(ctx, links.Needs{DB: e.db, Clock: s.n.Clock, Passwords: s.n.Passwords}); err != nil {
		return err
	}
	e.once, err = once.New(ctx, e.db, s.n.Key)
	return err
}

// claim writes the shard's number into its database, or compares it with what stands
// there. A database that was begun and stands empty is not the shard's: who is there by the
// map would be somebody new.
func (s *Set) claim(ctx context.Context, r record, db *sqldb.DB) error {
	var no, begun int64
	var house string
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, sqlShardBegun, r.No).Scan(&begun)
	})
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return err
	}
	err = again(ctx, func() error {
		return db.BatchBy(ctx, lane, func(ctx context.Context, tx *sqldb.Tx) error {
			if begun == 0 {
				if _, err := tx.Exec(ctx, sqlClaim, r.No, s.house); err != nil {
					return err
				}
			}
			return tx.QueryRow(ctx, sqlClaimed).Scan(&no, &house)
		})
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		// Busy: the house starts without it, so that it can be given up.
		return errs.TryAfter(tryAgain, "the database of shard %s is empty, and was not: put its database back, or give the shard up, so that its photos are made anew from copies", r.Name)
	}
	if err == nil && begun == 0 && no == r.No && house == s.house {
		return s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, sqlShardBegin, r.No)
			return err
		})
	}
	if err == nil && (no != r.No || house != s.house) {
		err = errs.New(errs.Conflict, "the database of shard %s holds shard number %d of %s: a shard needs a database, or a schema, of its own",
			r.Name, no, thisHouse(house == s.house))
	}
	return err
}

func thisHouse(yes bool) string {
	if yes {
		return "this house"
	}
	return "another house"
}

// ownerKey is the object that says whose a bucket is.
const ownerKey = "shard"

func (s *Set) openBucket(ctx context.Context, r record) (bucket.Bucket, error) {
	b, err := s.bucketOf(ctx, r)
	if err != nil {
		return nil, err
	}
	want := s.house + " " + strconv.FormatInt(r.No, 10) + "\n"
	err = b.Put(ctx, ownerKey, strings.NewReader(want), int64(len(want)), bucket.PutOptions{IfAbsent: true})
	if !errs.Is(err, errs.Conflict) {
		return b, err
	}
	got, err := b.Get(ctx, ownerKey, 0, -1)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(got, 1<<10))
	if err := errors.Join(err, got.Close()); err != nil {
		return nil, err
	}
	if string(text) != want {
		house, no, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
		return nil, errs.New(errs.Conflict, "the bucket of shard %s holds shard number %.20s of %s: a shard needs a bucket of its own", r.Name, no, thisHouse(house == s.house))
	}
	return b, nil
}

func (s *Set) bucketOf(ctx context.Context, r record) (bucket.Bucket, error) {
	switch {
	case r.Bucket != "":
		return bucket.Open(ctx, r.Bucket)
	case s.blobs != nil:
		return bucket.Under(s.blobs, "photos/"+r.Name)
	}
	return bucket.Open(ctx, "dir:"+filepath.Join(s.n.Folder, r.Name, "blobs"))
}

// sqlAddress returns where the shard's database is, and makes its folder or schema.
func (s *Set) sqlAddress(ctx context.Context, r record) (string, error) {
	if r.SQL != "" {
		if path, ok := strings.CutPrefix(r.SQL, "sqlite:"); ok {
			return r.SQL, os.MkdirAll(filepath.Dir(path), 0o700)
		}
		return r.SQL, nil
	}
	if s.n.SQL == "" {
		dir := filepath.Join(s.n.Folder, r.Name)
		return "sqlite:" + filepath.Join(dir, "shard.db"), os.MkdirAll(dir, 0o700)
	}
	// Names hold no _, so that two never meet in one schema.
	schema := "photos_" + strings.ReplaceAll(r.Name, "-", "_")
	u, err := url.Parse(s.n.SQL)
	if err != nil {
		return "", errs.New(errs.Invalid, "the house's database address cannot be read")
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String(), s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var n int64
		if err := tx.QueryRow(ctx, sqlSchemaThere, schema).Scan(&n); err != nil || n > 0 {
			return err
		}
		_, err := tx.Exec(ctx, `CREATE SCHEMA IF NOT EXISTS `+schema)
		return err
	})
}

// checkPlaces refuses addresses that cannot be, or that hold a password: they are kept in
// the house's database and shown to operators.
func (s *Set) checkPlaces(sql, blobs string) error {
	scheme, _, _ := strings.Cut(sql, ":")
	switch scheme {
	case "":
	case "sqlite":
		if s.n.DB.Postgres() {
			return errs.New(errs.Invalid, "a house on PostgreSQL has several processes, and a shard in a SQLite file only one: give it a postgres:// address")
		}
	case "postgres", "postgresql":
		u, err := url.Parse(sql)
		if err != nil {
			return errs.New(errs.Invalid, "the shard's database address cannot be read")
		}
		if _, has := u.User.Password(); has || u.Query().Has("password") {
			return errs.New(errs.Invalid, "the password does not belong in the shard's database address: put it into the file that PGPASSFILE names")
		}
	default:
		return errs.New(errs.Invalid, "a shard's database is sqlite:PATH or postgres://..., not %.20q", scheme+":")
	}
	scheme, _, _ = strings.Cut(blobs, ":")
	switch scheme {
	case "", "dir":
		return nil
	case "s3":
		if u, err := url.Parse(blobs); err == nil {
			if _, has := u.User.Password(); has {
				return errs.New(errs.Invalid, "the S3 secret does not belong in the shard's bucket address: put it into PLUMB_S3_SECRET or a file (secret_file=PATH)")
			}
		}
		return nil
	}
	return errs.New(errs.Invalid, "a shard's bucket is dir:PATH or s3://ACCESS@host:port/bucket")
}

// checkName holds a shard's name to its letters.
func checkName(name string) error {
	ok := len(name) >= 1 && len(name) <= 32 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
	if !ok {
		return errs.New(errs.Invalid, "a shard's name has 1 to 32 of a-z, 0-9 and -, not %.40q", name)
	}
	return nil
}
