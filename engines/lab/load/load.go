// Package load makes work for a system: seeded workloads (who asks, when), and
// an open-loop generator that keeps its schedule however slow the answers are.
//
//	report := load.Run(ctx, load.Plan{Times: load.Poisson(rng, 500), For: 5 * time.Second},
//		func(ctx context.Context, i int) error { return call(ctx, zipf.Next()) })
//	fmt.Println(report.Quantile(0.99))
//
// A generator that waits for an answer before it asks again measures a slow
// system with few questions, and leaves out the wait of those that it did not
// ask: coordinated omission (G. Tene, "How NOT to Measure Latency"). Here each
// call has its time in the schedule, and its latency counts from that time.
package load

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are kept in microseconds from 1 to an hour, to three digits.
const (
	lowest  = 1
	highest = int64(time.Hour / time.Microsecond)
	digits  = 3
)

// Plan says when calls are made.
type Plan struct {
	Times  iter.Seq[time.Duration] // since the start, rising: Poisson, Even, Varying
	For    time.Duration           // no call is planned at or after this; it must be positive
	Flying int                     // calls at a time at most; 1,000 if 0. Who waits for room waits in the latency
}

// Report is what came of a plan.
type Report struct {
	Calls  int
	Failed int
	First  error         // the first failure
	Took   time.Duration // until the last answer

	latency *hdrhistogram.Histogram // from the planned time, good answers only
	service *hdrhistogram.Histogram // from the time of the call
}

// Run makes the calls of the plan and waits for them. do gets the call's number,
// from 0. When ctx ends no further call is made.
func Run(ctx context.Context, p Plan, do func(ctx context.Context, i int) error) Report {
	if p.Flying <= 0 {
		p.Flying = 1000
	}
	var mu sync.Mutex
	var calls sync.WaitGroup
	r := Report{latency: hdrhistogram.New(lowest, highest, digits), service: hdrhistogram.New(lowest, highest, digits)}
	room := make(chan struct{}, p.Flying)
	start := time.Now()
	for at := range p.Times {
		if at >= p.For || !sleepUntil(ctx, start.Add(at)) {
			break
		}
		i := r.Calls
		r.Calls++
		calls.Go(func() {
			room <- struct{}{}
			called := time.Now()
			err := do(ctx, i)
			<-room
			end := time.Now()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				if r.Failed++; r.First == nil {
					r.First = err
				}
				return
			}
			record(r.latency, end.Sub(start)-at)
			record(r.service, end.Sub(called))
		})
	}
	calls.Wait()
	r.Took = time.Since(start)
	return r
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	h.RecordValue(min(max(int64(d/time.Microsecond), lowest), highest)) // in range, so it can't fail
}

func sleepUntil(ctx context.Context, t time.Time) bool {
	d := time.Until(t)
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Quantile returns the latency below which that share (0 to 1) of the good
// answers came, counted from when they were planned.
func (r Report) Quantile(share float64) time.Duration {
	return time.Duration(r.latency.ValueAtQuantile(100*share)) * time.Microsecond
}

// Uncorrected returns the same counted from when each call was made: what a
// generator that waits would have reported.
func (r Report) Uncorrected(share float64) time.Duration {
	return time.Duration(r.service.ValueAtQuantile(100*share)) * time.Microsecond
}

// PerSecond returns the rate of good answers.
func (r Report) PerSecond() float64 { return float64(r.Calls-r.Failed) / r.Took.Seconds() }
