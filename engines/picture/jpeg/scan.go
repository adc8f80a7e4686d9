package jpeg

import (
	"encoding/binary"
	"fmt"
)

// stream decodes a file whose one scan holds all components.
func (d *Decoder) stream(row func(int, []byte) error) error {
	var b block
	left := d.restart
	d.prepare()
	for my := range d.mcusY {
		for mx := range d.mcusX {
			if d.restart > 0 {
				if left == 0 {
					if err := d.restartAt(my*d.mcusX + mx); err != nil {
						return err
					}
					left = d.restart
				}
				left--
			}
			for i := range d.scan {
				s := &d.scan[i]
				c := s.c
				stride := c.blocksX * c.n
				for y := range c.v {
					for x := range c.h {
						last := d.sequential(s, &b, c.q)
						idct(c.n, &b, last, c.rows[y*c.n*stride+(mx*c.h+x)*c.n:], stride)
						if last > 0 {
							clear(b[:c.n*c.n])
						}
					}
				}
			}
			if d.bad != "" || d.overrun() {
				return d.broken(my)
			}
		}
		if err := d.emit(my, row); err != nil {
			return err
		}
	}
	return nil
}

// broken is the error of a scan whose data do not decode at MCU row y.
func (d *Decoder) broken(y int) error {
	where := fmt.Sprintf("the picture's data, at row %d of %d", min(y*8*d.vmax, d.Height), d.Height)
	if d.overrun() {
		if d.marker == 0 {
			return d.cut(where)
		}
		return d.fail("a marker inside " + where)
	}
	return d.fail(d.bad + " in " + where)
}

// restartAt passes over the restart marker that belongs before MCU mcu.
func (d *Decoder) restartAt(mcu int) error {
	d.align()
	want := byte(mRST0 + (mcu/d.restart-1)&7)
	m, err := d.nextMarker()
	if err != nil {
		return d.cut("the picture's data")
	}
	if m != want {
		return d.fail(fmt.Sprintf("marker %02x where restart %d belongs", m, want-mRST0))
	}
	for i := range d.scan {
		d.scan[i].pred = 0
	}
	d.eobRun = 0
	return nil
}

// sequential decodes a block of a baseline scan and multiplies it. It returns the
// zigzag index of the last coefficient that is not 0, of those that are kept.
func (d *Decoder) sequential(s *scanComp, b *block, q *[64]int32) int {
	c := s.c
	symbol, ok := d.symbol(s.dc)
	if !ok || symbol > 11 {
		d.bad = noCode
		return 0
	}
	if symbol > 0 {
		s.pred += extend(d.take(uint(symbol)), uint(symbol))
	}
	b[0] = s.pred * q[0]

	acc, n := d.acc, d.n
	ac, slots, need := s.ac, c.slots, c.last
	k, last := 1, 0
	for k <= need {
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
				k = 64
				break
			}
			e = uint(symbol)<<8 | uint(length)
		}
		size := e >> 8 & 15
		if size == 0 {
			acc <<= e & 31
			n -= int(e & 31)
			if e < zrl {
				k = 64
				break
			}
			k += 16
			continue
		}
		k += int(e >> 12)
		t := acc << (e & 31)
		// Of size bits, a first 0 says that the number is negative: T.81's EXTEND.
		v := int32(t>>1>>(63-size)) + int32(^(int64(t)>>63))&(1-int32(1)<<size)
		acc = t << size
		n -= int(e&31 + size)
		b[slots[k&127]] = v * q[k&63]
		last = k
		k++
	}
	d.acc, d.n = acc, n
	if k <= 63 {
		d.pass(ac, k)
	}
	return min(last, need)
}

const (
	noCode = "a code that its table does not have"
	zrl    = 0xf000 // sixteen coefficients that are 0
)

// pass goes over the coefficients of a block from index k, several at a time.
func (d *Decoder) pass(ac *huffman, k int) {
	acc, n, skip := d.acc, d.n, ac.skip
	for k <= 63 {
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
		// Where the last coefficient may be among them, one at a time: no code follows it.
		e := uint(skip[acc>>(64-skipBits)])
		if next := k + int(e>>4&127); e != 0 && next <= 63 {
			acc <<= e & 15
			n -= int(e & 15)
			k = next
			if e>>11 != 0 {
				break
			}
			continue
		}
		symbol, length := ac.long(acc)
		if length == 0 {
			d.bad = noCode
			break
		}
		run, size := int(symbol>>4), int(symbol&15)
		acc <<= uint(length+size) & 63
		n -= length + size
		if size == 0 && run < 15 {
			break
		}
		k += run + 1
	}
	d.acc, d.n = acc, n
}

// window is the next eight bytes; one that has 0xff where there are fewer.
func (b *reader) window() uint64 {
	if b.pos+8 <= len(b.buf) {
		return binary.BigEndian.Uint64(b.buf[b.pos:])
	}
	return 0xff
}

// prepare makes what the scan's reductions need.
func (d *Decoder) prepare() {
	for _, s := range d.scan {
		if s.c.reduce > 0 && s.ac != nil {
			s.ac.skipTable()
		}
	}
}
