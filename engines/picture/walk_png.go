package picture

import (
	"encoding/binary"
	"hash/crc32"
)

const pngMagic = "\x89PNG\r\n\x1a\n"

// walkPNG calls visit for each chunk, whose length, name and checksum s includes.
func walkPNG(w *window, visit func(name string, s span) error) (end int64, err error) {
	w.name = "PNG"
	at := int64(len(pngMagic))
	if _, err := w.read(0, len(pngMagic), "its header"); err != nil {
		return 0, err
	}
	first, data := true, false
	for {
		b, err := w.read(at, 8, "the picture")
		if err != nil {
			return 0, err
		}
		n, name := int64(binary.BigEndian.Uint32(b)), string(b[4:8])
		for _, c := range name {
			if c < 'A' || c > 'z' || c > 'Z' && c < 'a' {
				return 0, w.broken(at, "a chunk whose name is none")
			}
		}
		if first != (name == "IHDR") || first && n != 13 {
			return 0, w.broken(at, "its header is not where it belongs")
		}
		first = false
		if n > 1<<31-1 {
			return 0, w.broken(at, "a chunk that is too long")
		}
		if at+12+n > w.size {
			return 0, w.cut("chunk " + name)
		}
		sum := uint32(0)
		if err := w.each(span{at + 4, n + 4}, func(b []byte) error {
			sum = crc32.Update(sum, crc32.IEEETable, b)
			return nil
		}); err != nil {
			return 0, err
		}
		if b, err = w.read(at+8+n, 4, "chunk "+name); err != nil {
			return 0, err
		}
		if sum != binary.BigEndian.Uint32(b) {
			return 0, w.broken(at, "the checksum of chunk "+name+" is wrong")
		}
		if err := visit(name, span{at, n + 12}); err != nil {
			return 0, err
		}
		data = data || name == "IDAT"
		at += n + 12
		if name == "IEND" {
			if !data {
				return 0, w.broken(at, "it has no picture")
			}
			return at, nil
		}
	}
}

func probePNG(w *window) (*found, error) {
	f := &found{typ: PNG, frames: 1}
	var err error
	f.end, err = walkPNG(w, func(name string, s span) error {
		body := span{s.at + 8, s.n - 12}
		switch name {
		case "IHDR":
			b, err := w.read(body.at, 13, "its header")
			if err != nil {
				return err
			}
			width, height := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
			if width > 1<<31-1 || height > 1<<31-1 {
				return w.broken(body.at, "a width or height that PNG does not have")
			}
			f.width, f.height = int(width), int(height)
			f.alpha = b[9] == 4 || b[9] == 6
			if b[8] == 16 {
				f.bits = 64
			}
			f.interlaced = b[12] != 0
		case "tRNS":
			f.alpha = true
		case "IDAT":
			f.data += body.n
		case "eXIf":
			f.exif = body
		case "iCCP":
			f.icc, f.zlibICC = []span{body}, true
		case "acTL":
			if b, err := w.peek(body.at, 4); err != nil {
				return err
			} else if len(b) == 4 {
				f.frames = int(min(binary.BigEndian.Uint32(b), 1<<30))
			}
		}
		return nil
	})
	return f, err
}
