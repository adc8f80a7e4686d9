// Package world is a table of the world's large cities: name, country, IANA
// zone, and the coordinates of the centre to about a kilometre. Names are
// written in plain letters and unique: the smaller of two bears its country.
//
//	c, ok := world.Find("berlin") // {Berlin DE Europe/Berlin 52.52 13.4}
package world

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

//go:embed cities.csv
var text string

// City is one line of the table.
type City struct {
	Name     string
	Country  string // ISO 3166-1 alpha-2
	Zone     string // IANA
	Lat, Lon float64
}

// All returns the cities in the order of their names.
var All = sync.OnceValue(func() []City {
	var all []City
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ",")
		lat, errLat := strconv.ParseFloat(f[3], 64)
		lon, errLon := strconv.ParseFloat(f[4], 64)
		if errLat != nil || errLon != nil {
			panic(fmt.Sprintf("world: line %q is not name,country,zone,lat,lon", line)) // the file is part of the program, and tested
		}
		all = append(all, City{f[0], f[1], f[2], lat, lon})
	}
	return all
})

var byName = sync.OnceValue(func() map[string]City {
	m := make(map[string]City, len(All()))
	for _, c := range All() {
		m[Fold(c.Name)] = c
	}
	return m
})

// Find returns the city of that name, written in any case and with or without
// the accents that people give it.
func Find(name string) (City, bool) {
	c, ok := byName()[Fold(name)]
	return c, ok
}

// plain letters for those that stand in the names of cities.
var plain = strings.NewReplacer(
	"á", "a", "à", "a", "â", "a", "ã", "a", "ä", "a", "å", "a", "ą", "a", "ă", "a",
	"é", "e", "è", "e", "ê", "e", "ë", "e", "ę", "e", "í", "i", "î", "i", "ï", "i", "ı", "i", "ì", "i",
	"ó", "o", "ò", "o", "ô", "o", "õ", "o", "ö", "o", "ø", "o", "ú", "u", "ù", "u", "û", "u", "ü", "u",
	"ç", "c", "č", "c", "ć", "c", "ñ", "n", "ń", "n", "š", "s", "ş", "s", "ș", "s", "ß", "ss", "ł", "l", "ž", "z", "ż", "z", "ź", "z", "ț", "t", "ğ", "g",
	"'", "", "’", "", ".", "", "-", " ",
)

// Fold returns name as names are compared: small plain letters, single spaces.
func Fold(name string) string {
	return strings.Join(strings.Fields(plain.Replace(strings.ToLower(name))), " ")
}
