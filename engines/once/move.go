package once

import (
	"context"
	"fmt"
	"time"

	"plumb/engines/sqldb"
)

// Row is a kept answer as it lies, to be copied to a keeper of the same house in another
// database. The answer stays sealed.
type Row struct {
	Scope, Key   string
	Body, Answer []byte
	Status       int64
	Until        int64 // microseconds
}

const (
	rowsOut = `SELECT scope, key, body, status, answer, until FROM once_answer
		WHERE scope >= $1 AND scope < $2 AND (scope > $3 OR scope = $3 AND key > $4) AND until > $5 ORDER BY scope, key LIMIT $6`
	rowIn = `INSERT INTO once_answer (scope, key, body, status, answer, until) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (scope, key) DO UPDATE SET body = excluded.body, status = excluded.status, answer = excluded.answer, until = excluded.until
		WHERE once_answer.until <= excluded.until`
	forgetUnder = `DELETE FROM once_answer WHERE (scope, key) IN
		(SELECT scope, key FROM once_answer WHERE scope >= $1 AND scope < $2 ORDER BY scope, key LIMIT $3)`
)

// beyond is the first text after all that begin with prefix.
func beyond(prefix string) string { return prefix + "\U0010FFFF" }

// Out returns up to most answers that are still good, of scopes that begin with prefix,
// in order, after the row (after.Scope, after.Key).
func (o *Once) Out(ctx context.Context, tx *sqldb.Tx, prefix string, after Row, now time.Time, most int) ([]Row, error) {
	rows, err := tx.Query(ctx, rowsOut, prefix, beyond(prefix), after.Scope, after.Key, now.UnixMicro(), int64(most))
	if err != nil {
		return nil, fmt.Errorf("read the answers under %s: %w", prefix, err)
	}
	defer rows.Close()
	var list []Row
	for rows.Next() {
		var r Row
		if err := rows.Scan(&r.Scope, &r.Key, &r.Body, &r.Status, &r.Answer, &r.Until); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// In writes answers that Out gave; one that stands there and is kept for longer stays.
func (o *Once) In(ctx context.Context, tx *sqldb.Tx, rows ...Row) error {
	for _, r := range rows {
		if _, err := tx.Exec(ctx, rowIn, r.Scope, r.Key, r.Body, r.Status, r.Answer, r.Until); err != nil {
			return fmt.Errorf("write the answer to %s: %w", r.Key, err)
		}
	}
	return nil
}

// Forget forgets up to most answers of scopes that begin with prefix, and says how many.
func (o *Once) Forget(ctx context.Context, tx *sqldb.Tx, prefix string, most int) (int64, error) {
	return tx.Exec(ctx, forgetUnder, prefix, beyond(prefix), int64(most))
}
