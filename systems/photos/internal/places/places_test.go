package places

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

func TestKnownPositions(t *testing.T) {
	for _, c := range []struct {
		what     string
		lat, lon float64
		want     string // name, code
		km       float64
	}{
		{"Eiffel Tower", 48.8584, 2.2945, "Paris FR", 4.0},
		{"Brandenburg Gate", 52.5163, 13.3777, "Berlin DE", 2.4},
		{"Coit Tower", 37.8024, -122.4058, "San Francisco US", 3.1},
		{"Sydney Opera House", -33.8568, 151.2153, "Sydney AU", 1.3},
		{"Taj Mahal", 27.1751, 78.0421, "Agra IN", 3},
		{"Versailles", 48.8049, 2.1204, "Versailles FR", 1},
		{"Rio, Christ", -22.9519, -43.2105, "Rio de Janeiro BR", 5.5},
		{"Suva", -18.1416, 178.4415, "Suva FJ", 0.1},
		{"Longyearbyen", 78.2232, 15.6469, "Longyearbyen SJ", 0.1},
		{"Ushuaia", -54.8019, -68.3030, "Ushuaia AR", 0.5},
	} {
		p, km, ok := Nearest(c.lat, c.lon)
		if got := p.Name + " " + p.Code; !ok || got != c.want || math.Abs(km-c.km) > 1.2 {
			t.Errorf("%s: %s, %.1f km, %v; want %s, about %.1f km", c.what, got, km, ok, c.want, c.km)
		}
	}
	p, _, _ := Nearest(48.8584, 2.2945)
	if p.Region != "Île-de-France" || p.Country != "France" {
		t.Errorf("%+v", p)
	}
}

func TestNowhere(t *testing.T) {
	for _, c := range [][2]float64{
		{0, -140}, {90, 0}, {-90, 77}, {89.99, 179.99}, {-75, 0}, {30, -45},
		{91, 0}, {math.NaN(), 0}, {0, math.NaN()}, {math.Inf(1), 0}, {0, math.Inf(-1)}, {0, 400},
	} {
		if p, km, ok := Nearest(c[0], c[1]); ok {
			t.Errorf("%v: %+v, %.0f km", c, p, km)
		}
	}
}

// haversine is the distance in km by another formula, in float64.
func haversine(lat1, lon1, lat2, lon2 float64) float64 {
	const rad = math.Pi / 180
	a := math.Pow(math.Sin((lat2-lat1)*rad/2), 2) + math.Cos(lat1*rad)*math.Cos(lat2*rad)*math.Pow(math.Sin((lon2-lon1)*rad/2), 2)
	return 2 * earth * math.Asin(math.Sqrt(min(1, a)))
}

// brute looks at every town.
func brute(a *atlas, lat, lon float64) (least, km float64) {
	least, km = math.Inf(1), -1.0
	for i := range a.lat {
		if math.Abs(float64(a.lat[i])/1000-lat) > 0.5 {
			continue // further than 50 km, whatever the longitude
		}
		d := haversine(lat, lon, float64(a.lat[i])/1000, float64(a.lon[i])/1000)
		r := 2 * earth * math.Asin(math.Sqrt(float64(a.reach[i]))/2)
		if score := d*d - r*r; d <= Within && score < least {
			least, km = score, d
		}
	}
	return least, km
}

