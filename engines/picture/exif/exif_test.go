package exif

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func full() Fields {
	return Fields{
		Orientation: 6, Taken: time.Date(2024, 5, 6, 7, 8, 9, 0, time.FixedZone("", 2*3600)), TakenZone: true,
		Make: "Plumb", Model: "P 1", Lens: "50 mm f/1.8", Exposure: 1.0 / 125, FNumber: 1.8, ISO: 200, Focal: 50,
		HasGPS: true, Lat: 47.376887, Lon: -8.541694,
	}
}

// near says whether two fields are the same, to the precision of EXIF's fractions.
func near(a, b Fields) bool {
	close := func(x, y float64) bool { return math.Abs(x-y) <= 1e-5*max(math.Abs(x), 1e-3) }
	return a.Orientation == b.Orientation && a.Taken.Equal(b.Taken) && a.TakenZone == b.TakenZone &&
		a.Make == b.Make && a.Model == b.Model && a.Lens == b.Lens && a.ISO == b.ISO &&
		close(a.Exposure, b.Exposure) && close(a.FNumber, b.FNumber) && close(a.Focal, b.Focal) &&
		a.HasGPS == b.HasGPS && math.Abs(a.Lat-b.Lat) < 1e-6 && math.Abs(a.Lon-b.Lon) < 1e-6
}

