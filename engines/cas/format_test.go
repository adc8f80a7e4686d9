package cas_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"plumb/engines/bucket"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// golden is what stands in SQL beside testdata/pack-v1.bin.
type golden struct {
	Pack   string
	Key    []byte
	Size   int64
	Chunks []goldenChunk
}

type goldenChunk struct {
	Hash                     []byte
	Off, Stored, Size, Codec int64
	Content                  string
}

// TestFormat reads a pack that an earlier version wrote.
func TestFormat(t *testing.T) {
	const rows, object = "testdata/pack-v1.json", "testdata/pack-v1.bin"
	if *rewrite {
		writeGolden(t, rows, object)
	}
	raw, err := os.ReadFile(rows)
	if err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(object)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	if string(body[:12]) != "plumb cas\x00\x01\x01" || int64(len(body)) != 32+g.Size {
		t.Errorf("an object of %d bytes that begins with %q", len(body), body[:12])
	}
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		b := bucket.Memory()
		s := open(t, db, b, cas.Options{})
		if err := b.Put(t.Context(), "cas/"+g.Pack[len(g.Pack)-2:]+"/"+g.Pack, bytes.NewReader(body), -1, bucket.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO cas_packs (id, kind, state, key, size, live, until, asleep) VALUES ($1, 'object', 'stored', $2, $3, $3, 0, 0)`, g.Pack, g.Key, g.Size)
			for i, c := range g.Chunks {
				if err == nil {
					_, err = tx.Exec(ctx, `INSERT INTO cas_chunks (id, pack, off, stored, size, codec, refs, bad) VALUES ($1, $2, $3, $4, $5, $6, 1, 0)`, c.Hash, g.Pack, c.Off, c.Stored, c.Size, c.Codec)
				}
				if err == nil {
					_, err = tx.Exec(ctx, `INSERT INTO cas_blobs (hash, id, size, parts, refs, takes) VALUES ($1, $2, $3, 0, 1, 1)`, c.Hash, string(rune('a'+i)), c.Size)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range g.Chunks {
			reads(t, s, cas.Hash(c.Hash), []byte(c.Content))
		}
	})
}

func writeGolden(t *testing.T, rows, object string) {
	db, b := sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{}), bucket.Memory()
	s := open(t, db, b, cas.Options{})
	contents := map[string]string{}
	var pending []*cas.Pending
	for _, c := range []string{"", "a short one", string(text(1, 3000))} {
		p, err := s.Put(t.Context(), bytes.NewReader([]byte(c)), cas.PutOptions{Later: true})
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, p)
		h := p.Hash()
		contents[string(h[:])] = c
	}
	for _, p := range pending {
		if err := p.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		take(t, db, s, p)
	}
	var g golden
	err := db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		g = golden{}
		if err := tx.QueryRow(ctx, `SELECT id, key, size FROM cas_packs`).Scan(&g.Pack, &g.Key, &g.Size); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT id, off, stored, size, codec FROM cas_chunks ORDER BY off`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var c goldenChunk
			if err := rows.Scan(&c.Hash, &c.Off, &c.Stored, &c.Size, &c.Codec); err != nil {
				return err
			}
			c.Content = contents[string(c.Hash)]
			g.Chunks = append(g.Chunks, c)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.Get(t.Context(), "cas/"+g.Pack[len(g.Pack)-2:]+"/"+g.Pack, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(r)
	raw, _ := json.MarshalIndent(g, "", "\t")
	if err := os.MkdirAll(filepath.Dir(rows), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{rows: append(raw, '\n'), object: body} {
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestExtents: bare content can be sent from its files, and what the extents say is the
// content.
func TestExtents(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		b := newBucket(t, "folder")
		sealed, plain := open(t, db, b, cas.Options{}), open(t, db, b, cas.Options{Plain: true})
		content := random(1, 3<<20)
		h := keep(t, db, plain, content, cas.PutOptions{})
		r, err := plain.Open(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for _, span := range [][2]int64{{0, 3 << 20}, {0, 1}, {1 << 20, 1<<20 + 7}, {3<<20 - 1, 100}, {0, 1 << 30}} {
			list, ok := r.Extents(span[0], span[1])
			if !ok {
				t.Fatalf("no extents for %v", span)
			}
			var got []byte
			for _, e := range list {
				if _, isFile := e.File.(*os.File); !isFile {
					t.Fatalf("%T is no file", e.File)
				}
				part := make([]byte, e.N)
				if _, err := e.File.ReadAt(part, e.Off); err != nil {
					t.Fatal(err)
				}
				got = append(got, part...)
			}
			if want := content[span[0]:min(span[0]+span[1], 3<<20)]; !bytes.Equal(got, want) {
				t.Errorf("extents of %v: %d bytes, %d wanted, in %d files", span, len(got), len(want), len(list))
			}
		}
		if _, ok := r.Extents(3<<20, 1); ok {
			t.Error("extents past the end")
		}
		for name, h := range map[string]cas.Hash{"sealed": keep(t, db, sealed, random(2, 300_000), cas.PutOptions{}),
			"in the database": keep(t, db, plain, random(3, 300), cas.PutOptions{}), "compressed": keep(t, db, plain, text(4, 300_000), cas.PutOptions{})} {
			r, err := plain.Open(t.Context(), h)
			if err != nil {
				t.Fatal(err)
			}
			if list, ok := r.Extents(0, r.Size()); ok {
				t.Errorf("what is %s has extents: %v", name, list)
			}
			r.Close()
		}
	})
}
