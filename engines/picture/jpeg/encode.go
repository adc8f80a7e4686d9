package jpeg

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Image is a picture to encode: one plane of grey, or JFIF's Y, Cb and Cr, the last two
// of half the width and height, rounded up. Rows follow each other without gaps.
type Image struct {
	Width, Height int // at most 65535
	Planes        [][]uint8
	Profile       []byte // a colour profile, at most MaxProfile bytes; nil: sRGB
}

// MaxProfile is the most bytes of a profile that fit in a segment.
const MaxProfile = 0xffff - 2 - 14

// Encode appends a baseline file of a quality of 1 to 100, on the scale of the
// Independent JPEG Group's software, to dst. It uses the Huffman tables of T.81's annex K.
func Encode(dst []byte, img Image, quality int) []byte {
	e := &encoder{out: dst, img: img}
	e.tables(min(max(quality, 1), 100))
	e.header()
	if len(img.Planes) == 1 {
		e.gray()
	} else {
		e.colour()
	}
	e.flush()
	return append(e.out, 0xff, mEOI)
}

type encoder struct {
	out   []byte
	img   Image
	acc   uint64 // bits that are not in out yet, from the top
	n     int
	quant [2]quantizer
	dc    [2][12]uint32  // codes: bits<<8 | length
	ac    [2][256]uint32 // of run<<4 | size
	pred  [3]int32
	pair  [64]int64 // two blocks, a lane each
	coefs [64]int32 // in zigzag order
}

// quantizer divides by a table's steps and by what the transform multiplies with.
type quantizer struct {
	steps [64]uint8 // zigzag order
	times [64]int64 // natural order: 2^quantBits over what a coefficient is divided by
	least [64]int32 // natural order: smaller ones, either side of 0, become 0
}

const quantBits = 40

func (e *encoder) tables(quality int) {
	scale := 200 - 2*quality
	if quality < 50 {
		scale = 5000 / quality
	}
	for t, base := range annexKSteps {
		q := &e.quant[t]
		for k, step := range base {
			q.steps[k] = uint8(min(max((int(step)*scale+50)/100, 1), 255))
			i := zigzag[k]
			// The transform leaves each coefficient multiplied by 8, by its row's and its
			// column's factor, and by 2^fracBits.
			by := float64(q.steps[k]) * 8 * aan[i>>3] * aan[i&7] * (1 << fracBits)
			q.times[i] = int64(math.Round((1 << quantBits) / by))
			q.least[i] = int32(by / 2)
		}
		code := func(into []uint32, spec *huffmanSpec) {
			c, at := uint32(0), 0
			for l, n := range spec.counts {
				for range n {
					into[spec.values[at]] = c<<8 | uint32(l+1)
					c++
					at++
				}
				c <<= 1
			}
		}
		code(e.dc[t][:], &annexKCodes[2*t])
		code(e.ac[t][:], &annexKCodes[2*t+1])
	}
}

func (e *encoder) header() {
	be := binary.BigEndian
	segment := func(m byte, n int) {
		e.out = be.AppendUint16(append(e.out, 0xff, m), uint16(n+2))
	}
	e.out = append(e.out, 0xff, mSOI)
	segment(mAPP0, 14)
	e.out = append(e.out, "JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"...)
	if p := e.img.Profile; len(p) > 0 && len(p) <= MaxProfile {
		segment(mAPP0+2, 14+len(p))
		e.out = append(append(e.out, "ICC_PROFILE\x00\x01\x01"...), p...)
	}
	planes := len(e.img.Planes)
	tables := min(planes, 2)
	for t := range tables {
		segment(mDQT, 65)
		e.out = append(append(e.out, byte(t)), e.quant[t].steps[:]...)
	}
	segment(mSOF0, 6+3*planes)
	e.out = be.AppendUint16(append(e.out, 8), uint16(e.img.Height))
	e.out = append(be.AppendUint16(e.out, uint16(e.img.Width)), byte(planes))
	for i := range planes {
		sampling := byte(0x11)
		if planes > 1 && i == 0 {
			sampling = 0x22
		}
		e.out = append(e.out, byte(i+1), sampling, byte(min(i, 1)))
	}
	for t := range 2 * tables {
		s := &annexKCodes[t]
		segment(mDHT, 17+len(s.values))
		e.out = append(append(append(e.out, byte(t&1<<4|t>>1)), s.counts[:]...), s.values...)
	}
	segment(mSOS, 4+2*planes)
	e.out = append(e.out, byte(planes))
	for i := range planes {
		e.out = append(e.out, byte(i+1), byte(min(i, 1)*0x11))
	}
	e.out = append(e.out, 0, 63, 0)
}

