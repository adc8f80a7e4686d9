package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"

	"plumb/engines/picture/jpeg"
)

const defaultQuality = 82

// encode makes the file of a result.
func (t *target) encode(m model, icc []byte) (Resized, error) {
	out := Resized{Type: JPEG, Width: t.w, Height: t.h}
	var b bytes.Buffer
	if m == rgba {
		out.Type = PNG
		img := t.nrgba()
		enc := png.Encoder{CompressionLevel: png.DefaultCompression}
		if err := enc.Encode(&b, img); err != nil {
			return out, err
		}
		out.Bytes = withPNGProfile(b.Bytes(), icc)
		return out, nil
	}
	quality := t.size.Quality
	if quality == 0 {
		quality = defaultQuality
	}
	if m != gray {
		t.toYCC(m)
	}
	img := jpeg.Image{Width: t.w, Height: t.h, Profile: icc}
	for _, p := range t.planes {
		img.Planes = append(img.Planes, p.pix)
	}
	out.Bytes = jpeg.Encode(make([]byte, 0, t.w*t.h/5+2048), img, quality)
	return out, nil
}

// at returns a pixel's colours.
func (t *target) at(m model, x, y int) (r, g, b uint8) {
	px := func(p int) uint8 { return t.planes[p].pix[y*t.w+x] }
	dark := func(c, k uint8) uint8 { return uint8((uint(c)*uint(k) + 127) / 255) }
	switch m {
	case gray:
		return px(0), px(0), px(0)
	case ycc:
		c := min(y/2, t.planes[1].h-1)*t.planes[1].w + min(x/2, t.planes[1].w-1)
		return color.YCbCrToRGB(px(0), t.planes[1].pix[c], t.planes[2].pix[c])
	case cmyk:
		return dark(px(0), px(3)), dark(px(1), px(3)), dark(px(2), px(3))
	case ycck:
		r, g, b = color.YCbCrToRGB(px(0), px(1), px(2))
		return dark(255-r, px(3)), dark(255-g, px(3)), dark(255-b, px(3))
	}
	return px(0), px(1), px(2)
}

// toYCC makes planes of colour into those that are encoded.
func (t *target) toYCC(m model) {
	if m == ycc {
		return
	}
	cw, ch := (t.w+1)/2, (t.h+1)/2
	luma := plane{t.w, t.h, make([]uint8, t.w*t.h)}
	sums := make([][3]int32, cw) // of Cb, of Cr, and of how many
	cb, cr := plane{cw, ch, make([]uint8, cw*ch)}, plane{cw, ch, make([]uint8, cw*ch)}
	for y := range t.h {
		for x := range t.w {
			l, b, r := color.RGBToYCbCr(t.at(m, x, y))
			luma.pix[y*t.w+x] = l
			s := &sums[x/2]
			s[0] += int32(b)
			s[1] += int32(r)
			s[2]++
		}
		if y&1 != 0 || y == t.h-1 {
			for x, s := range sums {
				cb.pix[y/2*cw+x], cr.pix[y/2*cw+x] = uint8((s[0]+s[2]/2)/s[2]), uint8((s[1]+s[2]/2)/s[2])
			}
			clear(sums)
		}
	}
	t.planes = []plane{luma, cb, cr}
}

// nrgba divides colours by alpha again, as PNG has them.
func (t *target) nrgba() *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, t.w, t.h))
	for i := range t.w * t.h {
		a := uint32(t.planes[3].pix[i])
		px := img.Pix[4*i:][:4]
		px[3] = uint8(a)
		if a == 0 {
			continue
		}
		for p := range 3 {
			px[p] = uint8(min((uint32(t.planes[p].pix[i])*255+a/2)/a, 255))
		}
	}
	return img
}

// blur is the mean colour of 4 by 3 parts, in hexadecimal digits.
func (t *target) blur(m model) string {
	const columns, rows = 4, 3
	out := make([]byte, 0, columns*rows*3)
	for j := range rows {
		for i := range columns {
			x0, y0 := i*t.w/columns, j*t.h/rows
			x1, y1 := max((i+1)*t.w/columns, x0+1), max((j+1)*t.h/rows, y0+1)
			var sum [3]uint64
			n := uint64(0)
			// 16 by 16 points of each are enough.
			for y := y0; y < y1; y += max(1, (y1-y0)/16) {
				for x := x0; x < x1; x += max(1, (x1-x0)/16) {
					r, g, b := t.at(m, x, y)
					sum[0], sum[1], sum[2], n = sum[0]+uint64(r), sum[1]+uint64(g), sum[2]+uint64(b), n+1
				}
			}
			out = append(out, byte(sum[0]/n), byte(sum[1]/n), byte(sum[2]/n))
		}
	}
	return hex.EncodeToString(out)
}

// withPNGProfile puts a colour profile after the file's header.
func withPNGProfile(file, icc []byte) []byte {
	const head = len(pngMagic) + 12 + 13
	if icc == nil || len(file) < head {
		return file
	}
	var body bytes.Buffer
	body.WriteString("iCCPicc\x00\x00")
	z := zlib.NewWriter(&body)
	z.Write(icc) //nolint:errcheck // a buffer takes all
	z.Close()
	out := append(make([]byte, 0, len(file)+body.Len()+8), file[:head]...)
	out = binary.BigEndian.AppendUint32(out, uint32(body.Len()-4))
	out = append(out, body.Bytes()...)
	out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(body.Bytes()))
	return append(out, file[head:]...)
}
