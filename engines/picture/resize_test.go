package picture_test

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	stdjpeg "image/jpeg"
	"image/png"
	"math"
	"strings"
	"testing"

	"plumb/base/errs"
	"plumb/engines/picture"
	"plumb/engines/picture/exif"
	"plumb/engines/picture/picturetest"
)

type made struct {
	picture.Resized
	size picture.Size
	img  image.Image
}

func resize(t testing.TB, data []byte, sizes ...picture.Size) []made {
	t.Helper()
	var out []made
	_, err := picture.Resize(bytes.NewReader(data), int64(len(data)), sizes, picture.Limits{}, func(s picture.Size, r picture.Resized) error {
		img, kind, err := image.Decode(bytes.NewReader(r.Bytes))
		if err != nil {
			t.Fatal(err)
		}
		if b := img.Bounds(); "image/"+kind != r.Type || b.Dx() != r.Width || b.Dy() != r.Height {
			t.Fatalf("%s of %v is called %s of %d x %d", kind, b, r.Type, r.Width, r.Height)
		}
		if len(r.Blur) != 72 {
			t.Fatalf("a placeholder of %q", r.Blur)
		}
		out = append(out, made{r, s, img})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// apart is how far two pictures lie apart, in levels of a colour, on average.
func apart(a, b image.Image) float64 {
	if a.Bounds().Dx() != b.Bounds().Dx() || a.Bounds().Dy() != b.Bounds().Dy() {
		return math.Inf(1)
	}
	sum, n := 0.0, 0
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			p, q := color.RGBAModel.Convert(a.At(x, y)).(color.RGBA), color.RGBAModel.Convert(b.At(x, y)).(color.RGBA)
			for _, d := range [3]int{int(p.R) - int(q.R), int(p.G) - int(q.G), int(p.B) - int(q.B)} {
				sum, n = sum+math.Abs(float64(d)), n+1
			}
		}
	}
	return sum / float64(n)
}

// smaller is a plain Lanczos filter in floating point, to compare with.
func smaller(img image.Image, w, h int) image.Image {
	src := image.NewRGBA(image.Rect(0, 0, img.Bounds().Dx(), img.Bounds().Dy()))
	draw.Draw(src, src.Rect, img, img.Bounds().Min, draw.Src)
	weights := func(size, n, i int) (from int, ws []float64) {
		step := float64(size) / float64(n)
		scale := max(step, 1)
		mid := (float64(i)+0.5)*step - 0.5
		from = max(0, int(math.Ceil(mid-3*scale)))
		sum := 0.0
		for x := from; x < size && float64(x) < mid+3*scale; x++ {
			v := (float64(x) - mid) / scale
			k := 1.0
			if v != 0 {
				k = 3 * math.Sin(math.Pi*v) * math.Sin(math.Pi*v/3) / (math.Pi * math.Pi * v * v)
			}
			ws, sum = append(ws, k), sum+k
		}
		for i := range ws {
			ws[i] /= sum
		}
		return from, ws
	}
	sw, sh := src.Rect.Dx(), src.Rect.Dy()
	wide := make([]float64, w*sh*4)
	for x := range w {
		from, ws := weights(sw, w, x)
		for y := range sh {
			for c := range 4 {
				for j, k := range ws {
					wide[(y*w+x)*4+c] += k * float64(src.Pix[y*src.Stride+(from+j)*4+c])
				}
			}
		}
	}
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		from, ws := weights(sh, h, y)
		for x := range w {
			for c := range 4 {
				v := 0.0
				for j, k := range ws {
					v += k * wide[((from+j)*w+x)*4+c]
				}
				out.Pix[y*out.Stride+x*4+c] = uint8(min(max(math.Round(v), 0), 255))
			}
		}
	}
	return out
}

// coded is a picture after JPEG, which halves colours' resolution.
func coded(img image.Image) image.Image {
	out, err := stdjpeg.Decode(bytes.NewReader(picturetest.JPEG(img, 95)))
	if err != nil {
		panic(err)
	}
	return out
}

