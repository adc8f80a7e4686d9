package sqldb_test

import (
	"context"
	"testing"

	"plumb/engines/sqldb"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// statements is a fn that runs each of qs.
func statements(qs ...string) sqldb.Fn {
	return func(ctx context.Context, tx *sqldb.Tx) error {
		for _, q := range qs {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	}
}
