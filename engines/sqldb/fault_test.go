package sqldb_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"plumb/base/errs"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// childURL, when set, makes this test binary a process that writes and prints
// what was acknowledged, until it is killed.
const childURL = "PLUMB_TEST_SQLDB_CHILD"

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		fmt.Println(writeForEver(url))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func writeForEver(url string) error {
	db, err := sqldb.Open(bg, url, sqldb.Options{})
	if err != nil {
		return err
	}
	from, err := strconv.ParseInt(os.Getenv("FROM"), 10, 64)
	if err != nil {
		return err
	}
	var id atomic.Int64
	id.Store(from)
	failed := make(chan error)
	for c := range 32 {
		write := db.Batch
		if c%4 == 0 {
			write = db.Write
		}
		go func() {
			for {
				n := id.Add(1)
				if err := write(bg, put(n)); err != nil {
					failed <- err
				}
				os.Stdout.WriteString(strconv.FormatInt(n, 10) + "\n") // one write(2) a line
			}
		}()
	}
	return <-failed
}

// lost returns the acknowledged ids that are not stored.
func lost(tb testing.TB, db *sqldb.DB, acknowledged map[int64]bool) (missing []int64) {
	tb.Helper()
	there := map[int64]bool{}
	for _, id := range stored(tb, db) {
		there[id] = true
	}
	for id := range acknowledged {
		if !there[id] {
			missing = append(missing, id)
		}
	}
	return missing
}

func TestKill9LosesNothing(t *testing.T) {
	for _, kind := range sqldbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			url := sqldbtest.URL(t, kind)
			acknowledged := map[int64]bool{}
			for round := range 4 {
				db, err := sqldb.Open(bg, url, sqldb.Options{})
				must(t, err)
				must(t, db.Write(bg, statements(strings.Replace(schema, "TABLE", "TABLE IF NOT EXISTS", 1))))
				must(t, db.Close())

				child := exec.Command(os.Args[0])
				child.Env = append(os.Environ(), childURL+"="+url, "FROM="+strconv.Itoa(round*1_000_000))
				out, err := child.StdoutPipe()
				must(t, err)
				must(t, child.Start())
				lines := bufio.NewScanner(out)
				for n := 0; lines.Scan(); n++ {
					id, err := strconv.ParseInt(lines.Text(), 10, 64)
					if err != nil {
						t.Fatalf("the child says %q", lines.Text())
					}
					acknowledged[id] = true
					if n == 200+100*round {
						must(t, child.Process.Kill()) // and read on: what it printed, it acknowledged
					}
				}
				child.Wait() // its status is the signal's

				db, err = sqldb.Open(bg, url, sqldb.Options{})
				must(t, err)
				if missing := lost(t, db, acknowledged); len(missing) > 0 {
					t.Errorf("round %d: %d of %d acknowledged are lost", round, len(missing), len(acknowledged))
				}
				must(t, db.Close())
			}
		})
	}
}

// PostgreSQL stops, crashes and comes back under load: nothing acknowledged
// is lost, callers are told to come again, and the same DB goes on by itself.
func TestPostgresRestartsUnderLoad(t *testing.T) {
	server := sqldbtest.Cluster(t)
	db, err := sqldb.Open(bg, server.URL(), sqldb.Options{})
	must(t, err)
	defer db.Close()
	must(t, db.Write(bg, statements(schema)))
	var id, refused atomic.Int64
	var mu sync.Mutex
	acknowledged := map[int64]bool{}
	stop := make(chan bool)
	var wg sync.WaitGroup
	for c := range 16 {
		wg.Go(func() {
			write := db.Batch
			if c%4 == 0 {
				write = db.Write
			}
			for {
				select {
				case <-stop:
					return
				default:
				}
				n := id.Add(1)
				switch err := write(bg, put(n)); {
				case err == nil:
					mu.Lock()
					acknowledged[n] = true
					mu.Unlock()
				case errs.Is(err, errs.Busy) && errs.RetryAfter(err) > 0 && sqldb.IsAway(err):
					refused.Add(1)
					time.Sleep(5 * time.Millisecond)
				default:
					t.Errorf("while the server was away: %v", err)
					return
				}
			}
		})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(acknowledged) }
	more := func(what string) {
		for from, i := count(), 0; count() < from+50; i++ {
			if i == 3000 {
				t.Fatalf("%s: no writes", what)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	more("at first")
	for _, end := range []func(testing.TB){server.Stop, server.Kill} {
		end(t)
		time.Sleep(50 * time.Millisecond)
		server.Start(t)
		more("after a restart")
	}
	close(stop)
	wg.Wait()
	if missing := lost(t, db, acknowledged); len(missing) > 0 {
		t.Errorf("%d of %d acknowledged are lost", len(missing), len(acknowledged))
	}
	if refused.Load() == 0 {
		t.Error("nobody noticed")
	}
}

// fill writes rows of 1 kB until the database is full, and checks that it
// says so, keeps what it acknowledged, reads, and goes on when there is room.
func fill(t *testing.T, db *sqldb.DB, makeRoom func()) {
	t.Helper()
	big := func(id int64) sqldb.Fn {
		return func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO big (id, body) VALUES ($1, $2)`, id, strings.Repeat("x", 1000))
			return err
		}
	}
	acknowledged, full := int64(0), int64(0)
	for id := int64(0); full < 5; id++ {
		if id > 100_000 {
			t.Fatal("it never gets full")
		}
		err := db.Batch(bg, big(id))
		switch {
		case err == nil:
			acknowledged++
		case sqldb.IsFull(err) && errs.Is(err, errs.Busy) && errs.Message(err) == "the disk is full: nothing was stored":
			full++
		default:
			t.Fatalf("after %d rows: %v", acknowledged, err)
		}
	}
	count := func() (n int64) {
		must(t, db.Read(bg, func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, `SELECT count(*) FROM big WHERE length(body) = 1000`).Scan(&n)
		}))
		return n
	}
	if n := count(); n != acknowledged {
		t.Errorf("%d rows for %d acknowledged", n, acknowledged)
	}
	makeRoom()
	for id := range int64(20) {
		must(t, db.Batch(bg, big(-1-id)))
	}
	if n := count(); n != acknowledged+20 {
		t.Errorf("%d rows for %d acknowledged, after there was room", n, acknowledged+20)
	}
	if !db.Postgres() {
		must(t, db.Read(bg, func(ctx context.Context, tx *sqldb.Tx) error {
			var verdict string
			if err := tx.QueryRow(ctx, `PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
				t.Errorf("integrity: %q, %v", verdict, err)
			}
			return nil
		}))
	}
}

