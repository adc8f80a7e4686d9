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
	slots := s.c.slots
	for k := d.ss; k <= d.se; k++ {
		symbol, ok := d.symbol(s.ac)
		if !ok {
			d.bad = noCode
			return
		}
		run, size := int(symbol>>4), uint(symbol&15)
		if size == 0 {
			if run < 15 {
				d.eobRun = 1<<run + int(d.take(uint(run))) - 1
				return
			}
			k += 15
			continue
		}
		k += run
		v := extend(d.take(size), size) << d.al
		if k > d.se {
			d.bad = "a coefficient beyond its band"
			return
		}
		*nonzero |= 1 << k
		if slot := int(slots[k]); slot < len(coefs) {
			coefs[slot] = int16(v)
		}
	}
}

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
					d.bad = "a coefficient beyond its band"
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
	for k <= d.se {
		// Zeros in a row are passed over at once.
		gap := min(bits.TrailingZeros64(nonzero>>k), d.se+1-k)
		if gap > zeros {
			return k + zeros
		}
		zeros -= gap
		if k += gap; k > d.se {
			break
		}
		if d.take(1) != 0 {
			if slot := int(c.slots[k]); slot < len(coefs) {
				if coefs[slot] > 0 {
					coefs[slot] += 1 << d.al
				} else {
					coefs[slot] -= 1 << d.al
				}
			}
		}
		k++
	}
	return k
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
