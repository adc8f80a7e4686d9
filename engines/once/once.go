// Package once lets a request be repeated without repeating its effect.
//
// A client sends an Idempotency-Key with a request that it may have to send
// again. Do keeps the answer under that key in the very transaction of the
// effect, so that both exist or neither does:
//
//	err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
//		a, err := o.Do(ctx, tx, "arcade/refill/"+card, key, body, 24*time.Hour, now,
//			func() (int, []byte, error) { return refill(ctx, tx, card, amount) })
//		...
//	})
//
// What holds: for one scope and key, until the stated time is over, the effect
// is kept at most once however many send it at the same moment, and each of
// them gets the same answer. The same key with another body is a Conflict. An
// effect that returns an error keeps nothing, and the key may be used again.
//
// The rules for keys follow the IETF's draft "The Idempotency-Key HTTP Header
// Field" (draft-ietf-httpapi-idempotency-key-header).
package once

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"math"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/jobs"
	"plumb/engines/sqldb"
)

// Limits of what is kept.
const (
	MaxKey    = 255       // bytes of a key
	MaxScope  = 255       // bytes of a scope
	MaxAnswer = 256 << 10 // bytes of an answer
)

const (
	claim = `INSERT INTO once_answer (scope, key, body, status, answer, until) VALUES ($1, $2, $3, 0, $4, $5)
		ON CONFLICT (scope, key) DO NOTHING`
	reclaim = `UPDATE once_answer SET body = $3, status = 0, answer = $4, until = $5 WHERE scope = $1 AND key = $2`
	look    = `SELECT body, status, answer, until FROM once_answer WHERE scope = $1 AND key = $2`
	keepIt  = `UPDATE once_answer SET status = $3, answer = $4 WHERE scope = $1 AND key = $2`
	forget  = `DELETE FROM once_answer WHERE (scope, key) IN
		(SELECT scope, key FROM once_answer WHERE until <= $1 ORDER BY until LIMIT $2)`
)

//go:embed schema/*.sql
var schema embed.FS

// Once keeps answers. It is safe for concurrent use.
type Once struct {
	db     *sqldb.DB
	sealer *sealer
}

// New returns a keeper of answers in db, and brings its table up to date. The
// answers are encrypted under a key derived from houseKey (32 random bytes, the
// same in every process).
func New(ctx context.Context, db *sqldb.DB, houseKey []byte) (*Once, error) {
	s, err := newSealer(houseKey)
	if err != nil {
		return nil, err
	}
	o := &Once{db, s}
	if err := db.Migrate(ctx, "once", schema); err != nil {
		return nil, err
	}
	return o, o.sameKey(ctx)
}

// sameKey seals a word at the first start and opens it at every later one, so
// that a process with another key than its house's ends at once, and not when it
// is asked for an answer that it cannot open.
func (o *Once) sameKey(ctx context.Context) error {
	const scope, key, word = "once", "house-key", "the house's key"
	never := int64(math.MaxInt64 / 2)
	var sealed []byte
	err := o.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, claim, scope, key, []byte{}, o.sealer.seal(scope, key, []byte(word)), never); err != nil {
			return err
		}
		var body []byte
		var status, until int64
		return tx.QueryRow(ctx, look, scope, key).Scan(&body, &status, &sealed, &until)
	})
	if err != nil {
		return fmt.Errorf("compare the house's key: %w", err)
	}
	if got, err := o.sealer.open(scope, key, sealed); err != nil || string(got) != word {
		return errs.New(errs.Invalid, "this key is not the one that the data was begun with: give the same key file to every process, and keep it with the data")
	}
	return nil
}

// Answer is what the effect answered, now or when the key came first.
type Answer struct {
	Status   int // HTTP status
	Body     []byte
	Repeated bool // this request did nothing: the effect happened before
}

