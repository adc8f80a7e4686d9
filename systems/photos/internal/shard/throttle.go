package shard

import (
	"context"
	"io"
	"sync"
	"time"

	"plumb/base/clock"
)

// throttle lets bytes through at a rate, for all who share it: a token bucket of a quarter
// of a second, which may go into debt, so that no read is cut.
type throttle struct {
	clock clock.Clock
	rate  float64 // bytes a second; 0: no limit

	mu   sync.Mutex
	have float64   // bytes that may pass at once; guarded by mu
	at   time.Time // when that was so; guarded by mu
}

func newThrottle(c clock.Clock, rate int64) *throttle {
	return &throttle{clock: c, rate: float64(rate), have: float64(rate) / 4, at: c.Now()}
}

// wait takes n bytes, and returns when they may pass.
func (t *throttle) wait(ctx context.Context, n int64) error {
	if t.rate <= 0 || n <= 0 {
		return ctx.Err()
	}
	t.mu.Lock()
	now := t.clock.Now()
	if passed := now.Sub(t.at).Seconds(); passed > 0 {
		t.have = min(t.have+passed*t.rate, t.rate/4)
		t.at = now
	}
	t.have -= float64(n)
	debt := -t.have
	t.mu.Unlock()
	if debt <= 0 {
		return ctx.Err()
	}
	select {
	case <-t.clock.After(time.Duration(debt / t.rate * float64(time.Second))):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// throttled is a content that is read at the rate.
type throttled struct {
	ctx  context.Context
	t    *throttle
	r    io.Reader
	read int64
}

// Read reads a piece and waits for its share of time.
func (r *throttled) Read(p []byte) (int, error) {
	if len(p) > 256<<10 {
		p = p[:256<<10]
	}
	n, err := r.r.Read(p)
	r.read += int64(n)
	if wait := r.t.wait(r.ctx, int64(n)); wait != nil {
		return n, wait
	}
	return n, err
}
