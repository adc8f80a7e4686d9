package picture_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"image"
	"runtime"
	"strings"
	"testing"

	"plumb/base/errs"
	"plumb/engines/picture"
	"plumb/engines/picture/picturetest"
)

func pngOf(w, h int, kind ...byte) []byte {
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(w)), uint32(h))
	head = append(head, kind...) // depth, colour, compression, filter, interlace
	var z bytes.Buffer
	zw := zlib.NewWriter(&z)
	zw.Write(make([]byte, 1000)) //nolint:errcheck // memory
	zw.Close()
	return bytes.Join([][]byte{[]byte("\x89PNG\r\n\x1a\n"), picturetest.Chunk("IHDR", head),
		picturetest.Chunk("IDAT", z.Bytes()), picturetest.Chunk("IEND", nil)}, nil)
}

// jpegOf changes the size that a small file of testdata says.
func jpegOf(t testing.TB, name string, marker string, w, h int) []byte {
	b := bytes.Clone(testdata(t, name))
	i := bytes.Index(b, []byte(marker))
	binary.BigEndian.PutUint16(b[i+5:], uint16(h))
	binary.BigEndian.PutUint16(b[i+7:], uint16(w))
	return b
}

func gifOf(w, h int) []byte {
	b := picturetest.GIF(image.NewGray(image.Rect(0, 0, 1, 1)), 1)
	binary.LittleEndian.PutUint16(b[6:], uint16(w))
	binary.LittleEndian.PutUint16(b[8:], uint16(h))
	return b
}

// vp8l is a lossless WebP of a few bytes, each of whose pixels takes none.
func vp8l(w, h int) []byte {
	bits := uint32(w-1) | uint32(h-1)<<14
	body := append([]byte{0x2f}, binary.LittleEndian.AppendUint32(nil, bits)...)
	return picturetest.WebP(picturetest.RIFF("VP8L", append(body, make([]byte, 40)...)))
}

// manyScans repeats the first scan.
func manyScans(t testing.TB, n int) []byte {
	b := testdata(t, "gray-progressive.jpg")
	from := bytes.Index(b, []byte("\xff\xda"))
	to := from + 2 + bytes.Index(b[from+2:], []byte("\xff\xc4"))
	return bytes.Join([][]byte{b[:from], bytes.Repeat(b[from:to], n), b[from:]}, nil)
}

// took is how much memory f took, all in all.
func took(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// TestBombs: small files that ask for much are refused before it is taken.
func TestBombs(t *testing.T) {
	var zeros bytes.Buffer
	z := zlib.NewWriter(&zeros)
	for range 100 {
		z.Write(make([]byte, 1<<20)) //nolint:errcheck // memory
	}
	z.Close()
	texts := picturetest.WithChunks(picturetest.PNG(picturetest.Scene(8, 8, 1)),
		picturetest.Chunk("zTXt", append([]byte("Comment\x00\x00"), zeros.Bytes()...)),
		picturetest.Chunk("iTXt", append([]byte("XML:com.adobe.xmp\x00\x01\x00\x00\x00"), zeros.Bytes()...)),
		picturetest.Chunk("iCCP", append([]byte("x\x00\x00"), zeros.Bytes()...)))
	for name, c := range map[string]struct {
		data []byte
		kind errs.Kind // "": it is harmless, and made smaller
		want string
	}{
		"PNG of 60,000 x 60,000":        {pngOf(60_000, 60_000, 8, 2, 0, 0, 0), errs.TooLarge, "3600 million"},
		"PNG of 2^31-1 wide":            {pngOf(1<<31-1, 1<<31-1, 8, 2, 0, 0, 0), errs.TooLarge, "a side may have"},
		"PNG of 14,000 x 14,000":        {pngOf(14_000, 14_000, 8, 2, 0, 0, 0), errs.TooLarge, "MB to decode"},
		"PNG of 8,000 x 8,000":          {pngOf(8_000, 8_000, 8, 2, 0, 0, 0), errs.Invalid, "bytes of data"},
		"PNG, 16 bits, interlaced":      {pngOf(6_000, 6_000, 16, 6, 0, 0, 1), errs.TooLarge, "MB to decode"},
		"texts of 100 MB in a PNG":      {texts, "", ""},
		"GIF of 65,535 x 65,535":        {gifOf(65_535, 65_535), errs.TooLarge, "a side may have"},
		"GIF of 14,000 x 14,000":        {gifOf(14_000, 14_000), errs.Invalid, "bytes of data"},
		"JPEG of 65,535 x 65,535":       {jpegOf(t, "restart.jpg", "\xff\xc0", 65_535, 65_535), errs.TooLarge, "a side may have"},
		"JPEG of 14,000 x 14,000":       {jpegOf(t, "restart.jpg", "\xff\xc0", 14_000, 14_000), errs.Invalid, "bytes of data"},
		"progressive JPEG, as large":    {jpegOf(t, "progressive.jpg", "\xff\xc2", 14_000, 14_000), errs.Invalid, "bytes of data"},
		"WebP, lossless, 16,384 square": {vp8l(16_384, 16_384), errs.TooLarge, "268 million"},
		"WebP, lossless, 14,000 square": {vp8l(14_000, 14_000), errs.TooLarge, "MB to decode"},
		"a thousand scans":              {manyScans(t, 1000), errs.Invalid, "more than 100 scans"},
	} {
		var err error
		bytes := took(func() {
			r := strings.NewReader(string(c.data))
			_, err = picture.Resize(r, r.Size(), []picture.Size{{Edge: 1000}, {Edge: 100}}, picture.Limits{}, func(picture.Size, picture.Resized) error { return nil })
		})
		bytes -= int64(len(c.data))
		if c.kind == "" && err != nil || c.kind != "" && (!errs.Is(err, c.kind) || !strings.Contains(errs.Message(err), c.want)) {
			t.Errorf("%s: %v, want %s with %q", name, err, c.kind, c.want)
		}
		if bytes > 2<<20 {
			t.Errorf("%s of %d bytes took %d", name, len(c.data), bytes)
		}
		for what, f := range map[string]func() error{
			"probed": func() error { _, err := probe(c.data); return err },
			"stripped": func() error {
				return picture.Strip(discard{}, strings.NewReader(string(c.data)), int64(len(c.data)), picture.Keep{})
			},
		} {
			if bytes := took(func() { f() }) - int64(len(c.data)); bytes > 256<<10 { //nolint:errcheck // either way
				t.Errorf("%s of %d bytes, %s, took %d", name, len(c.data), what, bytes)
			}
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// TestMemory: what decoding takes grows with rows, or stays within what is said.
func TestMemory(t *testing.T) {
	scene := picturetest.Scene(2400, 1800, 1)
	data := picturetest.JPEG(scene, 85)
	bytes := took(func() { resize(t, data, picture.Size{Edge: 300}) })
	// The result, decoded here again, and its planes; not the 13 MB of pixels.
	if bytes > 3<<20 {
		t.Errorf("a small size of %d million pixels took %d bytes", 2400*1800/1_000_000, bytes)
	}
}
