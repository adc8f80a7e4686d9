package cas_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"pgregory.net/rapid"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// The contents of the machine: small and large ones, some that share chunks, one that
// is another's chunk, and repetition.
var machineContents = func() [][]byte {
	a, b, c := random(10, 700_000), text(11, 900_000), random(12, 90_000)
	return [][]byte{{}, []byte("x"), random(13, 5000), text(14, 60_000), c, a, append(append([]byte{}, c...), a...),
		append(append([]byte{}, a...), c...), b, b[:400_000], make([]byte, 1<<20), append(make([]byte, 1<<20), a...)}
}()

// machine is a store and what must be in it.
type machine struct {
	t       *testing.T
	db      *sqldb.DB
	bucket  bucket.Bucket
	clock   *clock.Manual
	store   *cas.Store
	pending []*cas.Pending
	content []int // of pending
	refs    map[int]int
	hashes  map[int]cas.Hash
}

func (m *machine) open(r *rapid.T) {
	s, err := cas.Open(context.Background(), cas.Needs{DB: m.db, Bucket: m.bucket, Key: houseKey, Clock: m.clock},
		cas.Options{Alone: rapid.Bool().Draw(r, "alone"), Plain: rapid.Bool().Draw(r, "plain"), VerifyOnHit: rapid.Bool().Draw(r, "verify")})
	if err != nil {
		m.t.Fatal(err)
	}
	if rapid.Bool().Draw(r, "small") {
		s.MakeSmall()
	}
	m.store = s
}

func (m *machine) write(r *rapid.T, fn sqldb.Fn) error {
	if rapid.IntRange(0, 4).Draw(r, "undo") == 0 { // a transaction that comes to nothing
		fail := errs.New(errs.Invalid, "undo")
		err := m.db.Write(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
			if err := fn(ctx, tx); err != nil {
				return err
			}
			return fail
		})
		if err != fail && !errs.Is(err, errs.NotFound) && !errs.Is(err, errs.Conflict) {
			r.Fatalf("undone: %v", err)
		}
	}
	return m.db.Write(context.Background(), fn)
}

func (m *machine) actions() map[string]func(*rapid.T) {
	ctx := context.Background()
	some := func(r *rapid.T) int { return rapid.IntRange(0, len(machineContents)-1).Draw(r, "content") }
	return map[string]func(*rapid.T){
		"put": func(r *rapid.T) {
			i := some(r)
			opt := cas.PutOptions{Later: rapid.Bool().Draw(r, "later"), Trusted: rapid.Bool().Draw(r, "trusted"), Whole: rapid.Bool().Draw(r, "whole")}
			p, err := m.store.Put(ctx, bytes.NewReader(machineContents[i]), opt)
			if err != nil {
				r.Fatal(err)
			}
			m.pending, m.content = append(m.pending, p), append(m.content, i)
			m.hashes[i] = p.Hash()
		},
		"take": func(r *rapid.T) {
			if len(m.pending) == 0 {
				r.Skip()
			}
			k := rapid.IntRange(0, len(m.pending)-1).Draw(r, "pending")
			p, i := m.pending[k], m.content[k]
			if err := p.Ready(ctx); errs.Is(err, errs.Conflict) {
				return
			} else if err != nil {
				r.Fatal(err)
			}
			err := m.write(r, func(ctx context.Context, tx *sqldb.Tx) error { return m.store.Take(ctx, tx, p) })
			switch {
			case err == nil:
				m.refs[i]++
			case !errs.Is(err, errs.Conflict):
				r.Fatal(err)
			}
		},
		"close": func(r *rapid.T) {
			if len(m.pending) == 0 {
				r.Skip()
			}
			k := rapid.IntRange(0, len(m.pending)-1).Draw(r, "pending")
			m.pending[k].Close()
			m.pending = append(m.pending[:k], m.pending[k+1:]...)
			m.content = append(m.content[:k], m.content[k+1:]...)
		},
		"add": func(r *rapid.T) {
			i := some(r)
			err := m.write(r, func(ctx context.Context, tx *sqldb.Tx) error { return m.store.Add(ctx, tx, m.hashes[i]) })
			if m.refs[i] == 0 && errs.Is(err, errs.NotFound) {
				return
			}
			if err != nil || m.refs[i] == 0 {
				r.Fatalf("add to %d references: %v", m.refs[i], err)
			}
			m.refs[i]++
		},
		"drop": func(r *rapid.T) {
			i := some(r)
			err := m.write(r, func(ctx context.Context, tx *sqldb.Tx) error { return m.store.Drop(ctx, tx, m.hashes[i]) })
			if m.refs[i] == 0 && errs.Is(err, errs.NotFound) {
				return
			}
			if err != nil || m.refs[i] == 0 {
				r.Fatalf("drop one of %d references: %v", m.refs[i], err)
			}
			m.refs[i]--
		},
		"collect": func(r *rapid.T) {
			if _, err := m.store.Collect(ctx, nil); err != nil {
				r.Fatal(err)
			}
		},
		"scrub": func(r *rapid.T) {
			if got, err := m.store.Scrub(ctx, nil); err != nil || got.Bad > 0 {
				r.Fatalf("%+v, %v", got, err)
			}
		},
		"time": func(r *rapid.T) {
			m.clock.Advance(time.Duration(rapid.IntRange(1, 30).Draw(r, "hours")) * time.Hour)
		},
		"crash": func(r *rapid.T) { // Pendings are lost; a store that goes on for a while is no harm
			old := m.store
			m.pending, m.content = nil, nil
			m.open(r)
			old.Close()
		},
		"": m.check,
	}
}

