package vending

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"plumb/base/errs"
	"plumb/engines/fleet"
	"plumb/engines/sqldb"
	"plumb/systems/vending/internal/demand"
	"plumb/systems/vending/internal/dts"
)

// Audit is what became of an EVA-DTS file.
type Audit struct {
	dts.File
	ID        string // SHA-256 of the file
	Received  time.Time
	Duplicate bool // it came before
}

// filed is a file on its way into the database, and what became of it.
type filed struct {
	machine string
	file    dts.File
	id      string // SHA-256, hex
	body    string
	said    said

	// What became of it, set anew by each run of the transaction.
	err       error // why it is not kept
	duplicate bool
}

// said is what the good sets of a file say; the last that says it counts.
type said struct {
	serial   string           // "": none says
	taken    string           // by the machine's clock, in no zone; "": it has none
	counters map[string]int64 // items that left it since it was initialised, by selection; nil: none
	stock    []demand.Stock   // of the selections whose capacity it names
	faults   []Fault
	good     bool // there is a good set

	// The same as the database keeps them, written before the transaction, which
	// others wait for; "" where there are none.
	countersText, stockText, faultsText string
}

// Audit takes an EVA-DTS file of machine m and returns when it is durable. The
// machine counts as heard. A file with a wrong checksum is kept and says so; its
// counters are not believed. Errors: *Refused (Busy), *Elsewhere; Invalid, TooLarge;
// Conflict when the file is that of a machine with another serial number.
func (s *System) Audit(ctx context.Context, m fleet.Machine, text []byte) (Audit, error) {
	f, err := newFiled(m.ID, text)
	if err != nil {
		return Audit{}, err
	}
	if err := s.enter(m.ID, 1); err != nil {
		return Audit{}, err
	}
	now := s.n.Clock.Now()
	if err := s.fileAdmitted(ctx, m.ID, []*filed{f}, now); err != nil {
		return Audit{}, fmt.Errorf("keep an audit of machine %s: %w", m.ID, err)
	}
	if f.err != nil {
		return Audit{}, f.err
	}
	return Audit{f.file, f.id, now.UTC(), f.duplicate}, nil
}

// newFiled reads a file. Errors: those of dts.Read; Conflict when its sets are of
// different machines.
func newFiled(machine string, text []byte) (*filed, error) {
	read, err := dts.Read(text)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	f := &filed{machine: machine, file: read, id: hex.EncodeToString(sum[:]), body: keepable(text)}
	for _, set := range read.Sets {
		if set.Verdict == dts.BadChecksum {
			continue
		}
		if f.said.serial != "" && set.Machine != "" && set.Machine != f.said.serial {
			return nil, errs.New(errs.Conflict, "the file holds audits of two machines, %q and %q: send each under its own machine", f.said.serial, set.Machine)
		}
		f.said.hear(set)
	}
	return f, f.said.write()
}

// write fills in the texts.
func (d *said) write() (err error) {
	put := func(into *string, n int, v any) {
		if n == 0 || err != nil {
			return
		}
		var b []byte
		b, err = json.Marshal(v)
		*into = string(b)
	}
	put(&d.countersText, len(d.counters), d.counters)
	put(&d.stockText, len(d.stock), d.stock)
	put(&d.faultsText, len(d.faults), d.faults)
	return err
}

// hear adds a good set.
func (d *said) hear(set dts.Set) {
	d.good = true
	d.serial = cmp.Or(d.serial, set.Machine)
	d.taken = cmp.Or(set.Taken, d.taken)
	if len(set.Products) > 0 {
		d.counters, d.stock = make(map[string]int64, len(set.Products)), nil
		for _, p := range set.Products {
			d.counters[p.ID] = p.Sold + p.Free
			if p.Capacity > 0 && p.Capacity <= 10_000 {
				d.stock = append(d.stock, demand.Stock{Slot: p.ID, SKU: cmp.Or(p.Name, p.ID), Remaining: max(0, p.Capacity-p.SinceReset), Capacity: p.Capacity})
			}
		}
	}
	d.faults = nil
	for _, e := range set.Events {
		if word := e.Fault(); e.Active && word != "" && len(d.faults) < 100 {
			d.faults = append(d.faults, Fault{Code: word, Severity: Codes[word], Slot: e.Selection()})
		}
	}
}

// encoded marks a file that is kept in base64.
const encoded = "base64:"

// keepable is a file as the database can keep it: PostgreSQL takes neither NUL nor
// what is no UTF-8. Every byte stays, or the checksum would be another's.
func keepable(text []byte) string {
	if utf8.Valid(text) && bytes.IndexByte(text, 0) < 0 && !bytes.HasPrefix(text, []byte(encoded)) {
		return string(text)
	}
	return encoded + base64.StdEncoding.EncodeToString(text)
}

// kept undoes keepable.
func kept(body string) ([]byte, error) {
	code, ok := strings.CutPrefix(body, encoded)
	if !ok {
		return []byte(body), nil
	}
	text, err := base64.StdEncoding.DecodeString(code)
	if err != nil {
		return nil, fmt.Errorf("a file as it is kept: %w", err)
	}
	return text, nil
}

// fileAdmitted keeps files that the door let in for who.
func (s *System) fileAdmitted(ctx context.Context, who string, list []*filed, now time.Time) error {
	err := s.file(ctx, list, now)
	stored := len(list) // duplicates and refused ones too: the database worked as hard
	if err != nil {
		stored = 0
	}
	return s.leave(who, len(list), stored, err)
}

// file keeps files, in one transaction, and notes in each what became of it. The
// error is for all of them, and says that nothing is kept.
func (s *System) file(ctx context.Context, list []*filed, now time.Time) error {
	err := s.n.DB.Batch(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		b := filing{store: s.store, at: now.UnixMicro(), machines: map[string]*metered{}, standing: s.standing, due: func(m *metered) int64 {
			return s.nextCall(m.id, m.home, now).UnixMicro()
		}}
		return b.keep(ctx, tx, list)
	})
	if err != nil {
		return fmt.Errorf("store %d audits: %w", len(list), err)
	}
	for _, f := range list {
		if f.err == nil {
			s.measures.audits.WithLabelValues(string(f.file.Verdict)).Inc()
		}
	}
	return nil
}

// standing says whether a machine may bring audits to this house, and where it is.
func (s *System) standing(m *metered) error {
	if m.revoked {
		return errs.New(errs.Denied, "machine %s is revoked", m.id)
	}
	home, ok := s.city(m.city)
	if !ok {
		return fmt.Errorf("audit of machine %s: its city %s is not defined", m.id, m.city)
	}
	if s.foreign(home) {
		return s.elsewhere(home)
	}
	m.home = home
	return nil
}
