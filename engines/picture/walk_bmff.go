package picture

import (
	"encoding/binary"
	"strings"

	"plumb/base/errs"
)

const (
	maxMeta  = 1 << 20 // bytes of a HEIC file's directory
	maxItems = 4096
)

// probeBMFF reads HEIF: ISO/IEC 14496-12's boxes with 23008-12's items in them.
func probeBMFF(w *window) (*found, error) {
	w.name = "HEIF"
	f := &found{frames: 1}
	var meta []byte
	var metaAt int64
	moving, media := false, false
	for at := int64(0); at < w.size; {
		b, err := w.peek(at, 16)
		if err != nil {
			return nil, err
		}
		if len(b) < 8 {
			return nil, w.cut("the header of a box")
		}
		n, head := int64(binary.BigEndian.Uint32(b)), int64(8)
		name := string(b[4:8])
		switch n {
		case 0:
			n = w.size - at // to the end of the file
		case 1:
			if len(b) < 16 {
				return nil, w.cut("the header of a box")
			}
			n, head = int64(binary.BigEndian.Uint64(b[8:])&(1<<62-1)), 16
		}
		if n < head {
			return nil, w.broken(at, "a box that is shorter than its header")
		}
		if n > w.size-at {
			return nil, w.cut("box " + printable(name))
		}
		body := span{at + head, n - head}
		switch name {
		case "ftyp":
			if at > 0 {
				return nil, w.broken(at, "a second beginning")
			}
			if err := f.brands(w, body); err != nil {
				return nil, err
			}
		case "meta":
			if body.n > maxMeta {
				return nil, errs.New(errs.TooLarge, "the HEIF file's directory has %d bytes; %d are the most", body.n, maxMeta)
			}
			if meta, err = w.bytes(body, maxMeta); err != nil {
				return nil, err
			}
			metaAt = body.at
		case "moov":
			moving = true
		case "mdat":
			media = true
			f.data += body.n
		}
		at += n
	}
	if meta == nil {
		return nil, w.broken(w.size, "it has no directory of pictures")
	}
	m := &metaBox{w: w, at: metaAt}
	if err := m.read(meta, f); err != nil {
		return nil, err
	}
	if !media && f.data == 0 {
		return nil, w.cut("the picture: it has no data")
	}
	if moving {
		f.frames = 2 // how many does not matter here
	}
	f.end = w.size
	return f, nil
}

func (f *found) brands(w *window, body span) error {
	b, err := w.peek(body.at, int(min(body.n, 256)))
	if err != nil {
		return err
	}
	known := false
	for i := 0; i+4 <= len(b); i += 4 {
		if i == 4 {
			continue // the minor version
		}
		switch string(b[i : i+4]) {
		case "avif", "avis":
			f.typ, known = AVIF, true
		case "heic", "heix", "heim", "heis", "hevc", "hevx":
			if f.typ == "" {
				f.typ = HEIC
			}
			known = true
		case "mif1", "msf1", "mif2", "miaf":
			known = true
		}
	}
	if !known {
		return errs.New(errs.Invalid, "this is no picture that is known here: JPEG, PNG, WebP, GIF, HEIC, AVIF")
	}
	return nil
}

// metaBox is the directory: which items there are, where, and with which properties.
type metaBox struct {
	w       *window
	at      int64 // of the directory in the file
	primary uint32
	types   map[uint32]string
	places  map[uint32]span
	props   [][]byte // with their headers
	has     map[uint32][]int
}

// cursor reads numbers, and remembers when there were too few bytes.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) uint(n int) uint64 {
	if n > len(c.b) {
		c.bad, c.b = true, nil
		return 0
	}
	v := uint64(0)
	for _, x := range c.b[:n] {
		v = v<<8 | uint64(x)
	}
	c.b = c.b[n:]
	return v
}

// boxes calls visit for each box in b.
func boxes(b []byte, visit func(name string, whole, body []byte)) bool {
	for len(b) > 0 {
		if len(b) < 8 {
			return false
		}
		n, head := uint64(binary.BigEndian.Uint32(b)), uint64(8)
		if n == 1 && len(b) >= 16 {
			n, head = binary.BigEndian.Uint64(b[8:]), 16
		} else if n == 0 {
			n = uint64(len(b))
		}
		if n < head || n > uint64(len(b)) {
			return false
		}
		visit(string(b[4:8]), b[:n], b[head:n])
		b = b[n:]
	}
	return true
}

