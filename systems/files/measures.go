package files

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plumb/base/errs"
)

// measures are the room's metrics, all named plumb_files_....
type measures struct {
	writes  prometheus.Counter
	bytes   *prometheus.CounterVec // of contents, by way: in, out
	in, out prometheus.Counter     // of bytes
	flags   prometheus.Counter
	freed   prometheus.Counter
	bad     prometheus.Gauge
	scrubs  prometheus.Counter
	gauges  prometheus.Collector
	refused *prometheus.CounterVec // by reason: blocked, quota, full
}

func newMeasures(s *System) measures {
	const ns, sub = "plumb", "files"
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help}
	}
	m := measures{
		writes:  prometheus.NewCounter(opts("writes_total", "Files written.")),
		bytes:   prometheus.NewCounterVec(opts("bytes_total", "Bytes of contents that came and went."), []string{"way"}),
		flags:   prometheus.NewCounter(opts("flags_total", "Reports of abuse.")),
		freed:   prometheus.NewCounter(opts("freed_bytes_total", "Bytes that collections freed.")),
		bad:     prometheus.NewGauge(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: "bad_chunks", Help: "Chunks that the last scrub found bad and could not repair."}),
		scrubs:  prometheus.NewCounter(opts("scrubs_total", "Scrubs that came to their end.")),
		refused: prometheus.NewCounterVec(opts("refused_total", "Uploads refused, by reason."), []string{"reason"}),
		gauges:  totals{s},
	}
	m.in, m.out = m.bytes.WithLabelValues("in"), m.bytes.WithLabelValues("out")
	return m
}

func (m *measures) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.writes, m.bytes, m.flags, m.freed, m.bad, m.scrubs, m.refused, m.gauges}
}

// wrote counts a file that was written.
func (m *measures) wrote(n Node) {
	m.writes.Inc()
	m.in.Add(float64(n.Size))
}

// totals reads what the room holds whenever somebody collects.
type totals struct{ s *System }

func totalDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("plumb_files_"+name, help, nil, nil)
}

var totalDescs = []*prometheus.Desc{
	totalDesc("files", "Files, those in bins included."),
	totalDesc("logical_bytes", "Bytes that owners see, versions and bins included."),
	totalDesc("stored_bytes", "Bytes of live chunks as they lie."),
	totalDesc("waiting_bytes", "Bytes that wait for the collector."),
	totalDesc("blobs", "Contents."),
}

// Describe is prometheus.Collector's.
func (t totals) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range totalDescs {
		ch <- d
	}
}

// Collect is prometheus.Collector's.
func (t totals) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	all, err := t.s.Stats(ctx, Person{Operator: true})
	if err != nil {
		return // the database's absence shows in /readyz; other measures still count
	}
	for i, v := range []int64{all.Files, all.Logical, all.Store.Stored, all.Store.Waiting, all.Store.Blobs} {
		ch <- prometheus.MustNewConstMetric(totalDescs[i], prometheus.GaugeValue, float64(v))
	}
}

// refuse counts an upload that was refused for want of room or for its content.
func (m *measures) refuse(err error) {
	switch {
	case errors.Is(err, ErrQuota):
		m.refused.WithLabelValues("quota").Inc()
	case errors.Is(err, errs.ErrFull):
		m.refused.WithLabelValues("full").Inc()
	case errs.Is(err, errs.Barred):
		m.refused.WithLabelValues("blocked").Inc()
	}
}
