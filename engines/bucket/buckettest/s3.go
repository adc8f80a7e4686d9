package buckettest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	s3Access = "plumb"
	s3Secret = "plumb-test-secret"
)

// S3 starts a versitygw server (its posix backend) for the time of the test
// and returns the URL of an empty bucket on it, fit for bucket.Open. Where the
// server cannot be had, the test is skipped, or fails where CI is set.
func S3(t testing.TB) string { return StartS3(t).URL }

// Server is an S3 server under test.
type Server struct {
	URL string // of its bucket

	t      testing.TB
	binary string
	dir    string
	addr   string
	run    *exec.Cmd
}

// StartS3 is S3 for tests that stop and start the server.
func StartS3(t testing.TB) *Server {
	t.Helper()
	binary, err := versitygw(t.Context())
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("no S3 server: %v", err)
	}
	if err != nil {
		t.Fatalf("no S3 server: %v", err)
	}
	s := &Server{t: t, binary: binary, dir: t.TempDir(), addr: freeAddr(t)}
	secret := filepath.Join(s.dir, "secret")
	for _, err := range []error{
		os.Mkdir(filepath.Join(s.dir, "data"), 0o700),
		os.Mkdir(filepath.Join(s.dir, "meta"), 0o700),
		os.WriteFile(secret, []byte(s3Secret+"\n"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.Start()
	t.Cleanup(s.Stop)
	client, err := minio.New(s.addr, &minio.Options{Creds: credentials.NewStaticV4(s3Access, s3Secret, ""), Region: "us-east-1"})
	if err == nil {
		err = client.MakeBucket(t.Context(), "plumb", minio.MakeBucketOptions{})
	}
	if err != nil {
		t.Fatalf("make the bucket: %v", err)
	}
	s.URL = fmt.Sprintf("s3://%s@%s/plumb?tls=0&secret_file=%s", s3Access, s.addr, secret)
	return s
}

// Start starts the server and waits until it answers.
func (s *Server) Start() {
	s.t.Helper()
	// The side car keeps metadata in files: not every /tmp has extended attributes.
	s.run = exec.Command(s.binary, "--port", s.addr, "--health", "/health", "--quiet",
		"posix", "--sidecar", filepath.Join(s.dir, "meta"), filepath.Join(s.dir, "data"))
	s.run.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s3Access, "ROOT_SECRET_KEY="+s3Secret)
	s.run.SysProcAttr = dieWithParent()
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.run.Stdout, s.run.Stderr = log, log
	if err := s.run.Start(); err != nil {
		s.t.Fatalf("start versitygw: %v", err)
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if r, err := http.Get("http://" + s.addr + "/health"); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return
			}
		}
	}
	said, _ := os.ReadFile(log.Name())
	s.Stop()
	s.t.Fatalf("versitygw does not answer on %s: %s", s.addr, said)
}

// Stop kills the server; its data stays for the next Start.
func (s *Server) Stop() {
	if s.run != nil {
		s.run.Process.Kill()
		s.run.Wait()
		s.run = nil
	}
}

// freeAddr returns an address of this machine on which nobody listens now.
func freeAddr(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// versitygw finds the server in bin/tools or PATH, or builds it once from
// tools/go.mod, which takes a minute or two.
func versitygw(ctx context.Context) (string, error) {
	tools, err := toolsFolder()
	if err != nil {
		return "", err
	}
	if built := filepath.Join(tools, "..", "bin", "tools", "versitygw"); isFile(built) {
		return built, nil
	}
	if found, err := exec.LookPath("versitygw"); err == nil {
		return found, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	pinned, err := os.ReadFile(filepath.Join(tools, "go.mod"))
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "plumb-tools", fmt.Sprintf("%x", sha256.Sum256(pinned))[:12])
	binary := filepath.Join(dir, "versitygw")
	if isFile(binary) {
		return binary, nil
	}
	// Packages are tested side by side: build apart, then rename.
	fresh := fmt.Sprintf("%s.%d", binary, os.Getpid())
	build := exec.CommandContext(ctx, "go", "build", "-o", fresh, "github.com/versity/versitygw/cmd/versitygw")
	build.Dir = tools
	if said, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build versitygw from tools/go.mod: %w: %s", err, said)
	}
	return binary, os.Rename(fresh, binary)
}

// toolsFolder finds tools/ in the project that the test runs in.
func toolsFolder() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if isFile(filepath.Join(dir, "tools", "go.mod")) {
			return filepath.Join(dir, "tools"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("tools/go.mod is in no folder above the test")
		}
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
