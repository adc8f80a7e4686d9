package vending

import (
	"context"
	"fmt"
	"sync"
	"time"

	"plumb/engines/fleet/slots"
	"plumb/engines/sqldb"
)

// Tonight is how the night stands: for each city the last that has begun there.
type Tonight struct {
	Now    time.Time
	Total  Night // sums over the cities; Date, Start and End are empty
	Cities []Night
}

// Night is one city's night.
type Night struct {
	City     string
	Zone     string
	Date     slots.Date
	Start    time.Time // the first instant of Date in the city
	End      time.Time // of the window
	Machines int       // in good standing
	Reported int       // heard since Start
	Late     int       // overdue, and the grace is over too
	Waiting  int       // still expected in this night
	New      int       // enrolled since, never heard, and not expected before the next night
	Faulty   int
	Progress float64 // of the window, by time: 0 to 1
}

// Share returns the part of the expected machines that reported, 0 to 1.
func (n Night) Share() float64 {
	if n.Machines == n.New {
		return 0
	}
	return float64(n.Reported) / float64(n.Machines-n.New)
}

// fresh is how long a count of the fleet is shown before it is made anew: a
// count of a million machines takes a tenth of a second.
const fresh = 2 * time.Second

// tonight keeps the last Tonight for a moment. The lock is held while counting,
// so that a hundred readers count once.
type tonight struct {
	mu    sync.Mutex
	last  Tonight
	until time.Time
}

func (t *tonight) forget() {
	t.mu.Lock()
	t.until = time.Time{}
	t.mu.Unlock()
}

// Tonight returns how the night stands, two seconds old at most.
func (s *System) Tonight(ctx context.Context) (Tonight, error) {
	s.tonight.mu.Lock()
	defer s.tonight.mu.Unlock()
	now := s.n.Clock.Now()
	if now.Before(s.tonight.until) {
		return s.tonight.last, nil
	}
	t := Tonight{Now: now}
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		t.Cities, t.Total = nil, Night{}
		for _, c := range s.Cities() {
			n, err := s.night(ctx, tx, c, now)
			if err != nil {
				return fmt.Errorf("the night in %s: %w", c.Name, err)
			}
			t.Cities = append(t.Cities, n)
			t.Total.Machines += n.Machines
			t.Total.Reported += n.Reported
			t.Total.Late += n.Late
			t.Total.Waiting += n.Waiting
			t.Total.New += n.New
			t.Total.Faulty += n.Faulty
		}
		return nil
	})
	if err != nil {
		return Tonight{}, err
	}
	s.tonight.last, s.tonight.until = t, now.Add(fresh)
	return t, nil
}

// nightSQL counts a city's machines by when they are due: after a machine was
// heard that is in the next night, so that due_at alone tells who reported.
const nightSQL = `
	SELECT
		(SELECT count(*) FROM vending_machines WHERE city = $1 AND due_at < $2),
		(SELECT count(*) FROM vending_machines WHERE city = $1 AND due_at >= $3 AND due_at < $2),
		(SELECT count(*) FROM vending_machines WHERE city = $1 AND due_at < $4),
		(SELECT count(*) FROM vending_machines WHERE city = $1 AND heard_at = 0 AND due_at >= $3 AND due_at < $2),
		(SELECT count(*) FROM vending_machines WHERE city = $1 AND faults > 0 AND revoked_at = 0)`

func (s *System) night(ctx context.Context, tx *sqldb.Tx, c City, now time.Time) (Night, error) {
	date, start := slots.Tonight(now, c.zone)
	_, next := slots.NextNight(now, c.zone)
	w := slots.Window{Start: start, Length: s.c.Window}
	n := Night{City: c.Name, Zone: c.Zone, Date: date, Start: start, End: w.End()}
	n.Progress = min(1, float64(now.Sub(start))/float64(w.Length))
	var machines, later, late, unheard, faulty int64
	err := tx.QueryRow(ctx, nightSQL, c.Name, int64(never), next.UnixMicro(), now.Add(-s.c.Grace).UnixMicro()).
		Scan(&machines, &later, &late, &unheard, &faulty)
	if err != nil {
		return Night{}, err
	}
	n.Machines, n.New, n.Late, n.Faulty = int(machines), int(unheard), int(late), int(faulty)
	n.Reported = int(later - unheard)
	n.Waiting = n.Machines - n.Reported - n.New - n.Late
	return n, nil
}
