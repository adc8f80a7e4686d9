package main

import (
	"context"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"plumb/base/ids"
	"plumb/engines/bucket/buckettest"
	"plumb/engines/bus/bustest"
	engine "plumb/engines/fleet"
	"plumb/engines/lab/child"
	"plumb/engines/sqldb/sqldbtest"
)

// cluster is two processes on one PostgreSQL, one NATS cluster and one S3 server.
type cluster struct {
	pg    *sqldbtest.Server
	nats  *bustest.Servers
	sql   string
	s3    string
	key   []byte // the house's
	one   *child.Server
	other *child.Server
	start func(data string) *child.Server // one more, or one again
	data  [2]string                       // the folders of one and other
}

// startCluster starts it; env are settings of both processes.
func startCluster(t *testing.T, system string, env ...string) *cluster {
	t.Helper()
	// The order matters for PostgreSQL and NATS being started once and early:
	// a missing one fails before anything else is begun.
	c := &cluster{pg: sqldbtest.Cluster(t), nats: bustest.Cluster(t)}
	c.s3 = buckettest.S3(t)
	c.sql = c.pg.Database(t)
	c.key = []byte(ids.Token())[:32]
	key := filepath.Join(t.TempDir(), "house.key")
	write(t, key, hex.EncodeToString(c.key))
	env = append(append(env, keep("AWS_", "PLUMB_S3_")...), "PLUMB_SQL="+c.sql)
	c.start = func(data string) *child.Server {
		more := env
		if c.one != nil { // as everywhere in a cluster
			more = append(slices.Clone(env), "PLUMB_ADMIN_TOKEN="+c.one.Token)
		}
		s, err := child.Start(t.Context(), child.Options{Systems: []string{system}, Data: data,
			Args: []string{"--nats", c.nats.URL(), "--bucket", c.s3, "--key-file", key}, Env: more})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Kill9)
		return s
	}
	c.data = [2]string{t.TempDir(), t.TempDir()}
	c.one = c.start(c.data[0])
	c.other = c.start(c.data[1])
	return c
}

// keep returns the environment's variables with these prefixes: children get no
// settings of the test's own otherwise.
func keep(prefixes ...string) []string {
	var out []string
	for _, kv := range os.Environ() {
		for _, p := range prefixes {
			if strings.HasPrefix(kv, p) {
				out = append(out, kv)
			}
		}
	}
	return out
}

// TestClusterRestart restarts PostgreSQL and a NATS node, and kills one of the
// two processes, while machines report to both: nothing acknowledged is lost,
// and service resumes by itself.
func TestClusterRestart(t *testing.T) {
	c := startCluster(t, "vending")
	f := newFleet(t, c.one, 200)
	url := func(machine int) string {
		if machine%2 == 0 {
			return c.one.URL
		}
		return c.other.URL
	}
	ctx, stop := context.WithCancel(t.Context())
	reporting := make(chan struct{})
	go func() {
		defer close(reporting)
		f.report(ctx, "c", url)
	}()
	more := func(what string) {
		t.Helper()
		before := f.n.Load()
		await(t, what, func() bool { return f.n.Load() > before+400 })
	}
	more("reports to both processes")
	c.pg.Stop(t)
	time.Sleep(300 * time.Millisecond)
	c.pg.Start(t)
	more("reports after PostgreSQL was restarted")
	c.pg.Kill(t)
	c.pg.Start(t)
	more("reports after PostgreSQL crashed")
	c.nats.Stop(0)
	more("reports with a NATS node away")
	c.nats.Start(0)
	c.other.Kill9()
	more("reports to the process that is left")
	stop()
	<-reporting
	if err := c.one.Stop(); err != nil {
		t.Errorf("end after SIGTERM: %v", err)
	}
	f.judge(t, c.sql)
}

// TestClusterRevocation: a machine that was revoked at one process is refused by
// the other at once, not when its cache ends.
func TestClusterRevocation(t *testing.T) {
	c := startCluster(t, "vending")
	f := newFleet(t, c.one, 1)
	status := func(id string) int {
		code, _, err := f.post(t.Context(), c.other.URL, f.tokens[0], reportOf(id))
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	if got := status("before"); got != http.StatusOK {
		t.Fatalf("status %d before the revocation", got)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, c.one.URL+"/api/v1/vending/machines/"+machineID(0), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.one.Token)
	res, err := c.one.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode/100 != 2 {
		t.Fatalf("revoke: status %d", res.StatusCode)
	}
	revoked := time.Now()
	await(t, "the other process to refuse", func() bool { return status("after") == http.StatusUnauthorized })
	if waited := time.Since(revoked); waited > engine.CacheTime/2 {
		t.Errorf("the revocation took %s to reach the other process: it came with the cache's end, not over the bus", waited)
	}
}
