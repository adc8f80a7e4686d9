package slots

import (
	"archive/zip"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestNightsOnDaysThatAreNotLikeOthers(t *testing.T) {
	for _, c := range []struct{ zone, date, want string }{
		{"Europe/Berlin", "2026-03-29", "2026-03-29T00:00:00+01:00"},    // a day of 23 hours
		{"Africa/Cairo", "2024-04-26", "2024-04-26T01:00:00+03:00"},     // no midnight
		{"Asia/Beirut", "2024-03-31", "2024-03-31T01:00:00+03:00"},      // no midnight
		{"America/Havana", "2024-03-10", "2024-03-10T01:00:00-04:00"},   // no midnight
		{"America/Santiago", "2024-09-08", "2024-09-08T01:00:00-03:00"}, // no midnight
		{"America/Santiago", "2024-04-07", "2024-04-07T00:00:00-04:00"}, // 23:00 twice, on the day before
		{"America/Havana", "2024-11-03", "2024-11-03T00:00:00-04:00"},   // 00:00 twice
		{"America/St_Johns", "2010-11-07", "2010-11-07T00:00:00-02:30"}, // back to the day before at 00:01
		{"Pacific/Apia", "2011-12-31", "2011-12-31T00:00:00+14:00"},     // after the day that was skipped
	} {
		d, err := ParseDate(c.date)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := Night(d, zone(t, c.zone))
		if !ok || got.Format(time.RFC3339) != c.want {
			t.Errorf("%s in %s begins at %s, want %s", c.date, c.zone, got.Format(time.RFC3339), c.want)
		}
	}
	if start, ok := Night(Date{2011, time.December, 30}, zone(t, "Pacific/Apia")); ok {
		t.Errorf("Samoa had no 30 December 2011, yet its night begins at %s", start)
	}
}

// everyZone lists the zones that Go ships, from its own zip of the IANA database.
var everyZone = sync.OnceValues(func() ([]string, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	z, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	var names []string
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, "/") {
			names = append(names, f.Name)
		}
	}
	return names, nil
})

// isFirst checks Night's promise by looking at a clock, minute by minute.
func isFirst(d Date, loc *time.Location) error {
	start, ok := Night(d, loc)
	from, to := d.utc().Add(-30*time.Hour), d.utc().Add(54*time.Hour)
	if ok {
		if got := DateOf(start.In(loc)); got != d {
			return fmt.Errorf("%s: a clock shows %s at its first instant %s", loc, got, start)
		}
		if before := start.Add(-time.Nanosecond).In(loc); DateOf(before) == d {
			return fmt.Errorf("%s: %s had begun by %s", loc, d, before)
		}
		to = start
	}
	for at := from; at.Before(to); at = at.Add(time.Minute) {
		if DateOf(at.In(loc)) == d {
			return fmt.Errorf("%s: %s had begun by %s, not first at %s", loc, d, at.In(loc), start)
		}
	}
	return nil
}

// Every change of clocks that any zone made or will make, 1900 to 2037, and the
// days around it; and days at random, by rapid.
func TestNightIsTheFirstInstantOfItsDate(t *testing.T) {
	names, err := everyZone()
	if err != nil || len(names) < 400 {
		t.Fatalf("%d zones: %v", len(names), err)
	}
	checked, skipped := 0, 0
	seen := map[string]bool{} // many names share a zone: look at each change once
	for _, name := range names {
		loc := zone(t, name)
		at := time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).In(loc)
		for {
			_, end := at.ZoneBounds()
			if end.IsZero() || end.Year() > 2037 {
				break
			}
			at = end
			before, after := end.Add(-time.Second), end
			// A change far from midnight leaves the nights alone.
			h := before.Hour()
			if h > 2 && h < 21 && after.Hour() > 2 && after.Hour() < 21 && DateOf(before) == DateOf(after) {
				continue
			}
			key := fmt.Sprint(before, after)
			if seen[key] {
				continue
			}
			seen[key] = true
			for day := -1; day <= 1; day++ {
				d := DateOf(after).Add(day)
				if err := isFirst(d, loc); err != nil {
					t.Fatal(err)
				}
				if _, ok := Night(d, loc); !ok {
					skipped++
				}
				checked++
			}
		}
	}
	if checked < 1000 || skipped == 0 {
		t.Errorf("only %d days looked at, %d of them skipped", checked, skipped)
	}
	rapid.Check(t, func(t *rapid.T) {
		loc, _ := time.LoadLocation(rapid.SampledFrom(names).Draw(t, "zone"))
		d := Date{1970, 1, 1}.Add(rapid.IntRange(0, 25_000).Draw(t, "day"))
		if err := isFirst(d, loc); err != nil {
			t.Fatal(err)
		}
	})
}

// Nights follow each other, and a heard machine is next called in the night that
// begins after it was heard, within its window of elapsed time.
func TestTheNextCallIsInTheNextNight(t *testing.T) {
	names, err := everyZone()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		loc, _ := time.LoadLocation(rapid.SampledFrom(names).Draw(t, "zone"))
		now := time.Unix(rapid.Int64Range(0, 2e9).Draw(t, "now"), 0)
		window := time.Duration(rapid.Int64Range(int64(time.Minute), int64(6*time.Hour)).Draw(t, "window"))
		last, began := Tonight(now, loc)
		next, begins := NextNight(now, loc)
		if began.After(now) || !begins.After(now) || !begins.After(began) || last == next {
			t.Fatalf("%s: at %s tonight is %s (%s), next %s (%s)", loc, now, last, began, next, begins)
		}
		if gap := begins.Sub(began); gap > 49*time.Hour { // a skipped day, at most
			t.Fatalf("%s: %s between two nights", loc, gap)
		}
		at := NextCall("m-1", now, loc, window)
		if at.Before(begins) || !at.Before(begins.Add(window)) {
			t.Fatalf("%s: next call %s is not in the window from %s", loc, at, begins)
		}
		if first := FirstCall("m-1", now, loc, window); !first.After(now) || first.After(at) {
			t.Fatalf("%s: first call %s after %s, next %s", loc, first, now, at)
		}
	})
}

func TestDates(t *testing.T) {
	d, err := ParseDate("2024-02-28")
	if err != nil || d.Add(2).String() != "2024-03-01" || d.Add(-59).String() != "2023-12-31" {
		t.Error(d, err)
	}
	for _, bad := range []string{"", "2024-02-30", "24-2-3", "2024-02-28T00:00:00Z"} {
		if _, err := ParseDate(bad); err == nil {
			t.Errorf("%q is a date", bad)
		}
	}
}

func BenchmarkNextCall(b *testing.B) {
	loc := zone(b, "Europe/Berlin")
	for b.Loop() {
		NextCall("machine-188888", midnight, loc, time.Hour)
	}
}

func ExampleNight() {
	cairo, err := time.LoadLocation("Africa/Cairo")
	if err != nil {
		panic(err)
	}
	start, _ := Night(Date{2024, time.April, 26}, cairo)
	fmt.Println(start.Format("15:04 MST"), "is the first instant of that date")
	// Output: 01:00 EEST is the first instant of that date
}
