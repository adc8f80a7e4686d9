package chart

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
)

// Place is a position in degrees: latitude -90 to 90, longitude -180 to 180.
type Place struct{ Lat, Lon float64 }

// Look is how a sort of spot is marked: each has a colour and a shape.
type Look int

// The looks of spots.
const (
	Plain Look = iota // a dot in the accent colour
	Fine              // a green dot
	Short             // an amber ring
	Bad               // a red square
	Blank             // a small grey ring: nothing is known
)

// looks holds the class and shape of each look. A mark is a line without length
// whose caps make it: that keeps its size, whatever the width of the picture.
var looks = []struct {
	class, cap   string
	wide, hollow float64 // pixels across, and of the hole
}{{"s0", "round", 7, 0}, {"built", "round", 7, 0}, {"textbook", "round", 10, 4}, {"naive", "square", 7, 0}, {"soft", "round", 7, 4}}

// Sort is a group of spots with a line in the key.
type Sort struct {
	Label string
	Look  Look
}

// Spot is one place on a map.
type Spot struct {
	Place
	Sort  int    // of Map.Sorts; worse ones are drawn above better ones, so order them so
	Label string // what is read when pointed at
}

// Way is a closed line from the depot over places and back: a vehicle's route.
type Way struct {
	Label  string
	Places []Place
}

// Map draws places and ways to scale, without a background from elsewhere. What
// lies far outside of the rest (a machine with the place of another town) is not
// drawn, and the key says how many; where there are more spots than a reader can
// tell apart, neighbours of a sort share a mark.
type Map struct {
	Title, Desc string
	Sorts       []Sort
	Spots       []Spot
	Depot       *Place
	Ways        []Way
}

const (
	maxSpots  = 1000 // beyond that neighbours share a mark
	maxWays   = 64   // lines; the first of them stand in the key
	maxKeyed  = 12
	maxPlaces = 4000 // of all ways together
	mapHigh   = 420  // pixels
	mapWide   = 1000 // of the inner drawing, whose height follows from what is shown
	mapEdge   = 30
	earth     = 6371008.8 // metres: the mean radius
)

// frame maps places into the inner drawing.
type frame struct {
	origin Place
	shrink float64 // cosine of the latitude
	x, y   float64 // of the upper left corner, in degrees of latitude
	scale  float64 // units a degree
	high   float64
}

// flat returns a place in degrees of latitude east and north of the origin;
// across the date line the shorter way round.
func (f frame) flat(p Place) (x, y float64) {
	return math.Remainder(p.Lon-f.origin.Lon, 360) * f.shrink, p.Lat - f.origin.Lat
}

func (f frame) at(p Place) (x, y float64) {
	east, north := f.flat(p)
	return mapEdge + (east-f.x)*f.scale, mapEdge + (f.y-north)*f.scale
}

func (p Place) valid() bool {
	return math.Abs(p.Lat) <= 90 && math.Abs(p.Lon) <= 180 // NaN is not
}

// newFrame fits what lies together; far counts what does not.
func newFrame(all []Place) (f frame, near func(Place) bool) {
	f = frame{scale: 1, high: mapWide * 0.4, shrink: 1}
	if len(all) == 0 {
		return f, func(Place) bool { return false }
	}
	f.origin = all[0]
	f.origin = Place{all[0].Lat + middle(all, func(p Place) float64 { return p.Lat - all[0].Lat }),
		math.Remainder(all[0].Lon+middle(all, func(p Place) float64 { return math.Remainder(p.Lon-all[0].Lon, 360) }), 360)}
	f.shrink = math.Max(0.01, math.Cos(f.origin.Lat*math.Pi/180))
	distance := func(p Place) float64 { return math.Hypot(f.flat(p)) }
	limit := math.Max(0.05, 12*middle(all, distance)) // 0.05 degrees are some 5 km
	near = func(p Place) bool { return p.valid() && distance(p) <= limit }
	loX, hiX, loY, hiY := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, p := range all {
		if !near(p) {
			continue
		}
		x, y := f.flat(p)
		loX, hiX, loY, hiY = math.Min(loX, x), math.Max(hiX, x), math.Min(loY, y), math.Max(hiY, y)
	}
	// One place, or a row of them, still needs a country around it.
	grow := func(lo, hi *float64, least float64) {
		if more := least - (*hi - *lo); more > 0 {
			*lo, *hi = *lo-more/2, *hi+more/2
		}
	}
	grow(&loX, &hiX, 0.004)
	grow(&loY, &hiY, math.Max(0.004, 0.4*(hiX-loX)))
	grow(&loX, &hiX, 0.9*(hiY-loY))
	f.x, f.y, f.scale = loX, hiY, (mapWide-2*mapEdge)/(hiX-loX)
	f.high = (hiY-loY)*f.scale + 2*mapEdge
	return f, near
}

