package farm

import (
	"bytes"
	"io"
	"testing"
)

// BenchmarkTask measures what it costs to have something done elsewhere: an empty task by
// children that are used again, and by a fresh one each; that without isolation, to
// compare; and a task that reads 1 MiB and writes it back.
func BenchmarkTask(b *testing.B) {
	drop := func(_ string, r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }
	for _, c := range []struct {
		name  string
		o     Options
		task  string
		bytes int
	}{
		{"again", Options{Reuse: 1 << 30}, "empty", 0},
		{"fresh", Options{Reuse: 1}, "empty", 0},
		{"fresh-bare", Options{Reuse: 1, bare: true}, "empty", 0},
		{"again-1MiB", Options{Reuse: 1 << 30}, "copy", 1 << 20},
	} {
		b.Run(c.name, func(b *testing.B) {
			c.o.Size = 1
			p := newPool(b, c.o)
			in := make([]byte, c.bytes)
			b.SetBytes(int64(c.bytes))
			for b.Loop() {
				if _, err := p.Do(b.Context(), Task{Name: c.task, Params: "", In: bytes.NewReader(in), Out: drop}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}
