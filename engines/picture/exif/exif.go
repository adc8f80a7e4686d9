// Package exif reads the few fields of EXIF that a photo room needs, and writes them.
//
//	f := exif.Read(tiff)    // what "Exif\0\0" stands before in a JPEG file
//	f.HasGPS = false
//	tiff = f.Write()
//
// Cameras, programs and attackers write anything, and a photo is no worse for it: Read
// has no error. What lies is left out, field by field: offsets outside the data, types
// that do not fit, a denominator of 0, a time that no camera can have seen, a place
// that is not on earth, text that is not UTF-8.
//
// Read looks at three directories, each once, at most maxEntries entries of each, and
// follows no other offset, so that no chain of offsets can keep it busy. Time grows with
// entries, memory with the text that is kept (maxText each).
package exif

import (
	"encoding/binary"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxEntries = 512
	maxText    = 100 // bytes
)

// Fields are what is known. A zero says that the file does not tell.
type Fields struct {
	Orientation int // 1 to 8; 0 when not told
	Taken       time.Time
	TakenZone   bool // the zone is told; otherwise Taken is the camera's clock, as UTC
	Make        string
	Model       string
	Lens        string
	Exposure    float64 // seconds
	FNumber     float64
	ISO         int
	Focal       float64 // millimetres
	HasGPS      bool
	Lat, Lon    float64 // degrees, north and east positive
}

// Tags, in their directories.
const (
	tagMake, tagModel, tagOrientation, tagDateTime = 0x010f, 0x0110, 0x0112, 0x0132
	tagExif, tagGPS                                = 0x8769, 0x8825

	tagExposure, tagFNumber, tagISO            = 0x829a, 0x829d, 0x8827
	tagVersion, tagOriginal, tagDigitized      = 0x9000, 0x9003, 0x9004
	tagOffset, tagOffsetOrig, tagOffsetDigital = 0x9010, 0x9011, 0x9012
	tagFocal, tagLens                          = 0x920a, 0xa434

	tagLatRef, tagLat, tagLonRef, tagLon = 1, 2, 3, 4
)

// Types of values, of TIFF.
const (
	tByte, tASCII, tShort, tLong, tRational = 1, 2, 3, 4, 5
	tUndefined, tSLong, tSRational          = 7, 9, 10
)

var sizes = [...]int{tByte: 1, tASCII: 1, tShort: 2, tLong: 4, tRational: 8, 6: 1, tUndefined: 1, 8: 2, tSLong: 4, tSRational: 8, 11: 4, 12: 8}

type file struct {
	b     []byte
	order binary.ByteOrder
}

type value struct {
	kind  int
	count int
	b     []byte // count values
	order binary.ByteOrder
}

// Read returns what a TIFF structure tells.
func Read(b []byte) (out Fields) {
	f := file{b: b}
	switch {
	case len(b) < 8:
		return out
	case string(b[:4]) == "II*\x00":
		f.order = binary.LittleEndian
	case string(b[:4]) == "MM\x00*":
		f.order = binary.BigEndian
	default:
		return out
	}
	var exifAt, gpsAt uint32
	var changed, original, digitized, zone, zoneOrig, zoneDigital string
	f.each(f.order.Uint32(b[4:]), func(tag int, v value) {
		switch tag {
		case tagMake:
			out.Make = v.text()
		case tagModel:
			out.Model = v.text()
		case tagOrientation:
			if n, ok := v.int(); ok && n >= 1 && n <= 8 {
				out.Orientation = int(n)
			}
		case tagDateTime:
			changed = v.text()
		case tagExif:
			n, _ := v.int()
			exifAt = uint32(n)
		case tagGPS:
			n, _ := v.int()
			gpsAt = uint32(n)
		}
	})
	f.each(exifAt, func(tag int, v value) {
		switch tag {
		case tagExposure:
			out.Exposure = v.within(1e-7, 1e6)
		case tagFNumber:
			out.FNumber = v.within(0.1, 1000)
		case tagISO:
			if n, ok := v.int(); ok && n > 0 && n < 65535 { // 65535 says that it is larger
				out.ISO = int(n)
			}
		case tagFocal:
			out.Focal = v.within(0.1, 100_000)
		case tagLens:
			out.Lens = v.text()
		case tagOriginal:
			original = v.text()
		case tagDigitized:
			digitized = v.text()
		case tagOffset:
			zone = v.text()
		case tagOffsetOrig:
			zoneOrig = v.text()
		case tagOffsetDigital:
			zoneDigital = v.text()
		}
	})
	out.HasGPS, out.Lat, out.Lon = f.place(gpsAt)
	for _, t := range [][2]string{{original, zoneOrig}, {digitized, zoneDigital}, {changed, zone}} {
		if at, zoned, ok := instant(t[0], t[1]); ok {
			out.Taken, out.TakenZone = at, zoned
			break
		}
	}
	return out
}

