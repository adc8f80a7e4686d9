package picture_test

import (
	"bytes"
	"fmt"
	"image"
	"image/draw"
	stdjpeg "image/jpeg"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"plumb/engines/picture"
	"plumb/engines/picture/picturetest"

	xdraw "golang.org/x/image/draw"
)

// photos are real ones of the distribution, as files, and two of 16 and 24 million
// pixels that are made of them, side by side so that they have as much detail.
func photos(b testing.TB) (names []string) {
	b.Helper()
	for _, folder := range []string{"nature", "abstract"} {
		more, _ := filepath.Glob("/usr/share/backgrounds/mate/" + folder + "/*.jpg")
		names = append(names, more...)
	}
	if len(names) == 0 {
		b.Skip("there are no photos: install mate-backgrounds")
	}
	var parts []image.Image
	for _, name := range names {
		if img, err := stdjpeg.Decode(bytes.NewReader(read(b, name))); err == nil && img.Bounds().Dx() >= 1900 && img.Bounds().Dx() <= 2560 {
			parts = append(parts, img)
		}
	}
	dir := b.TempDir()
	for _, size := range []image.Point{{4928, 3264}, {6000, 4000}} {
		whole := image.NewRGBA(image.Rectangle{Max: size})
		for i, y := 0, 0; y < size.Y; y += 1200 {
			for x := 0; x < size.X; x += 1900 {
				draw.Draw(whole, image.Rect(x, y, x+1900, y+1200), parts[i%len(parts)], image.Point{}, draw.Src)
				i++
			}
		}
		name := filepath.Join(dir, fmt.Sprintf("made-%d.jpg", size.X))
		if err := os.WriteFile(name, picturetest.JPEG(whole, 92), 0o600); err != nil {
			b.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

func read(b testing.TB, name string) []byte {
	data, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	return data
}

// cpuSeconds is what this process has used, on all processors.
func cpuSeconds(b testing.TB) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// BenchmarkPeers makes a size of each photo by this package, by the standard decoder
// with golang.org/x/image's filter, and by libvips, in turn, and counts CPU seconds:
// of libvips those of one process for all photos, so that its start hardly counts.
func BenchmarkPeers(b *testing.B) {
	names := photos(b)
	for _, edge := range []int{256, 1600} {
		b.Run(fmt.Sprint(edge), func(b *testing.B) {
			var ours, standard, vips float64
			for b.Loop() {
				start := cpuSeconds(b)
				for _, name := range names {
					small(b, read(b, name), picture.Size{Edge: edge})
				}
				ours += cpuSeconds(b) - start
				vips += vipsThumbnails(b, names, edge)
				if b.N <= 3 { // it takes long
					start = cpuSeconds(b)
					for _, name := range names {
						standardSmall(b, read(b, name), edge)
					}
					standard += cpuSeconds(b) - start
				}
			}
			made := float64(len(names) * b.N)
			b.ReportMetric(made/ours, "thumbnails/cpu-s")
			if vips > 0 {
				b.ReportMetric(made/vips, "vips/cpu-s")
				b.ReportMetric(vips/ours, "x-vips")
			}
			b.ReportMetric(standard/ours, "x-standard")
		})
	}
}

func small(b testing.TB, data []byte, sizes ...picture.Size) {
	if _, err := picture.Resize(bytes.NewReader(data), int64(len(data)), sizes, picture.Limits{}, func(picture.Size, picture.Resized) error { return nil }); err != nil {
		b.Fatal(err)
	}
}

func standardSmall(b testing.TB, data []byte, edge int) {
	img, err := stdjpeg.Decode(bytes.NewReader(data))
	if err != nil {
		b.Fatal(err)
	}
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	scale := min(1, float64(edge)/float64(max(w, h)))
	out := image.NewRGBA(image.Rect(0, 0, int(float64(w)*scale), int(float64(h)*scale)))
	xdraw.CatmullRom.Scale(out, out.Rect, img, img.Bounds(), draw.Src, nil)
	var file bytes.Buffer
	if err := stdjpeg.Encode(&file, out, &stdjpeg.Options{Quality: 82}); err != nil {
		b.Fatal(err)
	}
}

// vipsThumbnails returns the CPU seconds of libvips for a size of each photo; 0 without it.
func vipsThumbnails(b testing.TB, names []string, edge int) float64 {
	program, err := exec.LookPath("vipsthumbnail")
	if err != nil {
		return 0
	}
	args := append([]string{"--size", fmt.Sprintf("%dx%d>", edge, edge), "-o", b.TempDir() + "/%s.jpg[Q=82,strip]"}, names...)
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "VIPS_CONCURRENCY=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("vipsthumbnail: %v: %s", err, out)
	}
	return (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
}

// BenchmarkResize is of one photo of 24 million pixels, each size alone and all at once.
func BenchmarkResize(b *testing.B) {
	names := photos(b)
	data := read(b, names[len(names)-1])
	for name, sizes := range map[string][]picture.Size{
		"small": {{Edge: 256}}, "large": {{Edge: 2048}}, "both": {{Edge: 256}, {Edge: 2048}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			start := cpuSeconds(b)
			for b.Loop() {
				small(b, data, sizes...)
			}
			b.ReportMetric((cpuSeconds(b)-start)*1000/float64(b.N), "cpu-ms/photo")
		})
	}
}

func BenchmarkProbe(b *testing.B) {
	for name, s := range samples(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(s.data)))
			for b.Loop() {
				if _, err := probe(s.data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestAsNearAsVips: what is made is as near to a plain filter of all pixels as what
// libvips makes, to 4 dB for a photo and 1.5 dB on average, although less is decoded.
func TestAsNearAsVips(t *testing.T) {
	names, _ := filepath.Glob("/usr/share/backgrounds/mate/nature/[DFG]*.jpg")
	program, err := exec.LookPath("vipsthumbnail")
	if len(names) == 0 || err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("scripts/need installs mate-backgrounds and libvips-tools")
		}
		t.Skip("needs mate-backgrounds and libvips-tools")
	}
	total := 0.0
	for _, name := range names {
		data := read(t, name)
		whole, err := stdjpeg.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		got := resize(t, data, picture.Size{Edge: 300, Quality: 95})[0]
		want := coded(smaller(whole, got.Width, got.Height))
		out := filepath.Join(t.TempDir(), "vips.jpg")
		if b, err := exec.Command(program, name, "--size", fmt.Sprintf("%dx%d!", got.Width, got.Height), "-o", out+"[Q=95]").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		theirs, err := stdjpeg.Decode(bytes.NewReader(read(t, out)))
		if err != nil {
			t.Fatal(err)
		}
		we, they := decibels(got.img, want), decibels(theirs, want)
		t.Logf("%s: %.1f dB; libvips %.1f dB", filepath.Base(name), we, they)
		if total += we - they; we < they-4 {
			t.Errorf("%s: %.1f dB from a plain filter's; libvips %.1f dB", filepath.Base(name), we, they)
		}
	}
	if mean := total / float64(len(names)); mean < -1.5 {
		t.Errorf("%.1f dB farther than libvips on average", -mean)
	}
}

// decibels is the ratio of signal to noise of a picture's brightness.
func decibels(a, b image.Image) float64 {
	sum, n := 0.0, 0
	for y := range b.Bounds().Dy() {
		for x := range b.Bounds().Dx() {
			light := func(i image.Image) float64 {
				r, g, b, _ := i.At(x, y).RGBA()
				return (0.299*float64(r) + 0.587*float64(g) + 0.114*float64(b)) / 257
			}
			d := light(a) - light(b)
			sum, n = sum+d*d, n+1
		}
	}
	return 10 * math.Log10(255*255*float64(n)/sum)
}
