package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/engines/bucket"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
)

// TestFilesCluster stores files at two processes that share PostgreSQL, NATS and S3,
// kills one of them, and goes on at the other: with an upload in pieces too. The same
// bytes from all sides are stored once, and every count is exact afterwards.
func TestFilesCluster(t *testing.T) {
	c := startCluster(t, "files")
	client := &http.Client{Timeout: 15 * time.Second}
	shared := make([][]byte, 4)
	for i := range shared {
		shared[i] = noise(uint64(i), 1<<(8+4*i))
	}
	// Each process has its own uploaders, all as the same person in folders of their own.
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	uploaders := make([]*uploader, 4)
	for w := range uploaders {
		at := []string{c.one.URL, c.other.URL}[w%2]
		u := &uploader{client: client, token: c.one.Token, stored: map[string][sha256.Size]byte{}}
		u.url.Store(at)
		uploaders[w] = u
		all.Go(func() { u.run(ctx, w, shared) })
	}
	// The same new bytes from 60 sides at once.
	same := noise(99, 700_000)
	var crowd sync.WaitGroup
	for i := range 60 {
		crowd.Go(func() {
			u := uploaders[i%2]
			if status, err := u.send(ctx, fmt.Sprintf("crowd/%d", i), same, false); err != nil || status != http.StatusCreated {
				t.Errorf("one of a crowd: status %d, %v", status, err)
			}
		})
	}
	crowd.Wait()

	// An upload in pieces begins at one process and goes on at the other.
	whole := noise(7, 3<<20)
	place := tus(t, client, "POST", c.other.URL+"/api/v1/files/tus/", c.one.Token, nil, "Upload-Length", strconv.Itoa(len(whole)), "Upload-Metadata", "path cGllY2Vz") // "pieces"
	path := place.Header.Get("Location")
	if i := bytes.Index([]byte(path), []byte("/api/")); i > 0 {
		path = path[i:]
	}
	part := tus(t, client, "PATCH", c.other.URL+path, c.one.Token, whole[:1<<20], "Upload-Offset", "0", "Content-Type", "application/offset+octet-stream")
	if place.StatusCode != http.StatusCreated || part.StatusCode != http.StatusNoContent {
		t.Fatalf("tus: %d, %d", place.StatusCode, part.StatusCode)
	}
	time.Sleep(time.Second)
	c.other.Kill9()
	for _, u := range uploaders { // the balancer has noticed
		u.url.Store(c.one.URL)
	}
	rest := tus(t, client, "PATCH", c.one.URL+path, c.one.Token, whole[1<<20:], "Upload-Offset", strconv.Itoa(1<<20), "Content-Type", "application/offset+octet-stream")
	if rest.StatusCode != http.StatusNoContent {
		t.Fatalf("tus at the other process: %d", rest.StatusCode)
	}
	before := uploaders[0].n.Load() + uploaders[1].n.Load()
	await(t, "uploads at the process that is left", func() bool { return uploaders[0].n.Load()+uploaders[1].n.Load() > before+20 })
	stop()
	all.Wait()
	uploaders[0].stored["pieces"] = sha256.Sum256(whole)
	for i := range 60 {
		uploaders[0].stored[fmt.Sprintf("crowd/%d", i)] = sha256.Sum256(same)
	}
	for _, u := range uploaders {
		u.judge(t)
	}
	if err := c.one.Stop(); err != nil {
		t.Errorf("end after SIGTERM: %v", err)
	}
	c.judgeContents(t, same)
}

// judgeContents looks at the store when its processes are gone: counts are exact, and
// what a crowd stored is there once.
func (c *cluster) judgeContents(t *testing.T, same []byte) {
	t.Helper()
	ctx := t.Context()
	db, err := sqldb.Open(ctx, c.sql, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	b, err := bucket.Open(ctx, c.s3)
	if err != nil {
		t.Fatal(err)
	}
	store, err := cas.Open(ctx, cas.Needs{DB: db, Bucket: b, Key: c.key, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)}, cas.Options{Alone: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for range 2 {
		if err := store.Check(ctx); err != nil {
			t.Error(err)
		}
		if _, err := store.Collect(ctx, nil); err != nil {
			t.Error(err)
		}
	}
	found, err := store.Scrub(ctx, nil)
	if err != nil || found.Bad != 0 || found.Chunks == 0 {
		t.Errorf("%+v, %v", found, err)
	}
	r, err := store.Open(ctx, sha256.Sum256(same))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, same) {
		t.Errorf("what the crowd stored: %d bytes, %v", len(got), err)
	}
	stats, err := store.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(stats)
	t.Logf("%s", text)
	if stats.References < stats.Blobs+59 {
		t.Errorf("a crowd of 60 holds too few references: %s", text)
	}
}

// noise is n bytes that nothing shortens, the same for the same seed.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 5))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// tus sends one request of the protocol.
func tus(t *testing.T, client *http.Client, method, url, token string, body []byte, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Tus-Resumable", "1.0.0")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res
}
