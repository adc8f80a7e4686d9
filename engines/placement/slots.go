package placement

import (
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// slots is the table of "hash": the first bits of a key's hash name a slot, and the
// table says which node has it.
type slots struct {
	node  []uint16
	shift uint // 64 - bits of a slot's number
	// tilt is how many slots each node has for its share: 1, until Balance gave those
	// with hot slots fewer. With keeps it, so that a new node undoes no balance. nil: all 1.
	tilt []float64
}

// A table has at least 2^minBits slots, and as many as give the lightest node slotsANode,
// where 2^maxBits suffice.
const minBits, maxBits, slotsANode = 16, 22, 64

// tableBits returns the size of the table that the nodes need.
func tableBits(s *Snapshot) int {
	lightest := math.Inf(1)
	for _, n := range s.nodes {
		lightest = min(lightest, n.Weight)
	}
	need := slotsANode * s.total / lightest
	b := minBits
	for b < maxBits && float64(int(1)<<b) < need {
		b++
	}
	return b
}

func newSlots(s *Snapshot) *slots {
	b := tableBits(s)
	t := &slots{node: make([]uint16, 1<<b), shift: uint(64 - b)}
	want := apportion(s, s.quotas(len(t.node), nil), nil)
	at := 0
	for _, i := range s.order {
		for range want[i] {
			t.node[scatter(at, b)] = uint16(i)
			at++
		}
	}
	return t
}

func (t *slots) bits() int            { return 64 - int(t.shift) }
func (t *slots) slot(key string) int  { return int(xxhash.Sum64String(key) >> (t.shift & 63)) }
func (t *slots) place(key string) int { return int(t.node[t.slot(key)]) }
func (t *slots) other(key string, r int) int {
	return int(t.node[t.sibling(t.slot(key), r)])
}
func (t *slots) bytes() int { return 2*len(t.node) + 8*len(t.tilt) }

// sibling returns the slot whose node is the r-th candidate for another copy of a slot.
// For each r it is a bijection, so that copies are as even as the slots; and it changes
// the first 16 bits only, so that a table of twice the size gives the same answers.
func (t *slots) sibling(slot, r int) int {
	low := t.bits() - minBits
	x := uint32(slot>>low) ^ uint32(r)*0x6a09&0xffff
	x = x * 0xb5ad & 0xffff
	x ^= x >> 7
	x = x * 0x2c1b & 0xffff
	x = (x + uint32(r)*0x3c6f) & 0xffff
	x ^= x >> 9
	x = x * 0x297d & 0xffff
	x ^= x >> 8
	return int(x)<<low | slot&(1<<low-1)
}

// scatter is a bijection of numbers of so many bits in which neighbours come apart.
func scatter(i, b int) int {
	mask := uint32(1)<<b - 1
	x := uint32(i)
	x = x * 0x9e3779b1 & mask
	x ^= x >> ((b + 1) / 2)
	x = x * 0x85ebca6b & mask
	x ^= x >> (b/2 - 1)
	x = x * 0xc2b2ae35 & mask
	return int(x ^ x>>((b+1)/2))
}

// grown returns the table with 2^b slots: each is split into slots of the same node.
func (t *slots) grown(b int) []uint16 {
	if b <= t.bits() {
		return t.node
	}
	more := b - t.bits()
	out := make([]uint16, 1<<b)
	for i := range out {
		out[i] = t.node[i>>more]
	}
	return out
}

func (t *slots) next(_, s *Snapshot, from []int) (rule, error) {
	b := max(tableBits(s), t.bits())
	tilt := carry(t.tilt, from, len(s.nodes))
	node := t.grown(b)
	// Scattered twice, the order has nothing to do with who got which slot first: else those
	// that Balance brought, the heavy ones, would be the first to go.
	order := func(i int) int { return scatter(scatter(i, b), b) }
	node = redistribute(s, node, from, s.quotas(len(node), tilt), order)
	return &slots{node: node, shift: uint(64 - b), tilt: tilt}, nil
}

// carry brings tilts over to new numbers of nodes.
func carry(tilt []float64, from []int, n int) []float64 {
	if tilt == nil {
		return nil
	}
	out := slices.Repeat([]float64{1}, n)
	for i, j := range from {
		if j >= 0 {
			out[j] = tilt[i]
		}
	}
	return out
}

// quotas returns each node's share of n things, as a fraction.
func (s *Snapshot) quotas(n int, tilt []float64) []float64 {
	q, sum := make([]float64, len(s.nodes)), 0.0
	for _, i := range s.order { // in an order that the caller's list does not change
		q[i] = s.nodes[i].Weight
		if tilt != nil {
			q[i] *= tilt[i]
		}
		sum += q[i]
	}
	for i := range q {
		q[i] = float64(n) * (q[i] / sum)
	}
	return q
}

// apportion rounds quotas to whole numbers of the same sum, each to the one below or
// above (largest remainders; Hamilton 1792). Of those who may get the one above, nodes
// that have it already come first, so that nothing moves for a rounding.
func apportion(s *Snapshot, quota []float64, have []int) []int {
	want, left := make([]int, len(quota)), 0.0
	for i, q := range quota {
		want[i] = int(q)
		left += q - math.Floor(q)
	}
	first := slices.Clone(s.order)
	keeps := func(i int32) int {
		if have != nil && have[i] > want[i] {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(first, func(a, b int32) int {
		if d := keeps(a) - keeps(b); d != 0 {
			return d
		}
		ra, rb := quota[a]-math.Floor(quota[a]), quota[b]-math.Floor(quota[b])
		switch {
		case ra > rb:
			return -1
		case ra < rb:
			return 1
		}
		return 0
	})
	for _, i := range first[:min(int(math.Round(left)), len(first))] {
		want[i]++
	}
	return want
}

// redistribute gives things to nodes by quotas, changing as few owners as can be. owner
// has old numbers; a thing whose owner is gone goes to somebody; order says which things
// are looked at first.
func redistribute(s *Snapshot, owner []uint16, from []int, quota []float64, order func(int) int) []uint16 {
	have := make([]int, len(s.nodes))
	for _, o := range owner {
		if i := from[o]; i >= 0 {
			have[i]++
		}
	}
	want := apportion(s, quota, have)
	over, lack := make([]int, len(want)), make([]int, len(want))
	var takers []int
	for _, i := range s.order {
		over[i], lack[i] = max(0, have[i]-want[i]), max(0, want[i]-have[i])
		if lack[i] > 0 {
			takers = append(takers, int(i))
		}
	}
	out, turn := make([]uint16, len(owner)), 0
	for n := range owner {
		at := order(n)
		i := from[owner[at]]
		if i >= 0 && over[i] == 0 {
			out[at] = uint16(i)
			continue
		}
		if i >= 0 {
			over[i]--
		}
		turn %= len(takers)
		to := takers[turn]
		out[at] = uint16(to)
		if lack[to]--; lack[to] == 0 {
			takers = slices.Delete(takers, turn, turn+1)
		} else {
			turn++
		}
	}
	return out
}

// Slots returns how many slots the table of "hash" or "bounded" has, 0 for others.
func (s *Snapshot) Slots() int { return len(s.table) }

// Slot returns the number of a key's slot, -1 when the strategy has none. When a table
// grows, each slot becomes two neighbours of twice its number.
func (s *Snapshot) Slot(key string) int {
	if s.table == nil {
		return -1
	}
	return int(xxhash.Sum64String(key) >> (s.shift & 63))
}

// SlotNode returns the node of a slot, 0 <= slot < Slots(); keys with an exception apart.
func (s *Snapshot) SlotNode(slot int) int { return int(s.table[slot] &^ marked) }
