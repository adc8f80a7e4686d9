package picture

import (
	"bytes"
	"image"
	_ "image/gif" // formats
	"image/jpeg"
	_ "image/png" // formats
	"io"

	"plumb/base/errs"

	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp" // formats
)

// Strip writes the same picture without what it tells about places and people.
func Strip(w io.Writer, r io.ReaderAt, size int64, keep Keep) error {
	img, _, err := image.Decode(io.NewSectionReader(r, 0, size))
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "this is no picture")
	}
	return jpeg.Encode(w, img, nil)
}

// Resize makes smaller pictures of one.
func Resize(r io.ReaderAt, size int64, sizes []Size, limits Limits, out func(Size, Resized) error) (Info, error) {
	info, err := Probe(r, size)
	if err != nil {
		return info, err
	}
	img, _, err := image.Decode(io.NewSectionReader(r, 0, size))
	if err != nil {
		return info, errs.Wrap(errs.Invalid, err, "the picture is broken")
	}
	for _, s := range sizes {
		w, h := info.Width, info.Height
		if m := max(w, h); m > s.Edge {
			w, h = max(1, w*s.Edge/m), max(1, h*s.Edge/m)
		}
		small := image.NewRGBA(image.Rect(0, 0, w, h))
		draw.CatmullRom.Scale(small, small.Bounds(), img, img.Bounds(), draw.Src, nil)
		var b bytes.Buffer
		if err := jpeg.Encode(&b, small, nil); err != nil {
			return info, err
		}
		if err := out(s, Resized{Type: JPEG, Width: w, Height: h, Bytes: b.Bytes()}); err != nil {
			return info, err
		}
	}
	return info, nil
}
