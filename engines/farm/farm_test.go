package farm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"testing"
	"time"
)

// The test binary stands in for plumb: with a hidden word it is a child.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "farm" {
		if err := Serve(context.Background(), testWorks()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 1 && os.Args[1] == "parent" {
		os.Exit(parent())
	}
	os.Exit(m.Run())
}

func newPool(tb testing.TB, o Options) *Pool {
	tb.Helper()
	o.Args = []string{"farm"}
	o.Dir = tb.TempDir()
	p, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Error(err)
		}
	})
	return p
}

// answers collects outputs.
type answers map[string][]byte

func (a answers) take(name string, r io.Reader) error {
	b, err := io.ReadAll(r)
	a[name] = b
	return err
}

func TestATaskReadsItsInputAndWritesOutputs(t *testing.T) {
	p := newPool(t, Options{Size: 1})
	for _, size := range []int{0, 1, 64 << 10, 3<<20 + 17, 5} { // a smaller one after a larger one
		in := bytes.Repeat([]byte("plumb"), size/5+1)[:size]
		got := answers{}
		u, err := p.Do(t.Context(), Task{Name: "copy", Params: map[string]int{"n": size}, In: bytes.NewReader(in), Out: got.take})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got["copy"], in) || string(got["sum"]) != fmt.Sprintf("%x", sha256.Sum256(in)) || string(got["params"]) != fmt.Sprintf(`{"n":%d}`, size) {
			t.Errorf("%d bytes: got %d bytes, %q, %q", size, len(got["copy"]), got["sum"], got["params"])
		}
		if u.Wall <= 0 || u.CPU <= 0 || u.CPU > time.Minute || u.MaxRSS < 1<<20 {
			t.Errorf("usage %+v", u)
		}
	}
	if st, err := p.idle[0].spool.file.Stat(); err != nil || st.Size() != 0 {
		t.Errorf("the last input is still there: %d bytes, %v", st.Size(), err)
	}
	if s := p.Stats(); s.Started != 1 || s.Done != 5 || s.Idle != 1 || s.Running != 0 || s.Died+s.Over != 0 {
		t.Errorf("%+v", s)
	}
}
