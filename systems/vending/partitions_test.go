package vending

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// until returns the room's schema as it was before a file.
func until(t *testing.T, file string) fs.FS {
	t.Helper()
	names, err := fs.Glob(schema, "schema/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	old := fstest.MapFS{}
	for _, n := range names {
		if n >= "schema/"+file {
			break
		}
		text, err := fs.ReadFile(schema, n)
		if err != nil {
			t.Fatal(err)
		}
		old[n] = &fstest.MapFile{Data: text}
	}
	return old
}

// Reports that are there keep all that is in them when the table is split, and a
// machine's are all in one part.
func TestReportsAreSplitWithoutLoss(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.Postgres, sqldb.Options{RunTwice: true})
	ctx := context.Background()
	if err := db.Migrate(ctx, realm, until(t, "0009_partitions.postgres.sql")); err != nil {
		t.Fatal(err)
	}
	const machines, each = 100, 7
	err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for i := range machines * each {
			_, err := tx.Exec(ctx, insertSQL[1], fmt.Sprint("m-", i%machines), fmt.Sprint("r-", i), int64(i), int64(2*i), fmt.Sprintf(`{"n":%d}`, i))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sum := func() (s string) {
		err := db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, `SELECT count(*) || ' ' || md5(string_agg(machine || id || taken_at || received_at || body, ',' ORDER BY machine, id)) FROM vending_reports`).Scan(&s)
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := sum()
	if err := db.Migrate(ctx, realm, schema); err != nil {
		t.Fatal(err)
	}
	if after := sum(); after != before {
		t.Errorf("before %s, after %s", before, after)
	}
	err = db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var parts, most int64
		if err := tx.QueryRow(ctx, `SELECT count(DISTINCT tableoid) FROM vending_reports`).Scan(&parts); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT max(n) FROM (SELECT count(DISTINCT tableoid) AS n FROM vending_reports GROUP BY machine) AS m`).Scan(&most); err != nil {
			return err
		}
		if parts != 16 || most != 1 {
			t.Errorf("%d parts hold reports, up to %d one machine's", parts, most)
		}
		plan, err := explain(ctx, tx, `EXPLAIN SELECT body FROM vending_reports WHERE machine = 'm-1' AND taken_at > 5 ORDER BY taken_at, id`)
		if n := strings.Count(plan, "vending_reports_"); n < 1 || strings.Contains(plan, "Append") {
			t.Errorf("one machine's reports are looked for in several parts:\n%s", plan)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// The room works on what it finds: the same ids are duplicates.
	h := open(t, db)
	token := h.enrol("m-1")
	for _, want := range []string{"stored", "duplicate"} {
		if got := get[receiptOut](h, 200, "POST", reportsPath, token, h.report("new")); got.Status != want {
			t.Errorf("%+v, want %s", got, want)
		}
	}
}

func explain(ctx context.Context, tx *sqldb.Tx, q string) (plan string, err error) {
	rows, err := tx.Query(ctx, q)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return "", err
		}
		plan += line + "\n"
	}
	return plan, rows.Err()
}
