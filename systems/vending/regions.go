package vending

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"plumb/base/bounds"
	"plumb/base/errs"
	"plumb/engines/fleet"
	"plumb/engines/sqldb"
)

// A region is a cell: a house of its own with its own database, which serves the
// machines of some cities. Cells share nothing, so that one that is down takes no
// other with it. Each has the table of all regions, and knows by Config.Region which
// one it is.
//
// A machine that comes to the wrong cell is told the right one and its report is
// not taken (421): it keeps the report until a cell says "stored". Nothing is
// forwarded, or the wrong cell would have to be trusted with what it acknowledged
// while the right one is down.

// Region is one cell.
type Region struct {
	Name     string // 1 to 64 characters, as ids.Name
	Endpoint string // https://..., where its machines report
	MQTT     string // mqtts://host:port; "": its machines do not speak it
	Fallback string // https://..., where to ask when the endpoint does not answer: another way to it, or another cell; "": none
}

// check names every fault of r.
func (r Region) check() error {
	var b bounds.Check
	checkName(&b, "name", r.Name)
	place := func(where, v string, need bool, schemes ...string) {
		if v == "" && !need {
			return
		}
		b.Text(where, v, 1, 256)
		u, err := url.Parse(v)
		if err != nil || u.Host == "" || !slices.Contains(schemes, u.Scheme) || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			b.Fault(where, "must be an address that begins with %s://", strings.Join(schemes, ":// or "))
		}
	}
	place("endpoint", r.Endpoint, true, "https", "http")
	place("mqtt_endpoint", r.MQTT, false, "mqtts", "mqtt")
	place("fallback", r.Fallback, false, "https", "http")
	return b.Err("the region is not valid")
}

// Cell is where a machine reports.
type Cell struct {
	Region   string // "": this house is the only one
	Endpoint string
	MQTT     string // "": not told, or none
	Fallback string // "": none
}

// Elsewhere is the answer to a machine that belongs to another cell.
type Elsewhere struct {
	City string
	Cell Cell
	err  error
}

func (e *Elsewhere) Error() string { return e.err.Error() }
func (e *Elsewhere) Unwrap() error { return e.err }

// elsewhere says that a city is another cell's.
func (s *System) elsewhere(c City) error {
	cell, _ := s.cell(c)
	return &Elsewhere{c.Name, cell, errs.New(errs.Denied, "%s is served by the region %s: go to %s", c.Name, cell.Region, cell.Endpoint)}
}

// foreign says whether another cell serves the city.
func (s *System) foreign(c City) bool {
	return s.c.Region != "" && c.Region != "" && c.Region != s.c.Region
}

// cell returns where the machines of a city report; regional is false where nobody
// defined the city's region, so that there is nothing to tell.
func (s *System) cell(c City) (cell Cell, regional bool) {
	name := c.Region
	if name == "" {
		name = s.c.Region
	}
	s.known.mu.RLock()
	r, ok := s.known.regions[name]
	s.known.mu.RUnlock()
	if !ok {
		return Cell{Region: name, Endpoint: s.n.URL}, false
	}
	return Cell{r.Name, r.Endpoint, r.MQTT, r.Fallback}, true
}

// Regions returns the cells by name.
func (s *System) Regions() []Region {
	s.known.mu.RLock()
	defer s.known.mu.RUnlock()
	return slices.SortedFunc(maps.Values(s.known.regions), func(a, b Region) int { return strings.Compare(a.Name, b.Name) })
}

// HomeRegion is the name of this cell; "" where it is the only one.
func (s *System) HomeRegion() string { return s.c.Region }

// SetRegion defines or changes a cell, and returns it as it is kept. The same is to
// be done in every cell. Errors: Invalid.
func (s *System) SetRegion(ctx context.Context, r Region) (Region, error) {
	if err := r.check(); err != nil {
		return Region{}, err
	}
	r.Endpoint, r.Fallback = strings.TrimRight(r.Endpoint, "/"), strings.TrimRight(r.Fallback, "/")
	now := s.n.Clock.Now()
	err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, setRegionSQL, r.Name, r.Endpoint, r.MQTT, r.Fallback, now.UnixMicro())
		return err
	})
	if err != nil {
		return Region{}, fmt.Errorf("set region %s: %w", r.Name, err)
	}
	return r, s.opsChanged(ctx)
}

// DropRegion forgets a cell. Errors: NotFound; Conflict while a city is of it.
func (s *System) DropRegion(ctx context.Context, name string) error {
	err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var cities int64
		if err := tx.QueryRow(ctx, citiesOfSQL, name).Scan(&cities); err != nil {
			return err
		}
		if cities > 0 {
			return errs.New(errs.Conflict, "%d cities belong to the region %.64s: give them another first", cities, name)
		}
		n, err := tx.Exec(ctx, dropRegionSQL, name)
		if err == nil && n == 0 {
			return errs.New(errs.NotFound, "there is no region %.64q", name)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("drop region %.64s: %w", name, err)
	}
	return s.opsChanged(ctx)
}

// Bootstrap is what a machine needs to know before it reports.
type Bootstrap struct {
	City string
	Zone string
	Cell Cell
	Here bool      // this house is that cell
	Next time.Time // when a machine that asked for itself is expected; zero for a city
}

