package vending

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"plumb/base/bounds"
	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/fleet"
	"plumb/engines/sqldb"
)

// Imported is what became of one line of a file of machines.
type Imported struct {
	Line   int    // of the file, from 1; the header is line 1
	ID     string // "" where it could not be read
	Status string // "enrolled", "unchanged" (it was there before), "invalid" or "conflict"
	Token  string // of an enrolled machine, when tokens were asked for
	Code   string // or its one-time code
	Err    error  // of an invalid or conflicting line
}

// Why says in words what is wrong with the line; "" when nothing is.
func (i Imported) Why() string { return errs.Message(i.Err) }

// Import enrols the machines of a CSV file with a header: id and city, and where
// known lat, lon and model, in any order, by commas or semicolons. Each machine
// gets a token at once, or with codes a one-time code to fetch one with.
//
// It is resumable, not all or nothing: lines are committed in groups, each line
// is told to emit once it is durable, a bad line stops no other, and a machine
// that stands there already with the same city is "unchanged". So whatever
// happens in the middle, send the same file again. emit's error ends the import.
// Errors: Invalid when the header is not one.
func (s *System) Import(ctx context.Context, file io.Reader, codes bool, emit func(Imported) error) error {
	rows, err := openCSV(file)
	if err != nil {
		return err
	}
	defer s.tonight.forget()
	group := make([]importing, 0, importGroup)
	cities := map[string]lookedFor{}
	for {
		row, err := rows.next()
		if err == io.EOF {
			return s.commitGroup(ctx, group, emit)
		}
		if err != nil {
			return fmt.Errorf("import machines: %w", err)
		}
		if row.out.Err == nil {
			if err := s.prepare(ctx, &row, codes, cities); err != nil {
				return fmt.Errorf("import machines, line %d: %w", row.out.Line, err)
			}
		}
		if group = append(group, row); len(group) == importGroup {
			if err := s.commitGroup(ctx, group, emit); err != nil {
				return err
			}
			group = group[:0]
			clear(cities) // some are defined now
		}
	}
}

// importGroup is how many machines are committed at once.
const importGroup = 200

// importing is a line on its way in.
type importing struct {
	m     NewMachine
	city  City
	first time.Time // when it is expected
	token string    // to be stored; "" with a code
	out   Imported
}

// lookedFor is what came of looking for a city; once is enough for a group.
type lookedFor struct {
	city City
	err  error // of a machine that is to stand there
}

// prepare checks a line, finds its city, and makes its secrets: outside of the
// transaction, which may run twice. What is wrong with the line stands in out.Err.
func (s *System) prepare(ctx context.Context, row *importing, codes bool, cities map[string]lookedFor) error {
	var b bounds.Check
	row.m.check(&b)
	if row.out.Err = b.Err("the machine is not valid"); row.out.Err != nil {
		return nil
	}
	found, ok := cities[row.m.City]
	if !ok {
		found.city, found.err = s.cityFor(ctx, row.m.City)
		if found.err != nil && !errs.Is(found.err, errs.Invalid) {
			return found.err
		}
		if found.err == nil && s.foreign(found.city) {
			found.err = s.elsewhere(found.city)
		}
		cities[row.m.City] = found
	}
	if row.out.Err = found.err; row.out.Err != nil {
		return nil
	}
	city := found.city
	row.m.City, row.city = city.Name, city
	row.first = s.firstCall(row.m.ID, city, s.n.Clock.Now())
	row.out.Status = "enrolled"
	if codes {
		row.out.Code = fleet.Code()
	} else {
		row.token = ids.Token()
		row.out.Token = row.token
	}
	return nil
}

