package vending

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/fleet"
	"plumb/engines/fleet/slots"
	"plumb/engines/sqldb"
)

// The demonstration fleet: real rows, and machines in this process that report
// through the same verb as those outside.
const (
	demoPerCity = 40
	demoNights  = 14
	demoEvery   = 2 * time.Second // between two reports beside the nightly ones
)

var (
	demoCities = []string{"Berlin", "London", "New York", "Tokyo", "Sao Paulo", "Cairo"}
	demoModels = []string{"Snack 24", "Cold 36", "Combo 40"}
	demoGoods  = []struct {
		sku   string
		price int64
	}{{"cola", 180}, {"water", 120}, {"lemonade", 170}, {"iced tea", 190}, {"crisps", 150}, {"nuts", 210}, {"chocolate", 160}, {"gum", 90}, {"biscuits", 140}, {"apple juice", 200}, {"coffee", 230}, {"sandwich", 380}}
)

// demoMachine is a simulated machine.
type demoMachine struct {
	fleet.Machine
	city   City
	stock  []Slot
	faults []Fault
	silent bool // it has lost its line: somebody should look after it
	count  int  // reports made
}

// Demo fills the room with a small fleet and two weeks of its history, unless
// that is there already, and lets it report until ctx ends, which is no error.
func (s *System) Demo(ctx context.Context) error {
	err := s.demo(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("demonstration: %w", err)
	}
	return nil
}

func (s *System) demo(ctx context.Context) error {
	r := rand.New(rand.NewPCG(12, uint64(s.n.Clock.Now().UnixNano())))
	var list []*demoMachine
	for i, name := range demoCities {
		city, err := s.cityFor(ctx, name)
		if err != nil {
			return err
		}
		for k := range demoPerCity {
			m, err := s.demoMachine(ctx, r, city, i*demoPerCity+k, k)
			if err != nil {
				return err
			}
			list = append(list, m)
		}
	}
	s.tonight.forget()
	for _, name := range demoCities {
		city, err := s.cityFor(ctx, name)
		if err != nil {
			return err
		}
		date, _ := slots.Tonight(s.n.Clock.Now(), city.zone)
		if _, err := s.ask(ctx, city, date, false, false, "the demonstration begins"); err != nil {
			return err
		}
	}
	s.n.Log.Info("the demonstration fleet reports", "machines", len(list), "cities", len(demoCities))
	return s.play(ctx, r, list)
}

// demoMachine makes machine number n, the k-th of its city, or finds it.
func (s *System) demoMachine(ctx context.Context, r *rand.Rand, city City, n, k int) (*demoMachine, error) {
	id := fmt.Sprintf("demo-%s-%02d", strings.ToLower(strings.ReplaceAll(city.Name, " ", "-")), k+1)
	m := &demoMachine{Machine: fleet.Machine{Realm: realm, ID: id, Cohort: city.Name}, city: city, silent: n%37 == 5}
	lat, lon := city.Lat+r.NormFloat64()*0.04, city.Lon+r.NormFloat64()*0.06
	_, err := s.Enrol(ctx, NewMachine{ID: id, City: city.Name, Lat: &lat, Lon: &lon, Model: demoModels[n%len(demoModels)]})
	if errs.Is(err, errs.Conflict) { // the house was started with it before
		d, err := s.Machine(ctx, id)
		if err != nil {
			return nil, err
		}
		m.stock, m.faults = d.SlotList, d.FaultList
		if len(m.stock) > 0 {
			return m, nil
		}
	} else if err != nil {
		return nil, err
	}
	m.fill(r, 12+4*(n%4))
	return m, s.demoHistory(ctx, r, m)
}

// fill gives the machine its slots, full.
func (m *demoMachine) fill(r *rand.Rand, slots int) {
	m.stock = nil
	for i := range slots {
		good := demoGoods[(i+r.IntN(3))%len(demoGoods)]
		m.stock = append(m.stock, Slot{Slot: fmt.Sprintf("%c%d", 'A'+i/6, i%6+1), SKU: good.sku, Remaining: 10, Capacity: 10, Price: &good.price})
	}
}

