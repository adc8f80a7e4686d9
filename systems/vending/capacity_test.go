package vending

import (
	"context"
	"testing"
	"time"

	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// What one process measured is what the next begins with.
func TestMeasuredCapacityOutlivesARestart(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := open(t, db)
		before := h.door.admission.State(h.clock.Now()).Capacity
		if before != Defaults().Capacity {
			t.Fatalf("a new house supposes %g reports/s, want the default", before)
		}
		// 100 reports wait all the time, and 200 a second are stored.
		for range 400 {
			if _, ok := h.door.admission.Arrive(h.clock.Now(), "m", 1); !ok {
				t.Fatal("no room in an empty queue")
			}
		}
		for range 300 {
			h.clock.Advance(5 * time.Millisecond)
			h.door.admission.Done(h.clock.Now(), 1, 1)
		}
		measured := h.door.admission.State(h.clock.Now()).Capacity
		if measured >= before {
			t.Fatalf("nothing was measured: %g reports/s", measured)
		}
		if err := h.remember(context.Background(), measured, h.clock.Now()); err != nil {
			t.Fatal(err)
		}
		if got := open(t, db).door.admission.State(h.clock.Now()).Capacity; got != measured {
			t.Errorf("the next house supposes %g reports/s, want the measured %g", got, measured)
		}
	})
}