// commitGroup commits a group and tells what became of each line.
func (s *System) commitGroup(ctx context.Context, group []importing, emit func(Imported) error) error {
	if len(group) == 0 {
		return nil
	}
	out := make([]Imported, len(group))
	now := s.n.Clock.Now()
	err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for i, row := range group {
			out[i] = row.out
			if row.out.Err != nil {
				continue
			}
			if err := s.importOne(ctx, tx, row, &out[i], now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("import machines, lines %d to %d: %w", group[0].out.Line, group[len(group)-1].out.Line, err)
	}
	for i, o := range out {
		if o.Err == nil {
			s.defined(ctx, group[i].city)
		}
	}
	for _, o := range out {
		if o.Err != nil {
			o.Status, o.Token, o.Code = "invalid", "", ""
			if errs.Is(o.Err, errs.Conflict) {
				o.Status = "conflict"
			}
		}
		if err := emit(o); err != nil {
			return err
		}
	}
	return nil
}

func (s *System) importOne(ctx context.Context, tx *sqldb.Tx, row importing, out *Imported, now time.Time) error {
	city, err := s.store.cityOf(ctx, tx, row.m.ID)
	switch {
	case err == nil && city == row.m.City:
		out.Status, out.Token, out.Code = "unchanged", "", ""
		return nil
	case err == nil:
		out.Err = errs.New(errs.Conflict, "machine %s stands in %s already", row.m.ID, city)
		return nil
	case !errs.Is(err, errs.NotFound):
		return err
	}
	if err := s.add(ctx, tx, row.m, row.city, row.token, now, row.first); errs.Is(err, errs.Conflict) {
		out.Err = err
		return nil
	} else if err != nil {
		return err
	}
	if out.Code != "" {
		_, err = s.n.Fleet.NewCode(ctx, tx, realm, row.m.ID, out.Code)
		return err
	}
	return nil
}

// machineCSV reads machines out of a CSV file (RFC 4180).
type machineCSV struct {
	r       *csv.Reader
	columns []string
}

// columns that a file of machines may have.
var csvColumns = []string{"id", "city", "lat", "lon", "model"}

// openCSV reads the header. Errors: Invalid.
func openCSV(file io.Reader) (*machineCSV, error) {
	head, r, err := peekLine(file)
	if err != nil {
		return nil, err
	}
	m := &machineCSV{r: csv.NewReader(r)}
	if strings.Count(head, ";") > strings.Count(head, ",") { // as spreadsheets in half of Europe write it
		m.r.Comma = ';'
	}
	m.r.FieldsPerRecord = -1 // a short line is told as such, and ends nothing
	m.r.ReuseRecord = true
	header, err := m.r.Read()
	if err != nil {
		return nil, errs.New(errs.Invalid, "the file has no header: its first line names the columns, id and city at least")
	}
	for _, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		if !slices.Contains(csvColumns, name) {
			return nil, errs.New(errs.Invalid, "line 1: column %.40q is none of %s", name, strings.Join(csvColumns, ", "))
		}
		if slices.Contains(m.columns, name) {
			return nil, errs.New(errs.Invalid, "line 1: column %q stands twice", name)
		}
		m.columns = append(m.columns, name)
	}
	if !slices.Contains(m.columns, "id") || !slices.Contains(m.columns, "city") {
		return nil, errs.New(errs.Invalid, "line 1: the columns id and city are needed; there are %s", strings.Join(m.columns, ", "))
	}
	return m, nil
}

// peekLine drops a byte order mark and returns up to 4 KiB of the first line,
// with a reader that still holds it.
func peekLine(file io.Reader) (string, io.Reader, error) {
	buf := make([]byte, 4096)
	n, err := io.ReadFull(file, buf)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return "", nil, errs.Wrap(errs.Invalid, err, "the file cannot be read")
	}
	text := strings.TrimPrefix(string(buf[:n]), "\ufeff")
	head, _, _ := strings.Cut(text, "\n")
	return head, io.MultiReader(strings.NewReader(text), file), nil
}

// next returns the next line; what is wrong with it stands in out.Err. The
// error is io.EOF, or that of reading.
func (m *machineCSV) next() (importing, error) {
	fields, err := m.r.Read()
	var bad *csv.ParseError
	if errors.As(err, &bad) {
		row := importing{out: Imported{Line: bad.StartLine}}
		row.out.Err = errs.New(errs.Invalid, "line %d cannot be read: %v", bad.Line, bad.Err)
		return row, nil
	}
	if err != nil {
		return importing{}, err
	}
	line, _ := m.r.FieldPos(0)
	row := importing{out: Imported{Line: line}}
	if len(fields) > len(m.columns) {
		row.out.Err = errs.New(errs.Invalid, "line %d has %d fields where the header has %d", line, len(fields), len(m.columns))
		return row, nil
	}
	for i, f := range fields {
		f = strings.TrimSpace(f)
		switch m.columns[i] {
		case "id":
			row.m.ID = f
			if ids.Name("id", f) == nil {
				row.out.ID = f
			}
		case "city":
			row.m.City = f
		case "model":
			row.m.Model = f
		case "lat":
			row.m.Lat, err = degrees(f)
		case "lon":
			row.m.Lon, err = degrees(f)
		}
		if err != nil {
			row.out.Err = errs.New(errs.Invalid, "line %d: %s: %.40q is not a number of degrees", line, m.columns[i], strings.ToValidUTF8(f, "\uFFFD"))
			return row, nil
		}
	}
	return row, nil
}

// degrees reads a coordinate; an empty field is none.
func degrees(f string) (*float64, error) {
	if f == "" {
		return nil, nil
	}
	v, err := strconv.ParseFloat(f, 64)
	return &v, err
}