func (m *metaBox) read(b []byte, f *found) error {
	m.types, m.places, m.has = map[uint32]string{}, map[uint32]span{}, map[uint32][]int{}
	broken := func(what string) error { return m.w.broken(m.at, what) }
	if len(b) < 4 {
		return broken("an empty directory")
	}
	var iloc, idat []byte
	idatAt := int64(0)
	ok := boxes(b[4:], func(name string, whole, body []byte) {
		c := &cursor{b: body}
		switch name {
		case "pitm":
			version := c.uint(4) >> 24
			m.primary = uint32(c.uint(2 + 2*int(min(version, 1))))
		case "iinf":
			m.items(c)
		case "iloc":
			iloc = body
		case "idat":
			idat = body
			idatAt = m.at + int64(cap(b)-cap(body))
		case "iprp":
			m.properties(body)
		}
	})
	if !ok {
		return broken("a directory whose boxes do not fit in it")
	}
	if err := m.locate(iloc, span{idatAt, int64(len(idat))}); err != nil {
		return err
	}
	f.data = max(f.data, int64(len(idat)))
	if m.types[m.primary] == "" {
		return broken("a directory without a main picture")
	}
	if f.typ == "" {
		f.typ = HEIC
		if m.codec() == "av01" {
			f.typ = AVIF
		}
	}
	m.w.name = strings.ToUpper(strings.TrimPrefix(f.typ, "image/"))
	f.turn = 1
	for _, i := range m.has[m.primary] {
		if i < 1 || i > len(m.props) {
			continue
		}
		p := m.props[i-1]
		switch name, body := string(p[4:8]), p[8:]; {
		case name == "ispe" && len(body) >= 12:
			f.width, f.height = int(binary.BigEndian.Uint32(body[4:])&(1<<31-1)), int(binary.BigEndian.Uint32(body[8:])&(1<<31-1))
		case name == "irot" && len(body) >= 1:
			for range body[0] & 3 {
				f.turn = anticlockwise[f.turn]
			}
		case name == "imir" && len(body) >= 1:
			f.turn = mirrored[body[0]&1][f.turn]
		}
	}
	for id, kind := range m.types {
		if kind == "Exif" {
			if s := m.places[id]; s.n > 4 {
				// Four bytes say where in what follows the TIFF structure begins.
				if b, err := m.w.peek(s.at, 4); err != nil {
					return err
				} else if len(b) == 4 {
					skip := 4 + int64(binary.BigEndian.Uint32(b))
					if skip < s.n {
						f.exif = span{s.at + skip, s.n - skip}
					}
				}
			}
		}
	}
	return nil
}

// The orientation, as EXIF counts, of a picture that is shown as one of orientation i
// would be and is then turned by a quarter, or mirrored. HEIF applies them in order.
var (
	anticlockwise = [9]int{1: 8, 8: 3, 3: 6, 6: 1, 2: 5, 5: 4, 4: 7, 7: 2}
	mirrored      = [2][9]int{
		{1: 4, 4: 1, 2: 3, 3: 2, 5: 8, 8: 5, 6: 7, 7: 6}, // top and bottom change places
		{1: 2, 2: 1, 3: 4, 4: 3, 5: 6, 6: 5, 7: 8, 8: 7}, // left and right
	}
)

// codec is that of the main picture, which may be a grid of others.
func (m *metaBox) codec() string {
	t := m.types[m.primary]
	if t == "grid" || t == "iden" || t == "iovl" {
		for _, other := range m.types {
			if other == "hvc1" || other == "av01" {
				return other
			}
		}
	}
	return t
}

func (m *metaBox) items(c *cursor) {
	version := c.uint(4) >> 24
	c.uint(2 + 2*int(min(version, 1)))
	boxes(c.b, func(name string, whole, body []byte) {
		if name != "infe" || len(m.types) >= maxItems {
			return
		}
		e := &cursor{b: body}
		version := e.uint(4) >> 24
		if version < 2 {
			return
		}
		id := uint32(e.uint(2 * int(version-1) & 6))
		e.uint(2)
		if len(e.b) >= 4 {
			m.types[id] = string(e.b[:4])
		}
	})
}

func (m *metaBox) properties(b []byte) {
	boxes(b, func(name string, whole, body []byte) {
		switch name {
		case "ipco":
			boxes(body, func(name string, whole, body []byte) {
				if len(m.props) < maxItems {
					m.props = append(m.props, whole)
				}
			})
		case "ipma":
			c := &cursor{b: body}
			head := c.uint(4)
			version, flags := head>>24, head&0xffffff
			for n := c.uint(4); n > 0 && !c.bad; n-- {
				id := uint32(c.uint(2 + 2*int(min(version, 1))))
				for k := c.uint(1); k > 0 && !c.bad; k-- {
					p := c.uint(1 + int(flags&1))
					p &= 1<<(7+8*(flags&1)) - 1 // without the bit for essential ones
					if len(m.has[id]) < 64 && len(m.has) < maxItems {
						m.has[id] = append(m.has[id], int(p))
					}
				}
			}
		}
	})
}

// locate reads where items lie, and refuses those that lie outside the file.
func (m *metaBox) locate(b []byte, idat span) error {
	c := &cursor{b: b}
	version := c.uint(4) >> 24
	packed := c.uint(2)
	offSize, lenSize, baseSize, indexSize := int(packed>>12), int(packed>>8&15), int(packed>>4&15), int(packed&15)
	if version == 0 {
		indexSize = 0
	}
	wide := 2
	if version >= 2 {
		wide = 4
	}
	if max(offSize, lenSize, baseSize, indexSize) > 8 {
		return m.w.broken(m.at, "places of items that are numbers of more than 8 bytes")
	}
	for n := c.uint(wide); n > 0 && !c.bad; n-- {
		id := uint32(c.uint(wide))
		method := uint64(0)
		if version >= 1 {
			method = c.uint(2) & 15
		}
		c.uint(2)
		base := c.uint(baseSize)
		for k := c.uint(2); k > 0 && !c.bad; k-- {
			c.uint(indexSize)
			s := span{int64((base + c.uint(offSize)) & (1<<62 - 1)), int64(c.uint(lenSize) & (1<<62 - 1))}
			switch {
			case c.bad || method > 1:
				continue
			case method == 1 && s.at+s.n > idat.n:
				return m.w.broken(m.at, "an item that is not where its place says")
			case method == 1:
				s.at += idat.at
			case s.at+s.n > m.w.size:
				return m.w.cut("the picture's data")
			}
			if _, ok := m.places[id]; !ok && len(m.places) < maxItems {
				m.places[id] = s
			}
		}
	}
	if c.bad {
		return m.w.broken(m.at, "a list of places that is too short")
	}
	return nil
}
