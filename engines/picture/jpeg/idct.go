package jpeg

import "encoding/binary"

// zigzag is the natural index of the k-th coefficient of a scan.
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// spare is the slot of coefficients that nobody needs.
const spare = 64

// slots says where in a block of n*n the k-th coefficient goes, by log2(8/n); beyond
// 63, where a broken file can lead, nowhere.
var slots = func() (t [4][128]uint8) {
	for r := range t {
		n := 8 >> r
		for k := range t[r] {
			t[r][k] = spare
			if k < 64 {
				if x, y := int(zigzag[k]&7), int(zigzag[k]>>3); x < n && y < n {
					t[r][k] = uint8(y*n + x)
				}
			}
		}
	}
	return t
}()

// slotsOf returns the slots for a reduction, and the last index that has one.
func slotsOf(reduce uint) (*[128]uint8, int) {
	return &slots[reduce&3], [4]int{63, 24, 4, 0}[reduce&3]
}

// block holds a block's coefficients, multiplied, and the spare one. It has an element
// for every slot that a byte can name, so that none is checked.
type block [256]int32

func clamp(v int32) uint8 {
	if uint32(v) > 255 {
		return uint8(^(v >> 31))
	}
	return uint8(v)
}

// idct writes the n*n samples of a block; last is the zigzag index of its last
// coefficient that is not 0.
func idct(n int, b *block, last int, dst []byte, stride int) {
	if last == 0 || n == 1 {
		flat(n, clamp((b[0]+1024+4)>>3), dst, stride)
		return
	}
	switch n {
	case 8:
		idct8(b, last, dst, stride)
	case 4:
		idct4(b, dst, stride)
	case 2:
		idct2(b, dst, stride)
	}
}

func flat(n int, v uint8, dst []byte, stride int) {
	switch n {
	case 1:
		dst[0] = v
	case 8:
		for y := range 8 {
			binary.LittleEndian.PutUint64(dst[y*stride:], uint64(v)*ones)
		}
	default:
		for y := range n {
			for x := range n {
				dst[y*stride+x] = v
			}
		}
	}
}

func idct2(b *block, dst []byte, stride int) {
	dc := b[0] + 1024 + 4 // half of 8 for rounding
	e0, e1, o0, o1 := dc+b[1], dc-b[1], b[2]+b[3], b[2]-b[3]
	top, low := dst[:2], dst[stride:stride+2]
	top[0], top[1] = clamp((e0+o0)>>3), clamp((e1+o1)>>3)
	low[0], low[1] = clamp((e0-o0)>>3), clamp((e1-o1)>>3)
}

// Constants of the transforms, in 13 bits of fraction.
const (
	fixBits = 13
	pass1   = 2 // bits of fraction that columns leave to rows

	c4a = 10703 // sqrt(2) cos(pi/8)
	c4b = 4433  // sqrt(2) cos(3 pi/8)
)

func idct4(b *block, dst []byte, stride int) {
	var t [16]int32
	for x := range 4 {
		x0, x1, x2, x3 := b[x], b[4+x], b[8+x], b[12+x]
		const round = 1 << (fixBits - pass1 - 1)
		e0, e1 := (x0+x2)<<fixBits+round, (x0-x2)<<fixBits+round
		o0, o1 := c4a*x1+c4b*x3, c4b*x1-c4a*x3
		t[x], t[12+x] = (e0+o0)>>(fixBits-pass1), (e0-o0)>>(fixBits-pass1)
		t[4+x], t[8+x] = (e1+o1)>>(fixBits-pass1), (e1-o1)>>(fixBits-pass1)
	}
	for y := range 4 {
		const shift = fixBits + pass1 + 3
		r := (*[4]int32)(t[4*y:])
		const bias = 128<<shift + 1<<(shift-1)
		e0, e1 := (r[0]+r[2])<<fixBits+bias, (r[0]-r[2])<<fixBits+bias
		o0, o1 := c4a*r[1]+c4b*r[3], c4b*r[1]-c4a*r[3]
		row := dst[y*stride:][:4]
		row[0], row[3] = clamp((e0+o0)>>shift), clamp((e0-o0)>>shift)
		row[1], row[2] = clamp((e1+o1)>>shift), clamp((e1-o1)>>shift)
	}
}

// The constants of Loeffler, Ligtenberg and Moschytz's network.
const (
	f0298 = 2446
	f0390 = 3196
	f0541 = 4433
	f0765 = 6270
	f0899 = 7373
	f1175 = 9633
	f1501 = 12299
	f1847 = 15137
	f1961 = 16069
	f2053 = 16819
	f2562 = 20995
	f3072 = 25172
)