func TestResize(t *testing.T) {
	scene := picturetest.Scene(1200, 801, 2)
	data := picturetest.JPEG(scene, 90)
	decoded, err := stdjpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	out := resize(t, data, picture.Size{Name: "small", Edge: 100, Quality: 95}, picture.Size{Name: "huge", Edge: 10_000, Quality: 95},
		picture.Size{Name: "large", Edge: 900, Quality: 95}, picture.Size{Name: "middle", Edge: 320, Quality: 95})
	for i, want := range []struct {
		name string
		w, h int
	}{{"huge", 1200, 801}, {"large", 900, 601}, {"middle", 320, 214}, {"small", 100, 67}} {
		got := out[i]
		if got.size.Name != want.name || got.Width != want.w || got.Height != want.h || got.Type != picture.JPEG {
			t.Errorf("%s: %d x %d of type %s, want %+v", got.size.Name, got.Width, got.Height, got.Type, want)
		}
		if d := apart(got.img, coded(smaller(decoded, want.w, want.h))); d > 2 {
			t.Errorf("%s is %.2f levels from a plain filter's", want.name, d)
		}
	}
	// Alone, each is decoded smaller, and looks the same.
	for _, edge := range []int{500, 320, 149, 100, 40} {
		got := resize(t, data, picture.Size{Edge: edge, Quality: 95})[0]
		if d := apart(got.img, coded(smaller(decoded, got.Width, got.Height))); d > 4 { // at 40 pixels every one is an edge
			t.Errorf("%d alone is %.2f levels from a plain filter's", edge, d)
		}
	}
}

// TestUpright: a photo taken in any position comes out like the one that was not turned.
func TestUpright(t *testing.T) {
	scene := picturetest.Scene(300, 201, 5)
	want := resize(t, picturetest.JPEG(scene, 95), picture.Size{Edge: 150, Quality: 95})[0]
	stored := map[int]func(x, y int) (int, int){ // where a pixel of the upright scene is stored
		1: func(x, y int) (int, int) { return x, y }, 2: func(x, y int) (int, int) { return 299 - x, y },
		3: func(x, y int) (int, int) { return 299 - x, 200 - y }, 4: func(x, y int) (int, int) { return x, 200 - y },
		5: func(x, y int) (int, int) { return y, x }, 6: func(x, y int) (int, int) { return y, 299 - x },
		7: func(x, y int) (int, int) { return 200 - y, 299 - x }, 8: func(x, y int) (int, int) { return 200 - y, x },
	}
	for o, at := range stored {
		w, h := 300, 201
		if o >= 5 {
			w, h = h, w
		}
		img := image.NewRGBA(image.Rect(0, 0, w, h))
		for y := range 201 {
			for x := range 300 {
				u, v := at(x, y)
				img.Set(u, v, scene.At(x, y))
			}
		}
		for name, file := range map[string][]byte{"jpeg": picturetest.JPEG(img, 95), "png": picturetest.PNG(img)} {
			data := picturetest.WithEXIF(file, exif.Fields{Orientation: o, Make: "x"})
			got := resize(t, data, picture.Size{Edge: 150, Quality: 95})[0]
			if d := apart(got.img, want.img); d > 2 {
				t.Errorf("%s of orientation %d: %.2f levels from the upright one", name, o, d)
			}
			if info, err := probe(got.Bytes); err != nil || info.Orientation != 1 || info.Make != "" {
				t.Errorf("%s of orientation %d comes out as %+v, %v", name, o, info, err)
			}
			if got.Blur[:6] != want.Blur[:6] && colourApart(got.Blur, want.Blur) > 4 {
				t.Errorf("orientation %d: placeholder %s, want %s", o, got.Blur, want.Blur)
			}
		}
	}
}

func colourApart(a, b string) (d int) {
	for i := 0; i+2 <= len(a); i += 2 {
		var x, y int
		fmt.Sscanf(a[i:i+2], "%x", &x) //nolint:errcheck // 0 is as wrong
		fmt.Sscanf(b[i:i+2], "%x", &y) //nolint:errcheck // 0 is as wrong
		d = max(d, x-y, y-x)
	}
	return d
}

