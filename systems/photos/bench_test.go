package photos

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"plumb/base/ids"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
	"plumb/systems/photos/internal/painted"
	"plumb/systems/photos/internal/shard"
)

// reads counts the calls with which this process read files: those of a bucket's folder,
// and of SQLite where its own cache lacks a page.
func reads(tb testing.TB) (calls, bytes int64) {
	tb.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		if os.Getenv("CI") != "" {
			tb.Fatal(err)
		}
		tb.Skip("this system does not count reads")
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		name, value, _ := strings.Cut(line, ": ")
		n, _ := strconv.ParseInt(value, 10, 64)
		switch name {
		case "syscr":
			calls = n
		case "rchar":
			bytes = n
		}
	}
	return calls, bytes
}

// BenchmarkView looks at photos in each size, as often as every other, with no opened
// contents kept: a warm view reads the bucket once.
func BenchmarkView(b *testing.B) {
	h := open(b, sqldbtest.SQLite, func(s *setup) { s.needs.Options.RunTwice, s.config.Cache = false, -1 })
	var list []Photo
	for seed := range uint64(20) {
		body := painted.JPEG(painted.Landscape(seed, 1600, 1067), painted.Facts{})
		list = append(list, h.ready(h.put("ada", body)))
	}
	for _, size := range []string{"small", "medium", "large", Original} {
		b.Run(size, func(b *testing.B) {
			look := func(p Photo) int64 {
				img, err := h.OpenImage(context.Background(), h.who["ada"], p.ID, size)
				if err != nil {
					b.Fatal(err)
				}
				defer img.Close()
				n, err := io.Copy(io.Discard, img)
				if err != nil {
					b.Fatal(err)
				}
				return n
			}
			for _, p := range list { // warm
				look(p)
			}
			calls, _ := reads(b)
			sent, n := int64(0), 0
			for b.Loop() {
				sent += look(list[n%len(list)])
				n++
			}
			after, _ := reads(b)
			b.ReportMetric(float64(after-calls)/float64(n), "reads/op")
			b.ReportMetric(float64(sent)/float64(n), "bytes/op")
		})
	}
}

// BenchmarkIndexed lists and searches the photos of somebody who has 200,000, and tells
// what memory each costs.
func BenchmarkIndexed(b *testing.B) {
	const photos = 200_000
	h := open(b, sqldbtest.SQLite, func(s *setup) { s.needs.Options.RunTwice, s.needs.NoSync = false, true })
	ada := h.who["ada"]
	heap, rss := memory(b)
	words := strings.Fields("harbour sunset garden birthday train snow market bridge concert picnic")
	for from := 0; from < photos; from += 1000 {
		err := h.set.Write(context.Background(), ada.ID, nil, func(ctx context.Context, tx *sqldb.Tx, _ *shard.Shard, rev int64) error {
			for i := from; i < from+1000; i++ {
				p := Photo{ID: ids.New(noon), Owner: ada.ID, Name: fmt.Sprintf("IMG_%05d.JPG", i), Type: "image/jpeg", Size: 3 << 20, Width: 4000, Height: 3000,
					Taken: noon.Add(-time.Duration(i) * 20 * time.Minute), known: byFile, Camera: "Canon EOS R5", Lens: "RF50mm F1.2 L USM", HasPlace: true, Lat: 38.7, Lon: -9.1,
					Place: "Lisbon, Portugal", Made: noon, Caption: words[i%10] + " " + words[i/10%10]}
				if i == photos/2 {
					p.Caption = "needle"
				}
				p.Hash = sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
				if _, err := insert(ctx, tx, p, rev); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		f    Filter
	}{{"timeline", Filter{}}, {"common word", Filter{Text: "harbour"}}, {"rare word", Filter{Text: "needle"}}, {"place and dates", Filter{Place: "portugal", From: noon.AddDate(-4, 0, 0), To: noon.AddDate(-3, 0, 0)}}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := h.List(context.Background(), ada, c.f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("months", func(b *testing.B) {
		for b.Loop() {
			if list, err := h.Months(context.Background(), ada); err != nil || len(list) < 80 {
				b.Fatal(len(list), err)
			}
		}
		heapNow, rssNow := memory(b)
		b.ReportMetric(float64(heapNow-heap)/photos, "heap-bytes/photo")
		b.ReportMetric(float64(rssNow-rss)/photos, "rss-bytes/photo")
	})
}

// memory returns the bytes of live heap, and of memory that the process has.
func memory(tb testing.TB) (heap, rss int64) {
	tb.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return int64(m.HeapAlloc), 0
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return int64(m.HeapAlloc), pages * int64(os.Getpagesize())
}
