package placement

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// ranges keeps keys in their order: the range of a key is the last one that does not
// begin after it. This is how Bigtable and its kin cut tables (Chang et al., OSDI 2006).
type ranges struct {
	start  []string  // the first is ""
	prefix []uint64  // first 8 bytes of each start, for a quick search
	node   []uint16  // of each range
	load   []float64 // part of the measured load, or of the alphabet before
}

// rangesANode is how many ranges a node has: a node comes and goes by whole ranges, so
// that what is moved is right to one of so many. MaxRanges bounds them all.
const rangesANode, MaxRanges = 16, 1 << 20

// newRanges cuts the alphabet evenly, knowing nothing of the keys.
func newRanges(s *Snapshot) *ranges {
	n := rangesANode * len(s.nodes)
	count := apportion(s, s.quotas(n, nil), nil)
	r := &ranges{}
	for i := range s.nodes { // neighbours in the caller's order
		for range count[i] {
			r.add(alphabet(len(r.node), n), i, 1/float64(n))
		}
	}
	return r
}

func (r *ranges) add(start string, node int, load float64) {
	r.start, r.prefix = append(r.start, start), append(r.prefix, prefix(start))
	r.node, r.load = append(r.node, uint16(node)), append(r.load, load)
}

// alphabet returns the letters that i of n pieces of the alphabet come before.
func alphabet(i, n int) string {
	var b []byte
	for x := i; x > 0 && len(b) < 8; {
		x *= 26
		b = append(b, byte('a'+x/n))
		x %= n
	}
	return strings.TrimRight(string(b), "a")
}

// prefix returns the first bytes of a key as a number that is ordered as keys are.
func prefix(key string) (p uint64) {
	for i := range min(len(key), 8) {
		p |= uint64(key[i]) << (56 - 8*i)
	}
	return p
}

// at returns the number of a key's range.
func (r *ranges) at(key string) int {
	p, lo, hi := prefix(key), 0, len(r.start)
	for lo < hi {
		m := int(uint(lo+hi) / 2)
		if r.prefix[m] < p || r.prefix[m] == p && r.start[m] <= key {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo - 1
}

func (r *ranges) place(key string) int  { return int(r.node[r.at(key)]) }
func (r *ranges) other(string, int) int { return -1 }
func (r *ranges) bytes() int {
	n := (16 + 8 + 2 + 8) * len(r.start)
	for _, s := range r.start {
		n += len(s)
	}
	return n
}

// next moves whole ranges: those of nodes that are gone to the least loaded, then some to
// nodes that are new or heavier, then some from nodes that are lighter. What was uneven
// before is Balance's business.
func (r *ranges) next(old, s *Snapshot, from []int) (rule, error) {
	out := &ranges{start: r.start, prefix: r.prefix, node: make([]uint16, len(r.node)), load: r.load}
	d := &dealer{s: s, load: r.load, node: out.node, held: make([]float64, len(s.nodes)), of: make([][]int, len(s.nodes))}
	var orphans []int
	for i, o := range r.node {
		if j := from[o]; j >= 0 {
			d.give(i, j)
		} else {
			orphans = append(orphans, i)
		}
	}
	slices.SortStableFunc(orphans, func(a, b int) int { return cmp.Compare(r.load[b], r.load[a]) })
	for _, i := range orphans {
		d.give(i, d.emptiest())
	}
	was := slices.Repeat([]float64{0}, len(s.nodes))
	for i, j := range from {
		if j >= 0 {
			was[j] = old.nodes[i].Weight
		}
	}
	for _, i := range s.order {
		if s.nodes[i].Weight > was[i] {
			d.fill(int(i))
		}
	}
	for _, i := range s.order {
		if s.nodes[i].Weight < was[i] {
			d.drain(int(i))
		}
	}
	return out, nil
}

// dealer hands ranges to nodes by their load.
type dealer struct {
	s    *Snapshot
	load []float64
	node []uint16  // of each range
	held []float64 // load of each node
	of   [][]int   // ranges of each node
}

func (d *dealer) give(i, to int) {
	d.node[i] = uint16(to)
	d.held[to] += d.load[i]
	d.of[to] = append(d.of[to], i)
}

func (d *dealer) take(from, at int) int {
	i := d.of[from][at]
	d.of[from] = slices.Delete(d.of[from], at, at+1)
	d.held[from] -= d.load[i]
	return i
}

// full is what a node holds in proportion to what it should.
func (d *dealer) full(i int) float64 { return d.held[i] / d.s.Share(i) }

func (d *dealer) emptiest() int {
	best := int(d.s.order[0])
	for _, i := range d.s.order {
		if d.full(int(i)) < d.full(best) {
			best = int(i)
		}
	}
	return best
}

// largest returns which range of a node has most load, but not more than limit; -1: none.
func (d *dealer) largest(node int, limit float64) int {
	best, most := -1, math.Inf(-1)
	for at, i := range d.of[node] {
		if l := d.load[i]; l <= limit && l > most {
			best, most = at, l
		}
	}
	return best
}

// fill brings ranges to a node until it has its share, from the fullest ones.
func (d *dealer) fill(to int) {
	stuck := map[int]bool{to: true}
	for {
		fullest := -1
		for _, i := range d.s.order {
			if !stuck[int(i)] && d.full(int(i)) > 1 && (fullest < 0 || d.full(int(i)) > d.full(fullest)) {
				fullest = int(i)
			}
		}
		if fullest < 0 {
			return
		}
		at := d.largest(fullest, d.s.Share(to)-d.held[to]+1e-12)
		if at < 0 {
			stuck[fullest] = true
			continue
		}
		d.give(d.take(fullest, at), to)
	}
}

// drain takes ranges from a node until it has no more than its share.
func (d *dealer) drain(from int) {
	for d.full(from) > 1 {
		at, to := d.largest(from, d.held[from]-d.s.Share(from)+1e-12), d.emptiest()
		if at < 0 || to == from {
			return
		}
		d.give(d.take(from, at), to)
	}
}
