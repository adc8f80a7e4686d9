package cdc

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// random returns n bytes that are the same in every run.
func random(seed byte, n int) []byte {
	out := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(out)
	return out
}

func cutter(tb testing.TB, key byte, p Params) *Cutter {
	tb.Helper()
	c, err := New(bytes.Repeat([]byte{key}, KeySize), p)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// small is cut into chunks that tests can have many of.
var small = Params{Min: 1 << 10, Avg: 4 << 10, Max: 16 << 10}

// cutAll appends the lengths of all chunks of input to sizes.
func cutAll(c *Cutter, input []byte, sizes []int) []int {
	for len(input) > 0 {
		n := c.Cut(input, true)
		sizes = append(sizes, n)
		input = input[n:]
	}
	return sizes
}

// defined cuts one chunk as the package's comment says, a byte at a time.
func defined(c *Cutter, input []byte) int {
	for at := c.p.Min; at <= min(len(input), c.p.Max-int(c.spread)+1); at++ {
		if at == c.p.Min {
			continue // the byte before is skipped too
		}
		var h uint64
		for i := at - 63; i < at; i++ {
			h = h<<1 + c.gears.one[input[i]]
		}
		if h>>(63-9)&511 != 0 {
			continue
		}
		v := siphash(c.prf, input[at-64:at])
		if at <= c.normal && v < c.early || at > c.normal && v < c.late {
			return min(at+int(v%c.spread), len(input))
		}
	}
	return min(len(input), c.p.Max)
}

// siphash is SipHash-2-4 of any length, written from its paper.
func siphash(key [2]uint64, m []byte) uint64 {
	v := [4]uint64{key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573}
	rotl := func(x uint64, n int) uint64 { return x<<n | x>>(64-n) }
	round := func() {
		v[0] += v[1]
		v[2] += v[3]
		v[1], v[3] = rotl(v[1], 13)^v[0], rotl(v[3], 16)^v[2]
		v[0] = rotl(v[0], 32)
		v[2] += v[1]
		v[0] += v[3]
		v[1], v[3] = rotl(v[1], 17)^v[2], rotl(v[3], 21)^v[0]
		v[2] = rotl(v[2], 32)
	}
	padded := append(slices.Clone(m), make([]byte, 8-len(m)%8)...)
	padded[len(padded)-1] = byte(len(m))
	for ; len(padded) > 0; padded = padded[8:] {
		w := binary.LittleEndian.Uint64(padded)
		v[3] ^= w
		round()
		round()
		v[0] ^= w
	}
	v[2] ^= 0xff
	for range 4 {
		round()
	}
	return v[0] ^ v[1] ^ v[2] ^ v[3]
}

func TestSipHash(t *testing.T) {
	// Vectors of the reference implementation: bytes 0, 1, 2, ... under key 0, 1, ... 15.
	key := [2]uint64{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	var m [window]byte
	for i := range m {
		m[i] = byte(i)
	}
	for n, want := range map[int]uint64{0: 0x726fdb47dd0e0e31, 1: 0x74f839c593dc67fd, 8: 0x93f5f5799a932462, 15: 0xa129ca6149be45e5} {
		if got := siphash(key, m[:n]); got != want {
			t.Errorf("%d bytes: %016x, want %016x", n, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		key := [2]uint64{rapid.Uint64().Draw(t, "k0"), rapid.Uint64().Draw(t, "k1")}
		copy(m[:], rapid.SliceOfN(rapid.Byte(), window, window).Draw(t, "m"))
		if got, want := sip(&key, &m), siphash(key, m[:]); got != want {
			t.Fatalf("%016x, want %016x", got, want)
		}
	})
}

// anyInput draws bytes of many kinds: random, text, runs, short periods, mixed.
func anyInput(t *rapid.T) []byte {
	var out []byte
	for range rapid.IntRange(0, 5).Draw(t, "parts") {
		n := rapid.IntRange(0, 30<<10).Draw(t, "n")
		seed := rapid.Byte().Draw(t, "seed")
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			out = append(out, random(seed, n)...)
		case 1:
			out = append(out, bytes.Repeat([]byte{seed}, n)...)
		case 2:
			for i := range n / 10 {
				out = fmt.Appendf(out, "%d;%d\n", i, i*int(seed))
			}
		case 3:
			out = append(out, bytes.Repeat(random(seed, 1+n%9), n/9)...)
		}
	}
	return out
}

func TestCutsAreAsDefined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Params{Min: rapid.IntRange(64, 2<<10).Draw(t, "min"), Avg: rapid.IntRange(4<<10, 6<<10).Draw(t, "avg")}
		p.Max = 2*p.Avg + rapid.IntRange(0, 9999).Draw(t, "max")
		c, err := New(bytes.Repeat([]byte{rapid.Byte().Draw(t, "key")}, KeySize), p)
		if err != nil {
			t.Fatal(err)
		}
		for input := anyInput(t); len(input) > 0; {
			n, want := c.Cut(input, true), defined(c, input)
			if n != want {
				t.Fatalf("%+v, %d bytes: cut at %d, want %d", p, len(input), n, want)
			}
			if n > p.Max || n < p.Min && n < len(input) {
				t.Fatalf("a chunk of %d bytes of %d for %+v", n, len(input), p)
			}
			// Whoever has less of it either says the same or asks for more.
			have := rapid.IntRange(0, len(input)).Draw(t, "have")
			if got := c.Cut(input[:have], false); got != n && (got != 0 || have >= p.Max) {
				t.Fatalf("of %d bytes %d are cut, want %d", have, got, n)
			}
			input = input[n:]
		}
	})
}

