package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"

	"plumb/base/errs"
)

var (
	// ErrNoRows is what Row.Scan returns when there is no row.
	ErrNoRows = sql.ErrNoRows
	// ErrNested refuses a Write inside a Write, which would wait for itself.
	ErrNested = errors.New("sqldb: Write called inside a Write")
	// ErrClosed is the answer to whoever waited when the database was closed.
	ErrClosed = errors.New("sqldb: closed")
	// ErrRowsOpen refuses a statement while Rows are open.
	ErrRowsOpen = errors.New("sqldb: close the Rows before the next statement")
	// ErrSpoilt refuses a statement after a failed one, and the fn with it.
	ErrSpoilt = errors.New("sqldb: an earlier statement of this transaction failed")
	// ErrUncertain marks the one case in which an error may leave something
	// behind: PostgreSQL went away while it committed. Whoever tries again
	// must bring the same id (see engines/once).
	ErrUncertain = errors.New("sqldb: the connection was lost during the commit")
	// ErrFull marks a full disk, or a database at its limit. Nothing is kept,
	// nothing is corrupt, and writing works again when there is room.
	ErrFull = fmt.Errorf("sqldb: the disk is full: %w", errs.ErrFull)
	// ErrAway marks a database that cannot be reached.
	ErrAway = errors.New("sqldb: the database cannot be reached")
)

// SQLite's result codes, https://www.sqlite.org/rescode.html.
const (
	sqliteBusy             = 5
	sqliteFull             = 13
	sqliteConstraintPK     = 1555
	sqliteConstraintUnique = 2067
	sqliteConstraintRowid  = 2579
	sqliteIOErrShmSize     = 4874 // the WAL's index could not grow: full
)

// driverError is an error that a driver returned. An io.EOF in it is a lost
// connection; in a fn's own error it may be anything.
type driverError struct{ error }

func (e driverError) Unwrap() error { return e.error }

// fromDriver wraps err, unless it is nil.
func fromDriver(err error) error {
	if err == nil {
		return nil
	}
	return driverError{err}
}

// IsUnique says whether err is a unique or primary key that stands already.
// The statement has spoilt its transaction: where a duplicate is expected,
// write INSERT ... ON CONFLICT DO NOTHING and look at the rows affected.
func IsUnique(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505"
	}
	switch sqliteCode(err) {
	case sqliteConstraintPK, sqliteConstraintUnique, sqliteConstraintRowid:
		return true
	}
	return false
}

// IsFull says whether err is a full disk or a database at its limit.
func IsFull(err error) bool {
	if errors.Is(err, ErrFull) {
		return true
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "53100"
	}
	code := sqliteCode(err)
	return code&0xff == sqliteFull || code == sqliteIOErrShmSize
}

// IsAway says whether err means that the database cannot be reached, or went
// away in the middle.
func IsAway(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, ErrAway) || errors.Is(err, ErrUncertain) || errors.Is(err, errTimeout) {
		return true
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		// shut down by an administrator, after a crash, starting up, too many
		// connections, connection failures
		case "57P01", "57P02", "57P03", "53300":
			return true
		}
		return strings.HasPrefix(pg.Code, "08")
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return true
	}
	if !errors.As(err, new(driverError)) {
		return false
	}
	var network net.Error // context.DeadlineExceeded is one
	return errors.As(err, &network) && !isContext(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		pgconn.SafeToRetry(err)
}

func sqliteCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// isContext: the caller went away, or its time was up.
func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// retryable: PostgreSQL undid the transaction and says that it may work next time.
func retryable(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01" || isStale(err))
}

// isStale: a connection had prepared a statement before a migration changed the type
// of its result, in this process or in another. A new connection prepares it anew.
func isStale(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "0A000" && e.Routine == "RevalidateCachedQuery"
}

// come is when to try again after the database was full or away.
const come = 2 * time.Second

// isNoText: PostgreSQL refused a text with a zero byte or that is not UTF-8.
// SQLite takes both; a request that holds one finds nothing there.
func isNoText(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "22021"
}

// classify gives the errors that a database's state explains their kind, so
// that the edge tells clients to come again. What a room classified stays.
func classify(err error) error {
	switch {
	case err == nil, errs.KindOf(err) != errs.Internal:
		return err
	case isNoText(err):
		return fmt.Errorf("%w: %w", errs.New(errs.Invalid, "the request holds a zero byte or is not valid UTF-8"), err)
	case IsFull(err):
		return fmt.Errorf("%w: %w: %w", errs.TryAfter(come, "the disk is full: nothing was stored"), ErrFull, err)
	case errors.Is(err, ErrUncertain):
		return fmt.Errorf("%w: %w", errs.TryAfter(come, "the database went away while it stored this: send it again with the same id"), err)
	case errors.Is(err, errTimeout):
		return fmt.Errorf("%w: %w: %w", errs.TryAfter(come, "the database did not answer in time: nothing was stored"), ErrAway, err)
	case IsAway(err):
		return fmt.Errorf("%w: %w: %w", errs.TryAfter(come, "the database cannot be reached"), ErrAway, err)
	case sqliteCode(err)&0xff == sqliteBusy:
		return fmt.Errorf("%w: %w", errs.TryAfter(come, "another program holds the database"), err)
	case retryable(err):
		return fmt.Errorf("%w: %w", errs.TryAfter(come, "too many writers want the same rows"), err)
	}
	return err
}
