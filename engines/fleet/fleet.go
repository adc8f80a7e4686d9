// Package fleet knows devices that call in: which machine holds which token,
// whether it is in good standing, and when it was last heard. When a machine is
// to call, and what it is told when too many do, is plumb/engines/fleet/slots.
//
//	f, err := fleet.Open(ctx, fleet.Needs{DB: db, Bus: b, Clock: clock.System{}, Log: log})
//	token := ids.Token()
//	err = db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
//		return f.Enrol(ctx, tx, fleet.Machine{Realm: "vending", ID: "m-17", Cohort: "Berlin"}, token)
//	})
//	gate := web.NewGate(web.First(f, people), log) // f knows machines by their tokens
//
// What holds:
//   - A token is 256 random bits, shown once and stored as its SHA-256.
//   - A code can be changed for a token once, before it expires.
//   - A revoked machine is refused by every process: at once where the bus
//     reaches, and within CacheTime where it does not.
package fleet

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/bus"
	"plumb/engines/sqldb"
)

//go:embed schema/*.sql
var schema embed.FS

const (
	// CacheTime is how long a process believes what it read about a token.
	CacheTime = time.Minute
	// CodeTime is how long a new enrolment code is good.
	CodeTime = 30 * 24 * time.Hour

	subject   = "fleet.changed"  // data: realm/id of a machine whose standing changed
	flushTime = 10 * time.Second // between two writes of presence
	flushMost = 200              // machines in one transaction
)

// Machine is a device that may call.
type Machine struct {
	Realm  string // the room that it belongs to
	ID     string // as ids.Name, unique in its realm
	Cohort string // the room's own grouping, such as a city
}

// Key is how the house names the machine in logs, in web.Who and on the bus.
func (m Machine) Key() string { return m.Realm + "/" + m.ID }

// Standing is what is known of a machine's identity.
type Standing struct {
	Machine
	Enrolled time.Time
	Revoked  time.Time // zero: in good standing
	Seen     time.Time // the last call with its token; zero: never. May lag by some seconds
	HasToken bool      // false until it changed its first code
}

// Needs is what the engine is given.
type Needs struct {
	DB    *sqldb.DB
	Bus   bus.Bus
	Clock clock.Clock
	Log   *slog.Logger
}

// Fleet knows the machines of all realms. It is safe for concurrent use.
type Fleet struct {
	n     Needs
	cache cache
	stop  func()         // ends the subscription
	quit  chan struct{}  // closed by Close
	loop  sync.WaitGroup // the goroutine that writes presence

	mu      sync.Mutex
	seen    map[string]int64 // machine's key -> microseconds; not yet written
	writing map[string]int64 // what flush is writing; nil when it is not
}

// Open makes the tables and starts writing presence; Close ends it.
func Open(ctx context.Context, n Needs) (*Fleet, error) {
	if err := n.DB.Migrate(ctx, "fleet", schema); err != nil {
		return nil, fmt.Errorf("open fleet: %w", err)
	}
	f := &Fleet{n: n, quit: make(chan struct{}), seen: map[string]int64{}}
	stop, err := n.Bus.Subscribe(subject, func(_ string, data []byte) { f.cache.drop(string(data)) })
	if err != nil {
		return nil, fmt.Errorf("open fleet: %w", err)
	}
	f.stop = stop
	f.loop.Go(f.keepPresence)
	return f, nil
}

// Close writes what is known about presence, and ends. The database must still
// be open.
func (f *Fleet) Close() error {
	f.stop()
	close(f.quit)
	f.loop.Wait()
	return nil
}

// Enrol adds machine m in the caller's transaction. token is a fresh ids.Token,
// or "" for a machine that will bring a code. Errors: Invalid id; Conflict when
// the id is taken.
func (f *Fleet) Enrol(ctx context.Context, tx *sqldb.Tx, m Machine, token string) error {
	if err := ids.Name("a machine's id", m.ID); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, enrolSQL, m.Realm, m.ID, m.Cohort, hash(token), f.n.Clock.Now().UnixMicro())
	if err != nil {
		return fmt.Errorf("enrol machine %s: %w", m.Key(), err)
	}
	if n == 0 {
		return errs.New(errs.Conflict, "machine %s is enrolled already", m.ID)
	}
	return nil
}

// NewCode makes code, a fresh Code, good for one token of the machine until
// CodeTime has passed, in the caller's transaction. Earlier codes of the machine
// that were not used end. Errors: NotFound; Denied when it is revoked.
func (f *Fleet) NewCode(ctx context.Context, tx *sqldb.Tx, realm, id, code string) (expires time.Time, err error) {
	st, err := f.standing(ctx, tx, realm, id)
	if err != nil {
		return time.Time{}, err
	}
	if !st.Revoked.IsZero() {
		return time.Time{}, errs.New(errs.Denied, "machine %s is revoked: restore it first", id)
	}
	now := f.n.Clock.Now()
	if _, err := tx.Exec(ctx, endCodesSQL, realm, id); err != nil {
		return time.Time{}, fmt.Errorf("new code for %s: %w", st.Key(), err)
	}
	expires = now.Add(CodeTime)
	if _, err := tx.Exec(ctx, newCodeSQL, hash(plain(code)), realm, id, expires.UnixMicro()); err != nil {
		return time.Time{}, fmt.Errorf("new code for %s: %w", st.Key(), err)
	}
	return expires, nil
}

