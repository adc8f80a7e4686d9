// Package demand learns from a machine's reports what it sells, and forecasts it.
//
//	var m demand.Machine
//	for _, r := range reports { // the oldest first
//		m.Fold(r.Taken, r.Stock, zone, demand.Refill{})
//	}
//	mean := m.Expected(0, from, to, zone)      // items of the first slot
//	risk := demand.Risk(stock, mean)           // that they do not suffice
//	lost := demand.Lost(stock, mean)           // items that would not be sold
//
// Between two reports a slot sold what its stock fell by. Where any slot's stock
// rose, somebody was there and may have filled the others too: then a slot sold
// what it lost and what the visit was to bring, and where no visit was planned
// nothing is learnt. A stock at zero sold out at an unknown moment: only the
// time that the sales would have taken counts as time on offer. A slot's rate is
// the sales over the time on offer, older ones forgotten exponentially (so that a
// trend is followed) and drawn towards the machine's mean while little is known
// (the mean of a gamma posterior). Where a machine has counters of its own that it
// tells (EVA-DTS), Count takes these instead of the stock's fall. Days of the week have factors of the whole
// machine, drawn towards 1 in the same way. Sales are taken as Poisson; where they
// vary more, Dispersion widens the risk.
//
// The state is a few numbers a slot, moved on by each report, so that its cost does
// not grow with the history.
package demand

import (
	"math"
	"time"
)

const (
	memory     = 21 * 24 * time.Hour // after which a sale counts 1/e
	shrink     = 3.0                 // days of the machine's mean that a slot begins with
	shrinkWeek = 7.0                 // days of factor 1 that a day of the week begins with
	usual      = 1.0                 // items a day and slot of a machine that nothing is known of
	// Dispersion is the variance of sales over their mean, as seen in the field's
	// literature for vending: some people buy for others too.
	Dispersion = 1.4
)

// Stock is one slot of a report.
type Stock struct {
	Slot, SKU           string
	Remaining, Capacity int64
}

// Fault is one of those that the newest report names.
type Fault struct {
	Code     string `json:"code"`
	Severity string `json:"severity"`
	Slot     string `json:"slot,omitempty"`
}

// Slot is what is known of a slot.
type Slot struct {
	Slot      string  `json:"slot"`
	SKU       string  `json:"sku"`
	Remaining int64   `json:"left"`
	Capacity  int64   `json:"room"`
	Sold      float64 `json:"sold"` // weighted
	Days      float64 `json:"days"` // on offer, weighted the same, and by the day's factor

	Counted time.Time `json:"counted,omitzero"` // until when counters told what it sold; zero: they never did
}

// Machine is what is known of a machine. Its zero value knows nothing.
type Machine struct {
	At       time.Time  `json:"at"` // of the newest report that was folded
	Slots    []Slot     `json:"slots"`
	Faults   []Fault    `json:"faults,omitempty"` // kept beside, by whoever folds
	WeekSold [7]float64 `json:"week_sold"`
	WeekDays [7]float64 `json:"week_days"`        // slot days on offer
	Counted  time.Time  `json:"counted,omitzero"` // the end of the last period that Count was given
}

