package jpeg

import "math/bits"

// coefficients decodes all scans into the components' coefs: those of progressive
// files, and those of sequential ones that have a scan for each component.
func (d *Decoder) coefficients() error {
	for i := range d.comps {
		c := &d.comps[i]
		blocks := c.blocksX * c.blocksY
		c.coefs = make([]int16, blocks*c.n*c.n)
		if d.Progressive {
			c.nonzero = make([]uint64, blocks)
		}
	}
	for {
		if d.pointless() {
			if err := d.passScan(); err != nil {
				return err
			}
		} else if err := d.scanAll(); err != nil {
			return err
		}
		for _, s := range d.scan {
			s.c.seen = s.c.seen || d.ss == 0
		}
		if err := d.segments(); err == errEnd {
			break
		} else if err != nil {
			return err
		}
	}
	for i := range d.comps {
		if !d.comps[i].seen {
			return d.fail("the picture ends without one of its components")
		}
	}
	return nil
}

// pointless says that a scan adds nothing to a picture of one sample a block.
func (d *Decoder) pointless() bool { return d.Progressive && d.ss > 0 && d.scan[0].c.n == 1 }

// passScan goes to the marker that ends a scan.
func (d *Decoder) passScan() error {
	for {
		m, err := d.nextMarker()
		if err != nil {
			return d.cut("the picture's data")
		}
		if m < mRST0 || m > mRST7 {
			d.pos -= 2
			return nil
		}
	}
}

// scanAll decodes one scan.
func (d *Decoder) scanAll() error {
	d.prepare()
	// A scan of one component has a block a unit, and no padding.
	alone := len(d.scan) == 1
	unitsX, unitsY := d.mcusX, d.mcusY
	if alone {
		c := d.scan[0].c
		unitsX, unitsY = ceil(c.width, 8), ceil(c.height, 8)
	}
	left := d.restart
	for y := range unitsY {
		for x := range unitsX {
			if d.restart > 0 {
				if left == 0 {
					if err := d.restartAt(y*unitsX + x); err != nil {
						return err
					}
					left = d.restart
				}
				left--
			}
			if alone {
				if d.eobRun > 0 && d.ah == 0 {
					d.eobRun--
					continue
				}
				s := &d.scan[0]
				d.one(s, y*s.c.blocksX+x)
			} else {
				d.unit(x, y)
			}
			if d.bad != "" || d.overrun() {
				return d.broken(y * d.mcusY / unitsY)
			}
		}
	}
	// Bits that acc has read ahead are whole bytes of padding at most; what else lies
	// before the next marker is passed over.
	d.align()
	return nil
}

func (d *Decoder) unit(x, y int) {
	for i := range d.scan {
		s := &d.scan[i]
		for v := range s.c.v {
			for h := range s.c.h {
				d.one(s, (y*s.c.v+v)*s.c.blocksX+x*s.c.h+h)
			}
		}
	}
}

// one decodes what a scan has of block i.
func (d *Decoder) one(s *scanComp, i int) {
	c := s.c
	coefs := c.coefs[i*c.n*c.n:][:c.n*c.n]
	switch {
	case !d.Progressive:
		d.keep(s, coefs)
	case d.ss == 0 && d.ah == 0:
		symbol, ok := d.symbol(s.dc)
		if !ok || symbol > 15 {
			d.bad = noCode
			return
		}
		s.pred += extend(d.take(uint(symbol)), uint(symbol))
		coefs[0] = int16(s.pred << d.al)
	case d.ss == 0:
		if d.take(1) != 0 {
			coefs[0] |= 1 << d.al
		}
	case d.ah == 0:
		d.first(s, coefs, &c.nonzero[i])
	default:
		d.refine(s, coefs, &c.nonzero[i])
	}
}

// keep decodes a sequential block, whose coefficients wait for other components' scans.
func (d *Decoder) keep(s *scanComp, coefs []int16) {
	var b block
	d.sequential(s, &b, &plain)
	for i := range coefs {
		coefs[i] = int16(b[i])
	}
}

// plain multiplies by 1.
var plain = func() (q [64]int32) {
	for i := range q {
		q[i] = 1
	}
	return q
}()