// The grid finds what a look at every town finds, also at the date line, near the
// poles, on the borders of cells, and for longitudes that are written otherwise.
func TestGridAgainstEveryTown(t *testing.T) {
	a, rng := opened(), rand.New(rand.NewPCG(1, 2))
	near := func(i int, spread float64) (lat, lon float64) {
		return float64(a.lat[i])/1000 + spread*rng.NormFloat64(), float64(a.lon[i])/1000 + spread*rng.NormFloat64()
	}
	var points [][2]float64
	for i := range a.lat { // every town about the date line and far north and south
		if math.Abs(float64(a.lon[i])) > 178_000 || math.Abs(float64(a.lat[i])) > 69_000 || a.lat[i] < -50_000 {
			lat, lon := near(i, 0.3)
			points = append(points, [2]float64{max(-90, min(90, lat)), lon})
		}
	}
	points = points[:min(len(points), 150)]
	for range 150 {
		lat, lon := near(rng.IntN(len(a.lat)), 0.4)
		points = append(points, [2]float64{lat, lon}, [2]float64{math.Round(lat), math.Round(lon)})
	}
	found := 0
	for _, p := range points {
		least, want := brute(a, p[0], p[1])
		at, km := a.nearest(p[0], p[1])
		if at < 0 || want < 0 {
			if want >= 0 && want < Within-0.01 || at >= 0 && km < Within-0.01 {
				t.Errorf("%v: the grid finds %d, a look at every town %.2f km", p, at, want)
			}
			continue
		}
		found++
		r := 2 * earth * math.Asin(math.Sqrt(float64(a.reach[at]))/2)
		if d := haversine(p[0], p[1], float64(a.lat[at])/1000, float64(a.lon[at])/1000); math.Abs(d-km) > 0.01 || d*d-r*r > least+0.1 {
			t.Errorf("%v: the grid finds %s (%.3f km), another is nearer (%.3f km)", p, a.place(at).Name, km, want)
		}
		if again, _ := a.nearest(p[0], p[1]-360); again != at && math.Abs(p[1]-360) <= 360 {
			t.Errorf("%v: a turn of the globe finds another town", p)
		}
	}
	if found < 200 {
		t.Errorf("only %d of %d positions have a town: the test says little", found, len(points))
	}
}

// Towns that are made up, at the places where a grid goes wrong.
func TestPolesAndDateLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lat := rapid.OneOf(rapid.Float64Range(88.5, 90), rapid.Float64Range(-90, -88.5), rapid.Float64Range(-90, 90)).Draw(t, "lat")
		lon := rapid.OneOf(rapid.Float64Range(179, 180), rapid.Float64Range(-180, -179), rapid.Float64Range(-180, 180)).Draw(t, "lon")
		a := &atlas{regions: []region{{}}, countries: []country{{}}, reach: []float32{0}, region: []uint32{0}, name: []uint32{0, 0}, at: make([]vec, 1),
			lat: []int32{int32(math.Round(lat * 1000))}, lon: []int32{int32(math.Round(lon * 1000))}}
		a.index(&reader{})
		km := rapid.Float64Range(0, 60).Draw(t, "km")
		bearing := rapid.Float64Range(0, 2*math.Pi).Draw(t, "bearing")
		y, x := destination(float64(a.lat[0])/1000, float64(a.lon[0])/1000, km, bearing)
		at, got := a.nearest(y, x)
		if math.Abs(km-Within) > 0.01 && (at == 0) != (km < Within) || at == 0 && math.Abs(got-km) > 0.01 {
			t.Fatalf("a town at %v, %v is %.3f km from %v, %v; found: %v, %.3f km", lat, lon, km, y, x, at == 0, got)
		}
	})
}

// destination goes km from a position.
func destination(lat, lon, km, bearing float64) (y, x float64) {
	const rad = math.Pi / 180
	d := km / earth
	y = math.Asin(math.Sin(lat*rad)*math.Cos(d) + math.Cos(lat*rad)*math.Sin(d)*math.Cos(bearing))
	x = lon*rad + math.Atan2(math.Sin(bearing)*math.Sin(d)*math.Cos(lat*rad), math.Cos(d)-math.Sin(lat*rad)*math.Sin(y))
	return y / rad, x / rad
}

func TestTheFile(t *testing.T) {
	if len(packed) > 1_500_000 {
		t.Errorf("%d bytes are shipped", len(packed))
	}
	a := opened()
	if len(a.lat) < 50_000 || len(a.countries) < 200 || len(a.regions) < 2000 {
		t.Errorf("%d towns, %d countries, %d regions", len(a.lat), len(a.countries), len(a.regions))
	}
	for i := range a.lat {
		if p := a.place(i); p.Name == "" || p.Country == "" || len(p.Code) != 2 || Fold(p.Name) == "" {
			t.Fatalf("%+v", p)
		}
	}
}

