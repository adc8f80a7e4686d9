package sqldb_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

const (
	benchTable  = `CREATE TABLE bench (id BIGINT PRIMARY KEY, caller BIGINT NOT NULL, body TEXT NOT NULL)`
	benchInsert = `INSERT INTO bench (id, caller, body) VALUES ($1, $3, $2)`
)

var benchBody = strings.Repeat("x", 100)

// durable opens a database on a disk that is synced: figures without are of
// no use.
func durable(b *testing.B, kind string, opts sqldb.Options) (*sqldb.DB, string) {
	b.Helper()
	url := ""
	if kind == sqldbtest.SQLite {
		url = sqldbtest.URL(b, kind)
	} else {
		url = sqldbtest.Cluster(b).Database(b)
	}
	db, err := sqldb.Open(context.Background(), url, opts)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	must(b, db.Write(context.Background(), statements(benchTable)))
	return db, url
}

// BenchmarkWrite sets what callers get beside what the drivers alone can do,
// in one run: rows/s of one row a transaction (raw-single) and of 100 rows a
// transaction (raw-100), against 64 and 512 callers of Write and Batch.
func BenchmarkWrite(b *testing.B) {
	for _, kind := range sqldbtest.Kinds() {
		b.Run(kind, func(b *testing.B) {
			db, url := durable(b, kind, sqldb.Options{})
			var id atomic.Int64
			for _, rows := range []int{1, 100} {
				b.Run(fmt.Sprintf("raw-%d", rows), func(b *testing.B) { raw(b, kind, url, rows, &id) })
			}
			for _, callers := range []int{1, 64, 512} {
				b.Run(fmt.Sprintf("write-%d", callers), func(b *testing.B) { load(b, db, db.Write, callers, &id) })
				if kind == sqldbtest.Postgres {
					b.Run(fmt.Sprintf("batch-%d", callers), func(b *testing.B) { load(b, db, db.Batch, callers, &id) })
				}
			}
		})
	}
}

// rate reports what b.N rows since start cost: wall time depends on who else
// uses the machine, this process's CPU time hardly does.
func rate(b *testing.B, start time.Duration) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64((cpu()-start).Microseconds())/float64(b.N), "cpu-us/row")
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// load inserts b.N rows, one a transaction, from so many callers.
func load(b *testing.B, db *sqldb.DB, write func(context.Context, sqldb.Fn) error, callers int, id *atomic.Int64) {
	before := db.Stats()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	used := cpu()
	for c := range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				n := id.Add(1)
				err := write(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
					_, err := tx.Exec(ctx, benchInsert, n, benchBody, int64(c))
					return err
				})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	rate(b, used)
	after := db.Stats()
	b.ReportMetric(float64(after.Writes-before.Writes)/float64(after.Commits-before.Commits), "fns/commit")
	b.ReportMetric(float64(after.Retries-before.Retries), "retries")
}

// raw inserts b.N rows through the driver, prepared, so many in a transaction.
func raw(b *testing.B, kind, url string, rows int, id *atomic.Int64) {
	ctx := context.Background()
	var commit func(n int) error
	if kind == sqldbtest.SQLite {
		q := "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(4000)&_txlock=immediate"
		db, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(url, "sqlite:")+q)
		must(b, err)
		defer db.Close()
		db.SetMaxOpenConns(1)
		insert, err := db.Prepare(benchInsert)
		must(b, err)
		commit = func(n int) error {
			tx, err := db.Begin()
			if err != nil {
				return err
			}
			st := tx.Stmt(insert)
			for range n {
				if _, err := st.Exec(id.Add(1), benchBody, int64(0)); err != nil {
					return err
				}
			}
			return tx.Commit()
		}
	} else {
		conn, err := pgx.Connect(ctx, url)
		must(b, err)
		defer conn.Close(ctx)
		commit = func(n int) error {
			return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
				for range n {
					if _, err := tx.Exec(ctx, benchInsert, id.Add(1), benchBody, int64(0)); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	b.ResetTimer()
	used := cpu()
	for left := b.N; left > 0; left -= rows {
		must(b, commit(min(rows, left)))
	}
	rate(b, used)
}

// BenchmarkRead reads one row by key, with and without a writer's load.
func BenchmarkRead(b *testing.B) {
	for _, kind := range sqldbtest.Kinds() {
		b.Run(kind, func(b *testing.B) {
			ctx := context.Background()
			db, _ := durable(b, kind, sqldb.Options{})
			var id atomic.Int64
			for range 100 {
				must(b, db.Batch(ctx, statements(fmt.Sprintf(`INSERT INTO bench (id, caller, body) VALUES (%d, 0, 'x')`, id.Add(1)))))
			}
			read := func(b *testing.B) {
				b.SetParallelism(2)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						var s string
						err := db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
							return tx.QueryRow(ctx, `SELECT body FROM bench WHERE id = $1`, 1+time.Now().UnixNano()%100).Scan(&s)
						})
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reads/s")
			}
			b.Run("alone", read)
			stop := make(chan bool)
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
							db.Batch(ctx, statements(fmt.Sprintf(`INSERT INTO bench (id, caller, body) VALUES (%d, 0, 'x')`, id.Add(1))))
						}
					}
				})
			}
			b.Run("with-16-writers", read)
			close(stop)
			wg.Wait()
		})
	}
}