// first decodes a block of the first scan of a band.
func (d *Decoder) first(s *scanComp, coefs []int16, nonzero *uint64) {
	slots, ac := s.c.slots, s.ac
	acc, n, al := d.acc, d.n, d.al&15
	for k := d.ss; k <= d.se; k++ {
		if n < 32 {
			if w := d.window(); (^w-ones)&w&highs == 0 {
				acc |= w >> uint(n&63)
				d.pos += (63 - n) >> 3
				n |= 56
			} else {
				d.acc, d.n = acc, n
				d.fill()
				acc, n = d.acc, d.n
			}
		}
		e := uint(ac.fast[acc>>(64-fastBits)])
		if e == 0 {
			symbol, length := ac.long(acc)
			if length == 0 {
				d.bad = noCode
				break
			}
			e = uint(symbol)<<8 | uint(length)
		}
		run, size := int(e>>12), e>>8&15
		t := acc << (e & 31)
		n -= int(e & 31)
		if size == 0 {
			acc = t
			if run < 15 {
				d.eobRun = 1<<run + int(t>>1>>(63-run)) - 1
				acc <<= run
				n -= run
				break
			}
			k += 15
			continue
		}
		if k += run; k > d.se {
			d.bad = beyondBand
			break
		}
		v := int32(t>>1>>(63-size)) + int32(^(int64(t)>>63))&(1-int32(1)<<size)
		acc = t << size
		n -= int(size)
		*nonzero |= 1 << k
		if slot := int(slots[k&127]); slot < len(coefs) {
			coefs[slot] = int16(v << al)
		}
	}
	d.acc, d.n = acc, n
}

const beyondBand = "a coefficient beyond its band"

// refine decodes a block of a scan that adds a bit to the coefficients of a band.
func (d *Decoder) refine(s *scanComp, coefs []int16, nonzero *uint64) {
	k := d.ss
	if d.eobRun == 0 {
		for k <= d.se {
			symbol, ok := d.symbol(s.ac)
			if !ok || symbol&15 > 1 {
				d.bad = noCode
				return
			}
			run := int(symbol >> 4)
			var v int16
			if symbol&15 == 1 {
				v = -1 << d.al
				if d.take(1) != 0 {
					v = 1 << d.al
				}
			} else if run < 15 {
				d.eobRun = 1<<run + int(d.take(uint(run)))
				break
			}
			k = d.correct(s.c, coefs, *nonzero, k, run)
			if v != 0 {
				if k > d.se {
					d.bad = beyondBand
					return
				}
				*nonzero |= 1 << k
				if slot := int(s.c.slots[k]); slot < len(coefs) {
					coefs[slot] = v
				}
			}
			k++
		}
	}
	if d.eobRun > 0 {
		d.correct(s.c, coefs, *nonzero, k, 64)
		d.eobRun--
	}
}

// correct reads a bit for each coefficient from k that is not 0, up to the one that is
// 0 after zeros others, whose index it returns; or up to the end of the band.
func (d *Decoder) correct(c *component, coefs []int16, nonzero uint64, k, zeros int) int {
	end := d.se + 1
	if zeros < 64 {
		rest := ^nonzero >> k
		for range zeros {
			rest &= rest - 1
		}
		if rest != 0 {
			end = min(end, k+bits.TrailingZeros64(rest))
		}
	}
	there := nonzero >> k & (1<<(end-k) - 1)
	for there != 0 {
		// At most 32 at a time, which acc has after fill.
		some := there & (1<<32 - 1)
		n := bits.OnesCount64(some)
		if d.n < n {
			d.fill()
		}
		v := d.acc
		d.acc <<= n
		d.n -= n
		for kept := some & (c.keep >> k); kept != 0; kept &= kept - 1 {
			j := bits.TrailingZeros64(kept)
			bit := int16(v >> (63 - bits.OnesCount64(some&(1<<j-1))) & 1)
			p := &coefs[c.slots[(k+j)&127]]
			*p += (*p>>15 | 1) * bit << (d.al & 15) // away from 0
		}
		if there >>= 32; there != 0 {
			k += 32
		}
	}
	return end
}

// reconstruct makes samples of coefficients.
func (d *Decoder) reconstruct(row func(int, []byte) error) error {
	var b block
	for my := range d.mcusY {
		for i := range d.comps {
			c := &d.comps[i]
			stride, size := c.blocksX*c.n, c.n*c.n
			for v := range c.v {
				line := (my*c.v + v) * c.blocksX
				for x := range c.blocksX {
					last := d.dequantize(c, c.coefs[(line+x)*size:][:size], &b)
					idct(c.n, &b, last, c.rows[v*c.n*stride+x*c.n:], stride)
				}
			}
		}
		if err := d.emit(my, row); err != nil {
			return err
		}
	}
	return nil
}

func (d *Decoder) dequantize(c *component, coefs []int16, b *block) (last int) {
	for k := 0; k <= c.last; k++ {
		slot := int(c.slots[k])
		if slot >= len(coefs) {
			continue
		}
		v := int32(coefs[slot])
		if v != 0 {
			last = k
		}
		b[slot] = v * c.q[k]
	}
	return last
}
