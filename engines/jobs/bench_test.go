package jobs

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// BenchmarkAddAndRun: 64 callers add one job in each transaction, which the
// queue runs meanwhile; jobs/s until the last has run.
func BenchmarkAddAndRun(b *testing.B) {
	for _, kind := range sqldbtest.Kinds() {
		b.Run(kind, func(b *testing.B) {
			db := sqldbtest.Open(b, kind, sqldb.Options{})
			var ran, added atomic.Int64
			q := open(b, db, Config{Workers: 100}, Work{Kind: "bench.note", Run: func(context.Context, []byte) error { ran.Add(1); return nil }})
			start(b, q)
			b.ResetTimer()
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					for n := added.Add(1); n <= int64(b.N); n = added.Add(1) {
						err := db.Batch(bg, func(ctx context.Context, tx *sqldb.Tx) error { return q.Add(ctx, tx, "bench.note", note{int(n)}) })
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			in := b.Elapsed()
			for ran.Load() < int64(b.N) && !b.Failed() {
				time.Sleep(time.Millisecond)
			}
			b.ReportMetric(float64(b.N)/in.Seconds(), "added/s")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "run/s")
		})
	}
}
