package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestMain makes the test binary double as the program, so that the tests start
// real children of exactly this code, under the race detector too.
func TestMain(m *testing.M) {
	if args := os.Getenv(stockClient); args != "" {
		os.Exit(runStockClient(args))
	}
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-test.") {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	os.Unsetenv("PLUMB") // children are this binary, not one that was built before
	os.Exit(m.Run())
}

// plumb runs the program's main in this process.
func plumb(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

func TestExitStatuses(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	write(t, bad, "listen: 127.0.0.1:0\nvending:\n  windoww: 60m\n")
	twice := filepath.Join(dir, "twice.yaml")
	write(t, twice, "demo: true\ndemo: false\n")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"version"}, good, ""},
		{[]string{"answer"}, good, ""},
		{[]string{"answer", "12"}, good, ""},
		{[]string{"no-such-word"}, usage, "no-such-word"},
		{[]string{"answer", "17"}, usage, "17"},
		{[]string{"answer", "--no-such-flag"}, usage, "no-such-flag"},
		{[]string{"prove", "no-such-system"}, usage, "no-such-system"},
		{[]string{"prove", "--quick", "--full"}, usage, "exclude"},
		{[]string{"plan"}, usage, "arg"},
		{[]string{"plan", "no-such-system"}, usage, "no-such-system"},
		{[]string{"plan", "vending", "--set", "machines=many"}, usage, "machines"},
		{[]string{"plan", "vending", "-f", filepath.Join(dir, "none.yaml")}, usage, "none.yaml"},
		{[]string{"serve", "no-such-system"}, usage, "no-such-system"},
		{[]string{"serve", "--data", dir, "--listen", "0.0.0.0:0"}, usage, "insecure"},
		{[]string{"serve", "--data", dir, "--listen", "nonsense"}, usage, "nonsense"},
		{[]string{"serve", "--data", dir, "--sql", "postgres://u:secret@h/db"}, usage, "PGPASSWORD"},
		{[]string{"serve", "--data", dir, "--sql", "postgres://u@h/db"}, usage, "--nats"},
		{[]string{"serve", "--data", dir, "--vending-window", "soon"}, usage, "vending.window"},
		{[]string{"serve", "--config", bad}, usage, "bad.yaml:3"},
		{[]string{"check", "--config", twice}, usage, "twice.yaml:2"},
	} {
		code, _, stderr := plumb(t, c.args...)
		if code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("plumb %s: exit %d, want %d; stderr %q should say %q", strings.Join(c.args, " "), code, c.code, stderr, c.says)
		}
		if strings.Contains(stderr, "secret") {
			t.Errorf("plumb %s shows the password: %q", strings.Join(c.args, " "), stderr)
		}
	}
}

func TestEveryCommandHelpsWithAnExample(t *testing.T) {
	for _, word := range []string{"answer", "prove", "plan", "serve", "check", "version"} {
		code, out, _ := plumb(t, word, "--help")
		if code != good || !strings.Contains(out, "Examples:") {
			t.Errorf("plumb %s --help: exit %d, %q", word, code, out)
		}
	}
}

func TestCheckFindsNoFaultAndSaysWhereValuesComeFrom(t *testing.T) {
	t.Setenv("PLUMB_VENDING_GRACE", "20m")
	file := filepath.Join(t.TempDir(), "plumb.yaml")
	write(t, file, "vending:\n  window: 30m\n")
	code, out, stderr := plumb(t, "check", "--json", "--config", file, "--drain", "3s")
	if code != good {
		t.Fatalf("exit %d: %s%s", code, out, stderr)
	}
	var l struct {
		Settings []struct{ Key, Value, From string }
		Systems  []struct{ Name string }
		Answers  struct{ Rows int }
		Faults   []string
	}
	if err := json.Unmarshal([]byte(out), &l); err != nil {
		t.Fatal(err)
	}
	from := map[string]string{}
	for _, s := range l.Settings {
		from[s.Key] = s.Value + " from " + s.From
	}
	for key, want := range map[string]string{
		"vending.window": "30m0s from " + file + ":2", "vending.grace": "20m0s from PLUMB_VENDING_GRACE",
		"drain": "3s from --drain", "log-level": "info from default",
	} {
		if from[key] != want {
			t.Errorf("%s: %q, want %q", key, from[key], want)
		}
	}
	if len(l.Systems) == 0 || l.Answers.Rows < 230 || len(l.Faults) != 0 {
		t.Errorf("%+v", l)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
