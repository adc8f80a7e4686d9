package accounts

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/sqldb"
	"plumb/engines/web"
)

// Cookie is the name of the session's cookie.
const Cookie = "plumb_session"

// prefix begins every token of a person, so that a machine's token, which
// arrives thousands of times a second, is never looked up among people's.
const prefix = "pat_"

// adminToken is the hash of PLUMB_ADMIN_TOKEN, or nil.
type adminToken struct{ hash atomic.Pointer[string] }

// SetAdminToken lets the token act as the person admin, for scripts. It lives in
// memory only. A token has at least 16 bytes; an empty one switches this off.
func (a *Accounts) SetAdminToken(_ context.Context, token string) error {
	if token == "" {
		a.admin.hash.Store(nil)
		return nil
	}
	if len(token) < 16 {
		return errs.New(errs.Invalid, "the admin token must have at least 16 bytes")
	}
	h := ids.Hash(token)
	a.admin.hash.Store(&h)
	return nil
}

// Session is a fresh sign-in.
type Session struct {
	Token   string // goes into the cookie, and nowhere else
	Expires time.Time
	Person  Person
}

// Cookie returns the session as a cookie; secure where the browser speaks TLS.
func (s Session) Cookie(secure bool) *http.Cookie {
	return &http.Cookie{Name: Cookie, Value: s.Token, Path: "/", Expires: s.Expires, HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode}
}

// Authenticate is web.Authenticator's: a bearer token, or where the route takes that
// Basic authentication with a token as the password, else the session's cookie. An
// expired session is a stranger's.
func (a *Accounts) Authenticate(r *http.Request) (web.Who, error) {
	if h := r.Header.Get("Authorization"); h != "" {
		scheme, token, _ := strings.Cut(h, " ")
		if name, password, ok := r.BasicAuth(); ok && web.TakesBasic(r.Context()) {
			return a.byBasic(r.Context(), name, password)
		}
		if !strings.EqualFold(scheme, "Bearer") {
			return web.Who{}, errs.New(errs.Unknown, "the Authorization header must be: Bearer <token>")
		}
		return a.byToken(r.Context(), strings.TrimSpace(token))
	}
	c, err := r.Cookie(Cookie)
	if err != nil || c.Value == "" {
		return web.Who{}, nil
	}
	who, err := a.lookUp(r.Context(), ids.Hash(c.Value), sessionOwner)
	if errs.Is(err, errs.Unknown) {
		return web.Who{}, nil
	}
	who.Cookie = true
	// Derived, so that it need not be stored; it tells nothing about the cookie.
	sum := sha256.Sum256([]byte("csrf " + c.Value))
	who.CSRF = hex.EncodeToString(sum[:])
	return who, err
}

// byBasic finds a token's person, who must have that name.
func (a *Accounts) byBasic(ctx context.Context, name, token string) (web.Who, error) {
	who, err := a.byToken(ctx, token)
	if err == nil && who.Name != name {
		return web.Who{}, errs.New(errs.Unknown, "the token is not that of %.64q", name)
	}
	who.Basic = err == nil
	return who, err
}

// byToken finds a token's person.
func (a *Accounts) byToken(ctx context.Context, token string) (web.Who, error) {
	hash := ids.Hash(token)
	if h := a.admin.hash.Load(); h != nil && subtle.ConstantTimeCompare([]byte(*h), []byte(hash)) == 1 {
		return a.lookUp(ctx, hash, adminOwner)
	}
	if !strings.HasPrefix(token, prefix) {
		return web.Who{}, errs.New(errs.Unknown, "the token is not valid")
	}
	who, err := a.lookUp(ctx, hash, tokenOwner)
	if err == nil {
		a.cache.use(hash, a.clock.Now())
	}
	return who, err
}

// The queries that find a credential's owner; each gives the person and when
// the credential ends. $2 is now.
const (
	sessionOwner = `SELECT p.id, p.name, p.roles, s.expires FROM accounts_session s JOIN accounts_person p ON p.id = s.person
		WHERE s.hash = $1 AND s.expires > $2 AND p.disabled = 0`
	tokenOwner = `SELECT p.id, p.name, p.roles, t.expires FROM accounts_token t JOIN accounts_person p ON p.id = t.person
		WHERE t.hash = $1 AND t.revoked = 0 AND (t.expires = 0 OR t.expires > $2) AND p.disabled = 0`
	adminOwner = `SELECT id, name, 'admin', 0 FROM accounts_person WHERE name = 'admin' AND disabled = 0 AND $1 <> '' AND created <= $2 + 86400000000`
)

// lookUp asks the cache, then the database. Unknown: no such credential.
func (a *Accounts) lookUp(ctx context.Context, hash, query string) (web.Who, error) {
	now := a.clock.Now()
	who, age, ok := a.cache.get(hash, now)
	if ok {
		return who, nil
	}
	var roles string
	var expires int64
	err := a.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, query, hash, now.UnixMicro()).Scan(&who.ID, &who.Name, &roles, &expires)
	})
	if err == sqldb.ErrNoRows {
		return web.Who{}, errs.New(errs.Unknown, "the token is not valid, or no longer")
	}
	if err != nil {
		return web.Who{}, fmt.Errorf("look up a credential: %w", err)
	}
	who.Kind, who.Roles = "person", readRoles(roles)
	a.cache.keep(hash, answer{who, when(expires), now.Add(stale)}, age)
	return who, nil
}

