// Package links makes unguessable links to anything that a room can name: a file, a
// folder, an album. Whoever holds the token may open the target, until the link
// expires, is revoked, or was used as often as its maker allowed.
//
//	l, err := links.Open(ctx, links.Needs{DB: db, Clock: clock.System{}, Passwords: people})
//	made, err := l.Make(ctx, links.New{Realm: "files", Owner: who, Target: node, Life: 7 * 24 * time.Hour, Most: 10})
//	fmt.Println(url + "/f/" + made.Token) // shown this once
//	...
//	link, err := l.Open(ctx, "files", token, password, remote) // good, and its password fits
//	...
//	err = l.Use(ctx, link.ID) // one use more, or NotFound
//
// What holds:
//   - A token has 256 random bits and is stored as its SHA-256: the database's
//     reader can open nothing.
//   - A link that is unknown, expired, revoked or used up is answered alike.
//   - Of any number who use the last use at the same moment, one gets it.
//   - Passwords are argon2id, and tries are counted per link and per address; who gave
//     the right one is not counted again while they go on.
package links

import (
	"context"
	"embed"
	"fmt"
	"time"

	"plumb/base/bounds"
	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/sqldb"
)

//go:embed schema/*.sql
var schema embed.FS

// Passwords hashes and compares. plumb/engines/accounts has it.
type Passwords interface {
	HashPassword(ctx context.Context, password string) (stored string, err error)
	// CheckPassword says whether the password is the one that stored was made of.
	// Tries are counted for what and for the remote address. Errors: Busy.
	CheckPassword(ctx context.Context, what, stored, password, remote string) (bool, error)
}

// Needs is what the engine is given.
type Needs struct {
	DB        *sqldb.DB
	Clock     clock.Clock
	Passwords Passwords
}

// Limits of a link.
const (
	MaxLife   = 10 * 366 * 24 * time.Hour
	MaxUses   = 1_000_000_000
	MaxTarget = 255 // bytes
)

// Links is all links of one house. It is safe for concurrent use.
type Links struct {
	n      Needs
	opened *opened
}

// Open brings the tables up to date.
func Open(ctx context.Context, n Needs) (*Links, error) {
	if err := n.DB.Migrate(ctx, "links", schema); err != nil {
		return nil, fmt.Errorf("open the links: %w", err)
	}
	return &Links{n, newOpened()}, nil
}

// New is a link to be made.
type New struct {
	Realm    string        // the room
	Owner    string        // who makes it
	Target   string        // what it leads to, in the room's words
	Life     time.Duration // 0: it does not expire
	Password string        // "" for none, else up to 256 bytes
	Most     int64         // uses; 0: any number
}

// Link is a link as it may be shown.
type Link struct {
	ID       string
	Realm    string
	Owner    string
	Target   string
	Password bool
	Made     time.Time
	Expires  time.Time // zero: never
	Revoked  time.Time // zero: good
	Most     int64     // 0: any number
	Used     int64
	Token    string // of a link that was made just now; "" else
}

// Over says whether the link opens nothing any more.
func (l Link) Over(now time.Time) bool {
	return !l.Revoked.IsZero() || !l.Expires.IsZero() && !l.Expires.After(now) || l.Most > 0 && l.Used >= l.Most
}

// check names every fault.
func (n New) check() error {
	var b bounds.Check
	b.Text("realm", n.Realm, 1, 64)
	b.Text("owner", n.Owner, 1, 64)
	b.Text("target", n.Target, 1, MaxTarget)
	b.Int("password length", int64(len(n.Password)), 0, 256)
	b.Int("download limit", n.Most, 0, MaxUses)
	if n.Life < 0 || n.Life > MaxLife {
		b.Fault("expires", "must be in the future, and within ten years")
	}
	return b.Err("the link is not valid")
}

// Make makes a link. Its token is returned this once. Errors: Invalid.
func (l *Links) Make(ctx context.Context, n New) (Link, error) {
	ready, err := l.Prepare(ctx, n)
	if err != nil {
		return Link{}, err
	}
	var made Link
	err = l.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		made, err = l.Add(ctx, tx, ready)
		return err
	})
	if err != nil {
		return Link{}, fmt.Errorf("make a link to %s: %w", n.Target, err)
	}
	return made, nil
}

// Ready is a link whose slow part, hashing its password, is done.
type Ready struct {
	link Link
	hash string // of the password
}

// Prepare does what may not be done in a transaction. Errors: Invalid.
func (l *Links) Prepare(ctx context.Context, n New) (Ready, error) {
	if err := n.check(); err != nil {
		return Ready{}, err
	}
	now := l.n.Clock.Now().UTC().Truncate(time.Microsecond)
	r := Ready{link: Link{ID: ids.New(now), Realm: n.Realm, Owner: n.Owner, Target: n.Target, Password: n.Password != "", Made: now, Most: n.Most, Token: ids.Token()}}
	if n.Life > 0 {
		r.link.Expires = now.Add(n.Life)
	}
	if n.Password != "" {
		var err error
		if r.hash, err = l.n.Passwords.HashPassword(ctx, n.Password); err != nil {
			return Ready{}, fmt.Errorf("make a link: %w", err)
		}
	}
	return r, nil
}

// Add writes a prepared link in the caller's transaction.
func (l *Links) Add(ctx context.Context, tx *sqldb.Tx, r Ready) (Link, error) {
	k := r.link
	_, err := tx.Exec(ctx, insertSQL, k.ID, ids.Hash(k.Token), k.Realm, k.Owner, k.Target, r.hash, k.Made.UnixMicro(), micros(k.Expires), k.Most)
	return k, err
}

