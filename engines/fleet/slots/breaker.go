package slots

import (
	"sync"
	"time"
)

// Breaker stops calls to something that keeps failing, and lets one call
// through now and then to see whether it works again (M. Nygard, "Release It!").
// Its zero value opens after 5 failures in a row, for a second at first and
// for twice as long after each failed probe, 15 s at most. Safe for concurrent use.
type Breaker struct {
	Failures int           // in a row that open it; 5 if 0
	Pause    time.Duration // before the first probe; 1 s if 0
	Longest  time.Duration // pause; 15 s if 0

	mu      sync.Mutex
	row     int           // failures in a row
	pause   time.Duration // 0: closed
	until   time.Time     // when open: no probe before this
	probing bool
}

// Allow says whether a call may be made at now. While the breaker is open that
// is one probe after each pause; the probe's Report decides what follows.
func (b *Breaker) Allow(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pause == 0 {
		return true
	}
	if now.Before(b.until) {
		return false
	}
	b.probing = true
	// The next probe does not wait for this one's Report, which may never come.
	b.until = now.Add(b.pause)
	return true
}

// Report notes how a call that was allowed ended at now.
func (b *Breaker) Report(now time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	probe := b.probing
	b.probing = false
	if ok {
		b.row, b.pause = 0, 0
		return
	}
	b.row++
	most := b.Failures
	if most <= 0 {
		most = 5
	}
	if b.row < most {
		return
	}
	first, longest := b.Pause, b.Longest
	if first <= 0 {
		first = time.Second
	}
	if longest <= 0 {
		longest = 15 * time.Second
	}
	switch {
	case b.pause == 0:
		b.pause = first
	case probe:
		b.pause = min(2*b.pause, longest)
	default:
		return // one of many calls that were under way when it opened
	}
	b.until = now.Add(b.pause)
}

// Open says whether calls are being stopped, and how long until the next probe.
func (b *Breaker) Open(now time.Time) (open bool, probe time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pause == 0 {
		return false, 0
	}
	return true, max(0, b.until.Sub(now))
}
