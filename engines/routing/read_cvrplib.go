package routing

import (
	"io"
	"math"
	"strings"

	"plumb/base/errs"
)

// vrp is a file in the making.
type vrp struct {
	in      Instance
	section string
	size    int
	demand  []int64
	placed  []bool
	demands []bool
	depot   int // node number; 0: not said
}

// ReadCVRPLIB reads a capacitated problem in TSPLIB's form, as CVRPLIB keeps
// them (EUC_2D: distances are rounded to the nearest integer; CEIL_2D: up). The
// customers become the stops 1, 2, ... in the order of the file, whichever node
// is the depot. A DISTANCE line bounds the length of a route, and a SERVICE_TIME
// counts in it. Errors: Invalid, with the line and column.
func ReadCVRPLIB(r io.Reader) (Instance, error) {
	v := vrp{}
	v.in.Problem.Capacity = 0
	round, service := Nearest, 0.0
	last, err := lines(r, func(l line) error {
		switch key := l.words[0]; {
		case key == "EOF":
			return io.EOF
		case key == "DEPOT_SECTION" || strings.HasSuffix(key, "_SECTION"):
			if v.size == 0 {
				return l.bad(0, "DIMENSION must come before %s", key)
			}
			v.section = key
			return nil
		case v.section != "" && (key[0] == '-' || key[0] >= '0' && key[0] <= '9'):
			return v.row(l)
		case key == "NAME":
			v.in.Name = strings.Join(l.words[1:], " ")
		case key == "COMMENT":
			v.in.Comment = strings.Join(l.words[1:], " ")
		case key == "TYPE":
			if len(l.words) != 2 || l.words[1] != "CVRP" {
				return l.bad(1, "only problems of the type CVRP are read here")
			}
		case key == "DIMENSION":
			n, err := l.whole(1, "dimension", 1, MaxStops)
			if err != nil {
				return err
			}
			v.size = int(n)
			v.in.Places, v.demand = make([]Point, n), make([]int64, n)
			v.placed, v.demands = make([]bool, n), make([]bool, n)
		case key == "CAPACITY":
			c, err := l.whole(1, "capacity", 1, 1e12)
			v.in.Problem.Capacity = c
			return err
		case key == "VEHICLES":
			n, err := l.whole(1, "number of vehicles", 1, MaxStops)
			v.in.Problem.Vehicles = int(n)
			return err
		case key == "DISTANCE":
			d, err := l.float(1, "longest route", 0, 1e12)
			v.in.Problem.Limit = d
			return err
		case key == "SERVICE_TIME":
			d, err := l.float(1, "service time", 0, 1e12)
			service = d
			return err
		case key == "EDGE_WEIGHT_TYPE":
			return v.weights(l, &round)
		case key == "NODE_COORD_TYPE" || key == "DISPLAY_DATA_TYPE" || key == "EDGE_WEIGHT_FORMAT":
		default:
			return l.bad(0, "%.40q is not known here", key)
		}
		return nil
	})
	if err != nil {
		return Instance{}, err
	}
	return v.done(last, round, service)
}

func (v *vrp) weights(l line, round *func(float64) float64) error {
	kind := ""
	if len(l.words) > 1 {
		kind = l.words[1]
	}
	switch kind {
	case "EUC_2D":
		*round = Nearest
	case "CEIL_2D":
		*round = up
	default:
		return l.bad(1, "distances of the kind %.40q are not read here, only EUC_2D and CEIL_2D", kind)
	}
	return nil
}

func up(d float64) float64 { return math.Ceil(d) }

// row reads a line of a section.
func (v *vrp) row(l line) error {
	if v.section == "DEPOT_SECTION" {
		n, err := l.whole(0, "depot", -1, int64(v.size))
		switch {
		case err != nil:
			return err
		case n == -1:
			v.section = ""
		case v.depot != 0 && int(n) != v.depot:
			return l.bad(0, "a second depot: problems with several are not read here")
		default:
			v.depot = int(n)
		}
		return nil
	}
	n, err := l.whole(0, "node", 1, int64(v.size))
	if err != nil {
		return err
	}
	i := n - 1
	switch v.section {
	case "NODE_COORD_SECTION":
		if v.placed[i] {
			return l.bad(0, "node %d stands twice", n)
		}
		v.placed[i] = true
		if v.in.Places[i].X, err = l.float(1, "x", -1e9, 1e9); err != nil {
			return err
		}
		v.in.Places[i].Y, err = l.float(2, "y", -1e9, 1e9)
	case "DEMAND_SECTION":
		if v.demands[i] {
			return l.bad(0, "the demand of node %d stands twice", n)
		}
		v.demands[i] = true
		v.demand[i], err = l.whole(1, "demand", 0, 1e12)
	default:
		return l.bad(0, "a %s is not read here", v.section)
	}
	return err
}

// done makes the instance of what was read.
func (v *vrp) done(last int, round func(float64) float64, service float64) (Instance, error) {
	if v.size == 0 {
		return Instance{}, errs.New(errs.Invalid, "%d:1: the file ends without a DIMENSION", last)
	}
	for i := range v.size {
		if !v.placed[i] {
			return Instance{}, errs.New(errs.Invalid, "%d:1: node %d has no coordinates", last, i+1)
		}
		if !v.demands[i] {
			return Instance{}, errs.New(errs.Invalid, "%d:1: node %d has no demand", last, i+1)
		}
	}
	depot := max(v.depot, 1) - 1
	if v.demand[depot] != 0 {
		return Instance{}, errs.New(errs.Invalid, "%d:1: the depot, node %d, has a demand", last, depot+1)
	}
	places := []Point{v.in.Places[depot]}
	stops := []Stop{{}}
	for i := range v.size {
		if i != depot {
			places = append(places, v.in.Places[i])
			stops = append(stops, Stop{Demand: v.demand[i], Service: service})
		}
	}
	v.in.Places, v.in.Problem.Stops = places, stops
	v.in.Problem.Cost = Euclid(places, round)
	return v.in, v.in.Problem.valid()
}