func TestBrokenFilesAreRefused(t *testing.T) {
	pack := func(data ...byte) []byte {
		z, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		return z.EncodeAll(data, []byte(magic))
	}
	for what, file := range map[string][]byte{
		"empty": {}, "another": []byte("hello"), "cut": packed[:len(packed)/2], "magic alone": []byte(magic),
		"nothing":        pack(),
		"large count":    pack(0xff, 0xff, 0xff, 0x7f),
		"no country":     pack(0, 1, 0, 0, 0),
		"more":           pack(0, 0, 0, 7),
		"off the earth":  pack(1, 0, 0, 1, 0, 0, 1, 0xc0, 0xcf, 0x24, 0, 0, 0, 0),
		"a text cut off": pack(1, 9, 'x'),
	} {
		if _, err := parse(file); err == nil {
			t.Errorf("%s: opened", what)
		}
	}
	if a, err := parse(pack(1, 1, 'X', 1, 'Y', 1, 0, 0, 1, 0, 0, 0, 0, 1, 'Z')); err != nil || a.place(0).Name != "Z" {
		t.Errorf("a small file: %v", err)
	}
}

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"Łódź": "lodz", "Île-de-France": "ile de france", "Nuku‘alofa": "nukualofa", "São  Paulo ": "sao paulo", "İstanbul": "istanbul", "ISTANBUL": "istanbul",
		"Straße": "strasse", "Ærøskøbing": "aeroskobing", "Đà Nẵng": "da nang", "Hawaiʻi": "hawaii", "L'Aquila": "laquila", "St. Louis": "st louis", "東京": "東京",
		"Москва": "москва", "Ελλάς": "ελλασ", "": "", " - ": "", "\xff\xfeab": "ab", "北京 2": "北京 2", "Ｔｏｋｙｏ": "tokyo",
	} {
		if got := Fold(in); got != want {
			t.Errorf("%q folds to %q, must be %q", in, got, want)
		}
	}
}

func FuzzFold(f *testing.F) {
	f.Add("Nuku‘alofa")
	f.Add("\xff ﷺ ß")
	f.Fuzz(func(t *testing.T, s string) {
		once := Fold(s)
		if again := Fold(once); again != once || strings.ToValidUTF8(once, "") != once || strings.Contains(once, "  ") || strings.TrimSpace(once) != once {
			t.Errorf("%q folds to %q, and that to %q", s, once, again)
		}
	})
}

func FuzzNearest(f *testing.F) {
	f.Add(90.0, 180.0)
	f.Add(-89.9, -180.0)
	f.Fuzz(func(t *testing.T, lat, lon float64) {
		if p, km, ok := Nearest(lat, lon); ok && (km > Within+0.01 || math.Abs(km-haversine(lat, lon, p.Lat, p.Lon)) > 0.02) {
			t.Errorf("%v, %v: %+v, %v km", lat, lon, p, km)
		}
	})
}

func TestNothingIsAllocated(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { Nearest(51.5, 7.2) }); n > 0 {
		t.Errorf("%v allocations a question", n)
	}
}

func ExampleNearest() {
	p, km, ok := Nearest(48.8584, 2.2945)
	fmt.Printf("%s, %s, %s: %.1f km, %v\n", p.Name, p.Region, p.Country, km, ok)
	// Output: Paris, Île-de-France, France: 4.0 km, true
}

func BenchmarkNearest(b *testing.B) {
	for name, p := range map[string][2]float64{"Ruhr": {51.5, 7.2}, "Tokyo": {35.69, 139.69}, "ocean": {0, -140}, "Lagos": {6.5, 3.4}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Nearest(p[0], p[1])
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parse(packed); err != nil {
			b.Fatal(err)
		}
	}
}