// sell lets a part of a day pass: what is bought, what breaks, who comes to refill.
func (m *demoMachine) sell(r *rand.Rand, days float64, now time.Time) {
	empty := 0
	for i := range m.stock {
		s := &m.stock[i]
		for range int(days*4*r.Float64() + r.Float64()) {
			s.Remaining = max(0, s.Remaining-1)
		}
		if s.Remaining == 0 {
			empty++
		}
	}
	if empty > len(m.stock)/4 && r.Float64() < 0.8*days+0.05 {
		for i := range m.stock {
			m.stock[i].Remaining = m.stock[i].Capacity
		}
	}
	switch {
	case len(m.faults) > 0 && r.Float64() < 0.5*days:
		m.faults = nil
	case len(m.faults) == 0 && r.Float64() < 0.06*days:
		codes := []string{"coin_jam", "stuck_item", "card_reader", "door_open", "temperature"}
		since := now.Add(-time.Duration(r.IntN(180)) * time.Minute).UTC().Truncate(time.Second)
		f := Fault{Code: codes[r.IntN(len(codes))], Since: &since}
		if f.Code == "stuck_item" {
			f.Slot = m.stock[r.IntN(len(m.stock))].Slot
		}
		m.faults = []Fault{f}
	}
}

// report makes the machine's next report.
func (m *demoMachine) report(now time.Time) Report {
	m.count++
	return Report{Firmware: "4.1.2", Config: "2026-10", ID: fmt.Sprintf("%s-%d", now.UTC().Format("20060102T150405"), m.count), Taken: now,
		Slots: append([]Slot(nil), m.stock...), Faults: append([]Fault(nil), m.faults...)}
}

// demoHistory writes the reports of the nights before, each at its slot.
func (s *System) demoHistory(ctx context.Context, r *rand.Rand, m *demoMachine) error {
	now := s.n.Clock.Now()
	date, _ := slots.Tonight(now, m.city.zone)
	var rows []*incoming
	var last time.Time
	for d := -demoNights; d <= 0; d++ {
		night, ok := slots.Night(date.Add(d), m.city.zone)
		if !ok {
			continue
		}
		at := slots.Window{Start: night, Length: s.c.Window}.At(m.ID)
		if at.After(now) || m.silent && d > -2 {
			break
		}
		m.sell(r, 1, at)
		report := m.report(at)
		if err := report.check(); err != nil {
			return err
		}
		row, _ := s.row(&report, at)
		rows, last = append(rows, row), at
	}
	if len(rows) == 0 {
		return nil
	}
	due := s.nextCall(m.ID, m.city, last)
	return s.n.DB.Batch(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return s.store.take(ctx, tx, m.ID, rows, due.UnixMicro())
	})
}

// play lets the machines report: each at its slot, and now and then one more.
func (s *System) play(ctx context.Context, r *rand.Rand, list []*demoMachine) error {
	due := make(map[string]time.Time, len(list))
	now := s.n.Clock.Now()
	for _, m := range list {
		due[m.ID] = slots.FirstCall(m.ID, now, m.city.zone, s.c.Window)
	}
	extra := now
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.n.Clock.After(demoEvery / 2):
		}
		now = s.n.Clock.Now()
		for _, m := range list {
			if m.silent || now.Before(due[m.ID]) {
				continue
			}
			due[m.ID] = s.demoReport(ctx, r, m, 0.2)
		}
		if now.Sub(extra) >= demoEvery {
			extra = now
			if m := list[r.IntN(len(list))]; !m.silent {
				due[m.ID] = s.demoReport(ctx, r, m, 0.05)
			}
		}
	}
}

// demoReport lets one machine report, and returns when it is to report next.
func (s *System) demoReport(ctx context.Context, r *rand.Rand, m *demoMachine, days float64) time.Time {
	now := s.n.Clock.Now()
	if st, err := s.n.Fleet.Standing(ctx, realm, m.ID); err != nil || !st.Revoked.IsZero() {
		return now.Add(10 * time.Second) // somebody revoked it: the door that machines outside come through is shut
	}
	m.sell(r, days, now)
	receipts, err := s.Report(ctx, m.Machine, 1, func() ([]Report, error) { return []Report{m.report(now)}, nil })
	switch {
	case err != nil:
		return now.Add(max(errs.RetryAfter(err), time.Second))
	case receipts[0].Err != nil:
		s.n.Log.Warn("a report of the demonstration was refused", "machine", m.ID, "error", receipts[0].Err)
		return now.Add(time.Hour)
	}
	return receipts[0].Next
}
