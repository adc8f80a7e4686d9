package accounts

import (
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"plumb/base/errs"
	"plumb/base/ids"
)

// Tries to sign in, per name and per address: some at once, then one in so long.
// Ten wrong passwords for a name, then 2,880 a day, find no good one.
const (
	perName     = 10
	nameEvery   = 30 * time.Second
	perAddress  = 50
	addrEvery   = 2 * time.Second
	mostTracked = 20_000
)

// tries counts tries to sign in.
type tries struct {
	mu sync.Mutex
	by map[string]*tracked
}

type tracked struct {
	limit *rate.Limiter
	seen  time.Time
}

func newTries() *tries { return &tries{by: map[string]*tracked{}} }

// allow counts a try for name from a remote address, with or without a port, and
// returns a Busy error when there were too many. Neither may be empty.
func (t *tries) allow(name, remote string, now time.Time) error {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	// The address first: one that is refused must not fill the memory with names
	// that it makes up, nor with long ones, and so clear everybody's counts.
	wait := t.one("address "+host, now, perAddress, addrEvery)
	if wait == 0 {
		wait = t.one("name "+ids.Hash(name), now, perName, nameEvery)
	}
	if wait > 0 {
		return errs.TryAfter(wait, "too many tries to sign in: wait %s", wait.Round(time.Second))
	}
	return nil
}

// one counts for one key and returns how long to wait.
func (t *tries) one(key string, now time.Time, burst int, every time.Duration) time.Duration {
	k := t.by[key]
	if k == nil {
		if len(t.by) >= mostTracked {
			t.drop(now)
		}
		k = &tracked{limit: rate.NewLimiter(rate.Every(every), burst)}
		t.by[key] = k
	}
	k.seen = now
	if k.limit.AllowN(now, 1) {
		return 0
	}
	return every
}

// tidy drops those who have not tried for an hour: their count is full again.
func (t *tries) tidy(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(now)
}

func (t *tries) drop(now time.Time) {
	for key, k := range t.by {
		if now.Sub(k.seen) > time.Hour {
			delete(t.by, key)
		}
	}
	if len(t.by) >= mostTracked { // under attack from everywhere: memory first
		clear(t.by)
	}
}
