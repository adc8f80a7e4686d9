// Package dts reads EVA-DTS audit files (European Vending and Coffee Service
// Association, Data Transfer Standard 5 and 6), as vending machines write them:
//
//	DXS*9259630009*VA*V1/1*1
//	ST*001*0001
//	ID1*WTN11120310057*GVC2*9660
//	PA1*10*75
//	PA2*367*27525*12*900
//	G85*E8BC
//	SE*6*0001
//	DXE*1*1
//
//	f, err := dts.Read(text)
//	for _, set := range f.Sets {
//		fmt.Println(set.Verdict, set.Machine, len(set.Products))
//	}
//
// Files in the field have what the standard does not: other line ends, a gateway's
// own text around them or before DXS, several sets, sets that stand twice, no
// envelope at all, wrong counts in SE. None of it makes a file unreadable: records
// that are not known are counted, and what is odd is a warning with its line.
package dts

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"plumb/base/errs"
)

// Limits of a file. Real ones have 3 kB and 50 to 350 lines.
const (
	MaxBytes    = 1 << 20
	maxLines    = 65_536
	maxSets     = 64
	maxProducts = 2000 // in a set
	maxEvents   = 1000 // in a set
	maxWarnings = 100
)

// Verdict is what the checksum says.
type Verdict string

// The verdicts, from good to bad.
const (
	OK          Verdict = "ok"
	NoChecksum  Verdict = "no_checksum"
	BadChecksum Verdict = "bad_checksum"
)

// worse returns the worse of two verdicts.
func worse(a, b Verdict) Verdict {
	if a == BadChecksum || b == OK {
		return a
	}
	if b == BadChecksum || a == OK {
		return b
	}
	return NoChecksum
}

// File is what was read: one set or more.
type File struct {
	Verdict  Verdict // the worst of its sets
	Sets     []Set
	Warnings []string // "line 12: ..."
}

// Set is one audit of one machine.
type Set struct {
	Verdict  Verdict
	Line     int    // where it begins, from 1
	Machine  string // serial number (ID101); "" where the machine does not say
	Model    string // ID102
	Build    string // ID103
	Decimals int    // of its money (ID401), 0 to 6
	Currency string // ISO 4217 number or letters (ID403)
	Taken    string // the machine's clock (ID5) as "2006-01-02T15:04:05", of no zone; "" without
	Sold     int64  // vends since it was initialised (VA102)
	Value    int64  // of them, in units of Decimals (VA101)
	Cash     Cash
	Products []Product
	Events   []Event
	Unknown  int // records of kinds that are not read here
}

// Cash is what the coin mechanism counted, in units of the set's Decimals.
type Cash struct {
	Sales int64 // paid in cash since it was initialised (CA201)
	Box   int64 // in the cash box since the last reset (CA302)
	Tubes int64 // in the tubes now (CA1501 of all, or of CA17)
}

// Product is one selection.
type Product struct {
	ID         string // PA101: what a customer keys in
	Name       string // PA103
	Price      int64  // PA102
	Capacity   int64  // PA104; 0: not said
	Sold       int64  // since it was initialised (PA201)
	Value      int64  // of them (PA202)
	SinceReset int64  // sold since somebody last reset the interval (PA203), as is done with a refill
	Free       int64  // given away since it was initialised (PA401)
	SoldOut    bool   // at least once since that reset (PA501, PA503)
}

// Event is something that happened to the machine.
type Event struct {
	Code   string // "EGS", or "EJL_12" where the maker names the selection too
	Count  int64  // since the last reset (EA202)
	Active bool   // it lasts (EA205)
}

// Read reads a file. Errors: TooLarge; Invalid when there is no record in it.
func Read(text []byte) (File, error) {
	if len(text) > MaxBytes {
		return File{}, errs.New(errs.TooLarge, "an audit file may have %d bytes, not %d", MaxBytes, len(text))
	}
	if n := bytes.Count(text, []byte{'\n'}) + bytes.Count(text, []byte{'\r'}); n > 2*maxLines {
		return File{}, errs.New(errs.TooLarge, "an audit file may have %d lines, not some %d", maxLines, n)
	}
	r := reader{lines: split(text)}
	starts := r.starts()
	if len(starts) > maxSets {
		return File{}, errs.New(errs.TooLarge, "an audit file may have %d sets, not %d", maxSets, len(starts))
	}
	f := File{Verdict: OK}
	if len(starts) == 0 { // no envelope: the whole is one set
		starts = []int{0}
		r.warn(0, "no set begins here (ST): the whole file is taken for one, without a checksum")
	}
	records := 0
	for i, from := range starts {
		to := len(r.lines)
		if i+1 < len(starts) {
			to = starts[i+1]
		}
		set, n, err := r.set(from, to)
		if err != nil {
			return File{}, err
		}
		records += n
		f.Sets = append(f.Sets, set)
		f.Verdict = worse(f.Verdict, set.Verdict)
	}
	if records == 0 {
		return File{}, errs.New(errs.Invalid, "this is no EVA-DTS file: line 1 to %d hold none of its records", len(r.lines))
	}
	f.Warnings = r.warnings
	return f, nil
}

// split cuts the text into lines, whatever ends them.
func split(text []byte) [][]byte {
	lines := make([][]byte, 0, 1+bytes.Count(text, []byte{'\n'}))
	for {
		i := bytes.IndexAny(text, "\r\n")
		if i < 0 {
			return append(lines, text)
		}
		lines = append(lines, text[:i])
		if text[i] == '\r' && i+1 < len(text) && text[i+1] == '\n' {
			i++
		}
		text = text[i+1:]
	}
}

