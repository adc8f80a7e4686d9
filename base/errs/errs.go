// Package errs names the kinds of failure that a caller can act on.
//
// A room says what went wrong in words fit for a person; the edge (HTTP, MQTT,
// command line) turns the kind into a status in one table:
//
//	if city == "" {
//		return errs.New(errs.Invalid, "a machine needs a city")
//	}
//	...
//	return fmt.Errorf("enrol machine %s: %w", id, err) // context, once
//
// An error that nobody classified is Internal: it is logged, and its text is
// shown to nobody.
package errs

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what the caller should do about an error.
type Kind string

// The kinds, and what a caller should do.
const (
	Internal Kind = "internal"  // our fault: log it, show nothing
	Invalid  Kind = "invalid"   // the request is wrong: show why
	NotFound Kind = "not found" // no such thing
	Denied   Kind = "denied"    // known, but not allowed
	Unknown  Kind = "unknown"   // who asks? sign in, or send a token
	Conflict Kind = "conflict"  // somebody was first, or the same id stands for something else
	Busy     Kind = "busy"      // nothing was done: try again later
	TooLarge Kind = "too large" // over a stated limit
	Stale    Kind = "stale"     // what the request takes for granted has changed: look again
	Barred   Kind = "barred"    // taken down, for everybody
)

// ErrFull marks a Busy error whose cause is a full disk or store: nothing was kept,
// and it will work again when there is room. HTTP has a status of its own for it.
var ErrFull = errors.New("there is no room")

// Detail is one fault in a request that may have several.
type Detail struct {
	Where string // the path of the field: "slots[3].remaining", or "line 7"
	What  string // what is wrong with it
}

type kinded struct {
	kind    Kind
	msg     string
	details []Detail
	after   time.Duration
	cause   error
}

func (e *kinded) Error() string {
	if e.cause != nil {
		return e.msg + ": " + e.cause.Error()
	}
	return e.msg
}

func (e *kinded) Unwrap() error { return e.cause }

// New returns an error of kind k whose message is fit for a person to read.
// Text that the message quotes is made valid UTF-8.
func New(k Kind, format string, args ...any) error {
	return &kinded{kind: k, msg: strings.ToValidUTF8(fmt.Sprintf(format, args...), "\uFFFD")}
}

// Wrap classifies cause, which stays in the log and out of the message shown.
func Wrap(k Kind, cause error, format string, args ...any) error {
	return &kinded{kind: k, msg: strings.ToValidUTF8(fmt.Sprintf(format, args...), "\uFFFD"), cause: cause}
}

// WithDetails returns an Invalid error that lists every fault at once.
func WithDetails(msg string, details []Detail) error {
	return &kinded{kind: Invalid, msg: msg, details: details}
}

// TryAfter returns a Busy error that says when to come again.
func TryAfter(d time.Duration, format string, args ...any) error {
	return &kinded{kind: Busy, msg: fmt.Sprintf(format, args...), after: d}
}

// KindOf returns err's kind. An error nobody classified is Internal.
func KindOf(err error) Kind {
	var e *kinded
	if errors.As(err, &e) {
		return e.kind
	}
	return Internal
}

// Is says whether err is of kind k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// Message returns the text to show to whoever asked: what the classified
// error says, with the context that was wrapped around it left to the log.
// It is empty for an Internal error.
func Message(err error) string {
	var e *kinded
	if !errors.As(err, &e) || e.kind == Internal {
		return ""
	}
	return e.msg
}

// Details returns the faults that err lists, if any.
func Details(err error) []Detail {
	var e *kinded
	if errors.As(err, &e) {
		return e.details
	}
	return nil
}

// RetryAfter returns how long a Busy error asks to wait; 0 when it does not say.
func RetryAfter(err error) time.Duration {
	var e *kinded
	if errors.As(err, &e) {
		return e.after
	}
	return 0
}