func TestThereAndBack(t *testing.T) {
	if got := Read(full().Write()); !near(got, full()) {
		t.Errorf("got %+v, want %+v", got, full())
	}
	if b := (Fields{Orientation: 1}).Write(); b != nil {
		t.Errorf("nothing to tell takes %d bytes", len(b))
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[A-Za-z0-9éß/.]{0,40}`)
		f := Fields{
			Orientation: rapid.SampledFrom([]int{0, 2, 3, 4, 5, 6, 7, 8}).Draw(t, "orientation"),
			Make:        text.Draw(t, "make"), Model: text.Draw(t, "model"), Lens: text.Draw(t, "lens"),
			Exposure: rapid.SampledFrom([]float64{0, 1.0 / 8000, 1.0 / 60, 0.3, 1, 2.5, 30}).Draw(t, "exposure"),
			FNumber:  rapid.SampledFrom([]float64{0, 1.2, 2, 5.6, 22}).Draw(t, "f"),
			Focal:    rapid.Float64Range(1, 3000).Draw(t, "focal"),
			ISO:      rapid.IntRange(0, 65534).Draw(t, "iso"),
		}
		if rapid.Bool().Draw(t, "taken") {
			zone := time.UTC
			if f.TakenZone = rapid.Bool().Draw(t, "zoned"); f.TakenZone {
				zone = time.FixedZone("", rapid.IntRange(-14*4, 14*4).Draw(t, "zone")*900)
			}
			f.Taken = time.Date(rapid.IntRange(1990, 2100).Draw(t, "year"), 3, rapid.IntRange(1, 31).Draw(t, "day"), 23, 59, 58, 0, zone)
		}
		if f.HasGPS = rapid.Bool().Draw(t, "gps"); f.HasGPS {
			f.Lat, f.Lon = rapid.Float64Range(-90, 90).Draw(t, "lat"), rapid.Float64Range(0.001, 180).Draw(t, "lon")
		}
		b := f.Write()
		if got := Read(b); !near(got, f) {
			t.Fatalf("got %+v, want %+v", got, f)
		}
		for n := range b { // cut anywhere, it tells less, and what it tells is true
			got := Read(b[:n])
			if got.HasGPS && math.Abs(got.Lat-f.Lat) > 1e-6 || got.Orientation != 0 && got.Orientation != f.Orientation {
				t.Fatalf("cut after %d: %+v", n, got)
			}
		}
	})
}

// ifd makes a structure of one directory of 12-byte entries, big-endian.
func ifd(entries ...string) []byte {
	b := []byte("MM\x00*\x00\x00\x00\x08")
	b = binary.BigEndian.AppendUint16(b, uint16(len(entries)))
	for _, e := range entries {
		b = append(b, e...)
	}
	return append(b, 0, 0, 0, 0)
}

// TestLies: a field that cannot be true is left out, and others are read.
func TestLies(t *testing.T) {
	good := "\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00" // orientation 6
	for name, b := range map[string][]byte{
		"make beyond the end":     ifd("\x01\x0f\x00\x02\x00\x00\x00\x20\x7f\xff\xff\xff", good),
		"make of 4 GB":            ifd("\x01\x0f\x00\x02\xff\xff\xff\xff\x00\x00\x00\x08", good),
		"make as numbers":         ifd("\x01\x0f\x00\x05\x00\x00\x00\x01\x00\x00\x00\x00", good),
		"make that is not UTF-8":  ifd("\x01\x0f\x00\x02\x00\x00\x00\x03\xff\xfe\x00\x00", good),
		"a type that is unknown":  ifd("\x01\x0f\x00\x63\x00\x00\x00\x01\x00\x00\x00\x00", good),
		"type 0":                  ifd("\x01\x0f\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00", good),
		"none of a value":         ifd("\x01\x0f\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00", good),
		"a directory in itself":   ifd("\x87\x69\x00\x04\x00\x00\x00\x01\x00\x00\x00\x08", "\x88\x25\x00\x04\x00\x00\x00\x01\x00\x00\x00\x08", good),
		"a directory at 0":        ifd("\x87\x69\x00\x04\x00\x00\x00\x01\x00\x00\x00\x00", good),
		"a directory at the end":  ifd("\x87\x69\x00\x04\x00\x00\x00\x01\xff\xff\xff\xff", good),
		"more entries than there": append([]byte("MM\x00*\x00\x00\x00\x08\xff\xff"), good...),
	} {
		if got := Read(b); got != (Fields{Orientation: 6}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for name, e := range map[string]string{
		"orientation 9":     "\x01\x12\x00\x03\x00\x00\x00\x01\x00\x09\x00\x00",
		"orientation 0":     "\x01\x12\x00\x03\x00\x00\x00\x01\x00\x00\x00\x00",
		"orientation as -1": "\x01\x12\x00\x09\x00\x00\x00\x01\xff\xff\xff\xff",
		"orientation text":  "\x01\x12\x00\x02\x00\x00\x00\x02\x36\x00\x00\x00",
	} {
		if got := Read(ifd(e)); got != (Fields{}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := Read(ifd("\x01\x12\x00\x04\x00\x00\x00\x01\x00\x00\x00\x03")); got.Orientation != 3 {
		t.Errorf("orientation as a long number, which some write: %+v", got)
	}
	for _, b := range []string{"", "II*\x00", "II*\x00\xff\xff\xff\xff", "MM\x00*\x00\x00\x00\x00", "XX*\x00\x08\x00\x00\x00\x00\x00"} {
		if got := Read([]byte(b)); got != (Fields{}) {
			t.Errorf("%q: %+v", b, got)
		}
	}
}

func TestTimesThatNoCameraSaw(t *testing.T) {
	for _, c := range []struct {
		s, zone string
		want    string
	}{
		{"2024:05:06 07:08:09", "", "2024-05-06T07:08:09Z"},
		{"2024:05:06 07:08:09", "+02:00", "2024-05-06T07:08:09+02:00"},
		{"2024:05:06 07:08:09", "-09:30", "2024-05-06T07:08:09-09:30"},
		{"2024:05:06 07:08:09", "+27:00", "2024-05-06T07:08:09Z"},
		{"2024:05:06 07:08:09", "zone", "2024-05-06T07:08:09Z"},
		{"1965:07:01 12:00:00", "", "1965-07-01T12:00:00Z"}, // a slide that was scanned
		{"1980:06:01 12:00:00", "", "1980-06-01T12:00:00Z"},
		{s: "0000:00:00 00:00:00"}, {s: "0000:01:01 00:00:00"}, {s: "    :  :     :  :  "}, {s: ""},
		{s: "1970:01:01 00:00:00"}, {s: "1970:03:04 05:06:07"}, {s: "1980:01:01 00:03:00"},
		{s: "2024:13:06 07:08:09"}, {s: "2024:02:30 07:08:09"}, {s: "2024:05:06 25:08:09"},
		{s: "9999:12:31 23:59:59"}, {s: "2024-05-06T07:08:09Z"}, {s: "yesterday"},
	} {
		at, zoned, ok := instant(c.s, c.zone)
		got := ""
		if ok {
			got = at.Format(time.RFC3339)
		}
		if got != c.want || zoned != (ok && !strings.HasSuffix(c.want, "Z")) {
			t.Errorf("%q %q: %q, zoned %v, want %q", c.s, c.zone, got, zoned, c.want)
		}
	}
}

func TestPlacesThatAreNone(t *testing.T) {
	place := func(change func(*Fields)) Fields {
		f := Fields{HasGPS: true, Lat: 10, Lon: 20}
		change(&f)
		return Read(f.Write())
	}
	for name, change := range map[string]func(*Fields){
		"beyond a pole":      func(f *Fields) { f.Lat = 91 },
		"beyond 180 degrees": func(f *Fields) { f.Lon = 181 },
		"no fix":             func(f *Fields) { f.Lat, f.Lon = 0, 0 },
	} {
		if got := place(change); got.HasGPS || got.Lat != 0 || got.Lon != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := place(func(f *Fields) { f.Lat = -90 }); !got.HasGPS || got.Lat != -90 {
		t.Errorf("the south pole: %+v", got)
	}
	b := Fields{HasGPS: true, Lat: 10.5, Lon: 20}.Write()
	text := string(b)
	for old, new := range map[string]string{
		"\x0a\x00\x00\x00\x01\x00\x00\x00": "\x0a\x00\x00\x00\x00\x00\x00\x00", // 10/0
		"N\x00\x00\x00":                    "Q\x00\x00\x00",
	} {
		if strings.Count(text, old) != 1 {
			t.Fatalf("%q is not there once", old)
		}
		if got := Read([]byte(strings.Replace(text, old, new, 1))); got.HasGPS {
			t.Errorf("%q: %+v", new, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(full().Write())
	f.Add(ifd("\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := Read(b)
		if got.Orientation < 0 || got.Orientation > 8 || len(got.Make) > maxText*3 || math.IsNaN(got.Lat) || math.Abs(got.Lat) > 90 || math.Abs(got.Lon) > 180 {
			t.Fatalf("%+v", got)
		}
		if again := Read(got.Write()); again.HasGPS != got.HasGPS && !(math.Abs(got.Lat) < 1e-6 && math.Abs(got.Lon) < 1e-6) || again.Make != got.Make || !again.Taken.Equal(got.Taken) {
			t.Fatalf("%+v comes back as %+v", got, again)
		}
	})
}

func ExampleRead() {
	f := Read(Fields{Orientation: 6, Make: "Plumb", HasGPS: true, Lat: 47.4, Lon: 8.5}.Write())
	fmt.Println(f.Make, f.Orientation, f.Lat, f.Lon)
	// Output: Plumb 6 47.4 8.5
}

func BenchmarkRead(b *testing.B) {
	data := full().Write()
	b.ReportAllocs()
	for b.Loop() {
		Read(data)
	}
}
