package picture

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"

	"plumb/base/errs"
	"plumb/engines/picture/exif"
)

// Strip writes the same picture, its pixels byte for byte, without what else it tells:
// EXIF with its small copy of the picture, XMP, IPTC, comments and texts, what
// applications and makers put there, and whatever follows the end of the picture (a
// second picture, a film). What is written holds only parts that are known to be
// harmless; its orientation and colours stay, and what keep names, in EXIF made anew.
//
// What cannot be read is refused as by Probe, and before anything is written. HEIC and
// AVIF are refused as errs.Invalid: in them, places of all parts stand in one
// directory that would have to be made anew. Memory is constant but for 48 bytes a
// frame of a WebP animation; the file is read twice.
func Strip(w io.Writer, r io.ReaderAt, size int64, keep Keep) error {
	in := newWindow(r, size)
	f, err := walk(in)
	if err != nil {
		return err
	}
	if err := f.within(DefaultLimits); err != nil {
		return err
	}
	all, err := f.fields(in)
	if err != nil {
		return err
	}
	s := &stripper{in: in, out: bufio.NewWriterSize(w, windowSize), f: f, exif: keep.of(all).Write()}
	if keep.Date {
		s.date = true
	}
	switch f.typ {
	case JPEG:
		err = s.jpeg()
	case PNG:
		err = s.png()
	case GIF:
		err = s.gif()
	case WebP:
		err = s.webp()
	default:
		return errs.New(errs.Invalid, "a picture of type %s cannot be stripped of what it tells", f.typ)
	}
	if err != nil {
		return err
	}
	return s.out.Flush()
}

// of returns the fields that are kept.
func (k Keep) of(all exif.Fields) exif.Fields {
	out := exif.Fields{Orientation: all.Orientation}
	if k.Camera {
		out.Make, out.Model, out.Lens = all.Make, all.Model, all.Lens
		out.Exposure, out.FNumber, out.ISO, out.Focal = all.Exposure, all.FNumber, all.ISO, all.Focal
	}
	if k.Date {
		out.Taken, out.TakenZone = all.Taken, all.TakenZone
	}
	if k.Place {
		out.HasGPS, out.Lat, out.Lon = all.HasGPS, all.Lat, all.Lon
	}
	return out
}

type stripper struct {
	in   *window
	out  *bufio.Writer
	f    *found
	exif []byte // a TIFF structure; nil when nothing is told
	date bool
}

// copy writes a part of the file as it is.
func (s *stripper) copy(part span) error {
	return s.in.each(part, func(b []byte) error {
		_, err := s.out.Write(b)
		return err
	})
}

// write writes made bytes. A bufio.Writer keeps its error for Flush.
func (s *stripper) write(parts ...[]byte) {
	for _, b := range parts {
		s.out.Write(b) //nolint:errcheck // kept for Flush
	}
}

func (s *stripper) jpeg() error {
	s.write([]byte{0xff, 0xd8})
	told := false
	tell := func() {
		if !told && s.exif != nil {
			n := binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(2+len(exifMagic)+len(s.exif)))
			s.write(n, []byte(exifMagic), s.exif)
		}
		told = true
	}
	_, err := walkJPEG(s.in, func(m byte, part span) error {
		b, err := s.in.peek(part.at+4, int(min(max(part.n-4, 0), 14)))
		if err != nil {
			return err
		}
		switch {
		case m == 0: // data
		case m >= 0xc0 && m <= 0xcf, m >= 0xda && m <= 0xdf: // tables, frames, scans
		case m == 0xe0 && len(b) >= 12 && bytes.HasPrefix(b, []byte("JFIF\x00")) && !told:
			// Without its small copy of the picture, which may show more than the picture.
			s.write([]byte{0xff, 0xe0, 0, 16}, b[:12], []byte{0, 0})
			tell()
			return nil
		case m == 0xe2 && bytes.HasPrefix(b, []byte(iccMagic)):
		case m == 0xee && bytes.HasPrefix(b, []byte("Adobe")) && part.n == 16:
		default:
			return nil
		}
		tell()
		return s.copy(part)
	})
	s.write([]byte{0xff, 0xd9})
	return err
}

