package vending

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plumb/base/errs"
)

// measures are the room's metrics, all named plumb_vending_....
type measures struct {
	reports  *prometheus.CounterVec // by outcome: stored, duplicate, invalid, conflict, moved
	refused  *prometheus.CounterVec // at the door, by reason: busy, away, rate, invalid
	clockOff prometheus.Counter
	plans    *prometheus.CounterVec // by the state in which they ended
	planTime prometheus.Histogram
	leftOut  prometheus.Counter
	audits   *prometheus.CounterVec // EVA-DTS files, by verdict
	alerts   *prometheus.CounterVec // raised, by kind
	open     *prometheus.GaugeVec   // alerts, by kind
	commands *prometheus.CounterVec // to machines, by step: sent, done, failed
	gauges   []prometheus.Collector
}

func newMeasures(s *System) measures {
	const ns, sub = "plumb", "vending"
	m := measures{
		reports:  prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "reports_total", Help: "Reports by what became of them."}, []string{"outcome"}),
		refused:  prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "refused_total", Help: "Reports refused before they were stored, by reason."}, []string{"reason"}),
		clockOff: prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "clock_off_total", Help: "Reports whose taken_at was not believed."}),
	}
	m.plans = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "plans_total", Help: "Plans by how they ended."}, []string{"state"})
	m.plans.WithLabelValues(planDone)
	m.plans.WithLabelValues(planFailed)
	m.planTime = prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: ns, Subsystem: sub, Name: "plan_seconds", Help: "Time that a city's plan took.", Buckets: prometheus.ExponentialBuckets(0.05, 2, 14)})
	m.leftOut = prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "visits_left_out_total", Help: "Visits that were wanted and left out."})
	m.audits = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "audits_total", Help: "EVA-DTS files by the verdict of their checksums."}, []string{"verdict"})
	for _, v := range []string{"ok", "no_checksum", "bad_checksum"} {
		m.audits.WithLabelValues(v)
	}
	m.alerts = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "alerts_raised_total", Help: "Alerts that this process raised, by kind."}, []string{"kind"})
	m.open = prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: "alerts_open", Help: "Alerts whose cause lasts, by kind; the same in every process."}, []string{"kind"})
	for _, k := range AlertKinds() {
		m.alerts.WithLabelValues(k)
		m.open.WithLabelValues(k)
	}
	m.commands = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: "commands_total", Help: "Commands to machines: sent, and what machines said came of them."}, []string{"step"})
	for _, step := range []string{"sent", "done", "failed"} {
		m.commands.WithLabelValues(step)
	}
	for _, o := range []string{"stored", "duplicate", "invalid", "conflict", "moved"} {
		m.reports.WithLabelValues(o) // so that they exist before the first
	}
	for _, r := range []string{becauseBusy, becauseAway, becauseRate, "invalid"} {
		m.refused.WithLabelValues(r)
	}
	gauge := func(name, help string, value func() float64) {
		m.gauges = append(m.gauges, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help}, value))
	}
	gauge("queue_reports", "Reports let in and not yet stored.", func() float64 { return float64(s.door.admission.State(s.n.Clock.Now()).Waiting) })
	gauge("reserved_slots", "Machines that were refused and given a slot which is still to come.", func() float64 { return float64(s.door.admission.State(s.n.Clock.Now()).Reserved) })
	gauge("line_seconds", "Time until the last slot given.", func() float64 { return s.door.admission.State(s.n.Clock.Now()).Line.Seconds() })
	gauge("capacity_reports_per_second", "Reports a second that the database is measured to store.", func() float64 { return s.door.admission.State(s.n.Clock.Now()).Capacity })
	gauge("breaker_open", "1 while the database is not asked because it kept failing.", func() float64 {
		if open, _ := s.door.breaker.Open(s.n.Clock.Now()); open {
			return 1
		}
		return 0
	})
	return m
}

// behind is how long the reports will take that wait for the database, and those
// that were refused and have their slot in the line behind them.
func (s *System) behind() time.Duration {
	st := s.door.admission.State(s.n.Clock.Now())
	return st.Line + time.Duration(float64(st.Waiting)/st.Capacity*float64(time.Second))
}

func (m *measures) collectors() []prometheus.Collector {
	return append([]prometheus.Collector{m.reports, m.refused, m.clockOff, m.audits, m.alerts, m.open, m.commands, m.plans, m.planTime, m.leftOut}, m.gauges...)
}

// receipt counts what became of one report.
func (m *measures) receipt(r *Receipt) {
	outcome := r.Status
	var away *Elsewhere
	switch {
	case errors.As(r.Err, &away):
		outcome = "moved"
	case errs.Is(r.Err, errs.Conflict):
		outcome = "conflict"
	case r.Err != nil:
		outcome = "invalid"
	}
	m.reports.WithLabelValues(outcome).Inc()
	if r.ClockOff && r.Status == "stored" {
		m.clockOff.Inc()
	}
}

// openAlerts shows how many alerts of each kind are open.
func (m *measures) openAlerts(n map[string]int) {
	for _, k := range AlertKinds() {
		m.open.WithLabelValues(k).Set(float64(n[k]))
	}
}

// plan counts a plan that ended.
func (m *measures) plan(state string, took time.Duration, left int) {
	m.plans.WithLabelValues(state).Inc()
	m.planTime.Observe(took.Seconds())
	m.leftOut.Add(float64(left))
}

// refuse counts n reports refused at the door.
func (m *measures) refuse(reason string, n int) { m.refused.WithLabelValues(reason).Add(float64(n)) }
