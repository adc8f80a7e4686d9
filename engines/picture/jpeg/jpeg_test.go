package jpeg_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	stdjpeg "image/jpeg"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"plumb/engines/picture/jpeg"
	"plumb/engines/picture/picturetest"
)

// decoded is a plane with all its samples.
type decoded struct {
	jpeg.Plane
	pix []uint8
}

func decode(data []byte, reduce int) (*jpeg.Decoder, []decoded, error) {
	d, err := jpeg.Open(bytes.NewReader(data))
	if err != nil {
		return nil, nil, err
	}
	if d.Memory() > 64<<20 {
		return nil, nil, errors.New("more than a test should take")
	}
	for i := range d.Planes() {
		d.Reduce(i, reduce)
	}
	planes := make([]decoded, len(d.Planes()))
	for i, p := range d.Planes() {
		planes[i].Plane = p
	}
	err = d.Decode(func(p int, row []byte) error {
		planes[p].pix = append(planes[p].pix, row...)
		return nil
	})
	return d, planes, err
}

func mustDecode(t testing.TB, data []byte, reduce int) (*jpeg.Decoder, []decoded) {
	t.Helper()
	d, planes, err := decode(data, reduce)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range planes {
		if len(p.pix) != p.Width*p.Height {
			t.Fatalf("plane %d of %d x %d has %d samples", i, p.Width, p.Height, len(p.pix))
		}
	}
	return d, planes
}

// corpus are the files of testdata and what the standard encoder makes.
func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	names, err := filepath.Glob("testdata/*.jpg")
	if err != nil || len(names) < 10 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(name)] = data
	}
	for i, size := range []image.Point{{1, 1}, {7, 9}, {8, 8}, {16, 16}, {17, 33}, {200, 3}, {3, 200}, {129, 130}} {
		for _, q := range []int{20, 80, 100} {
			out[fmt.Sprintf("standard %v q%d", size, q)] = picturetest.JPEG(picturetest.Scene(size.X, size.Y, uint64(i)), q)
		}
	}
	return out
}

// photos are real ones, from the distribution; none on a laptop without them.
func photos(t testing.TB) map[string][]byte {
	const folder = "/usr/share/backgrounds/mate/nature/"
	names, _ := filepath.Glob(folder + "FreshFlower.jpg") // progressive 4:2:0
	more, _ := filepath.Glob(folder + "Dune.jpg")         // 4:2:2
	if names = append(names, more...); len(names) < 2 {
		if os.Getenv("CI") != "" {
			t.Fatal("there are no photos: scripts/need installs mate-backgrounds")
		}
		t.Log("without photos: mate-backgrounds is not installed")
	}
	out := map[string][]byte{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(name)] = data
	}
	return out
}

// standard is what the standard decoder makes of a file, as planes; nil when it does not
// take it.
func standard(data []byte) []decoded {
	img, err := stdjpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return nil
	}
	b := img.Bounds()
	plane := func(w, h, stride int, pix []uint8, at, step int, flip uint8) (p decoded) {
		p.Width, p.Height = w, h
		for y := range h {
			for x := range w {
				p.pix = append(p.pix, pix[y*stride+x*step+at]^flip)
			}
		}
		return p
	}
	switch img := img.(type) {
	case *image.Gray:
		return []decoded{plane(b.Dx(), b.Dy(), img.Stride, img.Pix, 0, 1, 0)}
	case *image.YCbCr:
		cw, ch := b.Dx(), b.Dy()
		switch img.SubsampleRatio {
		case image.YCbCrSubsampleRatio420:
			cw, ch = (cw+1)/2, (ch+1)/2
		case image.YCbCrSubsampleRatio422:
			cw = (cw + 1) / 2
		case image.YCbCrSubsampleRatio440:
			ch = (ch + 1) / 2
		case image.YCbCrSubsampleRatio411:
			cw = (cw + 3) / 4
		case image.YCbCrSubsampleRatio410:
			cw, ch = (cw+3)/4, (ch+1)/2
		}
		return []decoded{plane(b.Dx(), b.Dy(), img.YStride, img.Y, 0, 1, 0),
			plane(cw, ch, img.CStride, img.Cb, 0, 1, 0), plane(cw, ch, img.CStride, img.Cr, 0, 1, 0)}
	case *image.RGBA:
		var out []decoded
		for i := range 3 {
			out = append(out, plane(b.Dx(), b.Dy(), img.Stride, img.Pix, i, 4, 0))
		}
		return out
	case *image.CMYK:
		var out []decoded
		for i := range 4 {
			out = append(out, plane(b.Dx(), b.Dy(), img.Stride, img.Pix, i, 4, 0xff))
		}
		return out
	}
	return nil
}

