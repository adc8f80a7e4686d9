package links

import "time"

const columns = `id, realm, owner, target, password, made, expires, revoked, most, used`

const (
	insertSQL = `INSERT INTO links_links (id, hash, realm, owner, target, password, made, expires, revoked, most, used)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, 0)`
	findSQL = `SELECT ` + columns + ` FROM links_links WHERE hash = $1 AND realm = $2`
	useSQL  = `UPDATE links_links SET used = used + 1
		WHERE id = $1 AND revoked = 0 AND (expires = 0 OR expires > $2) AND (most = 0 OR used < most)`
	revokeSQL = `UPDATE links_links SET revoked = CASE WHEN revoked = 0 THEN $4 ELSE revoked END
		WHERE id = $1 AND realm = $2 AND ($3 = '' OR owner = $3)`
	revokeTargetSQL = `UPDATE links_links SET revoked = $3 WHERE realm = $1 AND target = $2 AND revoked = 0`
	// Two texts, so that each has its index.
	byOwnerSQL = `SELECT ` + columns + ` FROM links_links
		WHERE realm = $1 AND owner = $2 AND ($3 = '' OR target = $3) AND id < $4 ORDER BY id DESC LIMIT $5`
	byTargetSQL = `SELECT ` + columns + ` FROM links_links
		WHERE realm = $1 AND $2 = '' AND target = $3 AND id < $4 ORDER BY id DESC LIMIT $5`
	sweepSQL = `DELETE FROM links_links WHERE id IN (SELECT id FROM links_links
		WHERE revoked > 0 AND revoked < $1 OR expires > 0 AND expires < $1 LIMIT $2)`
)

// scan reads a row of columns, with the password's hash beside.
func scan(row func(...any) error) (l Link, stored string, err error) {
	var made, expires, revoked int64
	if err := row(&l.ID, &l.Realm, &l.Owner, &l.Target, &stored, &made, &expires, &revoked, &l.Most, &l.Used); err != nil {
		return Link{}, "", err
	}
	l.Made, l.Expires, l.Revoked, l.Password = when(made), when(expires), when(revoked), stored != ""
	return l, stored, nil
}

// when reads a stored time; 0 is the zero time.
func when(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