// dribble returns what it has in pieces of drawn sizes, some of them empty.
type dribble struct {
	t    *rapid.T
	rest []byte
}

func (d *dribble) Read(p []byte) (int, error) {
	if len(d.rest) == 0 {
		return 0, io.EOF
	}
	n := min(rapid.IntRange(0, 9000).Draw(d.t, "read"), len(p), len(d.rest))
	copy(p, d.rest[:n])
	d.rest = d.rest[n:]
	return n, nil
}

func TestReaderCutsAlikeHoweverBytesComeIn(t *testing.T) {
	c := cutter(t, 1, small)
	rapid.Check(t, func(t *rapid.T) {
		input := anyInput(t)
		want := cutAll(c, input, nil)
		var in io.Reader = &dribble{t, input}
		if rapid.Bool().Draw(t, "eof with data") {
			in = iotest.DataErrReader(in)
		}
		r := NewReader(c, in, make([]byte, 2*small.Max+rapid.IntRange(0, 999).Draw(t, "buf")))
		var sizes []int
		var all []byte
		for {
			chunk, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			sizes, all = append(sizes, len(chunk)), append(all, chunk...)
		}
		if !slices.Equal(sizes, want) || !bytes.Equal(all, input) {
			t.Fatalf("read in %v, cut in %v; the same bytes: %v", sizes, want, bytes.Equal(all, input))
		}
		if _, err := r.Next(); err != io.EOF {
			t.Fatalf("after the end: %v", err)
		}
	})
}

// stuck never has anything.
type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestReaderReturnsErrorsAsTheyAre(t *testing.T) {
	c, broken := cutter(t, 1, small), errors.New("broken")
	input := random(1, 100<<10)
	r := NewReader(c, io.MultiReader(bytes.NewReader(input), iotest.ErrReader(broken)), nil)
	var got int
	var err error
	for err == nil {
		var chunk []byte
		chunk, err = r.Next()
		got += len(chunk)
	}
	if _, again := r.Next(); err != broken || again != broken {
		t.Errorf("%v, then %v", err, again)
	}
	if got > len(input) {
		t.Errorf("%d bytes of %d", got, len(input))
	}
	r.Reset(stuck{})
	if _, err := r.Next(); err != io.ErrNoProgress {
		t.Errorf("of a reader that returns nothing: %v", err)
	}
	r.Reset(bytes.NewReader(nil))
	if chunk, err := r.Next(); err != io.EOF || chunk != nil {
		t.Errorf("of nothing: %d bytes, %v", len(chunk), err)
	}
}

