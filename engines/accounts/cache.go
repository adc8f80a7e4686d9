package accounts

import (
	"sync"
	"time"

	"plumb/engines/web"
)

// kept is how many answers the cache holds at most; beyond, it starts afresh.
const kept = 10_000

// cache keeps who a session or token belongs to.
type cache struct {
	mu   sync.Mutex
	who  map[string]answer    // by hash
	used map[string]time.Time // tokens used since the last tidy
	age  uint64               // counts forgets: an answer read before one is not kept after it
}

// answer is a good credential's owner.
type answer struct {
	who     web.Who
	expires time.Time // of the credential; zero: never
	until   time.Time // of this answer
}

func newCache() *cache {
	return &cache{who: map[string]answer{}, used: map[string]time.Time{}}
}

// get returns the owner and the cache's age, which keep wants back.
func (c *cache) get(hash string, now time.Time) (web.Who, uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.who[hash]
	if !ok || !now.Before(a.until) || !a.expires.IsZero() && !now.Before(a.expires) {
		return web.Who{}, c.age, false
	}
	return a.who, c.age, true
}

// keep stores an answer unless something was forgotten since its get: it may
// have been read before the change.
func (c *cache) keep(hash string, a answer, age uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if age != c.age {
		return
	}
	if len(c.who) >= kept {
		clear(c.who)
	}
	c.who[hash] = a
}

// forget drops all answers about a person.
func (c *cache) forget(person string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.age++
	for hash, a := range c.who {
		if a.who.ID == person {
			delete(c.who, hash)
		}
	}
}

// use remembers that a token was used.
func (c *cache) use(hash string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.used) < kept {
		c.used[hash] = now
	}
}

func (c *cache) takeUsed() map[string]time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.used
	c.used = map[string]time.Time{}
	return u
}
