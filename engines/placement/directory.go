package placement

import (
	"iter"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"

	"plumb/base/errs"
)

// MaxEntries bounds the keys of a directory.
const MaxEntries = 1 << 24

// directory says where each key is. It keeps hashes of keys, not keys: of a million
// users, two share a hash with a probability of 3e-8, and then they share a node.
type directory struct {
	hash  []uint64 // open addressing, linear probing; 0 is free
	node  []uint16
	count int
	rest  *slots // where keys are that were not assigned
}

func newDirectory(s *Snapshot) *directory {
	return &directory{hash: make([]uint64, 2), node: make([]uint16, 2), rest: newSlots(s)}
}

// fingerprint is a key's hash, which is never 0.
func fingerprint(key string) uint64 { return max(1, xxhash.Sum64String(key)) }

// cell returns where a hash is or would be.
func (d *directory) cell(h uint64) int {
	mask := len(d.hash) - 1
	i := int(h) & mask
	for d.hash[i] != 0 && d.hash[i] != h {
		i = (i + 1) & mask
	}
	return i
}

func (d *directory) place(key string) int {
	if i := d.cell(fingerprint(key)); d.hash[i] != 0 {
		return int(d.node[i])
	}
	return d.rest.place(key)
}
func (d *directory) other(key string, r int) int { return d.rest.other(key, r) }
func (d *directory) bytes() int                  { return 10*len(d.hash) + d.rest.bytes() }

// put adds or changes an entry; the table must have room.
func (d *directory) put(h uint64, node int) {
	i := d.cell(h)
	if d.hash[i] == 0 {
		d.hash[i] = h
		d.count++
	}
	d.node[i] = uint16(node)
}

// sized returns a copy with room for n entries, three quarters full at most.
func (d *directory) sized(n int) *directory {
	size := 2
	for size*3 < n*4 {
		size *= 2
	}
	out := *d
	if size <= len(d.hash) {
		out.hash, out.node = slices.Clone(d.hash), slices.Clone(d.node)
		return &out
	}
	out.hash, out.node, out.count = make([]uint64, size), make([]uint16, size), 0
	for h, i := range d.entries() {
		out.put(h, i)
	}
	return &out
}

// entries yields hashes and nodes in the order of the table.
func (d *directory) entries() iter.Seq2[uint64, int] {
	return func(yield func(uint64, int) bool) {
		for i, h := range d.hash {
			if h != 0 && !yield(h, int(d.node[i])) {
				return
			}
		}
	}
}

func (d *directory) next(old, s *Snapshot, from []int) (rule, error) {
	rest, err := d.rest.next(old, s, from)
	if err != nil {
		return nil, err
	}
	out := &directory{hash: d.hash, node: make([]uint16, len(d.node)), count: d.count, rest: rest.(*slots)}
	// In the order of their hashes, which does not depend on the table's history.
	cells := d.sorted()
	owner := make([]uint16, 0, d.count)
	for _, c := range cells {
		owner = append(owner, d.node[c])
	}
	// What is uneven now was made so, by Balance.
	tilt := carry(tilts(old, owner), from, len(s.nodes))
	owner = redistribute(s, owner, from, s.quotas(d.count, tilt), func(i int) int { return i })
	for i, c := range cells {
		out.node[c] = owner[i]
	}
	return out, nil
}

// sorted returns the cells that are taken, in the order of their hashes.
func (d *directory) sorted() []int32 {
	cells := make([]int32, 0, d.count)
	for i, h := range d.hash {
		if h != 0 {
			cells = append(cells, int32(i))
		}
	}
	slices.SortFunc(cells, func(a, b int32) int {
		if d.hash[a] < d.hash[b] {
			return -1
		}
		return 1
	})
	return cells
}

// Assign returns the next snapshot of a directory, in which each of the keys has an entry:
// what it had, or else the node that has the fewest entries for its weight then. Errors:
// Invalid for another strategy, TooLarge.
func (s *Snapshot) Assign(keys iter.Seq[string]) (*Snapshot, error) {
	d, ok := s.rule.(*directory)
	if !ok {
		return nil, errs.New(errs.Invalid, "keys are assigned in a directory only, not by %q", s.strategy)
	}
	d = d.sized(d.count)
	q := newQueue(s)
	for _, i := range d.entries() {
		q.held[i]++
	}
	q.sort()
	for k := range keys {
		h := fingerprint(k)
		if i := d.cell(h); d.hash[i] != 0 {
			continue
		}
		if d.count == MaxEntries {
			return nil, errs.New(errs.TooLarge, "a directory has %d keys at most", MaxEntries)
		}
		if 4*(d.count+1) > 3*len(d.hash) {
			d = d.sized(2 * d.count)
		}
		d.put(h, q.next())
	}
	out := *s
	out.rule = d
	return &out, nil
}

// queue gives out the node that holds least for its weight: a heap.
type queue struct {
	s    *Snapshot
	held []float64
	rank []int32 // of each node's name
	heap []int32
}

func newQueue(s *Snapshot) *queue {
	q := &queue{s: s, held: make([]float64, len(s.nodes)), rank: make([]int32, len(s.nodes)), heap: slices.Clone(s.order)}
	for r, i := range s.order {
		q.rank[i] = int32(r)
	}
	return q
}

// before compares what nodes would hold with one thing more.
func (q *queue) before(a, b int32) bool {
	x, y := (q.held[a]+1)/q.s.nodes[a].Weight, (q.held[b]+1)/q.s.nodes[b].Weight
	return x < y || x == y && q.rank[a] < q.rank[b]
}

func (q *queue) sort() {
	for i := len(q.heap)/2 - 1; i >= 0; i-- {
		q.sink(i)
	}
}

func (q *queue) sink(i int) {
	for {
		c := 2*i + 1
		if c >= len(q.heap) {
			return
		}
		if c+1 < len(q.heap) && q.before(q.heap[c+1], q.heap[c]) {
			c++
		}
		if !q.before(q.heap[c], q.heap[i]) {
			return
		}
		q.heap[i], q.heap[c] = q.heap[c], q.heap[i]
		i = c
	}
}

func (q *queue) next() int {
	i := q.heap[0]
	q.held[i]++
	q.sink(0)
	return int(i)
}

// log2int is the whole part of the binary logarithm.
func log2int(n int) int { return bits.Len(uint(n)) - 1 }
