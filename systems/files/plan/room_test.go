package plan_test

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/engines/bucket"
	"plumb/engines/cas"
	"plumb/engines/forecast"
	"plumb/engines/sqldb"
	"plumb/systems/files"
	"plumb/systems/files/plan"
)

// TestThePlanTakesTheRoomsSettings keeps the defaults that the plan quotes from
// drifting away from the program.
func TestThePlanTakesTheRoomsSettings(t *testing.T) {
	p, err := forecast.Compile(plan.Model())
	if err != nil {
		t.Fatal(err)
	}
	room := files.Defaults()
	want := map[string]time.Duration{"versions_kept": room.Versions, "bin_kept": room.Bin}
	for _, in := range p.Model().Inputs {
		rg, err := p.ReadRange(in.Name, in.Default, false)
		if err != nil {
			t.Fatal(err)
		}
		if w, ok := want[in.Name]; ok && time.Duration(rg.Quantile(0.5)*24*float64(time.Hour)) != w {
			t.Errorf("%s is %s, the room's %s", in.Name, in.Default, w)
		}
	}
}

// TestASampleSaysWhatTheStoreDoes puts a tree into a real store and compares what that
// saved with what the sample said it would.
func TestASampleSaysWhatTheStoreDoes(t *testing.T) {
	dir := t.TempDir()
	big, words := make([]byte, 6<<20), bytes.Repeat([]byte("one thing is stored once, "), 8000)
	rand.NewChaCha8([32]byte{7}).Read(big)
	for name, data := range map[string][]byte{
		"big": big, "again": big, "edited": append([]byte("in front"), big...), "small": big[:5000], "words": words, "more words": append([]byte{1}, words...),
		"jpeg": append([]byte("\xff\xd8\xff"), words...), "tiny": words[:100],
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	said, err := plan.Measure(t.Context(), dir, time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	st := stored(t, dir)
	if st.Logical != said.Bytes {
		t.Fatalf("%d bytes, %d stored", said.Bytes, st.Logical)
	}
	for what, v := range map[string][2]float64{
		"equal files":  {said.SameFiles, 1 - float64(st.Unique)/float64(st.Logical)},
		"equal chunks": {said.SameChunks, 1 - float64(st.Chunked)/float64(st.Unique)},
		"compression":  {said.Compression, 1 - float64(st.Stored)/float64(st.Chunked)},
	} {
		// Stores cut with keys of their own: chunks differ a little.
		if math.Abs(v[0]-v[1]) > 0.05 {
			t.Errorf("%s: the sample said %.3f, the store saved %.3f", what, v[0], v[1])
		}
	}
}

// stored puts a folder's files into a new store.
func stored(t *testing.T, dir string) cas.Stats {
	ctx, data, log := t.Context(), t.TempDir(), slog.New(slog.DiscardHandler)
	db, err := sqldb.Open(ctx, "sqlite:"+filepath.Join(data, "plumb.db"), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	blobs, err := bucket.Open(ctx, "dir:"+filepath.Join(data, "blobs"))
	if err != nil {
		t.Fatal(err)
	}

	store, err := cas.Open(ctx, cas.Needs{DB: db, Bucket: blobs, Key: make([]byte, 32), Clock: clock.System{}, Log: log}, cas.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		p, err := store.Put(ctx, bytes.NewReader(data), cas.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		err = db.BatchBy(ctx, p.Lane(), func(ctx context.Context, tx *sqldb.Tx) error { return store.Take(ctx, tx, p) })
		p.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	st, err := store.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return st
}