// Redeem changes a code of the realm for token, a fresh ids.Token, which takes
// the place of any earlier one, in the caller's transaction; Changed must follow
// the commit. The same Unknown error answers codes that never were, are used, or
// have expired.
func (f *Fleet) Redeem(ctx context.Context, tx *sqldb.Tx, realm, code, token string) (Machine, error) {
	now := f.n.Clock.Now().UnixMicro()
	m := Machine{Realm: realm}
	err := tx.QueryRow(ctx, redeemSQL, hash(plain(code)), realm, now).Scan(&m.ID)
	if err == sqldb.ErrNoRows {
		return Machine{}, errs.New(errs.Unknown, "this code is not good: it may be used or have expired; ask for a new one")
	}
	if err != nil {
		return Machine{}, fmt.Errorf("redeem a code: %w", err)
	}
	err = tx.QueryRow(ctx, setTokenSQL, realm, m.ID, hash(token)).Scan(&m.Cohort)
	if err == sqldb.ErrNoRows {
		return Machine{}, errs.New(errs.Denied, "machine %s is revoked", m.ID)
	}
	if err != nil {
		return Machine{}, fmt.Errorf("redeem a code of machine %s: %w", m.ID, err)
	}
	return m, nil
}

// Revoke ends the machine's right to call, or gives it back (revoked false), in
// the caller's transaction; Changed must follow the commit. Errors: NotFound.
func (f *Fleet) Revoke(ctx context.Context, tx *sqldb.Tx, realm, id string, revoked bool) error {
	at := int64(0)
	if revoked {
		at = f.n.Clock.Now().UnixMicro()
	}
	n, err := tx.Exec(ctx, revokeSQL, realm, id, at)
	if err != nil {
		return fmt.Errorf("revoke machine %s/%s: %w", realm, id, err)
	}
	if n == 0 {
		return errs.New(errs.NotFound, "there is no machine %s", id)
	}
	if !revoked {
		return nil
	}
	if _, err := tx.Exec(ctx, endCodesSQL, realm, id); err != nil {
		return fmt.Errorf("revoke machine %s/%s: %w", realm, id, err)
	}
	return nil
}

// Changed tells every process that the machine's standing changed.
func (f *Fleet) Changed(ctx context.Context, realm, id string) {
	key := Machine{Realm: realm, ID: id}.Key()
	f.cache.drop(key)
	if err := f.n.Bus.Publish(ctx, subject, []byte(key)); err != nil {
		f.n.Log.Warn("a change of a machine was not announced; others learn of it within CacheTime", "machine", key, "error", err)
	}
}

// Standing returns what is known of a machine. Errors: NotFound.
func (f *Fleet) Standing(ctx context.Context, realm, id string) (st Standing, err error) {
	// Noted presence is read first: what is in neither map by now has been written.
	noted, ok := f.noted(Machine{Realm: realm, ID: id}.Key())
	err = f.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		st, err = f.standing(ctx, tx, realm, id)
		return err
	})
	if err != nil {
		return Standing{}, err
	}
	if ok {
		st.Seen = time.UnixMicro(noted).UTC()
	}
	return st, nil
}

func (f *Fleet) standing(ctx context.Context, tx *sqldb.Tx, realm, id string) (Standing, error) {
	st := Standing{Machine: Machine{Realm: realm, ID: id}}
	var token string
	var enrolled, revoked, seen int64
	err := tx.QueryRow(ctx, standingSQL, realm, id).Scan(&st.Cohort, &token, &enrolled, &revoked, &seen)
	if err == sqldb.ErrNoRows {
		return Standing{}, errs.New(errs.NotFound, "there is no machine %s", id)
	}
	if err != nil {
		return Standing{}, fmt.Errorf("standing of machine %s: %w", st.Key(), err)
	}
	st.HasToken, st.Enrolled, st.Revoked, st.Seen = token != "", instant(enrolled), instant(revoked), instant(seen)
	return st, nil
}

// instant returns the zero time for 0 microseconds, which here means never.
func instant(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// hash is ids.Hash; no secret stays no secret.
func hash(secret string) string {
	if secret == "" {
		return ""
	}
	return ids.Hash(secret)
}

// letters are Crockford's base 32: no I, L, O, U, which people mistake.
const letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// Code returns a fresh one-time code of 80 random bits that a person can type:
// "7KQ2-M0XV-93HD-ZZ4T".
func Code() string {
	var b strings.Builder
	for i, c := range []byte(ids.Token())[:16] {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		// The token's letters are 64 kinds, so that five bits of each are even.
		b.WriteByte(letters[base64Value(c)%32])
	}
	return b.String()
}

// base64Value returns the six bits that a letter of a token stands for.
func base64Value(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c - 'A'
	case c >= 'a' && c <= 'z':
		return c - 'a' + 26
	case c >= '0' && c <= '9':
		return c - '0' + 52
	case c == '-':
		return 62
	}
	return 63
}

// plain undoes what people do to a code that they type.
func plain(code string) string {
	return strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(code))
}
