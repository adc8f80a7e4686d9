package jpeg_test

import (
	"bytes"
	"fmt"
	"image"
	stdjpeg "image/jpeg"
	"testing"

	"plumb/engines/picture/jpeg"
)

// BenchmarkDecode is of real photos, beside the standard decoder, which decodes whole.
func BenchmarkDecode(b *testing.B) {
	for name, data := range photos(b) {
		d, err := jpeg.Open(bytes.NewReader(data))
		if err != nil {
			b.Fatal(err)
		}
		pixels := float64(d.Width * d.Height)
		rate := func(b *testing.B) {
			b.ReportMetric(pixels*float64(b.N)/1e6/b.Elapsed().Seconds(), "MP/s")
		}
		for reduce := range 4 {
			b.Run(fmt.Sprintf("%s/1:%d", name, 1<<reduce), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					d, err := jpeg.Open(bytes.NewReader(data))
					if err != nil {
						b.Fatal(err)
					}
					for i := range d.Planes() {
						d.Reduce(i, reduce)
					}
					if err := d.Decode(func(int, []byte) error { return nil }); err != nil {
						b.Fatal(err)
					}
				}
				rate(b)
			})
		}
		b.Run(name+"/standard", func(b *testing.B) {
			for b.Loop() {
				if _, err := stdjpeg.Decode(bytes.NewReader(data)); err != nil {
					b.Fatal(err)
				}
			}
			rate(b)
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	in := yuv(1600, 1200, 1)
	b.Run("ours", func(b *testing.B) {
		var out []byte
		for b.Loop() {
			out = jpeg.Encode(out[:0], jpeg.Image{Width: 1600, Height: 1200, Planes: [][]uint8{in.Y, in.Cb, in.Cr}}, 82)
		}
		b.ReportMetric(1.92*float64(b.N)/b.Elapsed().Seconds(), "MP/s")
	})
	b.Run("standard", func(b *testing.B) {
		for b.Loop() {
			var w bytes.Buffer
			if err := stdjpeg.Encode(&w, image.Image(in), &stdjpeg.Options{Quality: 82}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(1.92*float64(b.N)/b.Elapsed().Seconds(), "MP/s")
	})
}
