package exif

import (
	"encoding/binary"
	"math"
	"slices"
)

type entry struct {
	tag, kind, count int
	b                []byte
}

// Write returns a TIFF structure that tells the fields; nil when there is nothing to
// tell. It is read by any EXIF reader, and by Read gives the same fields, to the
// precision of EXIF's fractions.
func (f Fields) Write() []byte {
	le := binary.LittleEndian
	text := func(tag int, s string) entry { return entry{tag, tASCII, len(s) + 1, append([]byte(s), 0)} }
	short := func(tag, v int) entry { return entry{tag, tShort, 1, le.AppendUint16(nil, uint16(v))} }
	var first, exif, gps []entry
	if f.Orientation > 1 && f.Orientation <= 8 {
		first = append(first, short(tagOrientation, f.Orientation))
	}
	if f.Make != "" {
		first = append(first, text(tagMake, f.Make))
	}
	if f.Model != "" {
		first = append(first, text(tagModel, f.Model))
	}
	if f.Lens != "" {
		exif = append(exif, text(tagLens, f.Lens))
	}
	for _, n := range []struct {
		tag int
		v   float64
	}{{tagExposure, f.Exposure}, {tagFNumber, f.FNumber}, {tagFocal, f.Focal}} {
		if n.v > 0 {
			exif = append(exif, entry{n.tag, tRational, 1, fraction(nil, n.v)})
		}
	}
	if f.ISO > 0 {
		exif = append(exif, short(tagISO, f.ISO))
	}
	if !f.Taken.IsZero() {
		exif = append(exif, text(tagOriginal, f.Taken.Format("2006:01:02 15:04:05")))
		if f.TakenZone {
			exif = append(exif, text(tagOffsetOrig, f.Taken.Format("-07:00")))
		}
	}
	if f.HasGPS {
		lat, lon, latRef, lonRef := f.Lat, f.Lon, "N", "E"
		if lat < 0 {
			lat, latRef = -lat, "S"
		}
		if lon < 0 {
			lon, lonRef = -lon, "W"
		}
		gps = []entry{text(tagLatRef, latRef), {tagLat, tRational, 3, sexagesimal(lat)},
			text(tagLonRef, lonRef), {tagLon, tRational, 3, sexagesimal(lon)}}
	}
	if len(first)+len(exif)+len(gps) == 0 {
		return nil
	}
	if len(exif) > 0 {
		exif = append(exif, entry{tagVersion, tUndefined, 4, []byte("0232")})
	}
	out := []byte("II*\x00\x08\x00\x00\x00")
	for _, sub := range []struct {
		tag int
		dir []entry
	}{{tagExif, exif}, {tagGPS, gps}} {
		if len(sub.dir) > 0 {
			// The pointers come before what they point to: their directory's size is known.
			first = append(first, entry{sub.tag, tLong, 1, nil})
		}
	}
	at := len(out) + dirSize(first)
	for i := range first {
		switch first[i].tag {
		case tagExif:
			first[i].b = le.AppendUint32(nil, uint32(at))
			at += dirSize(exif)
		case tagGPS:
			first[i].b = le.AppendUint32(nil, uint32(at))
			at += dirSize(gps)
		}
	}
	for _, dir := range [][]entry{first, exif, gps} {
		if len(dir) > 0 {
			out = appendDir(out, dir)
		}
	}
	return out
}

// dirSize is the bytes of a directory with its values.
func dirSize(dir []entry) int {
	n := 2 + 12*len(dir) + 4
	for _, e := range dir {
		kind := sizes[e.kind] * e.count
		if kind > 4 {
			n += kind + kind&1
		}
	}
	return n
}

func appendDir(out []byte, dir []entry) []byte {
	le := binary.LittleEndian
	slices.SortFunc(dir, func(a, b entry) int { return a.tag - b.tag })
	at := len(out) + 2 + 12*len(dir) + 4
	out = le.AppendUint16(out, uint16(len(dir)))
	var values []byte
	for _, e := range dir {
		out = le.AppendUint16(out, uint16(e.tag))
		out = le.AppendUint16(out, uint16(e.kind))
		out = le.AppendUint32(out, uint32(e.count))
		if len(e.b) <= 4 {
			out = append(append(out, e.b...), make([]byte, 4-len(e.b))...)
			continue
		}
		out = le.AppendUint32(out, uint32(at+len(values)))
		values = append(values, e.b...)
		if len(values)&1 != 0 { // values begin at even offsets
			values = append(values, 0)
		}
	}
	return append(le.AppendUint32(out, 0), values...)
}

// fraction writes v as two whole numbers, times below a second as one by n where they
// are that, as cameras do.
func fraction(out []byte, v float64) []byte {
	num, den := v, 1.0
	if inv := math.Round(1 / v); v < 1 && inv < 1<<31 && math.Abs(1/inv-v) < v*1e-6 {
		num, den = 1, inv
	} else {
		for den < 1e6 && num != math.Round(num) && num < 1e8 {
			num, den = num*10, den*10
		}
	}
	out = binary.LittleEndian.AppendUint32(out, uint32(min(math.Round(num), math.MaxUint32)))
	return binary.LittleEndian.AppendUint32(out, uint32(den))
}

// sexagesimal writes degrees, minutes and thousandths of seconds.
func sexagesimal(v float64) (out []byte) {
	ms := int64(math.Round(v * 3600_000))
	for _, n := range [][2]int64{{ms / 3600_000, 1}, {ms / 60_000 % 60, 1}, {ms % 60_000, 1000}} {
		out = binary.LittleEndian.AppendUint32(out, uint32(n[0]))
		out = binary.LittleEndian.AppendUint32(out, uint32(n[1]))
	}
	return out
}
