package jpeg

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Markers of T.81, table B.1.
const (
	mSOF0, mSOF1, mSOF2, mSOF15 = 0xc0, 0xc1, 0xc2, 0xcf
	mDHT, mJPG, mDAC            = 0xc4, 0xc8, 0xcc
	mRST0, mRST7                = 0xd0, 0xd7
	mSOI, mEOI, mSOS, mDQT      = 0xd8, 0xd9, 0xda, 0xdb
	mDNL, mDRI                  = 0xdc, 0xdd
	mAPP0, mAPP14               = 0xe0, 0xee
)

// segments reads up to and with the header of the next scan.
func (d *Decoder) segments() error {
	for {
		m, err := d.nextMarker()
		if err != nil {
			return err
		}
		if m == mEOI {
			return errEnd
		}
		if m >= mRST0 && m <= mSOI || m == 0x01 {
			continue // they stand alone, and mean nothing here
		}
		if !d.need(2) {
			return d.cut("its header")
		}
		length := int(binary.BigEndian.Uint16(d.buf[d.pos:])) - 2
		if length < 0 {
			return d.fail("a segment of no length")
		}
		d.pos += 2
		if m >= mAPP0 && m != mAPP14 && m != mAPP0 { // comments, and what applications put there
			if err := d.discard(length); err != nil {
				return err
			}
			continue
		}
		if !d.need(length) {
			return d.cut("its header")
		}
		if what := d.segment(m, d.buf[d.pos:d.pos+length]); what != "" {
			return d.fail(what)
		}
		d.pos += length
		if m == mSOS {
			return nil
		}
	}
}

// errEnd is the end of the picture where a scan was looked for.
var errEnd = &Error{What: "the picture ends"}

func (d *Decoder) nextMarker() (byte, error) {
	// Encoders may put any number of 0xff before a marker; other bytes are garbage,
	// which decoders pass over.
	for {
		if !d.need(2) {
			return 0, d.cut("its header")
		}
		i := bytes.IndexByte(d.buf[d.pos:len(d.buf)-1], 0xff)
		if i < 0 {
			d.pos = len(d.buf) - 1
			continue
		}
		d.pos += i
		m := d.buf[d.pos+1]
		if m == 0xff {
			d.pos++
			continue
		}
		d.pos += 2
		if m != 0 {
			return m, nil
		}
	}
}

func (d *Decoder) discard(n int) error {
	for n > 0 {
		if !d.need(1) {
			return d.cut("its header")
		}
		k := min(n, len(d.buf)-d.pos)
		d.pos += k
		n -= k
	}
	return nil
}

// segment returns what is wrong with it.
func (d *Decoder) segment(m byte, b []byte) string {
	switch {
	case m == mSOF0 || m == mSOF1 || m == mSOF2:
		return d.frame(m, b)
	case m == mDHT:
		return d.huffmanTables(b)
	case m == mDQT:
		return d.quantTables(b)
	case m == mSOS:
		return d.scanHeader(b)
	case m == mDRI:
		if len(b) < 2 {
			return "a restart interval of less than two bytes"
		}
		d.restart = int(binary.BigEndian.Uint16(b))
	case m == mDNL:
		return "its height stands after its first scan, which is not read here"
	case m > mSOF2 && m <= mSOF15 && m != mJPG && m != mDAC:
		return fmt.Sprintf("it is coded in a way that is not read here (SOF%d)", m-mSOF0)
	case m == mDAC:
		return "it is coded arithmetically, which is not read here"
	case m == mAPP0:
		d.jfif = d.jfif || bytes.HasPrefix(b, []byte("JFIF\x00"))
	case m == mAPP14:
		if len(b) >= 12 && bytes.HasPrefix(b, []byte("Adobe")) {
			d.adobe = int(b[11])
		}
	}
	return ""
}

func (d *Decoder) frame(m byte, b []byte) string {
	if d.comps != nil {
		return "a second frame"
	}
	if len(b) < 6 {
		return "a frame header that is too short"
	}
	n := int(b[5])
	if b[0] != 8 {
		return fmt.Sprintf("samples of %d bits, which are not read here", b[0])
	}
	d.Height, d.Width = int(binary.BigEndian.Uint16(b[1:])), int(binary.BigEndian.Uint16(b[3:]))
	if d.Width == 0 || d.Height == 0 {
		return "a picture without width or height"
	}
	if n != 1 && n != 3 && n != 4 || len(b) < 6+3*n {
		return fmt.Sprintf("%d components", n)
	}
	d.Progressive = m == mSOF2
	comps := make([]component, n)
	sum := 0
	for i := range comps {
		c := &comps[i]
		f := b[6+3*i:]
		c.id, c.h, c.v, c.tq = int(f[0]), int(f[1]>>4), int(f[1]&15), int(f[2])
		if n == 1 {
			c.h, c.v = 1, 1 // the only component is not interleaved with others
		}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.tq > 3 {
			return "a component whose sampling or table is out of range"
		}
		for j := range comps[:i] {
			if comps[j].id == c.id {
				return "two components of one name"
			}
		}
		sum += c.h * c.v
		d.hmax, d.vmax = max(d.hmax, c.h), max(d.vmax, c.v)
	}
	if n > 1 && sum > 10 {
		// T.81 allows 10 blocks in an interleaved scan, and every encoder writes one.
		return "more than 10 blocks in a unit"
	}
	d.comps = comps
	d.mcusX, d.mcusY = ceil(d.Width, 8*d.hmax), ceil(d.Height, 8*d.vmax)
	for i := range comps {
		c := &comps[i]
		c.width, c.height = ceil(d.Width*c.h, d.hmax), ceil(d.Height*c.v, d.vmax)
		c.blocksX, c.blocksY = d.mcusX*c.h, d.mcusY*c.v
		d.Reduce(i, 0)
	}
	return ""
}

