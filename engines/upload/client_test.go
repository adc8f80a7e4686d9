package upload

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// driver returns the folder of testdata/js with its dependency installed, as its lock
// file pins it. Without Node the test is skipped on a laptop and fails where CI is set.
func driver(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/js")); err != nil {
		t.Fatal(err)
	}
	install := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "" {
			t.Skipf("no tus-js-client: %v\n%s", err, out)
		}
		t.Fatalf("no tus-js-client (Node and npm are needed: scripts/need): %v\n%s", err, out)
	}
	return dir
}

// wire is a bad line before a server: it counts what clients send, and cuts connections.
type wire struct {
	ln     net.Listener
	mu     sync.Mutex
	target string
	sent   int64            // bytes from clients, headers and all
	every  int64            // cuts a connection after so many bytes from the client; 0: never
	cuts   int              // how often it still may
	mute   func(int64) bool // of sent: a connection whose answer is not let through
}

func newWire(t *testing.T, target string) *wire {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{ln: ln, target: target}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go w.carry(c)
		}
	}()
	return w
}

func (w *wire) endpoint() string { return "http://" + w.ln.Addr().String() + prefix }

func (w *wire) to(target string) {
	w.mu.Lock()
	w.target = target
	w.mu.Unlock()
}

// carry copies both ways. A cut ends the client's side at once, while the server gets
// to its end what was carried before.
func (w *wire) carry(c net.Conn) {
	defer c.Close()
	w.mu.Lock()
	target := w.target
	w.mu.Unlock()
	s, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer s.Close()
	go func() {
		buf := make([]byte, 16<<10)
		for {
			n, err := s.Read(buf)
			if err != nil {
				break
			}
			if w.muted() {
				break
			}
			c.Write(buf[:n])
		}
		c.Close()
	}()
	buf := make([]byte, 16<<10)
	here := int64(0)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		s.Write(buf[:n])
		if here += int64(n); w.cut(int64(n), here) {
			return
		}
	}
}

func (w *wire) cut(n, here int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent += n
	if w.every == 0 || here < w.every || w.cuts == 0 {
		return false
	}
	w.cuts--
	return true
}

func (w *wire) muted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mute != nil && w.mute(w.sent) {
		w.mute = nil
		return true
	}
	return false
}

// told is what the driver prints.
type told struct {
	URL        string   `json:"url"`
	Requests   []string `json:"requests"`
	OK         bool     `json:"ok"`
	Died       bool     `json:"died"`
	Terminated bool     `json:"terminated"`
	Error      string   `json:"error"`
}

