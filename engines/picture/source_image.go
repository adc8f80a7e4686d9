package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/draw"
	"image/gif"
	"image/png"
	"io"

	"plumb/base/errs"
	"plumb/engines/picture/jpeg"

	"golang.org/x/image/webp"
)

// openImage decodes a whole picture of the formats whose decoders do that.
func (f *found) openImage(w *window, memory int64) (*source, error) {
	if need := f.decoded(); need > memory {
		return nil, tooMuch(f, need, memory)
	}
	// Deflate makes at most 1032 bytes of one, LZW of GIF fewer than 4096; so a few bytes cannot
	// ask for much memory. WebP has no such bound.
	if most := f.data * map[string]int64{PNG: 1032 * 8, GIF: 4096}[f.typ]; f.typ != WebP && most < int64(f.width)*int64(f.height) {
		return nil, errs.New(errs.Invalid, "the %s file has %d bytes of data for %d x %d pixels: it was cut off", w.name, f.data, f.width, f.height)
	}
	img, err := f.decode(w)
	if err != nil {
		if errs.KindOf(err) != errs.Internal {
			return nil, err
		}
		return nil, errs.Wrap(errs.Invalid, err, "the %s file is broken", w.name)
	}
	s := &source{w: f.width, h: f.height}
	whole := jpeg.Plane{Width: s.w, Height: s.h, StepX: 1, StepY: 1}
	switch img := img.(type) {
	case *image.Gray:
		s.model, s.planes = gray, []jpeg.Plane{whole}
		s.run = func(push func(int, []byte) error) error {
			for y := range s.h {
				if err := push(0, img.Pix[y*img.Stride:][:s.w]); err != nil {
					return err
				}
			}
			return nil
		}
	case *image.YCbCr:
		s.fromYCbCr(img)
	default:
		s.model = rgba
		if o, ok := img.(interface{ Opaque() bool }); ok && o.Opaque() {
			s.model = rgb
		}
		s.planes = []jpeg.Plane{whole, whole, whole, whole}[:s.model.planes()]
		s.run = func(push func(int, []byte) error) error { return s.pushRGBA(img, push) }
	}
	return s, nil
}

// decoded is how many bytes the decoder takes.
func (f *found) decoded() int64 {
	pixels := int64(f.width) * int64(f.height)
	if f.interlaced {
		pixels *= 2 // a pass is a picture of its own
	}
	switch {
	case f.typ == GIF:
		return pixels * 2 // indices, and once more for a frame that is put on its canvas
	case f.bits == 64:
		return pixels * 8
	case f.typ == WebP && f.alpha:
		return pixels * 7 // planes, and alpha in pixels of its own
	}
	return pixels * 4
}

// decode returns the first frame, on its whole canvas.
func (f *found) decode(w *window) (img image.Image, err error) {
	// A decoder that trips over a broken file must not take the process with it.
	defer func() {
		if p := recover(); p != nil {
			img, err = nil, errs.New(errs.Invalid, "the %s file is broken: its decoder failed", w.name)
		}
	}()
	var r io.Reader = w.section(span{0, f.end})
	canvas, at := image.Rect(0, 0, f.width, f.height), image.Point{}
	switch f.typ {
	case PNG:
		img, err = png.Decode(r)
	case GIF:
		img, err = gif.Decode(r)
	case WebP:
		if f.frames > 1 || f.framed {
			if r, at, err = f.firstFrame(w); err != nil {
				return nil, err
			}
		}
		img, err = webp.Decode(r)
	}
	if err != nil {
		return nil, err
	}
	if b := img.Bounds().Add(at); b != canvas {
		if b.Intersect(canvas) != b {
			return nil, errs.New(errs.Invalid, "the %s file is broken: its frame is larger than its canvas", w.name)
		}
		if need := int64(f.width) * int64(f.height) * 4; need > f.memory {
			return nil, tooMuch(f, need, f.memory)
		}
		whole := image.NewRGBA(canvas)
		draw.Draw(whole, b, img, img.Bounds().Min, draw.Src)
		img = whole
	}
	return img, nil
}

// firstFrame makes a WebP file of an animation's first frame, and says where on the
// canvas it belongs.
func (f *found) firstFrame(w *window) (r io.Reader, at image.Point, err error) {
	var body bytes.Buffer
	err = walkRIFF(w, span{12, f.end - 12}, func(name string, frame span) error {
		if name != "ANMF" || body.Len() > 0 || frame.n < 16 {
			return nil
		}
		b, err := w.read(frame.at, 16, "a frame")
		if err != nil {
			return err
		}
		at = image.Pt(2*le24(b), 2*le24(b[3:]))
		width, height := le24(b[6:]), le24(b[9:])
		return walkRIFF(w, span{frame.at + 16, frame.n - 16}, func(name string, s span) error {
			if name != "ALPH" && name != "VP8 " && name != "VP8L" {
				return nil
			}
			if name == "ALPH" {
				body.WriteString("VP8X\x0a\x00\x00\x00\x10\x00\x00\x00")
				body.Write([]byte{byte(width), byte(width >> 8), byte(width >> 16), byte(height), byte(height >> 8), byte(height >> 16)})
			}
			if int64(body.Len())+s.n > f.memory {
				return errs.New(errs.TooLarge, "the WebP file's first frame has %d bytes", s.n)
			}
			body.WriteString(name)
			body.Write(binary.LittleEndian.AppendUint32(nil, uint32(s.n)))
			if _, err := io.Copy(&body, w.section(s)); err != nil {
				return err
			}
			if s.n&1 != 0 {
				body.WriteByte(0)
			}
			return nil
		})
	})
	head := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(body.Len()+4))
	return io.MultiReader(bytes.NewReader(append(head, "WEBP"...)), &body), at, err
}

func (s *source) fromYCbCr(img *image.YCbCr) {
	s.model = ycc
	x, y := 1, 1
	switch img.SubsampleRatio {
	case image.YCbCrSubsampleRatio420:
		x, y = 2, 2
	case image.YCbCrSubsampleRatio422:
		x = 2
	case image.YCbCrSubsampleRatio440:
		y = 2
	}
	s.planes = []jpeg.Plane{{Width: s.w, Height: s.h, StepX: 1, StepY: 1}}
	c := jpeg.Plane{Width: (s.w + x - 1) / x, Height: (s.h + y - 1) / y, StepX: float64(x), StepY: float64(y)}
	s.planes = append(s.planes, c, c)
	s.run = func(push func(int, []byte) error) error {
		for row := range s.h {
			if err := push(0, img.Y[row*img.YStride:][:s.w]); err != nil {
				return err
			}
			if row < c.Height {
				if err := push(1, img.Cb[row*img.CStride:][:c.Width]); err != nil {
					return err
				}
				if err := push(2, img.Cr[row*img.CStride:][:c.Width]); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// pushRGBA converts any image a strip of rows at a time.
func (s *source) pushRGBA(img image.Image, push func(int, []byte) error) error {
	const rows = 16
	strip := image.NewRGBA(image.Rect(0, 0, s.w, rows))
	n := s.model.planes()
	line := make([]byte, s.w*n)
	for y := 0; y < s.h; y += rows {
		draw.Draw(strip, strip.Rect, img, img.Bounds().Min.Add(image.Pt(0, y)), draw.Src)
		for j := range min(rows, s.h-y) {
			px := strip.Pix[j*strip.Stride:][:4*s.w]
			for p := range n {
				out := line[p*s.w:][:s.w]
				for x := range out {
					out[x] = px[4*x+p]
				}
				if err := push(p, out); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
