package accounts

import (
	"context"
	"fmt"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// HashPassword hashes a password that is not a person's, such as a link's, as
// people's are hashed, within the same bound of memory.
func (a *Accounts) HashPassword(ctx context.Context, password string) (string, error) {
	return a.slow(ctx, func() string { return hashPassword(password) })
}

// CheckPassword says whether password is the one that stored was made of. Tries are
// counted for what it belongs to and for the remote address. Errors: Busy.
func (a *Accounts) CheckPassword(ctx context.Context, what, stored, password, remote string) (bool, error) {
	if err := a.tries.allow(what, remote, a.clock.Now()); err != nil {
		return false, err
	}
	good := false
	_, err := a.slow(ctx, func() string { good = checkPassword(stored, password); return "" })
	return good, err
}

// Named returns the person of that name, who may sign in. Errors: NotFound.
func (a *Accounts) Named(ctx context.Context, name string) (Person, error) {
	return a.one(ctx, "name", name)
}

// ByID returns the person with that id, who may sign in. Errors: NotFound.
func (a *Accounts) ByID(ctx context.Context, id string) (Person, error) { return a.one(ctx, "id", id) }

func (a *Accounts) one(ctx context.Context, column, value string) (p Person, err error) {
	err = a.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		p, err = personBy(ctx, tx, column, value)
		return err
	})
	if err == nil && !p.Disabled.IsZero() {
		err = errs.New(errs.NotFound, "there is no person with the %s %s", column, value)
	}
	if err != nil {
		return Person{}, fmt.Errorf("look up a person: %w", err)
	}
	return p, nil
}
