package fleet

import (
	"context"
	"fmt"
	"time"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/sqldb"
)

// Credential is a machine's identity as one house hands it to another. It holds no
// secret that could be used: the token is 256 random bits, of which this is the
// SHA-256.
type Credential struct {
	Machine
	Token    string // in hex; "" for a machine that has none yet
	Enrolled time.Time
	Revoked  time.Time // zero: in good standing
}

// Credential returns the machine's identity, to be adopted by another house.
// Errors: NotFound.
func (f *Fleet) Credential(ctx context.Context, tx *sqldb.Tx, realm, id string) (Credential, error) {
	c := Credential{Machine: Machine{Realm: realm, ID: id}}
	var enrolled, revoked, seen int64
	err := tx.QueryRow(ctx, standingSQL, realm, id).Scan(&c.Cohort, &c.Token, &enrolled, &revoked, &seen)
	if err == sqldb.ErrNoRows {
		return Credential{}, errs.New(errs.NotFound, "there is no machine %s", id)
	}
	if err != nil {
		return Credential{}, fmt.Errorf("credential of machine %s: %w", c.Key(), err)
	}
	c.Enrolled, c.Revoked = instant(enrolled), instant(revoked)
	return c, nil
}

// Adopt takes over a machine that another house enrolled, in the caller's
// transaction; its token is good here from then on. With replace, a machine of the
// same id that is here already gets this identity; without, it is a Conflict unless
// it has it. Changed must follow the commit. Errors: Invalid; Conflict, also when
// another machine has the token.
func (f *Fleet) Adopt(ctx context.Context, tx *sqldb.Tx, c Credential, replace bool) error {
	if err := ids.Name("a machine's id", c.ID); err != nil {
		return err
	}
	if c.Token != "" && !hexOf(c.Token, 64) {
		return errs.New(errs.Invalid, "the credential of machine %s is not a SHA-256 in hex", c.ID)
	}
	taken := errs.New(errs.Conflict, "machine %s is enrolled here with other credentials", c.ID)
	// First the token, whose uniqueness would otherwise end the transaction.
	var owner string
	err := tx.QueryRow(ctx, ownerSQL, c.Token, c.Realm, c.ID).Scan(&owner)
	if err == nil {
		return errs.New(errs.Conflict, "the credential of machine %s is that of %s here", c.ID, owner)
	}
	if err != sqldb.ErrNoRows {
		return fmt.Errorf("adopt machine %s: %w", c.Key(), err)
	}
	revoked := int64(0)
	if !c.Revoked.IsZero() {
		revoked = c.Revoked.UnixMicro()
	}
	n, err := tx.Exec(ctx, adoptSQL, c.Realm, c.ID, c.Cohort, c.Token, c.Enrolled.UnixMicro(), revoked)
	if err != nil {
		return fmt.Errorf("adopt machine %s: %w", c.Key(), err)
	}
	if n == 1 {
		return nil
	}
	have, err := f.Credential(ctx, tx, c.Realm, c.ID)
	if err != nil {
		return err
	}
	if !replace && have.Token != c.Token {
		return taken
	}
	if _, err := tx.Exec(ctx, replaceSQL, c.Realm, c.ID, c.Cohort, c.Token, revoked); err != nil {
		return fmt.Errorf("adopt machine %s: %w", c.Key(), err)
	}
	return nil
}

// Move gives the machine another cohort, in the caller's transaction; Changed must
// follow the commit. Errors: NotFound.
func (f *Fleet) Move(ctx context.Context, tx *sqldb.Tx, realm, id, cohort string) error {
	n, err := tx.Exec(ctx, moveSQL, realm, id, cohort)
	if err != nil {
		return fmt.Errorf("move machine %s/%s: %w", realm, id, err)
	}
	if n == 0 {
		return errs.New(errs.NotFound, "there is no machine %s", id)
	}
	return nil
}

// hexOf says whether s is n lower-case hexadecimal digits.
func hexOf(s string, n int) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == n
}

// The SQL of handing over.
const (
	ownerSQL = `SELECT id FROM fleet_machines WHERE token = $1 AND token <> '' AND NOT (realm = $2 AND id = $3)`

	adoptSQL = `
		INSERT INTO fleet_machines (realm, id, cohort, token, enrolled_at, revoked_at, seen_at)
		VALUES ($1, $2, $3, $4, $5, $6, 0) ON CONFLICT (realm, id) DO NOTHING`

	replaceSQL = `UPDATE fleet_machines SET cohort = $3, token = $4, revoked_at = $5 WHERE realm = $1 AND id = $2`

	moveSQL = `UPDATE fleet_machines SET cohort = $3 WHERE realm = $1 AND id = $2`
)
