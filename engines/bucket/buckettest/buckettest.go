// Package buckettest holds every bucket to the one contract, and starts an S3
// server for tests.
//
//	buckettest.Suite(t, func(t *testing.T) bucket.Bucket { return bucket.Memory() })
//	b, err := bucket.Open(ctx, buckettest.S3(t))
package buckettest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"plumb/base/errs"
	"plumb/engines/bucket"
)

// Suite runs the contract against the buckets that open makes, each empty.
func Suite(t *testing.T, open func(t *testing.T) bucket.Bucket) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, bucket.Bucket)
	}{
		{"put and get", putAndGet},
		{"ranges", ranges},
		{"list", list},
		{"list order", listOrder},
		{"if absent", ifAbsent},
		{"fifty writers", fiftyWriters},
		{"large writers", largeWriters},
		{"replace while read", replaceWhileRead},
		{"delete", deleteTwice},
		{"bodies of the wrong size", wrongSize},
		{"failing and cancelled bodies", failingBodies},
		{"keys", keys},
		{"a key under a key", keyUnderKey},
		{"large", large},
		{"many at once", manyAtOnce},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

func put(t testing.TB, b bucket.Bucket, key, text string) {
	t.Helper()
	if err := b.Put(context.Background(), key, strings.NewReader(text), int64(len(text)), bucket.PutOptions{}); err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
}

// read returns what is under key in the range, and fails the test if it cannot.
func read(t testing.TB, b bucket.Bucket, key string, off, n int64) string {
	t.Helper()
	r, err := b.Get(context.Background(), key, off, n)
	if err != nil {
		t.Fatalf("get %s from %d, %d bytes: %v", key, off, n, err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read %s from %d, %d bytes: %v", key, off, n, err)
	}
	return string(data)
}

func wantKind(t testing.TB, what string, err error, kind errs.Kind) {
	t.Helper()
	if !errs.Is(err, kind) {
		t.Errorf("%s: want an error of kind %q, got %v (kind %q)", what, kind, err, errs.KindOf(err))
	}
}

// wantKeys compares all keys of b, in order, with want.
func wantKeys(t testing.TB, b bucket.Bucket, want ...string) {
	t.Helper()
	got, err := b.List(context.Background(), "", "", bucket.MaxList)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	var keys []string
	for _, info := range got {
		keys = append(keys, info.Key)
	}
	if !slices.Equal(keys, want) {
		t.Errorf("the bucket holds %q, want %q", keys, want)
	}
}

func putAndGet(t *testing.T, b bucket.Bucket) {
	ctx := t.Context()
	put(t, b, "ab/cd/one", "first")
	put(t, b, "empty", "")
	if got := read(t, b, "ab/cd/one", 0, -1); got != "first" {
		t.Errorf("got %q", got)
	}
	if got := read(t, b, "empty", 0, -1); got != "" {
		t.Errorf("the empty object holds %q", got)
	}
	put(t, b, "ab/cd/one", "second, longer")
	if got := read(t, b, "ab/cd/one", 0, -1); got != "second, longer" {
		t.Errorf("after a replacement: got %q", got)
	}
	if err := b.Put(ctx, "unknown", iotest.OneByteReader(strings.NewReader("of unknown size")), -1, bucket.PutOptions{}); err != nil {
		t.Errorf("put of unknown size: %v", err)
	}
	info, err := b.Stat(ctx, "unknown")
	if err != nil || info.Key != "unknown" || info.Size != int64(len("of unknown size")) || info.Modified.IsZero() {
		t.Errorf("stat: %+v, %v", info, err)
	}
	for _, key := range []string{"none", "ab", "ab/cd", "ab/cd/one/more"} {
		_, err = b.Get(ctx, key, 0, -1)
		wantKind(t, "get "+key, err, errs.NotFound)
		_, err = b.Stat(ctx, key)
		wantKind(t, "stat "+key, err, errs.NotFound)
	}
}

func ranges(t *testing.T, b bucket.Bucket) {
	const text = "0123456789"
	put(t, b, "digits", text)
	put(t, b, "empty", "")
	for off := range int64(11) {
		for n := int64(-1); n < 13; n++ {
			want := text[off:]
			if n >= 0 {
				want = want[:min(n, int64(len(want)))]
			}
			if got := read(t, b, "digits", off, n); got != want {
				t.Errorf("from %d, %d bytes: got %q, want %q", off, n, got, want)
			}
		}
	}
	if got := read(t, b, "empty", 0, 5); got != "" {
		t.Errorf("got %q of nothing", got)
	}
	for _, c := range []struct{ off, n int64 }{{-1, 1}, {11, 1}, {11, -1}, {11, 0}, {1 << 50, 1}} {
		_, err := b.Get(t.Context(), "digits", c.off, c.n)
		wantKind(t, fmt.Sprintf("from %d, %d bytes", c.off, c.n), err, errs.Invalid)
	}
	if got := read(t, b, "digits", 1, 1<<62); got != text[1:] {
		t.Errorf("a range far past the end: got %q", got)
	}
	_, err := b.Get(t.Context(), "none", 3, 0)
	wantKind(t, "an empty range of nothing", err, errs.NotFound)
}

func list(t *testing.T, b bucket.Bucket) {
	var want []string
	for i := range 57 {
		key := fmt.Sprintf("%02x/%04d", i%5, i)
		put(t, b, key, strings.Repeat("x", i))
		want = append(want, key)
	}
	slices.Sort(want)
	for _, page := range []int{1, 7, 57, 58} {
		var got []string
		for after := ""; ; {
			infos, err := b.List(t.Context(), "", after, page)
			if err != nil {
				t.Fatalf("list after %q: %v", after, err)
			}
			for _, info := range infos {
				got = append(got, info.Key)
			}
			if len(infos) < page {
				break
			}
			after = infos[len(infos)-1].Key
		}
		if !slices.Equal(got, want) {
			t.Errorf("in pages of %d: got %q, want %q", page, got, want)
		}
	}
	for _, prefix := range []string{"0", "03", "03/", "03/00", "03/0003", "03/00030", "04/", "9", "03/x"} {
		var in []string
		for _, key := range want {
			if strings.HasPrefix(key, prefix) {
				in = append(in, key)
			}
		}
		infos, err := b.List(t.Context(), prefix, "", 100)
		if err != nil || len(infos) != len(in) {
			t.Errorf("prefix %q: %d objects, want %d, %v", prefix, len(infos), len(in), err)
		}
		for i := range min(len(infos), len(in)) {
			if infos[i].Key != in[i] || infos[i].Modified.IsZero() {
				t.Errorf("prefix %q: %+v, want %s", prefix, infos[i], in[i])
			}
		}
	}
	infos, err := b.List(t.Context(), "", "00/0005", 1)
	if err != nil || len(infos) != 1 || infos[0].Key != "00/0010" || infos[0].Size != 10 {
		t.Errorf("after 00/0005: %+v, %v", infos, err)
	}
	for _, max := range []int{0, -1, bucket.MaxList + 1} {
		_, err := b.List(t.Context(), "", "", max)
		wantKind(t, fmt.Sprintf("a list of %d", max), err, errs.Invalid)
	}
}

// listOrder: keys sort by their bytes, where "/" stands between "." and "0". A
// walk by folders would bring a/1 before a-1.
func listOrder(t *testing.T, b bucket.Bucket) {
	want := []string{"a-1", "a.1", "a/1", "a/b-", "a/b.c/d", "a/b/c", "a/b0", "a0", "a_", "ab", "b"}
	for _, i := range rand.Perm(len(want)) {
		put(t, b, want[i], "x")
	}
	wantKeys(t, b, want...)
	for i, key := range want {
		infos, err := b.List(t.Context(), "", key, 100)
		if err != nil || len(infos) != len(want)-i-1 {
			t.Errorf("after %s: %d objects, want %d, %v", key, len(infos), len(want)-i-1, err)
		} else if len(infos) > 0 && infos[0].Key != want[i+1] {
			t.Errorf("after %s: first %s, want %s", key, infos[0].Key, want[i+1])
		}
	}
	// after need not be a key that exists.
	infos, err := b.List(t.Context(), "a/", "a/b/", 1)
	if err != nil || len(infos) != 1 || infos[0].Key != "a/b/c" {
		t.Errorf("after a/b/: %+v, %v", infos, err)
	}
}

func deleteTwice(t *testing.T, b bucket.Bucket) {
	put(t, b, "ab/1", "x")
	put(t, b, "ab/2", "y")
	for _, key := range []string{"ab/1", "ab/1", "never/was", "ab", "ab/2/under"} {
		if err := b.Delete(t.Context(), key); err != nil {
			t.Errorf("delete %s: %v", key, err)
		}
	}
	wantKeys(t, b, "ab/2")
	if got := read(t, b, "ab/2", 0, -1); got != "y" {
		t.Errorf("the neighbour holds %q", got)
	}
}

func wrongSize(t *testing.T, b bucket.Bucket) {
	const big = 20 << 20 // two parts in S3
	for _, c := range []struct{ said, is int64 }{{5, 4}, {5, 6}, {0, 1}, {1, 0}, {big, big - 1}, {big, big + 1}, {1 << 10, big}} {
		body := io.LimitReader(&pattern{}, c.is)
		err := b.Put(t.Context(), "k", body, c.said, bucket.PutOptions{})
		wantKind(t, fmt.Sprintf("%d bytes said to be %d", c.is, c.said), err, errs.Invalid)
	}
	err := b.Put(t.Context(), "k", strings.NewReader(""), bucket.MaxSize+1, bucket.PutOptions{})
	wantKind(t, "over the limit", err, errs.TooLarge)
	wantKeys(t, b)
}

// failingBodies: neither a body that fails nor one that is cancelled half way
// leaves anything, and what was there stays.
func failingBodies(t *testing.T, b bucket.Bucket) {
	put(t, b, "k", "before")
	broken := errors.New("the line broke")
	for _, size := range []int64{2000, 20 << 20, -1} {
		half := io.LimitReader(&pattern{}, max(50, size-1000))
		err := b.Put(t.Context(), "k", io.MultiReader(half, iotest.ErrReader(broken)), size, bucket.PutOptions{})
		if !errors.Is(err, broken) {
			t.Errorf("size %d: %v does not say why the body failed", size, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		half = io.LimitReader(&pattern{}, max(50, size-1000))
		rest := readerFunc(func(p []byte) (int, error) { cancel(); return (&pattern{}).Read(p) })
		err = b.Put(ctx, "k", io.MultiReader(half, io.LimitReader(rest, 1000)), size, bucket.PutOptions{})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("size %d, cancelled: %v", size, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, getErr := b.Get(ctx, "k", 0, -1)
	_, statErr := b.Stat(ctx, "k")
	_, listErr := b.List(ctx, "", "", 1)
	for verb, err := range map[string]error{
		"put": b.Put(ctx, "k", strings.NewReader("after"), 5, bucket.PutOptions{}),
		"get": getErr, "stat": statErr, "list": listErr, "delete": b.Delete(ctx, "k"),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled before: %v", verb, err)
		}
	}
	wantKeys(t, b, "k")
	if got := read(t, b, "k", 0, -1); got != "before" {
		t.Errorf("a failed put left %.20q", got)
	}
}

// maxKey is how many bytes a key may have: fewer in a part of a bucket.
func maxKey(b bucket.Bucket) int {
	if part, ok := b.(interface{ MaxKey() int }); ok {
		return part.MaxKey()
	}
	return bucket.MaxKey
}

func keys(t *testing.T, b bucket.Bucket) {
	long := strings.Repeat("s", bucket.MaxSegment)
	longest := strings.Repeat("l"+long[1:]+"/", 4)[:maxKey(b)-1]
	good := []string{"0", "a.b", "a..b", "a-b_c", "-", long, longest, "x/" + strings.Repeat("y/", 40) + "z"}
	for _, key := range good {
		put(t, b, key, key)
	}
	for _, key := range good {
		if got := read(t, b, key, 0, -1); got != key {
			t.Errorf("key %.40q holds %.40q", key, got)
		}
	}
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".hidden", "a/.tmp/b", ".tmp/x", "A", "a b", "a\x00b",
		"a\\b", "a:b", "é", "a\n", "%2e%2e", "~", "*", "a?", "a#b", long + "s", strings.Repeat("ab/", 200) + "c", "\xff",
	} {
		wantKind(t, fmt.Sprintf("put %.20q", key), b.Put(t.Context(), key, strings.NewReader(""), 0, bucket.PutOptions{}), errs.Invalid)
		_, err := b.Get(t.Context(), key, 0, -1)
		wantKind(t, fmt.Sprintf("get %.20q", key), err, errs.Invalid)
		_, err = b.Stat(t.Context(), key)
		wantKind(t, fmt.Sprintf("stat %.20q", key), err, errs.Invalid)
		wantKind(t, fmt.Sprintf("delete %.20q", key), b.Delete(t.Context(), key), errs.Invalid)
	}
	wantKind(t, "put of a key that is too long", b.Put(t.Context(), longest+"xx", strings.NewReader(""), 0, bucket.PutOptions{}), errs.Invalid)
	_, err := b.List(t.Context(), "A", "", 1)
	wantKind(t, "a prefix in upper case", err, errs.Invalid)
	_, err = b.List(t.Context(), "", "\x00", 1)
	wantKind(t, "after a zero byte", err, errs.Invalid)
}

// keyUnderKey: the contract lets a store refuse it or keep both, not damage either.
func keyUnderKey(t *testing.T, b bucket.Bucket) {
	put(t, b, "a", "file")
	put(t, b, "c/d/e", "deep")
	for _, opt := range []bucket.PutOptions{{}, {IfAbsent: true}} {
		for _, key := range []string{"a/b", "a/b/c", "c", "c/d"} {
			err := b.Put(t.Context(), key, strings.NewReader("other"), 5, opt)
			if err != nil {
				wantKind(t, "put "+key, err, errs.Conflict)
			} else if err := b.Delete(t.Context(), key); err != nil {
				t.Errorf("delete %s: %v", key, err)
			}
		}
	}
	if got := read(t, b, "a", 0, -1) + read(t, b, "c/d/e", 0, -1); got != "filedeep" {
		t.Errorf("got %q", got)
	}
	wantKeys(t, b, "a", "c/d/e")
}
