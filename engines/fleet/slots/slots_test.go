package slots

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var midnight = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// A machine's place must not move between versions or processes: it was told
// its next call by another one.
func TestSlotsNeverMove(t *testing.T) {
	w := Window{midnight, time.Hour}
	for id, want := range map[string]string{
		"m-1":        "00:50:19.745",
		"m-2":        "00:56:22.548",
		"machine-17": "00:00:00.970",
		"":           "00:56:12.614",
	} {
		if got := w.At(id).Format("15:04:05.000"); got != want {
			t.Errorf("%q calls at %s, want %s", id, got, want)
		}
	}
}

func TestSlotsAreEven(t *testing.T) {
	const n, slots = 188_888, 3600
	for _, format := range []string{"m-%d", "%06d", "DE-%d-b"} {
		w, at := Window{midnight, slots * Width}, make([]int, slots)
		for i := range n {
			at[w.Slot(fmt.Sprintf(format, i)).Sub(midnight)/Width]++
		}
		chi, mean := 0.0, float64(n)/slots
		for _, k := range at {
			chi += (float64(k) - mean) * (float64(k) - mean) / mean
		}
		// Chi squared with 3,599 degrees of freedom: mean 3,599, deviation 85.
		if math.Abs(chi-(slots-1)) > 5*math.Sqrt(2*(slots-1)) {
			t.Errorf("ids %s: chi squared %.0f, want about %d", format, chi, slots-1)
		}
	}
}

func TestCallsStayInTheirSlotAndChangeByNight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.String().Draw(t, "id")
		long := time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "length"))
		w := Window{midnight, long}
		at, slot := w.At(id), w.Slot(id)
		if at.Before(slot) || at.Before(w.Start) || long > 0 && !at.Before(w.End()) || at.Sub(slot) > Width {
			t.Fatalf("%q: slot %s, call %s, window to %s", id, slot, at, w.End())
		}
		if !at.Equal(w.At(id)) {
			t.Fatal("the answer changed")
		}
	})
	w := Window{midnight, time.Hour}
	next := Window{midnight.Add(24 * time.Hour), time.Hour}
	same := 0
	for i := range 1000 {
		id := fmt.Sprint(i)
		if w.At(id).Sub(w.Start) == next.At(id).Sub(next.Start) {
			same++
		}
		if w.Slot(id).Sub(w.Start) != next.Slot(id).Sub(next.Start) {
			t.Fatal("the slot moved between nights")
		}
	}
	if same > 0 {
		t.Errorf("%d of 1,000 machines have the same jitter on both nights", same)
	}
}

func TestBackoffIsFullJitter(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := Backoff{Base: time.Second, Cap: time.Minute}
	for failures, want := range map[int]time.Duration{1: 2 * time.Second, 3: 8 * time.Second, 6: time.Minute, 1 << 20: time.Minute} {
		if got := b.Bound(failures); got != want {
			t.Errorf("after %d failures at most %s, want %s", failures, got, want)
		}
		sum, n := time.Duration(0), 10_000
		for range n {
			w := b.Wait(failures, r)
			if w < 0 || w >= want {
				t.Fatalf("wait %s is not below %s", w, want)
			}
			sum += w
		}
		if mean := sum / time.Duration(n); mean < want*47/100 || mean > want*53/100 {
			t.Errorf("mean wait %s is not half of %s", mean, want)
		}
	}
	if got := (Backoff{}).Wait(3, r); got != 0 {
		t.Error(got)
	}
}

func TestCallerKeepsTheSlotItWasGiven(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var c Caller
	for range 20 {
		c.Failed(r)
	}
	if got := c.Refused(93*time.Second, r); got != 93*time.Second {
		t.Errorf("came after %s", got)
	}
	if got := c.Refused(0, r); got >= 2*Patient.Base {
		t.Errorf("a slot ends a row of failures, but the next wait is %s", got)
	}
	c.Stored()
	if c.failures != 0 {
		t.Error(c.failures)
	}
}

func BenchmarkAt(b *testing.B) {
	w := Window{midnight, time.Hour}
	for b.Loop() {
		w.At("machine-188888")
	}
}

func ExampleWindow() {
	night, _ := Night(Date{2026, time.March, 29}, time.UTC)
	w := Window{Start: night, Length: time.Hour}
	fmt.Println(w.At("machine-18").Format("15:04:05"), "to", w.End().Format("15:04:05"))
	// Output: 00:33:38 to 01:00:00
}
