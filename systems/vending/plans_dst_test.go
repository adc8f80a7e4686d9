package vending

import (
	"context"
	"testing"
	"time"

	"plumb/engines/fleet/slots"
)

// Nights in which clocks change: the gate opens by what has passed since the night
// began in the city, once, whether midnight or 01:00 comes never, once or twice;
// and a machine that is told in one night when to call is told a time in the next.
func TestNightsInWhichClocksChange(t *testing.T) {
	for _, c := range []struct{ zone, date, start string }{
		{"Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00Z"},        // no midnight
		{"Asia/Beirut", "2026-03-29", "2026-03-28T22:00:00Z"},         // no midnight
		{"America/Havana", "2026-03-08", "2026-03-08T05:00:00Z"},      // no midnight
		{"America/Santiago", "2026-09-06", "2026-09-06T04:00:00Z"},    // no midnight
		{"America/Havana", "2026-11-01", "2026-11-01T04:00:00Z"},      // midnight twice
		{"America/Santiago", "2026-04-05", "2026-04-05T04:00:00Z"},    // 23:00 twice, before it
		{"Europe/London", "2026-10-25", "2026-10-24T23:00:00Z"},       // 01:00 twice
		{"America/New_York", "2026-11-01", "2026-11-01T04:00:00Z"},    // 01:00 twice
		{"America/New_York", "2026-03-08", "2026-03-08T05:00:00Z"},    // no 02:00
		{"Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00:00Z"}, // 01:30 twice
		{"Pacific/Chatham", "2026-09-27", "2026-09-26T11:15:00Z"},     // no 02:45
		{"Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z"},       // no 02:00
	} {
		t.Run(c.zone+" "+c.date, func(t *testing.T) {
			one(t, func(t *testing.T, h *house) { oneNight(t, h, c.zone, c.date, c.start) }, hasty)
		})
	}
}

func oneNight(t *testing.T, h *house, zone, date, start string) {
	ctx := context.Background()
	at, err := time.Parse(time.RFC3339, start)
	if err != nil {
		t.Fatal(err)
	}
	h.clock.Set(at.Add(-12 * time.Hour))
	get[cityOut](h, 200, "PUT", apiRoot+"/cities/Here", boss, map[string]any{"zone": zone, "depot": map[string]any{"lat": 1, "lon": 1}, "vehicles": 1, "capacity": 100, "shift_minutes": 480})
	tokens := map[string]string{}
	for _, id := range []string{"in", "late"} {
		tokens[id] = get[enrolledOut](h, 201, "POST", machinesPath, boss, map[string]any{"id": id, "city": "Here", "lat": 1.01, "lon": 1.01}).Token
		h.tell(tokens[id], "before", 0)
	}
	plans := func(after time.Duration) []Plan {
		t.Helper()
		h.clock.Set(at.Add(after))
		h.tonight.forget()
		if err := h.openGates(ctx); err != nil {
			t.Fatal(err)
		}
		h.work()
		list, err := h.Plans(ctx, "Here", 10)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	h.clock.Set(at.Add(20 * time.Minute))
	told := get[receiptOut](h, 200, "POST", reportsPath, tokens["in"], h.report("tonight"))
	call, err := time.Parse(wireTime, told.NextReportAt)
	if err != nil {
		t.Fatal(err)
	}
	if next, ok := slots.Night(h.date(t, date).Add(1), zoneOf(t, zone)); !ok || call.Before(next) || !call.Before(next.Add(h.c.Window)) {
		t.Errorf("told to report at %s; the next night begins at %s", told.NextReportAt, next)
	}
	for _, early := range []time.Duration{-time.Minute, 59 * time.Minute, 61 * time.Minute, 119 * time.Minute} {
		if list := plans(early); len(list) != 0 {
			t.Fatalf("planned %s into the night: %+v", early, list[0])
		}
	}
	for _, done := range []time.Duration{2 * time.Hour, 3 * time.Hour, 5 * time.Hour} {
		list := plans(done)
		if len(list) != 1 || list[0].Date.String() != date || list[0].State != planDone || list[0].Stale != 1 || list[0].Visits != 2 {
			t.Fatalf("%s into the night: %+v", done, list)
		}
	}
}

func (h *house) date(t *testing.T, text string) slots.Date {
	t.Helper()
	d, err := slots.ParseDate(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
