package picture

import "math"

// scaler makes one plane of samples smaller, row by row as they come: three rows at a
// time are filtered across, and kept until the last row of the result that needs them is
// made, so that memory is a few rows and the result. The filter is Lanczos' with three
// lobes.
//
// Several samples share a word, and sums and products with a weight are those of all of
// them: a word is the sum of its lanes, each times a power of two. A bias keeps lanes
// from being negative in the end, when they are taken apart.
type scaler struct {
	w, h     int // of the result
	out      []uint8
	across   []tap      // one a column of the result
	down     []tap      // one a row
	three    []uint64   // rows that are not filtered yet, a lane each
	ring     [][]uint64 // rows that are, two columns a word
	sums     []uint64
	height   int       // rows that will come
	rows     int       // that make one of the result
	in, next int       // rows that came, rows that are made
	then     []*scaler // smaller ones that are made of this one's result
	same     bool      // the result is what comes
}

// tap is which samples make one of the result, and how much of each.
type tap struct {
	from    int
	weights []int16
}

const (
	acrossBits = 11 // a column's weights sum up to 1<<acrossBits
	downBits   = 14
	keepBits   = 5 // what rows keep below a whole level until columns are done

	lanes    = 3
	laneBits = 21
	laneMask = 1<<laneBits - 1
	rowShift = acrossBits - keepBits
	rowBias  = 1<<18 + 1<<(rowShift-1) // the most that weights below 0 take away is half as much

	pairBits  = 32
	pairShift = downBits + keepBits
	pairBias  = 1 << 29
	// What a row's bias has become of, when weights that sum up to 1 have been applied.
	pairStart = pairBias + 1<<(pairShift-1) - 1<<18>>rowShift<<downBits
)

// axis says where the samples of a result lie among those that it is made of: their
// middles are step samples apart, and the first is half a step and shift from the edge.
type axis struct{ step, shift float64 }

// newScaler scales from sw by sh samples to w by h.
func newScaler(sw, sh, w, h int, x, y axis) *scaler {
	s := &scaler{w: w, h: h, height: sh, out: make([]uint8, w*h)}
	if sw == w && sh == h && x == (axis{1, 0}) && y == x {
		s.same = true
		return s
	}
	s.across, _ = taps(sw, w, x, acrossBits)
	s.down, s.rows = taps(sh, h, y, downBits)
	s.three = make([]uint64, sw+3)
	rows, words := s.rows+lanes, (w+1)/2
	all := make([]uint64, words*(rows+1))
	for range rows {
		s.ring = append(s.ring, all[:words])
		all = all[words:]
	}
	s.sums = all
	return s
}

// taps returns the filter of n results from size samples: its length, and weights that
// are filled up with zeros to a multiple of four.
func taps(size, n int, a axis, bits int) (filter []tap, length int) {
	const lobes = 3
	scale := max(a.step, 1) // when there are not more results than samples, samples are joined up
	reach := lobes * scale
	length = min(int(math.Ceil(2*reach)), size)
	padded := (length + 3) &^ 3
	out := make([]tap, n)
	all := make([]int16, n*padded)
	exact := make([]float64, length)
	for i := range out {
		middle := (float64(i)+0.5)*a.step + a.shift - 0.5
		from := min(max(int(math.Ceil(middle-reach)), 0), size-length)
		sum := 0.0
		for j := range exact {
			exact[j] = lanczos((float64(from+j)-middle)/scale, lobes)
			sum += exact[j]
		}
		t := tap{from, all[i*padded:][:padded]}
		rest, most := int16(1)<<bits, 0
		if sum < 0.1*scale { // the edge of a plane that is shorter than its picture
			t.weights[min(max(int(middle)-from, 0), length-1)] = rest
		} else {
			for j := range exact {
				t.weights[j] = int16(math.Round(exact[j] / sum * float64(int(1)<<bits)))
				rest -= t.weights[j]
				if t.weights[j] > t.weights[most] {
					most = j
				}
			}
			t.weights[most] += rest
		}
		out[i] = t
	}
	return out, length
}

func lanczos(x float64, lobes float64) float64 {
	if x == 0 {
		return 1
	}
	if x <= -lobes || x >= lobes {
		return 0
	}
	x *= math.Pi
	return lobes * math.Sin(x) * math.Sin(x/lobes) / (x * x)
}

