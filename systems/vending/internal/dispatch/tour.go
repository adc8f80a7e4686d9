package dispatch

import (
	"context"
	"math"
	"time"

	"plumb/base/errs"
	"plumb/engines/routing"
)

// tour is the work on one district: its visits as a problem of the routing engine,
// in which stop i+1 is visit i, and the vehicles' days as they come to be.
type tour struct {
	kind     string
	visits   []Visit
	p        routing.Problem
	days     []day // of the vehicles that drive
	vehicles int
}

// day is what one vehicle does. Times are seconds since it left first.
type day struct {
	trips []trip
	back  float64
}

// trip is a way from the depot and back.
type trip struct {
	leave float64
	stops []int
	load  int64
}

// plan plans the routes of one district.
func (part part) plan(ctx context.Context, c City, kind string, machines []Machine, b Budget) (routes []Route, left []Visit, err error) {
	t := tour{kind: kind, vehicles: part.vehicles}
	places := []routing.Place{c.Depot}
	t.p = routing.Problem{Stops: []routing.Stop{{}}, Vehicles: t.vehicles, Limit: c.Shift.Seconds()}
	if kind == Restock {
		t.p.Capacity = c.Capacity
	}
	for _, v := range part.visits {
		if len(places) == routing.MaxStops {
			v.Why = append(v.Why, "too many visits in its district")
			left = append(left, v)
			continue
		}
		stop := routing.Stop{Service: v.Service.Seconds(), Penalty: v.Metres, Demand: v.items()}
		places, t.p.Stops, t.visits = append(places, *machines[v.Machine].Place), append(t.p.Stops, stop), append(t.visits, v)
	}
	t.p.Cost = routing.Metres(places, detour)
	t.p.Time = t.p.Cost.Scaled(1 / speed)
	first := b
	if kind == Restock {
		first.CPU = b.CPU - b.CPU/4 // the rest is for further trips
	}
	s, err := solve(ctx, t.p, first)
	if err != nil {
		return nil, nil, err
	}
	for _, stops := range s.Routes {
		t.days = append(t.days, day{})
		t.drive(&t.days[len(t.days)-1], 0, stops)
	}
	further := b
	further.CPU -= first.CPU
	out, err := t.again(ctx, s.Dropped, further)
	if err != nil {
		return nil, nil, err
	}
	for _, i := range out {
		v := t.visits[i-1]
		v.Why = append(v.Why, t.why(i))
		left = append(left, v)
	}
	return t.routes(), left, nil
}

// items counts what a visit brings.
func (v Visit) items() (n int64) {
	for _, l := range v.Load {
		n += l.Items
	}
	return n
}

// solve searches for routes, and drives them anew before anybody else does.
func solve(ctx context.Context, p routing.Problem, b Budget) (routing.Solution, error) {
	s, err := routing.Solve(ctx, p, routing.Options{CPU: b.CPU, Iterations: b.Steps, Seed: b.Seed})
	if err != nil {
		return s, err
	}
	if err := p.Check(s); err != nil {
		return s, errs.Wrap(errs.Internal, err, "the routes break a rule")
	}
	return s, nil
}

// drive adds a trip to a vehicle's day.
func (t *tour) drive(d *day, leave float64, stops []int) {
	one := trip{leave: leave, stops: stops}
	for _, i := range stops {
		one.load += t.p.Stops[i].Demand
	}
	_, took := t.p.Times(stops)
	d.trips, d.back = append(d.trips, one), leave+took
}

// routes writes the vehicles' days.
func (t *tour) routes() (list []Route) {
	for k, d := range t.days {
		for n, one := range d.trips {
			begin, took := t.p.Times(one.stops)
			r := Route{Kind: t.kind, Vehicle: k + 1, Trip: n + 1, Trips: len(d.trips), Metres: t.p.Length(one.stops), Leave: seconds(one.leave), Back: seconds(one.leave + took)}
			for i, stop := range one.stops {
				v := t.visits[stop-1]
				v.Arrive = seconds(one.leave + begin[i])
				r.Visits = append(r.Visits, v)
			}
			list = append(list, r)
		}
	}
	return list
}

// why says what keeps stop i out of the days as they are: it is tried at every place
// of every trip.
func (t *tour) why(i int) string {
	stop := t.p.Stops[i]
	if t.alone(i) > t.p.Limit {
		return "a shift is too short to go there"
	}
	room, time := false, false
	both := len(t.days) < t.vehicles
	for _, d := range t.days {
		both = both || t.alone(i) <= t.spare(&d)
		for _, one := range d.trips {
			holds := t.p.Capacity == 0 || one.load+stop.Demand <= t.p.Capacity
			inTime := d.back+t.longer(one.stops, i) <= t.p.Limit
			room, time, both = room || holds, time || inTime, both || holds && inTime
		}
	}
	switch {
	case both:
		return "the way is longer than it is worth"
	case room && time:
		return "no vehicle has both room and time left"
	case time:
		return "no vehicle has room left"
	}
	return "no vehicle has the time"
}

// longer returns by how many seconds stop i makes a trip longer, at its best place.
func (t *tour) longer(stops []int, i int) float64 {
	m, before, least := t.p.Time, 0, math.Inf(1)
	for k := range len(stops) + 1 {
		next := 0
		if k < len(stops) {
			next = stops[k]
		}
		least = min(least, m.At(before, i)+m.At(i, next)-m.At(before, next))
		before = next
	}
	return least + t.p.Stops[i].Service
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(time.Second)
}
