package vending

import (
	"log/slog"
	"time"

	"plumb/base/bounds"
	"plumb/base/clock"
	"plumb/engines/bus"
	"plumb/engines/fleet"
	"plumb/engines/jobs"
	"plumb/engines/once"
	"plumb/engines/sqldb"
	"plumb/engines/web"
)

// Needs is what the room is given.
type Needs struct {
	DB    *sqldb.DB
	Fleet *fleet.Fleet // identity and presence
	Jobs  *jobs.Queue  // background work: plans
	Once  *once.Once   // answers to requests that come again
	Bus   bus.Bus      // announcements: see events.go
	Clock clock.Clock
	Log   *slog.Logger
	Shell web.Shell
	URL   string // how machines reach this house, without a slash at the end: the endpoint that they are told
}

// Config is what a person may set.
type Config struct {
	Window    time.Duration // after each city's midnight, in which its machines report; 1 min to 12 h
	Grace     time.Duration // after its time, before a machine counts as late; 0 to 12 h
	Rate      int           // reports a second that one machine may send; 1 to 1,000,000
	Ahead     time.Duration // a machine's clock further ahead than this is not believed; 0 to 24 h
	Retention time.Duration // reports taken before that are pruned, and such a clock is not believed; 1 to 3,650 days
	Capacity  float64       // reports a second that the database is thought to store, until that is measured
	Queue     time.Duration // work that may wait before machines are refused, each with a slot to come back in

	// A city's night is planned when this share of its machines is in, but not
	// before, nor after, so much of the night has passed.
	GateShare    float64       // 0.5 to 1
	GateEarliest time.Duration // 0 to 12 h
	GateDeadline time.Duration // at least GateEarliest, to 12 h
	Leave        time.Duration // after midnight by the city's clock, when vehicles leave; 0 to 24 h
	PlanCPU      time.Duration // processor time for the routes of a city; 10 ms to 10 min
	Region       string        // this cell's name; "": the only one
}

// Defaults returns the configuration of a house where nobody set anything.
func Defaults() Config {
	return Config{
		Window:    time.Hour,
		Grace:     15 * time.Minute, // the longest backoff of a patient machine
		Rate:      1000,
		Ahead:     5 * time.Minute,
		Retention: 400 * 24 * time.Hour, // a year, and a month to look back from it
		Capacity:  1000,
		Queue:     5 * time.Second,

		GateShare:    0.99,
		GateEarliest: time.Hour,
		GateDeadline: 2 * time.Hour,
		Leave:        6 * time.Hour,
		PlanCPU:      10 * time.Second,
	}
}

// valid names every setting that is out of its range.
func (c Config) valid() error {
	var b bounds.Check
	span := func(name string, v, min, max time.Duration) {
		if v < min || v > max {
			b.Fault("vending."+name, "must be %s to %s, not %s", min, max, v)
		}
	}
	span("window", c.Window, time.Minute, 12*time.Hour)
	span("grace", c.Grace, 0, 12*time.Hour)
	span("ahead", c.Ahead, 0, 24*time.Hour)
	span("retention", c.Retention, 24*time.Hour, 3650*24*time.Hour)
	span("queue", c.Queue, 100*time.Millisecond, time.Minute)
	span("gate-earliest", c.GateEarliest, 0, 12*time.Hour)
	span("gate-deadline", c.GateDeadline, c.GateEarliest, 12*time.Hour)
	span("leave", c.Leave, 0, 24*time.Hour)
	span("plan-cpu", c.PlanCPU, 10*time.Millisecond, 10*time.Minute)
	b.Float("vending.gate-share", c.GateShare, 0.5, 1)
	if c.Region != "" {
		checkName(&b, "vending.region", c.Region)
	}
	b.Int("vending.rate", int64(c.Rate), 1, 1_000_000)
	b.Float("vending.capacity", c.Capacity, 10, 1e6)
	return b.Err("the settings of vending are not valid")
}
