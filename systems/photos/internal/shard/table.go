package shard

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// Kind is a column's type.
type Kind byte

// The kinds.
const (
	IsText Kind = iota
	IsInt
	IsFloat
	IsBytes
)

// Column is one column of a table.
type Column struct {
	Name string
	Kind Kind
}

// Text lists columns of TEXT.
func Text(names ...string) []Column { return columns(IsText, names) }

// Int lists columns of BIGINT.
func Int(names ...string) []Column { return columns(IsInt, names) }

// Float lists columns of DOUBLE PRECISION.
func Float(names ...string) []Column { return columns(IsFloat, names) }

// Bytes lists columns of BYTEA.
func Bytes(names ...string) []Column { return columns(IsBytes, names) }

func columns(k Kind, names []string) []Column {
	out := make([]Column, len(names))
	for i, n := range names {
		out[i] = Column{n, k}
	}
	return out
}

// Table describes a table of the room, so that its rows can be copied with what they
// refer to. Every column is NOT NULL. Among them are
//
//	owner TEXT    whose it is; never changes
//	rev   BIGINT  the owner's number at the row's last change
//	gone  BIGINT  0, or when it was deleted: a deletion is a change, and Sweep removes
//	              the row later
//
// and an index on (owner, rev) serves the copies. Rows leave by Sweep only, and what is
// gone never comes back. A unique index may leave out what is gone, but must be by owner.
type Table struct {
	Name    string
	Columns []Column
	Key     []string // the primary key: columns of text and int
	// Hashes are text columns that name contents of cas in hex, "" for none. Each that is
	// not empty, of a row that is not gone, holds one reference.
	Hashes []string
}

// Row is a row of a table, or of the owner's links (Table LinksTable), fit for JSON.
type Row struct {
	Table  string         `json:"table"`
	Values map[string]any `json:"values"` // string, int64, float64, []byte by the column's kind; also as JSON gives them back
}

// LinksTable is the Table of rows that are links.
const LinksTable = "links"

