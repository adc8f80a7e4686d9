package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"plumb/engines/lab/child"
	"plumb/engines/lab/powercut"
)

// uploader stores and removes files as fast as it is answered, and remembers what was
// acknowledged.
type uploader struct {
	client *http.Client
	token  string
	url    atomic.Value // of the server, which moves

	mu     sync.Mutex
	stored map[string][sha256.Size]byte // by path; a removed one is not there
	n      atomic.Int64
}

// run uploads until ctx ends: fresh contents, contents that others have, new versions.
func (u *uploader) run(ctx context.Context, worker int, shared [][]byte) {
	r := rand.New(rand.NewPCG(uint64(worker), 4))
	for i := 0; ctx.Err() == nil; i++ {
		body := shared[r.IntN(len(shared))]
		if r.IntN(3) > 0 {
			body = make([]byte, 1<<r.IntN(20)) // up to 512 KiB
			for k := range body {
				body[k] = byte(r.Uint32())
			}
		}
		path := fmt.Sprintf("w%d/%d", worker, r.IntN(60))
		remove := r.IntN(5) == 0
		// What is under way when the server dies may be done or not: its path says nothing.
		u.mu.Lock()
		delete(u.stored, path)
		u.mu.Unlock()
		status, err := u.send(ctx, path, body, remove)
		switch {
		case err != nil:
			time.Sleep(20 * time.Millisecond)
		case remove:
		case status == http.StatusOK || status == http.StatusCreated:
			u.mu.Lock()
			u.stored[path] = sha256.Sum256(body)
			u.mu.Unlock()
			u.n.Add(1)
		}
	}
}

func (u *uploader) send(ctx context.Context, path string, body []byte, remove bool) (int, error) {
	method := http.MethodPut
	var r io.Reader = struct{ io.Reader }{bytes.NewReader(body)} // of unknown length
	if remove {
		method, r = http.MethodDelete, http.NoBody
	}
	req, err := http.NewRequestWithContext(ctx, method, u.url.Load().(string)+"/api/v1/files/content/"+path, r)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+u.token)
	res, err := u.client.Do(req)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	return res.StatusCode, err
}

// judge reads every acknowledged file back.
func (u *uploader) judge(t *testing.T) {
	t.Helper()
	lost := 0
	for path, want := range u.stored {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.url.Load().(string)+"/api/v1/files/content/"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+u.token)
		res, err := u.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		_, err = io.Copy(h, res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || [sha256.Size]byte(h.Sum(nil)) != want {
			lost++
			t.Errorf("%s: status %d, %v", path, res.StatusCode, err)
		}
	}
	t.Logf("%d uploads acknowledged, %d files read back, %d lost", u.n.Load(), len(u.stored), lost)
}

