package dts

import (
	"bytes"

	"plumb/base/errs"
)

// builder fills a set, record by record.
type builder struct {
	r     *reader
	s     *Set
	now   int            // the product that PA2 and its like belong to, of s.Products; -1: none
	byID  map[string]int // product -> its place: audits list some twice
	tubes int64          // summed over CA17, where CA15 does not say
	has15 bool
	event map[string]int
}

// record reads one line. Errors: TooLarge, when a set has more than anybody sells.
func (b *builder) record(at int, kind, line []byte) error {
	s := b.s
	value := func(n int) int64 {
		f := field(line, n)
		v, ok := number(f)
		if !ok && len(bytes.TrimSpace(f)) > 0 {
			b.r.warn(at, "field %d of %s is %.20q, which is no whole number: left out", n, kind, text(f))
		}
		return v
	}
	switch string(kind) {
	case "ID1":
		s.Machine, s.Model, s.Build = text(field(line, 1)), text(field(line, 2)), text(field(line, 3))
	case "ID4":
		if d, ok := decimals(field(line, 1)); ok {
			s.Decimals = d
		}
		s.Currency = text(field(line, 3))
		if s.Currency == "" || len(s.Currency) > 4 {
			s.Currency = text(field(line, 2))
		}
	case "ID5":
		s.Taken = stamp(field(line, 1), field(line, 2))
	case "VA1":
		s.Value, s.Sold = value(1), value(2)
	case "CA2":
		s.Cash.Sales = value(1)
	case "CA3":
		s.Cash.Box = value(2)
	case "CA15":
		if !b.has15 {
			s.Cash.Tubes = value(1)
		}
		b.has15 = true
	case "CA17":
		b.tubes += min(value(2), 1e9) * min(value(3), 1e6)
	case "PA1":
		return b.product(at, line, value)
	case "PA2":
		if p := b.current(at, kind); p != nil {
			p.Sold, p.Value, p.SinceReset = value(1), value(2), value(3)
		}
	case "PA5":
		if p := b.current(at, kind); p != nil {
			p.SoldOut = value(3) > 0 && stamp(field(line, 1), field(line, 2)) != ""
		}
	case "PA4":
		if p := b.current(at, kind); p != nil {
			p.Free = value(1)
		}
	case "EA2":
		return b.happened(line, value)
	case "DXS", "ST", "G85", "SE", "DXE", "PA3", "EA1", "EA3", "CA1", "CA4", "BA1", "DA1", "DA2", "CB1", "VA2", "VA3":
		// Known, and not needed here; the text is kept whole anyway.
	default:
		s.Unknown++
	}
	return nil
}

// product begins a selection, or goes on with one that stood before.
func (b *builder) product(at int, line []byte, value func(int) int64) error {
	id := text(field(line, 1))
	if id == "" {
		b.r.warn(at, "a selection (PA1) without a number: left out")
		b.now = -1
		return nil
	}
	if b.byID == nil {
		b.byID = map[string]int{}
	}
	if i, again := b.byID[id]; again {
		b.now = i
		b.r.warn(at, "selection %s stands twice: the later one counts", id)
	} else {
		if len(b.s.Products) == maxProducts {
			return errs.New(errs.TooLarge, "line %d: a set may have %d selections", at+1, maxProducts)
		}
		b.now = len(b.s.Products)
		b.byID[id] = b.now
		b.s.Products = append(b.s.Products, Product{})
	}
	b.s.Products[b.now] = Product{ID: id, Price: value(2), Name: text(field(line, 3)), Capacity: value(4)}
	return nil
}

// current returns the selection that a record belongs to.
func (b *builder) current(at int, kind []byte) *Product {
	if b.byID == nil || b.now < 0 {
		b.r.warn(at, "%s belongs to no selection: left out", kind)
		return nil
	}
	return &b.s.Products[b.now]
}

// happened reads EA2: code, count since the reset, since initialised, the maker's
// own, active, minutes.
func (b *builder) happened(line []byte, value func(int) int64) error {
	code := text(field(line, 1))
	if code == "" {
		return nil
	}
	if b.event == nil {
		b.event = map[string]int{}
	}
	i, again := b.event[code]
	if !again {
		if len(b.s.Events) == maxEvents {
			return errs.New(errs.TooLarge, "a set may have %d events", maxEvents)
		}
		i = len(b.s.Events)
		b.event[code] = i
		b.s.Events = append(b.s.Events, Event{Code: code})
	}
	b.s.Events[i].Count, b.s.Events[i].Active = value(2), value(5) == 1
	return nil
}

// end fills in what only the whole set tells.
func (b *builder) end() {
	if !b.has15 {
		b.s.Cash.Tubes = b.tubes
	}
}