// middle is the median of what of returns.
func middle(all []Place, of func(Place) float64) float64 {
	list := make([]float64, len(all))
	for i, p := range all {
		list[i] = of(p)
	}
	slices.Sort(list)
	return list[len(list)/2]
}

// SVG draws the map.
func (m Map) SVG() template.HTML {
	s := newSheet()
	var all []Place
	keep := func(p Place) {
		if p.valid() {
			all = append(all, p)
		}
	}
	if m.Depot != nil {
		keep(*m.Depot)
	}
	for _, spot := range m.Spots {
		keep(spot.Place)
	}
	ways, room := m.Ways[:min(len(m.Ways), maxWays)], maxPlaces
	for _, w := range ways {
		for _, p := range w.Places {
			keep(p)
		}
	}
	f, near := newFrame(all)
	fmt.Fprintf(&s.b, `<svg width="100%%" height="%d" viewBox="0 0 %d %s" preserveAspectRatio="xMidYMid meet">`, mapHigh, mapWide, num(f.high))
	for i, w := range ways {
		room -= m.way(s, f, near, w, i, room)
	}
	counts, far := m.spots(s, f, near)
	if m.Depot != nil && near(*m.Depot) {
		x, y := f.at(*m.Depot)
		fmt.Fprintf(&s.b, `<g>%s%s<title>depot</title></g>`, mark(x, y, "ink", "square", 12), mark(x, y, "hole", "square", 5))
	}
	bar := m.bar(s, f)
	s.b.WriteString(`</svg>`)
	m.keys(s, counts, far, bar)
	if m.Desc == "" {
		m.Desc = fmt.Sprintf("A map of %d places and %d routes.", len(m.Spots), len(m.Ways))
	}
	return s.done(m.Title, m.Desc, "map", mapHigh)
}

// way draws one route, closed over the depot, and returns how many places it had.
func (m Map) way(s *sheet, f frame, near func(Place) bool, w Way, i, room int) int {
	if len(w.Places) > room {
		return 0
	}
	var d strings.Builder
	verb := "M"
	step := func(p Place) {
		if !near(p) {
			return
		}
		x, y := f.at(p)
		fmt.Fprintf(&d, "%s%s %s", verb, num(x), num(y))
		verb = "L"
	}
	if m.Depot != nil {
		step(*m.Depot)
	}
	for _, p := range w.Places {
		step(p)
	}
	if m.Depot != nil {
		step(*m.Depot)
	}
	k := class("", i)
	fmt.Fprintf(&s.b, `<path class="l %s" d="%s" fill="none" stroke="%s" stroke-width="2" vector-effect="non-scaling-stroke" stroke-linejoin="round"%s><title>%s</title></path>`,
		k, d.String(), colours[k], dashed(wayDash(i)), esc(w.Label))
	return len(w.Places)
}

// wayDash gives neighbours in the palette the same dash, and the next round another.
func wayDash(i int) string { return dashes[i/maxParts%len(dashes)] }

// group is one mark: a spot, or neighbours of one sort.
type group struct {
	Spot
	n int
}

