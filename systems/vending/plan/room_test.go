package plan_test

import (
	"testing"
	"time"

	"plumb/engines/forecast"
	"plumb/systems/vending"
	"plumb/systems/vending/plan"
)

// TestThePlanTakesTheRoomsSettings keeps the defaults that the plan quotes from
// drifting away from the program.
func TestThePlanTakesTheRoomsSettings(t *testing.T) {
	p, err := forecast.Compile(plan.Model())
	if err != nil {
		t.Fatal(err)
	}
	room := vending.Defaults()
	for _, in := range p.Model().Inputs {
		rg, err := p.ReadRange(in.Name, in.Default, false)
		if err != nil {
			t.Fatal(err)
		}
		switch in.Name {
		case "window":
			if got := time.Duration(rg.Quantile(0.5) * float64(time.Minute)); got != room.Window {
				t.Errorf("window %s, the room's %s", got, room.Window)
			}
		case "retention":
			if got := time.Duration(rg.Quantile(0.5) * 24 * float64(time.Hour)); got != room.Retention {
				t.Errorf("retention %s, the room's %s", got, room.Retention)
			}
		}
	}
}
