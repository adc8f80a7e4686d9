package links

import (
	"context"
	"fmt"

	"plumb/engines/sqldb"
)

// Row is a link as it lies, to be copied into the links of another database. It holds no
// token, only its hash.
type Row struct {
	ID       string `json:"id"`
	Hash     string `json:"hash"`
	Realm    string `json:"realm"`
	Owner    string `json:"owner"`
	Target   string `json:"target"`
	Password string `json:"password,omitempty"`
	Made     int64  `json:"made"`
	Expires  int64  `json:"expires,omitempty"`
	Revoked  int64  `json:"revoked,omitempty"`
	Most     int64  `json:"most,omitempty"`
	Used     int64  `json:"used,omitempty"`
}

const (
	rowColumns = `id, hash, realm, owner, target, password, made, expires, revoked, most, used`
	rowsOutSQL = `SELECT ` + rowColumns + ` FROM links_links WHERE realm = $1 AND owner = $2 AND id > $3 ORDER BY id LIMIT $4`
	// A hash that stands under another id would be a token made twice.
	rowInSQL = `INSERT INTO links_links (` + rowColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, realm = excluded.realm, owner = excluded.owner, target = excluded.target,
			password = excluded.password, made = excluded.made, expires = excluded.expires, revoked = excluded.revoked,
			most = excluded.most, used = excluded.used`
	dropSQL        = `DELETE FROM links_links WHERE realm = $1 AND owner = $2 AND id = $3`
	dropOwnerSQL   = `DELETE FROM links_links WHERE realm = $1 AND owner = $2`
	ownerSQL       = `SELECT owner FROM links_links WHERE hash = $1`
	revokeOwnerSQL = `UPDATE links_links SET revoked = $3 WHERE realm = $1 AND owner = $2 AND revoked = 0`
)

// Out returns up to most of an owner's links as they lie, by their ids, after an id.
func (l *Links) Out(ctx context.Context, tx *sqldb.Tx, realm, owner, after string, most int) ([]Row, error) {
	rows, err := tx.Query(ctx, rowsOutSQL, realm, owner, after, int64(most))
	if err != nil {
		return nil, fmt.Errorf("read the links of %s: %w", owner, err)
	}
	defer rows.Close()
	var list []Row
	for rows.Next() {
		var r Row
		if err := rows.Scan(&r.ID, &r.Hash, &r.Realm, &r.Owner, &r.Target, &r.Password, &r.Made, &r.Expires, &r.Revoked, &r.Most, &r.Used); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// In writes links that Out gave, over those that stand there.
func (l *Links) In(ctx context.Context, tx *sqldb.Tx, rows ...Row) error {
	for _, r := range rows {
		if _, err := tx.Exec(ctx, rowInSQL, r.ID, r.Hash, r.Realm, r.Owner, r.Target, r.Password, r.Made, r.Expires, r.Revoked, r.Most, r.Used); err != nil {
			return fmt.Errorf("write link %s: %w", r.ID, err)
		}
	}
	return nil
}

// Drop removes a link as if it had never been made; one that is not there is no error.
func (l *Links) Drop(ctx context.Context, tx *sqldb.Tx, realm, owner, id string) error {
	_, err := tx.Exec(ctx, dropSQL, realm, owner, id)
	return err
}

// DropOwner removes all links of an owner as if they had never been made.
func (l *Links) DropOwner(ctx context.Context, tx *sqldb.Tx, realm, owner string) error {
	_, err := tx.Exec(ctx, dropOwnerSQL, realm, owner)
	return err
}

// RevokeOwner ends all links of an owner, in the caller's transaction, and says how many.
func (l *Links) RevokeOwner(ctx context.Context, tx *sqldb.Tx, realm, owner string) (int64, error) {
	return tx.Exec(ctx, revokeOwnerSQL, realm, owner, l.n.Clock.Now().UnixMicro())
}

// OwnerIn returns who made the link whose token has a hash (ids.Hash), whether or not it
// is over. Errors: sqldb.ErrNoRows.
func (l *Links) OwnerIn(ctx context.Context, tx *sqldb.Tx, hash string) (owner string, err error) {
	err = tx.QueryRow(ctx, ownerSQL, hash).Scan(&owner)
	return owner, err
}
