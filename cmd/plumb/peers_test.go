package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"plumb/engines/lab/child"
)

// BenchmarkPeers runs the files room beside the programs that people use for the same
// (`make peers`; restic and nginx must be installed). What is compared is processor
// time, user and system, which other work on the machine changes least; the ratios are
// of plumb's over the peer's, so that below 1 plumb needs less.
func BenchmarkPeers(b *testing.B) {
	b.Run("ingest", peerIngest)
	for _, n := range []int{64 << 10, 5 << 20} {
		for _, plain := range []bool{false, true} {
			b.Run(fmt.Sprintf("serve/%dKiB/plain=%v", n>>10, plain), func(b *testing.B) { peerServe(b, n, plain) })
		}
	}
}

// peerIngest stores a mixed tree of random files, half of them duplicates, with both.
func peerIngest(b *testing.B) {
	need(b, "restic")
	dir, total := b.TempDir(), 0
	most := 384 << 20 // unique bytes; PLUMB_PEER_MB for others
	if mb, err := strconv.Atoi(os.Getenv("PLUMB_PEER_MB")); err == nil {
		most = mb << 20
	}
	r := rand.New(rand.NewPCG(4, 4))
	for i := 0; total < most; i++ {
		body := noise(uint64(i), 1+min(int(math.Exp(11.5+2*r.NormFloat64())), 60<<20)) // many small, few large, as on people's disks
		for _, half := range []string{"a", "b"} {
			if err := os.MkdirAll(filepath.Join(dir, "tree", half), 0o700); err != nil {
				b.Fatal(err)
			}
			write(b, filepath.Join(dir, "tree", half, fmt.Sprint(i)), string(body))
		}
		total += len(body)
	}
	tree := filepath.Join(dir, "tree")
	for i := range b.N {
		data, repo := filepath.Join(dir, fmt.Sprint("data", i)), filepath.Join(dir, fmt.Sprint("repo", i))
		s, err := child.Start(b.Context(), child.Options{Systems: []string{"files"}, Data: data}) // makes the folder
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Stop(); err != nil {
			b.Fatal(err)
		}
		program, err := child.Program()
		if err != nil {
			b.Fatal(err)
		}
		ours := cost(b, nil, program, "files", "put", "--data", data, tree)
		env := []string{"RESTIC_PASSWORD=x"}
		cost(b, env, "restic", "init", "-q", "-r", repo)
		theirs := cost(b, env, "restic", "backup", "-q", "-r", repo, tree)
		b.ReportMetric(ours.cpu.Seconds(), "plumb-cpu-s")
		b.ReportMetric(theirs.cpu.Seconds(), "restic-cpu-s")
		b.ReportMetric(ours.cpu.Seconds()/theirs.cpu.Seconds(), "cpu-ratio")
		b.ReportMetric(ours.memory, "plumb-MiB")
		b.ReportMetric(theirs.memory, "restic-MiB")
		b.ReportMetric(100*float64(under(b, filepath.Join(data, "blobs"))+under(b, filepath.Join(data, "plumb.db")))/float64(total), "stored-%-of-unique")
	}
}

type used struct {
	cpu    time.Duration
	memory float64 // MiB at most
}

// cost runs a program to its end and says what it used.
func cost(b *testing.B, env []string, name string, args ...string) used {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), name, args...)
	cmd.Env = append(os.Environ(), env...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	// The kernel's own account of a child (ru_maxrss) begins with what this process has.
	most, ended := 0.0, make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			if err != nil {
				b.Fatalf("%s: %v: %s", name, err, said.String())
			}
			return used{cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), most}
		case <-time.After(20 * time.Millisecond):
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		if _, rest, found := strings.Cut(string(status), "VmHWM:"); err == nil && found {
			var kib float64
			if _, err := fmt.Sscan(rest, &kib); err == nil {
				most = max(most, kib/1024)
			}
		}
	}
}