// BootstrapOf says where the machines of a city report. Errors: NotFound.
func (s *System) BootstrapOf(city string) (Bootstrap, error) {
	c, ok := s.city(city)
	if !ok {
		return Bootstrap{}, errs.New(errs.NotFound, "there is no city %.64q", city)
	}
	cell, _ := s.cell(c)
	return Bootstrap{City: c.Name, Zone: c.Zone, Cell: cell, Here: !s.foreign(c)}, nil
}

// BootstrapFor says where a machine reports, and when it is expected.
func (s *System) BootstrapFor(m fleet.Machine) (Bootstrap, error) {
	b, err := s.BootstrapOf(m.Cohort)
	if err != nil {
		return Bootstrap{}, err
	}
	c, _ := s.city(m.Cohort)
	b.Next = s.firstCall(m.ID, c, s.n.Clock.Now())
	return b, nil
}

// misdirected answers reports of a machine that belongs to another cell. One that
// was stored here before the machine was handed over is a duplicate, since its
// answer may have been lost: sent to the other cell, it would be stored twice.
func (s *System) misdirected(ctx context.Context, m fleet.Machine, city City, list []Report) ([]Receipt, error) {
	now := s.n.Clock.Now()
	away := s.elsewhere(city)
	cell, _ := s.cell(city)
	receipts := make([]Receipt, len(list))
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for i := range list {
			r := &receipts[i]
			*r = Receipt{ReportID: list[i].ID, Next: s.nextCall(m.ID, city, now), Now: now, Cell: &cell}
			if r.Err = list[i].check(); r.Err != nil {
				continue
			}
			row, off := s.row(&list[i], now)
			var was string
			err := tx.QueryRow(ctx, bodySQL, m.ID, row.id).Scan(&was)
			switch {
			case err == sqldb.ErrNoRows || err == nil && was != row.body:
				r.Err = away
			case err != nil:
				return err
			default:
				r.Status, r.Taken, r.ClockOff = "duplicate", time.UnixMicro(row.taken).UTC(), off
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for %d reports of machine %s, which was handed over: %w", len(list), m.ID, err)
	}
	for i := range receipts {
		s.measures.receipt(&receipts[i])
	}
	return receipts, nil
}

// duePart is how many machines are adjusted in one transaction.
const duePart = 500

// adjustDue makes that machines are expected where they report: those of a city that
// another cell serves never here, and those of one that came home in their slot. It
// belongs to a change of a city's region, and runs beside it, since a city may have
// many machines; what is right already costs a look at an index.
func (s *System) adjustDue(ctx context.Context) error {
	if s.c.Region == "" {
		return nil
	}
	for _, c := range s.Cities() {
		for left := int64(duePart); left == duePart; {
			err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
				if s.foreign(c) {
					left, err = tx.Exec(ctx, dueNeverSQL, c.Name, int64(never), int64(duePart))
				} else {
					left, err = s.expectAgain(ctx, tx, c)
				}
				return err
			})
			if err != nil {
				return fmt.Errorf("when the machines of %s are due: %w", c.Name, err)
			}
		}
	}
	return nil
}

// expectAgain gives machines of a city that came home their slots, and returns how
// many.
func (s *System) expectAgain(ctx context.Context, tx *sqldb.Tx, c City) (int64, error) {
	ids, err := s.store.ids(ctx, tx, dueNowhereSQL, c.Name, int64(never), int64(duePart))
	if err != nil {
		return 0, err
	}
	now := s.n.Clock.Now()
	for _, id := range ids {
		if _, err := tx.Exec(ctx, dueAgainSQL, id, s.firstCall(id, c, now).UnixMicro()); err != nil {
			return 0, err
		}
	}
	return int64(len(ids)), nil
}

func (store) ids(ctx context.Context, tx *sqldb.Tx, q string, args ...any) ([]string, error) {
	rows, err := tx.Query(ctx, q, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		list = append(list, id)
	}
	return list, rows.Err()
}

const (
	dueNeverSQL = `
		UPDATE vending_machines SET due_at = $2 WHERE id IN
			(SELECT id FROM vending_machines WHERE city = $1 AND due_at < $2 ORDER BY due_at, id LIMIT $3)`
	dueNowhereSQL = `SELECT id FROM vending_machines WHERE city = $1 AND due_at >= $2 AND revoked_at = 0 ORDER BY id LIMIT $3`
	dueAgainSQL   = `UPDATE vending_machines SET due_at = $2 WHERE id = $1 AND revoked_at = 0`

	regionsSQL   = `SELECT name, endpoint, mqtt, fallback FROM vending_regions ORDER BY name`
	setRegionSQL = `
		INSERT INTO vending_regions (name, endpoint, mqtt, fallback, changed_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (name) DO UPDATE SET endpoint = excluded.endpoint, mqtt = excluded.mqtt, fallback = excluded.fallback, changed_at = excluded.changed_at`
	dropRegionSQL = `DELETE FROM vending_regions WHERE name = $1`
	citiesOfSQL   = `SELECT count(*) FROM vending_cities WHERE region = $1`
)

func (store) regions(ctx context.Context, tx *sqldb.Tx) ([]Region, error) {
	rows, err := tx.Query(ctx, regionsSQL)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Region
	for rows.Next() {
		var r Region
		if err := rows.Scan(&r.Name, &r.Endpoint, &r.MQTT, &r.Fallback); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}
