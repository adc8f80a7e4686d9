// Package accounts knows the people of the house: who they are, which roles
// they have, and what they prove themselves with: a session's cookie, an API
// token, a link that signs in once, a password.
//
//	people, err := accounts.New(ctx, accounts.Needs{DB: db, Clock: clock.System{}, Log: log, Bus: bus})
//	if people.Fresh() {
//		link, err := people.SignInLink(ctx, "admin", "http://127.0.0.1:8080")
//		fmt.Println("sign in:", link)
//	}
//	gate := web.NewGate(web.First(people, machines), log)
//	go people.Run(ctx)
//
// What holds:
//   - No secret is stored: tokens stand as SHA-256 (they have 256 random bits),
//     passwords as argon2id.
//   - A link signs in once and for 24 hours at most, however many ask at once.
//   - A revocation or a changed role holds at once in this process, and in the
//     others when the bus has told them, at the latest after 30 seconds.
//   - Tries to sign in are counted per name and per address, in each process.
//   - Everything that changes who may do what leaves a row in the audit log, in
//     the transaction that changed it.
package accounts

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"plumb/base/bounds"
	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/sqldb"
	"plumb/engines/web"
)

//go:embed schema/*.sql
var schema embed.FS

// Bus tells the other processes that somebody's rights changed. plumb/engines/bus has it.
type Bus interface {
	Publish(ctx context.Context, subject string, data []byte) error
	Subscribe(subject string, fn func(subject string, data []byte)) (stop func(), err error)
}

// Needs is what accounts stands on.
type Needs struct {
	DB    *sqldb.DB
	Clock clock.Clock
	Log   *slog.Logger
	Bus   Bus // nil where this is the only process
}

// How long things last.
const (
	SessionLife = 14 * 24 * time.Hour
	LinkLife    = 24 * time.Hour
	stale       = 30 * time.Second // a cached answer is trusted so long without word from the bus
)

const subject = "accounts.changed" // the payload is the person's id

// Accounts is all people of one house.
type Accounts struct {
	db    *sqldb.DB
	clock clock.Clock
	log   *slog.Logger
	bus   Bus
	cache *cache
	tries *tries
	hash  chan struct{} // bounds how many passwords are hashed at once: 19 MiB each
	admin adminToken
	fresh bool
	stop  func()
}

// Person is somebody who may sign in.
type Person struct {
	ID       string
	Name     string
	Roles    []web.Access // Operator, Admin, or none
	Created  time.Time
	Disabled time.Time // zero: may sign in
	Password bool      // has one
}

// New opens the accounts. When there is nobody yet it makes the person admin.
func New(ctx context.Context, n Needs) (*Accounts, error) {
	if err := n.DB.Migrate(ctx, "accounts", schema); err != nil {
		return nil, fmt.Errorf("migrate accounts: %w", err)
	}
	a := &Accounts{db: n.DB, clock: n.Clock, log: n.Log, bus: n.Bus, cache: newCache(), tries: newTries(), hash: make(chan struct{}, 2), stop: func() {}}
	now := a.clock.Now()
	err := a.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO accounts_person (id, name, roles, password, created, disabled)
			SELECT $1, 'admin', 'admin', '', $2, 0 WHERE NOT EXISTS (SELECT 1 FROM accounts_person) ON CONFLICT DO NOTHING`, ids.New(now), now.UnixMicro()); err != nil {
			return err
		}
		// Not whether the admin was made just now: a process that was killed
		// before it printed the link must print one at its next start.
		var signedIn int64
		err := tx.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM accounts_audit WHERE action LIKE 'signed in%' LIMIT 1) AS one`).Scan(&signedIn)
		a.fresh = signedIn == 0
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make the first person: %w", err)
	}
	if a.bus != nil {
		a.stop, err = a.bus.Subscribe(subject, func(_ string, data []byte) { a.cache.forget(string(data)) })
		if err != nil {
			return nil, fmt.Errorf("listen for changed accounts: %w", err)
		}
	}
	return a, nil
}

// Fresh says whether nobody had ever signed in when the accounts were opened.
func (a *Accounts) Fresh() bool { return a.fresh }

// Close stops listening to the bus.
func (a *Accounts) Close() { a.stop() }

// Run writes down when tokens were used and clears away what has expired, every
// minute until ctx ends.
func (a *Accounts) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			// What was used in the last minute is written on the way out, too.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			return a.tidy(ctx)
		case <-a.clock.After(time.Minute):
			if err := a.tidy(ctx); err != nil && ctx.Err() == nil {
				a.log.Warn("accounts: tidying failed; it is tried again in a minute", "error", err)
			}
		}
	}
}

