package placement

import "math"

// bounded is Mirrokni, Thorup & Zadimoghaddam, "Consistent Hashing with Bounded Loads"
// (SODA 2018): a ball goes to the first bin clockwise that is not full. Its balls are the
// slots of a table, so that a look-up needs no ring and nobody has to count keys; their
// sizes are equal, or what Balance measured.
type bounded struct {
	slots
	size []float32 // each slot's part of the load; nil: all are equal
}

// slack is by how much of its share a node may have more.
const slack = 0.1

func newBounded(s *Snapshot, size []float32) *bounded {
	b := max(tableBits(s), log2int(len(size)))
	b = max(b, minBits)
	t := &bounded{slots{node: make([]uint16, 1<<b), shift: uint(64 - b)}, size}
	if size != nil && len(size) < len(t.node) {
		more := b - log2int(len(size))
		t.size = make([]float32, len(t.node))
		for i := range t.size {
			t.size[i] = size[i>>more] / float32(int(1)<<more)
		}
	}
	sum := float64(len(t.node))
	if t.size != nil {
		sum = 0
		for _, v := range t.size {
			sum += float64(v)
		}
	}
	room := make([]float64, len(s.nodes))
	for i := range room {
		room[i] = (1 + slack) * sum * (s.nodes[i].Weight / s.total)
		if t.size == nil {
			room[i] = math.Ceil(room[i])
		}
	}
	r := newRing(s, 0)
	for n := range t.node {
		slot, need := scatter(n, b), 1.0
		if t.size != nil {
			need = float64(t.size[slot])
		}
		i := r.walk(uint64(slot)<<t.shift, need, room)
		t.node[slot] = uint16(i)
		room[i] -= need
	}
	return t
}

// walk returns the first node clockwise that has room, or the one with most room when
// none has enough.
func (r *ring) walk(h uint64, need float64, room []float64) int {
	at := r.at(h)
	for range r.node {
		if i := int(r.node[at]); room[i] >= need {
			return i
		}
		if at++; at == len(r.node) {
			at = 0
		}
	}
	most := 0
	for i := range room {
		if room[i] > room[most] {
			most = i
		}
	}
	return most
}

func (t *bounded) next(_, s *Snapshot, _ []int) (rule, error) { return newBounded(s, t.size), nil }
func (t *bounded) bytes() int                                 { return t.slots.bytes() + 4*len(t.size) }
