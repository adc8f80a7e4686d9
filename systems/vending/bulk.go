package vending

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"plumb/engines/sqldb"
)

// bulk is a statement for many rows: a text for each number of rows that piece
// returns, so that few different texts stay prepared.
type bulk map[int]string

// newBulk makes the texts. In row, each ? is a value.
func newBulk(head, row, tail string) bulk {
	b := bulk{}
	for _, n := range pieces {
		var text strings.Builder
		text.WriteString(head)
		at := 0
		for i := range n {
			if i > 0 {
				text.WriteString(", ")
			}
			for _, c := range row {
				if c != '?' {
					text.WriteRune(c)
					continue
				}
				at++
				fmt.Fprintf(&text, "$%d", at)
			}
		}
		text.WriteString(tail)
		b[n] = text.String()
	}
	return b
}

func (b bulk) exec(ctx context.Context, tx *sqldb.Tx, rows [][]any) error {
	for len(rows) > 0 {
		n := piece(len(rows))
		if _, err := tx.Exec(ctx, b[n], slices.Concat(rows[:n]...)...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (b bulk) query(ctx context.Context, tx *sqldb.Tx, rows [][]any, each func(*sqldb.Rows) error) error {
	for len(rows) > 0 {
		n := piece(len(rows))
		got, err := tx.Query(ctx, b[n], slices.Concat(rows[:n]...)...)
		if err != nil {
			return err
		}
		for got.Next() {
			if err := each(got); err != nil {
				got.Close()
				return err
			}
		}
		if err := got.Err(); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}
