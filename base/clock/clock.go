// Package clock lets time be handed in, so that it can travel in tests.
//
//	n.Clock.Now()                    // in a room
//	c := clock.NewManual(midnight)   // in its test
//	c.Advance(time.Hour)
package clock

import (
	"sync"
	"time"
)

// Clock tells the time and wakes sleepers.
type Clock interface {
	// Now returns the present instant.
	Now() time.Time
	// After returns a channel that receives the time once d has passed.
	After(d time.Duration) <-chan time.Time
}

// System is the machine's own clock.
type System struct{}

// Now returns time.Now.
func (System) Now() time.Time { return time.Now() }

// After returns time.After.
func (System) After(d time.Duration) <-chan time.Time { return time.After(d) }

// Manual is a clock that moves only when told. It is safe for concurrent use.
type Manual struct {
	mu       sync.Mutex
	now      time.Time
	sleepers []sleeper
}

type sleeper struct {
	at time.Time
	ch chan time.Time
}

// NewManual returns a clock that stands at now.
func NewManual(now time.Time) *Manual { return &Manual{now: now} }

// Now returns where the clock stands.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// After returns a channel that fires when Advance or Set passes d from now.
func (m *Manual) After(d time.Duration) <-chan time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	ch := make(chan time.Time, 1)
	if d <= 0 {
		ch <- m.now
		return ch
	}
	m.sleepers = append(m.sleepers, sleeper{m.now.Add(d), ch})
	return ch
}

// Advance moves the clock by d and wakes whoever is due.
func (m *Manual) Advance(d time.Duration) { m.Set(m.Now().Add(d)) }

// Set moves the clock to now and wakes whoever is due.
func (m *Manual) Set(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = now
	var left []sleeper
	for _, s := range m.sleepers {
		if s.at.After(now) {
			left = append(left, s)
		} else {
			s.ch <- now
		}
	}
	m.sleepers = left
}
