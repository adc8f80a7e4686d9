package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"syscall"
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

// fataler is what testing.T and rapid.T have in common here.
type fataler interface{ Fatal(...any) }

func sealer(t fataler, b byte) *Sealer {
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

// at is where a chunk lies, for the tests that take it elsewhere.
type at struct {
	key   byte
	place uint64
	id    [32]byte
}

func TestWhatWasTamperedWithDoesNotOpen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		where := at{rapid.Byte().Draw(t, "key"), rapid.Uint64().Draw(t, "place"), sha256.Sum256(nil)}
		plain := content(sizes(t))
		sealed := sealer(t, where.key).Seal(nil, plain, where.place, where.id[:])
		n := len(plain)/FrameSize + 1
		switch rapid.IntRange(0, 7).Draw(t, "how") {
		case 0: // a bit flips
			sealed[rapid.IntRange(0, len(sealed)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		case 1: // the end is lost, at an edge of a frame too
			keep := rapid.IntRange(0, len(sealed)-1).Draw(t, "keep")
			if rapid.Bool().Draw(t, "frames") {
				keep = keep / sealedFrame * sealedFrame
			}
			sealed = sealed[:keep]
		case 2: // the beginning is lost
			sealed = sealed[min(len(sealed)-1, sealedFrame):]
		case 3: // something is added
			sealed = append(sealed, sealed[:min(len(sealed), rapid.IntRange(1, 2*sealedFrame).Draw(t, "more"))]...)
		case 4: // two frames change places
			if n < 3 {
				t.Skip("too few frames")
			}
			i := rapid.IntRange(0, n-3).Draw(t, "i")
			a, b := sealed[i*sealedFrame:][:sealedFrame], sealed[(i+1)*sealedFrame:][:sealedFrame]
			sealed = bytes.Join([][]byte{sealed[:i*sealedFrame], b, a, sealed[(i+2)*sealedFrame:]}, nil)
		case 5: // it lies in another pack
			where.key++
		case 6: // it lies elsewhere in its pack
			where.place ^= 1 << rapid.IntRange(0, 63).Draw(t, "bit")
		case 7: // it passes for another chunk
			where.id[rapid.IntRange(0, 31).Draw(t, "byte")]++
		}
		if got, err := sealer(t, where.key).Open(nil, sealed, where.place, where.id[:]); err != ErrBad || got != nil {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	})
}

func TestFramesOpenInTheirPositionOnly(t *testing.T) {
	s, id := sealer(t, 1), []byte("id")
	const frames = 4
	plain := make([]byte, frames*FrameSize) // all frames alike
	sealed := s.Seal(nil, plain, 1, id)
	for from := range frames {
		for first := range frames + 1 {
			part := sealed[from*sealedFrame:][:sealedFrame]
			_, err := s.OpenFrames(nil, part, 1, id, first, len(plain))
			if (err == nil) != (from == first) {
				t.Errorf("frame %d as frame %d: %v", from, first, err)
			}
		}
	}
	last := sealed[(frames-1)*sealedFrame:]
	for what, plain := range map[string]int{"a longer chunk": len(plain) + 1, "a shorter chunk": len(plain) - 1, "no chunk": -1, "too long a chunk": MaxPlain + 1} {
		if _, err := s.OpenFrames(nil, last, 1, id, frames-1, plain); err != ErrBad {
			t.Errorf("the last frame of %s: %v", what, err)
		}
	}
	if _, err := s.OpenFrames(nil, sealed[:sealedFrame-1], 1, id, 0, len(plain)); err != ErrBad {
		t.Errorf("a part of a frame: %v", err)
	}
	// A chunk that ends with its third frame is another chunk than one that was cut there.
	if _, err := s.OpenFrames(nil, sealed[:3*sealedFrame], 1, id, 0, 3*FrameSize); err != ErrBad {
		t.Errorf("a chunk without its end: %v", err)
	}
}

func TestFramesOfRangesOutside(t *testing.T) {
	for _, c := range []struct {
		off, n, plain int
		want          Span
	}{
		{0, 0, 100, Span{}},
		{100, 1, 100, Span{}},
		{-5, -5, 100, Span{}},
		{50, 1 << 62, 100, Span{0, 0, 116, 50}},
		{FrameSize, 1, 2 * FrameSize, Span{1, sealedFrame, sealedFrame, 0}},
		{FrameSize - 1, 2, FrameSize + 1, Span{0, 0, sealedFrame + 17, FrameSize - 1}},
	} {
		if got := Frames(c.off, c.n, c.plain); got != c.want {
			t.Errorf("%d+%d of %d: %+v, want %+v", c.off, c.n, c.plain, got, c.want)
		}
	}
}

// What is written must be read for ever: these sums must never change.
func TestGolden(t *testing.T) {
	s := sealer(t, 7)
	id := sha256.Sum256([]byte("golden"))
	for size, want := range map[int]string{
		0:                 "68bc4ebbbb87d841ced2d93d4f516324a0f3b704d837ba519fa67962f80b3846",
		1:                 "93b92327e3d2c93409741de39bbcb004ee42f74f28c2ceadaa4b58da59bb0d03",
		FrameSize:         "1454b2fa45d993a8cd57af1b9a8c326110d340b5cb83735f0f5df3c21b907b95",
		3*FrameSize + 100: "a2424ddd364e7c1105a9eeaaf63aa3d6c3eeb9f96fbc89f3e58f7d51a2f58e5b",
	} {
		sum := sha256.Sum256(s.Seal(nil, content(size), 0x0102030405060708, id[:]))
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%d: %q,", size, got)
		}
	}
}

