package files

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/bucket/buckettest"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// houses opens n rooms on one database and one bucket: n processes of one house.
func houses(t *testing.T, kind string, n int) []*house {
	t.Helper()
	url := sqldbtest.URL(t, kind)
	blobs, err := bucket.Folder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var list []*house
	for range n {
		db, err := sqldb.Open(context.Background(), url, sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		list = append(list, open(t, db, func(up *setup) { up.blobs = blobs }))
	}
	return list
}

// patiently repeats what a busy database refuses, as a client does.
func patiently(fn func() error) error {
	for try := 1; ; try++ {
		err := fn()
		if !errs.Is(err, errs.Busy) || try == 50 {
			return err
		}
		time.Sleep(time.Duration(try) * 5 * time.Millisecond)
	}
}

// However many store the same at once, in however many processes, one content stays,
// and its count is exact.
func TestTheSameBytesAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind      string
		processes int
		uploads   int
		size      int
	}{{sqldbtest.SQLite, 1, 1000, 100_000}, {sqldbtest.Postgres, 1, 200, 300_000}, {sqldbtest.Postgres, 2, 48, 2 << 20}} {
		t.Run(fmt.Sprintf("%s, %d at %d", c.kind, c.uploads, c.processes), func(t *testing.T) {
			list := houses(t, c.kind, c.processes)
			same := make([]byte, c.size)
			rand.Read(same)
			var all sync.WaitGroup
			room := make(chan struct{}, 64)
			for i := range c.uploads {
				all.Go(func() {
					room <- struct{}{}
					defer func() { <-room }()
					h := list[i%len(list)]
					name := []string{"ada", "bob", "eve"}[i%3]
					err := patiently(func() error {
						_, _, err := h.Write(context.Background(), h.who[name], fmt.Sprintf("race/%d", i), bytes.NewReader(same), WriteOptions{Size: int64(len(same))})
						return err
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			h := list[0]
			st, err := h.Stats(t.Context(), Person{Operator: true})
			if err != nil || st.Files != int64(c.uploads) || st.Store.Blobs != 1 || st.Store.References != int64(c.uploads) || st.Store.Unique != int64(c.size) || st.Logical != int64(c.uploads*c.size) {
				t.Errorf("%+v %+v, %v", st, st.Store, err)
			}
			if _, err := h.Collect(t.Context(), nil); err != nil {
				t.Error(err)
			}
			if st, err = h.Stats(t.Context(), Person{Operator: true}); err != nil || st.Store.Stored > int64(c.size)*11/10+4096 {
				t.Errorf("%+v, %v", st.Store, err)
			}
			if got := h.text("bob", "race/1"); got != string(same) {
				t.Error("other bytes came back")
			}
			h.sound()
		})
	}
}

// Moves at the same moment never make a circle, which would lose a tree its root.
func TestMovesMakeNoCircle(t *testing.T) {
	t.Parallel()
	for _, processes := range []int{1, 2} {
		kind := sqldbtest.Postgres
		if processes == 1 {
			kind = sqldbtest.SQLite
		}
		t.Run(fmt.Sprint(kind, processes), func(t *testing.T) {
			list := houses(t, kind, processes)
			h, ctx := list[0], context.Background()
			for round := range 10 {
				a, b := fmt.Sprintf("a%d", round), fmt.Sprintf("b%d", round)
				for _, name := range []string{a, b} {
					if _, err := h.Mkdir(ctx, h.who["ada"], name, false); err != nil {
						t.Fatal(err)
					}
				}
				var all sync.WaitGroup
				var moved atomic.Int64
				for i, m := range [][2]string{{a, b + "/in"}, {b, a + "/in"}} {
					all.Go(func() {
						r := list[i%len(list)]
						err := patiently(func() error { return r.Move(ctx, r.who["ada"], m[0], m[1], false) })
						switch {
						case err == nil:
							moved.Add(1)
						case !errs.Is(err, errs.Conflict) && !errs.Is(err, errs.NotFound):
							t.Error(err)
						}
					})
				}
				all.Wait()
				left := h.below("ada")
				if moved.Load() != 1 || len(left) != round+1 {
					t.Fatalf("%d moved, the root holds %q", moved.Load(), left)
				}
			}
			h.sound()
		})
	}
}

// A quota holds however many write at once.
func TestQuotaHoldsInARace(t *testing.T) {
	t.Parallel()
	for _, kind := range sqldbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			h := open(t, sqldbtest.Open(t, kind, sqldb.Options{}), func(up *setup) { up.files.Quota = 10_000 })
			var all sync.WaitGroup
			var stored, over atomic.Int64
			for i := range 40 {
				all.Go(func() {
					text := strings.Repeat(fmt.Sprintf("%04d", i), 250)
					err := patiently(func() error {
						_, _, err := h.Write(context.Background(), h.who["ada"], fmt.Sprint(i), strings.NewReader(text), WriteOptions{Size: -1})
						return err
					})
					switch {
					case err == nil:
						stored.Add(1)
					case errs.Is(err, errs.TooLarge):
						over.Add(1)
					default:
						t.Error(err)
					}
				})
			}
			all.Wait()
			if stored.Load() != 10 || over.Load() != 30 {
				t.Errorf("%d stored, %d refused", stored.Load(), over.Load())
			}
			if _, err := h.Collect(t.Context(), nil); err != nil {
				t.Error(err)
			}
			h.sound()
		})
	}
}

// The collector runs beside writers and removers, who lose nothing to it.
func TestCollectionBesideChanges(t *testing.T) {
	t.Parallel()
	for _, kind := range sqldbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			h := open(t, sqldbtest.Open(t, kind, sqldb.Options{}))
			ctx, stop := context.WithCancel(context.Background())
			var collector, all sync.WaitGroup
			collector.Go(func() {
				for ctx.Err() == nil {
					if _, err := h.Collect(ctx, nil); err != nil && ctx.Err() == nil && !errs.Is(err, errs.Busy) {
						t.Error(err)
					}
				}
			})
			for w := range 4 {
				all.Go(func() {
					name := []string{"ada", "bob"}[w%2]
					for i := range 15 {
						// The same few contents come and go under many names.
						text := strings.Repeat(fmt.Sprint("content ", i%3), 5000+50_000*(i%2))
						at := fmt.Sprintf("w%d/%d", w, i%5)
						err := patiently(func() error {
							_, _, err := h.Write(context.Background(), h.who[name], at, strings.NewReader(text), WriteOptions{Size: -1})
							return err
						})
						if err != nil {
							t.Error(err)
							return
						}
						if got := h.text(name, at); got != text {
							t.Errorf("%s: %d bytes came back, of %d", at, len(got), len(text))
						}
						if i%4 == 3 {
							if err := patiently(func() error { return h.Remove(context.Background(), h.who[name], at) }); err != nil {
								t.Error(err)
							}
							if err := patiently(func() error { _, err := h.EmptyBin(context.Background(), h.who[name]); return err }); err != nil {
								t.Error(err)
							}
						}
					}
				})
			}
			all.Wait()
			stop()
			collector.Wait()
			h.sound()
		})
	}
}

