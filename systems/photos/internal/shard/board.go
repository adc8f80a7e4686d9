package shard

import (
	"context"
	"fmt"
	"sync"
	"time"

	"plumb/engines/bucket"
	"plumb/engines/sqldb"
)

// Load is what one shard holds and does, over all processes.
type Load struct {
	No                    int64
	Name, Domain          string
	SQL, Bucket           string // as they were given; "": where the house has it
	State                 State
	Weight                float64
	Share                 float64 // of everything, by weight
	Up                    bool    // it answers this process
	Owners, Photos, Bytes int64   // Bytes as Tally counted them
	Objects, Stored       int64   // contents, and the bytes that they take
	Coming, Leaving       int64   // owners who are to move
	Requests              float64 // a second, over the last minute, as all rates here
	In, Out               float64 // bytes a second
	CPU                   float64 // processor seconds a second, as Count's callers said: what was spent for the shard's owners, wherever
	P50, P99              time.Duration
	Free, Size            int64 // bytes of the bucket's disk; 0: not known
}

// boards keeps the last board for ten times as long as it took, so that many who look
// cost little.
type boards struct {
	mu   sync.Mutex
	list []Load     // guarded by mu
	of   *directory // by which it was made: a shard that was added shows at once
	till time.Time
}

// Board returns every shard's load, by number. It counts owners, which takes some 100 ms a
// million, so that what it returns may be ten times as old as it took.
func (s *Set) Board(ctx context.Context) ([]Load, error) {
	b := &s.boards
	b.mu.Lock()
	defer b.mu.Unlock()
	began, of := time.Now(), s.dir.Load()
	if of == b.of && began.Before(b.till) {
		return append([]Load(nil), b.list...), nil
	}
	list, err := s.board(ctx)
	if err != nil {
		return nil, fmt.Errorf("look at the load of the shards: %w", err)
	}
	now := time.Now()
	b.list, b.of, b.till = list, of, now.Add(10*now.Sub(began))
	return append([]Load(nil), list...), nil
}

func (s *Set) board(ctx context.Context) ([]Load, error) {
	if err := s.flushLoad(ctx); err != nil {
		return nil, err
	}
	d := s.dir.Load()
	rates, err := s.readRates(ctx)
	if err != nil {
		return nil, err
	}
	coming, leaving, err := s.readWays(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Load, len(d.records))
	var all sync.WaitGroup
	for i, r := range d.records {
		l := &list[i]
		*l = Load{No: r.No, Name: r.Name, Domain: r.Domain, SQL: r.SQL, Bucket: r.Bucket, State: r.State, Weight: r.Weight, Coming: coming[r.No], Leaving: leaving[r.No]}
		if j, is := d.place.Index(r.Name); is {
			l.Share = d.place.Share(j)
		}
		if c := rates.of[r.No]; c != nil {
			l.Requests, l.In, l.Out = float64(c.requests)/rates.span, float64(c.in)/rates.span, float64(c.out)/rates.span
			l.CPU = float64(c.cpu) / 1e6 / rates.span
			l.P50, l.P99 = c.times.quantile(0.5), c.times.quantile(0.99)
		}
		if at := d.shards[r.No]; at != nil {
			all.Go(func() { s.measure(ctx, at, l) })
		}
	}
	all.Wait()
	return list, ctx.Err()
}

// measure asks a shard what it holds. One that does not answer is not up.
func (s *Set) measure(ctx context.Context, at *Shard, l *Load) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	err := at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, sqlOwnersSum).Scan(&l.Owners, &l.Photos, &l.Bytes)
	})
	if err == nil {
		st, statErr := at.CAS.Stats(ctx)
		l.Objects, l.Stored, err = st.Blobs, st.Stored+st.Waiting, statErr
	}
	l.Up = err == nil
	if disk, ok := at.Bucket.(bucket.Roomer); ok {
		l.Free, l.Size = disk.Room()
	}
}

// rates are counts of all processes over a span of time.
type rates struct {
	span float64 // seconds
	of   map[int64]*shardCounts
}

func (s *Set) readRates(ctx context.Context) (rates, error) {
	now := s.n.Clock.Now()
	r := rates{of: map[int64]*shardCounts{}}
	first := now.UnixMicro()
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		clear(r.of)
		rows, err := tx.Query(ctx, sqlLoadSince, now.Add(-rateTime).UnixMicro())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var no, slot int64
			var c counts
			var times []byte
			if err := rows.Scan(&no, &slot, &c.requests, &c.in, &c.out, &c.cpu, &times); err != nil {
				return err
			}
			if r.of[no] == nil {
				r.of[no] = &shardCounts{}
			}
			r.of[no].add(c)
			r.of[no].times.merge(times)
			first = min(first, slot)
		}
		return rows.Err()
	})
	r.span = max(now.Sub(time.UnixMicro(first)).Seconds(), slotTime.Seconds())
	return r, err
}

// readWays counts who is to go where.
func (s *Set) readWays(ctx context.Context) (coming, leaving map[int64]int64, err error) {
	coming, leaving = map[int64]int64{}, map[int64]int64{}
	err = s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		clear(coming)
		clear(leaving)
		rows, err := tx.Query(ctx, sqlWays)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var from, to, n int64
			if err := rows.Scan(&from, &to, &n); err != nil {
				return err
			}
			if from != to {
				leaving[from] += n
				coming[to] += n
			}
		}
		return rows.Err()
	})
	return coming, leaving, err
}

// HotOwner is an owner who is asked for much.
type HotOwner struct {
	Owner, Shard string
	Requests     float64 // a second
	In, Out      float64 // bytes a second
	CPU          float64 // processor seconds a second
}

// Hot returns the owners, 64 at most, for whom most was done in the last minute, the
// busiest first.
func (s *Set) Hot(ctx context.Context) ([]HotOwner, error) {
	if err := s.flushLoad(ctx); err != nil {
		return nil, err
	}
	now := s.n.Clock.Now()
	sum := newSketch(1 << 20) // bounded by what the processes wrote
	first := now.UnixMicro()
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		clear(sum.at)
		rows, err := tx.Query(ctx, sqlHotSince, now.Add(-rateTime).UnixMicro())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var owner string
			var slot int64
			var c counts
			if err := rows.Scan(&owner, &slot, &c.requests, &c.in, &c.out, &c.cpu); err != nil {
				return err
			}
			sum.add(owner, c)
			first = min(first, slot)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("look for the busiest owners: %w", err)
	}
	span := max(now.Sub(time.UnixMicro(first)).Seconds(), slotTime.Seconds())
	d := s.dir.Load()
	var list []HotOwner
	for _, t := range sum.top(hotWritten) {
		no, _ := d.home(t.owner)
		list = append(list, HotOwner{t.owner, nameOf(d.records, no), float64(t.requests) / span, float64(t.in) / span, float64(t.out) / span, float64(t.cpu) / 1e6 / span})
	}
	return list, nil
}
