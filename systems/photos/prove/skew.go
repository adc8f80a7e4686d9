package prove

import (
	"context"
	"fmt"
	"time"

	"plumb/base/units"
	"plumb/engines/lab"
	"plumb/engines/lab/load"
	"plumb/engines/placement"
	"plumb/systems/photos/prove/names"
)

// Skew lets a second country join, month by month.
func Skew() lab.Experiment {
	return lab.Experiment{
		System: "photos", Name: "skew", Title: "when a country joins",
		Question: "A service has grown in one country; then another comes, with other letters and other hours, until most users are there. How uneven do 26 servers get, and what does it cost to keep them even?",
		Metrics: []lab.Metric{
			{Name: "start_bytes", Text: "bytes before: fullest over mean", Better: "less"},
			{Name: "end_bytes", Text: "bytes at the end", Better: "less"},
			{Name: "worst_bytes", Text: "bytes, the worst month", Better: "less"},
			{Name: "worst_requests", Text: "requests, the worst month", Better: "less"},
			{Name: "late_requests", Text: "requests, the worst of the last year", Better: "less"},
			{Name: "hour", Text: "requests of the last month, the worst hour of the day: busiest over mean", Better: "less"},
			{Name: "day", Text: "requests of the last month, over the whole day", Better: "less"},
			{Name: "needed", Text: "capacity a server needs for the busiest hour, over the mean load", Better: "less"},
			{Name: "month_bytes", Text: "bytes: fullest over mean", Better: "less"},
			{Name: "month_requests", Text: "requests: fullest over mean", Better: "less"},
			{Name: "moved_pct", Unit: "%", Text: "bytes moved a month, of those stored", Better: "less"},
			{Name: "moved_times", Text: "bytes moved in all, over those that came", Better: "less"},
		},
		Claims: []lab.Claim{
			{ID: "letters", Text: "a letter a server is uneven before, and worse afterwards", Design: "naive", Metric: "end_bytes", Op: ">=", Value: new(3.0)},
			{ID: "cut-before", Text: "cuts made for the first country's names are even there", Design: "textbook", Metric: "start_bytes", Op: "<=", Value: new(1.2)},
			{ID: "cut-after", Text: "and not when the other has come", Design: "textbook", Metric: "end_bytes", Op: ">=", Value: new(2.0)},
			{ID: "hash-bytes", Text: "a hash does not mind the letters", Design: "hash mod n", Metric: "end_bytes", Op: "<=", Value: new(1.2)},
			{ID: "ranges-hour", Text: "ranges that are moved every month are even over the day, and not at each hour", Design: "ranges, each month", Metric: "hour", Op: ">=", Value: new(1.3)},
			{ID: "built-bytes", Text: "slots that are evened every month keep bytes even, also just before", Design: "built", Metric: "worst_bytes", Op: "<=", Value: new(1.15)},
			{ID: "built-day", Text: "and requests over the day, once they are measured", Design: "built", Metric: "day", Op: "<=", Value: new(bound)},
			{ID: "built-hour", Text: "though not at each hour: the day's sum does not know when a heavy user's viewers are awake", Design: "built", Metric: "hour", Op: ">", Value: new(1.15)},
			{ID: "thirds-hour", Text: "evened by the requests of each third of the day, slots are within three tenths at every hour", Design: "hash, by thirds of a day", Metric: "hour", Op: "<=", Value: new(1.3)},
			{ID: "built-cost", Text: "for less than a hundredth of the stored bytes a month", Design: "built", Metric: "moved_pct", Op: "<=", Value: new(1.0)},
			{ID: "built-ranges", Text: "and for less than ranges, three quarters at most", Design: "built", Metric: "moved_pct", Op: "<", Than: &lab.Than{Design: "ranges, each month", Metric: "moved_pct", Times: 0.75}},
		},
		Picture: []string{"end_bytes", "hour", "moved_pct"},
		Run: func(ctx context.Context, b *lab.Bench) error {
			if b.Full {
				return skew{80_000, keepers}.run(ctx, b)
			}
			return skew{18_000, keepers}.run(ctx, b)
		},
	}
}

// The story of the experiment.
const (
	firstCountry, secondCountry = "US", "KR"
	before                      = 12 // months of the first country alone
	after                       = 24 // months in which the second one joins
)

// joining is a crowd that grows. load has what each user puts in and is asked for in a
// month; users come in the order of their months.
type joining struct {
	crowd
	month []int // in which each came
	upto  []int // users there by the end of each month
}

