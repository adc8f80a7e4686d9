package jpeg_test

import (
	"bytes"
	"image"
	stdjpeg "image/jpeg"
	"math/rand/v2"
	"testing"

	"plumb/engines/picture/jpeg"
	"plumb/engines/picture/picturetest"

	"pgregory.net/rapid"
)

// yuv is a scene as the encoder takes it.
func yuv(w, h int, seed uint64) *image.YCbCr {
	img, err := stdjpeg.Decode(bytes.NewReader(picturetest.JPEG(picturetest.Scene(w, h, seed), 95)))
	if err != nil {
		panic(err)
	}
	in := img.(*image.YCbCr)
	out := image.NewYCbCr(in.Rect, image.YCbCrSubsampleRatio420) // without the padding of whole blocks
	for y := range h {
		copy(out.Y[y*out.YStride:][:w], in.Y[y*in.YStride:])
	}
	for y := range (h + 1) / 2 {
		copy(out.Cb[y*out.CStride:][:(w+1)/2], in.Cb[y*in.CStride:])
		copy(out.Cr[y*out.CStride:][:(w+1)/2], in.Cr[y*in.CStride:])
	}
	return out
}

// squares is the mean square of differences.
func squares(a, b []uint8) float64 {
	sum := 0
	for i := range a {
		d := int(a[i]) - int(b[i])
		sum += d * d
	}
	return float64(sum) / float64(len(a))
}

// TestEncodesAsTheStandardOne: as near to the original, and as small.
func TestEncodesAsTheStandardOne(t *testing.T) {
	for i, size := range []image.Point{{300, 200}, {1, 1}, {16, 16}, {17, 15}, {33, 100}, {640, 8}} {
		in := yuv(size.X, size.Y, uint64(i))
		for _, q := range []int{1, 10, 50, 82, 95, 100} {
			ours := jpeg.Encode(nil, jpeg.Image{Width: size.X, Height: size.Y, Planes: [][]uint8{in.Y, in.Cb, in.Cr}}, q)
			var b bytes.Buffer
			if err := stdjpeg.Encode(&b, in, &stdjpeg.Options{Quality: q}); err != nil {
				t.Fatal(err)
			}
			got, want := standard(ours), standard(b.Bytes())
			if got == nil {
				t.Fatalf("%v quality %d: the standard decoder does not take it", size, q)
			}
			if len(ours) > b.Len()*101/100+40 { // JFIF's header, and one for each table
				t.Errorf("%v quality %d: %d bytes; the standard encoder makes %d", size, q, len(ours), b.Len())
			}
			for p, pix := range [][]uint8{in.Y, in.Cb, in.Cr} {
				if g, w := squares(got[p].pix, pix), squares(want[p].pix, pix); g > w*1.02+0.05 {
					t.Errorf("%v quality %d plane %d: mean square %.3f; the standard encoder's %.3f", size, q, p, g, w)
				}
			}
		}
	}
}

// TestEncodesAnything: noise of any size comes back, as near as its steps allow.
func TestEncodesAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(1, 70).Draw(t, "w"), rapid.IntRange(1, 70).Draw(t, "h")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		fill := func(n int) []uint8 {
			out := make([]uint8, n)
			for i := range out {
				switch r.IntN(3) {
				case 0:
					out[i] = uint8(r.IntN(2) * 255)
				case 1:
					out[i] = uint8(r.IntN(256))
				}
			}
			return out
		}
		img := jpeg.Image{Width: w, Height: h, Planes: [][]uint8{fill(w * h)}}
		if rapid.Bool().Draw(t, "colour") {
			n := (w + 1) / 2 * ((h + 1) / 2)
			img.Planes = append(img.Planes, fill(n), fill(n))
		}
		file := jpeg.Encode(nil, img, 100)
		_, ours, err := decode(file, 0)
		if err != nil {
			t.Fatal(err)
		}
		for p := range img.Planes {
			if m := squares(ours[p].pix, img.Planes[p]); m > 1.5 {
				t.Fatalf("plane %d: mean square %.2f at the best quality", p, m)
			}
		}
		if theirs := standard(file); theirs == nil {
			t.Fatal("the standard decoder does not take it")
		}
	})
}

func TestProfile(t *testing.T) {
	profile := bytes.Repeat([]byte("colour"), 100)
	file := jpeg.Encode(nil, jpeg.Image{Width: 1, Height: 1, Planes: [][]uint8{{7}}, Profile: profile}, 80)
	if !bytes.Contains(file, append([]byte("ICC_PROFILE\x00\x01\x01"), profile...)) {
		t.Error("the profile is not there")
	}
	if _, _, err := decode(file, 0); err != nil {
		t.Error(err)
	}
}
