package console

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"plumb/base/errs"
	"plumb/engines/web"
)

// engine is one engine's or system's health.
type engine struct {
	Name string
	Up   bool
	Err  string // for operators
}

// fresh is how long a look at the engines counts.
const fresh = 5 * time.Second

// healthCache keeps the last look, so that no page waits for a sick engine.
type healthCache struct {
	mu      sync.Mutex
	at      time.Time
	list    []engine
	looking bool
}

// get returns the last look. Only the first one is waited for; later ones are
// taken beside the request that finds the last one old.
func (h *healthCache) get(c *Console) []engine {
	h.mu.Lock()
	now := c.n.Clock.Now()
	old, first := now.Sub(h.at) >= fresh, h.at.IsZero()
	look := old && !h.looking
	if look {
		h.looking = true
	}
	list := h.list
	h.mu.Unlock()
	switch {
	case look && first:
		return h.look(c)
	case look:
		go h.look(c)
	}
	return list
}

func (h *healthCache) look(c *Console) []engine {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	list := c.look(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list, h.at, h.looking = list, c.n.Clock.Now(), false
	return list
}

// look asks every engine, and every system that checks itself.
func (c *Console) look(ctx context.Context) []engine {
	found := map[string]error{}
	if c.n.Health != nil {
		found = c.n.Health(ctx)
	}
	for _, f := range c.faces {
		if f.Check != nil {
			found[f.Name] = f.Check(ctx)
		}
	}
	var list []engine
	for name, err := range found {
		e := engine{Name: name, Up: err == nil}
		if err != nil {
			e.Err = err.Error()
		}
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b engine) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// healthz says that the process lives.
func (c *Console) healthz(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	web.WriteJSON(w, http.StatusOK, map[string]string{"status": "alive", "version": c.n.Build.Version})
	return nil
}

// recent is a look at most a second old, waited for: readiness must be true, but
// whoever asks for it in a loop must not wear the engines out.
func (h *healthCache) recent(c *Console) []engine {
	h.mu.Lock()
	list, young := h.list, c.n.Clock.Now().Sub(h.at) < time.Second
	wait := !young && (!h.looking || h.at.IsZero())
	if wait {
		h.looking = true
	}
	h.mu.Unlock()
	if wait {
		return h.look(c)
	}
	return list
}

// readyz says whether requests should come here: 200 while the vital engines and
// the systems answer, "degraded" where another engine does not. Why is for
// operators.
func (c *Console) readyz(w http.ResponseWriter, r *http.Request) error {
	answer := struct {
		Status  string            `json:"status"`
		Engines map[string]string `json:"engines"`
	}{"ready", map[string]string{}}
	status := http.StatusOK
	for _, e := range c.health.recent(c) {
		switch {
		case e.Up:
			answer.Engines[e.Name] = "ok"
			continue
		case web.WhoIs(r.Context()).May(web.Operator):
			answer.Engines[e.Name] = e.Err
		default:
			answer.Engines[e.Name] = "down"
		}
		if _, system := c.face(e.Name); system || c.n.Vital == nil || slices.Contains(c.n.Vital, e.Name) {
			answer.Status, status = "not ready", http.StatusServiceUnavailable
		} else if status == http.StatusOK {
			// All processes share the engine that is away: to send requests
			// elsewhere would send them nowhere.
			answer.Status = "degraded"
		}
	}
	if c.draining.Load() {
		answer.Status, status = "ending", http.StatusServiceUnavailable
	}
	w.Header().Set("Cache-Control", "no-store")
	web.WriteJSON(w, status, answer)
	return nil
}

// metrics are public on loopback, for a scraper beside us; others need the role.
func (c *Console) metrics(w http.ResponseWriter, r *http.Request) error {
	who := web.WhoIs(r.Context())
	if !local(r) && !who.May(web.Operator) {
		if who.Kind == "" {
			return errs.New(errs.Unknown, "metrics need an operator's token, except on loopback")
		}
		return errs.New(errs.Denied, "metrics need the role operator")
	}
	if c.n.Metrics == nil {
		return errs.New(errs.NotFound, "nothing is measured here")
	}
	c.n.Metrics.ServeHTTP(w, r)
	return nil
}

// local says whether r comes from this machine, and not through a proxy on it.
func local(r *http.Request) bool {
	if r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" {
		return false
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	return err == nil && net.ParseIP(host).IsLoopback()
}
