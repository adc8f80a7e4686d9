package cas

// MakeSmall gives a store small limits, so that a test reaches them all.
func (s *Store) MakeSmall() {
	s.limits = limits{packSize: 1 << 20, packChunks: 4, moveChunks: 6, smallPacks: 3, looseRows: 3, looseBytes: 100_000}
}

// Hot returns how many frames are at hand, and the bytes that are set aside for them.
func (s *Store) Hot() (frames, bytes int) {
	s.hot.mu.Lock()
	defer s.hot.mu.Unlock()
	for _, f := range s.hot.all {
		bytes += cap(f.b)
	}
	return len(s.hot.kept), bytes
}
