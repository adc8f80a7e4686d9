// Package gate decides when a city's night is planned: not at a fixed hour, but
// when its reports are in, and not later than a deadline.
//
//	g := gate.Gate{Share: 0.99, Earliest: time.Hour, Deadline: 2 * time.Hour}
//	d := g.Decide(gate.State{Since: now.Sub(night), Expected: 1200, Reported: 1190})
//	if d.Go { plan(d.Because) } else { look again after d.Wait }
//
// All times are elapsed since the night began in the city: on days when clocks
// change, 01:00 may come twice or not at all.
package gate

import (
	"fmt"
	"time"
)

// Gate is the rule.
type Gate struct {
	Share    float64       // of the expected machines that must be in, 0 to 1
	Earliest time.Duration // no plan before this, even if all are in
	Deadline time.Duration // no waiting after this
}

// State is how a night stands.
type State struct {
	Since    time.Duration // the night began
	Expected int           // machines that should report in this night
	Reported int           // of them, in
}

// Decision says whether to plan now.
type Decision struct {
	Go      bool
	Because string        // for people: what opened the gate, or what it waits for
	Wait    time.Duration // until the gate may open by time alone; 0 when it is open
}

// Decide applies the rule. A city without machines opens at the earliest time:
// its plan is empty, and says so.
func (g Gate) Decide(s State) Decision {
	enough := float64(s.Reported) >= g.Share*float64(s.Expected)
	switch {
	case s.Since < g.Earliest:
		return Decision{Because: fmt.Sprintf("no plan before %s of the night are over", short(g.Earliest)), Wait: g.Earliest - s.Since}
	case enough && s.Expected == 0:
		return Decision{Go: true, Because: "no machine is expected"}
	case enough:
		return Decision{Go: true, Because: fmt.Sprintf("%d of %d machines are in", s.Reported, s.Expected)}
	case s.Since >= g.Deadline:
		return Decision{Go: true, Because: fmt.Sprintf("the deadline, with %d of %d machines in", s.Reported, s.Expected)}
	}
	return Decision{Because: fmt.Sprintf("waits for %g%% of %d machines; %d are in", 100*g.Share, s.Expected, s.Reported), Wait: g.Deadline - s.Since}
}

// short writes 1h0m0s as "1 h" and 90m as "1 h 30 min".
func short(d time.Duration) string {
	h, m := int(d.Hours()), int(d.Minutes())%60
	switch {
	case h == 0:
		return fmt.Sprintf("%d min", m)
	case m == 0:
		return fmt.Sprintf("%d h", h)
	}
	return fmt.Sprintf("%d h %d min", h, m)
}