// golden cuts must never change: what is stored would be stored again.
func TestGolden(t *testing.T) {
	key := make([]byte, KeySize)
	for i := range key {
		key[i] = byte(i)
	}
	c, err := New(key, Default)
	if err != nil {
		t.Fatal(err)
	}
	if c.normal != 210560 || c.spread != 8192 || c.early != 0x20000000000000 || c.late != 0x200000000000000 {
		t.Errorf("calibrated to %d, %d, %x, %x", c.normal, c.spread, c.early, c.late)
	}
	var text []byte
	for i := range 200_000 {
		text = fmt.Appendf(text, "%d\n", i)
	}
	// Counted blocks, hashed, so that any language can make the same bytes.
	hashed := make([]byte, 0, 2<<20)
	for i := uint64(0); len(hashed) < cap(hashed); i++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, i))
		hashed = append(hashed, sum[:]...)
	}
	for _, g := range []struct {
		name  string
		input []byte
		want  []int
	}{
		{"hashed", hashed, []int{408103, 105432, 189810, 222025, 134469, 376889, 360489, 299935}},
		{"text", text, []int{422935, 258896, 85692, 244506, 246347, 30514}},
		{"zeros", make([]byte, 3<<20), []int{1 << 20, 1 << 20, 1 << 20}},
	} {
		if got := cutAll(c, g.input, nil); !slices.Equal(got, g.want) {
			t.Errorf("%s: cut in %v, want %v", g.name, got, g.want)
		}
	}
}

func TestAverage(t *testing.T) {
	input := random(1, 32<<20)
	for _, p := range []Params{Default, {64, 4 << 10, 8 << 10}, {30 << 10, 60 << 10, 200 << 10}} {
		// Every key cuts the same bytes anew, so that fewer do. The last chunk of
		// each is not the content's doing.
		bytes, chunks := 0, 0
		for key := range byte(24) {
			sizes := cutAll(cutter(t, key, p), input, nil)
			for _, n := range sizes[:len(sizes)-1] {
				bytes, chunks = bytes+n, chunks+1
			}
			if chunks > 20_000 {
				break
			}
		}
		if mean := float64(bytes) / float64(chunks); mean < 0.98*float64(p.Avg) || mean > 1.02*float64(p.Avg) {
			t.Errorf("%+v: %d chunks have %.0f bytes on average", p, chunks, mean)
		}
	}
}

// fresh returns how many bytes of the chunks of edited are in none of original's.
func fresh(c *Cutter, original, edited []byte) int {
	have := map[[32]byte]bool{}
	each := func(input []byte, f func(sum [32]byte, n int)) {
		for _, n := range cutAll(c, input, nil) {
			f(sha256.Sum256(input[:n]), n)
			input = input[n:]
		}
	}
	each(original, func(sum [32]byte, n int) { have[sum] = true })
	total := 0
	each(edited, func(sum [32]byte, n int) {
		if !have[sum] {
			total += n
		}
	})
	return total
}

func TestInsertsCostLittle(t *testing.T) {
	const size = 128 << 20
	c, original := cutter(t, 1, Default), random(2, size)
	r := rand.New(rand.NewPCG(1, 2))
	places := make([]int, 40)
	for i := range places {
		places[i] = r.IntN(size)
	}
	slices.Sort(places)
	edited := make([]byte, 0, size+40*64)
	from := 0
	for _, at := range places {
		edited = append(append(edited, original[from:at]...), random(byte(at), 1+r.IntN(64))...)
		from = at
	}
	edited = append(edited, original[from:]...)
	n := fresh(c, original, edited)
	t.Logf("40 inserts in 128 MiB: %.2f%% new", 100*float64(n)/size)
	if n > size/10 {
		t.Errorf("40 inserts made %d of %d bytes new", n, size)
	}
}

