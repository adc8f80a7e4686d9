// Package child runs this same program as a child on throw-away data, so that an
// experiment drives a system from outside, through its doors.
//
//	s, err := child.Start(ctx, child.Options{Systems: []string{"vending"}, Data: dir})
//	...
//	defer s.Kill9()
//	res, err := s.Client.Get(s.URL + "/healthz")
//
// The program is $PLUMB, or the one that is running. A child ends with its
// parent, however that ends.
package child

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"plumb/base/ids"
	"plumb/engines/farm/leash"
)

// ready bounds how long a child may take until it answers at /readyz.
const ready = 30 * time.Second

// Options say what to start.
type Options struct {
	Systems []string // the systems to serve; empty: all
	Data    string   // data folder; it exists
	TLS     bool     // serve HTTPS with a certificate made for this child
	Args    []string // further flags of plumb serve
	Env     []string // further NAME=value
}

// Server is a running plumb serve.
type Server struct {
	URL    string       // "http://127.0.0.1:20123", or https
	Addr   string       // host:port of it
	MQTT   string       // host:port
	Token  string       // the admin's
	Client *http.Client // trusts the child's certificate; keeps connections
	TLS    *tls.Config  // what Client trusts; nil without TLS

	data    string
	scratch string // log and certificate
	proc    *leash.Process
}

// Program returns the path of the program that children run.
func Program() (string, error) {
	if p := os.Getenv("PLUMB"); p != "" {
		return filepath.Abs(p)
	}
	return os.Executable()
}

// Start starts plumb serve and waits until it is ready.
func Start(ctx context.Context, o Options) (*Server, error) {
	// A port that was free may be taken a moment later: then another one is.
	for attempt := 1; ; attempt++ {
		s, err := start(ctx, o)
		if err == nil || attempt == 3 || ctx.Err() != nil || !strings.Contains(err.Error(), "address already in use") {
			return s, err
		}
	}
}

func start(ctx context.Context, o Options) (*Server, error) {
	program, err := Program()
	if err != nil {
		return nil, fmt.Errorf("start a child: %w", err)
	}
	scratch, err := os.MkdirTemp("", "plumb-child-")
	if err != nil {
		return nil, fmt.Errorf("start a child: %w", err)
	}
	s := &Server{Token: ids.Token(), data: o.Data, scratch: scratch}
	if err := s.launch(program, o); err != nil {
		os.RemoveAll(scratch)
		return nil, fmt.Errorf("start a child: %w", err)
	}
	if err := s.await(ctx); err != nil {
		err = fmt.Errorf("start a child: %w: %s", err, s.Tail())
		s.Kill9()
		return nil, err
	}
	return s, nil
}

// launch starts the process.
func (s *Server) launch(program string, o Options) error {
	listen, err := freePort()
	if err != nil {
		return err
	}
	if s.MQTT, err = freePort(); err != nil {
		return err
	}
	args := append([]string{"serve"}, o.Systems...)
	args = append(args, "--data", o.Data, "--listen", listen, "--mqtt", s.MQTT)
	s.Addr, s.URL = listen, "http://"+listen
	transport := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	if o.TLS {
		cert, key, pool, err := certificate(s.scratch)
		if err != nil {
			return err
		}
		args = append(args, "--tls-cert", cert, "--tls-key", key)
		s.URL = "https://" + listen
		s.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		transport.TLSClientConfig = s.TLS
	}
	s.Client = &http.Client{Transport: transport, Timeout: 30 * time.Second}
	log, err := os.Create(filepath.Join(s.scratch, "log"))
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own copy
	cmd := exec.Command(program, append(args, o.Args...)...)
	cmd.Dir = s.scratch // no plumb.yaml of the user's is picked up
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(environ(), append([]string{"PLUMB_ADMIN_TOKEN=" + s.Token}, o.Env...)...)
	s.proc, err = leash.Start(cmd)
	return err
}

// environ is this process's environment without settings of plumb's own.
func environ() []string {
	var out []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "PLUMB_") {
			out = append(out, kv)
		}
	}
	return out
}

func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ready)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/readyz", nil)
		if err != nil {
			return err
		}
		res, err := s.Client.Do(req)
		if err == nil {
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.Ended():
			return fmt.Errorf("it ended at once: %v", s.proc.Err())
		case <-ctx.Done():
			return errors.New("it is not ready")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Tail returns the end of what the child printed.
func (s *Server) Tail() string {
	b, err := os.ReadFile(filepath.Join(s.scratch, "log"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(b[max(0, len(b)-600):]), "?"))
}

// Kill9 kills the child and waits until it is gone. It may be called again.
func (s *Server) Kill9() {
	s.kill()
	s.clean()
}

func (s *Server) kill() {
	s.proc.Kill()
	<-s.Ended()
}

// Stop asks the child to end, as an administrator would, and reports how it did.
func (s *Server) Stop() error {
	defer s.clean()
	s.proc.Signal(syscall.SIGTERM)
	select {
	case <-s.Ended():
	case <-time.After(20 * time.Second):
		s.kill()
		return errors.New("the child did not end within 20 s of SIGTERM")
	}
	if err := s.proc.Err(); err != nil {
		return fmt.Errorf("the child ended: %w: %s", err, s.Tail())
	}
	return nil
}

func (s *Server) clean() {
	s.Client.CloseIdleConnections()
	os.RemoveAll(s.scratch)
}

// Ended is closed when the child is gone.
func (s *Server) Ended() <-chan struct{} { return s.proc.Ended() }

// Pid returns the child's process id.
func (s *Server) Pid() int { return s.proc.Pid() }

// CPU returns the processor time that the child has used so far.
func (s *Server) CPU() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.Pid()))
	if err != nil {
		return 0, fmt.Errorf("processor time of the child: %w", err)
	}
	// The second field is the name in brackets and may hold anything.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 13 {
		return 0, errors.New("processor time of the child: /proc/PID/stat is short")
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * (time.Second / 100), errors.Join(err1, err2)
}

// freePort returns an address that nobody listens on, with a port below the
// range from which the kernel takes those of clients, so that no client takes
// it while its server is away.
func freePort() (string, error) {
	for range 1000 {
		addr := "127.0.0.1:" + strconv.Itoa(20000+rand.IntN(12000))
		if l, err := net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", errors.New("no free port between 20000 and 32000")
}
