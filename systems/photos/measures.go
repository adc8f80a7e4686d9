package photos

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plumb/base/errs"
	"plumb/engines/farm"
)

// measures are the room's metrics, all named plumb_photos_....
type measures struct {
	uploads *prometheus.CounterVec // by what they were: new, again
	bytes   *prometheus.CounterVec // of photos, by way: in, out
	refused *prometheus.CounterVec // uploads, by reason
	sizes   *prometheus.CounterVec // renderings, by result: made, fault, late
	cpu     prometheus.Counter     // seconds of renderings
	broken  prometheus.Counter
	views   prometheus.Counter
	totals  prometheus.Collector
}

func newMeasures(s *System) measures {
	const ns, sub = "plumb", "photos"
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help}
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(opts(name, help), []string{label})
	}
	return measures{
		uploads: vec("uploads_total", "Photos that came: new ones, and such as their owner had.", "kind"),
		bytes:   vec("bytes_total", "Bytes of photos that came and went.", "way"),
		refused: vec("refused_total", "Uploads refused, by reason.", "reason"),
		sizes:   vec("sizes_total", "Renderings of photos in all sizes, by result.", "result"),
		cpu:     prometheus.NewCounter(opts("sizes_cpu_seconds_total", "Processor time of renderings.")),
		broken:  prometheus.NewCounter(opts("broken_total", "Photos whose sizes cannot be made.")),
		views:   prometheus.NewCounter(opts("views_total", "Links that were opened.")),
		totals:  totals{s},
	}
}

func (m *measures) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.uploads, m.bytes, m.refused, m.sizes, m.cpu, m.broken, m.views, m.totals}
}

// kept counts an upload.
func (m *measures) kept(k kept) {
	kind := "new"
	if k.Again {
		kind = "again"
	}
	m.uploads.WithLabelValues(kind).Inc()
	m.bytes.WithLabelValues("in").Add(float64(k.Photo.Size))
}

// rendered counts a rendering.
func (m *measures) rendered(u farm.Usage, err error) {
	m.cpu.Add(u.CPU.Seconds())
	result := "made"
	switch {
	case faultOf(err) != "":
		result = "fault"
	case err != nil:
		result = "late"
	}
	m.sizes.WithLabelValues(result).Inc()
}

// refuse counts an upload that was refused.
func (m *measures) refuse(err error) {
	switch {
	case errors.Is(err, ErrQuota):
		m.refused.WithLabelValues("quota").Inc()
	case errors.Is(err, errs.ErrFull):
		m.refused.WithLabelValues("full").Inc()
	case errs.Is(err, errs.TooLarge):
		m.refused.WithLabelValues("large").Inc()
	case errs.Is(err, errs.Invalid):
		m.refused.WithLabelValues("no photo").Inc()
	}
}

// totals reads what the room holds whenever somebody collects.
type totals struct{ s *System }

var totalDescs = func() (list []*prometheus.Desc) {
	for _, d := range [][2]string{{"people", "People with photos."}, {"photos", "Photos, those in bins included."}, {"originals_bytes", "Bytes of originals."}, {"stored_bytes", "Bytes that contents take."}} {
		list = append(list, prometheus.NewDesc("plumb_photos_"+d[0], d[1], []string{"shard"}, nil))
	}
	return list
}()

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
	board, err := t.s.set.Board(ctx)
	if err != nil {
		return // the database's absence shows in /readyz; other measures still count
	}
	for _, l := range board {
		for i, v := range []int64{l.Owners, l.Photos, l.Bytes, l.Stored} {
			ch <- prometheus.MustNewConstMetric(totalDescs[i], prometheus.GaugeValue, float64(v), l.Name)
		}
	}
}
