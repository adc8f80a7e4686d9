package child_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"plumb/engines/lab/child"
)

// The test binary stands in for plumb: as "serve" it is a small server, as
// "parent" it starts one and waits.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		os.Exit(serve(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == "parent" {
		s, err := child.Start(context.Background(), child.Options{Data: os.TempDir()})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(s.Pid())
		select {}
	}
	os.Exit(m.Run())
}

func serve(args []string) int {
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	listen, _, _ := f.String("listen", "", ""), f.String("data", "", ""), f.String("mqtt", "", "")
	cert, key := f.String("tls-cert", "", ""), f.String("tls-key", "", "")
	fail := f.Bool("fail", false, "")
	if err := f.Parse(args); err != nil || *fail {
		fmt.Fprintln(os.Stderr, "this cannot be")
		return 1
	}
	http.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) {})
	http.HandleFunc("/env", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, os.Getenv("PLUMB_ADMIN_TOKEN"), " ", os.Getenv("PLUMB_LISTEN"), " ", os.Getenv("EXTRA"))
	})
	go func() {
		if *cert != "" {
			fmt.Println(http.ListenAndServeTLS(*listen, *cert, *key, nil))
		} else {
			fmt.Println(http.ListenAndServe(*listen, nil))
		}
		os.Exit(1)
	}()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	return 0
}

func start(t *testing.T, o child.Options) *child.Server {
	t.Helper()
	o.Data = t.TempDir()
	s, err := child.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill9)
	return s
}

func TestStartStop(t *testing.T) {
	t.Setenv("PLUMB_LISTEN", "a setting of the user's own")
	for _, tls := range []bool{false, true} {
		s := start(t, child.Options{TLS: tls, Env: []string{"EXTRA=x"}})
		res, err := s.Client.Get(s.URL + "/env")
		if err != nil {
			t.Fatal(err)
		}
		var got [200]byte
		n, _ := res.Body.Read(got[:])
		res.Body.Close()
		if want := s.Token + "  x"; string(got[:n]) != want {
			t.Errorf("the child sees %q, want %q", got[:n], want)
		}
		if cpu, err := s.CPU(); err != nil || cpu < 0 {
			t.Error(cpu, err)
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if syscall.Kill(s.Pid(), 0) == nil {
			t.Error("it is still there")
		}
	}
}

func TestKill9(t *testing.T) {
	s := start(t, child.Options{})
	s.Kill9()
	<-s.Ended()
	if _, err := s.Client.Get(s.URL + "/readyz"); err == nil {
		t.Error("it still answers")
	}
	s.Kill9() // once more does no harm
}

func TestAFailureSaysWhatTheChildSaid(t *testing.T) {
	_, err := child.Start(context.Background(), child.Options{Data: t.TempDir(), Args: []string{"--fail"}})
	if err == nil || !strings.Contains(err.Error(), "this cannot be") {
		t.Error(err)
	}
}

// A child does not outlive its parent, even if that is killed.
func TestEndsWithItsParent(t *testing.T) {
	parent := exec.Command(os.Args[0], "parent")
	parent.Env = append(os.Environ(), "TMPDIR="+t.TempDir()) // what it leaves behind goes with the test
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var line [64]byte
	n, _ := out.Read(line[:])
	pid, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	if err != nil {
		t.Fatalf("%s", line[:n])
	}
	parent.Process.Kill()
	parent.Wait()
	for range 500 {
		if syscall.Kill(pid, 0) != nil {
			return
		}
		if b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); strings.Contains(string(b), ") Z ") {
			return // dead, and not yet collected by whoever inherits it
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the child outlives its parent")
}
