package vending

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"plumb/base/bounds"
	"plumb/base/errs"
	"plumb/engines/fleet"
	"plumb/engines/fleet/rollout"
	"plumb/engines/sqldb"
)

// Report is what a machine says of itself: the whole of it, every time.
type Report struct {
	ID     string    // chosen by the machine, 1 to 128 characters; the same report keeps its id
	Taken  time.Time // by the machine's clock; zero: it has none
	Slots  []Slot    // 1 to 500
	Faults []Fault   // up to 100

	// What runs on the machine, up to 64 characters each; "": it does not say.
	Firmware, Config string
}

// Slot is one selection of the machine.
type Slot struct {
	Slot      string `json:"slot"` // "A1"
	SKU       string `json:"sku"`
	Remaining int64  `json:"remaining"`       // 0 to Capacity
	Capacity  int64  `json:"capacity"`        // 1 to 10,000
	Price     *int64 `json:"price,omitempty"` // minor units of the local currency
}

// Low is the stock at or below which a slot counts as low: a fifth of it.
func (s Slot) Low() int64 { return (s.Capacity + 4) / 5 }

// PriceText writes the price in the main unit, as most currencies have it.
func (s Slot) PriceText() string {
	if s.Price == nil {
		return "–"
	}
	return fmt.Sprintf("%d.%02d", *s.Price/100, *s.Price%100)
}

// Fault is something that is wrong with the machine.
type Fault struct {
	Code     string     `json:"code"`     // one of Codes
	Severity string     `json:"severity"` // low, medium, high
	Slot     string     `json:"slot,omitempty"`
	Since    *time.Time `json:"since,omitempty"`
}

// Codes are the faults that a machine may report, with the severity that each
// has when the machine does not say: does it still sell, and does it spoil?
var Codes = map[string]string{
	"coin_jam": "medium", "stuck_item": "low", "door_open": "high", "temperature": "high", "card_reader": "medium", "other": "low",
}

// severities in words, by rank; 0 is none.
var severities = []string{"", "low", "medium", "high"}

func rank(severity string) int {
	for i, s := range severities {
		if s == severity {
			return i
		}
	}
	return 0
}

// body is a report as it is kept, and as two reports are compared: by content.
type body struct {
	Taken    *time.Time `json:"taken_at,omitempty"` // as the machine claims
	Slots    []Slot     `json:"slots"`
	Faults   []Fault    `json:"faults,omitempty"`
	Firmware string     `json:"firmware,omitempty"`
	Config   string     `json:"config,omitempty"`
}

// check names every fault of r and gives faults without a severity their usual one.
func (r *Report) check() error {
	var b bounds.Check
	b.Text("report_id", r.ID, 1, 128)
	b.Text("firmware", r.Firmware, 0, 64)
	b.Text("config", r.Config, 0, 64)
	if n := len(r.Slots); n < 1 || n > 500 {
		b.Fault("slots", "must have 1 to 500 entries, not %d: every report tells the whole stock", n)
	}
	if n := len(r.Faults); n > 100 {
		b.Fault("faults", "may have 100 entries, not %d", n)
	}
	seen := make(map[string]bool, len(r.Slots))
	for i, s := range r.Slots[:min(len(r.Slots), 500)] {
		if s.ok() && !seen[s.Slot] { // places are written for the wrong ones only
			seen[s.Slot] = true
			continue
		}
		at := fmt.Sprintf("slots[%d].", i)
		b.Text(at+"slot", s.Slot, 1, 16)
		b.Text(at+"sku", s.SKU, 1, 64)
		b.Int(at+"capacity", s.Capacity, 1, 10_000)
		b.Int(at+"remaining", s.Remaining, 0, max(0, min(s.Capacity, 10_000)))
		if s.Price != nil {
			b.Int(at+"price", *s.Price, 0, mostMoney)
		}
		if seen[s.Slot] {
			b.Fault(at+"slot", "stands twice")
		}
		seen[s.Slot] = true
	}
	for i := range r.Faults[:min(len(r.Faults), 100)] {
		f := &r.Faults[i]
		at := fmt.Sprintf("faults[%d].", i)
		usual, known := Codes[f.Code]
		if !known {
			b.OneOf(at+"code", f.Code, "coin_jam", "stuck_item", "door_open", "temperature", "card_reader", "other")
		}
		if f.Severity == "" {
			f.Severity = usual
		}
		b.OneOf(at+"severity", f.Severity, "low", "medium", "high")
		b.Text(at+"slot", f.Slot, 0, 16)
		if f.Since != nil && (f.Since.Year() < 1 || f.Since.Year() > 9999) {
			b.Fault(at+"since", "is not a time of our era")
		}
	}
	return b.Err("the report is not valid")
}