func (m *machine) check(r *rapid.T) {
	if err := m.store.Check(context.Background()); err != nil {
		r.Fatal(err)
	}
	st, err := m.store.Stats(context.Background())
	if err != nil {
		r.Fatal(err)
	}
	want := cas.Stats{}
	for i, n := range m.refs {
		size := int64(len(machineContents[i]))
		want.References += int64(n)
		want.Logical += int64(n) * size
		if n > 0 {
			want.Blobs++
			want.Unique += size
		}
		rd, err := m.store.Open(context.Background(), m.hashes[i])
		if n == 0 {
			if !errs.Is(err, errs.NotFound) {
				r.Fatalf("open what has no references: %v", err)
			}
			continue
		}
		if err != nil {
			r.Fatal(err)
		}
		got, err := io.ReadAll(rd)
		rd.Close()
		if err != nil || !bytes.Equal(got, machineContents[i]) {
			r.Fatalf("content %d of %d bytes: %d bytes, %v", i, size, len(got), err)
		}
	}
	if st.Blobs != want.Blobs || st.References != want.References || st.Logical != want.Logical || st.Unique != want.Unique {
		r.Fatalf("%+v, want %+v", st, want)
	}
}

// end drops everything and says that nothing stays.
func (m *machine) end(r *rapid.T) {
	for _, p := range m.pending {
		p.Close()
	}
	for i, n := range m.refs {
		for range n {
			err := m.db.Write(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error { return m.store.Drop(ctx, tx, m.hashes[i]) })
			if err != nil {
				r.Fatal(err)
			}
		}
	}
	m.clock.Advance(50 * time.Hour)
	if _, err := m.store.Collect(context.Background(), nil); err != nil {
		r.Fatal(err)
	}
	m.refs = map[int]int{}
	m.check(r)
	st, err := m.store.Stats(context.Background())
	if err != nil || st != (cas.Stats{}) {
		r.Fatalf("after everything went: %+v, %v", st, err)
	}
	if l, err := m.bucket.List(context.Background(), "cas/", "", 10); err != nil || len(l) > 0 {
		r.Fatalf("objects that stay: %v, %v", l, err)
	}
	m.store.Close()
}

// TestAgainstModel does random things to a store and compares it with a model after each.
func TestAgainstModel(t *testing.T) {
	for _, kind := range []string{"memory", "folder"} {
		t.Run(kind, func(t *testing.T) {
			sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
				b := newBucket(t, kind)
				rapid.Check(t, func(r *rapid.T) {
					m := &machine{t: t, db: db, bucket: b, clock: clock.NewManual(time.UnixMilli(1_800_000_000_000)), refs: map[int]int{}, hashes: map[int]cas.Hash{}}
					m.open(r)
					defer m.store.Close()
					r.Repeat(m.actions())
					m.end(r)
				})
			})
		})
	}
}
