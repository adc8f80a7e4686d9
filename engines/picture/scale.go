package picture

import "math"

// scaler makes one plane of samples smaller, row by row as they come: each row is
// filtered across and kept until the last row of the result that needs it is made, so
// that memory is a few rows and the result. The filter is Lanczos' with three lobes.
type scaler struct {
	w, h       int // of the result
	out        []uint8
	across     []tap // one a column of the result
	down       []tap // one a row
	ring       [][]uint64
	in, next   int       // rows that came, rows that are made
	then       []*scaler // smaller ones that are made of this one's result
	sums       []uint64
	same       bool // the result is what comes
	weights    int  // of a column
	flatAcross []int32
}

// tap is which samples make one of the result, and how much of each.
type tap struct {
	from    int
	weights []int32
}

const (
	weightBits = 14 // a tap's weights sum up to 1<<weightBits
	keepBits   = 5  // what rows keep below a whole level until columns are done
	lane       = 32
	laneBias   = 1 << 30 // keeps sums of two lanes in a word apart: never negative
)

// newScaler scales from sw by sh samples to w by h, whose middles lie stepX and stepY
// samples apart.
func newScaler(sw, sh, w, h int, stepX, stepY float64) *scaler {
	s := &scaler{w: w, h: h, out: make([]uint8, w*h)}
	if sw == w && sh == h && stepX == 1 && stepY == 1 {
		s.same = true
		return s
	}
	s.across, s.down = taps(sw, w, stepX), taps(sh, h, stepY)
	for _, t := range s.across {
		s.flatAcross = append(s.flatAcross, t.weights...)
	}
	s.weights = len(s.across[0].weights)
	rows := 0
	for _, t := range s.down {
		rows = max(rows, len(t.weights))
	}
	s.ring = make([][]uint64, rows)
	words := make([]uint64, (w+1)/2*(rows+1))
	for i := range s.ring {
		s.ring[i], words = words[:(w+1)/2], words[(w+1)/2:]
	}
	s.sums = words
	return s
}

// taps returns the filter of n results from size samples, all of one length.
func taps(size, n int, step float64) []tap {
	const lobes = 3
	scale := max(step, 1) // when there are not more results than samples, samples are joined up
	reach := lobes * scale
	length := min(int(math.Ceil(2*reach))+1, size)
	out := make([]tap, n)
	all := make([]int32, n*length)
	exact := make([]float64, length)
	for i := range out {
		middle := (float64(i)+0.5)*step - 0.5
		from := min(max(int(math.Ceil(middle-reach)), 0), size-length)
		sum := 0.0
		for j := range exact {
			exact[j] = lanczos((float64(from+j)-middle)/scale, lobes)
			sum += exact[j]
		}
		t := tap{from, all[i*length:][:length:length]}
		rest, most := int32(1<<weightBits), 0
		if math.Abs(sum) < 1e-6 { // the edge of a plane that is shorter than its picture
			t.weights[min(max(int(middle)-from, 0), length-1)] = rest
		} else {
			for j := range exact {
				t.weights[j] = int32(math.Round(exact[j] / sum * (1 << weightBits)))
				rest -= t.weights[j]
				if t.weights[j] > t.weights[most] {
					most = j
				}
			}
			t.weights[most] += rest
		}
		out[i] = t
	}
	return out
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

// push takes the next row of samples.
func (s *scaler) push(row []uint8) {
	if s.next == s.h {
		return
	}
	if s.same {
		copy(s.out[s.next*s.w:], row)
		s.made()
		return
	}
	s.filter(row, s.ring[s.in%len(s.ring)])
	s.in++
	for s.next < s.h && s.down[s.next].from+len(s.down[s.next].weights) <= s.in {
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

// filter makes a row narrower. Two results share a word, with keepBits below a level.
func (s *scaler) filter(row []uint8, out []uint64) {
	const shift = weightBits - keepBits
	weights, n := s.flatAcross, s.weights
	for i := range out {
		word := uint64(0)
		for half := range 2 {
			x := 2*i + half
			if x == s.w {
				break
			}
			px := row[s.across[x].from:][:n]
			ws := weights[:n]
			weights = weights[n:]
			sum := int32(1 << (shift - 1))
			for len(px) >= 4 && len(ws) >= 4 {
				sum += int32(px[0])*ws[0] + int32(px[1])*ws[1] + int32(px[2])*ws[2] + int32(px[3])*ws[3]
				px, ws = px[4:], ws[4:]
			}
			for j := range px {
				if j < len(ws) {
					sum += int32(px[j]) * ws[j]
				}
			}
			v := sum >> shift
			if uint32(v) > 255<<keepBits {
				v = ^(v >> 31) & (255 << keepBits)
			}
			word |= uint64(v) << (lane * half)
		}
		out[i] = word
	}
}

// sum makes a row of the result of those in the ring.
func (s *scaler) sum(t tap) {
	const shift = weightBits + keepBits
	const start = laneBias + 1<<(shift-1)
	sums := s.sums
	for i := range sums {
		sums[i] = start<<lane | start
	}
	ring, j := len(s.ring), 0
	// A negative weight borrows from the upper lane what the next positive one gives
	// back: words are sums of lanes, exact as long as each lane's own sum fits.
	for ; j+4 <= len(t.weights); j += 4 {
		a, b := s.ring[(t.from+j)%ring][:len(sums)], s.ring[(t.from+j+1)%ring][:len(sums)]
		c, d := s.ring[(t.from+j+2)%ring][:len(sums)], s.ring[(t.from+j+3)%ring][:len(sums)]
		wa, wb, wc, wd := uint64(t.weights[j]), uint64(t.weights[j+1]), uint64(t.weights[j+2]), uint64(t.weights[j+3])
		for i := range sums {
			sums[i] += a[i]*wa + b[i]*wb + c[i]*wc + d[i]*wd
		}
	}
	for ; j < len(t.weights); j++ {
		a, wa := s.ring[(t.from+j)%ring][:len(sums)], uint64(t.weights[j])
		for i := range sums {
			sums[i] += a[i] * wa
		}
	}
	out := s.out[s.next*s.w:][:s.w]
	for i, v := range sums {
		low := (int32(uint32(v)) - laneBias) >> shift
		high := (int32(uint32(v>>lane)) - laneBias) >> shift
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
