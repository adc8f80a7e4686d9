package accounts

import (
	"context"
	"fmt"
	"time"

	"plumb/base/bounds"
	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/sqldb"
	"plumb/engines/web"
)

// Token is an API token as it may be shown.
type Token struct {
	ID      string
	Person  string // the owner's name
	Name    string // what it is for
	Created time.Time
	Expires time.Time // zero: never
	Used    time.Time // to about a minute; zero: never
	Revoked time.Time // zero: good
}

// NewToken makes an API token for the named person, with all that person's
// rights. The secret is returned once. life 0 means that it does not expire.
// Errors: Invalid name; NotFound person.
func (a *Accounts) NewToken(ctx context.Context, by web.Who, person, name string, life time.Duration) (secret string, t Token, err error) {
	var b bounds.Check
	b.Text("name", name, 1, 100)
	b.Int("life in days", int64(life/(24*time.Hour)), 0, 3650)
	if err := b.Err("the token is not valid"); err != nil {
		return "", Token{}, err
	}
	now := a.clock.Now()
	secret = prefix + ids.Token()
	t = Token{ID: ids.New(now), Person: person, Name: name, Created: when(now.UnixMicro())}
	var expires int64
	if life > 0 {
		expires = now.Add(life).UnixMicro()
		t.Expires = when(expires)
	}
	err = a.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		p, err := personBy(ctx, tx, "name", person)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO accounts_token (id, hash, person, name, created, expires, used, revoked) VALUES ($1, $2, $3, $4, $5, $6, 0, 0)`,
			t.ID, ids.Hash(secret), p.ID, name, now.UnixMicro(), expires); err != nil {
			return err
		}
		return a.note(ctx, tx, by, "token made", person+": "+name)
	})
	if err != nil {
		return "", Token{}, fmt.Errorf("make a token for %s: %w", person, err)
	}
	return secret, t, nil
}

// Tokens returns the tokens of everybody, or of one person's id, the newest
// 1,000, those revoked included.
func (a *Accounts) Tokens(ctx context.Context, person string) ([]Token, error) {
	var list []Token
	err := a.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, `SELECT t.id, p.name, t.name, t.created, t.expires, t.used, t.revoked FROM accounts_token t
			JOIN accounts_person p ON p.id = t.person WHERE $1 = '' OR t.person = $1 ORDER BY t.id DESC LIMIT 1000`, person)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var t Token
			var created, expires, used, revoked int64
			if err := rows.Scan(&t.ID, &t.Person, &t.Name, &created, &expires, &used, &revoked); err != nil {
				return err
			}
			t.Created, t.Expires, t.Used, t.Revoked = when(created), when(expires), when(used), when(revoked)
			list = append(list, t)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return list, nil
}

// Revoke ends a token for good. An admin may end anybody's, others their own.
// Errors: NotFound, also for a token of somebody else's; Conflict when it is
// revoked already.
func (a *Accounts) Revoke(ctx context.Context, by web.Who, id string) error {
	now := a.clock.Now().UnixMicro()
	var person string
	err := a.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var name, token string
		var revoked int64
		err := tx.QueryRow(ctx, `SELECT t.person, p.name, t.name, t.revoked FROM accounts_token t JOIN accounts_person p ON p.id = t.person WHERE t.id = $1`, id).
			Scan(&person, &name, &token, &revoked)
		switch {
		case err == sqldb.ErrNoRows || err == nil && person != by.ID && !by.May(web.Admin):
			return errs.New(errs.NotFound, "there is no token %s", id)
		case err != nil:
			return err
		case revoked != 0:
			return errs.New(errs.Conflict, "the token %s is revoked already", token)
		}
		if _, err := tx.Exec(ctx, `UPDATE accounts_token SET revoked = $2 WHERE id = $1`, id, now); err != nil {
			return err
		}
		return a.note(ctx, tx, by, "token revoked", name+": "+token)
	})
	if err != nil {
		return fmt.Errorf("revoke token %s: %w", id, err)
	}
	a.changed(ctx, person)
	return nil
}
