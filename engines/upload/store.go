package upload

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"plumb/engines/cas"
	"plumb/engines/sqldb"
)

// States of uploads.
const (
	open = "open"
	used = "used" // a partial one that went into a final one
	done = "done"
	gone = "gone" // expired or terminated
)

const (
	columns   = `id, owner, kind, length, most, got, segs, meta, concat, parts, state, made, expires, lease, lease_until, tries`
	insertSQL = `
		INSERT INTO upload_uploads (realm, id, owner, kind, length, most, got, segs, meta, concat, parts, same, state, made, expires, lease, lease_until, tries, retry_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $10, $11, 'open', $12, $13, $14, $15, 0, 0)`
	loadSQL     = `SELECT ` + columns + ` FROM upload_uploads WHERE id = $1 AND realm = $2`
	sameSQL     = `SELECT ` + columns + ` FROM upload_uploads WHERE realm = $1 AND same = $2 AND state IN ('open', 'done') ORDER BY made DESC LIMIT 1`
	countSQL    = `SELECT count(*) FROM upload_uploads WHERE realm = $1 AND owner = $2 AND state = 'open' AND expires > $3`
	reservedSQL = `
		SELECT CAST(coalesce(sum(CASE WHEN length < 0 THEN got ELSE length END), 0) AS BIGINT) FROM upload_uploads
		WHERE realm = $1 AND owner = $2 AND state = 'open' AND kind <> 'final' AND expires > $3`

	// A lease is taken only from nobody, or from one whose time is over.
	takeSQL = `
		UPDATE upload_uploads SET lease = $2, lease_until = $3, length = $4
		WHERE id = $1 AND state = 'open' AND lease_until <= $5 AND got = $6 AND (length < 0 OR length = $4)`
	renewSQL   = `UPDATE upload_uploads SET lease_until = $3 WHERE id = $1 AND lease = $2 AND state = 'open'`
	releaseSQL = `UPDATE upload_uploads SET lease = '', lease_until = 0 WHERE id = $1 AND lease = $2`
	freedSQL   = `UPDATE upload_uploads SET lease = '', lease_until = 0 WHERE realm = $1 AND lease_until > 0`
	failedSQL  = `UPDATE upload_uploads SET lease = '', lease_until = 0, tries = tries + 1, retry_at = $3 WHERE id = $1 AND lease = $2`

	advanceSQL = `
		UPDATE upload_uploads SET got = got + $4, segs = segs + $5, expires = $6, lease_until = $7
		WHERE id = $1 AND lease = $2 AND got = $3 AND state = 'open'`
	segmentSQL  = `INSERT INTO upload_segments (upload, start, size, hash) VALUES ($1, $2, $3, $4)`
	segmentsSQL = `SELECT start, size, hash FROM upload_segments WHERE upload = $1 AND start >= $2 ORDER BY start LIMIT $3`
	doneSQL     = `
		UPDATE upload_uploads SET state = 'done', got = length, expires = $3, lease = '', lease_until = 0
		WHERE id = $1 AND lease = $2 AND state = 'open'`
	goneSQL    = `UPDATE upload_uploads SET state = 'gone', expires = $2, lease = '', lease_until = 0 WHERE id = $1 AND state <> 'gone'`
	keepSQL    = `UPDATE upload_uploads SET expires = $2 WHERE id = $1 AND expires < $2 AND state IN ('open', 'used')`
	usedSQL    = `UPDATE upload_uploads SET state = 'used', expires = $2 WHERE id = $1 AND state = 'open'`
	unpieceSQL = `DELETE FROM upload_segments WHERE upload = $1 AND start = $2`
	fewerSQL   = `UPDATE upload_uploads SET segs = segs - $2 WHERE id = $1`

	// The job's: each changes or lists a bounded number of rows.
	fullSQL = `SELECT ` + columns + ` FROM upload_uploads WHERE realm = $1 AND state = 'open' AND got = length AND kind <> 'partial'
		AND retry_at <= $2 AND lease_until <= $2 ORDER BY retry_at LIMIT $3`
	leftSQL  = `SELECT ` + columns + ` FROM upload_uploads WHERE realm = $1 AND state IN ('done', 'gone') AND segs > 0 LIMIT $2`
	lapseSQL = `UPDATE upload_uploads SET state = 'gone', expires = $4, lease = '', lease_until = 0 WHERE id IN
		(SELECT id FROM upload_uploads WHERE realm = $1 AND expires <= $2 AND state IN ('open', 'used') AND lease_until <= $2 LIMIT $3)`
	forgetSQL = `DELETE FROM upload_uploads WHERE id IN
		(SELECT id FROM upload_uploads WHERE realm = $1 AND expires <= $2 AND state IN ('done', 'gone') AND segs = 0 LIMIT $3)`
)