// worst is the largest difference of two planes.
func worst(a, b []uint8) (w int) {
	for i := range a {
		w = max(w, int(a[i])-int(b[i]), int(b[i])-int(a[i]))
	}
	return w
}

func TestAsTheStandardDecoder(t *testing.T) {
	files := corpus(t)
	for name, data := range photos(t) {
		files[name] = data
	}
	compared := 0
	for name, data := range files {
		_, got := mustDecode(t, data, 0)
		want := standard(data)
		if want == nil {
			t.Logf("%s: the standard decoder does not take it", name)
			continue
		}
		compared++
		if len(got) != len(want) {
			t.Errorf("%s: %d planes, want %d", name, len(got), len(want))
			continue
		}
		for i := range got {
			if got[i].Width != want[i].Width || got[i].Height != want[i].Height {
				t.Errorf("%s plane %d: %d x %d, want %d x %d", name, i, got[i].Width, got[i].Height, want[i].Width, want[i].Height)
			} else if w := worst(got[i].pix, want[i].pix); w > 2 {
				t.Errorf("%s plane %d: a sample differs by %d", name, i, w)
			} else if s := squares(got[i].pix, want[i].pix); s > 0.1 {
				t.Errorf("%s plane %d: samples differ by a mean square of %.3f", name, i, s)
			}
		}
	}
	if compared < len(files)-3 {
		t.Errorf("compared %d of %d files only", compared, len(files))
	}
}

func TestModels(t *testing.T) {
	files := corpus(t)
	ycck := bytes.Replace(files["cmyk.jpg"], []byte("Adobe\x00\x64\x00\x00\x00\x00\x00"), []byte("Adobe\x00\x64\x00\x00\x00\x00\x02"), 1)
	for _, c := range []struct {
		name string
		data []byte
		want jpeg.Color
	}{
		{"gray", files["gray.jpg"], jpeg.Gray}, {"420", files["restart.jpg"], jpeg.YCbCr}, {"rgb", files["rgb.jpg"], jpeg.RGB},
		{"cmyk", files["cmyk.jpg"], jpeg.CMYK}, {"ycck", ycck, jpeg.YCCK},
	} {
		if d, _ := mustDecode(t, c.data, 0); d.Color != c.want {
			t.Errorf("%s: model %d, want %d", c.name, d.Color, c.want)
		}
	}
}

// TestHoweverCoded: these files hold the same coefficients, in other scans and orders.
func TestHoweverCoded(t *testing.T) {
	files := corpus(t)
	for reduce := range 4 {
		_, want := mustDecode(t, files["restart.jpg"], reduce)
		for _, name := range []string{"progressive.jpg", "refined.jpg", "progressive-restart.jpg", "separate.jpg"} {
			_, got := mustDecode(t, files[name], reduce)
			for i := range got {
				if !bytes.Equal(got[i].pix, want[i].pix) {
					t.Errorf("%s at 1/%d: plane %d differs by %d", name, 1<<reduce, i, worst(got[i].pix, want[i].pix))
				}
			}
		}
		_, want = mustDecode(t, files["noise.jpg"], reduce)
		for _, name := range []string{"noise-progressive.jpg", "noise-refined.jpg"} {
			_, got := mustDecode(t, files[name], reduce)
			for i := range got {
				if !bytes.Equal(got[i].pix, want[i].pix) {
					t.Errorf("%s at 1/%d: plane %d differs by %d", name, 1<<reduce, i, worst(got[i].pix, want[i].pix))
				}
			}
		}
		_, want = mustDecode(t, files["gray.jpg"], reduce)
		if _, got := mustDecode(t, files["gray-progressive.jpg"], reduce); !bytes.Equal(got[0].pix, want[0].pix) {
			t.Errorf("grey differs by %d", worst(got[0].pix, want[0].pix))
		}
	}
}

