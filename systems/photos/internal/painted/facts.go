package painted

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"
)

// Facts are what a camera writes beside the pixels, as EXIF has it (CIPA DC-008). What is
// zero is left out.
type Facts struct {
	Taken       time.Time // with its zone
	Make, Model string
	Lens        string
	Exposure    float64 // seconds
	FNumber     float64
	ISO         int
	Focal       float64 // millimetres
	Orientation int     // 1 to 8
	Placed      bool
	Lat, Lon    float64 // degrees
}

// Types of EXIF's fields.
const (
	ascii    = 2
	short    = 3
	long     = 4
	rational = 5
)

type field struct {
	tag, kind uint16
	count     uint32
	data      []byte
	sub       []field // of a pointer
}

// WithFacts puts the facts into a JPEG, behind its first marker.
func WithFacts(jpg []byte, f Facts) []byte {
	tiff := f.tiff()
	if len(tiff) == 0 || len(tiff) > 65_000 {
		return jpg
	}
	var b bytes.Buffer
	b.Write(jpg[:2])
	b.Write([]byte{0xff, 0xe1})
	binary.Write(&b, binary.BigEndian, uint16(len(tiff)+8)) // into memory: it cannot fail
	b.WriteString("Exif\x00\x00")
	b.Write(tiff)
	b.Write(jpg[2:])
	return b.Bytes()
}

func text(tag uint16, s string) []field {
	if s == "" {
		return nil
	}
	return []field{{tag: tag, kind: ascii, count: uint32(len(s) + 1), data: append([]byte(s), 0)}}
}

func ratios(tag uint16, den uint32, values ...float64) field {
	f := field{tag: tag, kind: rational, count: uint32(len(values))}
	for _, v := range values {
		f.data = binary.LittleEndian.AppendUint32(f.data, uint32(math.Round(v*float64(den))))
		f.data = binary.LittleEndian.AppendUint32(f.data, den)
	}
	return f
}

func number(tag uint16, v int) field {
	return field{tag: tag, kind: short, count: 1, data: binary.LittleEndian.AppendUint16(nil, uint16(v))}
}

// tiff writes the facts as a TIFF of directories, little-endian.
func (f Facts) tiff() []byte {
	var main, exif, gps []field
	main = append(main, text(0x010f, f.Make)...)
	main = append(main, text(0x0110, f.Model)...)
	if f.Orientation > 0 {
		main = append(main, number(0x0112, f.Orientation))
	}
	if f.Exposure > 0 {
		exif = append(exif, ratios(0x829a, 1_000_000, f.Exposure))
	}
	if f.FNumber > 0 {
		exif = append(exif, ratios(0x829d, 100, f.FNumber))
	}
	if f.ISO > 0 {
		exif = append(exif, number(0x8827, f.ISO))
	}
	if !f.Taken.IsZero() {
		exif = append(exif, text(0x9003, f.Taken.Format("2006:01:02 15:04:05"))...)
		exif = append(exif, text(0x9011, f.Taken.Format("-07:00"))...)
	}
	if f.Focal > 0 {
		exif = append(exif, ratios(0x920a, 100, f.Focal))
	}
	exif = append(exif, text(0xa434, f.Lens)...)
	if f.Placed {
		ns, ew := "N", "E"
		if f.Lat < 0 {
			ns = "S"
		}
		if f.Lon < 0 {
			ew = "W"
		}
		gps = append(gps, text(1, ns)...)
		gps = append(gps, degrees(2, f.Lat))
		gps = append(gps, text(3, ew)...)
		gps = append(gps, degrees(4, f.Lon))
	}
	if len(exif) > 0 {
		main = append(main, field{tag: 0x8769, kind: long, count: 1, sub: exif})
	}
	if len(gps) > 0 {
		main = append(main, field{tag: 0x8825, kind: long, count: 1, sub: gps})
	}
	if len(main) == 0 {
		return nil
	}
	return directory([]byte("II*\x00\x08\x00\x00\x00"), main)
}

// degrees writes a position as degrees, minutes and seconds.
func degrees(tag uint16, v float64) field {
	v = math.Abs(v)
	d, m := math.Floor(v), math.Floor(math.Mod(v, 1)*60)
	return ratios(tag, 10_000, d, m, (v-d-m/60)*3600)
}

// directory appends a directory and then what does not fit into its entries.
func directory(out []byte, fields []field) []byte {
	start := len(out)
	out = binary.LittleEndian.AppendUint16(out, uint16(len(fields)))
	out = append(out, make([]byte, 12*len(fields)+4)...)
	for i, f := range fields {
		entry := start + 2 + 12*i
		binary.LittleEndian.PutUint16(out[entry:], f.tag)
		binary.LittleEndian.PutUint16(out[entry+2:], f.kind)
		binary.LittleEndian.PutUint32(out[entry+4:], f.count)
		switch {
		case f.sub != nil:
			binary.LittleEndian.PutUint32(out[entry+8:], uint32(len(out)))
			out = directory(out, f.sub)
		case len(f.data) <= 4:
			copy(out[entry+8:], f.data)
		default:
			binary.LittleEndian.PutUint32(out[entry+8:], uint32(len(out)))
			out = append(out, f.data...)
		}
		if len(out)%2 == 1 {
			out = append(out, 0)
		}
	}
	return out
}
