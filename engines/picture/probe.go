package picture

import (
	"bytes"
	"io"

	"plumb/base/errs"
	"plumb/engines/picture/exif"
)

// found is what a walk through a container finds.
type found struct {
	typ           string
	width, height int
	frames        int
	alpha         bool // it has a channel for it; pixels may all be opaque
	exif          span // a TIFF structure
	icc           []span
	zlibICC       bool  // icc is compressed, after a name
	turn          int   // orientation that the container itself states; 0: EXIF's counts
	end           int64 // where the picture ends; what follows is another thing
	data          int64 // bytes of coded pixels
	bits          int   // of a pixel in memory, where a decoder takes more than 32
	interlaced    bool
	framed        bool  // WebP: the picture is a frame of an animation, even if the only one
	memory        int64 // what decoding may take
}

// most of EXIF and of a colour profile that is looked at.
const (
	maxEXIF = 256 << 10
	maxICC  = 1 << 20
)

// Probe says what a picture is: by its bytes, never by a name or label. It walks
// through the whole container, so that a file which was cut off is refused.
func Probe(r io.ReaderAt, size int64) (Info, error) {
	w := newWindow(r, size)
	f, err := walk(w)
	if err != nil {
		return Info{}, err
	}
	if err := f.within(DefaultLimits); err != nil {
		return Info{}, err
	}
	return f.info(w)
}

// walk finds out what a file is, and walks through it.
func walk(w *window) (*found, error) {
	head, err := w.peek(0, 32)
	if err != nil {
		return nil, err
	}
	has := func(at int, s string) bool { return len(head) >= at && bytes.HasPrefix(head[at:], []byte(s)) }
	switch {
	case has(0, "\xff\xd8\xff"):
		return probeJPEG(w)
	case has(0, pngMagic):
		return probePNG(w)
	case has(0, "GIF87a"), has(0, "GIF89a"):
		return probeGIF(w)
	case has(0, "RIFF") && has(8, "WEBP"):
		return probeWebP(w)
	case has(4, "ftyp"):
		return probeBMFF(w)
	case len(head) == 0:
		return nil, errs.New(errs.Invalid, "the file is empty")
	}
	return nil, errs.New(errs.Invalid, "this is no picture that is known here: JPEG, PNG, WebP, GIF, HEIC, AVIF")
}

// orDefault fills in what is 0.
func (l Limits) orDefault() Limits {
	d := DefaultLimits
	if l.MaxPixels == 0 {
		l.MaxPixels = d.MaxPixels
	}
	if l.MaxSide == 0 {
		l.MaxSide = d.MaxSide
	}
	if l.MaxFrames == 0 {
		l.MaxFrames = d.MaxFrames
	}
	if l.MaxMemory == 0 {
		l.MaxMemory = d.MaxMemory
	}
	return l
}

func (f *found) within(l Limits) error {
	l = l.orDefault()
	w, h := f.width, f.height
	switch {
	case w < 1 || h < 1:
		return errs.New(errs.Invalid, "the picture has %d x %d pixels", w, h)
	case w > l.MaxSide || h > l.MaxSide:
		return errs.New(errs.TooLarge, "the picture has %d x %d pixels; a side may have %d", w, h, l.MaxSide)
	case int64(w)*int64(h) > l.MaxPixels:
		return errs.New(errs.TooLarge, "the picture has %d x %d pixels, %d million; %d million are the most", w, h, int64(w)*int64(h)/1e6, l.MaxPixels/1e6)
	case f.frames > l.MaxFrames:
		return errs.New(errs.TooLarge, "the picture has more than %d frames", l.MaxFrames)
	}
	return nil
}

// info tells a found picture's EXIF too.
func (f *found) info(w *window) (Info, error) {
	fields, err := f.fields(w)
	if err != nil {
		return Info{}, err
	}
	i := Info{
		Type: f.typ, Width: f.width, Height: f.height, Orientation: max(1, fields.Orientation), Animated: f.frames > 1,
		Taken: fields.Taken, TakenZone: fields.TakenZone,
		Make: fields.Make, Model: fields.Model, Lens: fields.Lens,
		Exposure: fields.Exposure, FNumber: fields.FNumber, ISO: fields.ISO, Focal: fields.Focal,
		HasGPS: fields.HasGPS, Lat: fields.Lat, Lon: fields.Lon,
	}
	if i.Orientation >= 5 {
		i.Width, i.Height = i.Height, i.Width
	}
	return i, nil
}

func (f *found) fields(w *window) (exif.Fields, error) {
	var fields exif.Fields
	if f.exif.n > 0 {
		// A longer one is looked at as far as that: its directories are at its beginning.
		b, err := w.bytes(span{f.exif.at, min(f.exif.n, maxEXIF)}, maxEXIF)
		if err != nil {
			return fields, err
		}
		fields = exif.Read(bytes.TrimPrefix(b, []byte("Exif\x00\x00")))
	}
	if f.turn > 0 {
		fields.Orientation = f.turn
	}
	return fields, nil
}