// TestOfEveryKind compares what is made with what other decoders see.
func TestOfEveryKind(t *testing.T) {
	scene := picturetest.Scene(150, 101, 7)
	gray := image.NewGray(scene.Rect)
	draw.Draw(gray, gray.Rect, scene, image.Point{}, draw.Src)
	deep := image.NewNRGBA64(scene.Rect)
	draw.Draw(deep, deep.Rect, scene, image.Point{}, draw.Src)
	for name, c := range map[string]struct {
		data []byte
		want image.Image
		most float64
	}{
		"progressive": {testdata(t, "progressive.jpg"), scene, 6}, "410": {testdata(t, "410.jpg"), scene, 12}, "odd": {testdata(t, "odd.jpg"), scene, 6},
		"rgb": {testdata(t, "rgb.jpg"), scene, 6}, "gray": {testdata(t, "gray.jpg"), gray, 5}, "separate": {testdata(t, "separate.jpg"), scene, 6},
		"lossy": {testdata(t, "lossy.webp"), scene, 6}, "lossless": {testdata(t, "lossless.webp"), scene, 4}, "animated": {testdata(t, "animated.webp"), scene, 6},
		"png": {picturetest.PNG(scene), scene, 4}, "gray png": {picturetest.PNG(gray), gray, 4}, "deep png": {picturetest.PNG(deep), scene, 4},
		"gif": {picturetest.GIF(scene, 3), scene, 20},
	} {
		got := resize(t, c.data, picture.Size{Edge: 75, Quality: 95})[0]
		if got.Type != picture.JPEG {
			t.Errorf("%s became %s", name, got.Type)
		}
		if d := apart(got.img, coded(smaller(c.want, 75, 51))); d > c.most {
			t.Errorf("%s is %.2f levels from the scene", name, d)
		}
	}
	cmyk := testdata(t, "cmyk.jpg")
	for transform, data := range map[string][]byte{"cmyk": cmyk,
		"ycck": bytes.Replace(cmyk, []byte("Adobe\x00\x64\x00\x00\x00\x00\x00"), []byte("Adobe\x00\x64\x00\x00\x00\x00\x02"), 1)} {
		img, err := stdjpeg.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		got := resize(t, data, picture.Size{Edge: 150, Quality: 98})[0]
		if d := apart(got.img, coded(img)); d > 4 {
			t.Errorf("%s is %.2f levels from what the standard decoder sees", transform, d)
		}
	}
}

func TestTransparent(t *testing.T) {
	whole := picturetest.Transparent(picturetest.Scene(150, 101, 7))
	for name, data := range map[string][]byte{"png": picturetest.PNG(whole), "webp": testdata(t, "alpha.webp")} {
		got := resize(t, data, picture.Size{Edge: 75})[0]
		if got.Type != picture.PNG {
			t.Fatalf("%s became %s", name, got.Type)
		}
		if _, _, _, a := got.img.At(0, 0).RGBA(); a != 0 {
			t.Errorf("%s: a corner has alpha %d", name, a)
		}
		if _, _, _, a := got.img.At(37, 25).RGBA(); a != 0xffff {
			t.Errorf("%s: the middle has alpha %d", name, a)
		}
		if d := apart(got.img, smaller(whole, 75, 51)); d > 6 {
			t.Errorf("%s is %.2f levels from a plain filter's", name, d)
		}
	}
}

// TestFrameOnCanvas: a first frame that is smaller than its animation stands where it belongs.
func TestFrameOnCanvas(t *testing.T) {
	frame := image.NewPaletted(image.Rect(10, 20, 30, 40), color.Palette{color.RGBA{200, 0, 0, 255}})
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, &gif.GIF{Image: []*image.Paletted{frame}, Delay: []int{0}, Config: image.Config{Width: 50, Height: 60}}); err != nil {
		t.Fatal(err)
	}
	got := resize(t, b.Bytes(), picture.Size{Edge: 60})[0]
	if got.Width != 50 || got.Height != 60 || got.Type != picture.PNG {
		t.Fatalf("%d x %d, %s", got.Width, got.Height, got.Type)
	}
	if r, _, _, a := got.img.At(20, 30).RGBA(); r>>8 != 200 || a != 0xffff {
		t.Errorf("the frame's middle is %v", got.img.At(20, 30))
	}
	if _, _, _, a := got.img.At(5, 5).RGBA(); a != 0 {
		t.Errorf("beside the frame is %v", got.img.At(5, 5))
	}
}

