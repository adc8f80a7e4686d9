package placement

import (
	"fmt"
	"math"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	jumphash "github.com/dgryski/go-jump"
	hrw "github.com/dgryski/go-rendezvous"
	"github.com/serialx/hashring"
)

// peer is somebody's placement, ours or another's.
type peer struct {
	name string
	// make builds it for nodes shard-0 to shard-(n-1) without one, -1 for with all.
	make func(n, without int) (place func(string) int)
}

func ours(strategy string) peer {
	return peer{"plumb/" + strategy, func(n, without int) func(string) int {
		s, err := New(strategy, list(100))
		if err != nil {
			panic(err)
		}
		nodes := list(n)
		if without >= 0 {
			nodes = slices.Delete(nodes, without, without+1)
		}
		if s, err = s.With(nodes); err != nil {
			panic(err)
		}
		if without < 0 {
			return s.Place
		}
		return func(k string) int { // as numbered before
			i := s.Place(k)
			if i >= without {
				i++
			}
			return i
		}
	}}
}

// peers are ours and what others made of the same papers.
func peers() []peer {
	number := map[string]int{}
	names := func(n, without int) (out []string) {
		for i, v := range list(n) {
			number[v.Name] = i
			if i != without {
				out = append(out, v.Name)
			}
		}
		return out
	}
	var all []peer
	for _, k := range Strategies() {
		if k.Name != "range" && k.Name != "directory" { // they must know the keys
			all = append(all, ours(k.Name))
		}
	}
	return append(all,
		peer{"dgryski/go-jump", func(n, without int) func(string) int {
			if without >= 0 {
				return nil // only the last can go
			}
			return func(k string) int { return int(jumphash.Hash(xxhash.Sum64String(k), n)) }
		}},
		peer{"dgryski/go-rendezvous", func(n, without int) func(string) int {
			r := hrw.New(names(n, without), xxhash.Sum64String)
			return func(k string) int { return number[r.Lookup(k)] }
		}},
		peer{"serialx/hashring", func(n, without int) func(string) int {
			r := hashring.New(names(n, without))
			return func(k string) int { name, _ := r.GetNode(k); return number[name] }
		}},
	)
}

// named returns keys of 30 bytes whose initials are those of people.
func named(n int) []string {
	out := People(n)
	for i, name := range out {
		out[i] = (name + "/photos/" + fmt.Sprintf("%016x", fmix(uint64(i)*golden)))[:30]
	}
	return out
}

// cpu is the processor time that this process has taken, which other processes do not
// change but by what they push out of caches.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPeers looks up 30-byte keys on 100 nodes, and says for the same million keys
// how even they are and how much moves when a node comes or one in the middle goes, by
// the least that must. An operation is a batch of 50,000 keys, walked in turn; cpu-ns/lookup
// is the best batch's, ns/lookup the mean by the wall's clock.
func BenchmarkPeers(b *testing.B) {
	const batch = 50_000
	keys := named(1_000_000)
	at := func(place func(string) int) []int32 {
		out := make([]int32, len(keys))
		for i, k := range keys {
			out[i] = int32(place(k))
		}
		return out
	}
	moved := func(a, b []int32) float64 {
		n := 0
		for i := range a {
			if a[i] != b[i] {
				n++
			}
		}
		return float64(n) / float64(len(a))
	}
	for _, p := range peers() {
		b.Run(p.name, func(b *testing.B) {
			place := p.make(100, -1)
			was := at(place)
			count := make([]int, 100)
			for _, i := range was {
				count[i]++
			}
			come := moved(was, at(p.make(101, -1))) * 101
			gone := -1.0
			if without := p.make(100, 50); without != nil {
				gone = moved(was, at(without)) * 100
			}
			b.ReportAllocs()
			b.ResetTimer()
			best, sink, from := time.Duration(math.MaxInt64), 0, 0
			for b.Loop() {
				start := cpu(b)
				for _, k := range keys[from : from+batch] {
					sink += place(k)
				}
				best = min(best, cpu(b)-start)
				from = (from + batch) % len(keys)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/lookup")
			b.ReportMetric(float64(best.Nanoseconds())/batch, "cpu-ns/lookup")
			b.ReportMetric(0, "ns/op") // of a batch
			b.ReportMetric(float64(slices.Max(count))/float64(len(keys))*100, "max/mean")
			b.ReportMetric(come, "moves-by-ideal+1")
			if gone >= 0 {
				b.ReportMetric(gone, "moves-by-ideal-1")
			}
			if sink < 0 {
				b.Fatal(sink)
			}
		})
	}
}

// BenchmarkPlace looks up by every strategy, for numbers of nodes.
func BenchmarkPlace(b *testing.B) {
	keys := ids(1 << 16)
	for _, k := range Strategies() {
		for _, n := range []int{10, 100, 1000, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", k.Name, n), func(b *testing.B) {
				s, err := New(k.Name, list(n))
				if err != nil {
					b.Fatal(err)
				}
				if s, err = s.taught(slices.Values(keys)); err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				b.ReportMetric(float64(s.Bytes()), "B")
				sink, i := 0, 0
				for b.Loop() {
					sink += s.Place(keys[i&(len(keys)-1)])
					i++
				}
				if sink < 0 {
					b.Fatal(sink)
				}
			})
		}
	}
}

