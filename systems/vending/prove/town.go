package prove

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"plumb/engines/fleet/slots"
	"plumb/engines/lab"
	"plumb/engines/routing"
	"plumb/systems/vending/internal/demand"
	"plumb/systems/vending/internal/dispatch"
	"plumb/systems/vending/internal/gate"
)

// field is the size of a simulated city.
type field struct {
	machines int
	warm     int // nights before anything is counted
	nights   int
	steps    int // of the search for routes
	seed     uint64
}

const (
	townSlots = 16
	townRoom  = 10 // items a slot holds
	away      = 48 * time.Hour
	leaveAt   = 6 * time.Hour
	// Demand comes between these, evenly: a vehicle that comes at noon finds half
	// of the day's sales made.
	shopOpens, shopCloses = 7 * time.Hour, 22 * time.Hour
)

// town is what happens in a city, whatever the plan: drawn once, the same for all.
type town struct {
	f       field
	city    dispatch.City
	places  []routing.Place
	first   time.Time
	arrives [][]time.Duration // night, machine: when its report is in, after midnight; away: not in this night
	asked   [][][]uint8       // day, machine, slot: what people want to buy
	breaks  [][]bool          // day, machine: its coin slot jams in the course of the day
	quiet   []bool            // nights
}

// newTown draws a city's weeks.
func newTown(f field) *town {
	r := lab.Rand(f.seed, "town")
	t := &town{f: f, first: time.Date(2026, time.March, 2, 0, 0, 0, 0, time.UTC),
		city: dispatch.City{Depot: routing.Place{Lat: 52.5, Lon: 13.4}, Vehicles: 1 + f.machines/45, Technicians: 1 + f.machines/100, Capacity: 2500, Shift: 8 * time.Hour}}
	rates := make([][]float64, f.machines)
	weekdays, badLine := make([]bool, f.machines), make([]bool, f.machines)
	for m := range f.machines {
		t.places = append(t.places, routing.Place{Lat: 52.5 + r.NormFloat64()*0.05, Lon: 13.4 + r.NormFloat64()*0.08})
		weekdays[m], badLine[m] = r.Float64() < 0.5, r.Float64() < 0.02
		busy := math.Exp(0.5 * r.NormFloat64())
		for range townSlots {
			rates[m] = append(rates[m], 1.3*busy*math.Exp(0.6*r.NormFloat64()))
		}
	}
	for n := range f.warm + f.nights {
		day := t.midnight(n).Weekday()
		t.drawNight(r, n, badLine)
		asked, breaks := make([][]uint8, f.machines), make([]bool, f.machines)
		for m := range f.machines {
			factor := 1.0
			if weekend := day == time.Saturday || day == time.Sunday; weekdays[m] && weekend {
				factor = 0.35
			} else if weekdays[m] {
				factor = 1.25
			} else if weekend {
				factor = 1.3
			}
			asked[m] = make([]uint8, townSlots)
			for s, rate := range rates[m] {
				asked[m][s] = uint8(min(60, distuv.Poisson{Lambda: rate * factor, Src: r}.Rand()))
			}
			breaks[m] = r.Float64() < 0.04
		}
		t.asked, t.breaks = append(t.asked, asked), append(t.breaks, breaks)
	}
	return t
}

// drawNight decides when each machine's report is in.
func (t *town) drawNight(r *rand.Rand, n int, badLine []bool) {
	late, by := 0.015, 20*time.Minute
	switch n % 14 {
	case 12:
		late, by = 0.6, 2*time.Hour
	case 2, 9:
		late, by = 0.3, 45*time.Minute
	}
	t.quiet = append(t.quiet, late == 0.015)
	window := slots.Window{Start: t.midnight(n), Length: usualWindow}
	row := make([]time.Duration, t.f.machines)
	for m := range row {
		row[m] = window.At(fmt.Sprint("m-", m)).Sub(window.Start) + time.Duration(30*r.ExpFloat64())*time.Second
		hit := r.Float64() < late || badLine[m] && r.Float64() < 0.5
		delay := time.Duration(r.ExpFloat64() * float64(by))
		silent := r.Float64() < 0.003
		if hit {
			row[m] += delay
		}
		if silent || row[m] > 12*time.Hour {
			row[m] = away
		}
	}
	t.arrives = append(t.arrives, row)
}

