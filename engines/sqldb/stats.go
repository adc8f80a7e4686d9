package sqldb

import (
	"sync/atomic"
	"time"
)

// Stats is what a database has done since it was opened, for metrics.
type Stats struct {
	Commits int64 // transactions committed by Write and Batch
	Writes  int64 // fns in them, those that failed alone included
	Retries int64 // transactions run again because PostgreSQL asked for it or went away
	Refused int64 // callers refused because too many waited
	Queued  int   // callers that wait now

	GroupSize  Histogram // fns in a commit
	CommitTime Histogram // seconds that a commit took, its fsync included
}

// Histogram counts observations up to each bound, cumulatively, as Prometheus
// has it.
type Histogram struct {
	Bounds []float64
	Counts []uint64 // as long as Bounds
	Count  uint64
	Sum    float64
}

// Mean is 0 when nothing was observed.
func (h Histogram) Mean() float64 {
	if h.Count == 0 {
		return 0
	}
	return h.Sum / float64(h.Count)
}

// counters is Stats while it is being counted.
type counters struct {
	retries, refused atomic.Int64
	queued           atomic.Int64 // PostgreSQL's Write: callers that wait for a connection

	groups observed // unit: fns
	times  observed // unit: nanoseconds
}

// The bounds fit commits of 0.1 ms (no sync) to a struggling disk's seconds,
// and groups of one to GroupMax.
var (
	groupBounds = [...]int64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512}
	timeBounds  = [...]int64{1e5, 2.5e5, 5e5, 1e6, 2.5e6, 5e6, 1e7, 2.5e7, 1e8, 1e9}
)

type observed struct {
	counts [10]atomic.Uint64
	count  atomic.Uint64
	sum    atomic.Int64
}

func (o *observed) add(v int64, bounds *[10]int64) {
	for i, b := range bounds {
		if v <= b {
			o.counts[i].Add(1)
			break
		}
	}
	o.count.Add(1)
	o.sum.Add(v)
}

func (o *observed) histogram(bounds *[10]int64, unit float64) Histogram {
	h := Histogram{Count: o.count.Load(), Sum: float64(o.sum.Load()) * unit}
	below := uint64(0)
	for i := range o.counts {
		below += o.counts[i].Load()
		h.Bounds = append(h.Bounds, float64(bounds[i])*unit)
		h.Counts = append(h.Counts, below)
	}
	return h
}

func (c *counters) committed(fns int, took time.Duration) {
	c.groups.add(int64(fns), &groupBounds)
	c.times.add(took.Nanoseconds(), &timeBounds)
}

// Stats returns what the database has done since it was opened.
func (db *DB) Stats() Stats {
	c := &db.stats
	return Stats{
		Commits: int64(c.groups.count.Load()), Writes: c.groups.sum.Load(),
		Retries: c.retries.Load(), Refused: c.refused.Load(), Queued: db.Queued(),
		GroupSize: c.groups.histogram(&groupBounds, 1), CommitTime: c.times.histogram(&timeBounds, 1e-9),
	}
}

// Queued returns how many callers wait for a writer; admission control looks
// at it before it lets more work in.
func (db *DB) Queued() int {
	n := len(db.groups.queue) + int(db.stats.queued.Load())
	for _, lane := range db.groups.lanes {
		n += len(lane)
	}
	return n
}
