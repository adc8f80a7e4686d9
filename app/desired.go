package app

import (
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plumb/base/clock"
	"plumb/face"
)

// desired describes plumb_desired for a role. A name has one help for all roles.
func desired(role string) *prometheus.Desc {
	return prometheus.NewDesc("plumb_desired", "Processes wanted now, for an autoscaler with its own least and most. "+
		"serve: as many as this process's work would fill at 70% of their processors, 4 at most; add up over all processes and round up. "+
		"worker: 1 for each 100 jobs that wait, 1 to 100; the same in every process, so take the greatest.", nil, prometheus.Labels{"role": role})
}

var (
	serveDesired  = desired("serve")
	workerDesired = desired("worker")
)

const (
	jobsPerWorker = 100 // waiting jobs that justify one more worker process
	workersMost   = 100
)

// workers returns how many worker processes waiting jobs want.
func workers(waiting int64) float64 { return float64(min(1+waiting/jobsPerWorker, workersMost)) }

const (
	busyShare = 0.7              // of its processors that a process should use, so that there is room for more
	serveMost = 4                // no process asks for more than this in its place: the next look sees what they did
	lookEvery = 10 * time.Second // over which the processors are watched; who scrapes more often gets the last look
)

// serves returns how many processes like this one its work would fill, from the
// share of its processors that it uses and how long the waiting work will take.
//
// More processes bring more processors and nothing else. So what waits counts only
// as far as processors are busy: where the database is full, work waits while they
// idle, and more processes would wait with it.
func serves(busy float64, behind time.Duration) float64 {
	return min(busy/busyShare*(1+behind.Minutes()), serveMost)
}

// serveWatch is plumb_desired of the role serve. It stands in app, which alone
// sees both halves: the process's processor time, and the rooms' waiting work
// (Face.Behind). It is a prometheus.Collector.
type serveWatch struct {
	clock  clock.Clock
	spent  func() time.Duration // processor time of this process so far
	cores  int
	behind []func() time.Duration

	mu    sync.Mutex
	at    time.Time     // of the last look
	until time.Duration // spent by then
	busy  float64       // share of the processors used before it; 0 to 1
}

func newServeWatch(c clock.Clock, faces []face.Face) *serveWatch {
	w := &serveWatch{clock: c, spent: processorTime, cores: runtime.GOMAXPROCS(0), at: c.Now(), until: processorTime()}
	for _, f := range faces {
		if f.Behind != nil {
			w.behind = append(w.behind, f.Behind)
		}
	}
	return w
}

// processorTime returns what this process has used so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0 // it fails for nonsense arguments only
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// look returns the share of the processors that was used lately.
func (w *serveWatch) look() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.Now()
	if long := now.Sub(w.at); long >= lookEvery {
		spent := w.spent()
		w.busy = min(max(0, (spent-w.until).Seconds()/long.Seconds()/float64(w.cores)), 1)
		w.at, w.until = now, spent
	}
	return w.busy
}

// Describe is prometheus.Collector's.
func (w *serveWatch) Describe(ch chan<- *prometheus.Desc) { ch <- serveDesired }

// Collect is prometheus.Collector's.
func (w *serveWatch) Collect(ch chan<- prometheus.Metric) {
	var longest time.Duration // the rooms' work is done side by side
	for _, behind := range w.behind {
		longest = max(longest, behind())
	}
	ch <- prometheus.MustNewConstMetric(serveDesired, prometheus.GaugeValue, serves(w.look(), longest))
}
