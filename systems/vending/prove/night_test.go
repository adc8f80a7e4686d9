package prove

import (
	"testing"
	"time"
)

func night1(c float64) world {
	return world{machines: 18_888, capacity: c, spread: 2 * time.Second, abandoned: 1, horizon: theHour, seed: 1}
}

// Nobody is forgotten: every machine is stored or lost, calls at least once,
// and no more are stored in a second than the server can.
func TestBooksBalance(t *testing.T) {
	for _, d := range []design{midnight, bounded, window} {
		for _, tries := range []int{1, 5, 0} {
			w := night1(50)
			w.tries = tries
			stored, calls, last := 0, 0, time.Duration(0)
			out := w.run(d, func(e ending) {
				if e.stored {
					stored++
					last = max(last, e.at)
				}
				if calls += e.tries; e.tries < 1 || tries > 0 && e.tries > tries || e.stored && e.at < e.first {
					t.Fatalf("%s: %+v", d.name, e)
				}
			})
			if stored+out.lost != w.machines || float64(calls)/float64(w.machines) != out.tries {
				t.Errorf("%s: %d stored and %d lost of %d, %d calls or %.3f each", d.name, stored, out.lost, w.machines, calls, out.tries)
			}
			if most := int(w.capacity*(last+w.spread).Seconds()) + 1; stored > most {
				t.Errorf("%s: %d stored by %s, a server of %.0f/s can do %d", d.name, stored, last, w.capacity, most)
			}
		}
	}
}

func TestSameSeedSameNight(t *testing.T) {
	w := night1(100)
	if a, b := w.run(window, nil), w.run(window, nil); a != b {
		t.Errorf("%+v\n%+v", a, b)
	}
	other := w
	other.seed = 2
	if w.run(window, nil) == other.run(window, nil) {
		t.Error("another seed gives the same night")
	}
}

// A bounded queue with endless fixed retry loses nothing, and the calls that it
// takes follow from the time to work off the fleet: half of it over the interval.
func TestBoundedQueueNeedsManyCalls(t *testing.T) {
	w := night1(20)
	out := w.run(bounded, nil)
	if want := float64(w.machines) / w.capacity / 2 / fixedRetry.Seconds(); out.lost != 0 || out.tries < 0.9*want || out.tries > 1.1*want {
		t.Errorf("%d lost, %.1f tries; want none, about %.1f", out.lost, out.tries, want)
	}
}

// With patience of 10 s, midnight works for a fleet of 10 s of work and no more.
func TestMidnightBreaksPastItsPatience(t *testing.T) {
	w := night1(100)
	w.machines = 900
	if out := w.run(midnight, nil); out.lost != 0 {
		t.Errorf("900 machines at 100/s: %d lost", out.lost)
	}
	w.machines = 10_000
	if out := w.run(midnight, nil); out.lost < 5_000 {
		t.Errorf("10,000 machines at 100/s: only %d lost", out.lost)
	}
}

// If dead calls cost nothing, midnight recovers: what breaks it is work done
// for nobody.
func TestWhatBreaksMidnightIsDeadWork(t *testing.T) {
	w := night1(100)
	w.abandoned = 0
	if out := w.run(midnight, nil); out.lost != 0 {
		t.Errorf("%d lost although dead calls are free", out.lost)
	}
}

func BenchmarkMidnight(b *testing.B) {
	w := night1(100)
	for b.Loop() {
		w.run(midnight, nil)
	}
}

// The claim on the recovery is tight, so it is held for other seeds too.
func TestRecoveryForAnySeed(t *testing.T) {
	d := window
	d.window = 0
	for _, c := range reaches {
		w := night1(c)
		w.machines, w.seed = fleetSize, uint64(time.Now().UnixNano())
		out := w.run(d, nil)
		if over := out.done.Seconds() / (fleetSize / c); out.lost != 0 || over > 1.05 || out.tries > 2 {
			t.Errorf("seed %d, %.0f/s: %d lost, %.3f of the best time, %.3f tries", w.seed, c, out.lost, over, out.tries)
		}
	}
}

// While the server is away nobody is stored, and afterwards everybody is.
func TestOutage(t *testing.T) {
	for _, d := range []design{bounded, window} {
		w := night1(200)
		d.window = reportWindow
		w.awayFrom, w.awayTo = 10*time.Minute, 20*time.Minute
		out := w.run(d, func(e ending) {
			if e.stored && e.at > w.awayFrom+time.Second && e.at < w.awayTo {
				t.Fatalf("%s: stored while the server was away: %+v", d.name, e)
			}
		})
		if out.lost != 0 || out.back == 0 || out.drained <= 0 || out.tries < 1.1 {
			t.Errorf("%s: %+v", d.name, out)
		}
	}
}