// newJoining lets the first country come evenly over its months, and grow on at the same
// pace; the second one comes at three times it.
func newJoining(seed uint64, first int) (*joining, error) {
	a, err := newCrowd(seed, first+first*after/before, only(firstCountry), requestsTail)
	if err != nil {
		return nil, err
	}
	b, err := newCrowd(seed+1, 3*first*after/before, only(secondCountry), requestsTail)
	if err != nil {
		return nil, err
	}
	j, taken := &joining{}, map[string]bool{}
	monthly := first / before
	for m := range before + after {
		j.take(a, m*monthly, (m+1)*monthly, m, taken)
		if m >= before {
			j.take(b, 3*(m-before)*monthly, 3*(m-before+1)*monthly, m, taken)
		}
		j.upto = append(j.upto, len(j.name))
	}
	j.capRequests(1.0 / (2 * letters))
	return j, nil
}

func (j *joining) take(c *crowd, from, to, month int, taken map[string]bool) {
	for i := from; i < to; i++ {
		name := c.name[i]
		for taken[name] { // by somebody of the other country
			name += "1"
		}
		taken[name] = true
		j.name, j.country, j.load, j.month = append(j.name, name), append(j.country, c.country[i]), append(j.load, c.load[i]), append(j.month, month)
	}
}

// at is the crowd at the end of a month: what was put in since each came, and what is
// asked for in that month.
func (j *joining) at(month int) *crowd {
	n := j.upto[month]
	c := &crowd{name: j.name[:n], country: j.country[:n], load: make([]placement.Load, n)}
	for i := range n {
		c.load[i] = j.load[i]
		c.load[i][stored] *= float64(month - j.month[i] + 1)
	}
	return c
}

// keeper is a design of skew.
type keeper struct {
	name, strategy string
	kind           lab.Kind
	tuned          bool // by measured load when the second country begins to come
	monthly        bool // by measured load at the end of each month
	thirds         bool // by requests in each third of the day, not over all of it
	text           string
}

var keepers = []keeper{
	{"a letter a server", "alphabetical", lab.Naive, false, false, false, "The question's."},
	{"cut by the first country's names", "range", lab.Textbook, true, false, false, "The letters cut so that all servers have the same load, once, before the second country comes."},
	{"hash mod n", "modulo", lab.Textbook, false, false, false, "The remainder of the name's hash."},
	{"ranges, each month", "range", lab.Step, true, true, false, "The letters cut anew, and moved, at the end of each month."},
	{"hash, by thirds of a day", "hash", lab.Step, true, true, true, "The same, evened by bytes and by the requests of each third of the day."},
	{"hash, each month", "hash", lab.Built, true, true, false, "The slot table, evened at the end of each month: what serve runs."},
}

// skew is one run: how many users the first country brings before the second one comes.
type skew struct {
	first   int
	keepers []keeper
}

