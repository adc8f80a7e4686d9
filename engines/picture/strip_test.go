package picture_test

import (
	"bytes"
	"errors"
	"image"
	"strings"
	"testing"

	"plumb/base/errs"
	"plumb/engines/picture"
	"plumb/engines/picture/picturetest"
)

// secret stands wherever a file can hold something that a viewer should not get.
const secret = "47.4N 8.5W at home"

func strip(t testing.TB, data []byte, keep picture.Keep) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := picture.Strip(&b, bytes.NewReader(data), int64(len(data)), keep); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// icc is a colour profile, as far as anybody here looks at it.
func icc(colours, text string) []byte {
	b := make([]byte, 200)
	copy(b[16:], colours)
	copy(b[36:], "acsp")
	return append(b, text...)
}

// telling are pictures with the secret in every place, and how often it stands there.
func telling(t testing.TB) map[string][]byte {
	scene := picturetest.Scene(60, 40, 1)
	plain := picturetest.JPEG(scene, 60)
	fields := told
	fields.Lens = secret
	profile := picturetest.Segment(0xe2, append([]byte("ICC_PROFILE\x00\x01\x01"), icc("RGB ", "Display P3")...))
	jfif := picturetest.Segment(0xe0, append([]byte("JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x01\x12"), strings.Repeat(secret, 3)...))
	photo := picturetest.WithSegments(picturetest.WithEXIF(plain, fields),
		jfif,
		picturetest.Segment(0xe0, []byte("JFXX\x00\x10"+secret)),
		picturetest.Segment(0xe1, []byte("http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta>"+secret)),
		picturetest.Segment(0xe1, []byte("http://ns.adobe.com/xmp/extension/\x00"+secret)),
		picturetest.Segment(0xed, []byte("Photoshop 3.0\x008BIM"+secret)),
		picturetest.Segment(0xe2, []byte("MPF\x00"+secret)),
		picturetest.Segment(0xfe, []byte(secret)),
		picturetest.Segment(0xef, []byte(secret)),
		picturetest.Segment(0xee, []byte("Adobe"+secret)),
		picturetest.Segment(0xf0, []byte(secret)),
		profile)
	photo = append(photo, plain...) // a second picture, of MPF
	photo = append(photo, "\x00\x00\x00\x18ftypmp42"+secret...)

	png := picturetest.WithChunks(picturetest.PNG(scene),
		picturetest.Chunk("eXIf", fields.Write()), picturetest.Chunk("tEXt", []byte("Comment\x00"+secret)),
		picturetest.Chunk("iTXt", []byte("XML:com.adobe.xmp\x00\x00\x00\x00\x00"+secret)), picturetest.Chunk("zTXt", []byte("c\x00\x00"+secret)),
		picturetest.Chunk("tIME", []byte("\x07\xe8\x05\x06\x07\x08\x09")), picturetest.Chunk("prVt", []byte(secret)),
		picturetest.Chunk("gAMA", []byte{0, 0, 0xb1, 0x8f}))
	png = append(png, secret...)

	gif := picturetest.GIF(scene, 2)
	at := bytes.Index(gif, []byte("\x21\xf9"))
	block := func(head string) string { return "\x21" + head + string(rune(len(secret))) + secret + "\x00" }
	gif = []byte(string(gif[:at]) + block("\xfe") + block("\xff\x0bXMP DataXMP") + block("\x01\x0c123456789012") +
		"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00" + string(rune(len(secret))) + secret + "\x00" + string(gif[at:]) + secret)

	lossy := testdata(t, "lossy.webp")
	vp8x := []byte{0x2c, 0, 0, 0, 149, 0, 0, 100, 0, 0}
	webp := picturetest.WebP(picturetest.RIFF("VP8X", vp8x), picturetest.RIFF("ICCP", icc("RGB ", "P3")), lossy[12:],
		picturetest.RIFF("EXIF", fields.Write()), picturetest.RIFF("XMP ", []byte(secret)), picturetest.RIFF("PRIV", []byte(secret)))
	webp = append(webp, secret...)

	animated := testdata(t, "animated.webp")
	i := bytes.Index(animated, []byte("ANMF"))
	size := int(animated[i+4]) | int(animated[i+5])<<8
	frame := append(bytes.Clone(animated[i+8:i+8+size+size&1]), picturetest.RIFF("PRIV", []byte(secret))...)
	moving := picturetest.WebP(animated[12:i], picturetest.RIFF("ANMF", frame), animated[i+8+size+size&1:], picturetest.RIFF("XMP ", []byte(secret)))
	return map[string][]byte{"jpeg": photo, "png": png, "gif": gif, "webp": webp, "webp animated": moving}
}

