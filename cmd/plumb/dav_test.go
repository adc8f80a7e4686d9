package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"plumb/engines/lab/child"
)

// needs fails in CI, and skips elsewhere, where a client of WebDAV is missing.
func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed: apt-get install %s", program, program)
	}
	t.Skipf("%s is not installed: apt-get install %s", program, program)
}

// davServer starts a server with the files room; stop ends it with the test.
func davServer(t *testing.T) *child.Server {
	t.Helper()
	s, err := child.Start(t.Context(), child.Options{Systems: []string{"files"}, Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("end after SIGTERM: %v", err)
		}
	})
	return s
}

// client runs a client of WebDAV in a home of its own and returns what it says.
func client(t *testing.T, home, stdin string, env []string, program string, args ...string) (string, error) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	c := exec.CommandContext(ctx, program, args...)
	c.Dir, c.Stdin = home, strings.NewReader(stdin)
	c.Env = append([]string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}, env...)
	out, err := c.CombinedOutput()
	return string(out), err
}

// TestLitmus runs the protocol's own test suite, all of it, with no failure and no warning.
func TestLitmus(t *testing.T) {
	needs(t, "litmus")
	s := davServer(t)
	out, err := client(t, t.TempDir(), "", nil, "litmus", "-k", s.URL+"/dav/", "admin", s.Token)
	passed := regexp.MustCompile(`summary for .(\w+)': of \d+ tests run: \d+ passed, 0 failed`).FindAllStringSubmatch(out, -1)
	if err != nil || len(passed) != 5 || strings.Contains(out, "WARNING") || strings.Contains(out, "SKIPPED") {
		t.Errorf("%v; %d of 5 suites passed whole\n%s", err, len(passed), strings.ReplaceAll(out, "\r", "\n"))
	}
}