func ceil(a, b int) int { return (a + b - 1) / b }

func (d *Decoder) model() Color {
	switch {
	case len(d.comps) == 1:
		return Gray
	case len(d.comps) == 4 && d.adobe > 0:
		return YCCK
	case len(d.comps) == 4:
		return CMYK
	case d.jfif || d.adobe > 0:
		return YCbCr
	case d.adobe == 0 || d.comps[0].id == 'R' && d.comps[1].id == 'G' && d.comps[2].id == 'B':
		return RGB
	}
	return YCbCr
}

func (d *Decoder) huffmanTables(b []byte) string {
	for len(b) > 0 {
		if len(b) < 17 {
			return "a Huffman table that is too short"
		}
		class, id := b[0]>>4, b[0]&15
		counts := (*[16]uint8)(b[1:17])
		n := 0
		for _, c := range counts {
			n += int(c)
		}
		if class > 1 || id > 3 || n == 0 || n > 256 || len(b) < 17+n {
			return "a broken Huffman table"
		}
		h, ok := newHuffman(counts, b[17:17+n])
		if !ok {
			return "a Huffman table with more codes than bits"
		}
		if class == 0 {
			d.dc[id] = h
		} else {
			d.ac[id] = h
		}
		b = b[17+n:]
	}
	return ""
}

func (d *Decoder) quantTables(b []byte) string {
	for len(b) > 0 {
		precision, id := int(b[0]>>4), b[0]&15
		size := 64 * (1 + precision)
		if precision > 1 || id > 3 || len(b) < 1+size {
			return "a broken quantisation table"
		}
		q := new([64]int32)
		for i := range q {
			if precision == 0 {
				q[i] = int32(b[1+i])
			} else {
				q[i] = int32(binary.BigEndian.Uint16(b[1+2*i:]))
			}
		}
		d.quant[id] = q
		b = b[1+size:]
	}
	return ""
}

// scanHeader checks a scan against the frame and what came before it.
func (d *Decoder) scanHeader(b []byte) string {
	if d.comps == nil {
		return "a scan before its frame"
	}
	if d.scans++; d.scans > MaxScans {
		return fmt.Sprintf("more than %d scans", MaxScans)
	}
	if len(b) < 1 || b[0] < 1 || int(b[0]) > len(d.comps) || len(b) < 4+2*int(b[0]) {
		return "a broken scan header"
	}
	n := int(b[0])
	tail := b[1+2*n:]
	d.ss, d.se, d.ah, d.al = int(tail[0]), int(tail[1]), uint(tail[2]>>4), uint(tail[2]&15)
	if !d.Progressive {
		d.ss, d.se, d.ah, d.al = 0, 63, 0, 0
	} else if d.ss > d.se || d.se > 63 || d.ss == 0 && d.se != 0 || d.ss > 0 && n != 1 || d.al > 13 || d.ah != 0 && d.ah != d.al+1 {
		return "a scan of coefficients that do not go together"
	}
	d.scan = d.scan[:0]
	for i := range n {
		id, tables := int(b[1+2*i]), b[2+2*i]
		s := scanComp{}
		for j := range d.comps {
			if d.comps[j].id == id {
				s.c = &d.comps[j]
			}
		}
		if s.c == nil {
			return "a scan of a component that the picture does not have"
		}
		for _, o := range d.scan {
			if o.c == s.c {
				return "a scan with one component twice"
			}
		}
		if tables>>4 > 3 || tables&15 > 3 {
			return "a scan with a table out of range"
		}
		s.dc, s.ac = d.dc[tables>>4], d.ac[tables&15]
		if s.dc == nil && d.ss == 0 && d.ah == 0 || s.ac == nil && d.se > 0 {
			return "a scan whose Huffman table is missing"
		}
		if s.c.q == nil {
			if s.c.q = d.quant[s.c.tq]; s.c.q == nil {
				return "a scan whose quantisation table is missing"
			}
		}
		d.scan = append(d.scan, s)
	}
	if d.scans == 1 {
		d.Color = d.model()
		d.buffered = d.Progressive || n < len(d.comps)
	}
	d.align()
	d.eobRun = 0
	return ""
}
