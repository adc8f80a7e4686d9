package placement

import "github.com/cespare/xxhash/v2"

// Places fills dst with places for copies of a key, the first being Place(key), and
// returns how many: at most MaxPlaces. They are distinct nodes, in distinct domains as
// long as there are such (Domains says how many); only after those come further nodes of
// the same domains. It allocates nothing.
//
// By "hash" and "bounded" all keys of a slot have the same places, exceptions apart.
func (s *Snapshot) Places(dst []int, key string) int {
	want := min(len(dst), len(s.nodes), MaxPlaces)
	if want == 0 {
		return 0
	}
	dst[0] = s.Place(key)
	if want == 1 {
		return 1
	}
	n, h := 1, s.seed(key)
	apart := min(want, s.domains)
	// What the strategy proposes, for a while: a small domain comes up rarely.
	for r := 1; n < apart && r <= 4*want+12; r++ {
		i := s.rule.other(key, r)
		if i < 0 {
			break
		}
		if s.free(i, dst[:n], false) {
			dst[n] = i
			n++
		}
	}
	// Then by score, which costs O(nodes) a place.
	for n < apart {
		dst[n] = s.best(h, dst[:n], false)
		n++
	}
	for n < want {
		dst[n] = s.best(h, dst[:n], true)
		n++
	}
	return n
}

// seed is what scores are drawn from: the slot's where there are slots, else the key's.
func (s *Snapshot) seed(key string) uint64 {
	h := xxhash.Sum64String(key)
	if s.table != nil {
		return h >> (64 - minBits) * golden // the same in tables of every size
	}
	return h
}

// free says whether node i may hold a copy beside those that are taken.
func (s *Snapshot) free(i int, taken []int, anyDomain bool) bool {
	for _, t := range taken {
		if t == i || !anyDomain && s.domain[t] == s.domain[i] {
			return false
		}
	}
	return true
}
