package jobs

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// exampleFolder returns a fresh folder that the next start of the machine clears.
func exampleFolder() string {
	dir, err := os.MkdirTemp("", "plumb-jobs-")
	if err != nil {
		panic(err)
	}
	return dir
}

// childURL, when set, makes this test binary a process that starts a job,
// says so, and never ends.
const childURL = "PLUMB_TEST_JOBS_CHILD"

func TestChild(t *testing.T) {
	url := os.Getenv(childURL)
	if url == "" {
		t.Skip("runs as a child of TestAKilledProcessesJobRunsAgain only")
	}
	db, err := sqldb.Open(bg, url, sqldb.Options{})
	must(t, err)
	q := open(t, db, Config{}, Work{Kind: "test.long", Run: func(context.Context, []byte) error {
		fmt.Println("running")
		time.Sleep(time.Hour)
		return nil
	}})
	add(t, db, q, "test.long", nil)
	must(t, q.Start(bg))
	time.Sleep(time.Hour)
}

func TestAKilledProcessesJobRunsAgain(t *testing.T) {
	for _, kind := range sqldbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			url := sqldbtest.URL(t, kind)
			child := exec.Command(filepath.Join(os.Args[0]), "-test.run=^TestChild$", "-test.v")
			child.Env = append(os.Environ(), childURL+"="+url)
			out, err := child.StdoutPipe()
			must(t, err)
			must(t, child.Start())
			lines := bufio.NewScanner(out)
			for lines.Scan() && lines.Text() != "running" {
			}
			must(t, child.Process.Kill())
			child.Wait() // its status is the signal's

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
