package picture

import "encoding/binary"

// Blocks of a GIF file.
const (
	gifHeader  = iota // with the screen's colours
	gifControl        // how the next frame is shown
	gifLoop           // how often the animation runs
	gifFrame
	gifOther // comments, plain text, what applications put there
	gifEnd
)

// walkGIF calls visit for each block. Data ends with the trailer.
func walkGIF(w *window, visit func(kind int, s span) error) (end int64, err error) {
	w.name = "GIF"
	b, err := w.read(0, 13, "its header")
	if err != nil {
		return 0, err
	}
	at := 13 + colours(b[10])
	if at > w.size {
		return 0, w.cut("its colours")
	}
	if err := visit(gifHeader, span{0, at}); err != nil {
		return 0, err
	}
	frames := 0
	for {
		b, err := w.read(at, 1, "the picture")
		if err != nil {
			return 0, err
		}
		kind, from, body := gifOther, at, int64(0)
		switch b[0] {
		case 0x3b:
			if frames == 0 {
				return 0, w.broken(at, "it has no picture")
			}
			return at + 1, visit(gifEnd, span{at, 1})
		case 0x2c:
			if b, err = w.read(at, 11, "a frame"); err != nil {
				return 0, err
			}
			kind, body = gifFrame, at+10+colours(b[9])+1
			frames++
		case 0x21:
			if b, err = w.read(at, 2, "an extension"); err != nil {
				return 0, err
			}
			body = at + 2
			if b[1] == 0xf9 {
				kind = gifControl
			} else if b, err = w.peek(at, 17); err != nil {
				return 0, err
			} else if len(b) == 17 && b[1] == 0xff && b[2] == 11 && b[14] == 3 && b[15] == 1 &&
				(string(b[3:14]) == "NETSCAPE2.0" || string(b[3:14]) == "ANIMEXTS1.0") {
				kind = gifLoop
			}
		default:
			return 0, w.broken(at, "a block that is unknown")
		}
		if at, err = subBlocks(w, body); err != nil {
			return 0, err
		}
		if err := visit(kind, span{from, at - from}); err != nil {
			return 0, err
		}
	}
}

// colours is how many bytes of colours follow a byte of flags.
func colours(flags byte) int64 {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}

// subBlocks is where blocks of up to 255 bytes that begin at at end.
func subBlocks(w *window, at int64) (int64, error) {
	for {
		b, err := w.read(at, 1, "the picture's data")
		if err != nil {
			return 0, err
		}
		at += 1 + int64(b[0])
		if b[0] == 0 {
			return at, nil
		}
	}
}

func probeGIF(w *window) (*found, error) {
	f := &found{typ: GIF}
	var err error
	f.end, err = walkGIF(w, func(kind int, s span) error {
		switch kind {
		case gifHeader:
			b, err := w.read(0, 10, "its header")
			if err != nil {
				return err
			}
			f.width, f.height = int(binary.LittleEndian.Uint16(b[6:])), int(binary.LittleEndian.Uint16(b[8:]))
		case gifFrame:
			f.frames++
			f.data += s.n
		case gifControl:
			b, err := w.peek(s.at, 4)
			if err != nil {
				return err
			}
			f.alpha = f.alpha || len(b) == 4 && b[3]&1 != 0
		}
		return nil
	})
	return f, err
}
