package cas

// MakeSmall gives a store small limits, so that a test reaches them all.
func (s *Store) MakeSmall() {
	s.limits = limits{packSize: 1 << 20, packChunks: 4, moveChunks: 6, smallPacks: 3, looseRows: 3, looseBytes: 100_000}
}
