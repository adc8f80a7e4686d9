package buckettest

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"plumb/base/errs"
	"plumb/engines/bucket"
)

func ifAbsent(t *testing.T, b bucket.Bucket) {
	once := bucket.PutOptions{IfAbsent: true}
	if err := b.Put(t.Context(), "k/1", strings.NewReader("mine"), 4, once); err != nil {
		t.Fatalf("the first: %v", err)
	}
	wantKind(t, "the second", b.Put(t.Context(), "k/1", strings.NewReader("late"), 4, once), errs.Conflict)
	if got := read(t, b, "k/1", 0, -1); got != "mine" {
		t.Errorf("the loser's body stands: %q", got)
	}
	if err := b.Delete(t.Context(), "k/1"); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "k/1", strings.NewReader("again"), 5, once); err != nil {
		t.Errorf("after a delete: %v", err)
	}
	wantKeys(t, b, "k/1")
}

// race lets n writers put different bodies under one key, if absent: exactly
// one wins, all others are told so, and the winner's body stands.
func race(t *testing.T, b bucket.Bucket, n int, body func(i int) io.Reader, size int64) (winner int) {
	t.Helper()
	results := make([]error, n)
	start := make(chan bool)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			results[i] = b.Put(t.Context(), "the/one", body(i), size, bucket.PutOptions{IfAbsent: true})
		})
	}
	close(start)
	wg.Wait()
	winner = -1
	for i, err := range results {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("writers %d and %d both won", winner, i)
		case err == nil:
			winner = i
		default:
			wantKind(t, fmt.Sprintf("writer %d", i), err, errs.Conflict)
		}
	}
	if winner < 0 {
		t.Fatal("nobody won")
	}
	return winner
}

func fiftyWriters(t *testing.T, b bucket.Bucket) {
	for range 5 {
		text := func(i int) string { return fmt.Sprintf("written by %05d", i) }
		w := race(t, b, 50, func(i int) io.Reader { return strings.NewReader(text(i)) }, int64(len(text(0))))
		if got := read(t, b, "the/one", 0, -1); got != text(w) {
			t.Errorf("writer %d won, %q stands", w, got)
		}
		if err := b.Delete(t.Context(), "the/one"); err != nil {
			t.Fatal(err)
		}
	}
}

// largeWriters is the race for bodies that S3 takes in parts.
func largeWriters(t *testing.T, b bucket.Bucket) {
	const size = 17 << 20
	w := race(t, b, 4, func(i int) io.Reader { return io.LimitReader(&pattern{at: int64(i)}, size) }, size)
	got := read(t, b, "the/one", size-5, -1)
	want := make([]byte, 5)
	(&pattern{at: int64(w) + size - 5}).Read(want)
	if got != string(want) {
		t.Errorf("writer %d won, another's body stands", w)
	}
	wantKeys(t, b, "the/one")
}

// replaceWhileRead: a reader sees one version, whole.
func replaceWhileRead(t *testing.T, b bucket.Bucket) {
	version := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), 50_000+i) }
	put(t, b, "k", version(0))
	done := make(chan bool)
	go func() {
		defer close(done)
		for i := 1; i < 40; i++ {
			text := version(i)
			if err := b.Put(context.Background(), "k", strings.NewReader(text), int64(len(text)), bucket.PutOptions{}); err != nil {
				t.Errorf("version %d: %v", i, err)
			}
		}
	}()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		r, err := b.Get(t.Context(), "k", 0, -1)
		if err != nil {
			t.Errorf("a key that always exists: %v", err)
			continue
		}
		got, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			continue // an error is allowed, half a version is not
		}
		i := len(got) - 50_000
		if i < 0 || i >= 40 || string(got) != version(i) {
			t.Fatalf("%d bytes that are no version", len(got))
		}
	}
	<-done
}
