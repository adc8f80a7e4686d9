package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.yaml.in/yaml/v3"

	"plumb/app"
	"plumb/base/ids"
	"plumb/engines/bucket/buckettest"
	"plumb/engines/bus/bustest"
	"plumb/engines/lab/child"
	"plumb/engines/sqldb/sqldbtest"
)

// haproxyPath finds HAProxy, which distributions keep where only root looks.
func haproxyPath(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"haproxy", "/usr/sbin/haproxy"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("haproxy is not installed: apt-get install haproxy")
	}
	t.Skip("haproxy is not installed: apt-get install haproxy")
	return ""
}

// startBalancer runs HAProxy with the file that users get. doors are the names of
// its BALANCER_ variables; their addresses are returned, in that order, and what
// HAProxy says.
func startBalancer(t *testing.T, doors []string, env ...string) (at []string, said func() string) {
	t.Helper()
	cmd := exec.Command(haproxyPath(t), "-db", "-f", filepath.Join("..", "..", "deploy", "haproxy.cfg"))
	cmd.Env = env
	for i, name := range doors {
		// HAProxy inherits the listener: no port can be lost on the way.
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		file, err := l.(*net.TCPListener).File()
		l.Close()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
		cmd.Env = append(cmd.Env, fmt.Sprintf("%s=fd@%d", name, 3+i))
		at = append(at, l.Addr().String())
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // the child has its own copy
	cmd.Stdout, cmd.Stderr = log, log
	said = func() string {
		text, _ := os.ReadFile(log.Name())
		return string(text)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("haproxy said:\n%s", said())
		}
	})
	return at, said
}

// balanced is processes on one PostgreSQL, one NATS cluster and one S3 server,
// with HAProxy before them.
type balanced struct {
	cluster
	all               []*child.Server
	http, https, mqtt string // HAProxy's addresses
	trust             *http.Client
	said              func() string // HAProxy's log
}

func startBalanced(t *testing.T) *balanced {
	t.Helper()
	haproxyPath(t) // first: a missing one fails before anything is begun
	b := &balanced{cluster: cluster{pg: sqldbtest.Cluster(t), nats: bustest.Cluster(t)}}
	s3 := buckettest.S3(t)
	b.sql = b.pg.Database(t)
	key := filepath.Join(t.TempDir(), "house.key")
	write(t, key, hex.EncodeToString([]byte(ids.Token())[:32]))
	var env []string
	for i := range 3 {
		s, err := child.Start(t.Context(), child.Options{Systems: []string{"vending"}, Data: t.TempDir(),
			Args: []string{"--nats", b.nats.URL(), "--bucket", s3, "--key-file", key, "--trusted-proxy", "127.0.0.1/32"},
			Env:  append(keep("AWS_", "PLUMB_S3_"), "PLUMB_SQL="+b.sql)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Kill9)
		b.all = append(b.all, s)
		env = append(env, fmt.Sprintf("SERVE%d_HTTP=%s", i+1, s.Addr), fmt.Sprintf("SERVE%d_MQTT=%s", i+1, s.MQTT))
	}
	cert, client := certificate(t)
	at, said := startBalancer(t, []string{"BALANCER_HTTP", "BALANCER_HTTPS", "BALANCER_MQTT"}, append(env, "BALANCER_CERT="+cert)...)
	b.http, b.https, b.mqtt, b.trust, b.said = "http://"+at[0], "https://"+at[1], at[2], client, said
	await(t, "the balancer to be ready", func() bool { return status(t, http.DefaultClient, b.http+"/readyz") == http.StatusOK })
	return b
}

// certificate writes a certificate for 127.0.0.1 with its key into one file, as
// HAProxy reads them, and returns a client that trusts it.
func certificate(t *testing.T) (file string, trusts *http.Client) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "balancer.pem")
	write(t, file, pemOf("CERTIFICATE", s.Certificate().Raw)+pemOf("PRIVATE KEY", key))
	return file, s.Client()
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// status asks for a page; 0: no answer.
func status(t *testing.T, c *http.Client, url string) int {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// measured reads one measure of a process by its name and labels.
func measured(t *testing.T, s *child.Server, name string) (value float64) {
	t.Helper()
	for line := range strings.Lines(metrics(t, s)) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			if _, err := fmt.Sscan(text, &value); err != nil {
				t.Fatal(err)
			}
		}
	}
	return value
}

