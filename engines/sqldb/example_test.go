package sqldb_test

import (
	"context"
	"fmt"
	"os"
	"testing/fstest"

	"plumb/engines/sqldb"
)

func Example() {
	dir, err := os.MkdirTemp("", "plumb-sqldb-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	db, err := sqldb.Open(ctx, "sqlite:"+dir+"/plumb.db", sqldb.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()

	// A room embeds its files with //go:embed schema/*.sql.
	schema := fstest.MapFS{"schema/0001_machines.sql": {Data: []byte(
		`CREATE TABLE vending_machine (id TEXT PRIMARY KEY, sold BIGINT NOT NULL);`)}}
	if err := db.Migrate(ctx, "vending", schema); err != nil {
		fmt.Println(err)
		return
	}
	sell := func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO vending_machine (id, sold) VALUES ($1, $2)
			ON CONFLICT (id) DO UPDATE SET sold = vending_machine.sold + EXCLUDED.sold`, "m-1", int64(3))
		return err
	}
	for range 2 {
		if err := db.Write(ctx, sell); err != nil {
			fmt.Println(err)
			return
		}
	}
	var sold int64
	err = db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT sold FROM vending_machine WHERE id = $1`, "m-1").Scan(&sold)
	})
	fmt.Println(sold, err)
	// Output: 6 <nil>
}