func (e *encoder) gray() {
	w, h := e.img.Width, e.img.Height
	for y := 0; y < h; y += 8 {
		for x := 0; x < w; x += 16 {
			e.load(0, e.img.Planes[0], w, h, x, y)
			e.load(1, e.img.Planes[0], w, h, x+8, y)
			e.transform()
			e.block(0, 0, 0)
			if x+8 < w {
				e.block(1, 0, 0)
			}
		}
	}
}

func (e *encoder) colour() {
	w, h := e.img.Width, e.img.Height
	cw, ch := (w+1)/2, (h+1)/2
	for y := 0; y < h; y += 16 {
		for x := 0; x < w; x += 16 {
			for row := 0; row < 16; row += 8 {
				e.load(0, e.img.Planes[0], w, h, x, y+row)
				e.load(1, e.img.Planes[0], w, h, x+8, y+row)
				e.transform()
				e.block(0, 0, 0)
				e.block(1, 0, 0)
			}
			e.load(0, e.img.Planes[1], cw, ch, x/2, y/2)
			e.load(1, e.img.Planes[2], cw, ch, x/2, y/2)
			e.transform()
			e.block(0, 1, 1)
			e.block(1, 1, 2)
		}
	}
}

// load puts the block at x, y of a plane into a lane; beyond the plane's edges, what is
// there is repeated.
func (e *encoder) load(lane uint, pix []uint8, w, h, x, y int) {
	shift := lane * 32
	for j := range 8 {
		row := pix[min(y+j, h-1)*w:][:w]
		to := (*[8]int64)(e.pair[8*j:])
		if x+8 <= w {
			from := (*[8]uint8)(row[x:])
			if lane == 0 {
				to[0], to[1], to[2], to[3] = int64(from[0])-128, int64(from[1])-128, int64(from[2])-128, int64(from[3])-128
				to[4], to[5], to[6], to[7] = int64(from[4])-128, int64(from[5])-128, int64(from[6])-128, int64(from[7])-128
			} else {
				to[0] += (int64(from[0]) - 128) << 32
				to[1] += (int64(from[1]) - 128) << 32
				to[2] += (int64(from[2]) - 128) << 32
				to[3] += (int64(from[3]) - 128) << 32
				to[4] += (int64(from[4]) - 128) << 32
				to[5] += (int64(from[5]) - 128) << 32
				to[6] += (int64(from[6]) - 128) << 32
				to[7] += (int64(from[7]) - 128) << 32
			}
			continue
		}
		for i := range to {
			v := int64(row[min(x+i, w-1)]) - 128
			if lane == 0 {
				to[i] = v
			} else {
				to[i] += v << shift
			}
		}
	}
}

// aan are the factors by which the transform of Arai, Agui and Nakajima (1988) leaves
// coefficients too large.
var aan = func() (f [8]float64) {
	f[0] = 1
	for i := 1; i < 8; i++ {
		f[i] = math.Cos(float64(i)*math.Pi/16) * math.Sqrt2
	}
	return f
}()

const (
	aanBits  = 12
	midBits  = 4                 // fraction between the two halves
	fracBits = aanBits + midBits // and at the end
	a0382    = 1567              // sin(pi/8), in 12 bits
	a0541    = 2217              // cos(pi/8) - sin(pi/8)
	a0707    = 2896              // sqrt(1/2)
	a1306    = 5352              // cos(pi/8) + sin(pi/8)
)

// forward is the transform of 8 points, of two lanes at once. A word is the sum of its
// lanes, the upper one times 2^32: sums and products with a constant hold for both.
func forward(d *[64]int64, at, step int) {
	x0, x1, x2, x3 := d[at&63], d[(at+step)&63], d[(at+2*step)&63], d[(at+3*step)&63]
	x4, x5, x6, x7 := d[(at+4*step)&63], d[(at+5*step)&63], d[(at+6*step)&63], d[(at+7*step)&63]
	s07, d07, s16, d16 := x0+x7, x0-x7, x1+x6, x1-x6
	s25, d25, s34, d34 := x2+x5, x2-x5, x3+x4, x3-x4

	e0, e3, e1, e2 := s07+s34, s07-s34, s16+s25, s16-s25
	z := (e2 + e3) * a0707
	e3 <<= aanBits
	d[at&63], d[(at+4*step)&63] = (e0+e1)<<aanBits, (e0-e1)<<aanBits
	d[(at+2*step)&63], d[(at+6*step)&63] = e3+z, e3-z

	o0, o1, o2 := d34+d25, d25+d16, d16+d07
	z5 := (o0 - o2) * a0382
	z2, z4, z3 := o0*a0541+z5, o2*a1306+z5, o1*a0707
	d07 <<= aanBits
	z11, z13 := d07+z3, d07-z3
	d[(at+5*step)&63], d[(at+3*step)&63] = z13+z2, z13-z2
	d[(at+step)&63], d[(at+7*step)&63] = z11+z4, z11-z4
}

