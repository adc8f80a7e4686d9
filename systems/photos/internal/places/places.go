// Package places names a position: the town in which, or near which, a photo was
// taken. It needs no network and no other program.
//
//	p, km, ok := places.Nearest(48.8584, 2.2945) // the Eiffel Tower: {Paris Île-de-France France 48.853 2.349}, 4.0, true
//	places.Fold("Île-de-France")                 // "ile de france", as in places.Fold of what a person types
//
// There are about 90,000 towns: those of 2,000 people and more, seats of
// administrations, and in empty country smaller ones, each to about 100 metres.
// They come from GeoNames (data/README.md: sources and terms) and lie in the
// program as data/places.bin, 1 MB, which is opened at the first question: that
// takes about 25 ms once, and 4 MB of memory from then on. A question then costs
// some microseconds, and allocates nothing; it grows with the number of towns
// within 50 km.
package places

import (
	"math"
	"sync"
)

// Place is a town.
type Place struct {
	Name     string // in English where GeoNames has it so, else in plain or accented Latin letters
	Region   string // state, province, county; "" where there is none
	Country  string // in English
	Code     string // ISO 3166-1 alpha-2
	Lat, Lon float64
}

// Within is the distance beyond which a town says nothing of a position, in km.
const Within = 50

// Attribution is what GeoNames' terms ask of pages that show these names.
const Attribution = "Place names © GeoNames, CC BY 4.0"

const earth = 6371.0088 // mean radius, km

// Nearest returns the town of a position, given in degrees, and the distance to
// its centre. A large town reaches further than a village: of all centres within
// 50 km it is that with the least d² - r², d being the distance and r the radius
// of the town if 20,000 people lived on each square kilometre (a power diagram,
// Aurenhammer 1987). So the Eiffel Tower is in Paris, not in Levallois, though
// that is as near. ok is false where no centre is within 50 km, and for what is
// no position.
func Nearest(lat, lon float64) (p Place, km float64, ok bool) {
	if !(math.Abs(lat) <= 90) || !(math.Abs(lon) <= 360) { // also not a number
		return Place{}, 0, false
	}
	a := opened()
	at, km := a.nearest(lat, lon)
	if at < 0 {
		return Place{}, 0, false
	}
	return a.place(at), km, true
}

// opened is the atlas, read when it is first asked.
var opened = sync.OnceValue(func() *atlas {
	a, err := parse(packed)
	if err != nil {
		panic(err) // the file is part of the program, and tested
	}
	return a
})

// vec is a point on the unit sphere.
type vec [3]float32

func onSphere(lat, lon float64) vec {
	sin, cos := math.Sincos(lat * math.Pi / 180)
	east, north := math.Sincos(lon * math.Pi / 180)
	return vec{float32(cos * north), float32(cos * east), float32(sin)}
}

// nearest returns the index of the town of a position, or -1, and the distance.
func (a *atlas) nearest(lat, lon float64) (best int, km float64) {
	at := onSphere(lat, lon)
	// Squares of straight lines through the earth, in squares of its radius: the
	// order is that of distances along its surface.
	chord := 2 * math.Sin(Within/earth/2)
	limit, least := float32(chord*chord), float32(math.Inf(1))
	best = -1
	var nearest float32
	for _, s := range a.around(lat, lon) {
		for i := s.from; i < s.to; i++ {
			v := &a.at[i]
			x, y, z := v[0]-at[0], v[1]-at[1], v[2]-at[2]
			d := x*x + y*y + z*z
			if score := d - a.reach[i]; d <= limit && score < least {
				best, least, nearest = int(i), score, d
			}
		}
	}
	return best, 2 * earth * math.Asin(math.Sqrt(float64(nearest))/2)
}

// span is a run of towns in the atlas' order.
type span struct{ from, to uint32 }

// around returns the runs of towns that hold all which are within the limit: of
// each row of cells, one run, or two where it goes over the date line. Rows are a
// degree high and cells a degree wide, as the towns are sorted.
func (a *atlas) around(lat, lon float64) (runs [8]span) {
	const high = Within / (earth * math.Pi / 180) * 1.001 // of the circle, in degrees
	n := 0
	for row := rowOf(lat - high); row <= rowOf(lat+high); row++ {
		// The circle's widest extent in longitude, in degrees.
		wide := 180.0
		if math.Abs(lat)+high < 89 { // further up the circle may hold the pole
			wide = math.Asin(min(1, math.Sin(high*math.Pi/180)/math.Cos(math.Abs(lat)*math.Pi/180))) * 180 / math.Pi * 1.001
		}
		west, east := math.Floor(lon-wide), math.Floor(lon+wide)
		if east-west >= 360 {
			runs[n] = a.run(row, 0, 359)
			n++
			continue
		}
		w, e := column(west), column(east)
		if w <= e {
			runs[n] = a.run(row, w, e)
		} else {
			runs[n] = a.run(row, w, 359)
			n++
			runs[n] = a.run(row, 0, e)
		}
		n++
	}
	return runs
}

// run is the towns of a row's cells from one column to another, both included.
func (a *atlas) run(row, west, east int) span {
	return span{a.cells[row*360+west], a.cells[row*360+east+1]}
}

func rowOf(lat float64) int { return max(0, min(179, int(math.Floor(lat))+90)) }

// column brings a whole degree of longitude, -720 to 720, to 0 to 359.
func column(lon float64) int { return (int(lon) + 180 + 1080) % 360 }

func (a *atlas) place(i int) Place {
	r := a.regions[a.region[i]]
	c := a.countries[r.country]
	return Place{Name: a.names[a.name[i]:a.name[i+1]], Region: r.name, Country: c.name, Code: c.code,
		Lat: float64(a.lat[i]) / 1000, Lon: float64(a.lon[i]) / 1000}
}
