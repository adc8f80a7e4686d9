package routing

import "math"

// Matrix holds a value for each pair of stops.
type Matrix struct {
	n int
	v []float64 // row by row
}

// At returns the value from stop i to stop j.
func (m Matrix) At(i, j int) float64 { return m.v[i*m.n+j] }

// Len returns the number of stops.
func (m Matrix) Len() int { return m.n }

// FromFunc makes the matrix of n stops from a function.
func FromFunc(n int, f func(from, to int) float64) Matrix {
	m := Matrix{n, make([]float64, n*n)}
	for i := range n {
		for j := range n {
			if i != j {
				m.v[i*n+j] = f(i, j)
			}
		}
	}
	return m
}

// Scaled returns m with every value multiplied.
func (m Matrix) Scaled(by float64) Matrix {
	s := Matrix{m.n, make([]float64, len(m.v))}
	for i, v := range m.v {
		s.v[i] = v * by
	}
	return s
}

// symmetric says whether both ways cost the same everywhere.
func (m Matrix) symmetric() bool {
	for i := range m.n {
		for j := range i {
			if m.v[i*m.n+j] != m.v[j*m.n+i] {
				return false
			}
		}
	}
	return true
}

// Point is a place on a plane.
type Point struct{ X, Y float64 }

// Euclid returns the distances in a plane, each through round if that is given.
func Euclid(places []Point, round func(float64) float64) Matrix {
	return FromFunc(len(places), func(i, j int) float64 {
		d := math.Hypot(places[i].X-places[j].X, places[i].Y-places[j].Y)
		if round != nil {
			return round(d)
		}
		return d
	})
}

// Nearest rounds to the next integer, halves up, as TSPLIB's EUC_2D says.
func Nearest(d float64) float64 { return math.Floor(d + 0.5) }

// Place is a place on the earth, in degrees.
type Place struct{ Lat, Lon float64 }

// earth is its mean radius in metres (IUGG).
const earth = 6_371_008.8

// Metres returns the distances by the great circle (haversine), each multiplied
// by detour: 1.2 to 1.4 for the streets of most cities.
func Metres(places []Place, detour float64) Matrix {
	return FromFunc(len(places), func(i, j int) float64 { return detour * GreatCircle(places[i], places[j]) })
}

// GreatCircle returns the metres between two places on a sphere.
func GreatCircle(a, b Place) float64 {
	rad := math.Pi / 180
	la, lb := a.Lat*rad, b.Lat*rad
	x, y := math.Sin((lb-la)/2), math.Sin((b.Lon-a.Lon)*rad/2)
	h := x*x + math.Cos(la)*math.Cos(lb)*y*y
	return 2 * earth * math.Asin(math.Sqrt(min(1, h)))
}