// each goes over the entries of a directory whose values lie within the data.
func (f file) each(at uint32, entry func(tag int, v value)) {
	if at < 8 || int64(at)+2 > int64(len(f.b)) {
		return
	}
	n := min(int(f.order.Uint16(f.b[at:])), maxEntries)
	for i := range n {
		from := int(at) + 2 + 12*i
		if from+12 > len(f.b) {
			return
		}
		e := f.b[from : from+12]
		v := value{kind: int(f.order.Uint16(e[2:])), order: f.order}
		if v.kind >= len(sizes) || sizes[v.kind] == 0 {
			continue
		}
		count := int64(f.order.Uint32(e[4:]))
		bytes := count * int64(sizes[v.kind])
		if count == 0 {
			continue
		}
		if bytes <= 4 {
			v.b = e[8 : 8+bytes]
		} else {
			off := int64(f.order.Uint32(e[8:]))
			if off+bytes > int64(len(f.b)) {
				continue
			}
			v.b = f.b[off : off+bytes]
		}
		v.count = int(count)
		entry(int(f.order.Uint16(e)), v)
	}
}

func (f file) place(at uint32) (ok bool, lat, lon float64) {
	var latRef, lonRef string
	lat, lon = math.NaN(), math.NaN()
	f.each(at, func(tag int, v value) {
		switch tag {
		case tagLatRef:
			latRef = v.text()
		case tagLonRef:
			lonRef = v.text()
		case tagLat:
			lat = v.degrees()
		case tagLon:
			lon = v.degrees()
		}
	})
	if latRef == "S" {
		lat = -lat
	}
	if lonRef == "W" {
		lon = -lon
	}
	// Where there was no fix, programs write 0, 0.
	if latRef != "N" && latRef != "S" || lonRef != "E" && lonRef != "W" ||
		!(math.Abs(lat) <= 90 && math.Abs(lon) <= 180) || lat == 0 && lon == 0 {
		return false, 0, 0
	}
	return true, lat, lon
}

func (v value) text() string {
	if v.kind != tASCII && v.kind != tByte && v.kind != tUndefined {
		return ""
	}
	s := string(v.b[:min(len(v.b), maxText)])
	if i := strings.IndexByte(s, 0); i >= 0 {
		s = s[:i]
	}
	for len(s) > 0 && len(s) == maxText && !utf8.ValidString(s) { // cut inside a character
		s = s[:len(s)-1]
		if len(s) < maxText-utf8.UTFMax {
			break
		}
	}
	if !utf8.ValidString(s) {
		return ""
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s))
}

// int is the first of whole numbers.
func (v value) int() (int64, bool) {
	switch v.kind {
	case tByte:
		return int64(v.b[0]), true
	case tShort:
		return int64(v.order.Uint16(v.b)), true
	case tLong:
		return int64(v.order.Uint32(v.b)), true
	case tSLong:
		return int64(int32(v.order.Uint32(v.b))), true
	}
	return 0, false
}

// number is the i-th value as a number; NaN when it is none.
func (v value) number(i int) float64 {
	if i >= v.count {
		return math.NaN()
	}
	switch b := v.b[i*sizes[v.kind]:]; v.kind {
	case tRational:
		if d := v.order.Uint32(b[4:]); d != 0 {
			return float64(v.order.Uint32(b)) / float64(d)
		}
	case tSRational:
		if d := int32(v.order.Uint32(b[4:])); d != 0 {
			return float64(int32(v.order.Uint32(b))) / float64(d)
		}
	case tByte:
		return float64(b[0])
	case tShort:
		return float64(v.order.Uint16(b))
	case tLong:
		return float64(v.order.Uint32(b))
	}
	return math.NaN()
}

// within is the first value, or 0 when it is out of a range.
func (v value) within(low, high float64) float64 {
	if n := v.number(0); n >= low && n <= high {
		return n
	}
	return 0
}

// degrees is of degrees, minutes, seconds; those at the end may be missing.
func (v value) degrees() float64 {
	d := v.number(0)
	if v.count > 1 {
		d += v.number(1) / 60
	}
	// 0/0 stands for no seconds in files of some phones.
	if s := v.number(2); s == s {
		d += s / 3600
	}
	if d < 0 {
		return math.NaN()
	}
	return d
}

// instant reads a time that a camera may have seen: cameras whose clock was never set
// begin in 1970 or on the first day of 1980.
func instant(s, zone string) (at time.Time, zoned, ok bool) {
	at, err := time.Parse("2006:01:02 15:04:05", s)
	if err != nil {
		return at, false, false
	}
	if y := at.Year(); y < 1826 || y == 1970 || y > 2199 || y == 1980 && at.YearDay() == 1 {
		return time.Time{}, false, false
	}
	if z, err := time.Parse("-07:00", zone); err == nil {
		_, off := z.Zone()
		if off >= -14*3600 && off <= 14*3600 {
			return at.Add(-time.Duration(off) * time.Second).In(time.FixedZone("", off)), true, true
		}
	}
	return at, false, true
}
