package jobs

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"

	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// childURL, when set, makes this test binary a process that starts a job,
// says so, and never ends.
const childURL = "PLUMB_TEST_JOBS_CHILD"

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		fmt.Println(child(url))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func child(url string) error {
	db, err := sqldb.Open(bg, url, sqldb.Options{})
	if err != nil {
		return err
	}
	q, err := Open(bg, db, Config{})
	if err != nil {
		return err
	}
	err = q.Register(Work{Kind: "test.long", Run: func(context.Context, []byte) error {
		fmt.Println("running")
		select {}
	}})
	if err == nil {
		err = db.Write(bg, func(ctx context.Context, tx *sqldb.Tx) error { return q.Add(ctx, tx, "test.long", nil) })
	}
	if err == nil {
		err = q.Start(bg)
	}
	if err != nil {
		return err
	}
	time.Sleep(time.Hour)
	return nil
}

func TestAKilledProcessesJobRunsAgain(t *testing.T) {
	for _, kind := range sqldbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			url := sqldbtest.URL(t, kind)
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), childURL+"="+url)
			out, err := child.StdoutPipe()
			must(t, err)
			must(t, child.Start())
			lines := bufio.NewScanner(out)
			for lines.Scan() && lines.Text() != "running" {
			}
			must(t, child.Process.Kill())
			child.Wait()                        // its status is the signal's
			time.Sleep(1200 * time.Millisecond) // longer than RescueAfter: River looks at its start, then every 30 s

			db, err := sqldb.Open(bg, url, sqldb.Options{})
			must(t, err)
			defer db.Close()
			ran := make(chan bool, 9)
			// PostgreSQL: no time to wait for a minute's rescue here.
			q := open(t, db, Config{RescueAfter: time.Second}, Work{Kind: "test.long", Timeout: 500 * time.Millisecond,
				Run: func(context.Context, []byte) error { ran <- true; return nil }})
			must(t, q.Start(bg))
			defer q.Stop(bg)
			select {
			case <-ran:
			case <-time.After(100 * time.Second):
				t.Fatal("the killed process's job did not run again")
			}
		})
	}
}