// pngKept are the chunks that say how pixels look, and pixels.
var pngKept = map[string]bool{
	"IHDR": true, "PLTE": true, "IDAT": true, "IEND": true, "tRNS": true,
	"acTL": true, "fcTL": true, "fdAT": true,
	"cHRM": true, "gAMA": true, "iCCP": true, "sBIT": true, "sRGB": true, "cICP": true, "mDCV": true, "cLLI": true,
	"bKGD": true, "hIST": true, "pHYs": true,
}

func (s *stripper) png() error {
	s.write([]byte(pngMagic))
	_, err := walkPNG(s.in, func(name string, part span) error {
		if !pngKept[name] && (name != "tIME" || !s.date) {
			if name[0] < 'a' {
				return s.in.broken(part.at, "chunk "+name+" is needed to show it, and unknown")
			}
			return nil
		}
		if err := s.copy(part); err != nil {
			return err
		}
		if name == "IHDR" && s.exif != nil {
			s.write(pngChunk("eXIf", s.exif))
		}
		return nil
	})
	return err
}

func pngChunk(name string, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	out = append(append(out, name...), body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

func (s *stripper) gif() error {
	control := span{} // waits for the frame that it is for
	_, err := walkGIF(s.in, func(kind int, part span) error {
		switch kind {
		case gifControl:
			control = part
			return nil
		case gifOther:
			control = span{}
			return nil
		case gifFrame:
			if err := s.copy(control); err != nil {
				return err
			}
			control = span{}
		case gifLoop:
			// Twice the name and the count of rounds; further blocks could hold anything.
			part.n = 18
			if err := s.copy(part); err != nil {
				return err
			}
			s.write([]byte{0})
			return nil
		}
		return s.copy(part)
	})
	return err
}

// webp makes a list of what stays, since the file begins with its length.
func (s *stripper) webp() error {
	var parts []webpPart
	all := span{12, s.f.end - 12}
	flags := byte(0)
	if s.f.alpha {
		flags |= 0x10
	}
	extended := false
	err := walkRIFF(s.in, all, func(name string, body span) error {
		switch name {
		case "VP8X":
			b, err := s.in.read(body.at, 10, "its header")
			if err != nil {
				return err
			}
			extended, flags = true, b[0]&0x32 // alpha, animation, profile
		case "ICCP", "ANIM", "VP8 ", "VP8L", "ALPH":
			parts = append(parts, webpPart{name: name, body: body})
		case "ANMF":
			frame := webpPart{name: name, body: span{body.at, min(body.n, 16)}}
			err := walkRIFF(s.in, span{body.at + 16, max(body.n-16, 0)}, func(name string, body span) error {
				if (name == "VP8 " || name == "VP8L" || name == "ALPH") && len(frame.inner) < 2 {
					frame.inner = append(frame.inner, webpPart{name: name, body: body})
				}
				return nil
			})
			parts = append(parts, frame)
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	if extended || s.exif != nil {
		if s.exif != nil {
			flags |= 0x08
		}
		w, h := s.f.width-1, s.f.height-1
		head := webpPart{name: "VP8X", made: []byte{flags, 0, 0, 0, byte(w), byte(w >> 8), byte(w >> 16), byte(h), byte(h >> 8), byte(h >> 16)}}
		parts = append([]webpPart{head}, parts...)
		if s.exif != nil {
			parts = append(parts, webpPart{name: "EXIF", made: s.exif})
		}
	}
	total := int64(4)
	for _, p := range parts {
		total += p.size()
	}
	s.write([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(total)), []byte("WEBP"))
	for _, p := range parts {
		if err := s.webpPart(p); err != nil {
			return err
		}
	}
	return nil
}

// webpPart is a chunk that is written: made, or copied, with chunks inside it after that.
type webpPart struct {
	name  string
	made  []byte
	body  span
	inner []webpPart
}

// length is what the chunk's header says.
func (p webpPart) length() int64 {
	n := int64(len(p.made)) + p.body.n
	for _, in := range p.inner {
		n += in.size()
	}
	return n
}

// size is that with header and padding.
func (p webpPart) size() int64 { n := p.length(); return 8 + n + n&1 }

func (s *stripper) webpPart(p webpPart) error {
	n := p.length()
	s.write([]byte(p.name), binary.LittleEndian.AppendUint32(nil, uint32(n)), p.made)
	if err := s.copy(p.body); err != nil {
		return err
	}
	for _, in := range p.inner {
		if err := s.webpPart(in); err != nil {
			return err
		}
	}
	if n&1 != 0 {
		s.write([]byte{0})
	}
	return nil
}
