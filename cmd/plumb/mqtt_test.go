package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"plumb/engines/lab/child"
)

// stockClient is the environment variable that makes the test binary a stock MQTT
// client which keeps what it must deliver in a folder: "broker id token folder report".
const stockClient = "PLUMB_TEST_MQTT_CLIENT"

// runStockClient publishes a report and ends when it has the PUBACK. Started again
// on the same folder without a report it delivers what is left there.
func runStockClient(args string) int {
	w := strings.SplitN(args, " ", 5)
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + w[0]).SetClientID(w[1]).SetUsername(w[1]).SetPassword(w[2]).
		SetCleanSession(false).SetStore(paho.NewFileStore(w[3])).SetConnectTimeout(5 * time.Second))
	if t := c.Connect(); !t.WaitTimeout(10*time.Second) || t.Error() != nil {
		fmt.Fprintln(os.Stderr, "connect:", t.Error())
		return 1
	}
	if w[4] != "" {
		fmt.Println("connected")
		if _, err := fmt.Scanln(); err != nil { // whoever started us says when
			return 1
		}
		t := c.Publish("vending/"+w[1]+"/report", 1, false, w[4])
		fmt.Println("published") // and on disk; the test may kill us now
		if !t.WaitTimeout(time.Minute) || t.Error() != nil {
			return 1
		}
		return 0
	}
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		left, err := filepath.Glob(filepath.Join(w[3], "o.*")) // outgoing, not acknowledged
		if err == nil && len(left) == 0 {
			return 0
		}
	}
	fmt.Fprintln(os.Stderr, "something was never acknowledged")
	return 1
}