// who returns which process's measure grew while fn ran, and by how much; -1 when
// that was not one alone.
func (b *balanced) who(t *testing.T, measure string, fn func()) (process int, by float64) {
	t.Helper()
	before := make([]float64, len(b.all))
	for i, s := range b.all {
		before[i] = measured(t, s, measure)
	}
	fn()
	process = -1
	for i, s := range b.all {
		switch grown := measured(t, s, measure) - before[i]; {
		case grown > 0 && by > 0:
			return -1, by
		case grown > 0:
			process, by = i, grown
		}
	}
	return process, by
}

// from returns a client with an address of its own, on this machine, that makes
// a new connection for each request.
func from(t *testing.T, address string) *http.Client {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}
}

// TestBalancer runs three processes behind HAProxy with the file that users get:
// who lands where, what the processes learn about clients, and that machines are
// served on, by HTTP and by MQTT, while one process is killed, another one ends,
// and the database goes and comes.
func TestBalancer(t *testing.T) {
	b := startBalanced(t)
	f := newFleet(t, b.all[0], 100)
	// Not t.Run: what follows needs what came before.
	b.sticky(t, f)
	b.addresses(t)
	b.streams(t, f)
	b.crashes(t, f)
}

// sticky: requests of one machine, one session, one address go to one process,
// each, and machines are spread over all.
func (b *balanced) sticky(t *testing.T, f *fleet) {
	t.Helper()
	usual := f.client
	defer func() { f.client = usual }()
	used := map[int]int{}
	for i := range 24 {
		p, n := b.who(t, `plumb_vending_reports_total{outcome="stored"}`, func() {
			for k := range 3 {
				f.client = from(t, fmt.Sprintf("127.0.1.%d", 1+k)) // a machine's address may change
				f.deliver(t.Context(), i, f.tokens[i], fmt.Sprintf("sticky-%d", k), func(int) string { return b.http })
			}
		})
		if p < 0 || n != 3 {
			t.Errorf("3 reports of machine %d: process %d stored %v", i, p, n)
		}
		used[p]++
	}
	if len(used) != len(b.all) {
		t.Errorf("24 machines on %d processes: %v", len(b.all), used)
	}
	visits := func(what string, cookie string, addresses ...string) {
		t.Helper()
		p, n := b.who(t, `plumb_http_requests_total{route="GET /healthz",status="200"}`, func() {
			for _, a := range addresses {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.http+"/healthz", nil)
				if err != nil {
					t.Fatal(err)
				}
				if cookie != "" {
					req.Header.Set("Cookie", "other=1; plumb_session="+cookie)
				}
				res, err := from(t, a).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
			}
		})
		if p < 0 || n != float64(len(addresses)) {
			t.Errorf("%d visits of %s: process %d saw %v", len(addresses), what, p, n)
		}
	}
	visits("a session", "abc", "127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4", "127.0.1.5")
	visits("an address", "", "127.0.2.1", "127.0.2.1", "127.0.2.1", "127.0.2.1", "127.0.2.1")
}