// TestClient runs the reference client over lines of all kinds. Every byte of a file
// goes over the line once, whatever happens: resuming sends none twice.
func TestClient(t *testing.T) {
	t.Parallel()
	dir := driver(t)
	p := newPlace(t, sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{}), clock.System{})
	p.o.Stall, p.o.Patience, p.o.Lease = time.Second, 20*time.Second, 5*time.Second
	h := p.open()
	content := random(5<<20 + 12_345)
	file := filepath.Join(dir, "content.bin")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, w *wire, scenario map[string]any) told {
		t.Helper()
		full := map[string]any{"file": file, "endpoint": w.endpoint(), "input": "file"}
		maps.Copy(full, scenario)
		in, _ := json.Marshal(full)
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
		defer stop()
		cmd := exec.CommandContext(ctx, "node", "drive.mjs")
		var out, errOut bytes.Buffer
		cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, bytes.NewReader(in), &out, &errOut
		err := cmd.Run()
		var got told
		if json.Unmarshal(out.Bytes(), &got) != nil {
			t.Fatalf("the client: %v\n%s%s", err, out.String(), errOut.String())
		}
		return got
	}
	// sentOnce: the rest is headers, a few hundred bytes a request.
	sentOnce := func(t *testing.T, w *wire, got told) {
		t.Helper()
		w.mu.Lock()
		defer w.mu.Unlock()
		over := w.sent - int64(len(content))
		if over < 0 || over > int64(1000*(len(got.Requests)+8))+int64(len(content)/500) {
			t.Errorf("%d bytes were sent for %d, in %v", w.sent, len(content), got.Requests)
		}
		t.Logf("%d bytes more than the file in %d answered requests", over, len(got.Requests))
	}
	ok := func(t *testing.T, got told) {
		t.Helper()
		if !got.OK {
			t.Fatalf("%+v", got)
		}
		h.whole(got.URL, content)
	}
	for name, scenario := range map[string]map[string]any{
		"in one request":     {},
		"with the creation":  {"options": hj{"uploadDataDuringCreation": true, "chunkSize": 2 << 20}},
		"in chunks":          {"options": hj{"chunkSize": 700_000}},
		"by POST only":       {"options": hj{"chunkSize": 2 << 20, "overridePatchMethod": true}},
		"of unknown length":  {"input": "stream", "options": hj{"chunkSize": 1 << 20, "uploadLengthDeferred": true}},
		"in parallel":        {"options": hj{"parallelUploads": 3}},
		"parallel in chunks": {"options": hj{"parallelUploads": 3, "chunkSize": 500_000}},
		"with a checksum":    {"input": "buffer", "headers": hj{"Upload-Checksum": "sha256 " + sums(content)["sha256"]}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, h.srv.Listener.Addr().String())
			got := run(t, w, scenario)
			ok(t, got)
			sentOnce(t, w, got)
			for _, r := range got.Requests {
				if !strings.HasSuffix(r, " 201") && !strings.HasSuffix(r, " 204") {
					t.Errorf("on a good line: %v", got.Requests)
				}
			}
		})
	}
	for name, c := range map[string]struct {
		every int64
		cuts  int
		o     hj
	}{
		"cut often":           {700_000, 6, hj{}},
		"cut in chunks":       {333_333, 11, hj{"chunkSize": 1 << 20}},
		"parallel and cut":    {500_000, 9, hj{"parallelUploads": 3}},
		"the creation is cut": {400_000, 3, hj{"parallelUploads": 3, "chunkSize": 1 << 20}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, h.srv.Listener.Addr().String())
			w.every, w.cuts = c.every, c.cuts
			got := run(t, w, map[string]any{"options": c.o})
			ok(t, got)
			sentOnce(t, w, got)
			if w.cuts != 0 {
				t.Errorf("%d cuts did not happen", w.cuts)
			}
		})
	}
	t.Run("the last answer is lost", func(t *testing.T) {
		w := newWire(t, h.srv.Listener.Addr().String())
		w.mute = func(sent int64) bool { return sent > int64(len(content)) }
		before := p.count(`SELECT count(*) FROM room_files`)
		got := run(t, w, map[string]any{})
		ok(t, got)
		sentOnce(t, w, got)
		if n := p.count(`SELECT count(*) FROM room_files`) - before; n != 1 {
			t.Errorf("%d files", n)
		}
	})
	t.Run("the answer to the concatenation is lost", func(t *testing.T) {
		w := newWire(t, h.srv.Listener.Addr().String())
		before := p.count(`SELECT count(*) FROM room_files`)
		w.mute = func(int64) bool { return p.count(`SELECT count(*) FROM room_files`) > before }
		// This client does not repeat that by itself: its user presses the button again.
		storage := filepath.Join(dir, "lost")
		got := run(t, w, map[string]any{"storage": storage, "options": hj{"parallelUploads": 3}})
		if got.Error == "" {
			t.Fatalf("%+v", got)
		}
		got = run(t, w, map[string]any{"storage": storage, "resume": true, "options": hj{"parallelUploads": 3}})
		ok(t, got)
		sentOnce(t, w, got)
		if n := p.count(`SELECT count(*) FROM room_files`) - before; n != 1 {
			t.Errorf("%d files", n)
		}
	})
	t.Run("another process goes on", func(t *testing.T) {
		w := newWire(t, h.srv.Listener.Addr().String())
		storage := filepath.Join(dir, "urls")
		got := run(t, w, map[string]any{"storage": storage, "dieAt": 2_000_000, "options": hj{"chunkSize": 500_000}})
		if !got.Died {
			t.Fatalf("%+v", got)
		}
		h2 := p.open() // the server is another one too
		w.to(h2.srv.Listener.Addr().String())
		got = run(t, w, map[string]any{"storage": storage, "resume": true})
		ok(t, got)
		sentOnce(t, w, got)
	})
	t.Run("given up", func(t *testing.T) {
		w := newWire(t, h.srv.Listener.Addr().String())
		got := run(t, w, map[string]any{"terminateAt": 1_000_000, "options": hj{"chunkSize": 500_000}})
		if !got.Terminated {
			t.Fatalf("%+v", got)
		}
		h.want(410, "HEAD", prefix+idIn(got.URL), nil, nil)
	})
	if err := h.e.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.clean()
}

type hj = map[string]any
