package vending

import (
	"time"
	"unicode/utf8"
)

// scanReport reads a report as nearly every machine writes it: the known fields,
// each once, strings without escapes, whole numbers. ok is false for anything else,
// which the strict decoder then reads or refuses with its reasons: where both read
// a text, they read the same (a fuzz test holds them to it). It takes a fifth of the
// decoder's time, which was the largest part of a report's.
func scanReport(text []byte) (r Report, ok bool) {
	// One copy for all strings of the report.
	s := scanner{text: string(text)}
	r.Slots = make([]Slot, 0, min(len(text)/64+1, 64))
	var seen [6]bool
	ok = s.object(func(key string) bool {
		switch key {
		case "report_id":
			return first(&seen[0]) && s.string(&r.ID)
		case "taken_at":
			return first(&seen[1]) && s.time(&r.Taken) && r.Taken.UTC().Year() >= 1 && r.Taken.UTC().Year() <= 9999
		case "slots":
			return first(&seen[2]) && s.array(func() bool { return len(r.Slots) < 500 && s.slot(&r) })
		case "faults":
			return first(&seen[3]) && s.array(func() bool { return len(r.Faults) < 100 && s.fault(&r) })
		case "firmware":
			return first(&seen[4]) && s.string(&r.Firmware)
		case "config":
			return first(&seen[5]) && s.string(&r.Config)
		}
		return false
	})
	s.space()
	return r, ok && s.at == len(s.text)
}

// scanID finds the id of a report that is not read otherwise, for the answer: "" where
// it does not stand in the first 4 KiB, or not without escapes. Of a text that the
// decoder reads it finds the id that the decoder finds, or none.
func scanID(text []byte) (id string) {
	s := scanner{text: string(text[:min(len(text), 4<<10)])}
	s.object(func(key string) bool {
		if key != "report_id" {
			return s.pass()
		}
		if s.string(&key) {
			id = key
		}
		return false // nothing else is looked for
	})
	return id
}

// first says whether a field comes for the first time.
func first(seen *bool) bool {
	was := *seen
	*seen = true
	return !was
}

// scanner stands in a JSON text. Its methods return false where they do not know
// what they see; nothing is read after that.
type scanner struct {
	text string
	at   int
}

func (s *scanner) slot(r *Report) bool {
	var one Slot
	var seen [5]bool
	ok := s.object(func(key string) bool {
		switch key {
		case "slot":
			return first(&seen[0]) && s.string(&one.Slot)
		case "sku":
			return first(&seen[1]) && s.string(&one.SKU)
		case "remaining":
			return first(&seen[2]) && s.number(&one.Remaining)
		case "capacity":
			return first(&seen[3]) && s.number(&one.Capacity)
		case "price":
			one.Price = new(int64)
			return first(&seen[4]) && s.number(one.Price)
		}
		return false
	})
	r.Slots = append(r.Slots, one)
	return ok && seen[2] && seen[3] // a number that was left out is not a zero
}

func (s *scanner) fault(r *Report) bool {
	var one Fault
	var seen [4]bool
	ok := s.object(func(key string) bool {
		switch key {
		case "code":
			return first(&seen[0]) && s.string(&one.Code)
		case "severity":
			return first(&seen[1]) && s.string(&one.Severity)
		case "slot":
			return first(&seen[2]) && s.string(&one.Slot)
		case "since":
			one.Since = new(time.Time)
			return first(&seen[3]) && s.time(one.Since)
		}
		return false
	})
	r.Faults = append(r.Faults, one)
	return ok
}

// object reads {"key": value, ...}; field reads the value of a key.
func (s *scanner) object(field func(key string) bool) bool {
	if !s.is('{') {
		return false
	}
	if s.is('}') {
		return true
	}
	for {
		var key string
		if !s.string(&key) || !s.is(':') || !field(key) {
			return false
		}
		if s.is('}') {
			return true
		}
		if !s.is(',') {
			return false
		}
	}
}

// array reads [element, ...].
func (s *scanner) array(element func() bool) bool {
	if !s.is('[') {
		return false
	}
	if s.is(']') {
		return true
	}
	for element() {
		if s.is(']') {
			return true
		}
		if !s.is(',') {
			return false
		}
	}
	return false
}

// is passes over space and a character, if that comes next.
func (s *scanner) is(c byte) bool {
	s.space()
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) space() {
	for s.at < len(s.text) && (s.text[s.at] == ' ' || s.text[s.at] == '\n' || s.text[s.at] == '\r' || s.text[s.at] == '\t') {
		s.at++
	}
}

// string reads one without escapes.
func (s *scanner) string(to *string) bool {
	if !s.is('"') {
		return false
	}
	from, ascii := s.at, true
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			*to = s.text[from:s.at]
			s.at++
			return ascii || utf8.ValidString(*to)
		case c == '\\' || c < ' ':
			return false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return false
}

// pass passes over the value of a field, up to the comma or brace behind it; it need
// not be well formed.
func (s *scanner) pass() bool {
	for depth := 0; s.at < len(s.text); {
		switch c := s.text[s.at]; {
		case c == '"':
			var text string
			if !s.string(&text) {
				return false
			}
			continue
		case depth == 0 && (c == ',' || c == '}'):
			return true
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		s.at++
	}
	return false
}

// number reads a whole number of up to 18 digits.
func (s *scanner) number(to *int64) bool {
	s.space()
	minus := s.at < len(s.text) && s.text[s.at] == '-'
	if minus {
		s.at++
	}
	from, v := s.at, int64(0)
	for ; s.at < len(s.text) && s.text[s.at] >= '0' && s.text[s.at] <= '9'; s.at++ {
		if s.at-from == 18 {
			return false
		}
		v = 10*v + int64(s.text[s.at]-'0')
	}
	if digits := s.at - from; digits == 0 || digits > 1 && s.text[from] == '0' {
		return false
	}
	if s.at < len(s.text) && (s.text[s.at] == '.' || s.text[s.at] == 'e' || s.text[s.at] == 'E') {
		return false // 5.0 is a whole number too, and the decoder's affair
	}
	if minus {
		v = -v
	}
	*to = v
	return true
}

func (s *scanner) time(to *time.Time) bool {
	var text string
	if !s.string(&text) {
		return false
	}
	return to.UnmarshalText([]byte(text)) == nil
}
