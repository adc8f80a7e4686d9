package vending

import (
	"context"
	"errors"
	"time"

	"plumb/base/errs"
	"plumb/engines/fleet"
	"plumb/engines/fleet/slots"
)

// queueMost bounds the reports that wait for the database. A machine with a slot
// finds room for twice that, and all of them fit in the database's own queue.
const queueMost = 2000

// door decides who may bring reports now.
type door struct {
	admission *slots.Admission
	rate      slots.Rate
	breaker   slots.Breaker
}

func newDoor(c Config) door {
	return door{
		admission: slots.NewAdmission(slots.Limits{Capacity: c.Capacity, Queue: c.Queue, Most: queueMost}),
		rate:      slots.Rate{PerSecond: float64(c.Rate), Burst: c.Rate},
	}
}

// The reasons for which a report is refused before it is read.
const (
	becauseBusy = "busy" // more arrives than the database takes
	becauseAway = "away" // the database does not answer
	becauseRate = "rate" // this machine sends too many
)

// Refused is a refusal at the door. Nothing was stored; the machine is to come
// again after Wait, when a place is kept for it (but for too high a rate).
type Refused struct {
	Reason string
	Wait   time.Duration
	err    error
}

func (r *Refused) Error() string { return r.err.Error() }
func (r *Refused) Unwrap() error { return r.err }

func refuse(reason string, wait time.Duration, text string) error {
	return &Refused{reason, wait, errs.TryAfter(wait, "%s", text)}
}

// enter asks for n reports of machine id to be let in. When it returns nil,
// leave must follow.
func (s *System) enter(id string, n int) error {
	now := s.n.Clock.Now()
	if wait, ok := s.door.rate.Take(now, id, n); !ok {
		s.measures.refuse(becauseRate, n)
		return refuse(becauseRate, wait, "this machine sends more reports than it may")
	}
	return s.admit(id, n)
}

// admit is enter without the bound on a single machine's rate, for who speaks for
// many.
func (s *System) admit(id string, n int) error {
	now := s.n.Clock.Now()
	if !s.door.breaker.Allow(now) {
		s.measures.refuse(becauseAway, n)
		wait := s.door.admission.Refuse(now, id, n)
		if _, probe := s.door.breaker.Open(now); wait < probe {
			wait = probe
		}
		return refuse(becauseAway, wait, "the database does not answer just now; a place is kept for this machine after the time given")
	}
	if wait, ok := s.door.admission.Arrive(now, id, n); !ok {
		s.measures.refuse(becauseBusy, n)
		return refuse(becauseBusy, wait, "more machines report than can be stored just now; a place is kept for this one after the time given")
	}
	return nil
}

// leave notes how n reports that were let in ended: stored of them are durable,
// err is the database's. It returns err, as a refusal with a slot where the
// machine is to come again.
func (s *System) leave(id string, n, stored int, err error) error {
	now := s.n.Clock.Now()
	s.door.admission.Done(now, n, stored)
	switch {
	case err == nil:
		// Also where nothing was stored: then the database was not asked, or
		// it answered.
		if stored > 0 {
			s.door.breaker.Report(now, true)
		}
		return nil
	case errors.Is(err, context.Canceled):
		return err // the machine went away; that says nothing about the database
	case !errs.Is(err, errs.Busy) && !errs.Is(err, errs.Internal):
		return err
	}
	s.door.breaker.Report(now, false)
	s.measures.refuse(becauseAway, n)
	if errs.Is(err, errs.Internal) {
		return err // a fault of ours is shown and logged as one
	}
	wait := max(s.door.admission.Refuse(now, id, n), errs.RetryAfter(err))
	return &Refused{becauseAway, wait, err}
}

// Report takes reports of machine m, and returns when all of them are durable: a
// receipt for each, in their order. The error is for all of them, and says that
// nothing is stored: *Refused (a Busy error) with the time to come again.
// decode is called once there is room for the n reports; its error is returned.
func (s *System) Report(ctx context.Context, m fleet.Machine, n int, decode func() ([]Report, error)) ([]Receipt, error) {
	if err := s.enter(m.ID, n); err != nil {
		return nil, err
	}
	left := false
	defer func() {
		if !left { // a bad body, or a panic: the place is free again either way
			s.door.admission.Done(s.n.Clock.Now(), n, 0)
		}
	}()
	list, err := decode()
	if err != nil {
		s.measures.refuse("invalid", n)
		return nil, err
	}
	receipts, err := s.keep(ctx, m, list)
	stored := 0
	for _, r := range receipts {
		if r.Err == nil {
			stored++ // duplicates too: the database worked as hard
		}
	}
	left = true
	if err := s.leave(m.ID, n, stored, err); err != nil {
		return nil, err
	}
	return receipts, nil
}
