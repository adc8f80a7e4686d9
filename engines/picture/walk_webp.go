package picture

import (
	"encoding/binary"
)

// walkRIFF calls visit for each chunk of a span, with its header and padding.
func walkRIFF(w *window, in span, visit func(name string, body span) error) error {
	at, end := in.at, in.at+in.n
	for at < end {
		b, err := w.read(at, 8, "the picture")
		if err != nil {
			return err
		}
		name, n := string(b[:4]), int64(binary.LittleEndian.Uint32(b[4:]))
		if at+8+n > end {
			if at+8+n > w.size {
				return w.cut("chunk " + printable(name))
			}
			return w.broken(at, "chunk "+printable(name)+" reaches beyond its frame")
		}
		if err := visit(name, span{at + 8, n}); err != nil {
			return err
		}
		at += 8 + n + n&1
	}
	return nil
}

func printable(name string) string {
	b := []byte(name)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

// webpSpan is what the file's own header says that it holds.
func webpSpan(w *window) (span, error) {
	w.name = "WebP"
	b, err := w.read(0, 12, "its header")
	if err != nil {
		return span{}, err
	}
	n := int64(binary.LittleEndian.Uint32(b[4:]))
	if n < 4+8 {
		return span{}, w.broken(4, "it has no picture")
	}
	if 8+n > w.size {
		return span{}, w.cut("the picture's data")
	}
	return span{12, n - 4}, nil
}

func le24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

func probeWebP(w *window) (*found, error) {
	f := &found{typ: WebP}
	all, err := webpSpan(w)
	if err != nil {
		return nil, err
	}
	f.end = all.at + all.n
	extended, coded := false, [2]int{}
	still := func(name string, body span) error {
		width, height, alpha, err := webpFrame(w, name, body)
		coded, f.alpha = [2]int{width, height}, f.alpha || alpha
		f.data += body.n
		return err
	}
	err = walkRIFF(w, all, func(name string, body span) error {
		switch name {
		case "VP8X":
			b, err := w.read(body.at, 10, "its header")
			if err != nil || body.n < 10 {
				return w.broken(body.at, "its header is too short")
			}
			extended, f.alpha = true, b[0]&0x10 != 0
			f.width, f.height = le24(b[4:])+1, le24(b[7:])+1
		case "VP8 ", "VP8L":
			if f.frames++; f.frames == 1 {
				return still(name, body)
			}
		case "ANMF":
			f.framed = true
			if f.frames++; f.frames == 1 && body.n > 16 {
				return walkRIFF(w, span{body.at + 16, body.n - 16}, func(name string, body span) error {
					if name == "VP8 " || name == "VP8L" {
						return still(name, body)
					}
					return nil
				})
			}
		case "EXIF":
			f.exif = body
		case "ICCP":
			f.icc = []span{body}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if f.frames == 0 || coded[0] == 0 {
		return nil, w.broken(f.end, "it has no picture")
	}
	if !extended {
		f.width, f.height = coded[0], coded[1]
	}
	// A decoder goes by the larger of the two.
	if coded[0] > f.width || coded[1] > f.height {
		return nil, w.broken(12, "its frame is larger than its canvas")
	}
	return f, nil
}

// webpFrame reads the header of a coded frame.
func webpFrame(w *window, name string, body span) (width, height int, alpha bool, err error) {
	b, err := w.peek(body.at, int(min(body.n, 10)))
	if err != nil {
		return 0, 0, false, err
	}
	if name == "VP8L" {
		if len(b) < 5 || b[0] != 0x2f {
			return 0, 0, false, w.broken(body.at, "a frame without its mark")
		}
		v := binary.LittleEndian.Uint32(b[1:])
		return int(v&0x3fff) + 1, int(v>>14&0x3fff) + 1, v>>28&1 != 0, nil
	}
	if len(b) < 10 || b[0]&1 != 0 || b[3] != 0x9d || b[4] != 0x01 || b[5] != 0x2a {
		return 0, 0, false, w.broken(body.at, "a frame without its mark")
	}
	return int(binary.LittleEndian.Uint16(b[6:]) & 0x3fff), int(binary.LittleEndian.Uint16(b[8:]) & 0x3fff), false, nil
}