// spots draws the marks, better sorts first, and counts them by sort.
func (m Map) spots(s *sheet, f frame, near func(Place) bool) (counts []int, far int) {
	counts = make([]int, len(m.Sorts))
	type cell struct{ sort, x, y int }
	grain := 0.0 // units of the grid in which neighbours share a mark
	if len(m.Spots) > maxSpots {
		grain = 36
	}
	place := map[cell]int{}
	var list []group
	for i, spot := range m.Spots {
		if spot.Sort < 0 || spot.Sort >= len(m.Sorts) {
			continue
		}
		counts[spot.Sort]++
		if !near(spot.Place) {
			far++
			continue
		}
		x, y := f.at(spot.Place)
		c := cell{spot.Sort, i, 0}
		if grain > 0 {
			c = cell{spot.Sort, int(x / grain), int(y / grain)}
		}
		if k, ok := place[c]; ok {
			list[k].n++
			continue
		}
		place[c] = len(list)
		list = append(list, group{spot, 1})
	}
	slices.SortStableFunc(list, func(a, b group) int { return a.Sort - b.Sort })
	for _, g := range list {
		l := looks[0]
		if at := int(m.Sorts[g.Sort].Look); at >= 0 && at < len(looks) {
			l = looks[at]
		}
		label := g.Label
		if g.n > 1 {
			label = fmt.Sprintf("%s and %d more: %s", g.Label, g.n-1, m.Sorts[g.Sort].Label)
		}
		label = label[:min(len(label), 4*maxLabel)] // what is cut in a character is scrubbed
		x, y := f.at(g.Place)
		wide := l.wide + math.Min(6, 1.5*math.Log2(float64(g.n)))
		drawn := mark(x, y, l.class, l.cap, wide)
		if l.hollow > 0 {
			drawn += mark(x, y, "hole", l.cap, l.hollow)
		}
		drawn += `<title>` + esc(label) + `</title>`
		fmt.Fprintf(&s.b, `<g>%s</g>`, drawn)
	}
	return counts, far
}

// mark draws one.
func mark(x, y float64, class, cap string, wide float64) string {
	colour := colours[class]
	if class == "hole" {
		colour = colours["card"]
	}
	return fmt.Sprintf(`<path class="l %s" d="M%s %sh0" stroke="%s" stroke-width="%s" stroke-linecap="%s" vector-effect="non-scaling-stroke"/>`, class, num(x), num(y), colour, num(wide), cap)
}

// bar draws a rule of round length, and returns it in metres.
func (m Map) bar(s *sheet, f frame) float64 {
	unit := earth * math.Pi / 180 / f.scale // metres a unit
	most := unit * mapWide / 4
	length := math.Pow10(int(math.Floor(math.Log10(most))))
	for _, k := range []float64{5, 2} {
		if length*k <= most {
			length *= k
			break
		}
	}
	fmt.Fprintf(&s.b, `<path class="l ink" d="M%d %sv-8M%[1]d %[2]sh%sv-8" fill="none" stroke="%s" stroke-width="1.5" vector-effect="non-scaling-stroke"/>`, mapEdge/2, num(f.high-6), num(length/unit), colours["ink"])
	return length
}

// keys names what is drawn, below the drawing.
func (m Map) keys(s *sheet, counts []int, far int, bar float64) {
	item := func(drawing, label string) {
		fmt.Fprintf(&s.keys, `<li><svg width="16" height="14" aria-hidden="true">%s</svg>%s</li>`, drawing, esc(label))
	}
	for i, sort := range m.Sorts {
		if counts[i] == 0 {
			continue
		}
		l := looks[max(0, min(int(sort.Look), len(looks)-1))]
		drawing := mark(8, 7, l.class, l.cap, l.wide)
		if l.hollow > 0 {
			drawing += mark(8, 7, "hole", l.cap, l.hollow)
		}
		item(drawing, fmt.Sprintf("%s (%s)", sort.Label, number(float64(counts[i]))))
	}
	if m.Depot != nil {
		item(mark(8, 7, "ink", "square", 12)+mark(8, 7, "hole", "square", 5), "depot")
	}
	for i, w := range m.Ways[:min(len(m.Ways), maxKeyed)] {
		s.key(class("", i), wayDash(i), w.Label)
	}
	if n := len(m.Ways) - maxKeyed; n > 0 {
		s.key("", "", fmt.Sprintf("%d further routes, named when pointed at", n))
	}
	s.more(len(m.Ways), maxWays, "routes")
	if far > 0 {
		s.key("", "", fmt.Sprintf("%s too far away to be drawn", number(float64(far))))
	}
	length := fmt.Sprintf("%s m", number(bar))
	if bar >= 1000 {
		length = fmt.Sprintf("%s km", number(bar/1000))
	}
	s.key("", "", "the rule is "+length)
}