func (t *town) midnight(n int) time.Time { return t.first.AddDate(0, 0, n) }

// unit is a machine in one design's course of things.
type unit struct {
	stock   [townSlots]int64
	jammed  bool
	state   demand.Machine // what the planner has learnt
	told    bool           // of the jam, in the newest report that the planner has
	visit   demand.Refill  // the last that was planned
	pending *sent          // reported, and in only after the plan
}

// sent is a report.
type sent struct {
	at     time.Time
	stock  []demand.Stock
	jammed bool
}

// course is the town under one design.
type course struct {
	*town
	units []unit
	sum   *tally
}

func (t *town) open() *course {
	c := &course{town: t, units: make([]unit, t.f.machines), sum: &tally{}}
	for m := range c.units {
		for s := range townSlots {
			c.units[m].stock[s] = townRoom
		}
	}
	return c
}

// night plays one night and the day after it.
func (c *course) night(ctx context.Context, n int, d batch) error {
	midnight, counted := c.midnight(n), n >= c.f.warm
	at := c.planAt(n, d)
	stale := make([]bool, len(c.units))
	for m := range c.units {
		u := &c.units[m]
		if u.pending != nil { // of the night before: it came after that plan
			u.take(*u.pending)
			u.pending = nil
		}
		report := u.report(midnight.Add(min(c.arrives[n][m], usualWindow)))
		switch {
		case c.arrives[n][m] <= at:
			u.take(report)
		case c.arrives[n][m] < away:
			u.pending, stale[m] = &report, true
		default:
			stale[m] = true
		}
	}
	p, err := dispatch.Make(ctx, c.city, c.expect(midnight, stale, d), dispatch.Budget{Steps: c.f.steps, Seed: uint64(n)})
	if err != nil {
		return err
	}
	if counted {
		c.count(n, at, stale, p)
	}
	c.day(n, p, stale, counted)
	return nil
}

// planAt is when the batch runs, after midnight: by the room's own gate, asked
// every 15 s as the room does.
func (c *course) planAt(n int, d batch) time.Duration {
	if d.fixed > 0 {
		return d.fixed
	}
	in := slices.Clone(c.arrives[n])
	slices.Sort(in)
	for at := time.Duration(0); ; at += 15 * time.Second {
		reported, _ := slices.BinarySearch(in, at)
		if usualGate.Decide(gate.State{Since: at, Expected: len(in), Reported: reported}).Go {
			return at
		}
	}
}

func (u *unit) report(at time.Time) sent {
	r := sent{at: at, jammed: u.jammed}
	for s, left := range u.stock {
		r.stock = append(r.stock, demand.Stock{Slot: fmt.Sprint(s), SKU: "x", Remaining: left, Capacity: townRoom})
	}
	return r
}

func (u *unit) take(r sent) {
	u.state.Fold(r.at, r.stock, time.UTC, u.visit)
	u.told = r.jammed
}

// expect is what the planner thinks of each machine.
func (c *course) expect(midnight time.Time, stale []bool, d batch) []dispatch.Machine {
	leave := midnight.Add(leaveAt)
	list := make([]dispatch.Machine, len(c.units))
	for m := range c.units {
		u := &c.units[m]
		one := dispatch.Machine{ID: fmt.Sprint("m-", m), Place: &c.places[m], Stale: stale[m]}
		if u.state.At.IsZero() {
			list[m] = one
			continue
		}
		then := u.state.Forecast(leave, leave.Add(48*time.Hour), time.UTC)
		stock := make([]int64, len(u.state.Slots))
		if d.forecast {
			stock = u.state.Stock(leave, time.UTC, u.visit)
		} else {
			for s := range stock {
				stock[s] = u.state.Slots[s].Remaining
			}
		}
		for s, slot := range u.state.Slots {
			one.Slots = append(one.Slots, dispatch.Slot{Slot: slot.Slot, SKU: slot.SKU, Stock: stock[s], Capacity: slot.Capacity, Demand: then[s]})
		}
		if u.told {
			one.Faults = []dispatch.Fault{{Code: "coin_jam", Severity: "high"}}
		}
		list[m] = one
	}
	return list
}