// under is how many bytes the files below a path take.
func under(b *testing.B, path string) (n int64) {
	b.Helper()
	err := filepath.Walk(path, func(_ string, i os.FileInfo, err error) error {
		if err == nil && i.Mode().IsRegular() {
			n += i.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// peerServe reads ranges of n bytes of a file over kept connections, from both.
func peerServe(b *testing.B, n int, plain bool) {
	need(b, "nginx")
	body := noise(5, 5<<20)
	s, err := child.Start(b.Context(), child.Options{Systems: []string{"files"}, Data: b.TempDir(), Env: []string{"PLUMB_CAS_PLAIN=" + strconv.FormatBool(plain)}})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Kill9()
	u := &uploader{client: http.DefaultClient, token: s.Token}
	u.url.Store(s.URL)
	if status, err := u.send(b.Context(), "f", body, false); err != nil || status != http.StatusCreated {
		b.Fatal(status, err)
	}
	peer, pid := startNginx(b, body)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	buf := make([]byte, 256<<10)
	fetch := func(url string, times int) {
		for i := range times {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
			if err != nil {
				b.Fatal(err)
			}
			off := (i * 7919 * 4096) % (len(body) - n + 1)
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+n-1))
			req.Header.Set("Authorization", "Bearer "+s.Token)
			res, err := client.Do(req)
			if err != nil {
				b.Fatal(err)
			}
			if got, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, res.Body, buf); err != nil || got != int64(n) || res.StatusCode != http.StatusPartialContent {
				b.Fatal(res.Status, got, err)
			}
			res.Body.Close()
		}
	}
	times := 256 << 20 / n * min(8, 1+n>>20) / 2
	run := func(url string, pid int) float64 {
		fetch(url, times/8) // warm
		before := processor(b, pid)
		fetch(url, times)
		return (processor(b, pid) - before).Seconds() / float64(times) * 1e6
	}
	for range b.N {
		ours, theirs := run(s.URL+"/api/v1/files/content/f", s.Pid()), run(peer, pid)
		b.ReportMetric(ours, "plumb-cpu-us")
		b.ReportMetric(theirs, "nginx-cpu-us")
		b.ReportMetric(theirs/ours, "throughput-ratio") // per processor second, plumb's of nginx'
	}
}

// startNginx serves body at the URL that it returns, by the one process pid.
func startNginx(b *testing.B, body []byte) (url string, pid int) {
	b.Helper()
	dir := b.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	write(b, filepath.Join(dir, "f"), string(body))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	conf := filepath.Join(dir, "nginx.conf")
	write(b, conf, fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events {}
http { access_log off; sendfile on; keepalive_requests 1000000; open_file_cache max=10; client_body_temp_path %[1]s/t1; proxy_temp_path %[1]s/t2; fastcgi_temp_path %[1]s/t3; uwsgi_temp_path %[1]s/t4; scgi_temp_path %[1]s/t5;
server { listen 127.0.0.1:%[2]d; root %[1]s; } }`, dir, port))
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "nginx", "-p", dir, "-c", conf)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { stop(); _ = cmd.Wait() })
	url = fmt.Sprintf("http://127.0.0.1:%d/f", port)
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		res, err := http.Get(url)
		if err == nil {
			res.Body.Close()
			return url, cmd.Process.Pid
		}
		if time.Now().After(until) {
			b.Fatalf("nginx does not answer: %v: %s", err, said.String())
		}
	}
}

// processor is what a process has used, of all its threads.
func processor(b *testing.B, pid int) (d time.Duration) {
	b.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		b.Fatalf("process %d: %v", pid, err)
	}
	for _, t := range tasks {
		text, err := os.ReadFile(t)
		if err != nil {
			continue // a thread that has just ended
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		d += time.Duration(ns)
	}
	return d
}

// need ends the benchmark where the peer is not installed.
func need(b *testing.B, program string) {
	b.Helper()
	if _, err := exec.LookPath(program); err != nil {
		b.Fatalf("%s is not installed (its package has the same name)", program)
	}
}
