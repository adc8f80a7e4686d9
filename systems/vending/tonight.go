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

const (
	fresh = 2 * time.Second        // how long a count of the fleet is shown before it is made anew
	quick = 100 * time.Millisecond // a count that takes longer is made while the last one is shown
	stale = time.Minute            // but none older than that
	idle  = 20                     // and the next begins after so many times what it took
)

// tonight keeps the last count: of a million machines it takes a second.
type tonight struct {
	mu    sync.Mutex // guards the rest, and is held by a count that somebody waits for
	last  Tonight
	next  time.Time // no count before this
	slow  bool      // the last took longer than quick
	count bool      // one is being made in the background
	// changes counts what made the last count wrong; a count that was begun
	// before the last change is not kept for long.
	changes int
}

func (t *tonight) forget() {
	t.mu.Lock()
	t.next = time.Time{}
	t.changes++
	t.mu.Unlock()
}

// keep remembers a count that began at a moment, with changes at its value then.
func (t *tonight) keep(c Tonight, took time.Duration, changes int) {
	t.last, t.slow = c, took > quick
	t.next = c.Now.Add(max(fresh, idle*took))
	if t.changes != changes {
		t.next = time.Time{}
	}
}

// Tonight returns how the night stands: some seconds old, in a large fleet up
// to a minute.
func (s *System) Tonight(ctx context.Context) (Tonight, error) {
	t := &s.tonight
	t.mu.Lock()
	defer t.mu.Unlock()
	now := s.n.Clock.Now()
	if now.Before(t.next) {
		return t.last, nil
	}
	if t.slow && now.Sub(t.last.Now) < stale {
		if !t.count {
			t.count = true
			s.background.Go(s.countAgain)
		}
		return t.last, nil
	}
	c, err := s.countNight(ctx)
	if err != nil {
		return Tonight{}, err
	}
	t.keep(c, s.n.Clock.Now().Sub(now), t.changes)
	return c, nil
}

// countAgain makes a count that nobody waits for.
func (s *System) countAgain() {
	t := &s.tonight
	t.mu.Lock()
	changes := t.changes
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), stale)
	defer cancel()
	c, err := s.countNight(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count = false
	if err != nil {
		s.n.Log.Warn("the night was not counted; the last count stands", "error", err)
		return
	}
	t.keep(c, s.n.Clock.Now().Sub(c.Now), changes)
}

func (s *System) countNight(ctx context.Context) (Tonight, error) {
	t := Tonight{Now: s.n.Clock.Now()}
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		t.Cities, t.Total = nil, Night{}
		for _, c := range s.Cities() {
			if s.foreign(c) {
				continue // its machines report elsewhere
			}
			n, err := s.night(ctx, tx, c, t.Now)
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
	return t, err
}

// nightSQL counts a city's machines by when they are due, each once: after a
// machine was heard that is in the next night, so that due_at tells who reported.
const nightSQL = `
	SELECT
		(SELECT count(*) FROM vending_machines WHERE city = $1 AND due_at < $2),
		(SELECT count(*) FROM vending_machines WHERE city = $1 AND due_at >= $2 AND due_at < $3),
		(SELECT count(*) FROM vending_machines WHERE city = $1 AND due_at >= $3 AND due_at < $4),
		(SELECT count(*) FROM vending_machines WHERE city = $1 AND due_at >= $3 AND due_at < $4 AND heard_at = 0),
		(SELECT count(*) FROM vending_machines WHERE city = $1 AND faults > 0 AND revoked_at = 0)`

func (s *System) night(ctx context.Context, tx *sqldb.Tx, c City, now time.Time) (Night, error) {
	date, start := slots.Tonight(now, c.zone)
	_, next := slots.NextNight(now, c.zone)
	w := slots.Window{Start: start, Length: s.c.Window}
	n := Night{City: c.Name, Zone: c.Zone, Date: date, Start: start, End: w.End()}
	n.Progress = min(1, float64(now.Sub(start))/float64(w.Length))
	var late, waiting, later, unheard, faulty int64
	lateBefore := min(now.Add(-s.c.Grace).UnixMicro(), next.UnixMicro())
	err := tx.QueryRow(ctx, nightSQL, c.Name, lateBefore, next.UnixMicro(), int64(never)).Scan(&late, &waiting, &later, &unheard, &faulty)
	if err != nil {
		return Night{}, err
	}
	n.Machines, n.Reported, n.Waiting = int(late+waiting+later), int(later-unheard), int(waiting)
	n.Late, n.New, n.Faulty = int(late), int(unheard), int(faulty)
	return n, nil
}
