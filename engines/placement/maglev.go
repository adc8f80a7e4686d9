package placement

import (
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// maglev is the table of Eisenbud et al., "Maglev: A Fast and Reliable Software Network
// Load Balancer" (NSDI 2016), section 3.4: nodes take turns, each takes the next free
// entry in an order of its own. A node of half the greatest weight takes every other turn.
type maglev struct{ node []uint16 }

// The paper's larger size, a prime; and entries for each node where they are many.
const maglevSize, maglevANode = 65537, 100

func newMaglev(s *Snapshot) *maglev {
	size := primeFrom(max(maglevSize, maglevANode*len(s.nodes)))
	m := &maglev{node: make([]uint16, size)}
	free := make([]bool, size)
	for i := range free {
		free[i] = true
	}
	at, skip := make([]int, len(s.nodes)), make([]int, len(s.nodes))
	for i, h := range s.scores.name {
		at[i] = int(h % uint64(size))
		skip[i] = int(fmix(h+golden)%uint64(size-1)) + 1
	}
	turns := newQueue(s)
	turns.sort()
	for range size {
		i := turns.next()
		for !free[at[i]] {
			if at[i] += skip[i]; at[i] >= size {
				at[i] -= size
			}
		}
		m.node[at[i]], free[at[i]] = uint16(i), false
	}
	return m
}

// primeFrom returns the least prime that is at least n, which is odd or above 2.
func primeFrom(n int) int {
	for n |= 1; ; n += 2 {
		prime := true
		for d := 3; d*d <= n && prime; d += 2 {
			prime = n%d != 0
		}
		if prime {
			return n
		}
	}
}

func (m *maglev) at(h uint64) int {
	i, _ := bits.Mul64(h, uint64(len(m.node)))
	return int(m.node[i])
}
func (m *maglev) place(key string) int { return m.at(xxhash.Sum64String(key)) }
func (m *maglev) other(key string, r int) int {
	return m.at(fmix(xxhash.Sum64String(key) + uint64(r)*golden))
}
func (m *maglev) next(_, s *Snapshot, _ []int) (rule, error) { return newMaglev(s), nil }
func (m *maglev) encode(*writer)                             {}
func (m *maglev) bytes() int                                 { return 2 * len(m.node) }
