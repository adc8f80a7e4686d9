package bucket_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"plumb/base/errs"
	"plumb/engines/bucket"
)

// TestFolderFull: a full disk is refused as Busy, damages nothing, and the
// bucket goes on when there is room.
func TestFolderFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("plumb", dir, "tmpfs", 0, "size=1m"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mount a small disk: %v", err)
		}
		t.Skipf("mount a small disk (needs root): %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	b := open(t, "dir:"+dir)
	put := func(key string, size int) error {
		return b.Put(t.Context(), key, strings.NewReader(strings.Repeat("x", size)), int64(size), bucket.PutOptions{})
	}
	if err := put("a", 600<<10); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"b", "a"} {
		if err := put(key, 600<<10); !errs.Is(err, errs.Busy) || !errors.Is(err, errs.ErrFull) || errs.Message(err) != "the disk is full" {
			t.Errorf("put %s on a full disk: %v", key, err)
		}
	}
	infos, err := b.List(t.Context(), "", "", 10)
	if err != nil || len(infos) != 1 || infos[0].Size != 600<<10 {
		t.Errorf("a full disk holds %v, %v", infos, err)
	}
	r, err := b.Get(t.Context(), "a", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	r.Close()
	if len(got) != 600<<10 || err != nil {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if err := b.Delete(t.Context(), "a"); err != nil {
		t.Errorf("delete on a full disk: %v", err)
	}
	if err := put("b", 600<<10); err != nil {
		t.Errorf("when there is room: %v", err)
	}
}