// Do runs effect in the caller's transaction, unless scope and key have an
// answer already. The scope names whose key it is and for what (a system, an
// operation, an account); keys of different scopes never meet. The answer is
// kept from now for the time keep.
//
// Errors: Invalid when the key is not 1 to 255 visible ASCII characters;
// Conflict when it stands for another body; the effect's own. The caller must
// let its transaction fail with the error.
func (o *Once) Do(ctx context.Context, tx *sqldb.Tx, scope, key string, body []byte, keep time.Duration, now time.Time,
	effect func() (status int, answer []byte, err error)) (Answer, error) {
	if err := CheckKey(key); err != nil {
		return Answer{}, err
	}
	if scope == "" || len(scope) > MaxScope || keep <= 0 {
		return Answer{}, fmt.Errorf("once: bad scope %.300q or time %v", scope, keep)
	}
	sum := sha256.Sum256(body)
	until := now.Add(keep).UnixMicro()
	// The claim comes first: on PostgreSQL, whoever sends the same key at the
	// same moment waits here rather than in the middle of the effect.
	n, err := tx.Exec(ctx, claim, scope, key, sum[:], []byte{}, until)
	if err != nil {
		return Answer{}, fmt.Errorf("claim the key %s: %w", key, err)
	}
	if n == 0 {
		a, expired, err := o.kept(ctx, tx, scope, key, sum[:], now)
		if err != nil || !expired {
			return a, err
		}
		if _, err := tx.Exec(ctx, reclaim, scope, key, sum[:], []byte{}, until); err != nil {
			return Answer{}, fmt.Errorf("claim the key %s again: %w", key, err)
		}
	}
	return o.run(ctx, tx, scope, key, effect)
}

// run lets the effect happen and keeps its answer.
func (o *Once) run(ctx context.Context, tx *sqldb.Tx, scope, key string, effect func() (int, []byte, error)) (Answer, error) {
	status, answer, err := effect()
	if err != nil {
		return Answer{}, err
	}
	if status < 200 || status > 599 || len(answer) > MaxAnswer {
		return Answer{}, fmt.Errorf("once: an answer of status %d and %d bytes cannot be kept", status, len(answer))
	}
	if _, err := tx.Exec(ctx, keepIt, scope, key, int64(status), o.sealer.seal(scope, key, answer)); err != nil {
		return Answer{}, fmt.Errorf("keep the answer to %s: %w", key, err)
	}
	return Answer{Status: status, Body: answer}, nil
}

// kept returns the answer that stands under the key, or that it has expired.
func (o *Once) kept(ctx context.Context, tx *sqldb.Tx, scope, key string, sum []byte, now time.Time) (a Answer, expired bool, err error) {
	var was []byte
	var status, until int64
	if err := tx.QueryRow(ctx, look, scope, key).Scan(&was, &status, &a.Body, &until); err != nil {
		return Answer{}, false, fmt.Errorf("look up the key %s: %w", key, err)
	}
	switch {
	case until <= now.UnixMicro():
		return Answer{}, true, nil
	case !bytes.Equal(was, sum):
		return Answer{}, false, errs.New(errs.Conflict, "this idempotency key was used for another request: choose a new key")
	case status == 0: // the effect asked for its own key
		return Answer{}, false, fmt.Errorf("once: the key %s is used inside its own effect", key)
	}
	if a.Body, err = o.sealer.open(scope, key, a.Body); err != nil {
		return Answer{}, false, err
	}
	a.Status, a.Repeated = int(status), true
	return a, false, nil
}

// CheckKey says whether key may stand in an Idempotency-Key header: 1 to 255
// visible ASCII characters.
func CheckKey(key string) error {
	if key == "" || len(key) > MaxKey {
		return errs.New(errs.Invalid, "an idempotency key has 1 to %d characters, not %d", MaxKey, len(key))
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return errs.New(errs.Invalid, "an idempotency key holds visible ASCII characters only; character %d is %q", i+1, key[i])
		}
	}
	return nil
}

// Sweep forgets up to most answers whose time is over, oldest first, and
// returns how many.
func (o *Once) Sweep(ctx context.Context, now time.Time, most int) (int64, error) {
	var n int64
	err := o.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		n, err = tx.Exec(ctx, forget, now.UnixMicro(), int64(most))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("forget old answers: %w", err)
	}
	return n, nil
}

// sweepBatch bounds one transaction, so that nobody waits for it long.
const sweepBatch = 500

// Work sweeps every ten minutes, in bounded batches.
func (o *Once) Work(c clock.Clock) jobs.Work {
	return jobs.Work{Kind: "once.sweep", Every: 10 * time.Minute, Timeout: 5 * time.Minute, Run: func(ctx context.Context, _ []byte) error {
		for {
			n, err := o.Sweep(ctx, c.Now(), sweepBatch)
			if err != nil || n < sweepBatch {
				return err
			}
		}
	}}
}
