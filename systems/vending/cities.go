package vending

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"plumb/base/bounds"
	"plumb/base/errs"
	"plumb/engines/sqldb"
	"plumb/systems/vending/internal/world"
)

// City is where machines stand: its zone decides when their night begins.
type City struct {
	Name        string
	Zone        string  // IANA
	Lat, Lon    float64 // of the depot, degrees
	Vehicles    int     // of restockers, 0 to 10,000
	Technicians int     // each with a vehicle, 0 to 10,000
	Capacity    int     // items that a vehicle carries; 1 to 1,000,000
	Shift       time.Duration
	Region      string // the cell that serves the city's machines; "": this house

	zone   *time.Location
	tabled bool // only the table of the world's cities has it: define writes it
}

// NewCity is what a person says of a city. What is left out is taken from what
// is known of it, from the table of the world's cities, or from usual values.
type NewCity struct {
	Zone        string
	Lat, Lon    *float64
	Vehicles    *int
	Technicians *int
	Capacity    *int
	Shift       *time.Duration
	Region      *string
}

// usual values of a city that nobody described.
const (
	usualVehicles    = 5
	usualTechnicians = 1
	usualCapacity    = 400
	usualShift       = 8 * time.Hour
)

// fromWorld returns a city of the table, with usual values.
func fromWorld(w world.City) City {
	return City{Name: w.Name, Zone: w.Zone, Lat: w.Lat, Lon: w.Lon, Vehicles: usualVehicles, Technicians: usualTechnicians, Capacity: usualCapacity, Shift: usualShift}
}

// SetCity defines or changes a city. Errors: Invalid, also for a city that is
// not in the table of the world's cities and comes without zone and depot.
func (s *System) SetCity(ctx context.Context, name string, in NewCity) (City, error) {
	c, err := s.merged(strings.TrimSpace(name), in)
	if err != nil {
		return City{}, err
	}
	now := s.n.Clock.Now()
	if err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.store.setCity(ctx, tx, c, now) }); err != nil {
		return City{}, fmt.Errorf("set city %s: %w", name, err)
	}
	return c, s.citiesChanged(ctx)
}

