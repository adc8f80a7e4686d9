package seal

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"pgregory.net/rapid"
)

// content is n bytes that differ from frame to frame.
func content(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(i ^ i>>8 ^ i>>16*31)
	}
	return out
}

func testKey(b byte) []byte { return bytes.Repeat([]byte{b}, KeySize) }

func sealer(t testing.TB, b byte) *Sealer {
	t.Helper()
	s, err := NewSealer(testKey(b))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sizes draws lengths that lie at and around the edges of frames.
func sizes(t *rapid.T) int {
	return max(0, rapid.IntRange(0, 4).Draw(t, "frames")*FrameSize+rapid.IntRange(-20, 20).Draw(t, "more"))
}

func TestWhatIsSealedOpens(t *testing.T) {
	s := sealer(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		plain := content(sizes(t))
		place := rapid.Uint64().Draw(t, "place")
		id := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "id")
		head := []byte("head")
		sealed := s.Seal(head, plain, place, id)[len(head):]
		if len(sealed) != SealedSize(len(plain)) {
			t.Fatalf("%d bytes sealed are %d, not %d", len(plain), len(sealed), SealedSize(len(plain)))
		}
		if n, ok := PlainSize(len(sealed)); !ok || n != len(plain) {
			t.Fatalf("PlainSize(%d) = %d, %v, want %d", len(sealed), n, ok, len(plain))
		}
		got, err := s.Open(head, sealed, place, id)
		if err != nil || !bytes.Equal(got[len(head):], plain) {
			t.Fatalf("open %d bytes: %d bytes, %v", len(plain), len(got), err)
		}
	})
}

func TestARangeOpensFromItsFrames(t *testing.T) {
	s := sealer(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		plain := content(sizes(t))
		id := sha256.Sum256(plain)
		sealed := s.Seal(nil, plain, 7, id[:])
		off := rapid.IntRange(0, len(plain)).Draw(t, "off")
		n := rapid.IntRange(0, len(plain)-off).Draw(t, "n")
		at := Frames(off, n, len(plain))
		if at.Len > (n/FrameSize+2)*sealedFrame {
			t.Fatalf("%d bytes cost %d", n, at.Len)
		}
		part, err := s.OpenFrames(nil, sealed[at.Off:at.Off+at.Len], 7, id[:], at.First, len(plain))
		if err != nil || !bytes.Equal(part[at.Skip:][:n], plain[off:off+n]) {
			t.Fatalf("range %d+%d of %d through %+v: %v", off, n, len(plain), at, err)
		}
	})
}