// odd is the odd half of the network: of inputs 1, 3, 5 and 7.
func odd(x1, x3, x5, x7 int32) (o0, o1, o2, o3 int32) {
	z1, z2, z3, z4 := x7+x1, x5+x3, x7+x3, x5+x1
	z5 := (z3 + z4) * f1175
	z1 *= -f0899
	z2 *= -f2562
	z3 = z5 - z3*f1961
	z4 = z5 - z4*f0390
	return x7*f0298 + z1 + z3, x5*f2053 + z2 + z4, x3*f3072 + z2 + z3, x1*f1501 + z1 + z4
}

// reach is how many columns, and rows, coefficients up to a zigzag index touch.
var reach = func() (t [64]uint8) {
	most := uint8(0)
	for k := range t {
		most = max(most, zigzag[k]&7+1, zigzag[k]>>3+1)
		t[k] = most
	}
	return t
}()

func idct8(b *block, last int, dst []byte, stride int) {
	const shift1, shift2 = fixBits - pass1, fixBits + pass1 + 3
	const round1, bias2 = 1 << (shift1 - 1), 128<<shift2 + 1<<(shift2-1)
	columns := int(reach[last&63])
	for x := range columns {
		x &= 7
		x0, x1, x2, x3, x4, x5, x6, x7 := b[x], b[8+x], b[16+x], b[24+x], b[32+x], b[40+x], b[48+x], b[56+x]
		if x1|x2|x3|x4|x5|x6|x7 == 0 {
			v := x0 << pass1
			b[x], b[8+x], b[16+x], b[24+x], b[32+x], b[40+x], b[48+x], b[56+x] = v, v, v, v, v, v, v, v
			continue
		}
		z := (x2 + x6) * f0541
		t2, t3 := z-x6*f1847, z+x2*f0765
		t0, t1 := (x0+x4)<<fixBits+round1, (x0-x4)<<fixBits+round1
		e0, e3, e1, e2 := t0+t3, t0-t3, t1+t2, t1-t2
		o0, o1, o2, o3 := odd(x1, x3, x5, x7)
		b[x], b[56+x] = (e0+o3)>>shift1, (e0-o3)>>shift1
		b[8+x], b[48+x] = (e1+o2)>>shift1, (e1-o2)>>shift1
		b[16+x], b[40+x] = (e2+o1)>>shift1, (e2-o1)>>shift1
		b[24+x], b[32+x] = (e3+o0)>>shift1, (e3-o0)>>shift1
	}
	if columns <= 4 {
		idctRows4(b, dst, stride)
		return
	}
	for y := range 8 {
		r := (*[8]int32)(b[8*y:])
		z := (r[2] + r[6]) * f0541
		t2, t3 := z-r[6]*f1847, z+r[2]*f0765
		t0, t1 := (r[0]+r[4])<<fixBits+bias2, (r[0]-r[4])<<fixBits+bias2
		e0, e3, e1, e2 := t0+t3, t0-t3, t1+t2, t1-t2
		o0, o1, o2, o3 := odd(r[1], r[3], r[5], r[7])
		row := dst[y*stride:][:8]
		row[0], row[7] = clamp((e0+o3)>>shift2), clamp((e0-o3)>>shift2)
		row[1], row[6] = clamp((e1+o2)>>shift2), clamp((e1-o2)>>shift2)
		row[2], row[5] = clamp((e2+o1)>>shift2), clamp((e2-o1)>>shift2)
		row[3], row[4] = clamp((e3+o0)>>shift2), clamp((e3-o0)>>shift2)
	}
}

// idctRows4 is the second half of idct8 where columns 4 to 7 are 0.
func idctRows4(b *block, dst []byte, stride int) {
	const shift2 = fixBits + pass1 + 3
	const bias2 = 128<<shift2 + 1<<(shift2-1)
	for y := range 8 {
		r := (*[4]int32)(b[8*y:])
		x0, x1, x2, x3 := r[0], r[1], r[2], r[3]
		t0 := x0<<fixBits + bias2
		t2, t3 := x2*f0541, x2*(f0541+f0765)
		e0, e3, e1, e2 := t0+t3, t0-t3, t0+t2, t0-t2
		z5 := (x3 + x1) * f1175
		z1, z2, z3, z4 := x1*-f0899, x3*-f2562, z5-x3*f1961, z5-x1*f0390
		o0, o1, o2, o3 := z1+z3, z2+z4, x3*f3072+z2+z3, x1*f1501+z1+z4
		row := dst[y*stride:][:8]
		row[0], row[7] = clamp((e0+o3)>>shift2), clamp((e0-o3)>>shift2)
		row[1], row[6] = clamp((e1+o2)>>shift2), clamp((e1-o2)>>shift2)
		row[2], row[5] = clamp((e2+o1)>>shift2), clamp((e2-o1)>>shift2)
		row[3], row[4] = clamp((e3+o0)>>shift2), clamp((e3-o0)>>shift2)
	}
}
