package fleet

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb"
	"plumb/engines/web"
)

// Authenticate implements web.Authenticator: it knows machines by the token in
// "Authorization: Bearer", or by the client certificate of the connection. The Who
// it returns has the Kind "machine", and the machine's key (realm/id) as ID.
func (f *Fleet) Authenticate(r *http.Request) (web.Who, error) {
	var m Machine
	var err error
	if token, ok := bearer(r); ok {
		m, err = f.ByToken(r.Context(), token)
	} else if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && r.Header.Get("Cookie") == "" {
		m, err = f.ByCertificate(r.Context(), r.TLS.VerifiedChains[0][0])
	} else {
		return web.Who{}, nil
	}
	if err != nil {
		return web.Who{}, err
	}
	return web.Who{Kind: "machine", ID: m.Key(), Name: m.ID}, nil
}

func bearer(r *http.Request) (string, bool) {
	kind, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return token, ok && strings.EqualFold(kind, "Bearer") && token != ""
}

// ByToken returns the machine whose token this is, and notes that it was seen.
// Errors: Unknown for a token that no machine in good standing has.
func (f *Fleet) ByToken(ctx context.Context, token string) (Machine, error) {
	now, key := f.n.Clock.Now(), hash(token)
	m, ok, age := f.cache.byToken(key, now)
	if !ok {
		err := f.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, byTokenSQL, key).Scan(&m.Realm, &m.ID, &m.Cohort)
		})
		if err == sqldb.ErrNoRows {
			return Machine{}, errs.New(errs.Unknown, "no machine in good standing has this token")
		}
		if err != nil {
			return Machine{}, fmt.Errorf("look up a machine's token: %w", err)
		}
		f.cache.keep(key, m, now, age)
	}
	f.saw(m.Key(), now)
	return m, nil
}

// ByWho returns the machine of the realm that a request came from. Errors:
// Denied when who is no machine, or of another realm; NotFound when it was
// revoked meanwhile.
func (f *Fleet) ByWho(ctx context.Context, realm string, who web.Who) (Machine, error) {
	in, id, ok := strings.Cut(who.ID, "/")
	if who.Kind != "machine" || !ok || in != realm {
		return Machine{}, errs.New(errs.Denied, "this is for the machines of %s", realm)
	}
	now := f.n.Clock.Now()
	m, ok := f.cache.byKey(who.ID, now)
	if ok {
		return m, nil
	}
	m = Machine{Realm: realm, ID: id}
	err := f.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, byIDSQL, realm, id).Scan(&m.Cohort)
	})
	if err == sqldb.ErrNoRows {
		return Machine{}, errs.New(errs.NotFound, "there is no machine %s", id)
	}
	return m, err
}

// cacheMost bounds the memory of a cache: about 100 MB.
const cacheMost = 1 << 18

// cache holds what was read about tokens, for CacheTime. Its zero value is ready.
type cache struct {
	mu     sync.RWMutex
	tokens map[string]cached // by the token's hash
	keys   map[string]cached // by Machine.Key
	age    uint64            // grows with every drop, so that a read from before it is not kept
}

type cached struct {
	m     Machine
	token string
	until time.Time
}

// byToken returns the machine, or the age with which keep may add it.
func (c *cache) byToken(token string, now time.Time) (Machine, bool, uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e, ok := c.tokens[token]
	return e.m, ok && now.Before(e.until), c.age
}

func (c *cache) byKey(key string, now time.Time) (Machine, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e, ok := c.keys[key]
	return e.m, ok && now.Before(e.until)
}

func (c *cache) keep(token string, m Machine, now time.Time, age uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.age != age {
		return // a machine changed while this was read: it may be this one
	}
	if c.tokens == nil {
		c.tokens, c.keys = map[string]cached{}, map[string]cached{}
	}
	if len(c.tokens) >= cacheMost { // drop an eighth, whichever the map gives
		left := cacheMost / 8
		for t, e := range c.tokens {
			delete(c.tokens, t)
			delete(c.keys, e.m.Key())
			if left--; left == 0 {
				break
			}
		}
	}
	e := cached{m, token, now.Add(CacheTime)}
	c.tokens[token], c.keys[m.Key()] = e, e
}

// drop forgets a machine by its key.
func (c *cache) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.age++
	if e, ok := c.keys[key]; ok {
		delete(c.tokens, e.token)
		delete(c.keys, key)
	}
}

// saw notes that a machine called. Presence is not a promise: it is written
// every few seconds, in one go.
func (f *Fleet) saw(key string, at time.Time) {
	f.mu.Lock()
	f.seen[key] = at.UnixMicro()
	f.mu.Unlock()
}

// noted returns when a machine called, where that may not be written yet.
func (f *Fleet) noted(key string) (int64, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, ok := f.seen[key]; ok {
		return at, true
	}
	at, ok := f.writing[key]
	return at, ok
}

// keepPresence writes what saw noted, until Close.
func (f *Fleet) keepPresence() {
	for {
		select {
		case <-f.n.Clock.After(flushTime):
			f.flush()
		case <-f.quit:
			f.flush()
			return
		}
	}
}

func (f *Fleet) flush() {
	f.mu.Lock()
	seen := f.seen
	f.seen = make(map[string]int64, len(seen))
	f.writing = seen
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.writing = nil
		f.mu.Unlock()
	}()
	type entry struct {
		realm, id string
		at        int64
	}
	list := make([]entry, 0, len(seen))
	for key, at := range seen {
		realm, id, _ := strings.Cut(key, "/")
		list = append(list, entry{realm, id, at})
	}
	// In one order, so that two processes never wait for each other's rows.
	slices.SortFunc(list, func(a, b entry) int { return cmp.Or(cmp.Compare(a.realm, b.realm), cmp.Compare(a.id, b.id)) })
	for len(list) > 0 {
		some := list[:min(len(list), flushMost)]
		err := f.n.DB.Batch(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
			for _, e := range some {
				if _, err := tx.Exec(ctx, seenSQL, e.realm, e.id, e.at); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			f.n.Log.Warn("presence was not written; it is only as fresh as before", "machines", len(list), "error", err)
			return
		}
		list = list[len(some):]
	}
}
