package places

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/klauspost/compress/zstd"
)

//go:embed data/places.bin
var packed []byte

// The file's form: magic, then zstd of numbers as varints and texts with their
// length before them. Towns stand in the order of cell and latitude, column for
// column, since like beside like is smaller:
//
//	countries: how many, then code and name of each
//	regions:   how many, then the country's index and the name of each
//	towns:     how many, then of all of them: latitude less that before, longitude
//	           less that before (both in thousandths of a degree, signed), reach in
//	           tenths of a km, region's index, name
const (
	magic       = "plumb places 1\n"
	maxUnpacked = 16 << 20
	maxTowns    = 1 << 20
)

// atlas is the towns, opened. Memory: about 45 bytes a town with its name.
type atlas struct {
	countries []country
	regions   []region
	cells     []uint32 // where each cell of one degree begins: row*360 + column, south to north, west to east
	lat, lon  []int32  // thousandths of a degree
	at        []vec
	reach     []float32 // the square of the radius, as a chord on the unit sphere
	region    []uint32
	name      []uint32 // where each name begins in names
	names     string
}

type country struct{ code, name string }

type region struct {
	country int
	name    string
}

// reader reads the numbers and texts of a file, and keeps the first error.
type reader struct {
	data []byte
	err  error
}

func (r *reader) number() int {
	v, n := binary.Uvarint(r.data)
	if n <= 0 || v > math.MaxInt32 {
		r.fail("a number is cut off or too large")
		return 0
	}
	r.data = r.data[n:]
	return int(v)
}

func (r *reader) signed() int32 {
	v, n := binary.Varint(r.data)
	if n <= 0 || v > math.MaxInt32 || v < math.MinInt32 {
		r.fail("a number is cut off or too large")
		return 0
	}
	r.data = r.data[n:]
	return int32(v)
}

func (r *reader) text() []byte {
	n := r.number()
	if n > len(r.data) {
		r.fail("a text is cut off")
		return nil
	}
	s := r.data[:n]
	r.data = r.data[n:]
	return s
}

// index reads a number below limit.
func (r *reader) index(limit int) int {
	n := r.number()
	if n >= limit {
		r.fail("an index points nowhere")
		return 0
	}
	return n
}

// count reads a number of things, of which each takes one byte at least.
func (r *reader) count() int {
	n := r.number()
	if n > len(r.data) || n > maxTowns {
		r.fail("a count is larger than what follows")
		return 0
	}
	return n
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("places: %s, %d bytes before the end", what, len(r.data))
	}
	r.data = nil
}

// parse opens a file.
func parse(file []byte) (*atlas, error) {
	body, ok := bytes.CutPrefix(file, []byte(magic))
	if !ok {
		return nil, fmt.Errorf("places: not a file of this version")
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpacked))
	if err != nil {
		return nil, fmt.Errorf("places: %w", err)
	}
	defer z.Close()
	data, err := z.DecodeAll(body, nil)
	if err != nil {
		return nil, fmt.Errorf("places: %w", err)
	}
	r, a := &reader{data: data}, &atlas{}
	for range r.count() {
		a.countries = append(a.countries, country{string(r.text()), string(r.text())})
	}
	for range r.count() {
		a.regions = append(a.regions, region{r.index(len(a.countries)), string(r.text())})
	}
	a.towns(r)
	if r.err == nil && len(r.data) > 0 {
		r.fail("there is more than was announced")
	}
	if r.err != nil {
		return nil, r.err
	}
	return a, nil
}

// towns reads the columns of the towns.
func (a *atlas) towns(r *reader) {
	n := r.count()
	a.lat, a.lon, a.at = make([]int32, n), make([]int32, n), make([]vec, n)
	a.reach, a.region, a.name = make([]float32, n), make([]uint32, n), make([]uint32, n+1)
	last := int32(0)
	for i := range n {
		last += r.signed()
		a.lat[i] = last
	}
	last = 0
	for i := range n {
		last += r.signed()
		a.lon[i] = last
	}
	for i := range n {
		km := float64(r.number()) / 10
		chord := 2 * math.Sin(min(km, 100)/earth/2)
		a.reach[i] = float32(chord * chord)
	}
	for i := range n {
		a.region[i] = uint32(r.index(len(a.regions)))
	}
	var names strings.Builder
	for i := range n {
		names.Write(r.text())
		a.name[i+1] = uint32(names.Len())
	}
	a.names = names.String()
	a.index(r)
}

// index finds where each cell begins, and refuses towns that are out of order.
func (a *atlas) index(r *reader) {
	a.cells = make([]uint32, 180*360+1)
	before := 0
	for i := range a.lat {
		lat, lon := float64(a.lat[i])/1000, float64(a.lon[i])/1000
		if math.Abs(lat) > 90 || math.Abs(lon) > 180 {
			r.fail("a town is not on this earth")
			return
		}
		cell := rowOf(lat)*360 + column(math.Floor(lon))
		if cell < before {
			r.fail("towns are out of order")
			return
		}
		before = cell
		a.at[i] = onSphere(lat, lon)
		a.cells[cell+1]++
	}
	for c := range a.cells[1:] {
		a.cells[c+1] += a.cells[c]
	}
}