// mqttServer starts a server with one machine, and returns its token.
func mqttServer(t *testing.T, machines int) (*child.Server, *fleet, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := child.Start(t.Context(), child.Options{Systems: []string{"vending"}, Data: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill9)
	return s, newFleet(t, s, machines), dir
}

// A stock client that dies between publish and PUBACK, and one that dies before the
// server read anything: nothing is lost, nothing is doubled.
func TestStockClientKilledBeforePuback(t *testing.T) {
	s, f, dir := mqttServer(t, 1)
	client := func(store, report string) *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s %s %s", stockClient, s.MQTT, machineID(0), f.tokens[0], store, report))
		cmd.Stderr = os.Stderr
		return cmd
	}
	server := s.Pid()
	for k := range 6 {
		store, id := t.TempDir(), fmt.Sprintf("killed-%d", k)
		cmd := client(store, string(reportOf(id)))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() || lines.Text() != "connected" {
			t.Fatalf("the client says %q", lines.Text())
		}
		signal := func(s syscall.Signal) {
			if k%2 == 0 { // the server is deaf until the client is dead
				if err := syscall.Kill(server, s); err != nil {
					t.Fatal(err)
				}
			}
		}
		signal(syscall.SIGSTOP)
		if _, err := io.WriteString(in, "\n"); err != nil || !lines.Scan() || lines.Text() != "published" {
			t.Fatalf("the client says %q, %v", lines.Text(), err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		signal(syscall.SIGCONT)
		left, _ := filepath.Glob(filepath.Join(store, "o.*"))
		if k%2 == 0 && len(left) == 0 {
			t.Fatal("a client knows of a PUBACK that nobody sent")
		}
		if err := client(store, "").Run(); err != nil {
			t.Fatalf("the client, started again: %v", err)
		}
		f.acked[machineID(0)+"/"+id] = true
		f.n.Add(1)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	f.judge(t, "sqlite:"+filepath.Join(dir, "plumb.db"))
}

// byMQTT has a machine report over MQTT until ctx ends, as stock clients do: the
// same report until there is a PUBACK.
func (f *fleet) byMQTT(ctx context.Context, i int, at func() string) {
	var c paho.Client
	defer func() {
		if c != nil {
			c.Disconnect(0)
		}
	}()
	for k := 0; ctx.Err() == nil; k++ {
		id := fmt.Sprintf("mqtt-%d", k)
		for ctx.Err() == nil {
			if c == nil || !c.IsConnectionOpen() {
				if c != nil {
					c.Disconnect(0)
				}
				c = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + at()).SetClientID(machineID(i)).SetUsername(machineID(i)).SetPassword(f.tokens[i]).
					SetAutoReconnect(false).SetConnectTimeout(2 * time.Second).SetWriteTimeout(2 * time.Second))
				if t := c.Connect(); !t.WaitTimeout(3*time.Second) || t.Error() != nil {
					time.Sleep(50 * time.Millisecond)
					continue
				}
			}
			t := c.Publish("vending/"+machineID(i)+"/report", 1, false, reportOf(id))
			if !t.WaitTimeout(3*time.Second) || t.Error() != nil || !c.IsConnectionOpen() {
				c.Disconnect(0)
				continue // with the same id
			}
			f.mu.Lock()
			f.acked[machineID(i)+"/"+id] = true
			f.mu.Unlock()
			f.n.Add(1)
			break
		}
	}
}

// TestCrashKill9MQTT kills the server again and again while machines report by MQTT:
// what had its PUBACK is there, once.
func TestCrashKill9MQTT(t *testing.T) {
	kills := 3
	if soak() {
		kills = 40
	}
	s, f, dir := mqttServer(t, 150)
	var at atomic.Value
	at.Store(s.MQTT)
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range f.tokens {
		all.Go(func() { f.byMQTT(ctx, i, func() string { return at.Load().(string) }) })
	}
	for range kills {
		before := f.n.Load()
		await(t, "machines report by MQTT", func() bool { return f.n.Load() > before+300 })
		s.Kill9()
		var err error
		if s, err = child.Start(t.Context(), child.Options{Systems: []string{"vending"}, Data: dir}); err != nil {
			t.Fatal(err)
		}
		at.Store(s.MQTT)
	}
	before := f.n.Load()
	await(t, "machines report after the last kill", func() bool { return f.n.Load() > before+300 })
	stop()
	all.Wait()
	if err := s.Stop(); err != nil {
		t.Errorf("end after SIGTERM: %v", err)
	}
	f.judge(t, "sqlite:"+filepath.Join(dir, "plumb.db"))
}

// TestMosquitto speaks with the clients of another maker, in both versions of the
// protocol: a report, its answer, what is no report, another's topic, a wrong token,
// and a revocation that ends the live connection.
func TestMosquitto(t *testing.T) {
	for _, name := range []string{"mosquitto_pub", "mosquitto_sub"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is not installed: apt-get install mosquitto-clients", name)
			}
			t.Skipf("%s is not installed: apt-get install mosquitto-clients", name)
		}
	}
	s, f, _ := mqttServer(t, 2)
	host, port, err := net.SplitHostPort(s.MQTT)
	if err != nil {
		t.Fatal(err)
	}
	args := func(version string, i int, more ...string) []string {
		return append([]string{"-V", version, "-h", host, "-p", port, "-u", machineID(i), "-P", f.tokens[i], "-q", "1"}, more...)
	}
	pub := func(args ...string) (string, error) {
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
		defer stop()
		out, err := exec.CommandContext(ctx, "mosquitto_pub", args...).CombinedOutput()
		return string(out), err
	}
	for _, version := range []string{"mqttv311", "mqttv5"} {
		// stdbuf: into a pipe it says nothing before its end otherwise.
		listen := exec.Command("stdbuf", append([]string{"-oL", "mosquitto_sub"}, args(version, 0, "-t", "vending/m-0/ack", "-C", "2", "-W", "20", "-d")...)...)
		out, err := listen.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := listen.Start(); err != nil {
			t.Fatal(err)
		}
		said := make(chan string, 1)
		subscribed := make(chan struct{})
		go func() {
			var all strings.Builder
			buf := make([]byte, 4096)
			ready := false
			for {
				n, err := out.Read(buf)
				all.Write(buf[:n])
				if !ready && strings.Contains(all.String(), "SUBACK") {
					ready = true
					close(subscribed)
				}
				if err != nil {
					said <- all.String()
					return
				}
			}
		}()
		select {
		case <-subscribed:
		case <-time.After(10 * time.Second):
			t.Fatal("no SUBACK in 10 s")
		}
		if out, err := pub(args(version, 0, "-t", "vending/m-0/report", "-m", string(reportOf("r-"+version)))...); err != nil {
			t.Errorf("%s: a report: %v %s", version, err, out)
		}
		if out, err := pub(args(version, 0, "-t", "vending/m-0/report", "-m", "no report")...); err != nil {
			t.Errorf("%s: what is no report is acknowledged and kept aside: %v %s", version, err, out)
		}
		got := <-said
		_ = listen.Wait() // its end is in what it said
		for _, want := range []string{`"r-` + version + `"`, `"status":"stored"`, "next_report_at", `"status":"invalid"`} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: the answers lack %s:\n%s", version, want, got)
			}
		}
		if _, err := pub(args(version, 0, "-t", "vending/m-1/report", "-m", string(reportOf("steal")))...); err == nil {
			t.Errorf("%s: a report in another's name was acknowledged", version)
		}
		wrong := append(args(version, 0, "-t", "vending/m-0/report", "-m", "x"), "-P", "wrong") // the last one counts
		if _, err := pub(wrong...); err == nil {
			t.Errorf("%s: a wrong token was let in", version)
		}
	}
	live := exec.Command("mosquitto_sub", args("mqttv311", 1, "-t", "vending/m-1/cmd", "-W", "30", "-d")...)
	if err := live.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the machine listens", func() bool { return strings.Contains(metrics(t, s), "devices_connections 1") })
	req, err := http.NewRequest(http.MethodDelete, s.URL+"/api/v1/vending/machines/m-1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.Token)
	res, err := s.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode >= 300 {
		t.Fatalf("revoke: status %d", res.StatusCode)
	}
	await(t, "the live connection ends", func() bool { return strings.Contains(metrics(t, s), "devices_connections 0") })
	_ = live.Process.Kill() // it tries again and again
	_ = live.Wait()
}