// SignInLink makes a link below base ("https://plumb.example") that signs the
// named person in once, within 24 hours. Errors: NotFound.
func (a *Accounts) SignInLink(ctx context.Context, person, base string) (string, error) {
	return a.LinkBy(ctx, web.Who{Name: "the system"}, person, base)
}

// LinkBy is SignInLink with the one who made it, for the audit log.
func (a *Accounts) LinkBy(ctx context.Context, by web.Who, person, base string) (string, error) {
	token := ids.Token()
	now := a.clock.Now()
	err := a.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		p, err := personBy(ctx, tx, "name", person)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO accounts_link (hash, person, expires) VALUES ($1, $2, $3)`, ids.Hash(token), p.ID, now.Add(LinkLife).UnixMicro()); err != nil {
			return err
		}
		return a.note(ctx, tx, by, "sign-in link made", p.Name)
	})
	if err != nil {
		return "", fmt.Errorf("make a sign-in link for %s: %w", person, err)
	}
	return strings.TrimSuffix(base, "/") + "/signin?link=" + token, nil
}

// OpenLink signs in with a link's token, which is used up. remote is where the
// request came from. Errors: Denied when the link is used, expired or wrong; Busy.
func (a *Accounts) OpenLink(ctx context.Context, token, remote string) (Session, error) {
	now := a.clock.Now()
	if err := a.tries.allow("link "+ids.Hash(token)[:16], remote, now); err != nil {
		return Session{}, err
	}
	return a.begin(ctx, "signed in by link", func(ctx context.Context, tx *sqldb.Tx) (string, error) {
		var person string
		// The row is the right to sign in: of two who ask at once, one deletes it.
		err := tx.QueryRow(ctx, `DELETE FROM accounts_link WHERE hash = $1 AND expires > $2 RETURNING person`, ids.Hash(token), now.UnixMicro()).Scan(&person)
		if err == sqldb.ErrNoRows {
			return "", errs.New(errs.Denied, "this link was used already, or is older than 24 hours: ask for a new one")
		}
		return person, err
	})
}

// SignIn signs in with a name and password. Errors: Denied, the same whether
// the name or the password is wrong; Busy after too many tries.
func (a *Accounts) SignIn(ctx context.Context, name, password, remote string) (Session, error) {
	if err := a.tries.allow(name, remote, a.clock.Now()); err != nil {
		return Session{}, err
	}
	var id, stored string
	err := a.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		err := tx.QueryRow(ctx, `SELECT id, password FROM accounts_person WHERE name = $1 AND disabled = 0`, name).Scan(&id, &stored)
		if err == sqldb.ErrNoRows {
			return nil
		}
		return err
	})
	if err != nil {
		return Session{}, fmt.Errorf("sign in: %w", err)
	}
	good := false
	if _, err := a.slow(ctx, func() string { good = checkPassword(stored, password); return "" }); err != nil {
		return Session{}, err
	}
	if !good {
		return Session{}, errs.New(errs.Denied, "the name or the password is wrong")
	}
	return a.begin(ctx, "signed in by password", func(context.Context, *sqldb.Tx) (string, error) { return id, nil })
}

// SignInToken signs in with an API token, or the admin's. Errors: Denied; Busy.
func (a *Accounts) SignInToken(ctx context.Context, token, remote string) (Session, error) {
	if err := a.tries.allow("token "+ids.Hash(token)[:16], remote, a.clock.Now()); err != nil {
		return Session{}, err
	}
	who, err := a.byToken(ctx, token)
	if errs.Is(err, errs.Unknown) {
		return Session{}, errs.New(errs.Denied, "the token is not valid")
	}
	if err != nil {
		return Session{}, err
	}
	return a.begin(ctx, "signed in by token", func(context.Context, *sqldb.Tx) (string, error) { return who.ID, nil })
}

// begin makes a session for the person that find names, in one transaction with it.
func (a *Accounts) begin(ctx context.Context, how string, find func(context.Context, *sqldb.Tx) (string, error)) (Session, error) {
	now := a.clock.Now()
	s := Session{Token: ids.Token(), Expires: now.Add(SessionLife)}
	err := a.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		id, err := find(ctx, tx)
		if err != nil {
			return err
		}
		if s.Person, err = personBy(ctx, tx, "id", id); err != nil {
			return err
		}
		if !s.Person.Disabled.IsZero() {
			return errs.New(errs.Denied, "this person may not sign in any more")
		}
		if _, err := tx.Exec(ctx, `INSERT INTO accounts_session (hash, person, created, expires) VALUES ($1, $2, $3, $4)`,
			ids.Hash(s.Token), id, now.UnixMicro(), s.Expires.UnixMicro()); err != nil {
			return err
		}
		return a.note(ctx, tx, web.Who{Name: s.Person.Name}, how, s.Person.Name)
	})
	if err != nil {
		return Session{}, fmt.Errorf("begin a session: %w", err)
	}
	return s, nil
}

// SignOut ends the session whose cookie r carries; it is no error when there is none.
func (a *Accounts) SignOut(ctx context.Context, r *http.Request) error {
	c, err := r.Cookie(Cookie)
	if err != nil {
		return nil
	}
	var person string
	err = a.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		person = ""
		err := tx.QueryRow(ctx, `DELETE FROM accounts_session WHERE hash = $1 RETURNING person`, ids.Hash(c.Value)).Scan(&person)
		if err == sqldb.ErrNoRows {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	a.changed(ctx, person)
	return nil
}