// merged lays in over what is known of the city, and checks the whole.
func (s *System) merged(name string, in NewCity) (City, error) {
	var b bounds.Check
	if world.Fold(name) == "" {
		return City{}, errs.New(errs.Invalid, "a city needs a name of letters")
	}
	c, known := s.city(name)
	if !known {
		if w, ok := world.Find(name); ok {
			c, known = fromWorld(w), true
			if have, ok := s.city(c.Name); ok {
				c = have
			}
		}
	}
	if !known {
		c = City{Name: name, Vehicles: usualVehicles, Technicians: usualTechnicians, Capacity: usualCapacity, Shift: usualShift}
		b.Text("city", name, 1, 64)
		if strings.ContainsAny(name, "/\\<>\"") {
			b.Fault("city", "holds a character that names of cities do not have")
		}
		if in.Zone == "" {
			b.Fault("zone", "is needed: %q is not in the table of the world's large cities", name)
		}
		if in.Lat == nil || in.Lon == nil {
			b.Fault("depot", "is needed: %q is not in the table of the world's large cities", name)
		}
	}
	set(&c.Lat, in.Lat)
	set(&c.Lon, in.Lon)
	set(&c.Vehicles, in.Vehicles)
	set(&c.Technicians, in.Technicians)
	set(&c.Capacity, in.Capacity)
	set(&c.Region, in.Region)
	set(&c.Shift, in.Shift)
	if in.Zone != "" {
		c.Zone = in.Zone
	}
	b.Float("depot.lat", c.Lat, -90, 90)
	b.Float("depot.lon", c.Lon, -180, 180)
	b.Int("vehicles", int64(c.Vehicles), 0, 10_000)
	b.Int("technicians", int64(c.Technicians), 0, 10_000)
	b.Text("region", c.Region, 0, 64)
	b.Int("capacity", int64(c.Capacity), 1, 1_000_000)
	b.Int("shift_minutes", int64(c.Shift/time.Minute), 1, 24*60)
	var err error
	// "Local" would be this server's zone, and differ between processes.
	if c.zone, err = time.LoadLocation(c.Zone); err != nil || c.Zone == "Local" {
		b.Fault("zone", "%.64q is not an IANA time zone", strings.ToValidUTF8(c.Zone, "\uFFFD"))
	}
	if s.foreign(c) {
		if _, defined := s.cell(c); !defined {
			b.Fault("region", "%.64q is not defined: its machines could not be told where to go", c.Region)
		}
	}
	return c, b.Err("the city is not valid")
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// cityFor returns the city of that name for a machine to stand in. One that is only
// in the table of the world's cities is not defined by that: define does it, with
// the machine. Errors: Invalid.
func (s *System) cityFor(ctx context.Context, name string) (City, error) {
	if c, ok := s.city(name); ok {
		return c, nil
	}
	// Another process may have defined it, and the announcement may be lost.
	if err := s.loadCities(ctx); err != nil {
		return City{}, err
	}
	if c, ok := s.city(name); ok {
		return c, nil
	}
	w, ok := world.Find(name)
	if !ok {
		what := fmt.Sprintf("%q is not a city that is defined here or in the table of the world's large cities", name)
		return City{}, errs.WithDetails(what+": define it with its zone and depot first", []errs.Detail{{Where: "city", What: what}})
	}
	if c, ok := s.city(w.Name); ok {
		return c, nil
	}
	c := fromWorld(w)
	var err error
	if c.zone, err = time.LoadLocation(c.Zone); err != nil {
		return City{}, fmt.Errorf("city %s: %w", c.Name, err)
	}
	c.tabled = true
	return c, nil
}

// define adds a city that cityFor found in the table, in the transaction that
// puts a machine there, so that a machine which is refused leaves no city behind;
// defined must follow the commit.
func (s *System) define(ctx context.Context, tx *sqldb.Tx, c City) error {
	if !c.tabled {
		return nil
	}
	if err := s.store.addCity(ctx, tx, c, s.n.Clock.Now()); err != nil {
		return fmt.Errorf("add city %s: %w", c.Name, err)
	}
	return nil
}

// defined makes a city known that define added. Where that fails it is in the
// database all the same, and read when it is asked for.
func (s *System) defined(ctx context.Context, c City) {
	if _, known := s.city(c.Name); !c.tabled || known {
		return
	}
	if err := s.citiesChanged(ctx); err != nil {
		s.n.Log.Warn("a new city is not read yet", "city", c.Name, "error", err)
	}
}

// city returns a defined city; names are compared as people write them.
func (s *System) city(name string) (City, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if c, ok := s.cities[name]; ok {
		return c, true
	}
	c, ok := s.cities[world.Fold(name)]
	return c, ok
}

// Cities returns the defined cities by name.
func (s *System) Cities() []City {
	s.mu.RLock()
	defer s.mu.RUnlock()
	unique := map[string]City{}
	for _, c := range s.cities {
		unique[c.Name] = c
	}
	return slices.SortedFunc(maps.Values(unique), func(a, b City) int { return strings.Compare(a.Name, b.Name) })
}

// loadCities reads the cities anew.
func (s *System) loadCities(ctx context.Context) error {
	s.reading.Lock()
	defer s.reading.Unlock()
	var list []City
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		list, err = s.store.cities(ctx, tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("read the cities: %w", err)
	}
	byName := make(map[string]City, 2*len(list))
	for _, c := range list {
		if c.zone, err = time.LoadLocation(c.Zone); err != nil {
			return fmt.Errorf("city %s: %w", c.Name, err)
		}
		byName[c.Name], byName[world.Fold(c.Name)] = c, c
	}
	s.mu.Lock()
	s.cities = byName
	s.mu.Unlock()
	return nil
}

// citiesChanged reads the cities anew, here and in the other processes.
func (s *System) citiesChanged(ctx context.Context) error {
	if err := s.loadCities(ctx); err != nil {
		return err
	}
	s.announce(ctx, subjectCities, nil)
	s.tonight.forget()
	return nil
}