func TestKeysOfTheWrongLengthAreRefused(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := NewSealer(make([]byte, n)); err == nil {
			t.Errorf("a data key of %d bytes is taken", n)
		}
		if _, err := NewRing(testKey(1), make([]byte, n)); err == nil {
			t.Errorf("a house key of %d bytes is taken", n)
		}
	}
}

func TestOneSealerServesMany(t *testing.T) {
	s := sealer(t, 1)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			plain, id := content(FrameSize+worker), []byte{byte(worker)}
			for place := range uint64(20) {
				got, err := s.Open(nil, s.Seal(nil, plain, place, id), place, id)
				if err != nil || !bytes.Equal(got, plain) {
					t.Errorf("worker %d at %d: %v", worker, place, err)
				}
			}
		})
	}
	all.Wait()
}

func TestNothingIsAllocated(t *testing.T) {
	s, id := sealer(t, 1), make([]byte, 32)
	plain := content(256 << 10)
	sealed := make([]byte, 0, SealedSize(len(plain)))
	opened := make([]byte, 0, SealedSize(len(plain)))
	n := testing.AllocsPerRun(20, func() {
		sealed = s.Seal(sealed[:0], plain, 1, id)
		var err error
		if opened, err = s.Open(opened[:0], sealed, 1, id); err != nil {
			t.Fatal(err)
		}
	})
	if n >= 1 { // the pool may be emptied once
		t.Errorf("%v allocations a chunk", n)
	}
}

func FuzzOpen(f *testing.F) {
	s, id := sealer(f, 1), []byte("chunk")
	f.Add(s.Seal(nil, nil, 1, id))
	f.Add(s.Seal(nil, content(10), 1, id))
	f.Add(s.Seal(nil, content(FrameSize+1), 1, id))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		plain, err := s.Open(nil, sealed, 1, id)
		if err != nil {
			if err != ErrBad || plain != nil {
				t.Fatalf("%d bytes, %v", len(plain), err)
			}
			return
		}
		// There is one sealed form of a chunk at a place, so what opens is that.
		if !bytes.Equal(s.Seal(nil, plain, 1, id), sealed) {
			t.Fatal("two sealed forms open as one chunk")
		}
	})
}

func cpuSeconds(tb testing.TB) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func BenchmarkSeal(b *testing.B) {
	s, plain, id := sealer(b, 1), content(256<<10), make([]byte, 32)
	buf := make([]byte, 0, SealedSize(len(plain)))
	b.ReportAllocs()
	start := cpuSeconds(b)
	for b.Loop() {
		buf = s.Seal(buf[:0], plain, 1, id)
	}
	b.ReportMetric(float64(len(plain)*b.N)/1e6/(cpuSeconds(b)-start), "MB/cpu-s")
}

func BenchmarkOpen(b *testing.B) {
	s, plain, id := sealer(b, 1), content(256<<10), make([]byte, 32)
	sealed := s.Seal(nil, plain, 1, id)
	buf := make([]byte, 0, len(sealed))
	b.ReportAllocs()
	start := cpuSeconds(b)
	for b.Loop() {
		var err error
		if buf, err = s.Open(buf[:0], sealed, 1, id); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(plain)*b.N)/1e6/(cpuSeconds(b)-start), "MB/cpu-s")
}
