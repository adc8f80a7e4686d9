package jpeg

import (
	"encoding/binary"
	"errors"
	"io"
)

const bufSize = 64 << 10

// reader reads the file: bytes in segments, bits in scans.
type reader struct {
	src  io.Reader
	buf  []byte // a window of the file
	pos  int    // the next byte of it
	base int64  // where the window begins in the file
	err  error  // of src, but io.EOF

	acc    uint64 // the next bits, from the top
	n      int    // how many of acc are read
	pad    int    // of them, how many are zeros for data that is not there
	marker byte   // the marker at pos, where the data of a scan ends; 0: none yet
	eof    bool
}

// more reads on, keeping what has not been used. It is false at the end of the file.
func (b *reader) more() bool {
	if b.eof {
		return false
	}
	b.base += int64(b.pos)
	kept := copy(b.buf[:cap(b.buf)], b.buf[b.pos:])
	b.buf, b.pos = b.buf[:kept], 0
	for range 100 { // a reader may give nothing, but not for ever
		n, err := b.src.Read(b.buf[kept:cap(b.buf)])
		b.buf = b.buf[:kept+n]
		if err != nil {
			b.eof = true
			if !errors.Is(err, io.EOF) {
				b.err = err
			}
		}
		if n > 0 || err != nil {
			return n > 0
		}
	}
	b.eof, b.err = true, io.ErrNoProgress
	return false
}

// need makes n bytes from pos available, n at most bufSize.
func (b *reader) need(n int) bool {
	for len(b.buf)-b.pos < n {
		if !b.more() {
			return false
		}
	}
	return true
}

func (b *reader) at() int64 { return b.base + int64(b.pos) }

// fail returns the error that is due here.
func (b *reader) fail(what string) error {
	if b.err != nil {
		return b.err
	}
	return &Error{At: b.at(), What: what}
}

func (b *reader) cut(where string) error {
	if b.err != nil {
		return b.err
	}
	return &Error{At: b.base + int64(len(b.buf)), What: "the file ends inside " + where + ": it was cut off", Cut: true}
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// fill has at least 57 bits in acc, zeros where there is no data.
func (b *reader) fill() {
	for b.n <= 56 {
		if b.marker == 0 && b.pos+8 <= len(b.buf) {
			// No byte of these eight is 0xff: they are data as they stand.
			if w := binary.BigEndian.Uint64(b.buf[b.pos:]); (^w-ones)&w&highs == 0 {
				b.acc |= w >> uint(b.n)
				b.pos += (63 - b.n) >> 3
				b.n |= 56
				return
			}
		}
		c, ok := b.dataByte()
		if !ok {
			b.pad += 8
		}
		b.acc |= uint64(c) << uint(56-b.n)
		b.n += 8
	}
}

// dataByte is the next byte of a scan; false, and 0, when a marker or the end is there.
func (b *reader) dataByte() (byte, bool) {
	for b.marker == 0 {
		if !b.need(1) {
			return 0, false
		}
		c := b.buf[b.pos]
		if c != 0xff {
			b.pos++
			return c, true
		}
		if !b.need(2) {
			return 0, false
		}
		switch m := b.buf[b.pos+1]; m {
		case 0:
			b.pos += 2
			return 0xff, true
		case 0xff: // fill byte
			b.pos++
		default:
			b.marker = m
		}
	}
	return 0, false
}

// take returns the next k bits, k at most 16.
func (b *reader) take(k uint) uint32 {
	if b.n < 16 {
		b.fill()
	}
	v := uint32(b.acc >> 1 >> (63 - k&63))
	b.acc <<= k & 63
	b.n -= int(k)
	return v
}

// overrun says that bits were used which the file does not have.
func (b *reader) overrun() bool { return b.n < b.pad }

// align forgets the rest of the bits, at the end of a scan or before a marker.
func (b *reader) align() { b.acc, b.n, b.pad, b.marker = 0, 0, 0, 0 }

// extend makes a signed number of s bits, as T.81's EXTEND does.
func extend(v uint32, s uint) int32 {
	if s == 0 || v>>(s-1) != 0 {
		return int32(v)
	}
	return int32(v) - int32(1)<<s + 1
}
