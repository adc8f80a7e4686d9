package demand

import (
	"math"
	"time"
)

const (
	countedFor = 14 * 24 * time.Hour // after its last count a slot learns from its stock again
	fastest    = 5 * time.Second     // between two items of a slot: no machine is faster
)

// Count moves the rates on by what the machine's own counters say it sold from one
// moment to another, by slot, zeros too: better than the fall of a stock, which a
// refill hides. From then on those slots learn from counts only, until none came
// for two weeks. Slots that no report or Fold named are left out, as is a period of
// more than two months, and more items than a machine can hand out in the time.
func (m *Machine) Count(from, to time.Time, sold map[string]int64, zone *time.Location) {
	if to.After(m.Counted) {
		m.Counted = to
	}
	elapsed := to.Sub(from)
	if elapsed <= 0 || elapsed > 60*24*time.Hour || m.At.IsZero() {
		return
	}
	// The state is weighted as of At; a count from before weighs less.
	weight := math.Exp(min(to.Sub(m.At), countedFor).Seconds() / memory.Seconds())
	mean, week := m.mean(), m.Week()
	for i := range m.Slots {
		s := &m.Slots[i]
		n, ok := sold[s.Slot]
		if !ok || n < 0 || n > int64(elapsed/fastest) {
			continue
		}
		rate := s.rate(mean)
		m.learn(s, weight, float64(n), s.Remaining == 0, rate, from, elapsed, zone, week)
		if to.After(s.Counted) {
			s.Counted = to
		}
	}
}

// counted says whether a slot learns from counts rather than from its stock.
func (s *Slot) counted(at time.Time) bool {
	return !s.Counted.IsZero() && at.Sub(s.Counted) < countedFor
}
