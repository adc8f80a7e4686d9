package plan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/engines/forecast"
	"plumb/engines/picture"
	"plumb/engines/picture/exif"
	"plumb/engines/picture/picturetest"
)

var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// tree makes a folder of files.
func tree(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func photo(seed uint64, w, h int) []byte {
	return picturetest.JPEG(picturetest.Scene(w, h, seed), 85)
}

func taken(file []byte, when time.Time) []byte {
	return picturetest.WithEXIF(file, exif.Fields{Taken: when})
}

// thumbs is what the room's sizes of a photo take.
func thumbs(t testing.TB, file []byte) float64 {
	t.Helper()
	sum := 0
	_, err := picture.Resize(bytes.NewReader(file), int64(len(file)), sizes, picture.DefaultLimits, func(_ picture.Size, p picture.Resized) error {
		sum += len(p.Bytes)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return float64(sum)
}

func TestACalibrationMeasuresWhatTheFolderHas(t *testing.T) {
	a, b, c := photo(1, 600, 400), photo(2, 480, 320), picturetest.PNG(picturetest.Scene(300, 200, 3))
	heicFile, err := os.ReadFile("../../../engines/picture/testdata/photo.heic")
	if err != nil {
		t.Fatal(err)
	}
	tiff := append([]byte("II*\x00"), bytes.Repeat([]byte("light "), 20_000)...) // compresses well
	dir := tree(t, map[string][]byte{
		"a.jpg": a, "2024/again.JPG": a, "named.png": b, "c": c, "d.heic": heicFile, "e.nef": tiff, "f.tif": append([]byte("MM\x00*"), tiff[4:]...),
		"g.gif": picturetest.GIF(picturetest.Scene(64, 64, 4), 2), "film.mov": append([]byte("\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00qt  "), make([]byte, 5000)...),
		"notes.txt": []byte("no photo"), "empty": nil,
		"cut.jpg": a[:len(a)/2], "broken.png": append(bytes.Clone(c[:60]), c[61:]...),
	})
	s, err := Measure(t.Context(), dir, day, nil)
	if err != nil {
		t.Fatal(err)
	}
	count := func(f format) int64 { return s.Formats[f].N }
	if s.Photos != 8 || count(jpeg) != 3 || count(png) != 1 || count(heic) != 1 || count(raw) != 1 || count(loose) != 1 || count(web) != 1 || s.Videos.N != 1 || s.Files != 2 {
		t.Errorf("%+v", s)
	}
	bytesOf := float64(2*len(a) + len(b) + len(c) + len(heicFile) + 2*len(tiff) + fileSize(t, filepath.Join(dir, "g.gif")))
	if float64(s.Bytes) != bytesOf || !near(s.Formats[jpeg].Mean(), float64(2*len(a)+len(b))/3, 1e-12) {
		t.Errorf("%d bytes, made %g; a JPEG has %g", s.Bytes, bytesOf, s.Formats[jpeg].Mean())
	}
	if !near(s.SameBytes, float64(len(a))/bytesOf, 1e-9) {
		t.Errorf("equal %g, made %g", s.SameBytes, float64(len(a))/bytesOf)
	}
	// Of what is left, the two TIFFs compress to nearly nothing, and nothing else does.
	if want := 2 * float64(len(tiff)) / (bytesOf - float64(len(a))); s.Compression < 0.95*want || s.Compression > want {
		t.Errorf("compression %g, made at most %g", s.Compression, want)
	}
	want := (thumbs(t, a) + thumbs(t, b) + thumbs(t, c) + thumbs(t, mustRead(t, filepath.Join(dir, "g.gif"))))
	resizable := int64(4) // each once, though a came twice
	if _, err := picture.Resize(bytes.NewReader(heicFile), int64(len(heicFile)), sizes, picture.DefaultLimits, func(picture.Size, picture.Resized) error { return nil }); err == nil {
		want, resizable = want+thumbs(t, heicFile), 5
	}
	if s.Thumbnails.N != resizable || !near(s.Thumbnails.Mean(), want/float64(resizable), 1e-9) || s.ThumbnailOf.N != resizable {
		t.Errorf("thumbnails %+v, by hand %g of %d", s.Thumbnails, want, resizable)
	}
	if s.Walk.Skipped != 2 || !strings.Contains(s.String(), "cut.jpg") || !strings.Contains(s.String(), "broken.png") || !strings.Contains(s.String(), "cut off") {
		t.Errorf("what is broken is not named:\n%s", s)
	}
	again, err := Measure(t.Context(), dir, day, nil)
	s.ThumbnailOf, again.ThumbnailOf = Spread{}, Spread{} // processor time differs
	if err != nil || again.SameBytes != s.SameBytes || again.Thumbnails.Mean() != s.Thumbnails.Mean() || again.Bytes != s.Bytes {
		t.Errorf("the same folder gives other figures:\n%v\n%v", s, again)
	}
}

func fileSize(t *testing.T, path string) int { return len(mustRead(t, path)) }

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestACalibrationSetsInputsAndMarksThem through to the result of a plan.
func TestACalibrationSetsInputsAndMarksThem(t *testing.T) {
	files := map[string][]byte{}
	base := photo(1, 96, 64)
	for year := 2023; year <= 2025; year++ {
		for month := 1; month <= 12; month++ {
			n := 4
			if month == 7 {
				n = 12
			}
			for i := range n {
				when := time.Date(year, time.Month(month), 1+i, 10, i, 0, 0, time.UTC)
				files[fmt.Sprintf("%d-%d-%d.jpg", year, month, i)] = taken(base, when)
			}
		}
	}
	files["1970.jpg"], files["2090.jpg"] = taken(base, time.Date(1970, 1, 1, 1, 0, 0, 0, time.UTC)), taken(base, time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC))
	s, err := Measure(t.Context(), tree(t, files), day, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Dated != 3*56 || len(s.Months) != 36 || s.Months[6] != (Month{2023, 7, 12}) {
		t.Errorf("%d dated, %v", s.Dated, s.Months)
	}
	in := s.Inputs()
	// The plan begins in March: July is its fifth month. 56 photos a year are 4.667 a month.
	if got := in["season"].Range; got != "cycle(0.857, 0.857, 0.857, 0.857, 2.57, 0.857, 0.857, 0.857, 0.857, 0.857, 0.857, 0.857)" {
		t.Errorf("season %s", got)
	}
	if got := in["photos_per_user"].Range; !strings.HasPrefix(got, "samples(4, 4, 4, 4, 4, 4, 12, 4,") || strings.Count(got, ",") != 35 {
		t.Errorf("photos a month %s", got)
	}
	if in["mix_jpeg"].Range != "beta(170.5, 0.5, 0, 100) %" || in["mix_raw"].Range != "beta(0.5, 170.5, 0, 100) %" {
		t.Errorf("mix %v, %v", in["mix_jpeg"], in["mix_raw"])
	}
	if _, ok := in["size_raw"]; ok {
		t.Error("the size of RAW files was measured where there are none")
	}
	m, err := Model().WithMeasured(in)
	if err != nil {
		t.Fatal(err)
	}
	r := with(t, compiled(t, m), forecast.Options{Samples: 500, Seed: 1})
	for _, u := range r.Inputs {
		if _, measured := in[u.Name]; u.Measured != measured {
			t.Errorf("%s: measured %v", u.Name, u.Measured)
		} else if measured && (!strings.Contains(u.From, s.Folder) || !strings.Contains(u.From, "1 March 2026") || !strings.Contains(u.From, "photos")) {
			t.Errorf("%s: from %q", u.Name, u.From)
		}
		if u.Name == "thumbnail_bytes" && !near(u.P50, thumbs(t, base)/1000, 0.02) {
			t.Errorf("thumbnails %g kB, by hand %g", u.P50, thumbs(t, base)/1000)
		}
	}
	if size := float64(len(files["2023-1-0.jpg"])) / 1e6; in["size_jpeg"].Range != fmt.Sprintf("%.4g MB/photo", size) || in["size_now"].Range != in["size_jpeg"].Range {
		t.Errorf("a photo has %s, made %g MB", in["size_jpeg"].Range, size)
	}
}

func TestTooFewMonthsSayNothingOfSeasons(t *testing.T) {
	s := Sample{At: day, Photos: 500, Dated: 500}
	for i := range 23 {
		s.Months = append(s.Months, Month{2024 + i/12, time.Month(1 + i%12), 20})
	}
	if _, ok := s.Inputs()["season"]; ok {
		t.Error("23 months made a season")
	}
	if _, ok := s.Inputs()["photos_per_user"]; !ok {
		t.Error("23 months do not say how many photos there are in one")
	}
	s.Months = append(s.Months, Month{2025, 12, 20})
	if in, ok := s.Inputs()["season"]; !ok || strings.Count(in.Range, "1,") != 11 {
		t.Errorf("two even years: %v", in)
	}
	s.Dated, s.Months = 119, s.Months[:5]
	if in := s.Inputs(); in["photos_per_user"].Range != "" {
		t.Errorf("five months: %v", in["photos_per_user"])
	}
}

func TestSharesAndMeansSayHowSureTheyAre(t *testing.T) {
	for _, c := range []struct {
		k, n      int64
		low, high float64
	}{{50, 100, 41.8, 58.2}, {500, 1000, 47.4, 52.6}, {1, 1000, 0.02, 0.46}} {
		rg, _, err := forecast.ParseRange(share(c.k, c.n), nil)
		if err != nil || math.Abs(rg.Quantile(0.05)-c.low) > 0.1 || math.Abs(rg.Quantile(0.95)-c.high) > 0.1 {
			t.Errorf("%d of %d: %s, %v; want %g to %g", c.k, c.n, share(c.k, c.n), err, c.low, c.high)
		}
	}
	if share(0, 1000) != "0 %" || share(1000, 1000) != "100 %" || share(0, 9) != "beta(0.5, 9.5, 0, 100) %" || band(3, 0) != "3" {
		t.Error(share(0, 1000), share(1000, 1000), share(0, 9), band(3, 0))
	}
	rg, _, err := forecast.ParseRange(band(100, 10), nil)
	if err != nil || math.Abs(rg.Quantile(0.95)-117.8) > 0.3 || math.Abs(rg.Quantile(0.05)-84.9) > 0.3 {
		t.Errorf("%s: %v", band(100, 10), err)
	}
}

func TestFormatsAreToldByBytes(t *testing.T) {
	box := func(brands string) string {
		return string([]byte{0, 0, 0, byte(16 + len(brands) - 4)}) + "ftyp" + brands[:4] + "\x00\x00\x00\x00" + brands[4:]
	}
	for head, want := range map[string]format{
		"\xff\xd8\xff\xe1": jpeg, "\x89PNG\r\n\x1a\n": png, "GIF89a": web, "RIFF\x00\x00\x00\x00WEBPVP8 ": web, "RIFF\x00\x00\x00\x00AVI LIST": video,
		box("heicmif1heic"): heic, box("mif1heic"): heic, box("avifmif1"): heic, box("crx crx isom"): raw, box("isomiso2avc1"): video, box("qt  qt  "): video, box("msf1heic"): heic,
		"II*\x00\x10\x00\x00\x00CR\x02": raw, "FUJIFILMCCD-RAW": raw, "II*\x00": loose, "MM\x00*": loose, "": other, "%PDF": other, "\x00\x00\x00\x14ftyp": other, "\xff\xd8": other, "\x1aE\xdf\xa3": video,
	} {
		if got := tellFormat([]byte(head), "x"); got != want {
			t.Errorf("%q is %d, want %d", head, got, want)
		}
	}
	if tellFormat([]byte("II*\x00"), "/a/IMG.NEF") != raw || tellFormat([]byte("%PDF"), "x.nef") != other {
		t.Error("names")
	}
}

func TestAFolderWithoutPhotosIsRefused(t *testing.T) {
	file := filepath.Join(tree(t, map[string][]byte{"f": {1}}), "f")
	for _, dir := range []string{t.TempDir(), tree(t, map[string][]byte{"notes": []byte("text"), "cut.jpg": photo(1, 99, 99)[:500]}), filepath.Join(t.TempDir(), "none"), file, ""} {
		if _, err := Measure(t.Context(), dir, day, nil); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "--calibrate") {
			t.Errorf("%q: %v", dir, err)
		}
	}
}

func TestACalibrationCanBeStoppedAndTellsHowFarItIs(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	files := map[string][]byte{}
	for i := range 20 {
		files[fmt.Sprint(i)] = photo(uint64(i), 200, 100)
	}
	told := 0
	_, err := Measure(ctx, tree(t, files), day, func(s Sample) {
		if told++; s.Bytes == 0 {
			t.Errorf("%+v", s)
		}
		cancel()
	})
	if !errors.Is(err, context.Canceled) || told != 1 {
		t.Errorf("%v after %d", err, told)
	}
}

// TestManyPhotosTakeBoundedMemoryAndTime: far more photos than are made smaller.
func TestManyPhotosTakeBoundedMemoryAndTime(t *testing.T) {
	files, base := map[string][]byte{}, photo(1, 32, 24)
	for i := range 2000 {
		files[fmt.Sprintf("%d/%d.jpg", i%50, i)] = picturetest.WithEXIF(base, exif.Fields{Model: fmt.Sprint(i)})
	}
	dir := tree(t, files)
	files = nil
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s, err := Measure(t.Context(), dir, day, nil)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if err != nil || s.Photos != 2000 || s.Thumbnails.N > mostResized || s.Thumbnails.N < mostResized/3 {
		t.Errorf("%d photos, %d made smaller, %v", s.Photos, s.Thumbnails.N, err)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("%d bytes are held", grown)
	}
	if !near(s.Thumbnails.Mean(), thumbs(t, base), 0.01) {
		t.Errorf("thumbnails of %g bytes, each has %g", s.Thumbnails.Mean(), thumbs(t, base))
	}
}

func BenchmarkMeasure(b *testing.B) {
	file := photo(1, 2400, 1600)
	dir := tree(b, map[string][]byte{"a.jpg": file, "b.jpg": append(bytes.Clone(file), 0)})
	b.SetBytes(2 * int64(len(file)))
	for b.Loop() {
		if _, err := Measure(b.Context(), dir, day, nil); err != nil {
			b.Fatal(err)
		}
	}
}
