package demand

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A machine that is filled every day at a time that nobody knows: its stock tells
// nothing, its counters everything.
func TestCountersTellWhatRefillsHide(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	rates := map[string]float64{"1": 6, "2": 1.5, "3": 0.1}
	var stock, counted Machine
	at := time.Date(2026, 3, 2, 0, 20, 0, 0, time.UTC)
	full := []Stock{{"1", "cola", 40, 40}, {"2", "nuts", 40, 40}, {"3", "gum", 40, 40}}
	stock.Fold(at, full, time.UTC, Refill{})
	counted.Fold(at, full, time.UTC, Refill{})
	for range 60 {
		next := at.Add(24 * time.Hour)
		sold, now := map[string]int64{}, make([]Stock, len(full))
		for i, s := range full {
			for n := 0.0; ; sold[s.Slot]++ { // Poisson
				if n += random.ExpFloat64(); n > rates[s.Slot] {
					break
				}
			}
			sold[s.Slot] += 0 // zeros are told too
			now[i] = s
			now[i].Remaining = s.Remaining - int64(random.IntN(3)) // what sold since the visit
		}
		counted.Count(at, next, sold, time.UTC)
		stock.Fold(next, now, time.UTC, Refill{})
		counted.Fold(next, now, time.UTC, Refill{})
		at = next
	}
	wrong := func(m Machine) (sum float64) {
		for i, s := range m.Slots {
			sum += math.Abs(m.Expected(i, at, at.Add(7*24*time.Hour), time.UTC)/7 - rates[s.Slot])
		}
		return sum
	}
	if c, s := wrong(counted), wrong(stock); c > 1.5 || c > s/2 {
		t.Errorf("items a day wrong: %.2f with counters, %.2f without", c, s)
	}
	for i, s := range counted.Slots {
		if !s.Counted.Equal(at) {
			t.Errorf("slot %d was counted until %v", i, s.Counted)
		}
	}
	// When the counters fall silent, the stock is learnt from again.
	was := counted.Slots[0].Days
	for range 20 {
		at = at.Add(24 * time.Hour)
		counted.Fold(at, full, time.UTC, Refill{})
	}
	if counted.Slots[0].Days < was/3 || counted.Expected(0, at, at.Add(24*time.Hour), time.UTC) > 5 {
		t.Errorf("after the counters: %+v", counted.Slots[0])
	}
}

// Whatever is counted: the state stays finite, and what could not be is left out.
func TestAnyCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m Machine
		at := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
		if rapid.Bool().Draw(t, "known") {
			m.Fold(at, []Stock{{"1", "cola", 5, 10}, {"2", "nuts", 0, 10}}, time.UTC, Refill{})
		}
		for range rapid.IntRange(1, 20).Draw(t, "counts") {
			from := at.Add(time.Duration(rapid.Int64Range(-1e6, 1e6).Draw(t, "from")) * time.Second)
			to := from.Add(time.Duration(rapid.Int64Range(-1e4, 1e7).Draw(t, "took")) * time.Second)
			m.Count(from, to, map[string]int64{"1": rapid.Int64().Draw(t, "sold"), "2": 0, "9": 3}, time.UTC)
		}
		for i, s := range m.Slots {
			e := m.Expected(i, at, at.Add(24*time.Hour), time.UTC)
			if math.IsNaN(e) || math.IsInf(e, 0) || e < 0 || e > 24*3600/fastest.Seconds()*7 || s.Sold < 0 || s.Days < 0 {
				t.Fatalf("%g expected of %+v", e, s)
			}
		}
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var back Machine
		if err := json.Unmarshal(text, &back); err != nil || len(back.Slots) != len(m.Slots) || !back.Counted.Equal(m.Counted) {
			t.Fatalf("%s reads back as %+v, %v", text, back, err)
		}
	})
}
