package links

import (
	"context"

	"plumb/engines/sqldb"
)

// RevokeAll ends an owner's links, those to a target only unless that is "", in the
// caller's transaction, and says how many of them were good.
func (l *Links) RevokeAll(ctx context.Context, tx *sqldb.Tx, realm, owner, target string) (int64, error) {
	return tx.Exec(ctx, revokeAllSQL, realm, owner, target, l.n.Clock.Now().UnixMicro())
}

// RevokeOne is Revoke in the caller's transaction; false where the owner has no such link.
func (l *Links) RevokeOne(ctx context.Context, tx *sqldb.Tx, realm, owner, id string) (bool, error) {
	n, err := tx.Exec(ctx, revokeSQL, id, realm, owner, l.n.Clock.Now().UnixMicro())
	return n == 1, err
}

// Count counts n uses of a link that were seen before, in the caller's transaction,
// whether or not the link is over by now.
func (l *Links) Count(ctx context.Context, tx *sqldb.Tx, id string, n int64) error {
	_, err := tx.Exec(ctx, countSQL, id, n)
	return err
}

const (
	revokeAllSQL = `UPDATE links_links SET revoked = $4 WHERE realm = $1 AND owner = $2 AND ($3 = '' OR target = $3) AND revoked = 0
		AND (expires = 0 OR expires > $4)`
	countSQL = `UPDATE links_links SET used = used + $2 WHERE id = $1`
)
