package dav

import (
	"context"
	"slices"
	"time"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/sqldb"
)

// MostLocks is how many locks a person may hold at once.
const MostLocks = 1000

// Lock is a write lock on a path of a person's tree.
type Lock struct {
	Token   string // plumb:...
	Path    string
	Deep    bool // holds for all that is below, too: Depth infinity
	Shared  bool
	Owner   string // what the client calls itself: an owner element, or ""
	Life    time.Duration
	Expires time.Time
}

// Covers says whether what is at path may be changed only with the lock.
func (l Lock) Covers(path string) bool {
	return l.Path == path || l.Deep && Under(path, l.Path)
}

// Conflicts says whether l and m cannot hold at once.
func (l Lock) Conflicts(m Lock) bool {
	return (l.Covers(m.Path) || m.Covers(l.Path)) && !(l.Shared && m.Shared)
}

// Change is what a request is about to do at a path.
type Change struct {
	Path    string
	Members bool // it is made or taken away: its folder's members change
	Below   bool // all that is below is changed, too
}

// Blocked returns the locks whose tokens a request for the changes lacks. Each resource
// that is changed needs the tokens of the exclusive locks that cover it, and one of the
// shared ones.
func Blocked(locks []Lock, tokens []string, changes ...Change) []Lock {
	var by []Lock
	check := func(path string) {
		var shared []Lock
		given := false
		for _, l := range locks {
			has := slices.Contains(tokens, l.Token)
			switch {
			case !l.Covers(path):
			case l.Shared:
				shared, given = append(shared, l), given || has
			case !has:
				by = append(by, l)
			}
		}
		if !given {
			by = append(by, shared...)
		}
	}
	for _, c := range changes {
		check(c.Path)
		if c.Members {
			check(Parent(c.Path))
		}
		for _, l := range locks {
			if c.Below && l.Path != c.Path && Under(l.Path, c.Path) {
				check(l.Path)
			}
		}
	}
	return by
}

const (
	locksSQL      = `SELECT token, path, deep, shared, owner, life, expires FROM files_locks WHERE person = $1 AND expires > $2 ORDER BY token LIMIT $3`
	addLockSQL    = `INSERT INTO files_locks (token, person, path, deep, shared, owner, life, expires) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	expireSQL     = `DELETE FROM files_locks WHERE person = $1 AND expires <= $2`
	refreshSQL    = `UPDATE files_locks SET life = $3, expires = $4 WHERE token = $1 AND person = $2`
	unlockSQL     = `DELETE FROM files_locks WHERE token = $1 AND person = $2`
	lockNumberSQL = `SELECT count(*) FROM files_locks WHERE person = $1`
)

// Locks returns a person's locks that hold now.
func Locks(ctx context.Context, tx *sqldb.Tx, person string, now time.Time) (list []Lock, err error) {
	rows, err := tx.Query(ctx, locksSQL, person, now.UnixMicro(), int64(MostLocks))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var l Lock
		var deep, shared, life, expires int64
		if err := rows.Scan(&l.Token, &l.Path, &deep, &shared, &l.Owner, &life, &expires); err != nil {
			return nil, err
		}
		l.Deep, l.Shared, l.Life, l.Expires = deep == 1, shared == 1, time.Duration(life)*time.Microsecond, time.UnixMicro(expires).UTC()
		list = append(list, l)
	}
	return list, rows.Err()
}

// Add makes a lock, with a token of its own, that holds for l.Life from now. The caller
// has looked for conflicts in the same transaction. Errors: TooLarge when the person
// holds too many.
func Add(ctx context.Context, tx *sqldb.Tx, person string, l Lock, now time.Time) (Lock, error) {
	if _, err := tx.Exec(ctx, expireSQL, person, now.UnixMicro()); err != nil {
		return Lock{}, err
	}
	var n int64
	if err := tx.QueryRow(ctx, lockNumberSQL, person).Scan(&n); err != nil {
		return Lock{}, err
	}
	if n >= MostLocks {
		return Lock{}, errs.New(errs.TooLarge, "a person may hold %d locks at once", MostLocks)
	}
	l.Token, l.Expires = newToken(), now.Add(l.Life)
	_, err := tx.Exec(ctx, addLockSQL, l.Token, person, l.Path, bit(l.Deep), bit(l.Shared), l.Owner, l.Life.Microseconds(), l.Expires.UnixMicro())
	return l, err
}

// newToken returns a URI that no other lock ever has. It is shorter than a UUID's, since
// an If header may name it beside two of our long entity tags, and clients' buffers are
// small (litmus cuts a header at 200 bytes).
func newToken() string { return "plumb:" + ids.Token()[:22] }

// Refresh lets a lock hold for life from now.
func Refresh(ctx context.Context, tx *sqldb.Tx, person string, l Lock, life time.Duration, now time.Time) (Lock, error) {
	l.Life, l.Expires = life, now.Add(life)
	_, err := tx.Exec(ctx, refreshSQL, l.Token, person, life.Microseconds(), l.Expires.UnixMicro())
	return l, err
}

// Unlock ends locks.
func Unlock(ctx context.Context, tx *sqldb.Tx, person string, locks ...Lock) error {
	for _, l := range locks {
		if _, err := tx.Exec(ctx, unlockSQL, l.Token, person); err != nil {
			return err
		}
	}
	return nil
}

// At returns the locks whose roots lie at path or below it.
func At(locks []Lock, path string) []Lock {
	var in []Lock
	for _, l := range locks {
		if Under(l.Path, path) {
			in = append(in, l)
		}
	}
	return in
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
