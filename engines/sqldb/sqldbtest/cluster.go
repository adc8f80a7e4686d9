package sqldbtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a PostgreSQL cluster of the test's own, which syncs its writes
// and can be stopped and started under load.
type Server struct {
	programs string   // folder of postgres and initdb
	dir      string   // data and socket
	settings []string // of the postgres command
	owner    *syscall.SysProcAttr

	cmd   *exec.Cmd // the supervisor; nil while stopped
	leash *os.File  // its standard input: ended with this process, whatever happens
}

// supervisor runs PostgreSQL until a line on its standard input names the
// signal to stop it with, or until the input ends because whoever held it is
// gone: then the data goes too. It is in a session of its own, so that a
// Ctrl-C reaches it only in this way.
const supervisor = `
dir=$1; shift
"$@" & pid=$!
if read -r signal; then
	kill -"$signal" $pid; wait $pid
else
	kill -QUIT $pid; wait $pid; rm -rf "$dir"
fi`

var errNoPostgres = errors.New("PostgreSQL is not installed (Debian: apt-get install postgresql)")

// process holds the cluster that the tests of this process share. It is
// state of the test process by intent: it ends with it.
var process struct {
	sync.Mutex
	server *Server
	err    error
}

func shared(tb testing.TB) string {
	tb.Helper()
	process.Lock()
	defer process.Unlock()
	if process.server == nil && process.err == nil {
		// Nothing here outlives the process: no need to sync.
		process.server, process.err = newServer("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB")
		if process.err == nil {
			process.err = process.server.start()
		}
	}
	need(tb, process.err)
	return process.server.URL()
}

// need skips or fails tb when PostgreSQL cannot be had.
func need(tb testing.TB, err error) {
	tb.Helper()
	switch {
	case err == nil:
	case errors.Is(err, errNoPostgres) && os.Getenv("CI") == "":
		tb.Skip(err)
	default:
		tb.Fatal(err)
	}
}

// Cluster starts a cluster for this test alone, and ends it with the test.
func Cluster(tb testing.TB) *Server {
	tb.Helper()
	s, err := newServer("fsync=on", "shared_buffers=128MB")
	need(tb, err)
	tb.Cleanup(func() {
		if s.cmd != nil {
			s.leash.Close()
			s.wait()
		}
		os.RemoveAll(s.dir)
	})
	if err := s.start(); err != nil {
		tb.Fatal(err)
	}
	return s
}

// URL is the address of the cluster's own database, for its superuser.
func (s *Server) URL() string {
	return "postgres://postgres@/postgres?host=" + s.dir + "&port=5432"
}

// Database makes a database in the cluster and returns its address.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	return database(tb, s.URL())
}

// Own gives a folder to the user that PostgreSQL runs as, for a tablespace.
func (s *Server) Own(dir string) error {
	if c := s.owner.Credential; c != nil {
		return os.Chown(dir, int(c.Uid), int(c.Gid))
	}
	return nil
}

// Start starts a stopped cluster and waits until it answers.
func (s *Server) Start(tb testing.TB) {
	tb.Helper()
	if err := s.start(); err != nil {
		tb.Fatal(err)
	}
}

// Stop ends the cluster as an administrator does: connections are cut, what
// was committed is kept.
func (s *Server) Stop(tb testing.TB) { tb.Helper(); s.stop(tb, "INT") }

// Kill ends the cluster without a shutdown: it recovers from its log when it
// starts again.
func (s *Server) Kill(tb testing.TB) { tb.Helper(); s.stop(tb, "QUIT") }

func (s *Server) stop(tb testing.TB, signal string) {
	tb.Helper()
	if s.cmd == nil {
		tb.Fatal("the cluster is stopped already")
	}
	if _, err := s.leash.WriteString(signal + "\n"); err != nil {
		tb.Fatal(err)
	}
	s.wait()
	s.leash.Close()
}

func (s *Server) wait() {
	s.cmd.Wait() // its status is the signal's
	s.cmd = nil
}