// tidy is one round of Run. Each statement touches a bounded number of rows.
func (a *Accounts) tidy(ctx context.Context) error {
	now := a.clock.Now()
	a.tries.tidy(now)
	used := a.cache.takeUsed()
	return a.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for hash, at := range used {
			if _, err := tx.Exec(ctx, `UPDATE accounts_token SET used = $1 WHERE hash = $2 AND used < $1`, at.UnixMicro(), hash); err != nil {
				return err
			}
		}
		for _, table := range []string{"accounts_session", "accounts_link"} {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE hash IN (SELECT hash FROM `+table+` WHERE expires <= $1 LIMIT 1000)`, now.UnixMicro()); err != nil {
				return err
			}
		}
		return nil
	})
}

// People returns everybody, by name; a house has at most a few thousand.
func (a *Accounts) People(ctx context.Context) ([]Person, error) {
	var list []Person
	err := a.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, `SELECT id, name, roles, password, created, disabled FROM accounts_person ORDER BY name LIMIT 10000`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			p, err := scanPerson(rows.Scan)
			if err != nil {
				return err
			}
			list = append(list, p)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list people: %w", err)
	}
	return list, nil
}

func scanPerson(scan func(...any) error) (Person, error) {
	var p Person
	var roles, password string
	var created, disabled int64
	if err := scan(&p.ID, &p.Name, &roles, &password, &created, &disabled); err != nil {
		return Person{}, err
	}
	p.Roles, p.Password, p.Created, p.Disabled = readRoles(roles), password != "", when(created), when(disabled)
	return p, nil
}

// when reads a stored time; 0 is the zero time.
func when(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func readRoles(s string) []web.Access {
	var roles []web.Access
	for _, w := range strings.Fields(s) {
		roles = append(roles, web.Access(w))
	}
	return roles
}

// checkRoles returns roles as they are stored.
func checkRoles(roles []web.Access) (string, error) {
	var b bounds.Check
	var words []string
	for _, r := range roles {
		b.OneOf("roles", string(r), string(web.Operator), string(web.Admin))
		if !slices.Contains(words, string(r)) {
			words = append(words, string(r))
		}
	}
	slices.Sort(words)
	return strings.Join(words, " "), b.Err("the roles are not valid")
}

// Add makes a person. by stands in the audit log. Errors: Invalid name or role;
// Conflict when the name is taken.
func (a *Accounts) Add(ctx context.Context, by web.Who, name string, roles ...web.Access) (Person, error) {
	if err := ids.Name("a person's name", name); err != nil {
		return Person{}, errs.New(errs.Invalid, "a person's name has 1 to 64 of A-Z a-z 0-9 _ and -")
	}
	words, err := checkRoles(roles)
	if err != nil {
		return Person{}, err
	}
	now := a.clock.Now()
	p := Person{ID: ids.New(now), Name: name, Roles: readRoles(words), Created: when(now.UnixMicro())}
	err = a.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		n, err := tx.Exec(ctx, `INSERT INTO accounts_person (id, name, roles, password, created, disabled) VALUES ($1, $2, $3, '', $4, 0) ON CONFLICT DO NOTHING`,
			p.ID, p.Name, words, now.UnixMicro())
		if err != nil {
			return err
		}
		if n == 0 {
			return errs.New(errs.Conflict, "there is a person named %s already", name)
		}
		return a.note(ctx, tx, by, "person added", describe(name, words))
	})
	if err != nil {
		return Person{}, fmt.Errorf("add person %s: %w", name, err)
	}
	return p, nil
}

func describe(name, roles string) string {
	if roles == "" {
		return name + ", no role"
	}
	return name + ", " + roles
}

// SetRoles gives the person exactly these roles. The last admin cannot lose theirs.
func (a *Accounts) SetRoles(ctx context.Context, by web.Who, person string, roles ...web.Access) error {
	words, err := checkRoles(roles)
	if err != nil {
		return err
	}
	return a.change(ctx, by, person, "roles changed", words, `UPDATE accounts_person SET roles = $2 WHERE id = $1`, words)
}

// Disable signs the person out everywhere, and keeps them and their tokens out
// until Enable. The last admin cannot be disabled.
func (a *Accounts) Disable(ctx context.Context, by web.Who, person string) error {
	return a.change(ctx, by, person, "person disabled", "", `UPDATE accounts_person SET disabled = $2 WHERE id = $1`, a.clock.Now().UnixMicro())
}

// Enable lets the person in again.
func (a *Accounts) Enable(ctx context.Context, by web.Who, person string) error {
	return a.change(ctx, by, person, "person enabled", "", `UPDATE accounts_person SET disabled = $2 WHERE id = $1`, int64(0))
}

// change runs one UPDATE of a person and tells everybody who keeps answers.
func (a *Accounts) change(ctx context.Context, by web.Who, person, action, more, update string, value any) error {
	err := a.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		p, err := personBy(ctx, tx, "id", person)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, update, person, value); err != nil {
			return err
		}
		var admins int64
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM accounts_person WHERE disabled = 0 AND ' ' || roles || ' ' LIKE '% admin %'`).Scan(&admins); err != nil {
			return err
		}
		if admins == 0 {
			return errs.New(errs.Conflict, "%s is the last admin: make another one first", p.Name)
		}
		what := p.Name
		if more != "" {
			what += ": " + more
		}
		return a.note(ctx, tx, by, action, what)
	})
	if err != nil {
		return fmt.Errorf("%s of %s: %w", action, person, err)
	}
	a.changed(ctx, person)
	return nil
}

// changed drops what is kept about the person, here and elsewhere.
func (a *Accounts) changed(ctx context.Context, person string) {
	a.cache.forget(person)
	if a.bus == nil {
		return
	}
	if err := a.bus.Publish(ctx, subject, []byte(person)); err != nil {
		a.log.Warn("accounts: other processes learn of a change only within 30 s", "person", person, "error", err)
	}
}

// personBy finds a person by column id or name.
func personBy(ctx context.Context, tx *sqldb.Tx, column, value string) (Person, error) {
	p, err := scanPerson(tx.QueryRow(ctx, `SELECT id, name, roles, password, created, disabled FROM accounts_person WHERE `+column+` = $1`, value).Scan)
	if err == sqldb.ErrNoRows {
		return Person{}, errs.New(errs.NotFound, "there is no person with the %s %s", column, value)
	}
	return p, err
}