// row is an upload with what only the engine looks at.
type row struct {
	Upload
	segs   int64
	meta   string // as it came
	concat string
	parts  []string
	state  string
	lease  string
	until  int64 // of the lease
	tries  int64
}

// full says whether every byte is there.
func (r *row) full() bool { return r.Offset == r.Length }

// unfinished says whether the room has still to take it.
func (r *row) unfinished() bool { return r.state == open && r.full() && r.Kind != Partial }

func scan(from interface{ Scan(...any) error }) (*row, error) {
	var r row
	var parts string
	var made, expires int64
	err := from.Scan(&r.ID, &r.Owner, &r.Kind, &r.Length, &r.Limit, &r.Offset, &r.segs, &r.meta, &r.concat, &parts,
		&r.state, &made, &expires, &r.lease, &r.until, &r.tries)
	if err != nil {
		return nil, err
	}
	if r.Meta, err = parseMeta(r.meta); err != nil {
		return nil, fmt.Errorf("upload %s: %w", r.ID, err)
	}
	r.parts = strings.Fields(parts)
	r.Made, r.Expires = time.UnixMicro(made).UTC(), time.UnixMicro(expires).UTC()
	return &r, nil
}

// load returns an upload of the realm; nil when there is none.
func load(ctx context.Context, tx *sqldb.Tx, realm, id string) (*row, error) {
	r, err := scan(tx.QueryRow(ctx, loadSQL, id, realm))
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, nil
	}
	return r, err
}

func list(ctx context.Context, tx *sqldb.Tx, q string, args ...any) ([]*row, error) {
	rows, err := tx.Query(ctx, q, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []*row
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

func reserved(ctx context.Context, tx *sqldb.Tx, realm, owner string, now time.Time) (n int64, err error) {
	err = tx.QueryRow(ctx, reservedSQL, realm, owner, now.UnixMicro()).Scan(&n)
	return n, err
}

// segment is one piece that arrived.
type segment struct {
	start, size int64
	hash        cas.Hash
}

// segments returns up to most segments of an upload from an offset on.
func segments(ctx context.Context, tx *sqldb.Tx, id string, from int64, most int) ([]segment, error) {
	rows, err := tx.Query(ctx, segmentsSQL, id, from, int64(most))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []segment
	for rows.Next() {
		var s segment
		var hash []byte
		if err := rows.Scan(&s.start, &s.size, &hash); err != nil {
			return nil, err
		}
		if copy(s.hash[:], hash) != len(s.hash) {
			return nil, fmt.Errorf("upload %s: a hash of %d bytes", id, len(hash))
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

// advance adds pieces at the offset from, in order, if the lease is still ours.
func (e *Engine) advance(ctx context.Context, tx *sqldb.Tx, id, lease string, from int64, pieces []*cas.Pending, until int64) error {
	size := int64(0)
	for _, p := range pieces {
		size += p.Size()
	}
	expires := e.n.Clock.Now().Add(e.o.Keep).UnixMicro()
	n, err := tx.Exec(ctx, advanceSQL, id, lease, from, size, int64(len(pieces)), expires, until)
	if err != nil {
		return err
	}
	if n == 0 {
		return errLost
	}
	for _, p := range pieces {
		hash := p.Hash()
		if err := e.n.CAS.Take(ctx, tx, p); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, segmentSQL, id, from, p.Size(), hash[:]); err != nil {
			return err
		}
		from += p.Size()
	}
	return nil
}

// drop gives back up to most segments of an upload and returns how many.
func (e *Engine) drop(ctx context.Context, tx *sqldb.Tx, id string, most int) (int, error) {
	list, err := segments(ctx, tx, id, 0, most)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	for _, s := range list {
		if _, err := tx.Exec(ctx, unpieceSQL, id, s.start); err != nil {
			return 0, err
		}
		if err := e.n.CAS.Drop(ctx, tx, s.hash); err != nil {
			return 0, err
		}
	}
	_, err = tx.Exec(ctx, fewerSQL, id, int64(len(list)))
	return len(list), err
}