// Fold moves the state on by a report; visit is what was planned between it and
// the one before, or zero. An older report than the newest changes nothing: what
// was sold until then is in the newer one.
func (m *Machine) Fold(at time.Time, stock []Stock, zone *time.Location, visit Refill) {
	if !m.At.IsZero() && !at.After(m.At) {
		return
	}
	elapsed := at.Sub(m.At)
	known := make(map[string]*Slot, len(m.Slots))
	if m.At.IsZero() || elapsed > 60*24*time.Hour {
		elapsed = 0 // too long to tell anything from
	}
	fade := math.Exp(-elapsed.Seconds() / memory.Seconds())
	for i := range m.Slots {
		s := &m.Slots[i]
		s.Sold *= fade
		s.Days *= fade
		known[s.Slot] = s
	}
	for d := range 7 {
		m.WeekSold[d] *= fade
		m.WeekDays[d] *= fade
	}
	filled := false
	for _, now := range stock {
		if was := known[now.Slot]; was != nil && was.SKU == now.SKU && now.Remaining > was.Remaining {
			filled = true
		}
	}
	if planned := visit.At.After(m.At) && visit.At.Before(at); filled && !planned {
		elapsed = 0
	}
	mean, week := m.mean(), m.Week()
	slots := make([]Slot, len(stock))
	for i, now := range stock {
		s := Slot{Slot: now.Slot, SKU: now.SKU, Remaining: now.Remaining, Capacity: now.Capacity}
		if was := known[now.Slot]; was != nil && was.SKU == now.SKU {
			s.Sold, s.Days, s.Counted = was.Sold, was.Days, was.Counted
			sold := was.Remaining - now.Remaining
			if filled {
				sold += min(visit.Items[now.Slot], was.Capacity-was.Remaining)
			}
			if sold >= 0 && elapsed > 0 && !was.counted(at) {
				m.learn(&s, 1, float64(sold), now.Remaining == 0, was.rate(mean), m.At, elapsed, zone, week)
			}
		}
		slots[i] = s
	}
	m.Slots, m.At = slots, at
}

// learn adds what a slot sold in a period, with the weight that it has as of At.
func (m *Machine) learn(s *Slot, weight, sold float64, soldOut bool, rate float64, from time.Time, elapsed time.Duration, zone *time.Location, week [7]float64) {
	share := 1.0
	if days := elapsed.Hours() / 24; soldOut && rate*days > sold {
		share = sold / (rate * days) // of the time that there was something to sell
	}
	perDay := days(from, from.Add(elapsed), zone)
	weighted := 0.0
	for d, n := range perDay {
		weighted += n * week[d]
	}
	s.Sold += weight * sold
	s.Days += weight * share * weighted
	for d, n := range perDay {
		if weighted > 0 {
			m.WeekSold[d] += weight * sold * n * week[d] / weighted
		}
		m.WeekDays[d] += weight * share * n
	}
}

// rate is what the slot sells on a day of factor 1.
func (s *Slot) rate(mean float64) float64 { return (s.Sold + shrink*mean) / (s.Days + shrink) }

// mean is what a slot of the machine sells on a day.
func (m *Machine) mean() float64 {
	sold, days := shrink*usual, shrink
	for _, s := range m.Slots {
		sold += s.Sold
		days += s.Days
	}
	return sold / days
}

// Week returns the factors of the days of the week, Sunday first: 1 on average.
func (m *Machine) Week() (f [7]float64) {
	sold, days := 0.0, 0.0
	for d := range 7 {
		sold += m.WeekSold[d]
		days += m.WeekDays[d]
	}
	mean := 1.0
	if days > 0 && sold > 0 {
		mean = sold / days
	}
	sum := 0.0
	for d := range 7 {
		f[d] = (m.WeekSold[d] + shrinkWeek*mean) / ((m.WeekDays[d] + shrinkWeek) * mean)
		sum += f[d]
	}
	for d := range 7 {
		f[d] *= 7 / sum
	}
	return f
}

// Expected returns how many items slot i is expected to sell in a period, if it
// has enough.
func (m *Machine) Expected(i int, from, to time.Time, zone *time.Location) float64 {
	week, sum := m.Week(), 0.0
	for d, n := range days(from, to, zone) {
		sum += n * week[d]
	}
	return sum * m.Slots[i].rate(m.mean())
}

// Forecast returns Expected for all slots at once.
func (m *Machine) Forecast(from, to time.Time, zone *time.Location) []float64 {
	week, sum, mean := m.Week(), 0.0, m.mean()
	for d, n := range days(from, to, zone) {
		sum += n * week[d]
	}
	list := make([]float64, len(m.Slots))
	for i := range m.Slots {
		list[i] = sum * m.Slots[i].rate(mean)
	}
	return list
}

// Refill is a visit that was planned, and is taken as made.
type Refill struct {
	At    time.Time
	Items map[string]int64 // brought, by slot
}

