package vending

import (
	"context"
	"fmt"
	"testing"
	"time"

	"plumb/engines/fleet/slots"
)

// A machine that reports its stock and is filled every day by somebody who tells
// nobody: only the counters of its audits say what it sells.
func TestPlansFollowTheCountersOfAudits(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		expected := func(machine string) float64 {
			e, err := h.Expected(ctx, machine)
			if err != nil {
				t.Fatal(err)
			}
			return e["A1"]
		}
		tokens := h.stand(2, 8)
		zone := zoneOf(t, "Europe/Berlin")
		for day := range int64(15) {
			h.clock.Advance(24 * time.Hour)
			for i, token := range tokens {
				h.tell(token, fmt.Sprint("r-", day+1), 8+day%2) // never lower for two days
				if i == 1 {
					h.send("m-001", audit("S", "", map[string]int64{"A1": 1000 + 20*day, "A2": 7}))
				}
			}
		}
		date, _ := slots.NextNight(h.clock.Now(), zone)
		for range 2 { // the second finds nothing new, and says the same
			if _, _, err := h.MakePlan(ctx, "Berlin", date, true, "a test"); err != nil {
				t.Fatal(err)
			}
			h.work()
			if plain, counted := expected("m-000"), expected("m-001"); plain > 3 || counted < 12 || counted > 22 {
				t.Errorf("expected of A1: %.1f from the stock, %.1f from counters that move by 20 a day", plain, counted)
			}
		}
		if n := h.rows(`SELECT count(*) FROM vending_demand WHERE counted > 0`); n != 1 {
			t.Errorf("the sales of %d machines are folded in", n)
		}
	}, hasty)
}

// Machines that send audits and nothing else are visited for their faults, and
// filled where they name a capacity.
func TestPlansOfMachinesWithAuditsOnly(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		for i := range 4 {
			get[enrolledOut](h, 201, "POST", machinesPath, boss, map[string]any{"id": fmt.Sprint("m-", i), "city": "Berlin", "lat": 52.5 + float64(i)/100, "lon": 13.4})
		}
		h.send("m-0", audit("S0", "", map[string]int64{"1": 10, "2": 10}))           // of ten each, ten are gone since the refill
		h.send("m-1", audit("S1", "", map[string]int64{"1": 0}))                     // full
		h.send("m-2", audit("S2", "", nil, "PA1*1*150", "PA2*99", "EA2*EAD*1*1**1")) // names no capacity, and its coins are jammed
		zone := zoneOf(t, "Europe/Berlin")
		date, start := slots.NextNight(h.clock.Now(), zone)
		h.clock.Set(start.Add(time.Hour))
		if _, _, err := h.MakePlan(ctx, "Berlin", date, true, "a test"); err != nil {
			t.Fatal(err)
		}
		h.work()
		p, err := h.Plan(ctx, "Berlin", date, 0)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, r := range p.Routes {
			for _, v := range r.Stops {
				got[v.Machine] += fmt.Sprint(v.Kind, " ", v.Items, " ", len(v.Faults), ";")
			}
		}
		if len(got) != 2 || got["m-0"] != "restock 20 0;" || got["m-2"] != "repair 0 1;" || p.Outcome.Machines != 4 || p.Outcome.Unknown != 1 {
			t.Errorf("%v, %+v", got, p.Outcome)
		}
	}, hasty)
}
