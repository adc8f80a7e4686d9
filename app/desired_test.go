package app

import (
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plumb/base/clock"
	"plumb/face"
)

func TestServesFollowProcessorsAndWhatWaits(t *testing.T) {
	for _, c := range []struct {
		what   string
		busy   float64
		behind time.Duration
		want   float64
	}{
		{"idle", 0, 0, 0},
		{"as busy as it should be", 0.7, 0, 1},
		{"full, and nothing waits", 1, 0, 1 / 0.7},
		{"full, and a minute's work waits", 1, time.Minute, 2 / 0.7},
		{"a night's herd in line", 1, time.Hour, serveMost},
		{"the database is full: processors idle while work waits", 0.1, 3 * time.Minute, 4 * 0.1 / 0.7},
	} {
		if got := serves(c.busy, c.behind); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v processes, want %v", c.what, got, c.want)
		}
	}
}

func TestWorkersAreBounded(t *testing.T) {
	for waiting, want := range map[int64]float64{0: 1, 99: 1, 100: 2, 1_000_000: workersMost} {
		if got := workers(waiting); got != want {
			t.Errorf("%d jobs wait: %v workers, want %v", waiting, got, want)
		}
	}
}

// The measure moves with the processor time between looks, whoever scrapes how often.
func TestServeWatchLooksEveryTenSeconds(t *testing.T) {
	c := clock.NewManual(time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC))
	var spent, behind time.Duration
	w := newServeWatch(c, []face.Face{{Name: "quiet"}, {Name: "busy", Behind: func() time.Duration { return behind }}})
	w.spent, w.until, w.cores = func() time.Duration { return spent }, 0, 2
	r := prometheus.NewRegistry()
	r.MustRegister(w, engineMeasures{}) // both have a role of plumb_desired
	scrape := func() float64 {
		t.Helper()
		own := prometheus.NewRegistry()
		own.MustRegister(w)
		all, err := own.Gather()
		if err != nil || len(all) != 1 || all[0].GetName() != "plumb_desired" || all[0].Metric[0].Label[0].GetValue() != "serve" {
			t.Fatalf("%v: %v", all, err)
		}
		return all[0].Metric[0].Gauge.GetValue()
	}
	want := func(what string, v float64) {
		t.Helper()
		if got := scrape(); math.Abs(got-v) > 1e-9 {
			t.Errorf("%s: %v, want %v", what, got, v)
		}
	}
	want("at the start", 0)
	c.Advance(10 * time.Second)
	spent = 14 * time.Second
	want("70% of two processors", 1)
	c.Advance(time.Second)
	spent += time.Minute
	want("a second later", 1)
	behind = time.Minute
	want("with a minute's work waiting", 2)
	behind = 0
	c.Advance(9 * time.Second)
	want("more time than there is", 1/0.7)
	c.Advance(time.Minute)
	want("idle again", 0)
	if processorTime() <= 0 {
		t.Error("this process has used no processor time")
	}
}
