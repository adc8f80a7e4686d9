package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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

// uploads has a keeper upload, and remove now and then, until ctx ends. What is under way
// when the server dies may be done or not.
func (k *keeper) uploads(ctx context.Context, at *atomic.Value, worker int) {
	r := rand.New(rand.NewPCG(uint64(worker), 9))
	for i := 0; ctx.Err() == nil; i++ {
		url := at.Load().(string)
		extra := 1 << (10 + r.IntN(8))
		if i%100 == 10 {
			extra = 4<<20 + r.IntN(1<<20) // more than waits in memory
		}
		var err error
		if p, ok := k.some(r); ok && r.IntN(5) == 0 {
			err = k.remove(ctx, url, p.id)
		} else {
			_, err = k.put(ctx, url, photo(uint64(worker)<<32+uint64(i), extra))
		}
		if err != nil {
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// remove puts a photo into the bin. It is expected to be there no longer from here on, and
// to be gone once that is acknowledged.
func (k *keeper) remove(ctx context.Context, at, id string) error {
	k.mu.Lock()
	for i, p := range k.kept {
		if p.id == id {
			k.kept = append(k.kept[:i], k.kept[i+1:]...)
			break
		}
	}
	k.mu.Unlock()
	err := k.ask(ctx, "DELETE", at+photosAPI+"/"+id, nil, nil)
	if err == nil {
		k.mu.Lock()
		k.gone = append(k.gone, id)
		k.mu.Unlock()
	}
	return err
}

const photosToken = "crash-test-admin-token"

func startPhotos(t *testing.T, data string, env ...string) *child.Server {
	t.Helper()
	s, err := child.Start(t.Context(), child.Options{Systems: []string{"photos"}, Data: data, Env: append(env, "PLUMB_ADMIN_TOKEN="+photosToken)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill9)
	return s
}

// TestPhotosCrashKill9 kills the server again and again while people upload, and then while
// they are moved to a new shard as well: everything that was acknowledged is there after,
// the migration ends, everybody is on one shard, and every photo gets its sizes.
func TestPhotosCrashKill9(t *testing.T) {
	kills, every := 2, time.Second
	if soak() {
		kills, every = 30, 3*time.Second
	}
	dir := t.TempDir()
	people := newKeepers(t, "sqlite:"+filepath.Join(dir, "plumb.db"), 10)
	env := []string{"PLUMB_PHOTOS_THROTTLE=2000000", "PLUMB_PHOTOS_GRACE=0s"}
	s := startPhotos(t, dir, env...)
	var at atomic.Value
	at.Store(s.URL)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var all sync.WaitGroup
	for w, k := range people {
		all.Go(func() { k.uploads(ctx, &at, w) })
	}
	kept := func() (n int) {
		for _, k := range people {
			k.mu.Lock()
			n += len(k.kept)
			k.mu.Unlock()
		}
		return n
	}
	restart := func() {
		t.Helper()
		s.Kill9()
		s = startPhotos(t, dir, env...)
		at.Store(s.URL)
	}
	for range kills {
		before := kept()
		await(t, "uploads that are acknowledged", func() bool { return kept() > before+25 })
		time.Sleep(every)
		restart()
	}
	m := addShard(t, s.Client, s.URL, photosToken, map[string]any{"name": "second"})
	for n := range kills {
		done := m.PeopleDone
		awaitLong(t, "people who move", func() bool {
			m.look(t, s.Client, s.URL, photosToken)
			return m.State == "done" || n == 0 && m.State == "moving" || m.PeopleDone > done
		})
		if m.State == "done" && !soak() {
			t.Errorf("the migration of %d people was over before kill %d", m.People, n+1)
		}
		if n == kills-1 { // more may come than the throttle lets through
			env[0] = "PLUMB_PHOTOS_THROTTLE=0"
		}
		restart()
		t.Logf("killed when %d of %d people had moved", m.PeopleDone, m.People)
	}
	awaitLong(t, "the end of the migration", func() bool { m.look(t, s.Client, s.URL, photosToken); return m.State == "done" })
	stop()
	all.Wait()
	judgeAll(t, people, s.URL)
	sizesMade(t, people, s.URL)
	if err := s.Stop(); err != nil {
		t.Errorf("end after SIGTERM: %v", err)
	}
	judgeFolder(t, dir, people, "first", "second")
}

// judgeFolder looks at the shards of a stopped house.
func judgeFolder(t *testing.T, dir string, people []*keeper, shards ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "keys", "house.key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, name := range shards {
		list = append(list, "sqlite:"+filepath.Join(dir, "photos", name, "shard.db"))
	}
	for i, n := range eachOnce(t, people, list...) {
		if n == 0 {
			t.Errorf("shard %s holds nobody", shards[i])
		}
		judgeShard(t, list[i], openBucket(t, "dir:"+filepath.Join(dir, "photos", shards[i], "blobs")), key, false)
	}
}

// TestPhotosDiskFull fills the disk while photos are uploaded: they are refused with 507,
// what was there is shown all the same, and service goes on when there is room.
func TestPhotosDiskFull(t *testing.T) {
	backing, mount := t.TempDir(), t.TempDir()
	people := newKeepers(t, "sqlite:"+filepath.Join(backing, "plumb.db"), 2)
	disk, err := powercut.Open(backing, mount, powercut.Options{})
	if err != nil {
		if os.Getenv("CI") == "" && errors.Is(err, fs.ErrNotExist) {
			t.Skip("no FUSE here: ", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(mount, syscall.MNT_DETACH) })
	s := startPhotos(t, mount, "PLUMB_PHOTOS_CACHE=-1")
	k := people[0]
	put := func(seed uint64, extra int) error {
		_, err := k.put(t.Context(), s.URL, photo(seed, extra))
		return err
	}
	small, large := 1000, 5<<20 // in the database; in a file even while it comes
	if err := errors.Join(put(1, small), put(2, large), k.shareAlbum(t.Context(), s.URL)); err != nil {
		t.Fatal(err)
	}
	disk.SetRoom(0)
	for i, extra := range []int{small, 100_000, large} {
		err := put(uint64(10+i), extra)
		if statusOf(err) != http.StatusInsufficientStorage || !strings.Contains(err.Error(), "full") {
			t.Errorf("%d bytes on a full disk: %v", extra, err)
		}
	}
	k.judge(t, s.URL)
	if _, err := people[1].put(t.Context(), s.URL, photo(20, small)); statusOf(err) != http.StatusInsufficientStorage {
		t.Errorf("somebody new on a full disk: %v", err)
	}
	disk.SetRoom(-1)
	for i, extra := range []int{small, 100_000, large} {
		await(t, "room again", func() bool { return put(uint64(30+i), extra) == nil })
	}
	await(t, "room for somebody new", func() bool { _, err := people[1].put(t.Context(), s.URL, photo(20, small)); return err == nil })
	judgeAll(t, people, s.URL)
	sizesMade(t, people, s.URL)
	if err := s.Stop(); err != nil {
		t.Errorf("end after SIGTERM: %v", err)
	}
	if err := disk.Close(); err != nil {
		t.Fatal(err)
	}
	judgeFolder(t, backing, people, "first")
}

// TestPhotosDrain ends the server while a photo is coming: it is taken to its end, and is
// there afterwards.
func TestPhotosDrain(t *testing.T) {
	dir := t.TempDir()
	people := newKeepers(t, "sqlite:"+filepath.Join(dir, "plumb.db"), 1)
	k := people[0]
	s := startPhotos(t, dir)
	body := photo(1, 12<<20)
	r, w := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		// More than sockets hold: when it is written, the server reads it.
		_, err := w.Write(body[:11<<20])
		sent <- err
	}()
	done := make(chan error, 1)
	var out struct{ ID string }
	go func() { done <- k.ask(t.Context(), "POST", s.URL+photosAPI, io.Reader(r), &out) }()
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Stop() }()
	await(t, "the server to take nobody new", func() bool {
		return ask(t.Context(), &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}, "GET", s.URL+"/readyz", "", nil, nil) != nil
	})
	select {
	case err := <-done:
		t.Fatalf("the upload ended before all of it was sent: %v", err)
	case err := <-ended:
		t.Fatalf("the server ended before its upload: %v", err)
	default:
	}
	io.Copy(w, bytes.NewReader(body[11<<20:]))
	w.Close()
	if err := <-done; err != nil {
		t.Fatalf("the upload that was under way: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("end after SIGTERM: %v", err)
	}
	k.kept = append(k.kept, keptPhoto{out.ID, sha256.Sum256(body)})
	s = startPhotos(t, dir)
	judgeAll(t, people, s.URL)
	if err := s.Stop(); err != nil {
		t.Errorf("end after SIGTERM: %v", err)
	}
}
