package shard

import (
	"encoding/json"
	"fmt"
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

// Text, Int, Float and Bytes list columns of a kind.
func Text(names ...string) []Column  { return columns(IsText, names) }
func Int(names ...string) []Column   { return columns(IsInt, names) }
func Float(names ...string) []Column { return columns(IsFloat, names) }
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
// and an index on (owner, rev) serves the copies.
type Table struct {
	Name    string
	Columns []Column
	Key     []string // the primary key
	// Hashes are text columns that name contents of cas in hex, "" for none. Each that is
	// not empty, of a row that is not gone, holds one reference.
	Hashes []string
}

// Row is a row of a table, or of the owner's links (Table LinksTable), fit for JSON.
type Row struct {
	Table  string         `json:"table"`
	Values map[string]any `json:"values"` // string, int64, float64, []byte by the column's kind
}

// LinksTable is the Table of rows that are links.
const LinksTable = "links"

// Encode and DecodeRow write and read a row as JSON.
func (r Row) Encode() ([]byte, error) { return json.Marshal(r) }

func errTable(name, format string, args ...any) error {
	return fmt.Errorf("shard: table %s: %s", name, fmt.Sprintf(format, args...))
}
