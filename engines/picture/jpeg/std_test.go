package jpeg

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	stdjpeg "image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var _ = color.Gray{}
var _ = exec.Command

type planes struct {
	Plane
	pix []byte
}

func decode(data []byte, reduce int) (*Decoder, []planes, error) {
	d, err := Open(bytes.NewReader(data))
	if err != nil {
		return nil, nil, err
	}
	for i := range d.Planes() {
		d.Reduce(i, reduce)
	}
	var out []planes
	for _, p := range d.Planes() {
		out = append(out, planes{Plane: p})
	}
	err = d.Decode(func(p int, row []byte) error {
		out[p].pix = append(out[p].pix, row...)
		return nil
	})
	return d, out, err
}

func TestReal(t *testing.T) {
	fs, _ := filepath.Glob("/tmp/pic/photos/*.jpg")
	f2, _ := filepath.Glob("/tmp/pic/var/*.jpg")
	for _, f := range append(fs, f2...) {
		data, _ := os.ReadFile(f)
		im, err := stdjpeg.Decode(bytes.NewReader(data))
		d, got, err2 := decode(data, 0)
		if err != nil || err2 != nil {
			t.Error(f, err, err2)
			continue
		}
		y, ok := im.(*image.YCbCr)
		if !ok {
			fmt.Printf("%s %T\n", f, im)
			continue
		}
		worst := 0
		for p, src := range [][]byte{y.Y, y.Cb, y.Cr} {
			stride := y.CStride
			if p == 0 {
				stride = y.YStride
			}
			if len(got[p].pix) != got[p].Width*got[p].Height {
				t.Error(f, p, len(got[p].pix), got[p].Plane)
				continue
			}
			for yy := range got[p].Height {
				for x := range got[p].Width {
					worst = max(worst, abs(int(got[p].pix[yy*got[p].Width+x])-int(src[yy*stride+x])))
				}
			}
		}
		fmt.Println(filepath.Base(f), d.Progressive, d.buffered, y.SubsampleRatio, d.Width, d.Height, "worst", worst)
		for r := 1; r < 4; r++ {
			_, small, err := decode(data, r)
			if err != nil {
				t.Error(err)
				continue
			}
			for p := range small {
				sum, n, k := 0, 0, 1<<r
				worst := 0
				for yy := range got[p].Height / k {
					for x := range got[p].Width / k {
						m := 0
						for j := range k {
							for i := range k {
								m += int(got[p].pix[(yy*k+j)*got[p].Width+x*k+i])
							}
						}
						dd := abs(int(small[p].pix[yy*small[p].Width+x]) - m/k/k)
						worst = max(worst, dd)
						sum += dd
						n++
					}
				}
				fmt.Print(" ", r, p, " mean ", float64(sum)/float64(n), " worst ", worst, ";")
			}
		}
		fmt.Println()
	}
}
func abs(x int) int {
	if x < 0 {
		return -x
	}
	return x
}

func BenchmarkDecode(b *testing.B) {
	for _, f := range []string{"Storm", "Elephants_3840x2160", "Aqua"} {
		data, err := os.ReadFile("/tmp/pic/photos/" + f + ".jpg")
		if err != nil {
			b.Skip(err)
		}
		b.Run(f+"/std", func(b *testing.B) {
			for b.Loop() {
				stdjpeg.Decode(bytes.NewReader(data))
			}
		})
		for r := range 4 {
			b.Run(fmt.Sprint(f, "/", r), func(b *testing.B) {
				for b.Loop() {
					d, err := Open(bytes.NewReader(data))
					if err != nil {
						b.Fatal(err)
					}
					for i := range d.Planes() {
						d.Reduce(i, r)
					}
					if err := d.Decode(func(int, []byte) error { return nil }); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