// TestFilesCrashKill9 kills the server again and again while files are stored, replaced
// and removed: every acknowledged file reads back, every count is exact, and after a
// collection nothing lies in the bucket that nothing names.
func TestFilesCrashKill9(t *testing.T) {
	kills, every := 4, 1200*time.Millisecond
	if soak() {
		kills, every = 60, 3*time.Second
	}
	dir := t.TempDir()
	const token = "crash-test-admin-token"
	start := func() *child.Server {
		t.Helper()
		s, err := child.Start(t.Context(), child.Options{Systems: []string{"files"}, Data: dir, Env: []string{"PLUMB_ADMIN_TOKEN=" + token, "PLUMB_FILES_COLLECT=1m"}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := start()
	u := &uploader{client: &http.Client{Timeout: 10 * time.Second}, token: token, stored: map[string][sha256.Size]byte{}}
	u.url.Store(s.URL)
	shared := make([][]byte, 5)
	for i := range shared {
		shared[i] = bytes.Repeat([]byte(fmt.Sprint("shared ", i, " ")), 1<<(4*i))
	}
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for w := range 6 {
		all.Go(func() { u.run(ctx, w, shared) })
	}
	for range kills {
		time.Sleep(every)
		s.Kill9()
		s = start()
		u.url.Store(s.URL)
	}
	time.Sleep(every)
	stop()
	all.Wait()
	u.judge(t)
	if err := s.Stop(); err != nil {
		t.Errorf("end after SIGTERM: %v", err)
	}
	if u.n.Load() < 20 {
		t.Errorf("only %d uploads were acknowledged", u.n.Load())
	}
	offline := func(verb string, out any) {
		t.Helper()
		code, text, said := plumb(t, "files", verb, "--data", dir, "--json")
		if code != good {
			t.Errorf("plumb files %s: exit %d: %s%s", verb, code, text, said)
		} else if err := json.Unmarshal([]byte(text), out); err != nil {
			t.Errorf("plumb files %s: %v: %s", verb, err, text)
		}
	}
	var none map[string]any
	var scrub struct{ Chunks, Bad, Orphans int64 }
	var stats struct {
		Packs   int64
		Waiting int64 `json:"waiting_bytes"`
	}
	offline("check", &none)
	offline("collect", &none)
	offline("check", &none)
	offline("scrub", &scrub)
	offline("stats", &stats)
	objects := int64(0)
	if err := filepath.WalkDir(filepath.Join(dir, "blobs", "cas"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			objects++
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	if scrub.Bad != 0 || scrub.Chunks == 0 || objects != stats.Packs {
		t.Errorf("scrub: %+v; %d objects, %d packs, %d bytes wait", scrub, objects, stats.Packs, stats.Waiting)
	}
}

// TestFilesDiskFull fills the disk while files are stored: they are refused with 507 and
// a problem document, nothing half stored is seen, and service goes on when there is room.
func TestFilesDiskFull(t *testing.T) {
	backing, mount := t.TempDir(), t.TempDir()
	disk, err := powercut.Open(backing, mount, powercut.Options{})
	if err != nil {
		if os.Getenv("CI") == "" && errors.Is(err, fs.ErrNotExist) {
			t.Skip("no FUSE here: ", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(mount, syscall.MNT_DETACH) })
	const token = "crash-test-admin-token"
	s, err := child.Start(t.Context(), child.Options{Systems: []string{"files"}, Data: mount, Env: []string{"PLUMB_ADMIN_TOKEN=" + token}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill9)
	u := &uploader{client: &http.Client{Timeout: 20 * time.Second}, token: token, stored: map[string][sha256.Size]byte{}}
	u.url.Store(s.URL)
	bodies := map[string][]byte{"small": bytes.Repeat([]byte("small "), 100), "large": make([]byte, 3<<20)}
	for i := range bodies["large"] {
		bodies["large"][i] = byte(rand.Uint32())
	}
	put := func(path, kind string) int {
		t.Helper()
		status, err := u.send(t.Context(), path, bodies[kind], false)
		if err != nil {
			t.Fatal(err)
		}
		if status == http.StatusCreated {
			u.stored[path] = sha256.Sum256(bodies[kind])
		}
		return status
	}
	if got := put("before/small", "small") + put("before/large", "large"); got != 2*http.StatusCreated {
		t.Fatalf("before: %d", got)
	}
	disk.SetRoom(0)
	for _, kind := range []string{"small", "large"} {
		if got := put("full/"+kind, kind); got != http.StatusInsufficientStorage {
			t.Errorf("%s on a full disk: status %d", kind, got)
		}
	}
	disk.SetRoom(-1)
	for _, kind := range []string{"small", "large"} {
		await(t, "room again", func() bool { return put("after/"+kind, kind) == http.StatusCreated })
	}
	u.judge(t)
	if err := s.Stop(); err != nil {
		t.Errorf("end after SIGTERM: %v", err)
	}
	if err := disk.Close(); err != nil {
		t.Fatal(err)
	}
	code, out, said := plumb(t, "files", "ls", "--data", backing)
	if code != good || strings.Contains(out, "full") {
		t.Errorf("exit %d: %s%s", code, out, said)
	}
	for _, verb := range []string{"collect", "check", "scrub"} {
		if code, out, said := plumb(t, "files", verb, "--data", backing); code != good {
			t.Errorf("plumb files %s: exit %d: %s%s", verb, code, out, said)
		}
	}
}