const bigTable = `CREATE TABLE big (id BIGINT PRIMARY KEY, body TEXT NOT NULL)`

func TestDatabaseAtItsLimit(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{})
	must(t, db.Write(bg, statements(bigTable, `PRAGMA max_page_count = 300`)))
	fill(t, db, func() { must(t, db.Write(bg, statements(`PRAGMA max_page_count = 100000`))) })
}

// tinyDisk mounts a file system of so many bytes.
func tinyDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+strconv.Itoa(bytes)); err != nil {
		if os.Getenv("CI") == "" {
			t.Skipf("a full disk needs the right to mount one: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestFullDiskSQLite(t *testing.T) {
	dir := tinyDisk(t, 2<<20)
	ballast := filepath.Join(dir, "ballast")
	must(t, os.WriteFile(ballast, make([]byte, 1<<20), 0o600))
	db, err := sqldb.Open(bg, "sqlite:"+filepath.Join(dir, "plumb.db"), sqldb.Options{})
	must(t, err)
	defer db.Close()
	must(t, db.Write(bg, statements(bigTable)))
	fill(t, db, func() { must(t, os.Remove(ballast)) })
}

func TestFullDiskPostgres(t *testing.T) {
	dir := tinyDisk(t, 2<<20)
	ballast := filepath.Join(dir, "ballast")
	must(t, os.WriteFile(ballast, make([]byte, 1<<20), 0o600))
	space := filepath.Join(dir, "space")
	must(t, os.Mkdir(space, 0o700))
	server := sqldbtest.Cluster(t)
	must(t, server.Own(space))
	must(t, os.Chmod(filepath.Dir(dir), 0o755)) // the test's folder
	must(t, os.Chmod(dir, 0o755))
	db, err := sqldb.Open(bg, server.URL(), sqldb.Options{})
	must(t, err)
	defer db.Close()
	_, err = db.Pool().Exec(bg, `CREATE TABLESPACE tiny LOCATION '`+space+`'`)
	must(t, err)
	must(t, db.Write(bg, statements(bigTable+` TABLESPACE tiny`)))
	fill(t, db, func() { must(t, os.Remove(ballast)) })
	must(t, db.Write(bg, statements(`DROP TABLE big`)))
}

// TestModel runs random transactions, some of which fail, and compares with a
// map.
func TestModel(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		must(t, db.Write(bg, statements(schema)))
		rapid.Check(t, func(t *rapid.T) {
			model := map[int64]bool{}
			if err := db.Write(bg, statements(`DELETE FROM t`)); err != nil {
				t.Fatal(err)
			}
			for range rapid.IntRange(1, 8).Draw(t, "transactions") {
				write := db.Batch
				if rapid.Bool().Draw(t, "write") {
					write = db.Write
				}
				ids := rapid.SliceOfN(rapid.Int64Range(0, 9), 0, 5).Draw(t, "ids")
				end := rapid.SampledFrom([]string{"good", "error", "panic"}).Draw(t, "end")
				next := map[int64]bool{}
				duplicate := false
				for id := range model {
					next[id] = true
				}
				for _, id := range ids { // an id that is there goes, one that is not comes
					if next[id] = !next[id]; !next[id] {
						delete(next, id)
					}
				}
				if end == "good" && rapid.IntRange(0, 4).Draw(t, "clumsy") == 0 && len(next) > 0 {
					duplicate = true
				}
				err := write(bg, func(ctx context.Context, tx *sqldb.Tx) error {
					for _, id := range ids {
						n, err := tx.Exec(ctx, `DELETE FROM t WHERE id = $1`, id)
						if err == nil && n == 0 {
							err = put(id)(ctx, tx)
						}
						if err != nil {
							return err
						}
					}
					switch {
					case duplicate:
						for id := range next {
							return put(id)(ctx, tx)
						}
					case end == "error":
						return errBoom
					case end == "panic":
						panic("boom")
					}
					return nil
				})
				good := end == "good" && !duplicate
				if good != (err == nil) || duplicate && !sqldb.IsUnique(err) || end == "error" && !errors.Is(err, errBoom) {
					t.Fatalf("%s, duplicate %v: %v", end, duplicate, err)
				}
				if good {
					model = next
				}
			}
			there := map[int64]bool{}
			err := db.Read(bg, func(ctx context.Context, tx *sqldb.Tx) error {
				rows, err := tx.Query(ctx, `SELECT id FROM t`)
				if err != nil {
					return err
				}
				for rows.Next() {
					var id int64
					if err := rows.Scan(&id); err != nil {
						return err
					}
					there[id] = true
				}
				return rows.Err()
			})
			if err != nil || fmt.Sprint(there) != fmt.Sprint(model) {
				t.Fatalf("stored %v, want %v, %v", there, model, err)
			}
		})
	})
}
