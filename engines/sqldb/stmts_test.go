package sqldb

import (
	"context"
	"fmt"
	"testing"
)

func TestStatementCache(t *testing.T) {
	ctx := context.Background()
	db, err := openPool(ctx, sqliteDSN(t.TempDir()+"/c.db", Options{}.withDefaults(), false), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(q string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(ctx, q, args...); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	exec(`CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT`)
	for id := range 3 {
		exec(`INSERT INTO t (id) VALUES ($1)`, id)
	}

	// One text, twice at once: the second must not disturb the first.
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	const all = `SELECT * FROM t ORDER BY id`
	outer, err := tx.QueryContext(ctx, all)
	if err != nil {
		t.Fatal(err)
	}
	pairs := 0
	for outer.Next() {
		inner, err := tx.QueryContext(ctx, all)
		if err != nil {
			t.Fatal(err)
		}
		for inner.Next() {
			pairs++
		}
		if err := inner.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := outer.Close(); err != nil || pairs != 9 {
		t.Errorf("%d pairs, %v", pairs, err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}

	// The table changes under a kept statement.
	exec(`ALTER TABLE t ADD COLUMN n INTEGER NOT NULL DEFAULT 7`)
	var id, n int
	if err := db.QueryRowContext(ctx, all).Scan(&id, &n); err != nil || n != 7 {
		t.Errorf("after a change: %d, %v", n, err)
	}

	// A statement that failed works the next time; too many make room.
	for range 2 {
		if _, err := db.ExecContext(ctx, `INSERT INTO t (id) VALUES ($1)`, 1); err == nil {
			t.Error("a duplicate was taken")
		}
		exec(`INSERT OR REPLACE INTO t (id) VALUES ($1)`, 1)
	}
	for i := range 3 * stmtsKept {
		exec(fmt.Sprintf(`INSERT INTO t (id) VALUES (%d)`, 100+i))
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	err = conn.Raw(func(c any) error {
		if n := len(c.(*cachingConn).idle); n > stmtsKept || n < stmtsKept/2 {
			t.Errorf("%d statements kept", n)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
