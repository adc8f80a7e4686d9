package slots

import (
	"math/rand/v2"
	"time"
)

// Backoff is truncated binary exponential backoff, Ethernet's answer to
// collisions (Metcalfe and Boggs 1976, IEEE 802.3), with full jitter: the wait
// is even over 0 to the bound, because waits that share a bound would collide
// again (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog 2015).
type Backoff struct {
	Base time.Duration // the bound after the first failure is twice this
	Cap  time.Duration // no bound is above this
}

// Patient is the backoff of a machine that has all night: 20 s at most after
// the first failure, 15 min at most after the seventh.
var Patient = Backoff{Base: 10 * time.Second, Cap: 15 * time.Minute}

// Bound returns the longest wait after that many failures (1 or more).
func (b Backoff) Bound(failures int) time.Duration {
	bound := b.Base
	for range failures {
		if bound >= b.Cap/2 {
			return b.Cap
		}
		bound *= 2
	}
	return bound
}

// Wait returns how long to wait after that many failures (1 or more).
func (b Backoff) Wait(failures int, r *rand.Rand) time.Duration {
	if bound := b.Bound(failures); bound > 0 {
		return time.Duration(r.Int64N(int64(bound)))
	}
	return 0
}

// Caller decides when a machine calls again. It never gives up: a machine that
// stopped trying would keep its report for itself. Its zero value is Patient.
type Caller struct {
	Backoff  Backoff
	failures int
}

// Stored notes that a call was answered well; the server says when the next is.
func (c *Caller) Stored() { c.failures = 0 }

// Refused returns the wait after the server answered that it is busy. Where it
// said for how long, that is a slot of the machine's own, and it comes then
// exactly: jitter on top would miss it. Where it said nothing, it is a failure.
func (c *Caller) Refused(after time.Duration, r *rand.Rand) time.Duration {
	if after > 0 {
		c.failures = 0
		return after
	}
	return c.Failed(r)
}

// Failed returns the wait after a call that was not answered at all.
func (c *Caller) Failed(r *rand.Rand) time.Duration {
	b := c.Backoff
	if b == (Backoff{}) {
		b = Patient
	}
	c.failures++
	return b.Wait(c.failures, r)
}
