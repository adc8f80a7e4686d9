package shard

import (
	"context"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"sync"
	"time"

	"plumb/engines/sqldb"
)

const (
	slotTime   = 10 * time.Second // counts are kept by
	rateTime   = time.Minute      // rates are over
	keepLoad   = time.Hour        // how long counts are kept
	hotTracked = 256              // owners whom a process counts
	hotWritten = 64               // owners whom it writes down
)

// counts is what doors did.
type counts struct {
	requests, in, out int64
	cpu               int64 // microseconds
}

func (c *counts) add(o counts) {
	c.requests += o.requests
	c.in += o.in
	c.out += o.out
	c.cpu += o.cpu
}

// doors counts what this process did for each shard and for the owners it did most for,
// in the present slot of time.
type doors struct {
	mu     sync.Mutex
	slot   int64 // when it began, in microseconds; guarded by mu, as all here
	dirty  bool
	shards map[int64]*shardCounts
	hot    sketch
}

type shardCounts struct {
	counts
	times latencies
}

func newDoors() *doors { return &doors{shards: map[int64]*shardCounts{}, hot: newSketch(hotTracked)} }

// Count says what a door did for an owner: bytes that came and went, how long it took, and
// the processor time that was spent, in this process and in its children, as far as the
// door knows.
func (s *Set) Count(owner string, in, out int64, took, cpu time.Duration) {
	no, _ := s.dir.Load().home(owner)
	c := counts{1, max(in, 0), max(out, 0), max(cpu.Microseconds(), 0)}
	d := s.doors
	d.mu.Lock()
	at := d.shards[no]
	if at == nil {
		at = &shardCounts{}
		d.shards[no] = at
	}
	at.add(c)
	at.times.add(took)
	d.hot.add(owner, c)
	d.dirty = true
	d.mu.Unlock()
	s.measures.counted(s.dir.Load(), no, c)
}

// flushLoad writes the present slot down, and begins the next one when its time is over.
func (s *Set) flushLoad(ctx context.Context) error {
	now := s.n.Clock.Now()
	slot := now.Truncate(slotTime).UnixMicro()
	d := s.doors
	d.mu.Lock()
	at, dirty := d.slot, d.dirty
	rows := map[int64]shardCounts{}
	for no, c := range d.shards {
		rows[no] = *c
	}
	hot := d.hot.top(hotWritten)
	if at == 0 {
		at = slot
	}
	d.dirty = false
	if d.slot = slot; at != slot {
		d.shards, d.hot = map[int64]*shardCounts{}, newSketch(hotTracked)
	}
	d.mu.Unlock()
	if !dirty {
		return nil
	}
	return s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for no, c := range rows {
			if _, err := tx.Exec(ctx, sqlLoadPut, s.process, no, at, c.requests, c.in, c.out, c.cpu, c.times.encode()); err != nil {
				return err
			}
		}
		for _, h := range hot {
			if _, err := tx.Exec(ctx, sqlHotPut, s.process, h.owner, at, h.requests, h.in, h.out, h.cpu); err != nil {
				return err
			}
		}
		return nil
	})
}

// forgetLoad forgets old counts.
func (s *Set) forgetLoad(ctx context.Context) error {
	before := s.n.Clock.Now().Add(-keepLoad).UnixMicro()
	return s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, sqlLoadForget, before); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sqlHotForget, before)
		return err
	})
}

// latencies counts requests by how long they took, in quarters of an octave from 1 µs to
// 134 s: a quantile is right within a fifth.
type latencies struct{ n [108]uint32 }

func (l *latencies) add(took time.Duration) {
	l.n[bucketOf(took)]++
}

func bucketOf(took time.Duration) int {
	us := uint64(max(took.Microseconds(), 1))
	octave := bits.Len64(us) - 1
	quarter := int((us << 2 >> octave) & 3)
	return min(4*octave+quarter, len(latencies{}.n)-1)
}

// quantile returns the time within which a part of the requests was done; 0 of none.
func (l *latencies) quantile(part float64) time.Duration {
	total := uint64(0)
	for _, n := range l.n {
		total += uint64(n)
	}
	if total == 0 {
		return 0
	}
	rank, seen := uint64(math.Ceil(part*float64(total))), uint64(0)
	for i, n := range l.n {
		if seen += uint64(n); seen >= rank {
			// The bucket's middle.
			return time.Duration(float64(uint64(1)<<(i/4)) * (1 + (float64(i%4)+0.5)/4) * float64(time.Microsecond))
		}
	}
	return 0
}

func (l *latencies) merge(text []byte) {
	for len(text) > 0 {
		i, n := binary.Uvarint(text)
		if n <= 0 || i >= uint64(len(l.n)) {
			return
		}
		text = text[n:]
		c, n := binary.Uvarint(text)
		if n <= 0 {
			return
		}
		text = text[n:]
		l.n[i] += uint32(c)
	}
}

// encode writes pairs of bucket and count.
func (l *latencies) encode() []byte {
	out := []byte{}
	for i, n := range l.n {
		if n > 0 {
			out = binary.AppendUvarint(binary.AppendUvarint(out, uint64(i)), uint64(n))
		}
	}
	return out
}

// sketch keeps the owners whom most is done for, in bounded memory: space-saving
// (Metwally, Agrawal, El Abbadi: "Efficient Computation of Frequent and Top-k Elements in
// Data Streams", ICDT 2005). Whoever causes more than 1/256 of the work of a slot is in
// it. Their counts are from when they came into it.
type sketch struct {
	most int
	at   map[string]*tracked
}

type tracked struct {
	owner  string
	weight int64 // work, and that of whoever had the place before
	counts
}

func newSketch(most int) sketch { return sketch{most, make(map[string]*tracked, most)} }

// weight puts requests, bytes and processor time together: 64 KiB or a millisecond are
// work as a request is.
func (c counts) weight() int64 { return c.requests + (c.in+c.out)>>16 + c.cpu/1000 }

func (k *sketch) add(owner string, c counts) {
	t := k.at[owner]
	if t == nil {
		t = &tracked{owner: owner}
		if len(k.at) >= k.most {
			least := (*tracked)(nil)
			for _, o := range k.at {
				if least == nil || o.weight < least.weight {
					least = o
				}
			}
			delete(k.at, least.owner)
			t.weight = least.weight
		}
		k.at[owner] = t
	}
	t.weight += c.weight()
	t.add(c)
}

func (k *sketch) top(n int) []tracked {
	list := make([]tracked, 0, len(k.at))
	for _, t := range k.at {
		list = append(list, *t)
	}
	slices.SortFunc(list, func(a, b tracked) int {
		if a.weight != b.weight {
			return int(min(max(b.weight-a.weight, -1), 1))
		}
		return cmpText(a.owner, b.owner)
	})
	return list[:min(n, len(list))]
}

func cmpText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