// start runs the supervisor and waits until the cluster answers.
func (s *Server) start() error {
	in, leash, err := os.Pipe()
	if err != nil {
		return err
	}
	defer in.Close()
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"-c", supervisor, "sh", s.dir, filepath.Join(s.programs, "postgres"),
		"-D", filepath.Join(s.dir, "data"), "-k", s.dir, "-p", "5432", "-c", "listen_addresses=", "-c", "max_connections=300"}
	for _, set := range s.settings {
		args = append(args, "-c", set)
	}
	cmd := exec.Command("sh", args...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = s.dir, in, log, log, s.owner
	if err := cmd.Start(); err != nil {
		return errors.Join(err, leash.Close())
	}
	s.cmd, s.leash = cmd, leash
	for range 300 {
		if err = answers(s.URL()); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	text, _ := os.ReadFile(log.Name())
	return fmt.Errorf("PostgreSQL did not start: %w\n%s", err, text)
}

func answers(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// newServer makes a cluster's folder; initdb's work is done once a machine.
func newServer(settings ...string) (*Server, error) {
	programs, err := findPrograms()
	if err != nil {
		return nil, err
	}
	owner, uid, err := unprivileged()
	if err != nil {
		return nil, err
	}
	template, err := makeTemplate(programs, owner, uid)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "plumb-pg-") // short: a socket's path has 107 bytes at most
	if err != nil {
		return nil, err
	}
	s := &Server{programs: programs, dir: dir, settings: settings, owner: owner}
	if err := os.Chown(dir, uid, -1); err != nil {
		return nil, err
	}
	return s, run(owner, dir, "cp", "-a", template, filepath.Join(dir, "data"))
}

// makeTemplate returns a folder that initdb made, for this user and version.
func makeTemplate(programs string, owner *syscall.SysProcAttr, uid int) (string, error) {
	base := filepath.Join(os.TempDir(), "plumb-sqldbtest-"+strconv.Itoa(os.Getuid()))
	if err := os.Mkdir(base, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	info, err := os.Lstat(base)
	if err != nil {
		return "", err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Getuid() || !info.IsDir() {
		return "", fmt.Errorf("%s is somebody else's", base)
	}
	lock, err := os.OpenFile(filepath.Join(base, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	version, err := exec.Command(filepath.Join(programs, "postgres"), "--version").Output()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, strings.Map(plain, strings.TrimSpace(string(version))))
	if _, err := os.Stat(filepath.Join(dir, "done")); err == nil {
		return filepath.Join(dir, "data"), nil
	}
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755), os.Chown(dir, uid, -1)); err != nil {
		return "", err
	}
	data := filepath.Join(dir, "data")
	if err := run(owner, dir, filepath.Join(programs, "initdb"), "-D", data, "-N", "--no-locale", "-E", "UTF8", "-A", "trust", "-U", "postgres"); err != nil {
		return "", err
	}
	return data, os.WriteFile(filepath.Join(dir, "done"), nil, 0o600)
}

func plain(r rune) rune {
	if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '.' {
		return r
	}
	return '_'
}

func run(owner *syscall.SysProcAttr, dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.SysProcAttr = dir, owner
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// findPrograms looks where Debian puts PostgreSQL, newest first, and in PATH.
func findPrograms() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.SortFunc(found, func(a, b string) int { return release(b) - release(a) })
	if p, err := exec.LookPath("initdb"); err == nil {
		found = append(found, p)
	}
	for _, p := range found {
		dir := filepath.Dir(p)
		if _, err := os.Stat(filepath.Join(dir, "postgres")); err == nil {
			return dir, nil
		}
	}
	return "", errNoPostgres
}

func release(p string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(p))))
	return n
}

// unprivileged returns how to run PostgreSQL, which refuses to run as root.
func unprivileged() (*syscall.SysProcAttr, int, error) {
	attr := &syscall.SysProcAttr{Setsid: true}
	if os.Getuid() != 0 {
		return attr, os.Getuid(), nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err := errors.Join(err1, err2); err != nil {
			return nil, 0, err
		}
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return attr, uid, nil
	}
	return nil, 0, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody")
}