func TestExtremeShapes(t *testing.T) {
	for _, size := range []image.Point{{1, 1}, {1, 3000}, {3000, 1}, {2, 2}, {5000, 3}, {9, 7}} {
		img := picturetest.Scene(size.X, size.Y, 1)
		for name, data := range map[string][]byte{"jpeg": picturetest.JPEG(img, 90), "png": picturetest.PNG(img)} {
			for _, edge := range []int{1, 2, 7, 100, 5000} {
				got := resize(t, data, picture.Size{Edge: edge})[0]
				if max(got.Width, got.Height) > edge || got.Width > size.X || got.Height > size.Y {
					t.Errorf("%s %v at %d: %d x %d", name, size, edge, got.Width, got.Height)
				}
			}
		}
	}
}

func TestColourProfile(t *testing.T) {
	scene := picturetest.Scene(40, 40, 1)
	jpegWith := func(profile []byte) []byte {
		half := len(profile) / 2 // in two segments, the second one first
		return picturetest.WithSegments(picturetest.JPEG(scene, 80),
			picturetest.Segment(0xe2, append([]byte("ICC_PROFILE\x00\x02\x02"), profile[half:]...)),
			picturetest.Segment(0xe2, append([]byte("ICC_PROFILE\x00\x01\x02"), profile[:half]...)))
	}
	pngWith := func(img image.Image, profile []byte) []byte {
		var z bytes.Buffer
		w := zlib.NewWriter(&z)
		w.Write(profile) //nolint:errcheck // memory
		w.Close()
		return picturetest.WithChunks(picturetest.PNG(img), picturetest.Chunk("iCCP", append([]byte("x\x00\x00"), z.Bytes()...)))
	}
	p3 := icc("RGB ", "Display P3")
	for name, c := range map[string]struct {
		data []byte
		kept bool
	}{
		"another one":     {jpegWith(p3), true},
		"sRGB":            {jpegWith(icc("RGB ", "sRGB IEC61966-2.1")), false},
		"of grey":         {jpegWith(icc("GRAY", "gamma")), false},
		"of inks":         {jpegWith(icc("CMYK", "FOGRA")), false},
		"half of one":     {picturetest.WithSegments(picturetest.JPEG(scene, 80), picturetest.Segment(0xe2, append([]byte("ICC_PROFILE\x00\x01\x02"), p3...))), false},
		"too short":       {jpegWith([]byte("RGB ")), false},
		"in a PNG":        {pngWith(scene, p3), true},
		"10 MB in a PNG":  {pngWith(scene, append(bytes.Clone(p3), make([]byte, 10<<20)...)), false},
		"packed wrongly":  {picturetest.WithChunks(picturetest.PNG(scene), picturetest.Chunk("iCCP", []byte("x\x00\x00garbage"))), false},
		"in a WebP":       {picturetest.WebP(picturetest.RIFF("VP8X", []byte{0x20, 0, 0, 0, 149, 0, 0, 100, 0, 0}), picturetest.RIFF("ICCP", p3), testdata(t, "lossy.webp")[12:]), true},
		"of inks, by ink": {picturetest.WithSegments(testdata(t, "cmyk.jpg"), picturetest.Segment(0xe2, append([]byte("ICC_PROFILE\x00\x01\x01"), icc("CMYK", "x")...))), false},
	} {
		got := resize(t, c.data, picture.Size{Edge: 20})[0]
		if kept := bytes.Contains(got.Bytes, []byte("ICC_PROFILE")); kept != c.kept || kept && !bytes.Contains(got.Bytes, p3) {
			t.Errorf("%s: kept is %v, want %v", name, kept, c.kept)
		}
	}
	got := resize(t, pngWith(picturetest.Transparent(scene), p3), picture.Size{Edge: 20})[0]
	if _, err := png.Decode(bytes.NewReader(got.Bytes)); err != nil || !bytes.Contains(got.Bytes, []byte("iCCPicc")) {
		t.Errorf("a transparent one's profile: %v", err)
	}
}

