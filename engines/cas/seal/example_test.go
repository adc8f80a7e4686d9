package seal_test

import (
	"crypto/sha256"
	"fmt"

	"plumb/engines/cas/seal"
)

// A range of a chunk costs the frames that it touches.
func Example() {
	ring, err := seal.NewRing(make([]byte, seal.KeySize))
	if err != nil {
		panic(err)
	}
	dataKey := seal.NewKey()
	wrapped := ring.Wrap(dataKey) // is written beside the pack
	again, err := ring.Unwrap(wrapped)
	if err != nil {
		panic(err)
	}

	s, err := seal.NewSealer(again)
	if err != nil {
		panic(err)
	}
	chunk := make([]byte, 200_000)
	copy(chunk[150_000:], "in the middle")
	id, place := sha256.Sum256(chunk), uint64(0)
	sealed := s.Seal(nil, chunk, place, id[:])

	at := seal.Frames(150_000, 13, len(chunk))
	part, err := s.OpenFrames(nil, sealed[at.Off:at.Off+at.Len], place, id[:], at.First, len(chunk))
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s, from %d of %d bytes\n", part[at.Skip:][:13], at.Len, len(sealed))
	// Output: in the middle, from 65552 of 200064 bytes
}
