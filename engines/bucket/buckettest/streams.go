package buckettest

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"

	"plumb/engines/bucket"
)

// large streams 64 MiB in and out.
func large(t *testing.T, b bucket.Bucket) {
	const size = 64 << 20
	if err := b.Put(t.Context(), "large", io.LimitReader(&pattern{}, size), size, bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "unknown", io.LimitReader(&pattern{}, size), -1, bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"large", "unknown"} {
		r, err := b.Get(t.Context(), key, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(&comparer{}, r)
		r.Close()
		if n != size || err != nil {
			t.Errorf("%s: read %d bytes of %d, %v", key, n, size, err)
		}
	}
	// A reader that leaves early holds nothing up.
	r, err := b.Get(t.Context(), "large", 1<<20, -1)
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(r, make([]byte, 10))
	if err := r.Close(); err != nil {
		t.Errorf("close early: %v", err)
	}
}

func manyAtOnce(t *testing.T, b bucket.Bucket) {
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 20 {
				key := fmt.Sprintf("%x/%d", i%4, w)
				text := fmt.Sprint(w, i)
				if err := b.Put(t.Context(), key, strings.NewReader(text), int64(len(text)), bucket.PutOptions{}); err != nil {
					t.Errorf("put %s: %v", key, err)
				}
				if got := read(t, b, key, 0, -1); got != text {
					t.Errorf("%s holds %q, want %q", key, got, text)
				}
				if i >= 16 {
					if err := b.Delete(t.Context(), key); err != nil {
						t.Errorf("delete %s: %v", key, err)
					}
				}
			}
		})
	}
	wg.Wait()
	wantKeys(t, b)
}

// Streams puts and reads 64 MiB and fails when the live heap grows by more than
// limit bytes on the way. It is apart from Suite because memory holds all.
func Streams(t *testing.T, b bucket.Bucket, limit int64) {
	const size = 64 << 20
	live := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := live()
	var peak, at, next int64
	watch := func(p []byte) (int, error) {
		n, err := (&pattern{at: at}).Read(p)
		if at += int64(n); at >= next {
			peak = max(peak, live()-before)
			next = at + 4<<20
		}
		return n, err
	}
	if err := b.Put(t.Context(), "large", io.LimitReader(readerFunc(watch), size), size, bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	r, err := b.Get(t.Context(), "large", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	buf := make([]byte, 1<<20)
	for i := 0; ; i++ {
		if _, err := io.ReadFull(r, buf); err != nil {
			break
		}
		if i%4 == 0 {
			peak = max(peak, live()-before)
		}
	}
	if peak > limit {
		t.Errorf("64 MiB took %d bytes of memory, want at most %d", peak, limit)
	}
	t.Logf("64 MiB took %d KiB of memory", peak>>10)
}

// pattern is an endless body whose bytes tell where they belong.
type pattern struct{ at int64 }

// period is the pattern's first bytes; then it begins anew.
var period = func() []byte {
	p := make([]byte, 128<<10)
	for i := range p {
		p[i] = byte(i*7 + i>>9)
	}
	return p
}()

func (r *pattern) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		m := copy(p[n:], period[r.at%int64(len(period)):])
		n, r.at = n+m, r.at+int64(m)
	}
	return len(p), nil
}

// comparer fails at the first byte that differs from the pattern.
type comparer struct{ want pattern }

func (c *comparer) Write(p []byte) (int, error) {
	at := c.want.at
	want := make([]byte, len(p))
	c.want.Read(want)
	if !bytes.Equal(p, want) {
		return 0, fmt.Errorf("bytes from %d on differ", at)
	}
	return len(p), nil
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