// addresses: a process learns the client's own address and whether its connection
// is encrypted, whatever the client claims, and /metrics stays closed to it.
func (b *balanced) addresses(t *testing.T) {
	t.Helper()
	signIn := func(c *http.Client, to string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to+"/signin", strings.NewReader(url.Values{"name": {"nobody"}, "password": {"wrong"}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X-Forwarded-For", "203.0.113.9")
		req.Header.Set("X-Forwarded-Proto", map[bool]string{true: "http", false: "https"}[to == b.https])
		req.Header.Set("X-Request-Id", "chosen-by-a-stranger")
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	plain := signIn(from(t, "127.0.0.7"), b.http)
	if plain.StatusCode/100 != 4 || plain.Header.Get("Strict-Transport-Security") != "" {
		t.Errorf("a wrong password in the clear: status %d, and the process takes the connection for encrypted: %q", plain.StatusCode, plain.Header.Get("Strict-Transport-Security"))
	}
	id := plain.Header.Get("X-Request-Id")
	var said string
	for _, s := range b.all {
		said += s.Tail() + "\n"
	}
	if !strings.Contains(said, "from=127.0.0.7") || !strings.Contains(said, "request="+id) || id == "chosen-by-a-stranger" {
		t.Errorf("a client at 127.0.0.7, request %q, is logged as:\n%s", id, said)
	}
	if over := signIn(b.trust, b.https); over.Header.Get("Strict-Transport-Security") == "" {
		t.Error("the process does not know that the connection is encrypted")
	}
	if got := status(t, http.DefaultClient, b.http+"/metrics"); got != http.StatusUnauthorized {
		t.Errorf("measures for a stranger: status %d", got)
	}
}

// streams: bodies reach their process while they are still being sent.
func (b *balanced) streams(t *testing.T, f *fleet) {
	t.Helper()
	const halves = 5 // more than what else may be asked at the same moment
	answered := make(chan int, halves)
	var rest []func()
	for i := range halves {
		body := reportOf(fmt.Sprintf("streamed-%d", i))
		r, w := io.Pipe()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.http+"/api/v1/vending/reports", r)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+f.tokens[0])
		req.Header.Set("Content-Type", "application/json")
		go func() {
			res, err := f.client.Do(req)
			if err != nil {
				answered <- 0
				return
			}
			res.Body.Close()
			answered <- res.StatusCode
		}()
		if _, err := w.Write(body[:20]); err != nil {
			t.Fatal(err)
		}
		rest = append(rest, func() {
			_, _ = w.Write(body[20:]) // the answer tells
			w.Close()
		})
	}
	inside := func() (most float64) {
		for _, s := range b.all {
			most = max(most, measured(t, s, "plumb_http_in_flight"))
		}
		return most
	}
	end := time.Now().Add(5 * time.Second) // before HAProxy's time for a request is over
	for inside() < halves {
		if time.Now().After(end) {
			t.Fatal("half a request does not reach its process")
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, send := range rest {
		send()
	}
	for range halves {
		if got := <-answered; got != http.StatusOK {
			t.Errorf("a report that was sent in two parts: status %d", got)
		}
	}
}

// impatient turns a gateway's own error into what it is for a machine: a broken
// line. The report goes out again under its id.
type impatient struct {
	http.RoundTripper
	broken atomic.Int64
}

func (i *impatient) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := i.RoundTripper.RoundTrip(r)
	if err == nil && res.StatusCode != http.StatusBadGateway && res.StatusCode != http.StatusGatewayTimeout {
		return res, nil
	}
	i.broken.Add(1)
	if err == nil {
		res.Body.Close()
		err = fmt.Errorf("the gateway says %s", res.Status)
	}
	return nil, err
}

// crashes: machines report all the while through the balancer, by HTTP and by
// MQTT. What is acknowledged is there.
func (b *balanced) crashes(t *testing.T, f *fleet) {
	t.Helper()
	line := &impatient{RoundTripper: f.client.Transport}
	f.client.Transport = line
	byMQTT := &fleet{tokens: f.tokens[:20], acked: map[string]bool{}, client: f.client}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var reporting sync.WaitGroup
	reporting.Go(func() { f.report(ctx, "b", func(int) string { return b.http }) })
	for i := range byMQTT.tokens {
		reporting.Go(func() { byMQTT.byMQTT(ctx, i, func() string { return b.mqtt }) })
	}
	more := func(what string) {
		t.Helper()
		one, other := f.n.Load(), byMQTT.n.Load()
		await(t, what, func() bool { return f.n.Load() > one+200 && byMQTT.n.Load() > other+40 })
		t.Logf("%s: %d tries broken so far", what, line.broken.Load())
	}
	more("reports to all processes")
	for i, s := range b.all {
		if measured(t, s, "plumb_devices_connections") == 0 {
			t.Errorf("process %d has no connection of MQTT", i)
		}
		if said := metrics(t, s); !strings.Contains(said, `plumb_desired{role="serve"} `) || !strings.Contains(said, `plumb_desired{role="worker"} `) {
			t.Errorf("process %d does not tell an autoscaler how many are wanted", i)
		}
	}
	b.all[2].Kill9()
	more("reports after a process was killed")
	if err := b.all[1].Stop(); err != nil {
		t.Errorf("end after SIGTERM: %v", err)
	}
	more("reports after a process ended")
	b.pg.Stop(t)
	b.ownWords(t, f)
	b.pg.Start(t)
	more("reports after PostgreSQL was restarted")
	stop()
	reporting.Wait()
	if err := b.all[0].Stop(); err != nil {
		t.Errorf("end after SIGTERM: %v", err)
	}
	b.nobody(t, f)
	f.judge(t, b.sql)
	byMQTT.judge(t, b.sql)
}

// ownWords: where no process is ready they still answer themselves, and give each
// machine its time to come again.
func (b *balanced) ownWords(t *testing.T, f *fleet) {
	t.Helper()
	await(t, "HAProxy to see that no process is ready", func() bool { return strings.Contains(b.said(), "backend serve has no server available") })
	res, text := b.ask(t, f)
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("X-Request-Id") == "" || !strings.Contains(text, "retry_in_s") {
		t.Errorf("without a database: status %d, request %q: %s", res.StatusCode, res.Header.Get("X-Request-Id"), text)
	}
}

// nobody: where there is no process at all, HAProxy says when to come again.
func (b *balanced) nobody(t *testing.T, f *fleet) {
	t.Helper()
	res, text := b.ask(t, f)
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || res.Header.Get("Content-Type") != "application/problem+json" || !json.Valid([]byte(text)) {
		t.Errorf("without a process: status %d, %v: %s", res.StatusCode, res.Header, text)
	}
}

// ask sends a report of the first machine, once.
func (b *balanced) ask(t *testing.T, f *fleet) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.http+"/api/v1/vending/reports", bytes.NewReader(reportOf("asked")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+f.tokens[0])
	req.Header.Set("Content-Type", "application/json")
	res, err := from(t, "127.0.0.1").Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

// TestBalancerTLS: processes that speak TLS themselves, with HAProxy trusting their
// authority, and MQTT over TLS passed through to them as it is.
func TestBalancerTLS(t *testing.T) {
	haproxyPath(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mqtts := l.Addr().String()
	l.Close()
	s, err := child.Start(t.Context(), child.Options{Systems: []string{"vending"}, Data: t.TempDir(), TLS: true, Args: []string{"--mqtt-tls", mqtts}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill9)
	conn, err := tls.Dial("tcp", s.Addr, s.TLS)
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, pemOf("CERTIFICATE", conn.ConnectionState().PeerCertificates[0].Raw))
	conn.Close()
	at, _ := startBalancer(t, []string{"BALANCER_HTTP", "BALANCER_MQTTS"}, "SERVE1_HTTP="+s.Addr, "SERVE1_MQTTS="+mqtts, "SERVE_CA="+ca)
	await(t, "the balancer to be ready", func() bool { return status(t, http.DefaultClient, "http://"+at[0]+"/readyz") == http.StatusOK })
	f := newFleet(t, s, 1)
	f.deliver(t.Context(), 0, f.tokens[0], "over-tls", func(int) string { return "http://" + at[0] })
	if f.n.Load() != 1 {
		t.Errorf("no report came through: %s", f.fault)
	}
	c := paho.NewClient(paho.NewClientOptions().AddBroker("ssl://" + at[1]).SetTLSConfig(s.TLS).SetClientID("x").SetUsername(machineID(0)).SetPassword(f.tokens[0]).SetAutoReconnect(false))
	if tk := c.Connect(); !tk.WaitTimeout(10*time.Second) || tk.Error() != nil {
		t.Fatalf("MQTT over TLS: %v", tk.Error())
	}
	defer c.Disconnect(0)
	if tk := c.Publish("vending/"+machineID(0)+"/report", 1, false, reportOf("mqtt-over-tls")); !tk.WaitTimeout(10*time.Second) || tk.Error() != nil {
		t.Errorf("a report by MQTT over TLS: %v", tk.Error())
	}
}

// TestDeployFilesSayWhatTheProgramKnows: compose.yaml and plumb.service are run
// nowhere here, so at least their names must not go stale: each PLUMB_ variable is
// a setting, each variable of the balancer is one that haproxy.cfg reads.
func TestDeployFilesSayWhatTheProgramKnows(t *testing.T) {
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join("..", "..", "deploy", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	known := map[string]bool{"PLUMB_S3_SECRET": true} // a secret, read by its engine
	cfg := app.Default()
	for _, s := range cfg.Settings() {
		known[s.Env()] = true
	}
	compose, balancer := read("compose.yaml"), read("haproxy.cfg")
	for _, name := range regexp.MustCompile(`PLUMB_[A-Z0-9_]+`).FindAllString(compose+read("plumb.service"), -1) {
		if !known[name] {
			t.Errorf("%s is no setting of the program", name)
		}
	}
	for _, name := range regexp.MustCompile(`(BALANCER|SERVE\d)_[A-Z]+`).FindAllString(compose, -1) {
		if !strings.Contains(balancer, `"${`+name+`}"`) {
			t.Errorf("%s is not read by haproxy.cfg", name)
		}
	}
	var file struct {
		Services map[string]struct{ Image string }
	}
	if err := yaml.Unmarshal([]byte(compose), &file); err != nil || len(file.Services) != 6 {
		t.Errorf("compose.yaml: %d services, %v", len(file.Services), err)
	}
	for name, s := range file.Services {
		if s.Image == "" {
			t.Errorf("compose.yaml: %s has no image", name)
		}
	}
}
