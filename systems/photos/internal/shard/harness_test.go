package shard

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

//go:embed testdata/schema
var testSchema embed.FS

// testTables are a room's tables as the tests have them: photos with two contents, and
// albums that are theirs.
func testTables() []Table {
	return []Table{{
		Name:    "photos_photo",
		Columns: append(Text("id", "owner", "name", "hash", "small"), append(Int("rev", "gone", "size"), append(Float("lat"), Bytes("mark")...)...)...),
		Key:     []string{"id"},
		Hashes:  []string{"hash", "small"},
	}, {
		Name:    "photos_in_album",
		Columns: append(Text("album", "photo", "owner"), Int("rev", "gone", "place")...),
		Key:     []string{"album", "photo"},
	}}
}

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// house is a database with the folders of its shards; several Sets may be opened on it,
// as so many processes.
type house struct {
	t      testing.TB
	url    string
	kind   string
	folder string
	clock  clock.Clock
	change func(*Needs, *Config)
}

func newHouse(t testing.TB, kind string, change ...func(*Needs, *Config)) *house {
	t.Helper()
	h := &house{t: t, url: sqldbtest.URL(t, kind), kind: kind, folder: t.TempDir(), clock: clock.System{}, change: func(*Needs, *Config) {}}
	if len(change) > 0 {
		h.change = change[0]
	}
	return h
}

// needs are those of one process, with a connection of its own to the house.
func (h *house) needs() (Needs, Config) {
	h.t.Helper()
	n, c := needsOf(h.url, h.folder)
	h.t.Cleanup(func() { n.DB.Close() })
	n.Clock = h.clock
	n.Log = slog.New(slog.NewTextHandler(testWriter{h.t}, &slog.HandlerOptions{Level: slog.LevelError}))
	if h.kind == sqldbtest.Postgres {
		n.SQL = h.url
	}
	h.change(&n, &c)
	return n, c
}

func needsOf(url, folder string) (Needs, Config) {
	// Nobody cuts the power here.
	db, err := sqldb.Open(context.Background(), url, sqldb.Options{NoSync: true})
	if err != nil {
		panic(err)
	}
	sub, err := fs.Sub(testSchema, "testdata")
	if err != nil {
		panic(err)
	}
	return Needs{DB: db, Clock: clock.System{}, Key: []byte(strings.Repeat("k", 32)), Folder: folder, Schema: sub, Tables: testTables(), NoSync: true,
		Log: slog.New(slog.DiscardHandler)}, Config{Grace: -1, Refresh: 50 * time.Millisecond}
}

// expireLeases is time that passes, for those who are dead.
func expireLeases(ctx context.Context, tx *sqldb.Tx) error {
	if _, err := tx.Exec(ctx, `UPDATE photos_pins SET lease = 0`); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE photos_maps SET lease = 0`)
	return err
}

// process opens a Set, as one more process of the house.
func (h *house) process() *Set {
	h.t.Helper()
	n, c := h.needs()
	s, err := Open(context.Background(), n, c)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(s.Close)
	return s
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", b)
	return len(b), nil
}

func each(t *testing.T, fn func(t *testing.T, kind string)) {
	for _, kind := range sqldbtest.Kinds() {
		t.Run(kind, func(t *testing.T) { fn(t, kind) })
	}
}

const putPhoto = `INSERT INTO photos_photo (id, owner, name, hash, small, rev, gone, size, lat, mark) VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9)
	ON CONFLICT (id) DO UPDATE SET name = excluded.name, rev = excluded.rev`

// put stores a photo with two contents, as the room does.
func put(ctx context.Context, s *Set, owner, id, text string) error {
	return putNamed(ctx, s, owner, id, text, "name of "+id)
}

func putNamed(ctx context.Context, s *Set, owner, id, text, name string) error {
	for {
		at, err := s.Home(ctx, owner)
		if err != nil {
			return err
		}
		err = putOn(ctx, s, at, owner, id, text, name)
		if err != ErrMoved {
			return err
		}
	}
}

func putOn(ctx context.Context, s *Set, at *Shard, owner, id, text, name string) error {
	var both [2]*cas.Pending
	for i, content := range []string{text, "small " + text} {
		p, err := at.CAS.Put(ctx, strings.NewReader(content), cas.PutOptions{})
		if err != nil {
			return err
		}
		defer p.Close()
		both[i] = p
	}
	return s.Write(ctx, owner, at, func(ctx context.Context, tx *sqldb.Tx, at *Shard, rev int64) error {
		for _, p := range both {
			if err := at.CAS.Take(ctx, tx, p); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, putPhoto, id, owner, name, both[0].Hash().String(), both[1].Hash().String(), rev, int64(len(text)), 52.5, []byte{0, 1, 255})
		if err == nil {
			err = s.Tally(ctx, tx, owner, 1, int64(len(text)))
		}
		return err
	})
}

// photo is what a test reads back.
type photo struct {
	id, name, hash, small string
	gone                  int64
}

func photosOf(ctx context.Context, s *Set, owner string) (list []photo, at *Shard, err error) {
	err = s.Read(ctx, owner, func(ctx context.Context, tx *sqldb.Tx, on *Shard) error {
		list, at = nil, on
		rows, err := tx.Query(ctx, `SELECT id, name, hash, small, gone FROM photos_photo WHERE owner = $1 AND gone = 0 ORDER BY id`, owner)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var p photo
			if err := rows.Scan(&p.id, &p.name, &p.hash, &p.small, &p.gone); err != nil {
				return err
			}
			list = append(list, p)
		}
		return rows.Err()
	})
	return list, at, err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func name(i int) string { return fmt.Sprintf("owner-%05d", i) }
