package cas_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/engines/bucket"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
)

func benchStore(b *testing.B, dir string, o cas.Options) (*sqldb.DB, *cas.Store) {
	b.Helper()
	db, err := sqldb.Open(b.Context(), "sqlite:"+filepath.Join(dir, "plumb.db"), sqldb.Options{})
	if err != nil {
		b.Fatal(err)
	}
	bk, err := bucket.Folder(filepath.Join(dir, "blobs"))
	if err != nil {
		b.Fatal(err)
	}
	s, err := cas.Open(b.Context(), cas.Needs{DB: db, Bucket: bk, Key: houseKey, Clock: clock.System{}}, o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close(); db.Close() })
	return db, s
}

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// perByte reports CPU seconds for a GB.
func perByte(b *testing.B, from time.Duration, bytes int64) {
	b.ReportMetric((cpu()-from).Seconds()/float64(bytes)*1e9, "cpu-s/GB")
}

func BenchmarkPut(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 5 << 20} {
		for _, c := range []struct {
			name string
			o    cas.Options
			p    cas.PutOptions
			same bool
		}{{"new", cas.Options{}, cas.PutOptions{}, false}, {"known", cas.Options{}, cas.PutOptions{}, true},
			{"new plain", cas.Options{Plain: true}, cas.PutOptions{}, false}, {"known trusted", cas.Options{}, cas.PutOptions{Trusted: true}, true}} {
			b.Run(fmt.Sprintf("%dK %s", size>>10, c.name), func(b *testing.B) {
				db, s := benchStore(b, b.TempDir(), c.o)
				content := random(1, size)
				b.SetBytes(int64(size))
				from := cpu()
				for i := 0; b.Loop(); i++ {
					if !c.same {
						copy(content, fmt.Sprint(i, "                  "))
					}
					keep(b, db, s, content, c.p)
				}
				perByte(b, from, int64(b.N)*int64(size))
			})
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for _, plain := range []bool{false, true} {
		db, s := benchStore(b, b.TempDir(), cas.Options{Plain: plain})
		content := random(1, 5<<20)
		h := keep(b, db, s, content, cas.PutOptions{})
		small := keep(b, db, s, content[:20_000], cas.PutOptions{})
		b.Run(fmt.Sprintf("5M plain=%v", plain), func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			from := cpu()
			for b.Loop() {
				r, err := s.Open(b.Context(), h)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := r.WriteTo(io.Discard); err != nil {
					b.Fatal(err)
				}
				r.Close()
			}
			perByte(b, from, int64(b.N)*int64(len(content)))
		})
		b.Run(fmt.Sprintf("64K of 5M plain=%v", plain), func(b *testing.B) {
			b.SetBytes(64 << 10)
			b.ReportAllocs()
			buf := make([]byte, 64<<10)
			for i := 0; b.Loop(); i++ {
				r, err := s.Open(b.Context(), h)
				if err == nil {
					_, err = r.ReadAt(buf, int64(i*7919*512)%(5<<20-64<<10))
				}
				if err != nil {
					b.Fatal(err)
				}
				r.Close()
			}
		})
		b.Run(fmt.Sprintf("20K loose plain=%v", plain), func(b *testing.B) {
			b.ReportAllocs()
			var buf bytes.Buffer
			for b.Loop() {
				buf.Reset()
				r, err := s.Open(b.Context(), small)
				if err == nil {
					_, err = r.WriteTo(&buf)
				}
				if err != nil {
					b.Fatal(err)
				}
				r.Close()
			}
		})
	}
}

// BenchmarkTree stores the tree at PLUMB_BENCH_TREE, as `plumb files put` of a folder
// would, and reports CPU seconds and memory for the whole.
func BenchmarkTree(b *testing.B) {
	tree := os.Getenv("PLUMB_BENCH_TREE")
	if tree == "" {
		b.Skip("PLUMB_BENCH_TREE names no folder")
	}
	for _, trusted := range []bool{true, false} {
		b.Run(fmt.Sprintf("trusted=%v", trusted), func(b *testing.B) {
			for b.Loop() {
				dir := b.TempDir()
				db, s := benchStore(b, dir, cas.Options{})
				from := cpu()
				total := storeTree(b, db, s, tree, cas.PutOptions{Trusted: trusted, Later: true})
				b.ReportMetric((cpu() - from).Seconds(), "cpu-s")
				st := stats(b, s)
				b.ReportMetric(float64(total)/1e6, "MB")
				b.ReportMetric(float64(st.Stored)/float64(st.Unique)*100, "%stored")
				b.ReportMetric(float64(st.Chunked)/float64(st.Unique)*100, "%chunked")
				b.ReportMetric(float64(st.Packs), "packs")
				var u syscall.Rusage
				syscall.Getrusage(syscall.RUSAGE_SELF, &u)
				b.ReportMetric(float64(u.Maxrss)/1e3, "MB-rss")
				from = cpu()
				if r, err := s.Scrub(b.Context(), nil); err != nil || r.Bad > 0 {
					b.Fatal(r, err)
				}
				b.ReportMetric((cpu() - from).Seconds(), "scrub-cpu-s")
				if err := s.Check(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func storeTree(b *testing.B, db *sqldb.DB, s *cas.Store, tree string, opt cas.PutOptions) (total int64) {
	var batch []*cas.Pending
	var size int64
	flush := func() {
		for _, p := range batch {
			if err := p.Ready(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		err := db.Batch(b.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			for _, p := range batch {
				if err := s.Take(ctx, tx, p); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		for _, p := range batch {
			p.Close()
		}
		batch, size = batch[:0], 0
	}
	paths := make(chan string)
	put := make(chan *cas.Pending)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for path := range paths {
				f, err := os.Open(path)
				if err != nil {
					b.Error(err)
					continue
				}
				p, err := s.Put(b.Context(), f, opt)
				f.Close()
				if err != nil {
					b.Error(err)
					continue
				}
				put <- p
			}
		})
	}
	go func() {
		filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				paths <- path
			}
			return err
		})
		close(paths)
		wg.Wait()
		close(put)
	}()
	for p := range put {
		batch = append(batch, p)
		size += p.Size()
		total += p.Size()
		if len(batch) == 200 || size > 32<<20 {
			flush()
		}
	}
	flush()
	return total
}