// The same on an S3 store, sealed and bare.
func TestOnS3(t *testing.T) {
	t.Parallel()
	url := buckettest.S3(t)
	blobs, err := bucket.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	one(t, func(t *testing.T, h *house) {
		big := make([]byte, 3<<20)
		rand.Read(big)
		h.put("ada", "big", string(big))
		h.put("bob", "big too", string(big))
		if got := h.text("bob", "big too"); got != string(big) {
			t.Error("other bytes came back")
		}
		if w := h.call("GET", contentURL+"big", "ada", nil, "Range", "bytes=2000000-2000099"); w.Body.String() != string(big[2000000:2000100]) {
			t.Errorf("a range: %d, %d bytes", w.Code, w.Body.Len())
		}
		for _, name := range []string{"ada", "bob"} {
			for _, p := range []string{"big", "big too"} {
				h.Remove(t.Context(), h.who[name], p) // each has one of the two
			}
			if _, err := h.EmptyBin(t.Context(), h.who[name]); err != nil {
				t.Fatal(err)
			}
		}
		h.clock.Advance(48 * time.Hour)
		if _, err := h.Collect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if left, err := blobs.List(t.Context(), "cas/", "", 10); err != nil || len(left) != 0 {
			t.Errorf("%v stay, %v", left, err)
		}
		h.sound()
	}, func(up *setup) { up.blobs, up.cas = blobs, cas.Options{} })
}
