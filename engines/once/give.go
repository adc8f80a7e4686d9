package once

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"plumb/engines/sqldb"
)

// KeepTime is how long an answer is kept where nothing else is said.
const KeepTime = 24 * time.Hour

// Request is one that may come again. Without a Key its effect simply happens.
type Request struct {
	Scope string // whose key, and for what: "vending.machines/" + person
	Key   string // the Idempotency-Key; "" when none was sent
	Body  any    // what was asked, as JSON can write it: the same key with another is a Conflict
	Now   time.Time
}

// Give is Do for an effect that gives a T: the same T, through JSON, to whoever
// repeats the request within KeepTime.
//
//	enrolled, err = once.Give(ctx, o, tx, req, func() (Enrolled, error) { return s.add(ctx, tx, m) })
func Give[T any](ctx context.Context, o *Once, tx *sqldb.Tx, r Request, effect func() (T, error)) (T, error) {
	var given T
	if r.Key == "" {
		return effect()
	}
	body, err := json.Marshal(r.Body)
	if err != nil {
		return given, fmt.Errorf("once: the request of %s cannot be written: %w", r.Scope, err)
	}
	a, err := o.Do(ctx, tx, r.Scope, r.Key, body, KeepTime, r.Now, func() (int, []byte, error) {
		v, err := effect()
		if err != nil {
			return 0, nil, err
		}
		text, err := json.Marshal(v)
		return 200, text, err // a status is wanted; Give's callers set their own
	})
	if err != nil {
		return given, err
	}
	if err := json.Unmarshal(a.Body, &given); err != nil {
		return given, fmt.Errorf("once: the answer to %s cannot be read: %w", r.Key, err)
	}
	return given, nil
}
