package slots

import (
	"fmt"
	"time"
)

// Date is a day in a calendar, in no zone.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// ParseDate reads "2026-03-01".
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, fmt.Errorf("%q is not a date such as 2026-03-01", s)
	}
	return DateOf(t), nil
}

// DateOf returns the date that a clock in t's zone shows at t.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{y, m, d}
}

// String writes d as "2026-03-01".
func (d Date) String() string { return d.utc().Format(time.DateOnly) }

// Add returns the date n days after d; before it when n is negative.
func (d Date) Add(n int) Date { return DateOf(d.utc().AddDate(0, 0, n)) }

func (d Date) utc() time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }

// reach is more than the furthest that a zone ever stood from UTC (Manila's
// local mean time until 1844: -15:56).
const reach = 17 * time.Hour

// Night returns the first instant whose local date in zone is d. That is not
// always 00:00: where clocks spring forward at midnight (Cairo, Beirut, Havana,
// Santiago) there is none, and the night begins at 01:00. Where they fall back
// over midnight the date begins twice, and the night with the first. A date that
// a zone skipped (Samoa, 30 December 2011) has no night: ok is false.
func Night(d Date, zone *time.Location) (start time.Time, ok bool) {
	first, last := d.utc(), d.Add(1).utc()
	// Between two changes of its clocks a zone is a plain shift of UTC.
	for t := first.Add(-reach); t.Before(last.Add(reach)); {
		local := t.In(zone)
		_, offset := local.Zone()
		shift := time.Duration(offset) * time.Second
		_, end := local.ZoneBounds()
		from := first.Add(-shift)
		if from.Before(t) {
			from = t
		}
		if from.Before(last.Add(-shift)) && (end.IsZero() || from.Before(end)) {
			return from.In(zone), true
		}
		if end.IsZero() {
			break
		}
		t = end
	}
	return time.Time{}, false
}

// Tonight returns the latest night in zone that has begun at now, and its date.
func Tonight(now time.Time, zone *time.Location) (Date, time.Time) {
	return seek(now, zone, 1, -1)
}

// NextNight returns the first night in zone that begins after now, and its date.
func NextNight(now time.Time, zone *time.Location) (Date, time.Time) {
	return seek(now, zone, -1, 1)
}

// seek walks the dates around now in steps of one until a night lies on the
// wanted side: not after now when step is -1, after it when step is 1.
func seek(now time.Time, zone *time.Location, from, step int) (Date, time.Time) {
	for d := DateOf(now.In(zone)).Add(from); ; d = d.Add(step) {
		start, ok := Night(d, zone)
		if ok && start.After(now) == (step > 0) {
			return d, start
		}
	}
}

// NextCall returns when id is to call after it was heard at now: in the first
// night that begins after now. A machine heard early in its window has done its
// duty for that night and is not asked twice.
func NextCall(id string, now time.Time, zone *time.Location, window time.Duration) time.Time {
	_, start := NextNight(now, zone)
	return Window{start, window}.At(id)
}

// FirstCall returns id's next moment after now, tonight's too if it is still to
// come: when a machine that was never heard is expected.
func FirstCall(id string, now time.Time, zone *time.Location, window time.Duration) time.Time {
	_, start := Tonight(now, zone)
	if at := (Window{start, window}).At(id); at.After(now) {
		return at
	}
	return NextCall(id, now, zone, window)
}