// Stock returns what each slot is thought to hold at a moment after the newest
// report: what that said, less what sells in the meantime, and with what a visit
// after it was to bring. A machine that is late was often restocked since it was
// last heard; without that, somebody would be sent again.
func (m *Machine) Stock(at time.Time, zone *time.Location, visit Refill) []int64 {
	list := make([]int64, len(m.Slots))
	from := m.At
	sell := func(to time.Time) {
		for i, sold := range m.Forecast(from, to, zone) {
			list[i] = max(0, list[i]-int64(sold+0.5))
		}
		from = to
	}
	for i, s := range m.Slots {
		list[i] = s.Remaining
	}
	if visit.At.After(m.At) && visit.At.Before(at) {
		sell(visit.At)
		for i, s := range m.Slots {
			list[i] = min(s.Capacity, list[i]+visit.Items[s.Slot])
		}
	}
	if from.Before(at) {
		sell(at)
	}
	return list
}

// sold is the share of a day's sales that is made by a time of the day: little at
// night. One report a day cannot tell when a machine sells, so that it is assumed:
// 4% between 22:00 and 06:00, the rest evenly.
func sold(t time.Time) float64 {
	h := float64(t.Hour()) + float64(t.Minute())/60 + float64(t.Second())/3600
	switch {
	case h < 6:
		return 0.03 * h / 6
	case h < 22:
		return 0.03 + 0.96*(h-6)/16
	}
	return 0.99 + 0.01*(h-22)/2
}

// days returns how many days of trade of each day of the week a period has, by the
// local calendar. Periods of more than a year are cut.
func days(from, to time.Time, zone *time.Location) (n [7]float64) {
	if to.Sub(from) > 366*24*time.Hour {
		to = from.Add(366 * 24 * time.Hour)
	}
	for t := from.In(zone); t.Before(to); {
		y, mo, d := t.Date()
		next := time.Date(y, mo, d+1, 0, 0, 0, 0, zone)
		if !next.After(t) { // clocks fell back over midnight
			next = t.Add(time.Hour)
		}
		if next.After(to) {
			next = to
		}
		over := 1.0
		if next = next.In(zone); next.YearDay() == t.YearDay() && next.Year() == t.Year() {
			over = sold(next)
		}
		n[t.Weekday()] += max(0, over-sold(t)) // clocks that fall back sell nothing twice
		t = next
	}
	return n
}

// Risk is the probability that more than stock items are asked for, where mean
// are expected: of a negative binomial with the variance Dispersion times the mean.
func Risk(stock int64, mean float64) float64 {
	risk, _ := tail(stock, mean)
	return risk
}

// Lost is how many items are expected to be asked for and not there.
func Lost(stock int64, mean float64) float64 {
	_, lost := tail(stock, mean)
	return lost
}

// tail sums the distribution up to stock: P(D > stock) and E[max(0, D - stock)].
func tail(stock int64, mean float64) (risk, lost float64) {
	if mean <= 0 {
		return 0, 0
	}
	if stock < 0 {
		stock = 0
	}
	if sd := math.Sqrt(Dispersion * mean); mean > 200 || float64(stock) > mean+12*sd+20 {
		// Far from zero the normal distribution is near enough.
		z := (float64(stock) + 0.5 - mean) / sd
		up := 0.5 * math.Erfc(z/math.Sqrt2)
		return up, max(0, sd*math.Exp(-z*z/2)/math.Sqrt(2*math.Pi)-sd*z*up)
	}
	// Negative binomial: r = mean/(Dispersion-1) trials, p = 1/Dispersion.
	r, q := mean/(Dispersion-1), 1-1/Dispersion
	p := math.Exp(-r * math.Log(Dispersion))
	below, short := 0.0, 0.0 // P(D <= stock), E[stock-D below]
	for k := int64(0); ; k++ {
		below += p
		short += float64(stock-k) * p
		if k == stock {
			break
		}
		p *= (r + float64(k)) / float64(k+1) * q
	}
	return max(0, 1-below), max(0, mean-float64(stock)+short)
}
