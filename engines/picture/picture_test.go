package picture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/engines/picture"
	"plumb/engines/picture/exif"
	"plumb/engines/picture/picturetest"
)

// told is what the test's photos tell.
var told = exif.Fields{
	Orientation: 6, Taken: time.Date(2024, 5, 6, 7, 8, 9, 0, time.FixedZone("", 2*3600)), TakenZone: true,
	Make: "Plumb", Model: "P 1", Lens: "50 mm", Exposure: 0.008, FNumber: 1.8, ISO: 200, Focal: 50,
	HasGPS: true, Lat: 47.4, Lon: -8.5,
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		b, err = os.ReadFile(filepath.Join("jpeg", "testdata", name))
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// withEXIF makes a WebP file extended, with EXIF.
func webpWithEXIF(t testing.TB, file []byte, w, h int) []byte {
	t.Helper()
	head := []byte{0x0c, 0, 0, 0, byte(w - 1), byte((w - 1) >> 8), 0, byte(h - 1), byte((h - 1) >> 8), 0}
	xmp := picturetest.RIFF("XMP ", []byte("<secret/>"))
	return picturetest.WebP(picturetest.RIFF("VP8X", head), file[12:], picturetest.RIFF("EXIF", told.Write()), xmp)
}

type sample struct {
	data          []byte
	typ           string
	width, height int
	orientation   int
	animated      bool
}

// samples has a picture of every kind, the smallest of which are some hundred bytes.
func samples(t testing.TB) map[string]sample {
	scene := picturetest.Scene(60, 40, 1)
	small := picturetest.JPEG(scene, 60)
	return map[string]sample{
		"jpeg":             {small, picture.JPEG, 60, 40, 1, false},
		"jpeg, turned":     {picturetest.WithEXIF(small, told), picture.JPEG, 40, 60, 6, false},
		"jpeg and more":    {append(bytes.Clone(small), "a film follows"...), picture.JPEG, 60, 40, 1, false},
		"jpeg progressive": {testdata(t, "progressive-restart.jpg"), picture.JPEG, 150, 101, 1, false},
		"png":              {picturetest.PNG(picturetest.Scene(20, 10, 1)), picture.PNG, 20, 10, 1, false},
		"png, turned":      {picturetest.WithEXIF(picturetest.PNG(picturetest.Scene(20, 10, 1)), told), picture.PNG, 10, 20, 6, false},
		"gif":              {picturetest.GIF(scene, 1), picture.GIF, 60, 40, 1, false},
		"gif animated":     {picturetest.GIF(scene, 3), picture.GIF, 60, 40, 1, true},
		"webp lossy":       {testdata(t, "lossy.webp"), picture.WebP, 150, 101, 1, false},
		"webp alpha":       {testdata(t, "alpha.webp"), picture.WebP, 150, 101, 1, false},
		"webp animated":    {testdata(t, "animated.webp"), picture.WebP, 150, 101, 1, true},
		"webp, turned":     {webpWithEXIF(t, testdata(t, "lossy.webp"), 150, 101), picture.WebP, 101, 150, 6, false},
		"heic":             {testdata(t, "photo.heic"), picture.HEIC, 150, 101, 1, false},
		"avif":             {testdata(t, "photo.avif"), picture.AVIF, 150, 101, 1, false},
		"avif, turned":     {testdata(t, "turned.avif"), picture.AVIF, 101, 150, 5, false},
	}
}

func probe(b []byte) (picture.Info, error) { return picture.Probe(bytes.NewReader(b), int64(len(b))) }

func TestProbe(t *testing.T) {
	for name, s := range samples(t) {
		got, err := probe(s.data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Type != s.typ || got.Width != s.width || got.Height != s.height || got.Orientation != s.orientation || got.Animated != s.animated {
			t.Errorf("%s: %+v, want %s %d x %d, orientation %d, animated %v", name, got, s.typ, s.width, s.height, s.orientation, s.animated)
		}
		if s.orientation == 6 {
			if !got.Taken.Equal(told.Taken) || !got.TakenZone || got.Make != "Plumb" || got.Model != "P 1" || got.Lens != "50 mm" ||
				got.ISO != 200 || got.Exposure != 0.008 || !got.HasGPS || got.Lat != 47.4 || got.Lon != -8.5 {
				t.Errorf("%s tells %+v", name, got)
			}
		}
	}
}

// TestCutAnywhere: whatever is missing at the end, the file is refused, and says so.
func TestCutAnywhere(t *testing.T) {
	for name, s := range samples(t) {
		whole := len(s.data)
		if name == "jpeg and more" {
			whole -= len("a film follows") // it may be cut where the picture has ended
		}
		if name == "gif" || name == "gif animated" {
			whole-- // a trailer's byte
			if _, err := probe(s.data[:whole]); !errs.Is(err, errs.Invalid) {
				t.Errorf("%s without its trailer: %v", name, err)
			}
		}
		for n := range whole {
			_, err := probe(s.data[:n])
			if !errs.Is(err, errs.Invalid) {
				t.Fatalf("%s cut after %d of %d bytes: %v", name, n, len(s.data), err)
			}
			if m := errs.Message(err); n > 40 && !strings.Contains(m, "cut off") || n > 40 && !strings.Contains(m, fmt.Sprint("ends at byte ", n, " ")) {
				t.Fatalf("%s cut after %d of %d bytes: %s", name, n, len(s.data), m)
			}
		}
		// A file that is shorter than it was said to be.
		if _, err := picture.Probe(bytes.NewReader(s.data[:whole/2]), int64(whole)); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s, half of what was said: %v", name, err)
		}
	}
}

func TestNoPicture(t *testing.T) {
	for name, data := range map[string]string{
		"nothing": "", "text": "Dear Sir or Madam, here is my photo", "html": "<html><img></html>", "zip": "PK\x03\x04" + strings.Repeat("x", 100),
		"a film":           "\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2",
		"a sound":          "RIFF\x24\x00\x00\x00WAVEfmt " + strings.Repeat("\x00", 40),
		"a JPEG's head":    "\xff\xd8\xff\xd9",
		"a JPEG of tables": "\xff\xd8\xff\xdb\x00\x04ab\xff\xd9",
		"a JPEG's scan":    "\xff\xd8\xff\xda\x00\x04ab\xff\xd9",
		"a GIF's head":     "GIF89a\x01\x00\x01\x00\x00\x00\x00;",
		"an odd GIF":       "GIF89a\x01\x00\x01\x00\x00\x00\x00\x99;",
		"a WebP's head":    "RIFF\x0c\x00\x00\x00WEBPEXIF\x00\x00\x00\x00",
		"an empty WebP":    "RIFF\x04\x00\x00\x00WEBP",
		"a PNG's end":      "\x89PNG\r\n\x1a\n\x00\x00\x00\x00IEND\xae\x42\x60\x82",
		"a HEIC's head":    "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
		"a box of 4 bytes": "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic\x00\x00\x00\x04meta",
	} {
		if _, err := probe([]byte(data)); !errs.Is(err, errs.Invalid) || errs.Message(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	png := picturetest.PNG(picturetest.Scene(20, 10, 1))
	png[len(png)/2] ^= 1
	if _, err := probe(png); !errs.Is(err, errs.Invalid) || !strings.Contains(errs.Message(err), "checksum of chunk IDAT") {
		t.Errorf("a PNG with a flipped bit: %v", err)
	}
}

func TestLimits(t *testing.T) {
	jpegOf := func(w, h int) []byte {
		b := picturetest.JPEG(picturetest.Scene(16, 16, 1), 50)
		i := bytes.Index(b, []byte("\xff\xc0"))
		binary.BigEndian.PutUint16(b[i+5:], uint16(h))
		binary.BigEndian.PutUint16(b[i+7:], uint16(w))
		return b
	}
	for name, c := range map[string]struct {
		data []byte
		want errs.Kind
	}{
		"wide":            {jpegOf(65_535, 16), errs.TooLarge},
		"widest":          {jpegOf(65_500, 16), ""},
		"201 million":     {jpegOf(20_000, 10_050), errs.TooLarge},
		"no width":        {jpegOf(0, 16), errs.Invalid},
		"animated enough": {picturetest.GIF(picturetest.Scene(2, 2, 1), 10_000), ""},
		"too animated":    {picturetest.GIF(picturetest.Scene(2, 2, 1), 10_001), errs.TooLarge},
	} {
		_, err := probe(c.data)
		if c.want == "" && err != nil || c.want != "" && !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if err := picture.Strip(io.Discard, bytes.NewReader(c.data), int64(len(c.data)), picture.Keep{}); c.want != "" && !errs.Is(err, c.want) {
			t.Errorf("%s, stripped: %v, want %s", name, err, c.want)
		}
	}
}

// TestDiskErrors: what is wrong with the disk is not said of the picture.
func TestDiskErrors(t *testing.T) {
	disk := errors.New("disk")
	for name, s := range samples(t) {
		r := &failingAt{bytes.NewReader(s.data), disk}
		size := int64(len(s.data))
		if _, err := picture.Probe(r, size); !errors.Is(err, disk) {
			t.Errorf("%s: %v", name, err)
		}
		if err := picture.Strip(io.Discard, r, size, picture.Keep{}); !errors.Is(err, disk) {
			t.Errorf("%s, stripped: %v", name, err)
		}
	}
}

type failingAt struct {
	*bytes.Reader
	err error
}

func (f *failingAt) ReadAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) > f.Size()*2/3 {
		return 0, f.err
	}
	return f.Reader.ReadAt(p, at)
}

func FuzzProbe(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := probe(data)
		if err != nil {
			if k := errs.KindOf(err); k != errs.Invalid && k != errs.TooLarge {
				t.Fatalf("%v", err)
			}
			return
		}
		if info.Width < 1 || info.Height < 1 || info.Orientation < 1 || info.Orientation > 8 || !strings.HasPrefix(info.Type, "image/") {
			t.Fatalf("%+v", info)
		}
		// What can be stripped is a picture again, which tells less; and again it is the same.
		var once, twice bytes.Buffer
		if err := picture.Strip(&once, bytes.NewReader(data), int64(len(data)), picture.Keep{}); err != nil {
			return
		}
		again, err := probe(once.Bytes())
		if err != nil {
			t.Fatalf("a stripped picture is none: %v", err)
		}
		if again.HasGPS || again.Make != "" || !again.Taken.IsZero() || again.Width != info.Width || again.Height != info.Height || again.Orientation != info.Orientation {
			t.Fatalf("%+v became %+v", info, again)
		}
		if err := picture.Strip(&twice, bytes.NewReader(once.Bytes()), int64(once.Len()), picture.Keep{}); err != nil || !bytes.Equal(once.Bytes(), twice.Bytes()) {
			t.Fatalf("stripped twice it is another: %v", err)
		}
	})
}
