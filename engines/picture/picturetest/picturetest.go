// Package picturetest makes photos for tests: scenes with what photos have (soft
// light, edges, texture), as files that tell as much as those of cameras.
//
//	file := picturetest.JPEG(picturetest.Scene(1200, 800, 1), 85)
//	file = picturetest.WithEXIF(file, exif.Fields{Orientation: 6, HasGPS: true, Lat: 47.4, Lon: 8.5})
package picturetest

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"

	"plumb/engines/picture/exif"
)

// Scene draws a picture; the same in every run for a seed.
func Scene(w, h int, seed uint64) *image.RGBA {
	r := rand.New(rand.NewPCG(seed, 1))
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	type blob struct{ x, y, size, r, g, b float64 }
	blobs := make([]blob, 12)
	for i := range blobs {
		blobs[i] = blob{r.Float64(), r.Float64(), 0.03 + 0.2*r.Float64(), r.Float64(), r.Float64(), r.Float64()}
	}
	ratio := float64(h) / float64(w)
	grain := uint64(seed)
	for y := range h {
		for x := range w {
			u, v := float64(x)/float64(w), float64(y)/float64(h)
			red, green, blue := 0.35+0.3*v, 0.5-0.2*v, 0.8-0.5*v
			for _, b := range blobs {
				dx, dy := u-b.x, (v-b.y)*ratio
				if d := (dx*dx + dy*dy) / (b.size * b.size); d < 1 {
					k := min(1, 3*(1-d)) // a soft disc with an edge
					red, green, blue = red+k*(b.r-red), green+k*(b.g-green), blue+k*(b.b-blue)
				}
			}
			if u > 0.6 && v > 0.7 { // grass
				k := 0.15 * math.Sin(u*900+40*math.Sin(v*60))
				red, green, blue = red*0.4+k, 0.45+k, blue*0.3+k
			}
			grain = grain*6364136223846793005 + 1442695040888963407
			n := (float64(grain>>56) - 128) / 4000
			px := img.Pix[y*img.Stride+4*x:][:4]
			px[0], px[1], px[2], px[3] = level(red+n), level(green+n), level(blue+n), 255
		}
	}
	return img
}

func level(v float64) uint8 { return uint8(min(max(v, 0), 1)*255 + 0.5) }

// Transparent makes a scene's corners transparent, with a soft edge.
func Transparent(img *image.RGBA) *image.NRGBA {
	out := image.NewNRGBA(img.Rect)
	draw.Draw(out, out.Rect, img, img.Rect.Min, draw.Src)
	w, h := float64(img.Rect.Dx()), float64(img.Rect.Dy())
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			d := math.Hypot(2*float64(x)/w-1, 2*float64(y)/h-1)
			out.Pix[y*out.Stride+4*x+3] = level(4 * (1.1 - d))
		}
	}
	return out
}

// JPEG encodes a baseline file with colours at half the resolution.
func JPEG(img image.Image, quality int) []byte {
	var b bytes.Buffer
	must(jpeg.Encode(&b, img, &jpeg.Options{Quality: quality}))
	return b.Bytes()
}

// PNG encodes a PNG file.
func PNG(img image.Image) []byte {
	var b bytes.Buffer
	must(png.Encode(&b, img))
	return b.Bytes()
}

// GIF encodes an animation of so many frames, the first of which is img.
func GIF(img image.Image, frames int) []byte {
	g := gif.GIF{LoopCount: 3}
	palette := make(color.Palette, 0, 216)
	for i := range 216 {
		palette = append(palette, color.RGBA{uint8(i / 36 * 51), uint8(i / 6 % 6 * 51), uint8(i % 6 * 51), 255})
	}
	for range frames {
		p := image.NewPaletted(img.Bounds(), palette)
		draw.FloydSteinberg.Draw(p, p.Rect, img, img.Bounds().Min)
		g.Image, g.Delay = append(g.Image, p), append(g.Delay, 10)
	}
	var b bytes.Buffer
	must(gif.EncodeAll(&b, &g))
	return b.Bytes()
}

// must is for encoders, which write into memory and cannot fail.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// Segment makes a segment of a JPEG file.
func Segment(marker byte, body []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(body)+2)), body...)
}

// Chunk makes a chunk of a PNG file.
func Chunk(name string, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	out = append(append(out, name...), body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// RIFF makes a chunk of a WebP file.
func RIFF(name string, body []byte) []byte {
	out := append(binary.LittleEndian.AppendUint32([]byte(name), uint32(len(body))), body...)
	return append(out, make([]byte, len(body)&1)...)
}

// WebP makes a WebP file of chunks.
func WebP(chunks ...[]byte) []byte {
	return RIFF("RIFF", append([]byte("WEBP"), bytes.Join(chunks, nil)...))
}

// WithSegments puts segments after the beginning of a JPEG file.
func WithSegments(file []byte, segments ...[]byte) []byte {
	return bytes.Join([][]byte{file[:2], bytes.Join(segments, nil), file[2:]}, nil)
}

// WithChunks puts chunks after the header of a PNG file.
func WithChunks(file []byte, chunks ...[]byte) []byte {
	const head = 8 + 12 + 13
	return bytes.Join([][]byte{file[:head], bytes.Join(chunks, nil), file[head:]}, nil)
}

// WithEXIF puts EXIF into a JPEG or PNG file.
func WithEXIF(file []byte, fields exif.Fields) []byte {
	if bytes.HasPrefix(file, []byte("\x89PNG")) {
		return WithChunks(file, Chunk("eXIf", fields.Write()))
	}
	return WithSegments(file, Segment(0xe1, append([]byte("Exif\x00\x00"), fields.Write()...)))
}
