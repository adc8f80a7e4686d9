package bucket_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"plumb/base/errs"
	"plumb/engines/bucket"
)

// TestOpenFile: an object of a folder is a file, and stays one when it is deleted.
func TestOpenFile(t *testing.T) {
	b := open(t, "dir:"+t.TempDir())
	if err := b.Put(t.Context(), "a/b", strings.NewReader("some bytes"), -1, bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	o := b.(bucket.Opener)
	f, err := o.OpenFile(t.Context(), "a/b")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := b.Delete(t.Context(), "a/b"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(f); err != nil || string(got) != "some bytes" {
		t.Errorf("%q, %v", got, err)
	}
	for key, kind := range map[string]errs.Kind{"a/b": errs.NotFound, "a": errs.NotFound, "../x": errs.Invalid} {
		if _, err := o.OpenFile(t.Context(), key); !errs.Is(err, kind) {
			t.Errorf("open %s: %v", key, err)
		}
	}
	if _, ok := bucket.Memory().(bucket.Opener); ok {
		t.Error("memory has no files")
	}
}

// pieces writes by itself, and may fail at the end.
type pieces struct {
	list []string
	err  error
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.list) == 0 {
		return 0, cmpErr(p.err, io.EOF)
	}
	n := copy(b, p.list[0])
	if p.list[0] = p.list[0][n:]; p.list[0] == "" {
		p.list = p.list[1:]
	}
	return n, nil
}

func cmpErr(err, other error) error {
	if err == nil {
		err = other
	}
	return err
}

func (p *pieces) WriteTo(w io.Writer) (n int64, err error) {
	for _, s := range p.list {
		m, err := io.WriteString(w, s)
		n += int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, p.err
}

// TestSourceThatWrites: a source of unknown size may write by itself; what it says, and
// the end of the caller's ctx, come through.
func TestSourceThatWrites(t *testing.T) {
	for _, url := range []string{"dir:" + t.TempDir(), "mem:"} {
		b := open(t, url)
		if err := b.Put(t.Context(), "x", &pieces{list: []string{"one ", "two ", "three"}}, -1, bucket.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		r, err := b.Get(t.Context(), "x", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != "one two three" {
			t.Errorf("%q, %v", got, err)
		}
		r.Close()
		if err := b.Put(t.Context(), "sized", &pieces{list: []string{"one", "two"}}, 5, bucket.PutOptions{}); !errs.Is(err, errs.Invalid) {
			t.Errorf("longer than it said: %v", err)
		}
		mine := errors.New("the line broke")
		if err := b.Put(t.Context(), "y", &pieces{list: []string{"one"}, err: mine}, -1, bucket.PutOptions{}); !errors.Is(err, mine) {
			t.Errorf("a source that fails: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.Put(ctx, "z", &pieces{list: []string{"one"}}, -1, bucket.PutOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		for _, key := range []string{"y", "z", "sized"} {
			if _, err := b.Stat(t.Context(), key); !errs.Is(err, errs.NotFound) {
				t.Errorf("%s is there: %v", key, err)
			}
		}
	}
}