// metrics reads a server's measures.
func metrics(t *testing.T, s *child.Server) string {
	t.Helper()
	res, err := s.Client.Get(s.URL + "/metrics")
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	text := new(strings.Builder)
	buf := make([]byte, 64<<10)
	for {
		n, err := res.Body.Read(buf)
		text.Write(buf[:n])
		if err != nil {
			return text.String()
		}
	}
}

// TestTenThousandConnections holds so many live connections, each listening for its
// answers, and looks at the server's memory.
func TestTenThousandConnections(t *testing.T) {
	const connections, devices = 10_000, 1000 // ten of each device
	s, f, _ := mqttServer(t, devices)
	var all sync.WaitGroup
	var in atomic.Int64
	room := make(chan struct{}, 64)
	conns := make([]net.Conn, connections)
	for i := range connections {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			c, err := greet(s.MQTT, machineID(i%devices), f.tokens[i%devices], strconv.Itoa(i))
			if err != nil {
				t.Errorf("connection %d: %v", i, err)
				return
			}
			conns[i] = c
			in.Add(1)
		})
	}
	all.Wait()
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kb int
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d connections; the server's memory was %d MiB at most", in.Load(), kb>>10)
	if in.Load() != connections || kb >= 1<<20 {
		t.Errorf("%d connections, %d KiB", in.Load(), kb)
	}
	// And it still serves.
	f.deliver(t.Context(), 0, f.tokens[0], "after", func(int) string { return s.URL })
	if f.n.Load() != 1 {
		t.Error("no report was taken beside the connections")
	}
}

// greet logs in and subscribes without a client: ten thousand of those would need
// more memory than the server.
func greet(at, id, token, session string) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", at, 10*time.Second)
	if err != nil {
		return nil, err
	}
	hello := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	hello.ProtocolName, hello.ProtocolVersion, hello.CleanSession, hello.Keepalive = "MQTT", 4, true, 600
	hello.ClientIdentifier, hello.UsernameFlag, hello.Username, hello.PasswordFlag, hello.Password = session, true, id, true, []byte(token)
	sub := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	sub.MessageID, sub.Topics, sub.Qoss = 1, []string{"vending/" + id + "/ack"}, []byte{0}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	for _, p := range []packets.ControlPacket{hello, sub} {
		if err := p.Write(c); err != nil {
			c.Close()
			return nil, err
		}
		answer, err := packets.ReadPacket(c)
		if err != nil {
			c.Close()
			return nil, err
		}
		if ack, ok := answer.(*packets.ConnackPacket); ok && ack.ReturnCode != 0 {
			c.Close()
			return nil, fmt.Errorf("refused with %d", ack.ReturnCode)
		}
	}
	return c, nil
}
