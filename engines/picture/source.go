package picture

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"

	"plumb/base/errs"
	"plumb/engines/picture/jpeg"
)

// model is what the planes of a source mean.
type model int

const (
	gray model = iota
	ycc        // JFIF's Y, Cb, Cr
	rgb
	cmyk // Adobe's
	ycck // Adobe's
	rgba // multiplied by alpha
)

func (m model) planes() int { return [...]int{gray: 1, ycc: 3, rgb: 3, cmyk: 4, ycck: 4, rgba: 4}[m] }

// half says whether results have this plane at half the width and height.
func (m model) half(plane int) bool { return m == ycc && plane > 0 }

// source gives a picture's planes, row by row from the top, as the file has them: not
// yet turned.
type source struct {
	model  model
	w, h   int // pixels of the whole picture
	planes []jpeg.Plane
	run    func(push func(plane int, row []byte) error) error
}

// open prepares to decode. The largest result has tw by th pixels, so that a source
// may decode less than all; it takes at most memory bytes.
func (f *found) open(w *window, tw, th int, memory int64) (*source, error) {
	switch f.typ {
	case JPEG:
		return f.openJPEG(w, tw, th, memory)
	case PNG, GIF, WebP:
		return f.openImage(w, memory)
	}
	return nil, errs.New(errs.Invalid, "a picture of type %s cannot be made smaller here: there is no decoder for it", f.typ)
}

// slack is by how much a decoded plane is larger than what is made of it, at least:
// the filter that does the rest needs something to choose from.
const slack = 1.2

func (f *found) openJPEG(w *window, tw, th int, memory int64) (*source, error) {
	d, err := jpeg.Open(w.section(span{0, f.end}))
	if err != nil {
		return nil, jpegError(err)
	}
	if d.Width != f.width || d.Height != f.height {
		return nil, errs.New(errs.Invalid, "the JPEG file is broken: it has several headers")
	}
	// Each block has a bit at least, so that a few bytes cannot ask for much memory.
	if f.data*8 < d.Blocks() {
		return nil, errs.New(errs.Invalid, "the JPEG file has %d bytes of data for %d x %d pixels: it was cut off", f.data, d.Width, d.Height)
	}
	s := &source{w: d.Width, h: d.Height, model: map[jpeg.Color]model{
		jpeg.Gray: gray, jpeg.YCbCr: ycc, jpeg.RGB: rgb, jpeg.CMYK: cmyk, jpeg.YCCK: ycck}[d.Color]}
	for i, p := range d.Planes() {
		x, y := float64(s.w)/float64(tw)/slack, float64(s.h)/float64(th)/slack
		if s.model.half(i) {
			x, y = 2*x, 2*y
		}
		by := 0
		for by < 3 && p.StepX*float64(int(2)<<by) <= x && p.StepY*float64(int(2)<<by) <= y {
			by++
		}
		d.Reduce(i, by)
	}
	if need := d.Memory(); need > memory {
		return nil, tooMuch(f, need, memory)
	}
	s.planes = d.Planes()
	s.run = func(push func(int, []byte) error) error { return jpegError(d.Decode(push)) }
	return s, nil
}

func tooMuch(f *found, need, limit int64) error {
	return errs.New(errs.TooLarge, "the picture has %d x %d pixels, which take %d MB to decode; %d MB are the most", f.width, f.height, need>>20, limit>>20)
}

func jpegError(err error) error {
	var e *jpeg.Error
	if errors.As(err, &e) {
		return errs.New(errs.Invalid, "the JPEG file is broken at byte %d: %s", e.At, e.What)
	}
	return err
}

// profile returns the picture's colour profile if results need it: nil when there is
// none, it is sRGB, or it is not for the colours that results have. Not more than
// jpeg.MaxProfile bytes, which profiles of cameras and phones are far below.
func (f *found) profile(w *window, m model) ([]byte, error) {
	var icc []byte
	for _, s := range f.icc {
		b, err := w.bytes(s, 4*jpeg.MaxProfile)
		if err != nil {
			return nil, err
		}
		if b == nil || len(icc)+len(b) > 4*jpeg.MaxProfile {
			return nil, nil
		}
		icc = append(icc, b...)
	}
	if f.zlibICC {
		icc = inflateICC(icc)
	}
	if len(icc) < 128 || len(icc) > jpeg.MaxProfile || bytes.Contains(icc, []byte("sRGB IEC61966")) || bytes.Contains(icc, []byte("s\x00R\x00G\x00B\x00 \x00I\x00E\x00C\x006")) {
		return nil, nil
	}
	// Byte 16 of a profile names the colours that it is for.
	if want := map[bool]string{true: "GRAY", false: "RGB "}[m == gray]; string(icc[16:20]) != want || m == cmyk || m == ycck {
		return nil, nil
	}
	return icc, nil
}

// inflateICC unpacks PNG's chunk, of which not more is taken than a profile may have.
func inflateICC(b []byte) []byte {
	name := bytes.IndexByte(b[:min(len(b), 80)], 0)
	if name < 0 || len(b) < name+2 || b[name+1] != 0 {
		return nil
	}
	z, err := zlib.NewReader(bytes.NewReader(b[name+2:]))
	if err != nil {
		return nil
	}
	icc, err := io.ReadAll(io.LimitReader(z, jpeg.MaxProfile+1))
	if err != nil {
		return nil
	}
	return icc
}
