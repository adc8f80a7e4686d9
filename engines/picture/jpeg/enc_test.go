package jpeg

import (
	"bytes"
	"fmt"
	"image"
	stdjpeg "image/jpeg"
	"os"
	"testing"
)

func TestEnc(t *testing.T) {
	data, _ := os.ReadFile("/tmp/pic/photos/Aqua.jpg")
	im, _ := stdjpeg.Decode(bytes.NewReader(data))
	y := im.(*image.YCbCr)
	psnr := func(b []byte) float64 {
		got, err := stdjpeg.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		g := got.(*image.YCbCr)
		s := 0.0
		for i := range g.Y {
			d := float64(g.Y[i]) - float64(y.Y[i])
			s += d * d
		}
		return s / float64(len(g.Y))
	}
	for _, q := range []int{30, 82, 95, 100} {
		var b bytes.Buffer
		stdjpeg.Encode(&b, im, &stdjpeg.Options{Quality: q})
		ours := Encode(nil, Image{y.Rect.Dx(), y.Rect.Dy(), [][]uint8{y.Y, y.Cb, y.Cr}, nil}, q)
		fmt.Println(q, b.Len(), len(ours), psnr(b.Bytes()), psnr(ours), y.YStride, y.Rect)
	}
}

func BenchmarkEnc(b *testing.B) {
	data, _ := os.ReadFile("/tmp/pic/photos/Aqua.jpg")
	im, _ := stdjpeg.Decode(bytes.NewReader(data))
	y := im.(*image.YCbCr)
	b.Run("std", func(b *testing.B) {
		for b.Loop() {
			var w bytes.Buffer
			stdjpeg.Encode(&w, im, &stdjpeg.Options{Quality: 82})
		}
	})
	var out []byte
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			out = Encode(out[:0], Image{y.Rect.Dx(), y.Rect.Dy(), [][]uint8{y.Y, y.Cb, y.Cr}, nil}, 82)
		}
	})
}
