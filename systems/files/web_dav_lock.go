package files

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/systems/files/internal/dav"
)

// lock makes or refreshes a lock. Where nothing is yet, it makes an empty file (RFC
// 4918, 7.3), so that the name is taken.
func (d *davRequest) lock() error {
	depth, err := dav.ParseDepth(d.r.Header.Get("Depth"))
	if err == nil && depth == dav.One {
		err = errs.New(errs.Invalid, "a lock's Depth is 0 or infinity")
	}
	if err != nil {
		return malformed(err)
	}
	l, anew, err := dav.ParseLock(&incoming{w: d.w, r: d.r.Body})
	if err != nil {
		return malformed(err)
	}
	l.Path, l.Deep, l.Life = d.path, depth != dav.Zero, dav.ParseTimeout(d.r.Header.Get("Timeout"))
	created := false
	if anew {
		l, created, err = d.lockNew(l)
	} else {
		l, err = d.lockAgain(l.Life)
	}
	if err != nil {
		return err
	}
	d.w.Header().Set("Content-Type", dav.ContentType)
	d.w.Header().Set("Cache-Control", "no-store")
	if anew {
		d.w.Header().Set("Lock-Token", "<"+l.Token+">")
	}
	if created {
		d.w.WriteHeader(http.StatusCreated)
	}
	io.WriteString(d.w, dav.Discovered(davRoot, l)) // a client that went away cannot be told
	return nil
}

// locked is what the transaction of a new lock gives.
type locked struct {
	dav.Lock
	made Node // the empty file, where it made one
}

func (d *davRequest) lockNew(l dav.Lock) (dav.Lock, bool, error) {
	ctx := d.r.Context()
	empty, err := d.s.n.CAS.Put(ctx, strings.NewReader(""), cas.PutOptions{})
	if err != nil {
		return l, false, err
	}
	defer empty.Close()
	got, err := write(ctx, d.s, "lock", nil, func(ctx context.Context, tx *sqldb.Tx) (got locked, err error) {
		locks, n, found, err := d.check(ctx, tx)
		if err != nil {
			return got, err
		}
		l.Deep = l.Deep && (n.Folder || !found)
		f := fault(http.StatusLocked, "no-conflicting-lock", "somebody holds a lock")
		for _, other := range locks {
			if other.Conflicts(l) {
				f.paths = append(f.paths, other.Path)
			}
		}
		if len(f.paths) > 0 {
			return got, f
		}
		if !found {
			p, err := parsePath(d.path)
			if err == nil {
				err = d.mayAdd(ctx, tx)
			}
			if err == nil {
				got.made, _, err = d.s.adopt(ctx, tx, d.who, p, empty, WriteOptions{})
			}
			if err != nil {
				return got, err
			}
		}
		got.Lock, err = dav.Add(ctx, tx, d.who.ID, l, d.s.n.Clock.Now().UTC().Truncate(time.Microsecond))
		return got, err
	})
	if err == nil && got.made.ID != "" {
		d.s.changed(ctx, got.made, "written")
	}
	return got.Lock, got.made.ID != "", err
}

// lockAgain refreshes the lock on the path that the If header names.
func (d *davRequest) lockAgain(life time.Duration) (dav.Lock, error) {
	tokens := d.cond.Tokens()
	if len(tokens) == 0 {
		return dav.Lock{}, badPath("a LOCK without a body refreshes the lock that its If header names")
	}
	return write(d.r.Context(), d.s, "lock again", nil, func(ctx context.Context, tx *sqldb.Tx) (dav.Lock, error) {
		locks, _, _, err := d.check(ctx, tx)
		if err != nil {
			return dav.Lock{}, err
		}
		l, ok := lockOf(locks, d.path, tokens...)
		if !ok {
			return dav.Lock{}, errs.New(errs.Stale, "there is no such lock, or no longer")
		}
		return dav.Refresh(ctx, tx, d.who.ID, l, life, d.s.n.Clock.Now())
	})
}

// lockOf returns the lock that covers path and has one of the tokens.
func lockOf(locks []dav.Lock, path string, tokens ...string) (dav.Lock, bool) {
	for _, l := range locks {
		for _, t := range tokens {
			if l.Token == t && l.Covers(path) {
				return l, true
			}
		}
	}
	return dav.Lock{}, false
}

// errNoLock is a token that locks nothing here.
var errNoLock = errors.New("no such lock")

func (d *davRequest) unlock() error {
	token, err := dav.ParseToken(d.r.Header.Get("Lock-Token"))
	if err != nil {
		return malformed(err)
	}
	_, err = write(d.r.Context(), d.s, "unlock", nil, func(ctx context.Context, tx *sqldb.Tx) (int, error) {
		locks, _, _, err := d.check(ctx, tx)
		if err != nil {
			return 0, err
		}
		l, ok := lockOf(locks, d.path, token)
		if !ok {
			return 0, errNoLock
		}
		return 0, dav.Unlock(ctx, tx, d.who.ID, l)
	})
	if errors.Is(err, errNoLock) {
		return fault(http.StatusConflict, "lock-token-matches-request-uri", "there is no such lock here")
	}
	if err != nil {
		return err
	}
	d.done(false)
	return nil
}
