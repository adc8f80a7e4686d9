package sqldb

import (
	"context"
	"database/sql/driver"
	"io"
)

// SQLite's driver compiles a statement anew each time it runs, which costs
// more than running it. So each connection keeps the statements that it
// compiled. The cache stands below database/sql, where River's statements
// profit too.

const (
	stmtsKept  = 256  // statements of one connection
	stmtLength = 8192 // bytes; longer texts are made for one use
)

type cachingConnector struct{ driver.Connector }

func (c cachingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &cachingConn{sqliteConn: conn.(sqliteConn), idle: map[string]sqliteStmt{}}, nil
}

// sqliteConn is what database/sql uses of the driver's connection.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// cachingConn is used by one goroutine at a time, by database/sql's contract.
type cachingConn struct {
	sqliteConn
	idle map[string]sqliteStmt // compiled and not in use
}

// take returns a compiled statement that nobody uses, or nil for a text that
// is not worth keeping.
func (c *cachingConn) take(ctx context.Context, query string) (sqliteStmt, error) {
	if len(query) > stmtLength {
		return nil, nil
	}
	if s, ok := c.idle[query]; ok {
		delete(c.idle, query)
		return s, nil
	}
	s, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.(sqliteStmt), nil
}

// give keeps s for the next use, in the place of any other when there are
// too many.
func (c *cachingConn) give(query string, s sqliteStmt) error {
	if _, twice := c.idle[query]; twice {
		return s.Close()
	}
	for other, o := range c.idle {
		if len(c.idle) < stmtsKept {
			break
		}
		delete(c.idle, other)
		if err := o.Close(); err != nil {
			return err
		}
	}
	c.idle[query] = s
	return nil
}

func (c *cachingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteConn.ExecContext(ctx, query, args)
	}
	res, err := s.ExecContext(ctx, args)
	if err != nil {
		s.Close() // its error would only hide the first
		return nil, err
	}
	return res, c.give(query, s)
}

func (c *cachingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteConn.QueryContext(ctx, query, args)
	}
	rows, err := s.QueryContext(ctx, args)
	if err != nil {
		s.Close()
		return nil, err
	}
	return &cachedRows{Rows: rows, c: c, query: query, s: s}, nil
}

func (c *cachingConn) Close() error {
	for _, s := range c.idle {
		s.Close() // closing the connection reports what matters
	}
	clear(c.idle)
	return c.sqliteConn.Close()
}

// cachedRows gives its statement back when it is closed.
type cachedRows struct {
	driver.Rows
	c      *cachingConn
	query  string
	s      sqliteStmt
	failed bool
}

func (r *cachedRows) Next(dest []driver.Value) error {
	err := r.Rows.Next(dest)
	r.failed = r.failed || err != nil && err != io.EOF
	return err
}

func (r *cachedRows) Close() error {
	if r.s == nil {
		return nil
	}
	s := r.s
	r.s = nil
	if err := r.Rows.Close(); err != nil || r.failed {
		s.Close()
		return err
	}
	return r.c.give(r.query, s)
}
