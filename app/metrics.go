package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// newRegistry gathers the process's and the engines' measures; the rooms' are
// added when they are open.
func newRegistry(e *engines, more ...prometheus.Collector) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), engineMeasures{e})
	r.MustRegister(more...)
	return r
}

// engineMeasures reads the engines' own counters whenever somebody collects.
type engineMeasures struct{ e *engines }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("plumb_"+name, help, labels, nil)
}

var (
	dbCommits = desc("sqldb_commits_total", "Transactions committed.")
	dbWrites  = desc("sqldb_writes_total", "Functions run in committed transactions.")
	dbRetries = desc("sqldb_retries_total", "Transactions run again.")
	dbRefused = desc("sqldb_refused_total", "Writers refused because too many waited.")
	dbQueued  = desc("sqldb_queued", "Writers that wait now.")
	dbGroup   = desc("sqldb_group_size", "Functions in a commit.")
	dbCommit  = desc("sqldb_commit_seconds", "Time of a commit, its sync included.")
	busDrops  = desc("bus_dropped_total", "Announcements dropped because a subscriber was too slow.")
	jobCount  = desc("jobs", "Jobs by kind and state.", "kind", "state")
)

// Describe is prometheus.Collector's.
func (m engineMeasures) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{dbCommits, dbWrites, dbRetries, dbRefused, dbQueued, dbGroup, dbCommit, busDrops, jobCount, workerDesired} {
		ch <- d
	}
}

// Collect is prometheus.Collector's.
func (m engineMeasures) Collect(ch chan<- prometheus.Metric) {
	s := m.e.db.Stats()
	count := func(d *prometheus.Desc, v int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	count(dbCommits, s.Commits)
	count(dbWrites, s.Writes)
	count(dbRetries, s.Retries)
	count(dbRefused, s.Refused)
	count(busDrops, m.e.bus.Stats().Dropped)
	ch <- prometheus.MustNewConstMetric(dbQueued, prometheus.GaugeValue, float64(s.Queued))
	ch <- prometheus.MustNewConstHistogram(dbGroup, s.GroupSize.Count, s.GroupSize.Sum, buckets(s.GroupSize.Bounds, s.GroupSize.Counts))
	ch <- prometheus.MustNewConstHistogram(dbCommit, s.CommitTime.Count, s.CommitTime.Sum, buckets(s.CommitTime.Bounds, s.CommitTime.Counts))

	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	counts, err := m.e.jobs.Counts(ctx)
	if err != nil {
		return // the database's absence shows in /readyz; the other measures still count
	}
	waiting := int64(0)
	for _, c := range counts {
		ch <- prometheus.MustNewConstMetric(jobCount, prometheus.GaugeValue, float64(c.N), c.Kind, c.State)
		if c.State == "available" {
			waiting += c.N
		}
	}
	ch <- prometheus.MustNewConstMetric(workerDesired, prometheus.GaugeValue, workers(waiting))
}

func buckets(bounds []float64, counts []uint64) map[float64]uint64 {
	m := make(map[float64]uint64, len(bounds))
	for i, b := range bounds {
		m[b] = counts[i]
	}
	return m
}
