// Package slots decides when a machine calls, and what a server says to it when
// too many call at once. It does no I/O and reads no clock: every function takes
// the time, so that a machine, a server and a simulation of two million machines
// in virtual time run the same code.
//
// A fleet that all calls at midnight is a herd. Four things spread it out:
//
//   - a slot in a window after the city's midnight, from a hash of the machine's
//     id: stable, even, and stored nowhere (Window, Night);
//   - full-jitter exponential backoff when a call fails (Backoff, Caller);
//   - a bounded queue before the database that refuses early, and gives whoever
//     it refuses a slot of their own to come back in (Admission);
//   - a breaker that stops calls to a database which does not answer (Breaker).
//
// For example, where a machine's slot lies tonight:
//
//	night, _ := slots.Night(slots.Date{2026, time.March, 1}, berlin)
//	at := slots.Window{Start: night, Length: time.Hour}.At("machine-17")
package slots

import (
	"math/bits"
	"time"
)

// Width is the length of one slot. A machine calls at a moment inside its slot
// that changes from night to night, so that two machines which share a slot do
// not collide every time.
const Width = time.Second

// Window is the time in which a fleet is to call: Length of elapsed time from
// Start. A change of the clocks inside it neither shortens nor lengthens it.
type Window struct {
	Start  time.Time
	Length time.Duration
}

// End returns the first instant after the window.
func (w Window) End() time.Time { return w.Start.Add(w.Length) }

// Slot returns where id's slot begins. The same id has the same place in every
// window of this length, in every version of this program. A window shorter
// than Width is one slot.
func (w Window) Slot(id string) time.Time {
	slots := max(1, uint64(w.Length/Width))
	place, _ := bits.Mul64(Hash(id), slots) // even over 0..slots-1 (Lemire 2016, without the rejection)
	return w.Start.Add(time.Duration(place) * Width)
}

// At returns when id is to call: its slot and a jitter inside it, which depends
// on id and the window's start only. So a repeated question gets the same answer.
func (w Window) At(id string) time.Time {
	width := min(Width, w.Length)
	if width <= 0 {
		return w.Start
	}
	night := mix(uint64(w.Start.Unix()))
	jitter, _ := bits.Mul64(mix(Hash(id)^night), uint64(width))
	return w.Slot(id).Add(time.Duration(jitter))
}

// Hash returns 64 even bits of id: FNV-1a (Fowler, Noll, Vo), whose high bits
// are poor for short ids, finished with MurmurHash3's mixer (Appleby).
func Hash(id string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h ^= uint64(id[i])
		h *= 1099511628211
	}
	return mix(h)
}

func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