func (e *encoder) transform() {
	const (
		shift = aanBits - midBits
		above = 1 << 30 // makes lanes positive, so that they can be shifted
		round = above + 1<<(shift-1)
		mask  = 1<<(32-shift) - 1
	)
	d := &e.pair
	for x := range 8 {
		forward(d, x, 8)
	}
	for i := range d {
		v := uint64(d[i]) + (round<<32 | round)
		d[i] = int64(v>>shift&(mask<<32|mask)) - (above>>shift<<32 + above>>shift)
	}
	for y := range 8 {
		forward(d, 8*y, 1)
	}
}

// block writes the block of a lane.
func (e *encoder) block(lane uint, table, plane int) {
	q := &e.quant[table]
	nonzero := uint64(0)
	for k := range 64 {
		i := zigzag[k] & 63
		v := int32(e.pair[i])
		if lane == 1 {
			v = int32((e.pair[i] - int64(v)) >> 32)
		}
		if least := q.least[i]; v < least && v > -least {
			continue
		}
		c := int32((int64(v)*q.times[i] + 1<<(quantBits-1)) >> quantBits)
		e.coefs[k] = c
		if c != 0 {
			nonzero |= 1 << k
		}
	}
	dc := int32(0)
	if nonzero&1 != 0 {
		dc = min(max(e.coefs[0], -1024), 1023)
	}
	diff := dc - e.pred[plane]
	e.pred[plane] = dc
	v, size := magnitude(diff)
	code := e.dc[table][size]
	e.put(uint64(code>>8)<<size|uint64(v), int(code&255)+size)

	ac := &e.ac[table]
	nonzero &^= 1
	last := 0
	for nonzero != 0 {
		k := bits.TrailingZeros64(nonzero)
		nonzero &= nonzero - 1
		run := k - last - 1
		last = k
		for run > 15 {
			e.put(uint64(ac[0xf0]>>8), int(ac[0xf0]&255))
			run -= 16
		}
		v, size := magnitude(min(max(e.coefs[k&63], -1023), 1023))
		code := ac[run<<4|size]
		e.put(uint64(code>>8)<<size|uint64(v), int(code&255)+size)
	}
	if last < 63 {
		e.put(uint64(ac[0]>>8), int(ac[0]&255))
	}
}

// magnitude returns the bits that stand for a number, and how many.
func magnitude(v int32) (uint32, int) {
	sign := v >> 31
	size := bits.Len32(uint32((v ^ sign) - sign))
	return uint32(v+sign) & (1<<size - 1), size
}

// put writes n bits, at most 32.
func (e *encoder) put(v uint64, n int) {
	e.acc |= v << (64 - e.n - n)
	e.n += n
	if e.n >= 32 {
		e.word()
	}
}

// word moves the first 32 bits to out.
func (e *encoder) word() {
	w := uint32(e.acc >> 32)
	e.acc <<= 32
	e.n -= 32
	if (^w-ones&math.MaxUint32)&w&(highs&math.MaxUint32) == 0 { // no byte is 0xff
		e.out = binary.BigEndian.AppendUint32(e.out, w)
		return
	}
	for s := 24; s >= 0; s -= 8 {
		b := byte(w >> s)
		if e.out = append(e.out, b); b == 0xff {
			e.out = append(e.out, 0)
		}
	}
}

// flush writes what is left, filled up with ones.
func (e *encoder) flush() {
	if pad := -e.n & 7; pad > 0 {
		e.put(1<<pad-1, pad)
	}
	for ; e.n > 0; e.n -= 8 {
		b := byte(e.acc >> 56)
		e.acc <<= 8
		if e.out = append(e.out, b); b == 0xff {
			e.out = append(e.out, 0)
		}
	}
}
