package bucket_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/bucket/buckettest"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "cut-child" {
		if err := cutChild(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m,
		// Idle keep-alive connections to the S3 server, which the transport keeps.
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"))
}

func TestMemory(t *testing.T) {
	buckettest.Suite(t, func(*testing.T) bucket.Bucket { return bucket.Memory() })
}

func TestFolder(t *testing.T) {
	buckettest.Suite(t, func(t *testing.T) bucket.Bucket { return open(t, "dir:"+t.TempDir()) })
}

func TestS3(t *testing.T) {
	buckettest.Suite(t, func(t *testing.T) bucket.Bucket { return open(t, buckettest.S3(t)) })
}

func open(t testing.TB, url string) bucket.Bucket {
	t.Helper()
	b, err := bucket.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestStreams(t *testing.T) {
	t.Run("folder", func(t *testing.T) { buckettest.Streams(t, open(t, "dir:"+t.TempDir()), 2<<20) })
	t.Run("s3", func(t *testing.T) { buckettest.Streams(t, open(t, buckettest.S3(t)), 24<<20) })
}

func TestOpenRefuses(t *testing.T) {
	t.Setenv("PLUMB_S3_SECRET", "")
	t.Setenv("PLUMB_S3_SECRET_FILE", "")
	for _, url := range []string{
		"", "dir:", "mem:x", "ftp://x", "/tmp", "s3:", "s3://host/bucket", "s3://a@host", "s3://a@host/b/c", "s3://a@host/b?tls=maybe",
		"s3://a@host/b?colour=red", "s3://a@host/b", "s3://a@%zz/b", "s3://a:hunter2@host/b", "s3://a:hunter2@%zz/b",
	} {
		_, err := bucket.Open(t.Context(), url)
		if !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
}

func TestS3Opens(t *testing.T) {
	s := buckettest.StartS3(t)
	t.Setenv("PLUMB_S3_SECRET", "plumb-test-secret")
	address, _, _ := strings.Cut(s.URL, "?")
	open(t, address+"?tls=0")
	t.Setenv("PLUMB_S3_SECRET", "wrong")
	if _, err := bucket.Open(t.Context(), address+"?tls=0"); err == nil {
		t.Error("a wrong secret opens the bucket")
	}
	if _, err := bucket.Open(t.Context(), strings.Replace(s.URL, "/plumb?", "/none?", 1)); !errs.Is(err, errs.NotFound) {
		t.Errorf("a bucket that does not exist: %v", err)
	}
}

// TestS3Restart: while the store is away every verb answers Busy, and it goes
// on by itself when the store is back.
func TestS3Restart(t *testing.T) {
	s := buckettest.StartS3(t)
	b := open(t, s.URL)
	ctx := t.Context()
	if err := b.Put(ctx, "k", strings.NewReader("kept"), 4, bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	_, getErr := b.Get(ctx, "k", 0, -1)
	_, listErr := b.List(ctx, "", "", 1)
	for verb, err := range map[string]error{
		"put": b.Put(ctx, "other", strings.NewReader("x"), 1, bucket.PutOptions{}),
		"get": getErr, "list": listErr, "delete": b.Delete(ctx, "k"),
	} {
		if !errs.Is(err, errs.Busy) {
			t.Errorf("%s while the store is away: %v", verb, err)
		}
	}
	s.Start()
	r, err := b.Get(ctx, "k", 0, -1)
	if err != nil {
		t.Fatalf("after the restart: %v", err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); string(got) != "kept" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestFolderRenews: a disk that goes away under a bucket in use refuses what is put, and
// an empty one in its place takes it.
func TestFolderRenews(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "disk")
	b := open(t, "dir:"+dir)
	put := func(key string) error {
		return b.Put(context.Background(), key, strings.NewReader("x"), 1, bucket.PutOptions{})
	}
	if err := put("ab/one"); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := put("ab/two"); err == nil {
		t.Error("it is put where there is no disk")
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a disk's place was made")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"ab/two", "cd/three"} {
		if err := put(key); err != nil {
			t.Errorf("an empty disk takes nothing: %v", err)
		}
	}
}

// TestFolderSweeps: what a killed process left is cleared by the next, yet not
// under the hands of one that still runs; other people's files stay.
func TestFolderSweeps(t *testing.T) {
	dir := t.TempDir()
	b := open(t, "dir:"+dir)
	left := filepath.Join(dir, ".tmp", "put-left")
	for _, path := range []string{left, filepath.Join(dir, "README.txt"), filepath.Join(dir, ".hidden")} {
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open(t, "dir:"+dir)
	if _, err := os.Stat(left); err != nil {
		t.Errorf("a second user removed the first one's unfinished file: %v", err)
	}
	if infos, err := b.List(t.Context(), "", "", 10); err != nil || len(infos) != 0 {
		t.Errorf("files that are no objects are listed: %v, %v", infos, err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".hidden")); err != nil {
		t.Error(err)
	}
	other := t.TempDir()
	if err := os.MkdirAll(filepath.Join(other, ".tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	left = filepath.Join(other, ".tmp", "put-left")
	if err := os.WriteFile(left, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, "dir:"+other)
	if _, err := os.Stat(left); err == nil {
		t.Error("what was left is still there")
	}
}

// TestFolderGone: a folder that somebody removed is not an empty one.
func TestFolderGone(t *testing.T) {
	dir := t.TempDir()
	b := open(t, "dir:"+dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if infos, err := b.List(t.Context(), "", "", 1); err == nil {
		t.Errorf("a list of a folder that is gone: %v", infos)
	}
	if err := b.Put(t.Context(), "a", strings.NewReader("x"), 1, bucket.PutOptions{}); err == nil {
		t.Error("a put into a folder that is gone")
	}
}

// TestFolderLeavesNothing: whatever becomes of a Put, no unfinished file stays.
func TestFolderLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	b := open(t, "dir:"+dir)
	once := bucket.PutOptions{IfAbsent: true}
	b.Put(t.Context(), "a", strings.NewReader("x"), 1, once)
	b.Put(t.Context(), "a", strings.NewReader("x"), 1, once)
	b.Put(t.Context(), "a/b", strings.NewReader("x"), 1, once)
	b.Put(t.Context(), "c", strings.NewReader("x"), 2, once)
	b.Put(t.Context(), "a", strings.NewReader("y"), 1, bucket.PutOptions{})
	if left, err := os.ReadDir(filepath.Join(dir, ".tmp")); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// FuzzCheckKey: no key that is accepted leads out of its folder or changes on the way.
func FuzzCheckKey(f *testing.F) {
	for _, key := range []string{"ab/cd", "../x", "a//b", ".tmp", "A", "a/..", "\x00", "a\\..\\b"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if bucket.CheckKey(key) != nil {
			return
		}
		path := filepath.Join("/root", filepath.FromSlash(key))
		if back, err := filepath.Rel("/root", path); err != nil || filepath.ToSlash(back) != key || !filepath.IsLocal(key) || strings.ToLower(key) != key {
			t.Errorf("key %q becomes %q", key, path)
		}
	})
}

func BenchmarkPut(b *testing.B) {
	for _, kind := range []string{"memory", "folder", "s3"} {
		for _, size := range []int64{4 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%dKiB", kind, size>>10), func(b *testing.B) {
				store := bench(b, kind)
				text := strings.Repeat("x", int(size))
				b.SetBytes(size)
				n := 0
				for b.Loop() {
					n++
					key := fmt.Sprintf("%02x/%08d", n%256, n)
					if err := store.Put(b.Context(), key, strings.NewReader(text), size, bucket.PutOptions{IfAbsent: true}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkGet(b *testing.B) {
	const size = 1 << 20
	for _, kind := range []string{"memory", "folder", "s3"} {
		b.Run(kind, func(b *testing.B) {
			store := bench(b, kind)
			if err := store.Put(b.Context(), "k", strings.NewReader(strings.Repeat("x", size)), size, bucket.PutOptions{}); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(size)
			for b.Loop() {
				r, err := store.Get(b.Context(), "k", 0, -1)
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, r); n != size || err != nil {
					b.Fatal(n, err)
				}
				r.Close()
			}
		})
	}
}

func bench(b *testing.B, kind string) bucket.Bucket {
	switch kind {
	case "folder":
		return open(b, "dir:"+b.TempDir())
	case "s3":
		return open(b, buckettest.S3(b))
	}
	return bucket.Memory()
}

func Example() {
	ctx := context.Background()
	b, err := bucket.Open(ctx, "mem:")
	if err != nil {
		panic(err)
	}
	text := "hello, blob"
	once := bucket.PutOptions{IfAbsent: true}
	fmt.Println(b.Put(ctx, "ab/cd/abcd", strings.NewReader(text), int64(len(text)), once))
	fmt.Println(b.Put(ctx, "ab/cd/abcd", strings.NewReader(text), int64(len(text)), once))
	r, err := b.Get(ctx, "ab/cd/abcd", 7, 4)
	if err != nil {
		panic(err)
	}
	defer r.Close()
	part, _ := io.ReadAll(r)
	fmt.Println(string(part))
	// Output:
	// <nil>
	// object ab/cd/abcd is there already
	// blob
}
