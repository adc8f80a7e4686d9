package cas

import "plumb/engines/cas/squeeze"

// Codecs of a chunk.
const (
	codecNone = 0
	codecZstd = 1
)

// squeeze compresses a chunk where it pays. nil: it stays as it is.
func (s *Store) squeeze(plain, head []byte) (*buffer, int64) {
	out := s.takeBuffer()
	var ok bool
	if out.b, ok = squeeze.Pack(out.b[:0], plain, head); !ok {
		s.giveBuffer(out)
		return nil, codecNone
	}
	return out, codecZstd
}
