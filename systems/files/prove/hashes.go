package prove

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"plumb/engines/sqldb"
)

// hashStore is the textbook's fix: a table of hashes, with an index, in which an upload
// looks its SHA-256 up; where it is known its count goes up by one, and else the file
// is kept and its row made. As such programs are commonly written: each step is right
// and durable on its own, and nothing holds two of them together.
type hashStore struct {
	dir    string // contents/ID, spool/, index.db
	db     *sqldb.DB
	serial atomic.Int64
}

func newHashStore(ctx context.Context, dir string) (*hashStore, error) {
	err := errors.Join(os.Mkdir(filepath.Join(dir, "contents"), 0o700), os.Mkdir(filepath.Join(dir, "spool"), 0o700))
	if err != nil {
		return nil, err
	}
	s := &hashStore{dir: dir}
	if s.db, err = sqldb.Open(ctx, "sqlite:"+filepath.Join(dir, "index.db"), sqldb.Options{}); err != nil {
		return nil, err
	}
	for _, q := range []string{
		`CREATE TABLE contents (id TEXT PRIMARY KEY, hash TEXT NOT NULL, refs BIGINT NOT NULL)`,
		`CREATE INDEX contents_hash ON contents (hash)`,
		`CREATE TABLE names (name TEXT PRIMARY KEY, content TEXT NOT NULL)`,
	} {
		if err := s.exec(q); err != nil {
			return nil, errors.Join(err, s.db.Close())
		}
	}
	return s, nil
}

// exec is a transaction of one statement.
func (s *hashStore) exec(q string, args ...any) error {
	return s.db.Write(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, q, args...)
		return err
	})
}

// row reads one row; ok is false when there is none.
func (s *hashStore) row(q string, arg any, dest ...any) (ok bool, err error) {
	err = s.db.Read(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, q, arg).Scan(dest...)
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func (s *hashStore) content(id string) string { return filepath.Join(s.dir, "contents", id) }

func (s *hashStore) put(name string, r io.Reader) error {
	id := fmt.Sprint(s.serial.Add(1))
	spooled, sum := filepath.Join(s.dir, "spool", id), sha256.New()
	if _, err := spool(spooled, io.TeeReader(r, sum)); err != nil {
		return err
	}
	hash := hex.EncodeToString(sum.Sum(nil))
	var known string
	var refs int64
	ok, err := s.row(`SELECT id, refs FROM contents WHERE hash = $1 LIMIT 1`, hash, &known, &refs)
	switch {
	case err != nil:
	case ok:
		id = known
		err = errors.Join(s.exec(`UPDATE contents SET refs = $1 WHERE id = $2`, refs+1, id), os.Remove(spooled))
	default:
		err = errors.Join(os.Rename(spooled, s.content(id)), syncFolder(filepath.Join(s.dir, "contents")))
		if err == nil {
			err = s.exec(`INSERT INTO contents (id, hash, refs) VALUES ($1, $2, 1)`, id, hash)
		}
	}
	if err != nil {
		return err
	}
	var before string
	replaces, err := s.row(`SELECT content FROM names WHERE name = $1`, name, &before)
	if err != nil {
		return err
	}
	if err := s.exec(`INSERT INTO names (name, content) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET content = excluded.content`, name, id); err != nil || !replaces {
		return err
	}
	return s.release(before)
}

// adopt gives a name content that is there already, by its hash.
func (s *hashStore) adopt(name, hash string) error {
	var id string
	var refs int64
	ok, err := s.row(`SELECT id, refs FROM contents WHERE hash = $1 LIMIT 1`, hash, &id, &refs)
	if err != nil {
		return err
	}
	if !ok {
		return fs.ErrNotExist
	}
	if err := s.exec(`UPDATE contents SET refs = $1 WHERE id = $2`, refs+1, id); err != nil {
		return err
	}
	return s.exec(`INSERT INTO names (name, content) VALUES ($1, $2)`, name, id)
}

// release counts one name less, and ends the content with its last.
func (s *hashStore) release(id string) error {
	var refs int64
	ok, err := s.row(`SELECT refs FROM contents WHERE id = $1`, id, &refs)
	if err != nil || !ok {
		return err
	}
	if refs > 1 {
		return s.exec(`UPDATE contents SET refs = $1 WHERE id = $2`, refs-1, id)
	}
	if err := s.exec(`DELETE FROM contents WHERE id = $1`, id); err != nil {
		return err
	}
	if err := os.Remove(s.content(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (s *hashStore) open(name string) (io.ReadCloser, error) {
	var id string
	ok, err := s.row(`SELECT content FROM names WHERE name = $1`, name, &id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fs.ErrNotExist
	}
	f, err := os.Open(s.content(id))
	if errors.Is(err, fs.ErrNotExist) { // a name that is there must have a content
		return nil, fmt.Errorf("content %s of %s is gone", id, name)
	}
	return f, err
}

func (s *hashStore) remove(name string) error {
	var id string
	ok, err := s.row(`SELECT content FROM names WHERE name = $1`, name, &id)
	if err != nil {
		return err
	}
	if !ok {
		return fs.ErrNotExist
	}
	if err := s.exec(`DELETE FROM names WHERE name = $1`, name); err != nil {
		return err
	}
	return s.release(id)
}

// fill puts files there, quickly: many rows a transaction, without syncs of the files.
func (s *hashStore) fill(name func(i int) string, from, to int, data func(i int) []byte) error {
	return s.db.Write(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
		for i := from; i < to; i++ {
			body := data(i)
			sum, id := sha256.Sum256(body), fmt.Sprint(s.serial.Add(1))
			if err := os.WriteFile(s.content(id), body, 0o600); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `INSERT INTO contents (id, hash, refs) VALUES ($1, $2, 1)`, id, hex.EncodeToString(sum[:])); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `INSERT INTO names (name, content) VALUES ($1, $2)`, name(i), id); err != nil {
				return err
			}
		}
		return nil
	})
}

// miscounted is how many contents have another count than names that refer to them.
func (s *hashStore) miscounted() (n int64, err error) {
	_, err = s.row(`SELECT count(*) FROM contents AS c WHERE c.refs <> (SELECT count(*) FROM names AS n WHERE n.content = c.id) AND $1 = 0`, 0, &n)
	return n, err
}

func (s *hashStore) close() error { return s.db.Close() }