// TestReducedIsTheMean compares with the mean of the samples that each stands for. At
// an eighth that is what it is; else frequencies that would be mirrored are missing.
func TestReducedIsTheMean(t *testing.T) {
	files := corpus(t)
	for name, data := range photos(t) {
		files[name] = data
	}
	for name, data := range files {
		_, whole := mustDecode(t, data, 0)
		for reduce := 1; reduce < 4; reduce++ {
			_, got := mustDecode(t, data, reduce)
			for i, p := range got {
				k := 1 << reduce
				if w, h := (whole[i].Width+k-1)/k, (whole[i].Height+k-1)/k; p.Width != w || p.Height != h {
					t.Errorf("%s plane %d at 1/%d: %d x %d, want %d x %d", name, i, k, p.Width, p.Height, w, h)
				}
				sum, n := 0.0, 0
				for y := range whole[i].Height / k {
					for x := range whole[i].Width / k {
						mean := 0.0
						clipped := false
						for j := range k * k {
							v := whole[i].pix[(y*k+j/k)*whole[i].Width+x*k+j%k]
							mean += float64(v) / float64(k*k)
							clipped = clipped || v == 0 || v == 255
						}
						d := math.Abs(mean - float64(p.pix[y*p.Width+x]))
						if reduce == 3 && d > 1.1 && !clipped {
							t.Fatalf("%s plane %d at 1/8: sample %d,%d is %d, and the mean %.2f", name, i, x, y, p.pix[y*p.Width+x], mean)
						}
						sum, n = sum+d, n+1
					}
				}
				if n > 1000 && !strings.HasPrefix(name, "noise") && sum/float64(n) > 3.5 {
					t.Errorf("%s plane %d at 1/%d: differs by %.2f on average", name, i, k, sum/float64(n))
				}
			}
		}
	}
}

