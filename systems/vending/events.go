package vending

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// The room's announcements. What must arrive is in the database; these say "look".
const (
	subjectCities   = "vending.cities"   // a city was defined or changed; no payload
	subjectReported = "vending.reported" // Reported: reports were stored
	subjectFaulty   = "vending.faulty"   // Faulty: a machine's newest report names faults
	subjectPlan     = "vending.plan"     // Planned: a plan changed its state
	subjectOps      = "vending.ops"      // regions, rollouts, cohorts or alerts changed; no payload
	subjectCommand  = "vending.command"  // the id of a machine for which a command waits
)

// Reported tells of reports that were committed together.
type Reported struct {
	Machine string    `json:"machine"`
	City    string    `json:"city"`
	Stored  int       `json:"stored"`
	At      time.Time `json:"at"`
}

// Faulty tells of a machine whose newest report names faults.
type Faulty struct {
	Machine string    `json:"machine"`
	City    string    `json:"city"`
	Report  string    `json:"report_id"`
	Codes   []string  `json:"codes"`
	At      time.Time `json:"at"`
}

// Planned tells of a city's plan that changed its state.
type Planned struct {
	City  string `json:"city"`
	Date  string `json:"date"`
	State string `json:"state"`
}

// listen hears what other processes announce.
func (s *System) listen() error {
	hear := func(subject string, fn func(data []byte) error) error {
		stop, err := s.n.Bus.Subscribe(subject, func(_ string, data []byte) {
			if err := fn(data); err != nil {
				s.n.Log.Warn("what another process announced was not read", "subject", subject, "error", err)
			}
		})
		if err == nil {
			s.stop = append(s.stop, stop)
		}
		return err
	}
	return errors.Join(
		hear(subjectCities, func([]byte) error { return s.loadCities(context.Background()) }),
		hear(subjectOps, func([]byte) error { return s.loadOps(context.Background()) }),
		hear(subjectCommand, func(data []byte) error {
			var machine string
			if err := json.Unmarshal(data, &machine); err != nil {
				return err
			}
			s.expectCommand(machine)
			return nil
		}),
	)
}

// announce publishes v. A loss is logged and does no harm: nobody relies on it.
func (s *System) announce(ctx context.Context, subject string, v any) {
	var data []byte
	if v != nil {
		var err error
		if data, err = json.Marshal(v); err != nil {
			s.n.Log.Error("an announcement cannot be written", "subject", subject, "error", err)
			return
		}
	}
	if err := s.n.Bus.Publish(ctx, subject, data); err != nil {
		s.n.Log.Debug("an announcement was lost", "subject", subject, "error", err)
	}
}