func TestStrip(t *testing.T) {
	for name, data := range telling(t) {
		before, err := probe(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n := bytes.Count(data, []byte(secret)); n < 2 {
			t.Fatalf("%s has the secret %d times", name, n)
		}
		out := strip(t, data, picture.Keep{})
		if i := bytes.Index(out, []byte(secret)); i >= 0 {
			t.Errorf("%s: the secret still stands at byte %d of %d", name, i, len(out))
		}
		for _, s := range []string{"Plumb", "2024", "47"} {
			if i := bytes.Index(out, []byte(s)); i >= 0 && name != "gif" {
				t.Errorf("%s: %q still stands at byte %d", name, s, i)
			}
		}
		after, err := probe(out)
		if err != nil {
			t.Errorf("%s, stripped: %v", name, err)
			continue
		}
		if after.Width != before.Width || after.Height != before.Height || after.Orientation != before.Orientation || after.Animated != before.Animated || after.HasGPS || after.Make != "" {
			t.Errorf("%s: %+v became %+v", name, before, after)
		}
		if name == "jpeg" || name == "webp" {
			if !bytes.Contains(out, []byte("P3")) || after.Orientation != 6 {
				t.Errorf("%s: its colours or its orientation (%d) are gone", name, after.Orientation)
			}
		}
		if same(t, data) != same(t, out) {
			t.Errorf("%s: its pixels are others", name)
		}
		kept, err := probe(strip(t, data, picture.Keep{Camera: true, Date: true}))
		if err != nil || name != "gif" && name != "webp animated" && (kept.Make != "Plumb" || kept.ISO != 200 || !kept.Taken.Equal(told.Taken) || !kept.TakenZone || kept.HasGPS) {
			t.Errorf("%s keeps %+v, %v", name, kept, err)
		}
	}
	place, err := probe(strip(t, telling(t)["jpeg"], picture.Keep{Place: true}))
	if err != nil || !place.HasGPS || place.Lat != told.Lat || place.Make != "" {
		t.Errorf("where its owner wants it, the place: %+v, %v", place, err)
	}
}

// same is what a picture looks like, by what is made of it.
func same(t *testing.T, data []byte) string {
	t.Helper()
	var out string
	if _, err := picture.Resize(bytes.NewReader(data), int64(len(data)), []picture.Size{{Edge: 1000, Quality: 100}}, picture.Limits{}, func(_ picture.Size, r picture.Resized) error {
		out = string(r.Bytes)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestStripKeepsData: the coded pixels are the same bytes.
func TestStripKeepsData(t *testing.T) {
	plain := picturetest.JPEG(picturetest.Scene(60, 40, 1), 60)
	if out := strip(t, plain, picture.Keep{}); !bytes.Equal(out, plain) {
		t.Error("a JPEG that tells nothing is not the same afterwards")
	}
	photo := telling(t)["jpeg"]
	scan := plain[bytes.Index(plain, []byte("\xff\xda")):]
	if out := strip(t, photo, picture.Keep{Camera: true}); !bytes.HasSuffix(out, scan) {
		t.Error("the scan is not the same bytes up to the end")
	}
	png := picturetest.PNG(picturetest.Scene(60, 40, 1))
	if out := strip(t, png, picture.Keep{}); !bytes.Equal(out, png) {
		t.Error("a PNG that tells nothing is not the same afterwards")
	}
	for _, name := range []string{"lossy.webp", "lossless.webp", "alpha.webp", "animated.webp"} {
		file := testdata(t, name)
		if out := strip(t, file, picture.Keep{}); !bytes.Equal(out, file) {
			t.Errorf("%s that tells nothing is not the same afterwards: %d bytes, %d before", name, len(out), len(file))
		}
	}
	gif := picturetest.GIF(picturetest.Scene(60, 40, 1), 2)
	if out := strip(t, gif, picture.Keep{}); !bytes.Equal(out, gif) {
		t.Error("a GIF that tells nothing is not the same afterwards")
	}
}

func TestCannotBeStripped(t *testing.T) {
	for name, data := range map[string][]byte{
		"heic": testdata(t, "photo.heic"), "avif": testdata(t, "photo.avif"), "text": []byte("no picture at all"),
		"cut":             testdata(t, "gray.jpg")[:2000],
		"needs a new PNG": picturetest.WithChunks(picturetest.PNG(image.NewGray(image.Rect(0, 0, 9, 9))), picturetest.Chunk("NEWC", nil)),
	} {
		var b bytes.Buffer
		if err := picture.Strip(&b, bytes.NewReader(data), int64(len(data)), picture.Keep{}); !errs.Is(err, errs.Invalid) || errs.Message(err) == "" {
			t.Errorf("%s: %v", name, err)
		} else if b.Len() > 0 {
			t.Errorf("%s: %d bytes were written before it was refused", name, b.Len())
		}
	}
	full := errors.New("full")
	data := picturetest.JPEG(picturetest.Scene(400, 400, 1), 95)
	if err := picture.Strip(&filling{4000, full}, bytes.NewReader(data), int64(len(data)), picture.Keep{}); !errors.Is(err, full) {
		t.Errorf("onto a full disk: %v", err)
	}
}

type filling struct {
	left int
	err  error
}

func (f *filling) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, f.err
	}
	return len(p), nil
}
