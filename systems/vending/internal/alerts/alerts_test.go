package alerts_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"plumb/systems/vending/internal/alerts"
)

func ExampleDiff() {
	open := []alerts.Open{{ID: "1", Kind: alerts.Late, Subject: "m-1", What: "m-1 is late"}, {ID: "2", Kind: alerts.Late, Subject: "m-2", What: "m-2 is late"}}
	raise, change, end := alerts.Diff(open, []alerts.Condition{{Kind: alerts.Late, Subject: "m-2", What: "m-2 is late"}, {Kind: alerts.Late, Subject: "m-3", What: "m-3 is late"}})
	fmt.Println(len(raise), raise[0].Subject, change, end)
	// Output: 1 m-3 [] [1]
}

func machines(n int) (m alerts.Many) {
	m.All = n
	for i := range min(n, alerts.Most+1) {
		m.First = append(m.First, alerts.Machine{ID: fmt.Sprintf("m-%03d", i), Since: time.Date(2026, 3, 4, 23, 30, 0, 0, time.UTC)})
	}
	return m
}

func TestConditionsOfACity(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	good := alerts.City{Name: "Berlin", Zone: berlin, Share: 0.99, Past: true, Expected: 100, Reported: 99}
	if got := alerts.OfCity(good); len(got) != 0 {
		t.Errorf("a good night: %+v", got)
	}
	for name, c := range map[string]struct {
		change func(*alerts.City)
		want   []alerts.Condition
	}{
		"one is late": {func(c *alerts.City) { c.Late = machines(1) },
			[]alerts.Condition{{alerts.Late, "m-000", "Berlin", alerts.Medium, "m-000 in Berlin was due on 5 March at 00:30"}}},
		"a grave fault": {func(c *alerts.City) { c.Grave = machines(1) },
			[]alerts.Condition{{alerts.Fault, "m-000", "Berlin", alerts.High, "m-000 in Berlin has a grave fault"}}},
		"half sold out": {func(c *alerts.City) { c.Bare = machines(1) },
			[]alerts.Condition{{alerts.Bare, "m-000", "Berlin", alerts.Medium, "m-000 in Berlin is half sold out"}}},
		"too few at the deadline": {func(c *alerts.City) { c.Reported = 98 },
			[]alerts.Condition{{alerts.LowShare, "Berlin", "Berlin", alerts.High, "Berlin: 98 of 100 machines had reported after the deadline; 99% are wanted"}}},
		"one of a small city is away": {func(c *alerts.City) { c.Expected, c.Reported = 40, 39 }, nil},
		"two of it are": {func(c *alerts.City) { c.Expected, c.Reported = 40, 38 },
			[]alerts.Condition{{alerts.LowShare, "Berlin", "Berlin", alerts.High, "Berlin: 38 of 40 machines had reported after the deadline; 99% are wanted"}}},
		"too few before it":        {func(c *alerts.City) { c.Reported, c.Past = 0, false }, nil},
		"a city without machines":  {func(c *alerts.City) { c.Expected, c.Reported = 0, 0 }, nil},
		"exactly as many as those": {func(c *alerts.City) { c.Late = alerts.Many{} }, nil},
		"a plan failed": {func(c *alerts.City) { c.Plan, c.Date = "no road", "2026-03-04" },
			[]alerts.Condition{{alerts.Plan, "Berlin", "Berlin", alerts.High, "the plan of Berlin for 2026-03-04 failed: no road"}}},
	} {
		city := good
		c.change(&city)
		if got := alerts.OfCity(city); !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	// A city without a zone is told in UTC, and texts do not fail.
	if got := alerts.OfCity(alerts.City{Name: "X", Late: machines(1)}); got[0].What != "m-000 in X was due on 4 March at 23:30" {
		t.Error(got)
	}
}

func TestManyMachinesGetOneAlertMore(t *testing.T) {
	for _, n := range []int{alerts.Most, alerts.Most + 1, 5000} {
		got := alerts.OfCity(alerts.City{Name: "Berlin", Late: machines(n)})
		want := min(n, alerts.Most)
		if n > alerts.Most {
			want++
			if last := got[len(got)-1]; last.Kind != alerts.LateMany || last.What != fmt.Sprintf("%d machines in Berlin are late: 20 have an alert of their own", n) {
				t.Errorf("%+v", last)
			}
		}
		if len(got) != want {
			t.Errorf("%d late: %d alerts", n, len(got))
		}
	}
}

// After what Diff says is done, there is one open alert for each condition and no
// other, and it says nothing more.
func TestDiffSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) (list []alerts.Condition) {
			for range rapid.IntRange(0, 12).Draw(t, name) {
				kind := rapid.SampledFrom(alerts.Kinds()).Draw(t, "kind")
				list = append(list, alerts.Condition{Kind: kind, Subject: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "subject"), What: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "what")})
			}
			return list
		}
		var open []alerts.Open
		next := 0
		apply := func(now []alerts.Condition) {
			raise, change, end := alerts.Diff(open, now)
			open = slices.DeleteFunc(open, func(o alerts.Open) bool { return slices.Contains(end, o.ID) })
			for i := range open {
				for _, c := range change {
					if c.ID == open[i].ID {
						open[i].What = c.What
					}
				}
			}
			for _, c := range raise {
				next++
				open = append(open, alerts.Open{ID: fmt.Sprint(next), Kind: c.Kind, Subject: c.Subject, What: c.What})
			}
		}
		apply(draw("before"))
		now := draw("now")
		apply(now)
		raise, change, end := alerts.Diff(open, now)
		if len(raise)+len(change)+len(end) != 0 {
			t.Errorf("not settled: %v %v %v", raise, change, end)
		}
		for _, o := range open {
			if !slices.ContainsFunc(now, func(c alerts.Condition) bool { return c.Kind == o.Kind && c.Subject == o.Subject }) {
				t.Errorf("%+v has no cause", o)
			}
		}
	})
}