// push takes the next row of samples, of which there are as many as newScaler was told.
func (s *scaler) push(row []uint8) {
	if s.next == s.h || s.in == s.height {
		return
	}
	s.in++
	if s.same {
		copy(s.out[s.next*s.w:], row)
		s.made()
		return
	}
	n := (s.in-1)%lanes + 1
	three := s.three[:len(row)]
	if shift := (n - 1) * laneBits & 63; shift == 0 {
		for x, v := range row {
			three[x] = uint64(v)
		}
	} else {
		for x, v := range row {
			three[x] |= uint64(v) << shift
		}
	}
	if n < lanes && s.in < s.height {
		return
	}
	s.filter(n)
	for s.next < s.h && s.down[s.next].from+s.rows <= s.in {
		s.sum(s.down[s.next])
		s.made()
	}
}

func (s *scaler) made() {
	row := s.out[s.next*s.w:][:s.w]
	s.next++
	for _, t := range s.then {
		t.push(row)
	}
}

// filter makes the n rows that wait narrower and puts them into the ring. What comes
// out is still biased, and still too much or too little where samples overshoot: sum
// sees to that.
func (s *scaler) filter(n int) {
	const start = rowBias<<(2*laneBits) | rowBias<<laneBits | rowBias
	const mask = laneMask >> rowShift
	var rows [lanes][]uint64
	words := len(s.sums)
	for i := range rows {
		rows[i] = s.ring[(s.in-n+i)%len(s.ring)][:words] // where fewer wait, into places of rows to come
	}
	first, second, third := rows[0], rows[1], rows[2]
	for i := range words {
		t := &s.across[2*i]
		a := dot(s.three[t.from:], t.weights) + start
		b := a
		if 2*i+1 < len(s.across) {
			t := &s.across[2*i+1]
			b = dot(s.three[t.from:], t.weights) + start
		}
		first[i] = a>>rowShift&mask | b>>rowShift&mask<<pairBits
		second[i] = a>>(laneBits+rowShift)&mask | b>>(laneBits+rowShift)&mask<<pairBits
		third[i] = a>>(2*laneBits+rowShift)&mask | b>>(2*laneBits+rowShift)&mask<<pairBits
	}
}

// dot is the sum of samples times weights, of which there is a multiple of four.
func dot(px []uint64, ws []int16) (sum uint64) {
	for j := 0; j+4 <= len(ws) && j+4 <= len(px); j += 4 {
		p, w := (*[4]uint64)(px[j:]), (*[4]int16)(ws[j:])
		sum += p[0]*uint64(w[0]) + p[1]*uint64(w[1]) + p[2]*uint64(w[2]) + p[3]*uint64(w[3])
	}
	return sum
}

// sum makes a row of the result of those in the ring.
func (s *scaler) sum(t tap) {
	sums := s.sums
	for i := range sums {
		sums[i] = pairStart<<pairBits | pairStart
	}
	row := func(j int) []uint64 { return s.ring[(t.from+j)%len(s.ring)][:len(sums)] }
	j := 0
	for ; j+4 <= s.rows; j += 4 {
		a, b, c, d := row(j), row(j+1), row(j+2), row(j+3)
		wa, wb, wc, wd := uint64(t.weights[j]), uint64(t.weights[j+1]), uint64(t.weights[j+2]), uint64(t.weights[j+3])
		for i := range sums {
			sums[i] += a[i]*wa + b[i]*wb + c[i]*wc + d[i]*wd
		}
	}
	for ; j < s.rows; j++ {
		a, wa := row(j), uint64(t.weights[j])
		for i := range sums {
			sums[i] += a[i] * wa
		}
	}
	out := s.out[s.next*s.w:][:s.w]
	for i, v := range sums {
		low := (int32(uint32(v)) - pairBias) >> pairShift
		high := (int32(uint32(v>>pairBits)) - pairBias) >> pairShift
		if uint32(low) > 255 {
			low = ^(low >> 31) & 255
		}
		if uint32(high) > 255 {
			high = ^(high >> 31) & 255
		}
		out[2*i] = uint8(low)
		if 2*i+1 < len(out) {
			out[2*i+1] = uint8(high)
		}
	}
}
