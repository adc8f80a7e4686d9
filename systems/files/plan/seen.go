package plan

import (
	"crypto/sha256"
	"encoding/binary"
)

// seen counts contents by their hashes in bounded memory. When there are more than
// it may hold, it goes on with a random half of all hashes, then with a quarter, and so
// on: each content that it knows it has counted from the beginning, so that shares
// stay right, with some noise.
type seen struct {
	most   int
	below  uint64 // hashes from here on are not counted
	by     map[[16]byte]*content
	bytes  int64 // of all counted, each as often as it came
	once   int64 // of all counted, each once
	packed int64 // the same, compressed
}

type content struct {
	size, packed, times int64
}

func newSeen(most int) *seen {
	return &seen{most: most, below: 1<<64 - 1, by: map[[16]byte]*content{}}
}

// add counts a content. For one that is new, pack says how many bytes of it are stored.
func (s *seen) add(hash [sha256.Size]byte, size int64, pack func() int64) {
	if binary.BigEndian.Uint64(hash[:]) >= s.below {
		return
	}
	key := [16]byte(hash[:16])
	c, known := s.by[key]
	if !known {
		c = &content{size: size, packed: pack()}
		s.by[key] = c
		s.once += c.size
		s.packed += c.packed
	}
	c.times++
	s.bytes += size
	for len(s.by) > s.most {
		s.halve()
	}
}

func (s *seen) halve() {
	s.below /= 2
	for key, c := range s.by {
		if binary.BigEndian.Uint64(key[:]) >= s.below {
			delete(s.by, key)
			s.bytes -= c.size * c.times
			s.once -= c.size
			s.packed -= c.packed
		}
	}
}

// share is part/whole; 0 of nothing.
func share(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
