package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/jackc/pgx/v5"
)

// Tx is an open transaction, good inside its fn only and for one goroutine.
type Tx struct {
	sq   *sql.Tx
	pg   pgx.Tx
	rows *Rows // open, or nil

	// failed is the error of the first statement that failed since the last
	// savepoint. PostgreSQL accepts nothing after it, so neither does SQLite.
	failed error

	// wrote: a statement other than a query has run since the last savepoint.
	wrote bool

	// shared: other callers' work is in the same transaction, so that no
	// caller's ctx may reach a driver. A ctx that ends in mid-statement makes
	// SQLite roll the whole transaction back, and pgx close the connection.
	shared bool
	limit  context.Context // shared: bounds the statements instead; nil for none
}

// SQL unwraps the transaction on SQLite, for engines/jobs; nil on PostgreSQL.
func (t *Tx) SQL() *sql.Tx { t.wrote = true; return t.sq }

// Pgx unwraps the transaction on PostgreSQL, for engines/jobs; nil on SQLite.
func (t *Tx) Pgx() pgx.Tx { t.wrote = true; return t.pg }

// Context returns what may be handed to a driver together with an unwrapped
// transaction: ctx with its values, but without its end where others share
// the transaction.
func (t *Tx) Context(ctx context.Context) context.Context {
	switch {
	case !t.shared:
		return ctx
	case t.limit != nil:
		return valuesOf{t.limit, ctx}
	}
	return context.WithoutCancel(ctx)
}

// valuesOf is one context's end with another's values.
type valuesOf struct {
	context.Context
	values context.Context
}

func (v valuesOf) Value(key any) any { return v.values.Value(key) }

// Fail marks the transaction as spoilt by a driver's error and returns it,
// for who ran statements on the unwrapped one.
func (t *Tx) Fail(err error) error {
	err = driverError{err}
	if t.failed == nil {
		t.failed = err
	}
	return err
}

func (t *Tx) ready(ctx context.Context) (context.Context, error) {
	if t.rows != nil {
		return nil, ErrRowsOpen // pgx would fail; so that SQLite does too
	}
	if t.failed != nil {
		return nil, fmt.Errorf("%w: %w", ErrSpoilt, t.failed)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return t.Context(ctx), nil
}

// Exec runs a statement and returns how many rows it affected.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	ctx, err := t.ready(ctx)
	if err != nil {
		return 0, err
	}
	t.wrote = true
	if t.pg != nil {
		tag, err := t.pg.Exec(ctx, query, args...)
		if err != nil {
			return 0, t.Fail(err)
		}
		return tag.RowsAffected(), nil
	}
	res, err := t.sq.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, t.Fail(err)
	}
	return res.RowsAffected()
}

// Query runs a query. The Rows must be read to their end, or closed, before
// the next statement.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	ctx, err := t.ready(ctx)
	if err != nil {
		return nil, err
	}
	if !reads(query) {
		t.wrote = true // INSERT ... RETURNING
	}
	r := &Rows{tx: t}
	if t.pg != nil {
		r.pg, err = t.pg.Query(ctx, query, args...)
	} else {
		r.sq, err = t.sq.QueryContext(ctx, query, args...)
	}
	if err != nil {
		return nil, t.Fail(err)
	}
	t.rows = r
	return r, nil
}

// reads says whether a query certainly changes nothing.
func reads(query string) bool {
	for i := range len(query) {
		switch query[i] {
		case ' ', '\t', '\r', '\n':
			continue
		}
		return len(query) >= i+6 && (query[i]|0x20 == 's') && (query[i+1]|0x20 == 'e') && (query[i+2]|0x20 == 'l')
	}
	return false
}

// QueryRow runs a query of which the first row matters. The row's Scan
// reports the error; ErrNoRows when there is no row.
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) Row {
	rows, err := t.Query(ctx, query, args...)
	return Row{rows, err}
}

// Row is the answer of QueryRow.
type Row struct {
	rows *Rows
	err  error
}

// Scan copies the row's columns into typed destinations. It must be called.
func (r Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	r.rows.Close()
	return r.rows.Err()
}

// Rows is the answer of Query.
type Rows struct {
	tx *Tx
	sq *sql.Rows
	pg pgx.Rows
}

// Next moves to the next row, and closes the Rows after the last.
func (r *Rows) Next() bool {
	more := false
	if r.pg != nil {
		more = r.pg.Next()
	} else {
		more = r.sq.Next()
	}
	if !more {
		r.Close()
	}
	return more
}

// Scan copies the row's columns into typed destinations: *int64, *string,
// *[]byte, *float64, *bool, and pointers to those where NULL may stand.
func (r *Rows) Scan(dest ...any) error {
	if r.pg != nil {
		return r.pg.Scan(dest...)
	}
	return r.sq.Scan(dest...)
}

// Err returns the error that ended the rows early, if any.
func (r *Rows) Err() error {
	var err error
	if r.pg != nil {
		err = r.pg.Err()
	} else {
		err = r.sq.Err()
	}
	if err != nil && !r.open() {
		err = r.tx.Fail(err)
	}
	return err
}

func (r *Rows) open() bool { return r.tx.rows == r }

// Close ends the query. Closing twice is fine.
func (r *Rows) Close() {
	if !r.open() {
		return
	}
	r.tx.rows = nil
	if r.pg != nil {
		r.pg.Close()
	} else if err := r.sq.Close(); err != nil {
		r.tx.Fail(err)
	}
	r.Err() // a query that failed spoils the fn, whether its caller asks or not
}

// call runs fn, turns a panic into an error, closes Rows left open, and lets
// no fn succeed after a failed statement.
func call(ctx context.Context, tx *Tx, fn Fn) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", ErrPanic, p, debug.Stack())
		}
		if tx.rows != nil {
			tx.rows.Close()
		}
		if err == nil && tx.failed != nil {
			err = fmt.Errorf("%w: %w", ErrSpoilt, tx.failed)
		}
	}()
	return fn(ctx, tx)
}

// ErrPanic marks the error that a panic in a fn became.
var ErrPanic = errors.New("sqldb: panic in a transaction")
