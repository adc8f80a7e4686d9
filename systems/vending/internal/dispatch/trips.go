package dispatch

import (
	"cmp"
	"context"
	"slices"
	"time"

	"plumb/engines/routing"
)

const (
	mostTrips = 4                // of a vehicle on a day
	loading   = 15 * time.Minute // at the depot, before a further trip
)

// again lets vehicles load once more that are back with time left, and returns the
// stops that are left out even then. Round by round, what is left is planned for
// these vehicles as if each had the time of the one that is back first; a route goes
// to a vehicle that has the time for it, the longest to the one that is back first,
// and what went to none is left for the next round.
func (t *tour) again(ctx context.Context, left []int, b Budget) ([]int, error) {
	for {
		p, stops, free := t.rest(left)
		if len(stops) == 0 {
			return left, nil
		}
		round := b
		round.CPU, round.Seed = max(b.CPU/2, min(b.CPU, time.Millisecond)), b.Seed+1
		if b.Steps > 0 {
			round.Steps = 1 + b.Steps*len(stops)/len(t.visits)
		}
		b.CPU, b.Seed = max(b.CPU-round.CPU, min(b.CPU, time.Millisecond)), round.Seed
		s, err := solve(ctx, p, round)
		if err != nil {
			return nil, err
		}
		if len(s.Routes) == 0 {
			return left, nil
		}
		for _, route := range s.Routes {
			for i := range route {
				route[i] = stops[route[i]-1]
			}
		}
		took := func(route []int) float64 { _, back := t.p.Times(route); return back }
		slices.SortStableFunc(s.Routes, func(a, b []int) int { return cmp.Compare(took(b), took(a)) })
		gone := map[int]bool{}
		for k, route := range s.Routes {
			if k > 0 && (len(free) == 0 || took(route) > t.spare(free[0])) {
				continue
			}
			t.drive(free[0], free[0].back+loading.Seconds(), route)
			free = free[1:]
			for _, i := range route {
				gone[i] = true
			}
		}
		left = slices.DeleteFunc(left, func(i int) bool { return gone[i] })
	}
}

// spare returns the seconds that a vehicle has for another trip: negative for none.
func (t *tour) spare(d *day) float64 {
	if t.kind != Restock || len(d.trips) == mostTrips {
		return -1
	}
	return t.p.Limit - d.back - loading.Seconds()
}

// rest makes a problem of those of the stops that another trip can reach; its stop
// i+1 is stops[i], and it is for the vehicles free, the one with most time first.
func (t *tour) rest(left []int) (p routing.Problem, stops []int, free []*day) {
	nearest := t.p.Limit
	for _, i := range left {
		nearest = min(nearest, t.alone(i))
	}
	for k := range t.days {
		if d := &t.days[k]; t.spare(d) >= nearest {
			free = append(free, d)
		}
	}
	if len(free) == 0 {
		return p, nil, nil
	}
	slices.SortStableFunc(free, func(a, b *day) int { return cmp.Compare(t.spare(b), t.spare(a)) })
	p = routing.Problem{Stops: t.p.Stops[:1:1], Vehicles: len(free), Capacity: t.p.Capacity, Limit: t.spare(free[0])}
	at := []int{0}
	for _, i := range left {
		if t.alone(i) <= p.Limit {
			stops, at, p.Stops = append(stops, i), append(at, i), append(p.Stops, t.p.Stops[i])
		}
	}
	p.Cost = routing.FromFunc(len(at), func(i, j int) float64 { return t.p.Cost.At(at[i], at[j]) })
	p.Time = p.Cost.Scaled(1 / speed)
	return p, stops, free
}

// alone returns the seconds of a trip to stop i only.
func (t *tour) alone(i int) float64 {
	return t.p.Time.At(0, i) + t.p.Stops[i].Service + t.p.Time.At(i, 0)
}
