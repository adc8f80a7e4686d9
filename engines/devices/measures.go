package devices

import "github.com/prometheus/client_golang/prometheus"

// measures are the engine's metrics, all named plumb_devices_....
type measures struct {
	messages *prometheus.CounterVec // by outcome: taken, refused, forbidden
	refused  *prometheus.CounterVec // connections, by reason: full, unknown, failed, many
	seconds  prometheus.Histogram
	commands prometheus.Counter
	open     prometheus.Collector
}

func newMeasures(d *Devices) measures {
	const ns, sub = "plumb", "devices"
	m := measures{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "messages_total", Help: "Messages from devices by what became of them."}, []string{"outcome"}),
		refused:  prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "refused_total", Help: "Connections of devices that were refused, by reason."}, []string{"reason"}),
		seconds:  prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: ns, Subsystem: sub, Name: "handle_seconds", Help: "Time from a device's message to its acknowledgement.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
		commands: prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "commands_delivered_total", Help: "Commands that devices acknowledged."}),
		open: prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: "connections", Help: "Open connections of devices."},
			func() float64 { return float64(d.open.Load()) }),
	}
	for _, o := range []string{"taken", "refused", "forbidden"} {
		m.messages.WithLabelValues(o)
	}
	for _, r := range []string{"full", "unknown", "failed", "many"} {
		m.refused.WithLabelValues(r)
	}
	return m
}

// Collectors returns the engine's metrics.
func (d *Devices) Collectors() []prometheus.Collector {
	m := d.measures
	return []prometheus.Collector{m.messages, m.refused, m.seconds, m.commands, m.open}
}
