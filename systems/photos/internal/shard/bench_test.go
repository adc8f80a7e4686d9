package shard

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// BenchmarkRead and BenchmarkWrite are what the look for the owner costs: the fn does
// nothing, beside a transaction of the database alone.
func BenchmarkRead(b *testing.B) {
	bench(b, func(ctx context.Context, s *Set, owner string, alone bool) error {
		if alone {
			return s.Shards()[0].DB.Read(ctx, func(context.Context, *sqldb.Tx) error { return nil })
		}
		return s.Read(ctx, owner, func(context.Context, *sqldb.Tx, *Shard) error { return nil })
	})
}

func BenchmarkWrite(b *testing.B) {
	bench(b, func(ctx context.Context, s *Set, owner string, alone bool) error {
		if alone {
			return s.Shards()[0].DB.BatchBy(ctx, lane, func(context.Context, *sqldb.Tx) error { return nil })
		}
		return s.Write(ctx, owner, nil, func(context.Context, *sqldb.Tx, *Shard, int64) error { return nil })
	})
}

func bench(b *testing.B, do func(ctx context.Context, s *Set, owner string, alone bool) error) {
	for _, kind := range sqldbtest.Kinds() {
		for _, alone := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/alone=%v", kind, alone), func(b *testing.B) {
				s, ctx := newHouse(b, kind).process(), context.Background()
				for i := range 100 {
					must(b, do(ctx, s, name(i), false))
				}
				var n atomic.Int64
				b.SetParallelism(16)
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := do(ctx, s, name(int(n.Add(1)%100)), alone); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

// BenchmarkCount is what a door pays to have its work counted, among 10,000 owners.
func BenchmarkCount(b *testing.B) {
	s := newHouse(b, sqldbtest.SQLite).process()
	owners := make([]string, 10_000)
	for i := range owners {
		owners[i] = name(i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		s.Count(owners[i*7919%len(owners)], 100, 1000, time.Millisecond, time.Microsecond)
	}
}

// BenchmarkMove moves an owner with 20 photos to and fro; the metric is how long writes
// would wait for the switch.
func BenchmarkMove(b *testing.B) {
	for _, kind := range sqldbtest.Kinds() {
		b.Run(kind, func(b *testing.B) {
			s, ctx := newHouse(b, kind).process(), context.Background()
			_, _, err := s.Add(ctx, New{Name: "second"})
			must(b, err)
			for i := range 20 {
				must(b, put(ctx, s, "ada", fmt.Sprint("p", i), fmt.Sprint("text ", i)))
			}
			var began time.Time
			var waited time.Duration
			s.hook = func(step string) error {
				switch step {
				case "last":
					began = time.Now()
				case "here":
					waited += time.Since(began)
				}
				return nil
			}
			n := 0
			for b.Loop() {
				n++
				_, err := s.Pin(ctx, "ada", []string{"second", FirstName}[n%2])
				must(b, err)
				settled(b, s)
			}
			b.ReportMetric(float64(waited.Microseconds())/float64(n)/1000, "ms-switch/op")
		})
	}
}
