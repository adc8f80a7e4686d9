package photos

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"plumb/base/clock"
	"plumb/engines/picture"
)

func FuzzCursor(f *testing.F) {
	f.Add(spot{1 << 40, "019cb8b8-1e00-700a-b34f-be8b400b8d25"}.String())
	f.Add(spot{-5, ""}.String())
	f.Add("!!")
	f.Fuzz(func(t *testing.T, text string) {
		sp, err := readSpot(text)
		if err != nil {
			return
		}
		if again, err := readSpot(sp.String()); err != nil || again != sp {
			t.Errorf("%q: %v, %v, %v", text, sp, again, err)
		}
	})
}

func FuzzWords(f *testing.F) {
	for _, s := range []string{"Sunset at the harbour", "Ein Café, spät", "東京タワー", "a%b_c\\d", "\xff\xfe", "ﷺﷺ", strings.Repeat("x", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := Photo{Name: text, Caption: text, Camera: text, Lens: text, Place: text}
		index := p.index()
		if len(index) > mostWords || !utf8.ValidString(index) {
			t.Errorf("%d bytes of words, valid: %v", len(index), utf8.ValidString(index))
		}
		patterns, err := asked(0, text)
		for _, like := range patterns {
			word := like[len("% _") : len(like)-1]
			if word == "" || strings.ContainsAny(word, `%_\ `) {
				t.Errorf("%q is no word", word)
			}
			// What a text says is found by it, unless the row holds too little of it.
			if len(index) < mostWords/2 && !strings.Contains(index, " "+string(markPlace)+word) {
				t.Errorf("%q is not found in %q", word, index)
			}
		}
		_ = err // a text without words
	})
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"IMG_1.JPG", "../../etc/passwd", `C:\photos\a.jpg`, "\u202egpj.exe", "a\x00b", strings.Repeat("é", 200), ".", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name := cleanName(text)
		if len(name) > MaxName || !utf8.ValidString(name) || strings.ContainsAny(name, "/\\\x00\n\u202e") {
			t.Errorf("%q became %q", text, name)
		}
		for _, size := range Sizes {
			if sized := sizedName(name, size.Name, picture.PNG); len(sized) > MaxName || !utf8.ValidString(sized) {
				t.Errorf("%q became %q", text, sized)
			}
		}
		used := map[string]bool{}
		for range 3 {
			if file := fileName(photoOut{Name: text}, Original, used); file == "" || file == "." || file == ".." || strings.ContainsAny(file, "/\\") {
				t.Errorf("%q became the file %q", text, file)
			}
		}
	})
}

// Whatever comes, it is described or refused: no text of it breaks a row, no time a list.
func FuzzDescribe(f *testing.F) {
	f.Add(photograph(1), "IMG_1.JPG")
	f.Add(lying(), "x")
	f.Add(plainPNG(), "y")
	f.Add(hugePNG(60_000, 60_000), "")
	f.Add([]byte("GIF89a"), "z")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, body []byte, name string) {
		s := &System{c: Defaults(), n: Needs{Clock: clock.NewManual(noon)}, spools: newSpooler(dir)}
		sp, err := s.spools.read(t.Context(), bytes.NewReader(body), 1<<20)
		if err != nil {
			return
		}
		defer sp.Close()
		p, err := s.describe(Person{ID: "ada"}, sp, UploadOptions{Name: name, Size: -1})
		if err != nil {
			return
		}
		for _, text := range []string{p.Name, p.Camera, p.Lens, p.Exposure, p.Place, p.Type} {
			if !utf8.ValidString(text) || strings.ContainsRune(text, 0) || len(text) > MaxName {
				t.Errorf("%q cannot be kept", text)
			}
		}
		if p.Width < 1 || p.Height < 1 || p.Width*p.Height > s.c.MaxPixels || !plausible(p.Taken, noon) || p.HasPlace && !(p.Lat >= -90 && p.Lat <= 90 && p.Lon >= -180 && p.Lon <= 180) {
			t.Errorf("%+v", p)
		}
		micros, zone := unwall(p.Taken)
		if !wall(micros, zone).Equal(p.Taken.Truncate(time.Minute)) && !wall(micros, zone).Equal(p.Taken) {
			t.Errorf("%v became %v", p.Taken, wall(micros, zone))
		}
	})
}
