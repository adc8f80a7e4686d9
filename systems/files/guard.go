package files

import (
	"context"

	"plumb/engines/sqldb"
)

// guard is checked in the transaction of a verb's change, before it: what the one who
// asks takes for granted, such as a lock that they hold. Its error stops the change. It
// may run more than once, as the transaction may.
type guard func(ctx context.Context, tx *sqldb.Tx) error

type guardKey struct{}

// guarded returns ctx for one verb that changes something only if g allows it.
func guarded(ctx context.Context, g guard) context.Context {
	return context.WithValue(ctx, guardKey{}, g)
}

// allowed asks the guard of ctx, if it has one.
func allowed(ctx context.Context, tx *sqldb.Tx) error {
	if g, ok := ctx.Value(guardKey{}).(guard); ok {
		return g(ctx, tx)
	}
	return nil
}
