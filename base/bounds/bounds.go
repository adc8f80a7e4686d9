// Package bounds gathers every fault of an input, so that one answer names them all.
//
//	var b bounds.Check
//	b.Text("report_id", r.ID, 1, 128)
//	b.Int("slots[0].remaining", s.Remaining, 0, 100_000)
//	return b.Err("the report is not valid")
package bounds

import (
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"plumb/base/errs"
)

// most bounds the faults that are listed: a hostile body has no end of them.
const most = 20

// Check collects faults. Its zero value is ready.
type Check struct {
	details []errs.Detail
	more    int
}

// Fault records that the value at where is wrong.
func (c *Check) Fault(where, format string, args ...any) {
	if len(c.details) == most {
		c.more++
		return
	}
	c.details = append(c.details, errs.Detail{Where: where, What: fmt.Sprintf(format, args...)})
}

// Text checks that s is valid UTF-8 of min to max bytes without control characters.
func (c *Check) Text(where, s string, min, max int) {
	switch {
	case len(s) < min && min == 1:
		c.Fault(where, "is missing")
	case len(s) < min || len(s) > max:
		c.Fault(where, "must have %d to %d bytes, not %d", min, max, len(s))
	case !utf8.ValidString(s):
		c.Fault(where, "is not valid UTF-8")
	default:
		for _, r := range s {
			if unicode.IsControl(r) {
				c.Fault(where, "holds a control character")
				return
			}
		}
	}
}

// Int checks that min <= v <= max.
func (c *Check) Int(where string, v, min, max int64) {
	if v < min || v > max {
		c.Fault(where, "must be %d to %d, not %d", min, max, v)
	}
}

// Float checks that min <= v <= max, and that v is a number.
func (c *Check) Float(where string, v, min, max float64) {
	if math.IsNaN(v) || v < min || v > max {
		c.Fault(where, "must be %g to %g, not %g", min, max, v)
	}
}

// OneOf checks that v is one of the words.
func (c *Check) OneOf(where, v string, words ...string) {
	for _, w := range words {
		if v == w {
			return
		}
	}
	c.Fault(where, "must be one of %v", words)
}

// Err returns nil, or an Invalid error that lists the faults.
func (c *Check) Err(msg string) error {
	if len(c.details) == 0 {
		return nil
	}
	if c.more > 0 {
		msg = fmt.Sprintf("%s (and %d more faults)", msg, c.more)
	}
	return errs.WithDetails(fmt.Sprintf("%s: %s %s", msg, c.details[0].Where, c.details[0].What), c.details)
}

// Plain returns at most most bytes of a text from outside, made valid UTF-8 and rid of
// what could play tricks on a terminal, a log or a page: line ends and tabs become
// spaces, other characters that do not print U+FFFD.
func Plain(s string, most int) string {
	s = strings.ToValidUTF8(s[:min(len(s), most)], "\uFFFD")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '\uFFFD'
		}
		return r
	}, s)
}
