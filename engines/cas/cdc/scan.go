package cdc

import (
	"encoding/binary"
	"math/bits"
)

const (
	// window is how many bytes decide on a cut.
	window = 64
	// candidates is how rare candidates are: one position in so many.
	candidates = 512
	// rare is where a candidate's hash is 0: its nine highest bits. The hash has 63
	// bits, so that one step of two bytes can look at it in between.
	rare = (candidates - 1) << (63 - 9)
)

// gears are a random number for each value of a byte, once as they are, and doubled.
type gears struct{ one, two [256]uint64 }

// roll takes a byte into the hash. What came 63 bytes earlier is gone after it.
func (g *gears) roll(h uint64, b byte) uint64 { return h<<1 + g.one[b] }

// before returns the hash after at bytes of buf, which are at least a window.
func (g *gears) before(buf []byte, at int) (h uint64) {
	for _, b := range buf[at-window : at] {
		h = g.roll(h, b)
	}
	return h
}

// pair rolls over a and b, which are equally long, in lock step until after a byte
// at which either has a candidate, and returns how many bytes of each it took, and
// the hashes there.
//
// Two lanes, because each hash waits for the one before. Two bytes are one step,
// 4h + 2one[first] + one[second]: in the middle stands twice the hash, of which bit
// 63 is gone and bit 62 is bit 63.
func (g *gears) pair(a, b []byte, h, k uint64) (int, uint64, uint64) {
	b = b[:len(a)]
	i := 0
	for ; i < len(a)-3; i += 4 {
		h = h<<2 + g.two[a[i]]
		k = k<<2 + g.two[b[i]]
		if h&(rare<<1) == 0 || k&(rare<<1) == 0 {
			return i + 1, h >> 1, k >> 1
		}
		h += g.one[a[i+1]]
		k += g.one[b[i+1]]
		if h&rare == 0 || k&rare == 0 {
			return i + 2, h, k
		}
		h = h<<2 + g.two[a[i+2]]
		k = k<<2 + g.two[b[i+2]]
		if h&(rare<<1) == 0 || k&(rare<<1) == 0 {
			return i + 3, h >> 1, k >> 1
		}
		h += g.one[a[i+3]]
		k += g.one[b[i+3]]
		if h&rare == 0 || k&rare == 0 {
			return i + 4, h, k
		}
	}
	for ; i < len(a); i++ {
		h, k = g.roll(h, a[i]), g.roll(k, b[i])
		if h&rare == 0 || k&rare == 0 {
			return i + 1, h, k
		}
	}
	return i, h, k
}

// sip is SipHash-2-4 of one window.
func sip(key *[2]uint64, m *[window]byte) uint64 {
	v0, v1 := key[0]^0x736f6d6570736575, key[1]^0x646f72616e646f6d
	v2, v3 := key[0]^0x6c7967656e657261, key[1]^0x7465646279746573
	for i := 0; i < window; i += 8 {
		w := binary.LittleEndian.Uint64(m[i : i+8])
		v3 ^= w
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0 ^= w
	}
	const length = window << 56
	v3 ^= length
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0 ^= length
	v2 ^= 0xff
	for range 4 {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	return v0 ^ v1 ^ v2 ^ v3
}

func sipRound(v0, v1, v2, v3 uint64) (uint64, uint64, uint64, uint64) {
	v0 += v1
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v0 = bits.RotateLeft64(v0, 32)
	v2 += v3
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v0 += v3
	v3 = bits.RotateLeft64(v3, 21) ^ v0
	v2 += v1
	v1 = bits.RotateLeft64(v1, 17) ^ v2
	v2 = bits.RotateLeft64(v2, 32)
	return v0, v1, v2, v3
}
