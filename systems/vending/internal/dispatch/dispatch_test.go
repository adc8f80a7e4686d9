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
	for k, r := range p.Routes {
		load, last := int64(0), r.Leave
		if r.Trip == 1 && (r.Leave != 0 || k > 0 && p.Routes[k-1].Trip != p.Routes[k-1].Trips) || r.Trip > r.Trips || r.Trips > mostTrips {
			t.Errorf("vehicle %d, trip %d of %d, leaves at %s", r.Vehicle, r.Trip, r.Trips, r.Leave)
		}
		if before := p.Routes[max(k-1, 0)]; r.Trip > 1 && (r.Kind != Restock || before.Vehicle != r.Vehicle || before.Trip != r.Trip-1 || r.Leave != before.Back+loading) {
			t.Errorf("vehicle %d leaves at %s for trip %d, after %+v", r.Vehicle, r.Leave, r.Trip, before)
		}
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

// Two vehicles of 300 items and seven hours, 40 machines that want 30 items each: one
// load is 20 visits, and another fits into the shift.
func TestAVehicleLoadsAgain(t *testing.T) {
	c := City{Vehicles: 2, Capacity: 300, Shift: 7 * time.Hour}
	p := planned(t, c, town(40, 0.08))
	if len(p.Routes) != 4 || len(p.LeftOut) != 0 {
		t.Errorf("%d trips, left out: %v", len(p.Routes), reasons(p))
	}
	// With more than they can do, no time for another trip remains.
	p = planned(t, c, town(90, 0.08))
	if n := reasons(p); len(p.LeftOut) == 0 || n["no vehicle has the time"]+n["no vehicle has room left"]+n["no vehicle has both room and time left"] != len(p.LeftOut) {
		t.Errorf("%v", n)
	}
	for k, r := range p.Routes {
		if r.Trip == r.Trips && c.Shift-r.Back > loading+30*time.Minute && r.Trips < mostTrips {
			t.Errorf("vehicle %d stands still from %s on (route %d)", r.Vehicle, r.Back, k)
		}
	}
	// Where the load holds all of it, or no time remains, there is one trip.
	for _, c := range []City{{Vehicles: 2, Capacity: 3000, Shift: 12 * time.Hour}, {Vehicles: 2, Capacity: 300, Shift: 2 * time.Hour}} {
		for _, r := range planned(t, c, town(40, 0.08)).Routes {
			if r.Trips != 1 {
				t.Errorf("%+v", r)
			}
		}
	}
}

// Whatever the city, trips keep its bounds: planned checks them.
func TestTripsKeepEveryBound(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	trips := 0
	for range 25 {
		machines := town(1+r.IntN(60), 0.02+r.Float64()/4)
		for i := range machines {
			if r.IntN(8) == 0 {
				machines[i].Faults = []Fault{{Code: "coin_jam", Severity: "medium"}}
			}
			machines[i].Slots = machines[i].Slots[:1+r.IntN(6)]
		}
		p := planned(t, City{Vehicles: r.IntN(5), Technicians: r.IntN(3), Capacity: int64(1 + r.IntN(200)), Shift: time.Duration(30+r.IntN(600)) * time.Minute}, machines)
		for _, r := range p.Routes {
			trips = max(trips, r.Trip)
		}
	}
	if trips != mostTrips {
		t.Errorf("the most trips were %d: the test is void", trips)
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
		"full":           {city: City{Vehicles: 2, Capacity: 300, Shift: 100 * time.Minute}, machines: town(40, 0.01), want: "no vehicle has room left"},
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

// One vehicle is full and has time for a stop, not for a trip; another has room and
// no time.
func TestNeitherRoomNorTimeAlone(t *testing.T) {
	places := []routing.Place{depot, {Lat: depot.Lat + 0.01, Lon: depot.Lon}, {Lat: depot.Lat - 0.2, Lon: depot.Lon}, {Lat: depot.Lat, Lon: depot.Lon + 0.01}}
	w := tour{kind: Restock, vehicles: 2, p: routing.Problem{Cost: routing.Metres(places, detour), Capacity: 10, Limit: 2 * 3600,
		Stops: []routing.Stop{{}, {Demand: 8, Service: 600}, {Demand: 1, Service: 600}, {Demand: 3, Service: 600}}}}
	w.p.Time = w.p.Cost.Scaled(1 / speed)
	w.days = make([]day, 2)
	w.drive(&w.days[1], 0, []int{2})
	w.p.Limit = w.days[1].back + 60
	w.p.Stops[1].Service = w.p.Limit - 1200 - 2*w.p.Time.At(0, 1)
	w.drive(&w.days[0], 0, []int{1})
	if why := w.why(3); !strings.Contains(why, "both") {
		t.Error(why)
	}
}
