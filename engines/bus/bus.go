// Package bus carries announcements: between the rooms of one process in
// memory, between processes over NATS.
//
// A message is delivered at most once. Who was not there, or was too slow, has
// missed it: what must arrive is in the database, and the bus only says "look":
//
//	stop, err := b.Subscribe("vending.report.*", func(subject string, data []byte) { ... })
//	err = b.Publish(ctx, "vending.report.berlin", payload)
//
// One suite (bustest.Suite) holds both implementations to this contract.
package bus

import (
	"context"
	"strings"

	"plumb/base/errs"
)

// Limits of every bus.
const (
	MaxPayload = 256 << 10 // bytes of a message; a NATS server takes 1 MiB unless told otherwise
	MaxSubject = 255       // bytes of a subject

	// A subscriber's queue; what comes when it is full is dropped and counted.
	queueMessages = 8192
	queueBytes    = 16 << 20
)

// Bus is a way to announce. It is safe for concurrent use. Its errors have
// these kinds (base/errs): Invalid (the subject), TooLarge (the payload), Busy
// (not connected and nothing more can be kept, or closed).
type Bus interface {
	// Publish hands data to whoever subscribes to subject now, the publisher
	// itself included. It never waits for a subscriber. nil means sent or, while
	// NATS is away, kept to be sent within a bounded buffer; not that anybody got it.
	Publish(ctx context.Context, subject string, data []byte) error

	// Subscribe calls fn with every message whose subject matches: "*" stands
	// for one word, a last ">" for one or more. Calls of one subscription come
	// one after the other, in the order in which each publisher sent them; data
	// is shared between subscribers and must not be changed. From when it
	// returns nil, nothing published through this bus is missed but by drops;
	// other processes behind other servers of a cluster may need an instant to
	// know of it. After stop has returned no call begins; one may still be under
	// way. stop may be called from fn, and more than once.
	Subscribe(subject string, fn func(subject string, data []byte)) (stop func(), err error)

	// Ping says whether messages reach the other processes now.
	Ping(ctx context.Context) error

	// Stats counts since the bus was made.
	Stats() Stats

	// Close ends all subscriptions and waits for the calls under way; so not to
	// be called from a subscriber.
	Close() error
}

// Stats counts messages.
type Stats struct {
	Published int64 // taken by Publish
	Delivered int64 // calls of subscribers, begun
	Dropped   int64 // deliveries dropped because a subscriber's queue was full
}

// checkSubject says whether subject is words of A-Z a-z 0-9 _ - joined by dots;
// with wild, a word may be "*", and the last one ">".
func checkSubject(subject string, wild bool) error {
	if subject == "" || len(subject) > MaxSubject {
		return errs.New(errs.Invalid, "a subject must have 1 to %d bytes, not %d", MaxSubject, len(subject))
	}
	for rest, more := subject, true; more; {
		var word string
		word, rest, more = strings.Cut(rest, ".")
		if wild && (word == "*" || word == ">" && !more) {
			continue
		}
		if !isWord(word) {
			return errs.New(errs.Invalid, "subject %.80q: %.40q is not a word of letters, digits, _ and -", subject, word)
		}
	}
	return nil
}

func isWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' {
			continue
		}
		return false
	}
	return s != ""
}

func checkPublish(ctx context.Context, subject string, data []byte) error {
	if err := checkSubject(subject, false); err != nil {
		return err
	}
	if len(data) > MaxPayload {
		return errs.New(errs.TooLarge, "publish %s: a message may have %d bytes, not %d", subject, MaxPayload, len(data))
	}
	return ctx.Err()
}

// matches says whether subject, which has no wildcards, matches pattern.
func matches(pattern, subject string) bool {
	for {
		p, pRest, pMore := strings.Cut(pattern, ".")
		s, sRest, sMore := strings.Cut(subject, ".")
		switch {
		case p == ">":
			return true
		case p != "*" && p != s:
			return false
		case !pMore || !sMore:
			return pMore == sMore
		}
		pattern, subject = pRest, sRest
	}
}