// After an insert that is longer than a chunk, cuts have to find each other again.
func TestCutsMeetAgain(t *testing.T) {
	c, total := cutter(t, 1, Default), 0
	const rounds = 20
	for i := range byte(rounds) {
		original := random(i, 8<<20)
		edited := append(random(i+100, 3<<20+int(i)*12345), original...)
		total += fresh(c, original, edited) - (len(edited) - len(original))
	}
	t.Logf("%d bytes each until cuts meet", total/rounds)
	if total/rounds > 3*Default.Avg {
		t.Errorf("cuts meet after %d bytes only", total/rounds)
	}
}

// Sizes say nothing of where candidates are: at a cut, the hash is like anywhere.
func TestCutsAreNoCandidates(t *testing.T) {
	c, input := cutter(t, 1, small), random(3, 32<<20)
	cuts, rareOnes, at := 0, 0, 0
	for _, n := range cutAll(c, input, nil) {
		if at += n; n < small.Max && at < len(input) {
			if cuts++; c.gears.before(input, at)&rare == 0 {
				rareOnes++
			}
		}
	}
	// One in 128 cuts lies at its candidate (the spread is that small here), one in
	// 512 by chance.
	if want := cuts/128 + cuts/512; rareOnes > 2*want || rareOnes < want/2 {
		t.Errorf("%d of %d cuts are at candidates, want about %d", rareOnes, cuts, want)
	}
}

func TestAnotherKeyCutsElsewhere(t *testing.T) {
	input, cuts := random(4, 16<<20), map[int]bool{}
	at := 0
	for _, n := range cutAll(cutter(t, 1, small), input, nil) {
		at += n
		cuts[at] = true
	}
	at, same, all := 0, 0, 0
	for _, n := range cutAll(cutter(t, 2, small), input, nil) {
		if at += n; at < len(input) {
			if all++; cuts[at] {
				same++
			}
		}
	}
	if same > all/100 {
		t.Errorf("%d of %d cuts are the same under another key", same, all)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, p := range []Params{{}, {63, 4096, 8192}, {64, 4095, 9000}, {2049, 4096, 8192}, {64, 4096, 8191}, {64, 1 << 29, 1 << 30}, {64, 4096, 1<<30 + 1}} {
		if _, err := New(make([]byte, KeySize), p); err == nil {
			t.Errorf("took %+v", p)
		}
	}
	if _, err := New(make([]byte, 16), Default); err == nil {
		t.Error("took a key of 16 bytes")
	}
}

func TestNothingIsAllocated(t *testing.T) {
	c, input := cutter(t, 1, small), random(5, 1<<20)
	in := bytes.NewReader(input)
	r := NewReader(c, in, nil)
	if n := testing.AllocsPerRun(3, func() {
		in.Reset(input)
		r.Reset(in)
		for {
			if _, err := r.Next(); err != nil {
				return
			}
		}
	}); n > 0 {
		t.Errorf("%v allocations a reading", n)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(random(1, 5000), byte(1), uint8(3))
	f.Add(make([]byte, 40_000), byte(2), uint8(200))
	f.Fuzz(func(t *testing.T, input []byte, key byte, piece uint8) {
		input = bytes.Repeat(input, 1+20_000/(len(input)+1)) // beyond one chunk
		c, err := New(bytes.Repeat([]byte{key}, KeySize), Params{64, 4 << 10, 8 << 10})
		if err != nil {
			t.Fatal(err)
		}
		r := NewReader(c, &pieces{bytes.NewReader(input), 1 + int(piece)}, nil)
		rest := input
		for {
			chunk, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil || len(chunk) != defined(c, rest) || !bytes.HasPrefix(rest, chunk) {
				t.Fatalf("a chunk of %d bytes, want %d: %v", len(chunk), defined(c, rest), err)
			}
			rest = rest[len(chunk):]
		}
		if len(rest) > 0 {
			t.Fatalf("%d bytes are missing", len(rest))
		}
	})
}

// pieces returns no more than n bytes at once.
type pieces struct {
	r io.Reader
	n int
}

func (p *pieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), p.n)]) }