// mostMoney is the largest whole number that every JSON reader keeps exactly.
const mostMoney = 1<<53 - 1

// ok says whether check would find nothing wrong with s alone.
func (s *Slot) ok() bool {
	var b bounds.Check
	if s.Capacity < 1 || s.Capacity > 10_000 || s.Remaining < 0 || s.Remaining > s.Capacity || s.Price != nil && (*s.Price < 0 || *s.Price > mostMoney) {
		return false
	}
	b.Text("slot", s.Slot, 1, 16)
	b.Text("sku", s.SKU, 1, 64)
	return b.Err("") == nil
}

// Receipt is the answer to one report of a batch.
type Receipt struct {
	ReportID string
	Status   string // "stored" or "duplicate"; empty where Err says why not
	Err      error
	Next     time.Time // when the machine is expected again
	Now      time.Time // the server's time
	Taken    time.Time // under which it is kept
	ClockOff bool      // the machine's clock was not believed

	// What the machine is told beside.
	Target *rollout.Version // it is to change to this; nil: it runs what it should
	Cell   *Cell            // where it belongs, in a house of several regions
}

// incoming is a report on its way into the database.
type incoming struct {
	id       string
	taken    int64 // microseconds
	received int64
	body     string
	faults   int64
	severity int64
	slots    int64
	empty    int64
	codes    []string // of the faults
	firmware string
	config   string
	inserted bool
	other    bool // the id stands for other content
}

// keep stores reports of one machine, a hundred or so at most, and returns when
// all of them are durable: a receipt for each, in their order. The error is for
// all: Busy when the database did not take them, and nothing is stored then.
//
// The caller has asked the door before.
func (s *System) keep(ctx context.Context, m fleet.Machine, list []Report) ([]Receipt, error) {
	city, err := s.cityFor(ctx, m.Cohort)
	if err != nil {
		return nil, err
	}
	if s.foreign(city) {
		return s.misdirected(ctx, m, city, list)
	}
	now := s.n.Clock.Now()
	next := s.nextCall(m.ID, city, now)
	receipts := make([]Receipt, len(list))
	rows := make([]*incoming, 0, len(list))
	place := make([]*incoming, len(list)) // the row that answers for each report; nil where Err does
	first := make(map[string]*incoming, len(list))
	for i := range list {
		r := &list[i]
		receipts[i] = Receipt{ReportID: r.ID, Next: next, Now: now}
		if receipts[i].Err = r.check(); receipts[i].Err != nil {
			continue
		}
		row, off := s.row(r, now)
		receipts[i].Taken, receipts[i].ClockOff = time.UnixMicro(row.taken).UTC(), off
		if earlier, ok := first[r.ID]; ok { // twice in one batch
			if earlier.body != row.body {
				receipts[i].Err = reused(r.ID)
				continue
			}
			place[i] = earlier
			continue
		}
		first[r.ID], place[i] = row, row
		rows = append(rows, row)
	}
	if len(rows) > 0 {
		err := s.n.DB.BatchBy(ctx, m.ID, func(ctx context.Context, tx *sqldb.Tx) error {
			return s.store.take(ctx, tx, m.ID, rows, next.UnixMicro())
		})
		if err != nil {
			return nil, fmt.Errorf("store %d reports of machine %s: %w", len(rows), m.ID, err)
		}
	}
	s.settle(receipts, place)
	s.advise(m, city, rows, receipts)
	s.tell(ctx, m, city, rows, now)
	return receipts, nil
}

// row turns a checked report into what the database keeps of it.
func (s *System) row(r *Report, now time.Time) (row *incoming, clockOff bool) {
	b := body{Slots: r.Slots, Faults: r.Faults, Firmware: r.Firmware, Config: r.Config}
	row = &incoming{id: r.ID, taken: now.UnixMicro(), received: now.UnixMicro(), firmware: r.Firmware, config: r.Config, slots: int64(len(r.Slots)), faults: int64(len(r.Faults))}
	if !r.Taken.IsZero() {
		taken := r.Taken.UTC().Truncate(time.Microsecond)
		b.Taken = &taken
		if taken.After(now.Add(s.c.Ahead)) || taken.Before(now.Add(-s.c.Retention)) {
			clockOff = true
		} else {
			row.taken = taken.UnixMicro()
		}
	}
	for _, slot := range r.Slots {
		if slot.Remaining == 0 {
			row.empty++
		}
	}
	for _, f := range r.Faults {
		row.severity = max(row.severity, int64(rank(f.Severity)))
		row.codes = append(row.codes, f.Code)
	}
	row.body = b.text()
	return row, clockOff
}

