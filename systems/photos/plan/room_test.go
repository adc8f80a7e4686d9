package plan_test

import (
	"testing"
	"time"

	"plumb/engines/forecast"
	"plumb/systems/photos"
	"plumb/systems/photos/plan"
)

// TestThePlanTakesTheRoomsSettings keeps the defaults that the plan quotes from
// drifting away from the program.
func TestThePlanTakesTheRoomsSettings(t *testing.T) {
	p, err := forecast.Compile(plan.Model())
	if err != nil {
		t.Fatal(err)
	}
	room := photos.Defaults()
	want := map[string]float64{"copies": float64(room.Copies), "bin_kept": float64(room.Bin) / float64(24*time.Hour)}
	for _, in := range p.Model().Inputs {
		value, ok := want[in.Name]
		if !ok {
			continue
		}
		delete(want, in.Name)
		rg, err := p.ReadRange(in.Name, in.Default, false)
		if err != nil || rg.Quantile(0.5) != value {
			t.Errorf("%s is %s, the room's %g; %v", in.Name, in.Default, value, err)
		}
	}
	if len(want) > 0 {
		t.Errorf("the plan has no %v", want)
	}
	if len(plan.Sizes) != len(photos.Sizes) {
		t.Fatalf("sizes %v, the room's %v", plan.Sizes, photos.Sizes)
	}
	for i, s := range photos.Sizes {
		if plan.Sizes[i].Name != s.Name || plan.Sizes[i].Edge != s.Edge {
			t.Errorf("size %v, the room's %v", plan.Sizes[i], s)
		}
	}
}
