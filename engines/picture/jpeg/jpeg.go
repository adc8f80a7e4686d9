// Package jpeg decodes JPEG files into planes of samples, at full size or at a half,
// a quarter or an eighth of it, row by row: what thumbnails need, at a fraction of
// the time and memory of whole pixels.
//
//	d, err := jpeg.Open(file) // reads up to the first scan
//	d.Reduce(0, 2)            // plane 0 at a quarter: 1/2^2
//	err = d.Decode(func(plane int, row []byte) error { ... })
//
// It takes baseline, extended sequential and progressive files of 8 bits (ITU-T T.81)
// with one, three or four components in any sampling, restart markers, and scans in any
// order. It refuses arithmetic coding, 12 bits, lossless and hierarchical ones.
//
// How. A block of 8 by 8 samples is reduced where it is cheapest: in the frequency
// domain. Of its 64 coefficients the N*N lowest (N is 4, 2 or 1) go through an inverse
// transform of N points (Loeffler, Ligtenberg, Moschytz 1989, for 8); those beyond
// the last that is needed are passed over several at a time, by a table that knows the
// lengths of all codes in its index. What is left of a block is the mean of N*N
// samples, without what frequencies too high for it would mirror into it.
//
// What holds:
//
//   - Data that ends before its last block is an error, which says where it ended.
//   - At full size samples differ by at most 2 from those of any accurate decoder.
//   - Memory: a file whose one scan holds all components is decoded a row of blocks at
//     a time, which takes rows and no more. Any other takes 2 bytes a coefficient that
//     is kept (64, 16, 4 or 1 a block) and 8 bytes a block if it is progressive. Memory
//     says how much before Decode takes it.
//   - Time grows with the bytes of the file and with the blocks of each scan. There may
//     be at most MaxScans, so that a small file cannot ask for much.
package jpeg

import (
	"fmt"
	"io"
)

// MaxScans is the most scans of a file. Encoders write 10 or so.
const MaxScans = 100

// Color is what the planes of a picture mean.
type Color int

// The models of colour.
const (
	Gray  Color = iota
	YCbCr       // JFIF's
	RGB
	CMYK // as Adobe writes it: 255 is no ink
	YCCK // as Adobe writes it
)

// Plane is one component of the picture.
type Plane struct {
	Width, Height int // in samples, reduced as asked
	StepX, StepY  float64
	// Steps are how far two samples lie apart in pixels of the whole picture. The first
	// sample's middle is half a step from the edge.
}

// Decoder reads one file.
type Decoder struct {
	reader
	Width, Height int
	Color         Color
	Progressive   bool

	comps    []component
	hmax     int
	vmax     int
	mcusX    int
	mcusY    int
	quant    [4]*[64]int32 // zigzag order
	dc, ac   [4]*huffman
	restart  int // MCUs between restart markers; 0: none
	jfif     bool
	adobe    int // transform of Adobe's marker; -1: none
	scans    int
	eobRun   int
	scan     []scanComp
	ss, se   int
	ah, al   uint
	buffered bool
	bad      string // what was wrong with the bits of a block
}

type component struct {
	id, h, v, tq  int
	width, height int // in samples, not reduced
	blocksX       int // a line, padded to whole MCUs
	blocksY       int
	reduce        uint // log2
	n             int  // 8>>reduce: a block's side
	slots         *[128]uint8
	last          int    // zigzag index of the last coefficient that is needed
	keep          uint64 // a bit for each zigzag index that has a slot
	q             *[64]int32
	rows          []byte // one row of MCUs, n*v lines
	coefs         []int16
	nonzero       []uint64
	seen          bool
}

type scanComp struct {
	c      *component
	dc, ac *huffman
	pred   int32
}

// Error is what is wrong with a file, and where.
type Error struct {
	At   int64 // bytes from the beginning
	What string
	Cut  bool // the file ends here, though its picture does not
}

func (e *Error) Error() string { return fmt.Sprintf("byte %d: %s", e.At, e.What) }

// Open reads a file up to its first scan.
func Open(r io.Reader) (*Decoder, error) {
	d := &Decoder{adobe: -1}
	d.src = r
	d.buf = make([]byte, 0, bufSize)
	if !d.need(2) || d.buf[0] != 0xff || d.buf[1] != 0xd8 {
		return nil, d.fail("this is no JPEG file")
	}
	d.pos = 2
	if err := d.segments(); err != nil {
		return nil, err
	}
	return d, nil
}

// Planes returns the picture's components.
func (d *Decoder) Planes() []Plane {
	out := make([]Plane, len(d.comps))
	for i := range d.comps {
		c := &d.comps[i]
		out[i].Width, out[i].Height = c.reduced()
		out[i].StepX = float64(d.hmax) / float64(c.h) * float64(int(1)<<c.reduce)
		out[i].StepY = float64(d.vmax) / float64(c.v) * float64(int(1)<<c.reduce)
	}
	return out
}

func (c *component) reduced() (w, h int) {
	k := 1 << c.reduce
	return (c.width + k - 1) >> c.reduce, (c.height + k - 1) >> c.reduce
}

// Reduce has a plane decoded at 1/2^by of its size; by is 0 to 3.
func (d *Decoder) Reduce(plane int, by int) {
	c := &d.comps[plane]
	c.reduce = uint(min(max(by, 0), 3))
	c.n = 8 >> c.reduce
	c.slots, c.last = slotsOf(c.reduce)
	c.keep = 0
	for k := range 64 {
		if c.slots[k] != spare {
			c.keep |= 1 << k
		}
	}
}

// Blocks is how many blocks of 64 coefficients the picture has.
func (d *Decoder) Blocks() (n int64) {
	for i := range d.comps {
		n += int64(d.comps[i].blocksX) * int64(d.comps[i].blocksY)
	}
	return n
}

// Memory is how many bytes Decode will take.
func (d *Decoder) Memory() (bytes int64) {
	for i := range d.comps {
		c := &d.comps[i]
		bytes += int64(c.blocksX*c.n) * int64(c.v*c.n)
		if blocks := int64(c.blocksX) * int64(c.blocksY); d.buffered {
			bytes += blocks * int64(c.n*c.n) * 2
			if d.Progressive {
				bytes += blocks * 8
			}
		}
	}
	return bytes
}

// Decode hands out the planes' rows from top to bottom, those of one row of blocks of
// each plane in turn. A row is valid until row returns; an error of row ends it.
func (d *Decoder) Decode(row func(plane int, row []byte) error) error {
	for i := range d.comps {
		c := &d.comps[i]
		c.rows = make([]byte, c.blocksX*c.n*c.v*c.n)
	}
	if !d.buffered {
		return d.stream(row)
	}
	if err := d.coefficients(); err != nil {
		return err
	}
	return d.reconstruct(row)
}

// emit hands out the rows of MCU row y.
func (d *Decoder) emit(y int, row func(int, []byte) error) error {
	for i := range d.comps {
		c := &d.comps[i]
		w, h := c.reduced()
		stride, from := c.blocksX*c.n, y*c.v*c.n
		for j := 0; j < c.v*c.n && from+j < h; j++ {
			if err := row(i, c.rows[j*stride:][:w:w]); err != nil {
				return err
			}
		}
	}
	return nil
}