// text writes b as JSON, in one form only, so that equal reports are equal texts.
// By hand, because this is a sixth of what a report costs through reflection.
func (b body) text() string {
	var out strings.Builder
	out.Grow(64 + 90*len(b.Slots) + 130*len(b.Faults)) // of a usual report
	var digits [20]byte
	number := func(name string, v int64) {
		out.WriteString(name)
		out.Write(strconv.AppendInt(digits[:0], v, 10))
	}
	out.WriteByte('{')
	if b.Taken != nil {
		writeTime(&out, `"taken_at":`, *b.Taken)
		out.WriteByte(',')
	}
	out.WriteString(`"slots":[`)
	for i, s := range b.Slots {
		if i > 0 {
			out.WriteByte(',')
		}
		writeText(&out, `{"slot":`, s.Slot)
		writeText(&out, `,"sku":`, s.SKU)
		number(`,"remaining":`, s.Remaining)
		number(`,"capacity":`, s.Capacity)
		if s.Price != nil {
			number(`,"price":`, *s.Price)
		}
		out.WriteByte('}')
	}
	before := `],"faults":[`
	for _, f := range b.Faults {
		out.WriteString(before)
		before = ","
		writeText(&out, `{"code":`, f.Code)
		writeText(&out, `,"severity":`, f.Severity)
		if f.Slot != "" {
			writeText(&out, `,"slot":`, f.Slot)
		}
		if f.Since != nil {
			writeTime(&out, `,"since":`, *f.Since)
		}
		out.WriteByte('}')
	}
	out.WriteByte(']') // of the slots or the faults, whichever came last
	if b.Firmware != "" {
		writeText(&out, `,"firmware":`, b.Firmware)
	}
	if b.Config != "" {
		writeText(&out, `,"config":`, b.Config)
	}
	out.WriteByte('}')
	return out.String()
}

// writeText writes a checked text: valid UTF-8 without control characters.
func writeText(out *strings.Builder, name, s string) {
	out.WriteString(name)
	out.WriteByte('"')
	for i := strings.IndexAny(s, "\"\\"); i >= 0; i = strings.IndexAny(s, "\"\\") {
		out.WriteString(s[:i])
		out.WriteByte('\\')
		out.WriteByte(s[i])
		s = s[i+1:]
	}
	out.WriteString(s)
	out.WriteByte('"')
}

func writeTime(out *strings.Builder, name string, t time.Time) {
	out.WriteString(name)
	out.WriteByte('"')
	out.WriteString(t.UTC().Format(time.RFC3339Nano))
	out.WriteByte('"')
}

// reused is the answer to an id that came before with other content.
func reused(id string) error {
	return errs.New(errs.Conflict, "report id %q was used before, for a report with other content: give each report its own", id)
}

// settle fills in what became of each report. The first to bring a row in
// answers "stored", whoever comes later in the same batch "duplicate".
func (s *System) settle(receipts []Receipt, place []*incoming) {
	told := map[*incoming]bool{}
	for i, row := range place {
		r := &receipts[i]
		switch {
		case row == nil: // r.Err says why
		case row.other:
			r.Err = reused(r.ReportID)
		case row.inserted && !told[row]:
			r.Status, told[row] = "stored", true
		default:
			r.Status = "duplicate"
		}
		s.measures.receipt(r)
	}
}

// tell announces what was stored.
func (s *System) tell(ctx context.Context, m fleet.Machine, city City, rows []*incoming, now time.Time) {
	stored := 0
	var newest *incoming
	for _, r := range rows {
		if r.inserted {
			stored++
			if newest == nil || r.taken >= newest.taken {
				newest = r
			}
		}
	}
	if stored == 0 {
		return
	}
	s.announce(ctx, subjectReported, Reported{m.ID, city.Name, stored, now.UTC()})
	if newest.faults > 0 {
		s.announce(ctx, subjectFaulty, Faulty{m.ID, city.Name, newest.id, newest.codes, now.UTC()})
	}
}
