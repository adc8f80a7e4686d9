package placement

import (
	"slices"

	"github.com/cespare/xxhash/v2"
)

// modulo is what many take for consistent hashing.
type modulo struct{ n int }

func (m *modulo) place(key string) int { return int(xxhash.Sum64String(key) % uint64(m.n)) }
func (m *modulo) other(key string, r int) int {
	return int((xxhash.Sum64String(key) + uint64(r)) % uint64(m.n))
}
func (m *modulo) next(_, s *Snapshot, _ []int) (rule, error) { return &modulo{len(s.nodes)}, nil }
func (m *modulo) encode(*writer)                             {}
func (m *modulo) bytes() int                                 { return 0 }

// alphabetical is the question's design: one letter a server, or for another number of
// servers an even cut through the pairs of letters. It reads A to Z in either case; what
// comes before them in ASCII counts as A and what comes after them as Z.
type alphabetical struct{ n int }

func letter(key string, i int) int {
	if i >= len(key) {
		return 0
	}
	c := key[i]
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return int(min(max(c, 'a'), 'z') - 'a')
}

func (a *alphabetical) place(key string) int {
	return (letter(key, 0)*26 + letter(key, 1)) * a.n / (26 * 26)
}
func (a *alphabetical) other(key string, r int) int { return (a.place(key) + r) % a.n }
func (a *alphabetical) next(_, s *Snapshot, _ []int) (rule, error) {
	return &alphabetical{len(s.nodes)}, nil
}
func (a *alphabetical) encode(*writer) {}
func (a *alphabetical) bytes() int     { return 0 }

// jump is Lamping & Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm" (2014).
// Its buckets are numbers from 0; which node stands for which is kept beside.
type jump struct{ node []uint16 }

func newJump(s *Snapshot) *jump {
	j := &jump{}
	for i := range s.nodes {
		j.node = append(j.node, uint16(i))
	}
	return j
}

// bucket draws, for each number of buckets at which the key would move, the next such
// number; the last one below n is the key's.
func (j *jump) bucket(h uint64) int {
	at, next := int64(-1), int64(0)
	for next < int64(len(j.node)) {
		at = next
		h = h*2862933555777941757 + 1
		next = int64(float64(at+1) * (float64(1<<31) / float64(h>>33+1)))
	}
	return int(at)
}

func (j *jump) place(key string) int { return int(j.node[j.bucket(xxhash.Sum64String(key))]) }
func (j *jump) other(key string, r int) int {
	return int(j.node[j.bucket(fmix(xxhash.Sum64String(key)+uint64(r)*golden))])
}

// next keeps every node in its bucket, but for the last ones, which take the places of
// those that are gone.
func (j *jump) next(_, s *Snapshot, from []int) (rule, error) {
	var buckets []int // new numbers; -1 is a hole
	seen := make([]bool, len(s.nodes))
	for _, old := range j.node {
		i := from[old]
		buckets = append(buckets, i)
		if i >= 0 {
			seen[i] = true
		}
	}
	var fresh []int
	for i, ok := range seen {
		if !ok {
			fresh = append(fresh, i)
		}
	}
	for b := 0; b < len(buckets); b++ {
		if buckets[b] >= 0 {
			continue
		}
		if len(fresh) > 0 { // a new node in an old one's place moves nothing else
			buckets[b], fresh = fresh[0], fresh[1:]
			continue
		}
		for len(buckets) > b && buckets[len(buckets)-1] < 0 {
			buckets = buckets[:len(buckets)-1]
		}
		if b < len(buckets) {
			buckets[b] = buckets[len(buckets)-1]
			buckets = buckets[:len(buckets)-1]
		}
	}
	out := &jump{}
	for _, i := range slices.Concat(buckets, fresh) {
		out.node = append(out.node, uint16(i))
	}
	return out, nil
}
func (j *jump) bytes() int { return 2 * len(j.node) }