// errOver is the one answer for a token that opens nothing.
func errOver() error {
	return errs.New(errs.NotFound, "this link is not good, or no longer: ask for a new one")
}

// Find returns the link of a token, whether or not it has a password. Errors: NotFound.
func (l *Links) Find(ctx context.Context, realm, token string) (Link, error) {
	link, _, err := l.find(ctx, realm, token)
	return link, err
}

func (l *Links) find(ctx context.Context, realm, token string) (link Link, stored string, err error) {
	err = l.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		link, stored, err = scan(tx.QueryRow(ctx, findSQL, ids.Hash(token), realm).Scan)
		return err
	})
	switch {
	case err == sqldb.ErrNoRows:
		return Link{}, "", errOver()
	case err != nil:
		return Link{}, "", fmt.Errorf("look up a link: %w", err)
	case link.Over(l.n.Clock.Now()):
		return Link{}, "", errOver()
	}
	return link, stored, nil
}

// Open returns the link of a token when it is good and the password fits. It counts
// no use. Errors: NotFound; Unknown where a password is wanted and the one given, if
// any, is wrong; Busy after too many tries.
func (l *Links) Open(ctx context.Context, realm, token, password, remote string) (Link, error) {
	link, stored, err := l.find(ctx, realm, token)
	if err != nil || stored == "" {
		return link, err
	}
	if password == "" {
		return Link{}, errs.New(errs.Unknown, "this link has a password")
	}
	from, now := visit{link.ID, remote}, l.n.Clock.Now()
	if l.opened.fits(from, stored, password, now) {
		return link, nil
	}
	ok, err := l.n.Passwords.CheckPassword(ctx, "link "+link.ID, stored, password, remote)
	if err != nil {
		return Link{}, fmt.Errorf("open a link: %w", err)
	}
	if !ok {
		return Link{}, errs.New(errs.Unknown, "the link's password is wrong")
	}
	l.opened.keep(from, stored, password, now)
	return link, nil
}

// Use counts one use, exactly. Errors: NotFound when the link is over.
func (l *Links) Use(ctx context.Context, id string) error {
	return l.n.DB.Batch(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return l.UseIn(ctx, tx, id) })
}

// UseIn is Use in the caller's transaction.
func (l *Links) UseIn(ctx context.Context, tx *sqldb.Tx, id string) error {
	n, err := tx.Exec(ctx, useSQL, id, l.n.Clock.Now().UnixMicro())
	if err == nil && n == 0 {
		err = errOver()
	}
	if err != nil {
		return fmt.Errorf("use link %s: %w", id, err)
	}
	return nil
}

// Revoke ends an owner's link, at once. Ending it again is no error. owner "" stands
// for an operator, who may end anybody's. Errors: NotFound.
func (l *Links) Revoke(ctx context.Context, realm, owner, id string) error {
	return l.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return l.RevokeIn(ctx, tx, realm, owner, id) })
}

// RevokeIn is Revoke in the caller's transaction.
func (l *Links) RevokeIn(ctx context.Context, tx *sqldb.Tx, realm, owner, id string) error {
	n, err := tx.Exec(ctx, revokeSQL, id, realm, owner, l.n.Clock.Now().UnixMicro())
	if err == nil && n == 0 {
		err = errs.New(errs.NotFound, "there is no link %s", id)
	}
	if err != nil {
		return fmt.Errorf("revoke link %s: %w", id, err)
	}
	return nil
}

// RevokeTarget ends all links to a target, in the caller's transaction.
func (l *Links) RevokeTarget(ctx context.Context, tx *sqldb.Tx, realm, target string) error {
	_, err := tx.Exec(ctx, revokeTargetSQL, realm, target, l.n.Clock.Now().UnixMicro())
	return err
}

// Filter says which links to list.
type Filter struct {
	Realm  string
	Owner  string // "" with a Target: everybody's
	Target string // "": all of the owner's
	Cursor string // Next of the page before
	Limit  int    // 1 to 1,000; 100 when 0
}

// List returns links, the newest first, and the cursor of the next page.
func (l *Links) List(ctx context.Context, f Filter) (list []Link, next string, err error) {
	if f.Owner == "" && f.Target == "" {
		return nil, "", errs.New(errs.Invalid, "links are listed by owner or by target")
	}
	limit := min(max(f.Limit, 0), 1000)
	if limit == 0 {
		limit = 100
	}
	if f.Cursor == "" {
		f.Cursor = "~" // after every id
	}
	query := byOwnerSQL
	if f.Owner == "" {
		query = byTargetSQL
	}
	err = l.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, query, f.Realm, f.Owner, f.Target, f.Cursor, int64(limit+1))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			link, _, err := scan(rows.Scan)
			if err != nil {
				return err
			}
			list = append(list, link)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, "", fmt.Errorf("list links: %w", err)
	}
	if len(list) > limit {
		list = list[:limit]
		next = list[limit-1].ID
	}
	return list, next, nil
}

// Sweep forgets up to most links that were over before a moment, and says how many.
func (l *Links) Sweep(ctx context.Context, before time.Time, most int) (n int64, err error) {
	err = l.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		n, err = tx.Exec(ctx, sweepSQL, before.UnixMicro(), int64(most))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("forget old links: %w", err)
	}
	return n, nil
}
