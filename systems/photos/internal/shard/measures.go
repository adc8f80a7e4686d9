package shard

import "github.com/prometheus/client_golang/prometheus"

// measures are what this process did; what all did is on the Board.
type measures struct {
	requests *prometheus.CounterVec // by shard
	bytes    *prometheus.CounterVec // by shard and way
	cpu      *prometheus.CounterVec // by shard
	moved    prometheus.Counter
	copied   prometheus.Counter
	failed   prometheus.Counter
}

func newMeasures() measures {
	const ns, sub = "plumb", "photos"
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help}
	}
	return measures{
		requests: prometheus.NewCounterVec(opts("shard_requests_total", "Requests for owners of a shard."), []string{"shard"}),
		bytes:    prometheus.NewCounterVec(opts("shard_bytes_total", "Bytes that came in and went out for owners of a shard."), []string{"shard", "way"}),
		cpu:      prometheus.NewCounterVec(opts("shard_cpu_seconds_total", "Processor time spent for owners of a shard."), []string{"shard"}),
		moved:    prometheus.NewCounter(opts("owners_moved_total", "Owners moved to another shard.")),
		copied:   prometheus.NewCounter(opts("moved_bytes_total", "Bytes of contents copied to another shard.")),
		failed:   prometheus.NewCounter(opts("moves_failed_total", "Moves of owners that failed and are tried again.")),
	}
}

func (m *measures) counted(d *directory, no int64, c counts) {
	name := nameOf(d.records, no)
	m.requests.WithLabelValues(name).Inc()
	m.bytes.WithLabelValues(name, "in").Add(float64(c.in))
	m.bytes.WithLabelValues(name, "out").Add(float64(c.out))
	m.cpu.WithLabelValues(name).Add(float64(c.cpu) / 1e6)
}

// Collectors are the set's metrics.
func (s *Set) Collectors() []prometheus.Collector {
	m := s.measures
	return []prometheus.Collector{m.requests, m.bytes, m.cpu, m.moved, m.copied, m.failed}
}