func TestReaders(t *testing.T) {
	data := corpus(t)["progressive-restart.jpg"]
	_, want := mustDecode(t, data, 0)
	d, err := jpeg.Open(iotest.OneByteReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	if err := d.Decode(func(p int, row []byte) error {
		if p == 0 {
			got = append(got, row...)
		}
		return nil
	}); err != nil || !bytes.Equal(got, want[0].pix) {
		t.Errorf("a byte at a time: %v", err)
	}
	disk := errors.New("disk")
	for _, n := range []int{10, 700, 2000} {
		d, err := jpeg.Open(&failing{data[:n], disk})
		if err == nil {
			err = d.Decode(func(int, []byte) error { return nil })
		}
		if !errors.Is(err, disk) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	d, _ = jpeg.Open(bytes.NewReader(data))
	stop := errors.New("stop")
	if err := d.Decode(func(int, []byte) error { return stop }); err != stop {
		t.Errorf("an error of the taker came back as %v", err)
	}
}

type failing struct {
	b   []byte
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	if len(f.b) == 0 {
		return 0, f.err
	}
	n := copy(p, f.b)
	f.b = f.b[n:]
	return n, nil
}

func TestCutAnywhere(t *testing.T) {
	for name, data := range corpus(t) {
		if len(data) > 5000 || bytes.Contains(data, []byte("\xff\xd9\x00")) {
			continue
		}
		step := 1 + len(data)/400
		for n := 0; n < len(data)-2; n += step { // the end's marker itself is not read by a single scan
			for _, reduce := range []int{0, 2} {
				_, _, err := decode(data[:n], reduce)
				var e *jpeg.Error
				if !errors.As(err, &e) {
					t.Fatalf("%s cut after %d of %d bytes at 1/%d: %v", name, n, len(data), 1<<reduce, err)
				}
				if e.At > int64(n) {
					t.Fatalf("%s cut after %d bytes: the error is at %d", name, n, e.At)
				}
			}
		}
	}
}

func TestRefused(t *testing.T) {
	good := picturetest.JPEG(picturetest.Scene(40, 40, 1), 80)
	at := func(marker string) int { return bytes.Index(good, []byte(marker)) }
	change := func(at int, b ...byte) []byte {
		out := bytes.Clone(good)
		copy(out[at:], b)
		return out
	}
	sof, dht, dqt, sos := at("\xff\xc0"), at("\xff\xc4"), at("\xff\xdb"), at("\xff\xda")
	scans := append(bytes.Clone(good[:len(good)-2]), bytes.Repeat(good[sos:len(good)-2], jpeg.MaxScans)...)
	scans = append(scans, 0xff, 0xd9)
	scans[sof+1] = 0xc2 // progressive, so that more scans are read
	for i := 0; i+14 <= len(scans); i++ {
		if bytes.HasPrefix(scans[i:], []byte{0xff, 0xda, 0, 12, 3}) {
			copy(scans[i+11:], []byte{0, 0, 0})
		}
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "no JPEG"},
		{"another file", []byte("\x89PNG\r\n\x1a\n"), "no JPEG"},
		{"12 bits", change(sof+4, 12), "12 bits"},
		{"no width", change(sof+7, 0, 0), "without width"},
		{"two components", change(sof+9, 2), "2 components"},
		{"sampling of 0", change(sof+11, 0), "out of range"},
		{"sampling of 5", change(sof+11, 0x51), "out of range"},
		{"many blocks a unit", change(sof+11, 0x44), "more than 10 blocks"},
		{"table 4", change(sof+12, 4), "out of range"},
		{"one name twice", change(sof+13, good[sof+10]), "of one name"},
		{"arithmetic", change(sof+1, 0xc9), "SOF9"},
		{"lossless", change(sof+1, 0xc3), "SOF3"},
		{"codes that do not fit", change(dht+5, 9), "more codes than bits"},
		{"no codes", change(dht+5, make([]byte, 16)...), "broken Huffman"},
		{"quantisation table 7", change(dqt+4, 7), "broken quantisation"},
		{"no quantisation", bytes.Replace(good, good[dqt:dqt+2+132], nil, 1), "quantisation table is missing"},
		{"no frame", bytes.Replace(good, good[sof:sof+2+17], nil, 1), "before its frame"},
		{"an unknown component", change(sos+5, 77), "does not have"},
		{"a component twice", change(sos+7, 1), "twice"},
		{"Huffman table 5", change(sos+6, 0x50), "out of range"},
		{"Huffman table 3", change(sos+6, 0x33), "missing"},
		{"a marker in the data", change(len(good)-40, 0xff, 0xc0), "marker inside"},
		{"too many scans", scans, "more than 100 scans"},
		{"no scan", append(bytes.Clone(good[:sos]), 0xff, 0xd9), "ends"},
		{"two frames", append(append(bytes.Clone(good[:sos]), good[sof:sof+19]...), good[sos:]...), "second frame"},
		{"its height after the scan", append(append(bytes.Clone(good[:sos]), 0xff, 0xdc, 0, 4, 0, 40), good[sos:]...), "height stands"},
	} {
		if _, _, err := decode(c.data, 0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
	restarts := corpus(t)["restart.jpg"]
	i := bytes.Index(restarts, []byte("\xff\xd2"))
	restarts[i+1] = 0xd5
	if _, _, err := decode(restarts, 0); err == nil || !strings.Contains(err.Error(), "where restart 2 belongs") {
		t.Errorf("a wrong restart: %v", err)
	}
}

// TestMemory: what Memory says is what Decode takes, but for little.
func TestMemory(t *testing.T) {
	files := corpus(t)
	large := picturetest.Scene(1200, 900, 1)
	files["large"] = picturetest.JPEG(large, 80)
	for _, name := range []string{"progressive.jpg", "restart.jpg", "large"} {
		for reduce := range 4 {
			data := files[name]
			d, err := jpeg.Open(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			for i := range d.Planes() {
				d.Reduce(i, reduce)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if err := d.Decode(func(int, []byte) error { return nil }); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			// Tables are not counted: 16 KiB each, at most eight at once.
			if got, said := int64(after.TotalAlloc-before.TotalAlloc), d.Memory(); got > said+200<<10 || got < said {
				t.Errorf("%s at 1/%d took %d bytes, and said %d", name, 1<<reduce, got, said)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, data := range corpus(f) {
		f.Add(data, uint8(0))
		f.Add(data, uint8(2))
	}
	f.Fuzz(func(t *testing.T, data []byte, reduce uint8) {
		d, planes, err := decode(data, int(reduce%4))
		if err != nil {
			return
		}
		for i, p := range planes {
			if len(p.pix) != p.Width*p.Height {
				t.Fatalf("plane %d of %d x %d has %d samples", i, p.Width, p.Height, len(p.pix))
			}
		}
		if c, err := stdjpeg.DecodeConfig(bytes.NewReader(data)); err == nil && (c.Width != d.Width || c.Height != d.Height) {
			t.Fatalf("%d x %d, and by the standard decoder %d x %d", d.Width, d.Height, c.Width, c.Height)
		}
	})
}