func TestResizeRefuses(t *testing.T) {
	data := picturetest.JPEG(picturetest.Scene(400, 300, 1), 80)
	try := func(data []byte, limits picture.Limits, sizes ...picture.Size) error {
		_, err := picture.Resize(bytes.NewReader(data), int64(len(data)), sizes, limits, func(picture.Size, picture.Resized) error { return nil })
		return err
	}
	broken := bytes.Clone(data)
	for i := range 60 {
		broken[len(broken)/2+i] = 0xfe
	}
	small := picture.Size{Edge: 10}
	for name, c := range map[string]struct {
		err  error
		kind errs.Kind
		want string
	}{
		"no size":       {try(data, picture.Limits{}), errs.Invalid, "1 to 16 sizes"},
		"edge 0":        {try(data, picture.Limits{}, picture.Size{Name: "x"}), errs.Invalid, "edge 0"},
		"quality 101":   {try(data, picture.Limits{}, picture.Size{Edge: 1, Quality: 101}), errs.Invalid, "quality 101"},
		"pixels":        {try(data, picture.Limits{MaxPixels: 1000}, small), errs.TooLarge, "400 x 300"},
		"memory":        {try(testdata(t, "progressive.jpg"), picture.Limits{MaxMemory: 20_000}, picture.Size{Edge: 65}), errs.TooLarge, "150 x 101"},
		"of results":    {try(data, picture.Limits{MaxMemory: 400_000}, picture.Size{Edge: 400}), errs.TooLarge, "400 x 300"},
		"heic":          {try(testdata(t, "photo.heic"), picture.Limits{}, small), errs.Invalid, "image/heic"},
		"avif":          {try(testdata(t, "photo.avif"), picture.Limits{}, small), errs.Invalid, "image/avif"},
		"text":          {try([]byte("text"), picture.Limits{}, small), errs.Invalid, "no picture"},
		"cut":           {try(data[:len(data)-9], picture.Limits{}, small), errs.Invalid, "cut off"},
		"a broken JPEG": {try(broken, picture.Limits{}, picture.Size{Edge: 400}), errs.Invalid, "broken at byte"},
	} {
		if !errs.Is(c.err, c.kind) || !strings.Contains(errs.Message(c.err), c.want) {
			t.Errorf("%s: %v, want one of kind %s with %q", name, c.err, c.kind, c.want)
		}
	}
	stop := errors.New("stop")
	if _, err := picture.Resize(bytes.NewReader(data), int64(len(data)), []picture.Size{small, {Edge: 5}}, picture.Limits{}, func(picture.Size, picture.Resized) error { return stop }); err != stop {
		t.Errorf("an error of the taker came back as %v", err)
	}
}

func FuzzResize(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.data, uint16(30))
	}
	f.Add(testdata(f, "cmyk.jpg"), uint16(200))
	f.Fuzz(func(t *testing.T, data []byte, edge uint16) {
		info, err := probe(data)
		if err != nil || info.Width*info.Height > 1<<20 {
			return
		}
		_, err = picture.Resize(bytes.NewReader(data), int64(len(data)), []picture.Size{{Edge: int(edge) + 1}, {Edge: 3}}, picture.Limits{MaxMemory: 32 << 20}, func(s picture.Size, r picture.Resized) error {
			if r.Width > s.Edge || r.Height > s.Edge || r.Width > info.Width || r.Height > info.Height {
				t.Fatalf("%d x %d of %+v at %d", r.Width, r.Height, info, s.Edge)
			}
			if _, err := probe(r.Bytes); err != nil {
				t.Fatal(err)
			}
			return nil
		})
		if k := errs.KindOf(err); err != nil && k != errs.Invalid && k != errs.TooLarge {
			t.Fatal(err)
		}
	})
}