// BenchmarkPlaces finds three places of a key.
func BenchmarkPlaces(b *testing.B) {
	keys := ids(1 << 16)
	dst := make([]int, 3)
	for _, k := range Strategies() {
		b.Run(k.Name, func(b *testing.B) {
			s, err := New(k.Name, list(100))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				s.Places(dst, keys[i&(len(keys)-1)])
				i++
			}
		})
	}
}

// BenchmarkExceptions looks up by "hash" while a thousand keys are exceptions.
func BenchmarkExceptions(b *testing.B) {
	keys := ids(1 << 16)
	s, err := New("hash", list(100))
	if err != nil {
		b.Fatal(err)
	}
	at := map[string]string{}
	for _, k := range keys[:1000] {
		at[k] = "shard-7"
	}
	if s, err = s.WithExceptions(at); err != nil {
		b.Fatal(err)
	}
	sink, i := 0, 0
	for b.Loop() {
		sink += s.Place(keys[i&(len(keys)-1)])
		i++
	}
	if sink < 0 {
		b.Fatal(sink)
	}
}

// BenchmarkBuild makes, changes, writes and reads snapshots of 1000 nodes.
func BenchmarkBuild(b *testing.B) {
	for _, k := range Strategies() {
		nodes := list(1000)
		s, err := New(k.Name, nodes)
		if err != nil {
			b.Fatal(err)
		}
		bytes, _ := s.MarshalBinary()
		for what, fn := range map[string]func() error{
			"new":   func() error { _, err := New(k.Name, nodes); return err },
			"with":  func() error { _, err := s.With(nodes[1:]); return err },
			"parse": func() error { _, err := Parse(bytes); return err },
		} {
			b.Run(k.Name+"/"+what, func(b *testing.B) {
				for b.Loop() {
					if err := fn(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkBalance evens a million users with a heavy tail on 100 nodes.
func BenchmarkBalance(b *testing.B) {
	keys := People(1_000_000)
	loads := celebrity(pareto(keys, 1.3, 3), 100, .9)
	for _, name := range []string{"hash", "directory", "range"} {
		b.Run(name, func(b *testing.B) {
			s, err := New(name, list(100))
			if err != nil {
				b.Fatal(err)
			}
			before := worst(s, loads)
			var next *Snapshot
			var moves []Move
			for b.Loop() {
				if next, moves, err = s.Balance(loads, 1.10); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(before, "max/mean-before")
			b.ReportMetric(worst(next, loads), "max/mean")
			b.ReportMetric(float64(len(moves)), "moves")
		})
	}
}
