package dispatch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"plumb/engines/routing"
)

var depot = routing.Place{Lat: 51.19, Lon: 8.53}

// town returns n machines about the depot, within so many degrees, each half empty
// with 30 items to bring.
func town(n int, within float64) (list []Machine) {
	r := rand.New(rand.NewPCG(12, uint64(n)))
	for i := range n {
		m := Machine{ID: fmt.Sprint("m-", i), Place: &routing.Place{Lat: depot.Lat + (r.Float64()-0.5)*within, Lon: depot.Lon + (r.Float64()-0.5)*within}}
		for s := range 6 {
			m.Slots = append(m.Slots, Slot{Slot: fmt.Sprint("A", s), SKU: "cola", Stock: 5, Capacity: 10, Demand: 6})
		}
		list = append(list, m)
	}
	return list
}

func planned(t *testing.T, c City, machines []Machine) Plan {
	t.Helper()
	c.Depot = depot
	p, err := Make(context.Background(), c, machines, Budget{Steps: 3000, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	check(t, c, machines, p)
	return p
}

// check holds a plan to the bounds of its city.
func check(t *testing.T, c City, machines []Machine, p Plan) {
	t.Helper()
	seen, metres := map[string]bool{}, 0.0
	for _, r := range p.Routes {
		load := int64(0)
		last := time.Duration(0)
		for _, v := range r.Visits {
			key := r.Kind + machines[v.Machine].ID
			if seen[key] || v.Arrive < last {
				t.Errorf("vehicle %d comes to %s at %s", r.Vehicle, key, v.Arrive)
			}
			seen[key], last = true, v.Arrive+v.Service
			load += v.items()
		}
		if r.Kind == Restock && load > c.Capacity || r.Back < last || r.Back > c.Shift {
			t.Errorf("%s %d carries %d and is back at %s", r.Kind, r.Vehicle, load, r.Back)
		}
		metres += r.Metres
	}
	for _, v := range p.LeftOut {
		if len(v.Why) == 0 {
			t.Errorf("%s is left out for no reason", machines[v.Machine].ID)
		}
	}
	if len(seen)+len(p.LeftOut) != p.Candidates || metres < p.Metres-1 || metres > p.Metres+1 {
		t.Errorf("%d visits and %d left out of %d; %f metres are %f", len(seen), len(p.LeftOut), p.Candidates, metres, p.Metres)
	}
}

// reasons counts the last reason of each visit that is left out.
func reasons(p Plan) map[string]int {
	n := map[string]int{}
	for _, v := range p.LeftOut {
		n[v.Why[len(v.Why)-1]]++
	}
	return n
}

// What is left out says which bound keeps it out: the load, the shift, or neither.
func TestWhyAVisitIsLeftOut(t *testing.T) {
	for name, test := range map[string]struct {
		city     City
		machines []Machine
		fault    string
		want     string
	}{
		"full":           {city: City{Vehicles: 2, Capacity: 300, Shift: 150 * time.Minute}, machines: town(40, 0.01), want: "no vehicle has room left"},
		"no time":        {city: City{Vehicles: 2, Capacity: 3000, Shift: 150 * time.Minute}, machines: town(40, 0.01), want: "no vehicle has the time"},
		"too far":        {city: City{Vehicles: 2, Capacity: 300, Shift: 20 * time.Minute}, machines: town(4, 3), want: "a shift is too short to go there"},
		"nobody":         {city: City{Capacity: 300, Shift: time.Hour}, machines: town(4, 0.01), want: "the city has no vehicles"},
		"not worth it":   {city: City{Technicians: 2, Vehicles: 2, Capacity: 300, Shift: 24 * time.Hour}, machines: faulty(town(3, 3), "coin_jam", "low"), want: "the way is longer than it is worth"},
		"no technicians": {city: City{Vehicles: 2, Capacity: 300, Shift: time.Hour}, machines: faulty(town(3, 0.01), "coin_jam", "high"), want: "the city has no technicians"},
	} {
		t.Run(name, func(t *testing.T) {
			p := planned(t, test.city, test.machines)
			if got := reasons(p); len(got) != 1 || got[test.want] == 0 {
				t.Errorf("%v, want %q", got, test.want)
			}
		})
	}
	// A machine that nobody knows the place of is in nobody's way.
	list := town(2, 0.01)
	list[1].Place = nil
	if got := reasons(planned(t, City{Vehicles: 1, Capacity: 300, Shift: time.Hour}, list)); got["nobody knows where it stands"] != 1 {
		t.Error(got)
	}
}

// faulty gives full machines a fault.
func faulty(list []Machine, code, severity string) []Machine {
	for i := range list {
		list[i].Slots, list[i].Faults = nil, []Fault{{Code: code, Severity: severity}}
	}
	return list
}

// One vehicle is full and has the time, another has room and no time.
func TestNeitherRoomNorTimeAlone(t *testing.T) {
	places := []routing.Place{depot, {Lat: depot.Lat + 0.01, Lon: depot.Lon}, {Lat: depot.Lat - 0.2, Lon: depot.Lon}, {Lat: depot.Lat, Lon: depot.Lon + 0.01}}
	w := tour{kind: Restock, vehicles: 2, p: routing.Problem{Cost: routing.Metres(places, detour), Capacity: 10, Limit: 2 * 3600,
		Stops: []routing.Stop{{}, {Demand: 8, Service: 600}, {Demand: 1, Service: 600}, {Demand: 3, Service: 600}}}}
	w.p.Time = w.p.Cost.Scaled(1 / speed)
	w.days = make([]day, 2)
	w.drive(&w.days[0], 0, []int{1})
	w.drive(&w.days[1], 0, []int{2})
	w.p.Limit = w.days[1].back + 60
	if w.p.Limit < w.days[0].back+3600 {
		t.Fatalf("the test is void: %+v", w.days)
	}
	if why := w.why(3); !strings.Contains(why, "both") {
		t.Error(why)
	}
}
