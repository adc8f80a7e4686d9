package rollout_test

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"plumb/engines/fleet/rollout"
)

func ExampleRollout_Target() {
	r := rollout.Rollout{Salt: "spring/1", To: rollout.Version{Firmware: "2.1"}, Back: rollout.Version{Firmware: "2.0"}, Percent: 50, State: rollout.Active}
	for _, id := range []string{"m-1", "m-2", "m-3", "m-4"} {
		want, change := r.Target(id, rollout.Version{Firmware: "2.0", Config: "c7"})
		fmt.Printf("%s at %4.1f: %v %q\n", id, rollout.Point(r.Salt, id), change, want.Firmware)
	}
	r.State = rollout.Undone
	want, change := r.Target("m-1", rollout.Version{Firmware: "2.1"})
	fmt.Println("undone:", change, want.Firmware)
	// Output:
	// m-1 at 17.5: true "2.1"
	// m-2 at 81.4: false ""
	// m-3 at 41.2: true "2.1"
	// m-4 at 71.6: false ""
	// undone: true 2.0
}

// Raising the percentage only adds devices, and 0 and 100 mean none and all.
func TestStagesOnlyGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rollout.Rollout{Salt: rapid.String().Draw(t, "salt")}
		id := rapid.String().Draw(t, "id")
		low := rapid.Float64Range(0, 100).Draw(t, "low")
		high := rapid.Float64Range(low, 100).Draw(t, "high")
		in := func(percent float64) bool { r.Percent = percent; return r.In(id) }
		if in(low) && !in(high) {
			t.Errorf("%q is in the first %g%% and not in the first %g%%", id, low, high)
		}
		if in(0) || !in(100) {
			t.Errorf("%q: in the first 0%%: %v, in the first 100%%: %v", id, in(0), in(100))
		}
	})
}

// A share of the fleet is that share, and two rollouts choose independently.
func TestStagesAreEvenAndIndependent(t *testing.T) {
	const n = 100_000
	one, two := rollout.Rollout{Salt: "a/1", Percent: 10}, rollout.Rollout{Salt: "a/2", Percent: 10}
	var first, both int
	for i := range n {
		id := fmt.Sprintf("machine-%06d", i)
		if one.In(id) {
			first++
			if two.In(id) {
				both++
			}
		}
	}
	// Five standard deviations of a binomial: chance fails this once in 1.7 million.
	near := func(got int, p float64) bool {
		return math.Abs(float64(got)-n*p) < 5*math.Sqrt(n*p*(1-p))
	}
	if !near(first, 0.1) || !near(both, 0.01) {
		t.Errorf("%d of %d in the first 10%%, %d in both", first, n, both)
	}
}

// A change of the hash would move every device of every rollout under way.
func TestPointsStay(t *testing.T) {
	for id, want := range map[string]float64{"m-1": 17.48553408791549, "machine-188888": 90.80675503441248, "": 65.2807479281409} {
		if got := rollout.Point("spring/1", id); got != want {
			t.Errorf("%q is at %v, not %v", id, got, want)
		}
	}
}

func TestTargets(t *testing.T) {
	v := func(firmware, config string) rollout.Version {
		return rollout.Version{Firmware: firmware, Config: config}
	}
	for name, c := range map[string]struct {
		state    rollout.State
		to, back rollout.Version
		percent  float64
		runs     rollout.Version
		want     rollout.Version
	}{
		"behind":                            {rollout.Active, v("2", "c"), v("1", "b"), 100, v("1", "b"), v("2", "c")},
		"only its firmware is behind":       {rollout.Active, v("2", "c"), v("1", "b"), 100, v("1", "c"), v("2", "")},
		"arrived":                           {rollout.Active, v("2", "c"), v("1", "b"), 100, v("2", "c"), v("", "")},
		"never had settings":                {rollout.Active, v("", "c"), v("", ""), 100, v("1", ""), v("", "c")},
		"says nothing of itself":            {rollout.Active, v("2", "c"), v("1", "b"), 100, v("", ""), v("", "")},
		"firmware that is not touched":      {rollout.Active, v("", "c"), v("", "b"), 100, v("9", "b"), v("", "c")},
		"not in the stage":                  {rollout.Active, v("2", ""), v("1", ""), 0, v("1", ""), v("", "")},
		"braked":                            {rollout.Braked, v("2", ""), v("1", ""), 100, v("1", ""), v("", "")},
		"paused":                            {rollout.Paused, v("2", ""), v("1", ""), 100, v("1", ""), v("", "")},
		"undone":                            {rollout.Undone, v("2", "c"), v("1", "b"), 5, v("2", "c"), v("1", "b")},
		"undone, and it never changed":      {rollout.Undone, v("2", ""), v("1", ""), 100, v("1", ""), v("", "")},
		"undone, and it runs a third":       {rollout.Undone, v("2", ""), v("1", ""), 100, v("1.5", ""), v("", "")},
		"undone, and nobody knows the old":  {rollout.Undone, v("2", ""), v("", ""), 100, v("2", ""), v("", "")},
		"undone, back to the very same one": {rollout.Undone, v("2", "c"), v("2", "b"), 100, v("2", "c"), v("", "b")},
	} {
		r := rollout.Rollout{Salt: "s", To: c.to, Back: c.back, Percent: c.percent, State: c.state}
		if got, change := r.Target("m", c.runs); got != c.want || change != !c.want.Empty() {
			t.Errorf("%s: %+v %v, want %+v", name, got, change, c.want)
		}
	}
}

// Whoever obeys what it is told is told nothing more, whatever the versions are.
func TestWhoObeysIsLeftAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"", "1", "2", "3"})
		version := func(name string) rollout.Version {
			return rollout.Version{Firmware: word.Draw(t, name), Config: word.Draw(t, name)}
		}
		r := rollout.Rollout{Salt: "s", To: version("to"), Back: version("back"), Percent: rapid.Float64Range(0, 100).Draw(t, "percent"),
			State: rapid.SampledFrom([]rollout.State{rollout.Active, rollout.Paused, rollout.Braked, rollout.Undone}).Draw(t, "state")}
		runs := version("runs")
		want, change := r.Target("m", runs)
		if !change {
			return
		}
		if want.Firmware != "" {
			runs.Firmware = want.Firmware
		}
		if want.Config != "" {
			runs.Config = want.Config
		}
		if again, more := r.Target("m", runs); more {
			t.Errorf("told %+v, then %+v", want, again)
		}
		if r.State == rollout.Active && !r.Arrived(runs) {
			t.Errorf("told %+v, and has not arrived with %+v", want, runs)
		}
	})
}

func TestBrake(t *testing.T) {
	b := rollout.Brake{Percent: 10, Least: 20}
	for _, c := range []struct {
		on, bad int
		want    bool
	}{{0, 0, false}, {19, 19, false}, {20, 2, false}, {20, 3, true}, {1000, 100, false}, {1000, 101, true}} {
		if got := b.Pulled(c.on, c.bad); got != c.want {
			t.Errorf("%d bad of %d: %v", c.bad, c.on, got)
		}
	}
	if (rollout.Brake{Percent: 0, Least: 0}).Pulled(0, 0) || !(rollout.Brake{}).Pulled(1, 1) {
		t.Error("a brake without bounds")
	}
}

func BenchmarkTarget(b *testing.B) {
	r := rollout.Rollout{Salt: "spring/1", To: rollout.Version{Firmware: "2.1"}, Percent: 50, State: rollout.Active}
	for b.Loop() {
		r.Target("machine-188888", rollout.Version{Firmware: "2.0"})
	}
}