// tree is what a folder holds: by path the digest of a file, or "folder".
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if m[name] = "folder"; d.IsDir() {
			return nil
		}
		b, err := os.ReadFile(path)
		m[name] = fmt.Sprintf("%x", sha256.Sum256(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func sameTree(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	for path := range want {
		if got[path] != want[path] {
			t.Errorf("%s: %q is %q, want %q", what, path, got[path], want[path])
		}
	}
	for path := range got {
		if _, ok := want[path]; !ok {
			t.Errorf("%s: %q is too many", what, path)
		}
	}
}

// TestRclone copies, checks and syncs a tree with odd names both ways.
func TestRclone(t *testing.T) {
	needs(t, "rclone")
	s := davServer(t)
	home, src := t.TempDir(), t.TempDir()
	secret, err := client(t, home, "", nil, "rclone", "obscure", s.Token)
	if err != nil {
		t.Fatal(err, secret)
	}
	vendor := "other"
	rclone := func(args ...string) string {
		t.Helper()
		env := []string{"RCLONE_WEBDAV_URL=" + s.URL + "/dav/", "RCLONE_WEBDAV_USER=admin", "RCLONE_WEBDAV_PASS=" + strings.TrimSpace(secret), "RCLONE_WEBDAV_VENDOR=" + vendor}
		out, err := client(t, home, "", env, "rclone", append(args, "--config=/dev/null", "--retries=1", "-v")...)
		if err != nil {
			t.Errorf("rclone %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}
	big := make([]byte, 5<<20)
	for i := range big {
		big[i] = byte(i * i >> 7)
	}
	put := func(path, text string) {
		t.Helper()
		path = filepath.Join(src, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, text)
	}
	put("big.bin", string(big))
	put("a/empty", "")
	put("a/b/c/d/deep.txt", "deep")
	put("ünï/日本語 файл.txt", "names")
	put("odd/a b+c&d=e'f(g)#h?i%20j;k,l@m!.txt", "odd")
	for i := range 20 { // in one folder; rclone waits 10 ms before each request
		put(fmt.Sprintf("many/%03d.txt", i), fmt.Sprint(i))
	}
	rclone("copy", src, ":webdav:up")
	rclone("check", "--download", src, ":webdav:up")
	back := filepath.Join(t.TempDir(), "back")
	rclone("copy", ":webdav:up", back)
	sameTree(t, "copied back", tree(t, back), tree(t, src))

	// Changed here, and synced there; changed there, and synced here.
	put("a/b/c/d/deep.txt", "deeper")
	put("new.txt", "new")
	for _, gone := range []string{"many", "a/empty"} {
		if err := os.RemoveAll(filepath.Join(src, gone)); err != nil {
			t.Fatal(err)
		}
	}
	rclone("sync", "--create-empty-src-dirs", src, ":webdav:up")
	rclone("moveto", ":webdav:up/new.txt", ":webdav:up/ünï/moved & renamed.txt")
	rclone("copyto", ":webdav:up/big.bin", ":webdav:up/copy.bin")
	rclone("deletefile", ":webdav:up/big.bin")
	rclone("sync", "--create-empty-src-dirs", ":webdav:up", src)
	after := tree(t, src)
	if len(after) != 12 || after["copy.bin"] != fmt.Sprintf("%x", sha256.Sum256(big)) || after["ünï/moved & renamed.txt"] == "" || after["big.bin"] != "" || after["many"] != "" {
		t.Errorf("%v", after)
	}
	if out := rclone("about", ":webdav:"); !strings.Contains(out, "Used:") {
		t.Errorf("the quota is not told: %s", out)
	}
	// With times: as ownCloud's clients send them, so that a second run has nothing to do.
	vendor = "owncloud"
	rclone("copy", src, ":webdav:timed")
	if out := rclone("copy", src, ":webdav:timed"); strings.Contains(out, "Copied") {
		t.Errorf("what is the same was sent again: %s", out)
	}
	rclone("purge", ":webdav:up")
}

// TestMount works in the tree as in a folder of this machine.
func TestMount(t *testing.T) {
	needs(t, "rclone")
	if _, err := os.Stat("/dev/fuse"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no FUSE here: ", err)
	}
	s := davServer(t)
	home, at := t.TempDir(), t.TempDir()
	secret, err := client(t, home, "", nil, "rclone", "obscure", s.Token)
	if err != nil {
		t.Fatal(err, secret)
	}
	var said strings.Builder
	c := exec.Command("rclone", "mount", ":webdav:", at, "--config=/dev/null", "--vfs-cache-mode=writes", "--vfs-write-back=0s", "--dir-cache-time=100ms")
	c.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "RCLONE_WEBDAV_URL=" + s.URL + "/dav/", "RCLONE_WEBDAV_USER=admin", "RCLONE_WEBDAV_PASS=" + strings.TrimSpace(secret), "RCLONE_WEBDAV_VENDOR=other"}
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		c.Process.Signal(syscall.SIGTERM) // it takes the mount away
		c.Wait()                          // and tells the signal
		if t.Failed() {
			t.Log(said.String())
		}
	}()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	device := func(path string) uint64 {
		var st syscall.Stat_t
		syscall.Stat(path, &st)
		return st.Dev
	}
	outside := device(home)
	await(t, "the mount", func() bool { return device(at) != outside })
	in := func(name string) string { return filepath.Join(at, name) }
	// What the server has; rclone writes and removes a moment later than it says.
	there := func(path, want string) func() bool {
		return func() bool {
			r, err := http.NewRequest("GET", s.URL+"/dav/"+path, nil)
			must(err)
			r.SetBasicAuth("admin", s.Token)
			resp, err := http.DefaultClient.Do(r)
			must(err)
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			return err == nil && (resp.StatusCode == http.StatusOK && string(b) == want || resp.StatusCode == http.StatusNotFound && want == "gone")
		}
	}
	must(os.Mkdir(in("d"), 0o755))
	write(t, in("d/a.txt"), "one\n")
	f, err := os.OpenFile(in("d/a.txt"), os.O_APPEND|os.O_WRONLY, 0)
	must(err)
	_, err = f.WriteString("two\n")
	must(err)
	must(f.Close())
	write(t, in("d/b.txt"), "three")
	await(t, "what was written", there("d/a.txt", "one\ntwo\n"))
	await(t, "what was written", there("d/b.txt", "three"))
	must(os.Remove(in("d/b.txt")))
	await(t, "what was removed", there("d/b.txt", "gone"))
	must(os.Rename(in("d"), in("ë")))
	await(t, "what was renamed", there("%C3%AB/a.txt", "one\ntwo\n"))
	await(t, "the folder", func() bool {
		list, err := os.ReadDir(in("ë"))
		return err == nil && len(list) == 1 && list[0].Name() == "a.txt"
	})
}

// TestCadaver works with a client that knows locks and properties, and holds a lock over
// a crash of the server.
func TestCadaver(t *testing.T) {
	needs(t, "cadaver")
	dir := t.TempDir()
	start := func() *child.Server {
		s, err := child.Start(t.Context(), child.Options{Systems: []string{"files"}, Data: dir})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := start()
	home := t.TempDir()
	write(t, filepath.Join(home, "local.txt"), "from here")
	cadaver := func(lines ...string) string {
		t.Helper()
		// It reads passwords from here only, by the host's name.
		write(t, filepath.Join(home, ".netrc"), "machine 127.0.0.1 login admin password "+s.Token+"\n")
		out, err := client(t, home, strings.Join(append(lines, "quit"), "\n")+"\n", nil, "cadaver", s.URL+"/dav/")
		if err != nil || strings.Contains(out, "failed") {
			t.Errorf("%q: %v\n%s", lines, err, out)
		}
		return out
	}
	out := cadaver("mkcol d", "put local.txt d/a.txt", "ls d", "propset d/a.txt colour red", "propget d/a.txt colour", "copy d e", "move d/a.txt d/b.txt",
		"propget e/a.txt colour", "lock d/b.txt", "put local.txt d/b.txt", "discover d/b.txt", "get d/b.txt got.txt", "steal d/b.txt", "unlock d/b.txt", "delete e/a.txt", "rmcol e", "ls")
	if got, err := os.ReadFile(filepath.Join(home, "got.txt")); err != nil || string(got) != "from here" {
		t.Errorf("%q, %v", got, err)
	}
	if !regexp.MustCompile(`(?s)colour.*red.*colour.*red`).MatchString(out) || !strings.Contains(out, "exclusive") || !strings.Contains(out, "Coll:") {
		t.Error(out)
	}

	// A lock that was acknowledged holds, whatever happens to the process.
	ask := func(method, path, body string, headers ...string) (int, string) {
		t.Helper()
		r, err := http.NewRequest(method, s.URL+"/dav/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("admin", s.Token)
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("Lock-Token")
	}
	status, token := ask("LOCK", "d/b.txt", `<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>`)
	if status != 200 || token == "" {
		t.Fatal(status, token)
	}
	s.Kill9()
	s = start()
	defer s.Stop()
	if status, _ := ask("PUT", "d/b.txt", "no"); status != 423 {
		t.Errorf("after a crash of the server the lock is lost: %d", status)
	}
	if status, _ := ask("PUT", "d/b.txt", "yes", "If", "("+token+")"); status != 204 {
		t.Errorf("after a crash of the server the lock's holder is refused: %d", status)
	}
	if status, _ := ask("UNLOCK", "d/b.txt", "", "Lock-Token", token); status != 204 {
		t.Errorf("%d", status)
	}
}
