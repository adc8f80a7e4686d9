package bustest

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Servers is a NATS cluster of three nodes within the test's own process.
type Servers struct {
	t     testing.TB
	nodes [3]*server.Server
	ports [3]int // of clients
	route [3]int // of the nodes among themselves
}

// Cluster starts a cluster for the time of the test.
func Cluster(t testing.TB) *Servers {
	t.Helper()
	c := &Servers{t: t}
	for i := range c.nodes {
		c.ports[i], c.route[i] = freePort(t), freePort(t)
	}
	for i := range c.nodes {
		c.launch(i)
	}
	t.Cleanup(func() {
		for i := range c.nodes {
			c.Stop(i)
		}
	})
	c.whole()
	return c
}

// URL returns the addresses of all nodes, fit for bus.NATS.
func (c *Servers) URL() string {
	var all []string
	for i := range c.nodes {
		all = append(all, c.NodeURL(i))
	}
	return strings.Join(all, ",")
}

// NodeURL returns the address of node i (0 to 2).
func (c *Servers) NodeURL(i int) string { return fmt.Sprintf("nats://127.0.0.1:%d", c.ports[i]) }

// Stop ends node i, as a crash would to its clients. It may be stopped already.
func (c *Servers) Stop(i int) {
	if c.nodes[i] != nil {
		c.nodes[i].Shutdown()
		c.nodes[i].WaitForShutdown()
		c.nodes[i] = nil
	}
}

// Start starts node i again on its old address and waits until every running
// node knows every other.
func (c *Servers) Start(i int) {
	c.t.Helper()
	c.launch(i)
	c.whole()
}

func (c *Servers) launch(i int) {
	c.t.Helper()
	if c.nodes[i] != nil {
		c.t.Fatalf("NATS node %d runs already", i)
	}
	var others []*url.URL
	for j := range c.route {
		if j != i {
			others = append(others, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", c.route[j])})
		}
	}
	node, err := server.NewServer(&server.Options{
		ServerName: fmt.Sprintf("node-%d", i),
		Host:       "127.0.0.1", Port: c.ports[i],
		Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: c.route[i]},
		Routes:  others,
		NoSigs:  true, NoLog: true,
	})
	if err != nil {
		c.t.Fatalf("NATS node %d: %v", i, err)
	}
	node.Start()
	c.nodes[i] = node
}

// whole waits until every running node has routes to all the others.
func (c *Servers) whole() {
	c.t.Helper()
	running := 0
	for _, n := range c.nodes {
		if n != nil {
			running++
		}
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		missing := ""
		for i, n := range c.nodes {
			if n == nil {
				continue
			}
			peers := map[string]bool{}
			routes, err := n.Routez(nil)
			if err == nil {
				for _, r := range routes.Routes {
					peers[r.RemoteID] = true
				}
			}
			if !n.ReadyForConnections(time.Second) || len(peers) < running-1 {
				missing = fmt.Sprintf("node %d knows %d of %d others", i, len(peers), running-1)
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("the NATS cluster does not come together: %s", missing)
		}
	}
}

// freePort returns a port of this machine on which nobody listens now.
func freePort(t testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
