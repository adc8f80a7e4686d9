package vending

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/engines/fleet"
	"plumb/engines/fleet/slots"
)

// The machine's own client against the real door, over sockets: a herd that is
// ten times the queue, on lines of which some break after the report was stored.
func TestAHerdOfClientsOverSockets(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		const machines = 100
		h.System.n.Clock = clock.System{}
		token := make([]string, machines)
		for i := range token {
			token[i] = h.enrol(fmt.Sprint("m-", i))
		}
		// So many are let in at first, the others get a slot each.
		for i := range 10 {
			h.door.admission.Arrive(time.Now(), fmt.Sprint("other-", i), 1)
		}
		time.AfterFunc(300*time.Millisecond, func() { h.door.admission.Done(time.Now(), 10, 10) })
		srv := httptest.NewServer(h.http)
		defer srv.Close()
		var wg sync.WaitGroup
		var tries, duplicates atomic.Int64
		for i := range machines {
			wg.Go(func() {
				c := fleet.Client{URL: srv.URL + reportsPath, Token: token[i], Rand: rand.New(rand.NewPCG(uint64(i), 1)), Backoff: slots.Backoff{Base: 20 * time.Millisecond, Cap: time.Second}}
				ctx, stop := context.WithTimeout(context.Background(), time.Minute)
				defer stop()
				text := reportOf("r-1")
				if i%10 == 0 { // the answer to the first try is lost
					lost, cut := context.WithCancel(ctx)
					time.AfterFunc(time.Duration(i)*time.Millisecond, cut)
					c.Send(lost, text)
				}
				a, err := c.Deliver(ctx, text)
				if err != nil || a.NextIn() <= 0 {
					t.Errorf("machine %d: %+v %v", i, a, err)
				}
				if a.Status == "duplicate" {
					duplicates.Add(1)
				}
				tries.Add(int64(c.Tries))
			})
		}
		wg.Wait()
		if n := h.count(); n != machines {
			t.Errorf("%d reports of %d machines", n, machines)
		}
		t.Logf("%.2f tries a machine, %d duplicates", float64(tries.Load())/machines, duplicates.Load())
		if s := h.door.admission.State(time.Now()); s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	}, func(c *Config) { c.Capacity, c.Queue = 100, 100*time.Millisecond })
}
