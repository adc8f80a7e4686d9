package placement

import (
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// scores gives every node a score for a key; the lowest is the best. It is weighted
// rendezvous hashing: for a node of weight w the score is an exponential variate of rate
// w, -log(u)/w with u made of key and node, and the least of several such is each one's
// with a probability in proportion to its rate (Schindelhauer & Schomaker, "Weighted
// Distributed Hash Tables", SPAA 2005).
//
// The logarithm is read from a table that is computed with integers, so that no machine's
// last bit matters; it is exact to 2^-23. With equal weights nobody needs it.
type scores struct {
	name []uint64 // hash of each node's name
	inv  []float64
	logs *logTable // nil: weights are equal
}

// logTable has -log2(x) at 1025 places from x = 1/2 to 1.
type logTable [1<<logBits + 1]float64

const logBits = 10

func newScores(s *Snapshot) scores {
	c := scores{name: make([]uint64, len(s.nodes))}
	for i, n := range s.nodes {
		c.name[i] = xxhash.Sum64String(n.Name)
	}
	if s.even {
		return c
	}
	c.inv = make([]float64, len(s.nodes))
	for i, n := range s.nodes {
		c.inv[i] = 1 / n.Weight
	}
	c.logs = new(logTable)
	for i := range c.logs {
		// One bit of log2(1 + i/1024) with each squaring.
		y, frac := uint64(1<<logBits+i)<<(62-logBits), uint64(0)
		for range 52 {
			hi, lo := bits.Mul64(y, y)
			y = hi<<2 | lo>>62
			frac <<= 1
			if y >= 1<<63 {
				y >>= 1
				frac |= 1
			}
		}
		c.logs[i] = 1 - float64(frac)/(1<<52)
	}
	c.logs[1<<logBits] = 0
	return c
}

// draw makes key and node into a number.
func (c *scores) draw(h uint64, node int) uint64 { return fmix(h ^ c.name[node]) }

// cost is the score of a node, given its draw.
func (c *scores) cost(draw uint64, node int) float64 {
	draw |= 1
	zeros := bits.LeadingZeros64(draw)
	m := draw << zeros << 1 // what follows the leading one
	i := m >> (64 - logBits)
	frac := float64(m<<logBits>>11) / (1 << 53)
	at := c.logs[i]
	// The conversion keeps a machine from rounding once where others round twice.
	return (float64(zeros) + (at + float64(frac*(c.logs[i+1]-at)))) * c.inv[node]
}

// best returns the node with the best score among those whose domain none of the taken
// has (or, when any domain will do, that are not taken themselves); -1 when there is none.
func (s *Snapshot) best(h uint64, taken []int, anyDomain bool) int {
	c, best := &s.scores, -1
	if c.logs == nil {
		var most uint64
		for i := range c.name {
			if d := c.draw(h, i); (d > most || best < 0) && (len(taken) == 0 || s.free(i, taken, anyDomain)) {
				best, most = i, d
			}
		}
		return best
	}
	var least float64
	for i := range c.name {
		if d := c.cost(c.draw(h, i), i); (d < least || best < 0) && (len(taken) == 0 || s.free(i, taken, anyDomain)) {
			best, least = i, d
		}
	}
	return best
}

func (c *scores) bytes() int {
	n := 8*len(c.name) + 8*len(c.inv)
	if c.logs != nil {
		n += 8 * len(c.logs)
	}
	return n
}

// rendezvous is the strategy that needs nothing else.
type rendezvous struct{ s *Snapshot }

func (r *rendezvous) place(key string) int                          { return r.s.best(xxhash.Sum64String(key), nil, false) }
func (r *rendezvous) other(string, int) int                         { return -1 }
func (r *rendezvous) next(_, s *Snapshot, from []int) (rule, error) { return &rendezvous{s}, nil }
func (r *rendezvous) encode(*writer)                                {}
func (r *rendezvous) bytes() int                                    { return 0 }