type reader struct {
	lines    [][]byte
	warnings []string
}

// warn notes what is odd about a line, numbered from 0.
func (r *reader) warn(line int, format string, args ...any) {
	if len(r.warnings) < maxWarnings {
		r.warnings = append(r.warnings, fmt.Sprintf("line %d: ", line+1)+fmt.Sprintf(format, args...))
	}
}

// starts returns the lines in which sets begin.
func (r *reader) starts() (list []int) {
	for i, l := range r.lines {
		if is(l, "ST") {
			list = append(list, i)
		}
	}
	return list
}

// is says whether a line is a record of a kind.
func is(line []byte, kind string) bool {
	return len(line) > len(kind) && string(line[:len(kind)]) == kind && line[len(kind)] == '*'
}

// set reads the lines from..to, of which the first is its ST, or the first of a
// file without one. n is how many records of known form were in it.
func (r *reader) set(from, to int) (s Set, n int, err error) {
	s = Set{Line: from + 1, Verdict: NoChecksum, Decimals: 2}
	whole := !is(r.lines[from], "ST")
	stop := to
	for i := from + 1; i < to; i++ {
		if !whole && (is(r.lines[i], "SE") || is(r.lines[i], "DXE")) {
			stop = i
			break
		}
	}
	sum := uint16(0)
	summed := false
	b := builder{r: r, s: &s}
	for i := from; i < stop; i++ {
		line := r.lines[i]
		if is(line, "G85") && !summed && !whole && i > from {
			summed = true
			s.Verdict = r.judge(i, sum)
		}
		if !summed {
			sum = crc(crc(sum, line), crlf)
		}
		kind, ok := kindOf(line)
		if !ok {
			continue // free text
		}
		n++
		if err := b.record(i, kind, line); err != nil {
			return s, n, err
		}
	}
	if stop < to && is(r.lines[stop], "SE") {
		if want, ok := number(field(r.lines[stop], 1)); ok && want != int64(stop-from+1) {
			r.warn(stop, "SE counts %d records, there are %d: often so in good files", want, stop-from+1)
		}
	}
	b.end()
	return s, n, nil
}

// judge compares the checksum of a G85 record.
func (r *reader) judge(line int, sum uint16) Verdict {
	want := strings.ToLower(strings.TrimSpace(string(field(r.lines[line], 1))))
	if have := fmt.Sprintf("%04x", sum); want != have {
		r.warn(line, "the checksum is %.20q, the records make %s", strings.ToValidUTF8(want, "\uFFFD"), have)
		return BadChecksum
	}
	return OK
}

// kindOf returns the kind of a record: letters and digits before the first "*".
func kindOf(line []byte) ([]byte, bool) {
	i := bytes.IndexByte(line, '*')
	if i < 2 || i > 5 || line[0] < 'A' || line[0] > 'Z' {
		return nil, false
	}
	for _, c := range line[:i] {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return nil, false
		}
	}
	return line[:i], true
}

// field returns a field of a record by its number in the standard, from 1; nil
// when it is not there.
func field(line []byte, n int) []byte {
	for ; n > 0; n-- {
		i := bytes.IndexByte(line, '*')
		if i < 0 {
			return nil
		}
		line = line[i+1:]
	}
	if i := bytes.IndexByte(line, '*'); i >= 0 {
		line = line[:i]
	}
	return line
}

// number reads a whole number of up to 15 digits.
func number(b []byte) (int64, bool) {
	b = bytes.TrimSpace(b)
	if len(b) == 0 || len(b) > 15 {
		return 0, false
	}
	v := int64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int64(c-'0')
	}
	return v, true
}

// text returns a field as readable text of up to 64 characters: machines write
// UTF-8, or a code page of western letters.
func text(b []byte) string {
	b = bytes.TrimSpace(b)
	if plain(b) {
		return string(b)
	}
	if !utf8.Valid(b) {
		runes := make([]rune, len(b))
		for i, c := range b {
			runes[i] = rune(c)
		}
		b = []byte(string(runes))
	}
	clean := strings.Map(func(r rune) rune {
		if r < 32 || r >= 127 && r < 160 {
			return -1
		}
		return r
	}, string(b))
	if n := []rune(clean); len(n) > 64 {
		clean = string(n[:64])
	}
	return strings.TrimSpace(clean)
}

// plain says whether b is short and of printable ASCII, as most fields are.
func plain(b []byte) bool {
	for _, c := range b {
		if c < 32 || c > 126 {
			return false
		}
	}
	return len(b) <= 64
}

// stamp reads a date (YYMMDD or YYYYMMDD) and a time (HHMM or HHMMSS); "" for what is
// none.
func stamp(date, clock []byte) string {
	var digits [14]byte
	d, t := bytes.TrimSpace(date), bytes.TrimSpace(clock)
	if len(d) != 6 && len(d) != 8 || len(t) != 0 && len(t) != 4 && len(t) != 6 {
		return ""
	}
	text := append(digits[:0], "20"[:8-len(d)]...)
	text = append(append(text, d...), t...)
	text = append(text, "000000"[len(t):]...)
	at, err := time.Parse("20060102150405", string(text))
	if err != nil {
		return ""
	}
	return at.Format("2006-01-02T15:04:05")
}

// decimals reads ID401.
func decimals(b []byte) (int, bool) {
	n, err := strconv.Atoi(string(bytes.TrimSpace(b)))
	return n, err == nil && n >= 0 && n <= 6
}