// UnmarshalJSON keeps whole numbers exact.
func (r *Row) UnmarshalJSON(text []byte) error {
	var plain struct {
		Table  string         `json:"table"`
		Values map[string]any `json:"values"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&plain); err != nil {
		return err
	}
	*r = Row(plain)
	return nil
}

// tableText is a table with its statements. Values are in the order of the columns.
type tableText struct {
	Table
	index  map[string]int
	owner  int
	rev    int
	gone   int
	keys   []int
	hashes []int

	first  string // a page of an owner's rows by (rev, key): $1 owner, $2 after rev, $3 up to rev, $4 limit
	more   string // the next: $5... are the rev and key of the last
	ended  string // as first and more, of rows that are gone, up to any number
	later  string
	old    string // gone and hashes of the row with a key
	number string // rev of the row with a key
	upsert string
	live   string // how many, and the sum of their numbers
	some   string // any rows of an owner: $1 owner, $2 limit
	dead   string // rows that were deleted before: $1 when, $2 limit
	remove string // the row with a key
}

// texts checks the tables and makes their statements.
func texts(tables []Table) ([]tableText, error) {
	out := make([]tableText, len(tables))
	for i, t := range tables {
		out[i] = tableText{Table: t, index: map[string]int{}}
		if err := out[i].compose(); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(tables[:i], func(o Table) bool { return o.Name == t.Name }) {
			return nil, t.fault("it is there twice")
		}
	}
	return out, nil
}

func (t Table) fault(format string, args ...any) error {
	return errs.New(errs.Internal, "table %q: %s", t.Name, fmt.Sprintf(format, args...))
}

// column returns where a column of a kind is.
func (t *tableText) column(name string, kinds ...Kind) (int, error) {
	i, ok := t.index[name]
	if !ok || !slices.Contains(kinds, t.Columns[i].Kind) {
		return 0, t.fault("it lacks the column %s, or that is of another kind", name)
	}
	return i, nil
}

func isIdentifier(s string) bool {
	return s != "" && len(s) <= 63 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == "" && (s[0] < '0' || s[0] > '9')
}

func (t *tableText) compose() (err error) {
	if !isIdentifier(t.Name) || t.Name == LinksTable || len(t.Columns) > 64 || len(t.Key) == 0 {
		return t.fault("it needs a name, a key, and at most 64 columns")
	}
	var names []string
	for i, c := range t.Columns {
		if _, twice := t.index[c.Name]; twice || !isIdentifier(c.Name) {
			return t.fault("column %q is there twice, or is no name", c.Name)
		}
		t.index[c.Name] = i
		names = append(names, c.Name)
	}
	for name, at := range map[string]*int{"rev": &t.rev, "gone": &t.gone} {
		if *at, err = t.column(name, IsInt); err != nil {
			return err
		}
	}
	if t.owner, err = t.column("owner", IsText); err != nil {
		return err
	}
	for _, k := range t.Key {
		at, err := t.column(k, IsText, IsInt)
		if err != nil {
			return err
		}
		t.keys = append(t.keys, at)
	}
	for _, h := range t.Hashes {
		at, err := t.column(h, IsText)
		if err != nil {
			return err
		}
		t.hashes = append(t.hashes, at)
	}
	t.compile(names)
	return nil
}

func (t *tableText) compile(names []string) {
	all, key := strings.Join(names, ", "), strings.Join(t.Key, ", ")
	from := ` FROM ` + t.Name + ` WHERE `
	where, marks := make([]string, len(t.Key)), make([]string, len(t.Key))
	for i, k := range t.Key {
		where[i], marks[i] = fmt.Sprintf("%s = $%d", k, i+1), fmt.Sprintf("$%d", i+6)
	}
	byKey := strings.Join(where, " AND ")
	page := `SELECT ` + all + from + `owner = $1 AND rev > $2 AND rev <= $3`
	order := ` ORDER BY rev, ` + key + ` LIMIT $4`
	t.first = page + order
	t.more = page + ` AND (rev, ` + key + `) > ($5, ` + strings.Join(marks, ", ") + `)` + order
	isGone := strings.Replace(page, "rev <= $3", "gone > $3", 1)
	t.ended = isGone + order
	t.later = isGone + ` AND (rev, ` + key + `) > ($5, ` + strings.Join(marks, ", ") + `)` + order
	t.old = `SELECT ` + strings.Join(append([]string{"gone"}, t.Hashes...), ", ") + from + byKey
	t.number = `SELECT rev` + from + byKey
	var set, values []string
	for i, n := range names {
		values = append(values, fmt.Sprintf("$%d", i+1))
		if !slices.Contains(t.Key, n) {
			set = append(set, n+" = excluded."+n)
		}
	}
	t.upsert = `INSERT INTO ` + t.Name + ` (` + all + `) VALUES (` + strings.Join(values, ", ") + `) ON CONFLICT (` + key + `) DO UPDATE SET ` + strings.Join(set, ", ")
	t.live = `SELECT count(*), CAST(COALESCE(sum(rev), 0) AS BIGINT)` + from + `owner = $1 AND gone = 0`
	t.some = `SELECT ` + all + from + `owner = $1 LIMIT $2`
	t.dead = `SELECT ` + all + from + `gone > 0 AND gone < $1 LIMIT $2`
	t.remove = `DELETE` + from + byKey
}

// scan reads the next row.
func (t *tableText) scan(rows *sqldb.Rows) ([]any, error) {
	dest := make([]any, len(t.Columns))
	for i, c := range t.Columns {
		switch c.Kind {
		case IsText:
			dest[i] = new(string)
		case IsInt:
			dest[i] = new(int64)
		case IsFloat:
			dest[i] = new(float64)
		case IsBytes:
			dest[i] = new([]byte)
		}
	}
	if err := rows.Scan(dest...); err != nil {
		return nil, err
	}
	for i := range dest {
		switch v := dest[i].(type) {
		case *string:
			dest[i] = *v
		case *int64:
			dest[i] = *v
		case *float64:
			dest[i] = *v
		case *[]byte:
			if dest[i] = *v; *v == nil {
				dest[i] = []byte{} // SQLite's driver gives nil for none
			}
		}
	}
	return dest, nil
}

// query returns the rows of a query of all columns.
func (t *tableText) query(ctx context.Context, tx *sqldb.Tx, text string, args ...any) (list [][]any, err error) {
	rows, err := tx.Query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		row, err := t.scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, row)
	}
	return list, rows.Err()
}

// key returns the row's key.
func (t *tableText) key(row []any) []any {
	key := make([]any, len(t.keys))
	for i, at := range t.keys {
		key[i] = row[at]
	}
	return key
}

// contents returns the hashes that the row refers to.
func (t *tableText) contents(row []any) (list []string) {
	if row[t.gone].(int64) != 0 {
		return nil
	}
	for _, at := range t.hashes {
		if h := row[at].(string); h != "" {
			list = append(list, h)
		}
	}
	return list
}

// oldContents returns the hashes that the row with a key refers to now.
func (t *tableText) oldContents(ctx context.Context, tx *sqldb.Tx, key []any) (list []string, found bool, err error) {
	var gone int64
	hashes := make([]string, len(t.hashes))
	dest := []any{&gone}
	for i := range hashes {
		dest = append(dest, &hashes[i])
	}
	err = tx.QueryRow(ctx, t.old, key...).Scan(dest...)
	if err == sqldb.ErrNoRows {
		return nil, false, nil
	}
	if err != nil || gone != 0 {
		return nil, err == nil, err
	}
	return slices.DeleteFunc(hashes, func(h string) bool { return h == "" }), true, nil
}

// row gives a row its words.
func (t *tableText) row(values []any) Row {
	r := Row{t.Name, make(map[string]any, len(values))}
	for i, c := range t.Columns {
		r.Values[c.Name] = values[i]
	}
	return r
}

// values reads a row that came by JSON, perhaps from an older or newer version: what it
// lacks is empty, and what is not known here is left out.
func (t *tableText) values(r Row) ([]any, error) {
	out := make([]any, len(t.Columns))
	for i, c := range t.Columns {
		v, err := valueOf(c.Kind, r.Values[c.Name])
		if err != nil {
			return nil, errs.New(errs.Invalid, "a row of %s: column %s: %v", t.Name, c.Name, err)
		}
		out[i] = v
	}
	return out, nil
}

func valueOf(k Kind, v any) (any, error) {
	switch k {
	case IsText:
		switch v := v.(type) {
		case nil:
			return "", nil
		case string:
			return v, nil
		}
	case IsInt:
		switch v := v.(type) {
		case nil:
			return int64(0), nil
		case int64:
			return v, nil
		case json.Number:
			return v.Int64()
		}
	case IsFloat:
		switch v := v.(type) {
		case nil:
			return float64(0), nil
		case float64:
			return v, nil
		case json.Number:
			return v.Float64()
		}
	case IsBytes:
		switch v := v.(type) {
		case nil:
			return []byte{}, nil
		case []byte:
			return v, nil
		case string:
			return base64.StdEncoding.DecodeString(v)
		}
	}
	return nil, fmt.Errorf("%T does not fit", v)
}
