package routing

import (
	"io"
	"strings"

	"plumb/base/errs"
)

// ReadSolomon reads a problem with time windows in Solomon's form: the name, the
// number and capacity of the vehicles, and a line for each customer with its
// place, demand, ready time, due date and service time; customer 0 is the depot.
// Distances and times are Euclidean and not rounded. Errors: Invalid, with the
// line and column.
func ReadSolomon(r io.Reader) (Instance, error) {
	var in Instance
	section := "name"
	last, err := lines(r, func(l line) error {
		head := strings.ToUpper(l.words[0])
		digit := head[0] >= '0' && head[0] <= '9'
		switch {
		case section == "name":
			in.Name, section = strings.Join(l.words, " "), "vehicle"
			return nil
		case !digit && (head == "VEHICLE" || head == "NUMBER"):
			section = "vehicle"
			return nil
		case !digit && (head == "CUSTOMER" || head == "CUST"):
			section = "customer"
			return nil
		case section == "vehicle" && digit && in.Problem.Capacity == 0:
			n, err := l.whole(0, "number of vehicles", 1, MaxStops)
			if err != nil {
				return err
			}
			in.Problem.Vehicles = int(n)
			in.Problem.Capacity, err = l.whole(1, "capacity", 1, 1e12)
			return err
		case section == "customer" && digit:
			return in.customer(l)
		}
		return l.bad(0, "%.40q is neither a heading of Solomon's format nor a number where one is due", l.words[0])
	})
	if err != nil {
		return Instance{}, err
	}
	p := &in.Problem
	if p.Capacity == 0 || len(p.Stops) == 0 {
		return Instance{}, errs.New(errs.Invalid, "%d:1: the file ends before vehicles and customers were named: it is neither in CVRPLIB's format nor in Solomon's", max(last, 1))
	}
	if p.Stops[0].Demand != 0 {
		return Instance{}, errs.New(errs.Invalid, "%d:1: the depot, customer 0, has a demand", last)
	}
	p.Cost = Euclid(in.Places, nil)
	return in, p.valid()
}

// customer reads: number x y demand ready due service.
func (in *Instance) customer(l line) error {
	number, err := l.whole(0, "number of the customer", 0, MaxStops)
	if err != nil {
		return err
	}
	if int(number) != len(in.Places) {
		return l.bad(0, "customer %d stands where %d is due", number, len(in.Places))
	}
	if len(in.Places) == MaxStops {
		return l.bad(0, "more than %d stops", MaxStops)
	}
	var v [7]float64
	for i, what := range []string{"number", "x", "y", "demand", "ready time", "due date", "service time"} {
		least := 0.0
		if i == 1 || i == 2 {
			least = -1e9
		}
		if v[i], err = l.float(i, what, least, 1e12); err != nil {
			return err
		}
	}
	demand, err := l.whole(3, "demand", 0, 1e12)
	if err != nil {
		return err
	}
	in.Places = append(in.Places, Point{v[1], v[2]})
	in.Problem.Stops = append(in.Problem.Stops, Stop{Demand: demand, Ready: v[4], Due: v[5], Service: v[6]})
	return nil
}