func (w skew) run(ctx context.Context, b *lab.Bench) error {
	b.Progress(0, "drawing users")
	j, err := newJoining(b.Seed, w.first)
	if err != nil {
		return err
	}
	us, _ := names.Find(firstCountry)
	kr, _ := names.Find(secondCountry)
	b.Note("%s users come in %d months in %s; it grows on at that pace, and for %d months %s comes at three times it, until %s users are there. Everybody puts in as much each month, by a stretched exponential; requests follow a power law. "+
		"Figures are of the end of a month, before what is evened then. At home people are busiest at 20:00, with nine times the requests of 8:00; the clocks are %d hours apart.",
		units.Count(int64(w.first)), before, us.Name, after, kr.Name, units.Count(int64(len(j.name))), kr.Hours-us.Hours)
	crowds := make([]*crowd, before+after)
	for m := before - 1; m < before+after; m++ {
		crowds[m] = j.at(m)
	}
	rows := make([]*lab.Design, len(w.keepers))
	for i, k := range w.keepers {
		rows[i] = b.Design(k.name, k.kind).Describe(k.text)
	}
	points := make([][]lab.SweepPoint, len(w.keepers))
	err = each(ctx, len(w.keepers), func(i int) (err error) {
		b.Progress(0.2+0.8*float64(i)/float64(len(w.keepers)), "%s", w.keepers[i].name)
		if points[i], err = w.keepers[i].keep(ctx, rows[i], crowds); err != nil {
			return fmt.Errorf("skew, %s: %w", w.keepers[i].name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, list := range points {
		for _, p := range list {
			b.Point(p.Assumptions, p.Design, p.Metrics)
		}
	}
	return nil
}

// keep takes a design through the months.
func (k keeper) keep(ctx context.Context, row *lab.Design, crowds []*crowd) (points []lab.SweepPoint, err error) {
	begin := crowds[before-1]
	s, err := begin.place(k.strategy, shards(letters))
	if err == nil && k.tuned {
		s, err = k.even(begin, s)
	}
	if err != nil {
		return nil, err
	}
	row.Set("start_bytes", begin.on(s)[stored])
	var worst, late uneven
	movedBytes, movedShare, came := 0.0, 0.0, 0.0
	for m := before; m < before+after; m++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c := crowds[m]
		u := c.on(s)
		worst = worst.worse(u)
		if m >= before+after-12 {
			late = late.worse(u)
		}
		points = append(points, lab.SweepPoint{Assumptions: map[string]float64{"month": float64(m - before + 1)}, Design: k.name,
			Metrics: map[string]float64{"month_bytes": u[stored], "month_requests": u[requests]}})
		if m == before+after-1 {
			row.Set("end_bytes", u[stored])
			break
		}
		if !k.monthly {
			continue
		}
		next, err := k.even(c, s)
		if err != nil {
			return nil, err
		}
		share := c.moved(s, next)[stored]
		movedShare += share
		movedBytes += share * c.total(stored)
		s = next
	}
	last := crowds[before+after-1]
	came = last.total(stored) - begin.total(stored)
	row.Set("worst_bytes", worst[stored]).Set("worst_requests", worst[requests]).Set("late_requests", late[requests])
	if k.monthly {
		row.Set("moved_pct", 100*movedShare/(after-1)).Set("moved_times", movedBytes/came)
	}
	// The last month's requests, with what was evened at its end where something is.
	if k.monthly {
		if s, err = k.even(last, s); err != nil {
			return nil, err
		}
	}
	day, hour, needed := last.hours(s)
	row.Set("day", day).Set("hour", hour).Set("needed", needed)
	return points, nil
}

// even is Balance, by what the design measures.
func (k keeper) even(c *crowd, s *placement.Snapshot) (*placement.Snapshot, error) {
	if !k.thirds {
		return c.balance(s)
	}
	parts := &crowd{name: c.name, country: c.country, load: make([]placement.Load, len(c.name))}
	by := map[string]placement.Load{} // of a country's requests, the part in each third
	for _, country := range names.Countries() {
		by[country.Code] = thirds(country.Hours)
	}
	for i := range parts.load {
		p := by[c.country[i]]
		for t := range 3 {
			p[t] *= c.load[i][requests]
		}
		p[3] = c.load[i][stored]
		parts.load[i] = p
	}
	return parts.balance(s)
}

// rhythm is a day's requests over the hours of people's clocks, 1 on average.
var rhythm = load.Diurnal(1, 0.8, 20*time.Hour)

// thirds returns which part of a day's requests comes in each third of UTC's day, from
// where the clock is so many hours ahead.
func thirds(ahead int) (part placement.Load) {
	for h := range 24 {
		part[h/8] += rhythm(time.Duration(h+ahead)*time.Hour) / 24
	}
	return part
}

// hours returns how uneven requests are over the day, how uneven at the worst hour, and
// the load of the busiest server in its busiest hour over the mean of all.
func (c *crowd) hours(s *placement.Snapshot) (day, hour, needed float64) {
	at := map[string][]float64{} // requests of a day, of each country, on each server
	for i, n := range c.name {
		of := at[c.country[i]]
		if of == nil {
			of = make([]float64, s.Len())
			at[c.country[i]] = of
		}
		of[s.Place(n)] += c.load[i][requests]
	}
	total, days := c.total(requests), make([]float64, s.Len())
	for h := range 24 {
		sum, most := 0.0, 0.0
		for i := range s.Len() {
			here := 0.0
			for _, country := range names.Countries() {
				if of := at[country.Code]; of != nil {
					here += of[i] / 24 * rhythm(time.Duration(h+country.Hours)*time.Hour)
				}
			}
			days[i] += here
			sum, most = sum+here, max(most, here)
		}
		n := float64(s.Len())
		hour = max(hour, most/sum*n)
		needed = max(needed, most/(total/24)*n)
	}
	for _, d := range days {
		day = max(day, d/total*float64(s.Len()))
	}
	return day, hour, needed
}