// count notes how the plan was made.
func (c *course) count(n int, at time.Duration, stale []bool, p dispatch.Plan) {
	t := c.sum
	t.nights++
	missing := 0.0
	for m := range c.units {
		if stale[m] {
			missing++
		}
		if c.units[m].jammed {
			t.faults++
			if !c.units[m].told {
				t.missed++
			}
		}
	}
	t.machines += float64(len(c.units))
	t.stale += missing
	t.worst = max(t.worst, missing/float64(len(c.units)))
	t.ready = append(t.ready, at.Minutes())
	if c.quiet[n] {
		t.quiet = append(t.quiet, at.Minutes())
	}
	for _, r := range p.Routes {
		t.visits += float64(len(r.Visits))
	}
}

// stop is a visit of the day.
type stop struct {
	share float64 // of the day's demand that is over when it comes
	load  []dispatch.Load
	mends bool
}

// day lets people buy and vehicles come.
func (c *course) day(n int, p dispatch.Plan, stale []bool, counted bool) {
	leave := c.midnight(n).Add(leaveAt)
	stops := make([][]stop, len(c.units))
	for _, r := range p.Routes {
		for _, v := range r.Visits {
			at := leaveAt + v.Arrive
			over := float64(at-shopOpens) / float64(shopCloses-shopOpens)
			stops[v.Machine] = append(stops[v.Machine], stop{max(0, min(1, over)), v.Load, r.Kind == dispatch.Repair})
			if len(v.Load) > 0 {
				items := map[string]int64{}
				for _, l := range v.Load {
					items[l.Slot] = l.Items
				}
				c.units[v.Machine].visit = demand.Refill{At: leave.Add(v.Arrive), Items: items}
			}
		}
	}
	for m := range c.units {
		slices.SortFunc(stops[m], func(a, b stop) int {
			switch {
			case a.share < b.share:
				return -1
			case a.share > b.share:
				return 1
			}
			return 0
		})
		c.live(n, m, stops[m], stale[m], counted)
	}
}

// live is one machine's day.
func (c *course) live(n, m int, stops []stop, stale, counted bool) {
	u, t := &c.units[m], c.sum
	wanted, lost := 0.0, 0.0
	left := c.asked[n][m]
	sold := make([]float64, townSlots) // of the day's demand so far
	sell := func(until float64) {
		for s := range townSlots {
			now := math.Floor(float64(left[s])*until + 0.5)
			ask := now - sold[s]
			sold[s] = now
			buy := math.Min(ask, float64(u.stock[s]))
			if u.jammed { // every other one has the right money, or a card
				buy = math.Min(buy, math.Ceil(ask/2))
			}
			u.stock[s] -= int64(buy)
			wanted, lost = wanted+ask, lost+ask-buy
		}
	}
	for _, v := range stops {
		sell(v.share)
		if v.mends {
			u.jammed = false
		}
		for _, l := range v.load {
			var s int
			if _, err := fmt.Sscan(l.Slot, &s); err != nil {
				panic(err) // our own numbers
			}
			fits := min(l.Items, townRoom-u.stock[s])
			u.stock[s] += fits
			if counted {
				t.loaded, t.carried = t.loaded+float64(l.Items), t.carried+float64(l.Items-fits)
			}
		}
	}
	sell(1)
	u.jammed = u.jammed || c.breaks[n][m]
	if !counted {
		return
	}
	t.wanted, t.lost = t.wanted+wanted, t.lost+lost
	if stale {
		t.wantedStale, t.lostStale = t.wantedStale+wanted, t.lostStale+lost
	}
	for s := range townSlots {
		t.slots++
		if u.stock[s] == 0 {
			t.empty++
		}
	}
}
