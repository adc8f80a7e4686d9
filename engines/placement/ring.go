package placement

import (
	"slices"

	"github.com/cespare/xxhash/v2"
)

// ring is consistent hashing as it is known from Karger et al., "Consistent Hashing and
// Random Trees" (STOC 1997): points on a circle, a key belongs to the next one. A table
// from the hash's first bits to the first point behind them makes up for the search.
type ring struct {
	hash  []uint64
	node  []uint16
	first []uint32 // by hash >> shift: the first point that is not before it
	shift uint
	unit  float64 // points for weight 1, which stays when nodes come and go
}

// pointsANode is the mean at first, as ketama has it.
const pointsANode = 160

// mostPoints bounds the points of n nodes, when weights have grown.
func mostPoints(n int) float64 { return 4 * pointsANode * float64(n) }

func newRing(s *Snapshot, unit float64) *ring {
	if unit == 0 {
		unit = pointsANode * float64(len(s.nodes)) / s.total
	}
	for unit*s.total > mostPoints(len(s.nodes)) { // weights grew out of all proportion
		unit /= 2
	}
	type point struct {
		hash uint64
		node int32
	}
	var all []point
	for i := range s.nodes {
		for j := range max(1, int(float64(unit*s.nodes[i].Weight)+.5)) {
			all = append(all, point{fmix(s.scores.name[i] + uint64(j)*golden), int32(i)})
		}
	}
	// Of equal points, the first name's comes first, whatever order the caller has.
	slices.SortFunc(all, func(a, b point) int {
		if a.hash < b.hash {
			return -1
		}
		if a.hash > b.hash {
			return 1
		}
		return cmpString(s.nodes[a.node].Name, s.nodes[b.node].Name)
	})
	b := max(1, log2int(len(all)))
	r := &ring{hash: make([]uint64, len(all)), node: make([]uint16, len(all)), first: make([]uint32, 1<<b), shift: uint(64 - b), unit: unit}
	at := 0
	for i, p := range all {
		r.hash[i], r.node[i] = p.hash, uint16(p.node)
		for ; at <= int(p.hash>>r.shift); at++ {
			r.first[at] = uint32(i)
		}
	}
	for ; at < len(r.first); at++ {
		r.first[at] = uint32(len(all))
	}
	return r
}

// at returns the number of the point that a hash belongs to.
func (r *ring) at(h uint64) int {
	i := int(r.first[h>>(r.shift&63)])
	for i < len(r.hash) && r.hash[i] < h {
		i++
	}
	if i == len(r.hash) {
		return 0
	}
	return i
}

func (r *ring) place(key string) int { return int(r.node[r.at(xxhash.Sum64String(key))]) }
func (r *ring) other(key string, n int) int {
	return int(r.node[(r.at(xxhash.Sum64String(key))+n)%len(r.node)])
}
func (r *ring) next(_, s *Snapshot, _ []int) (rule, error) { return newRing(s, r.unit), nil }
func (r *ring) bytes() int                                 { return 10*len(r.hash) + 4*len(r.first) }
