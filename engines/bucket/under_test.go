package bucket_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/bucket/buckettest"
)

// neighbours lie around what is under photos/first, and none of them is.
var neighbours = []string{"a", "photos/a", "photos/firs", "photos/first-", "photos/first.x", "photos/first0", "photos/second/a", "photosx/first/a", "z"}

// part makes a part of whole that has neighbours, and looks at the end whether they are
// what they were.
func part(t *testing.T, whole bucket.Bucket) bucket.Bucket {
	t.Helper()
	for _, key := range neighbours {
		if err := whole.Put(t.Context(), key, strings.NewReader(key), int64(len(key)), bucket.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		var found []string
		list, err := whole.List(context.Background(), "", "", bucket.MaxList)
		if err != nil {
			t.Error(err)
		}
		for _, info := range list {
			if !strings.HasPrefix(info.Key, "photos/first/") {
				found = append(found, info.Key)
			}
		}
		if !slices.Equal(found, neighbours) {
			t.Errorf("beside the part there are %q, want %q", found, neighbours)
		}
	})
	b, err := bucket.Under(whole, "photos/first")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUnder(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		buckettest.Suite(t, func(t *testing.T) bucket.Bucket { return part(t, bucket.Memory()) })
	})
	t.Run("folder", func(t *testing.T) {
		buckettest.Suite(t, func(t *testing.T) bucket.Bucket { return part(t, open(t, "dir:"+t.TempDir())) })
	})
	t.Run("s3", func(t *testing.T) {
		buckettest.Suite(t, func(t *testing.T) bucket.Bucket { return part(t, open(t, buckettest.S3(t))) })
	})
	t.Run("a part of a part", func(t *testing.T) {
		buckettest.Suite(t, func(t *testing.T) bucket.Bucket {
			b, err := bucket.Under(part(t, bucket.Memory()), "deeper")
			if err != nil {
				t.Fatal(err)
			}
			return b
		})
	})
}

func TestAPartOfAFolderHasFilesAndADisk(t *testing.T) {
	dir := t.TempDir()
	b := part(t, open(t, "dir:"+dir))
	if err := b.Put(t.Context(), "x/y", strings.NewReader("text"), 4, bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "photos", "first", "x", "y")); err != nil {
		t.Error(err)
	}
	f, err := b.(bucket.Opener).OpenFile(t.Context(), "x/y")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if text, err := io.ReadAll(f); err != nil || string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := b.(bucket.Opener).OpenFile(t.Context(), "../a"); !errs.Is(err, errs.Invalid) {
		t.Errorf("a key that climbs: %v", err)
	}
	if _, size := b.(bucket.Roomer).Room(); size == 0 {
		t.Error("the part does not know its disk")
	}
	if _, has := part(t, bucket.Memory()).(bucket.Opener); has {
		t.Error("a part of memory says that it has files")
	}
}

func TestUnderRefusesPrefixes(t *testing.T) {
	for _, prefix := range []string{"", "/", "a/", "/a", "A", "../x", strings.Repeat("a/", bucket.MaxKey/2) + "a"} {
		if _, err := bucket.Under(bucket.Memory(), prefix); !errs.Is(err, errs.Invalid) {
			t.Errorf("%.20q: %v", prefix, err)
		}
	}
}
