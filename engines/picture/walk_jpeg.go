package picture

import (
	"bytes"
	"encoding/binary"
)

// walkJPEG calls visit for each segment, marker and length included, and with marker 0
// for the data of each scan. It returns where the picture ends, after EOI.
func walkJPEG(w *window, visit func(marker byte, s span) error) (end int64, err error) {
	w.name = "JPEG"
	at, frame, scans := int64(2), false, 0
	for {
		m, from, err := nextMarker(w, at)
		if err != nil {
			return 0, err
		}
		at = from + 2
		switch {
		case m == 0xd9:
			if scans == 0 {
				return 0, w.broken(from, "it has no picture")
			}
			return at, nil
		case m >= 0xd0 && m <= 0xd8 || m == 0x01:
			continue
		}
		b, err := w.read(at, 2, "a header")
		if err != nil {
			return 0, err
		}
		n := int64(binary.BigEndian.Uint16(b))
		if n < 2 {
			return 0, w.broken(at, "a segment of no length")
		}
		if at+n > w.size {
			return 0, w.cut("a header")
		}
		isFrame := m >= 0xc0 && m <= 0xcf && m != 0xc4 && m != 0xc8 && m != 0xcc
		if m == 0xda && !frame {
			return 0, w.broken(from, "a scan without a frame")
		}
		frame = frame || isFrame
		if err := visit(m, span{from, n + 2}); err != nil {
			return 0, err
		}
		at += n
		if m == 0xda {
			scans++
			data, err := scanEnd(w, at)
			if err != nil {
				return 0, err
			}
			if err := visit(0, span{at, data - at}); err != nil {
				return 0, err
			}
			at = data
		}
	}
}

// nextMarker finds a marker at or after at, where there may be garbage.
func nextMarker(w *window, at int64) (m byte, from int64, err error) {
	for {
		b, err := w.peek(at, windowSize)
		if err != nil {
			return 0, 0, err
		}
		if len(b) < 2 {
			return 0, 0, w.cut("the picture")
		}
		i := bytes.IndexByte(b[:len(b)-1], 0xff)
		switch {
		case i < 0:
			at += int64(len(b) - 1)
		case b[i+1] == 0xff:
			at += int64(i + 1)
		case b[i+1] == 0:
			at += int64(i + 2)
		default:
			return b[i+1], at + int64(i), nil
		}
	}
}

// scanEnd is where the data of a scan end: at a marker that does not restart it.
func scanEnd(w *window, at int64) (int64, error) {
	for {
		b, err := w.peek(at, windowSize)
		if err != nil {
			return 0, err
		}
		if len(b) < 2 {
			return 0, w.cut("the picture's data")
		}
		for i := 0; ; {
			j := bytes.IndexByte(b[i:len(b)-1], 0xff)
			if j < 0 {
				at += int64(len(b) - 1)
				break
			}
			i += j
			if m := b[i+1]; m != 0 && m != 0xff && (m < 0xd0 || m > 0xd7) {
				return at + int64(i), nil
			}
			i++
		}
	}
}

const (
	exifMagic = "Exif\x00\x00"
	iccMagic  = "ICC_PROFILE\x00"
)

func probeJPEG(w *window) (*found, error) {
	f := &found{typ: JPEG, frames: 1}
	type part struct {
		number, of byte
		s          span
	}
	var parts []part
	end, err := walkJPEG(w, func(m byte, s span) error {
		if m == 0 {
			f.data += s.n
			return nil
		}
		b, err := w.peek(s.at+4, int(min(s.n-4, 32)))
		if err != nil {
			return err
		}
		switch {
		case m >= 0xc0 && m <= 0xcf && m != 0xc4 && m != 0xc8 && m != 0xcc && f.width == 0:
			if len(b) < 6 {
				return w.broken(s.at, "a frame header that is too short")
			}
			f.height, f.width = int(binary.BigEndian.Uint16(b[1:])), int(binary.BigEndian.Uint16(b[3:]))
		case m == 0xe1 && bytes.HasPrefix(b, []byte(exifMagic)) && f.exif.n == 0:
			f.exif = span{s.at + 4, s.n - 4}
		case m == 0xe2 && bytes.HasPrefix(b, []byte(iccMagic)) && len(b) >= 14 && len(parts) < 255:
			parts = append(parts, part{b[12], b[13], span{s.at + 18, s.n - 18}})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	f.end = end
	for i := range parts { // in their order; a profile that is not whole is none
		for _, p := range parts {
			if int(p.number) == i+1 && int(p.of) == len(parts) {
				f.icc = append(f.icc, p.s)
				break
			}
		}
	}
	if len(f.icc) < len(parts) {
		f.icc = nil
	}
	return f, nil
}
