package devices

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"go.uber.org/goleak"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/bus"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// A cache of prepared statements; paho's keepalive, which ends within its interval;
		// and a client of paho's that was told to go while it waited a second to call again.
		goleak.IgnoreTopFunction("github.com/eclipse/paho%2emqtt%2egolang.keepalive"),
		goleak.IgnoreAnyFunction("github.com/eclipse/paho%2emqtt%2egolang.(*client).reconnect"),
		goleak.IgnoreAnyFunction("github.com/eclipse/paho%2emqtt%2egolang.(*client).Disconnect.func1"),
		goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

// people lets m-1 to m-9 in, each with the secret "secret-" and its id, or with a
// certificate in its name.
type people struct{}

func (people) Device(_ context.Context, user, password string, cert *x509.Certificate) (Device, error) {
	if cert != nil {
		return Device{"vending", cert.Subject.CommonName}, nil
	}
	if len(user) == 3 && password == "secret-"+user {
		return Device{"vending", user}, nil
	}
	return Device{}, errs.New(errs.Unknown, "nobody has this secret")
}

// said is what a room heard.
type said struct {
	mu   sync.Mutex
	list []string
}

func (s *said) add(d Device, text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, d.ID+": "+string(text))
}

func (s *said) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.list...)
}

// door is an open door and what came through it.
type door struct {
	*Devices
	at    string
	heard *said
	bus   bus.Bus
	clock *clock.Manual
}

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// open opens a door whose room answers with "got" and the message; handle, where
// not nil, decides instead.
func open(t testing.TB, db *sqldb.DB, c Config, handle func(ctx context.Context, d Device, text []byte) ([]byte, error)) *door {
	t.Helper()
	h := &door{heard: &said{}, bus: bus.Memory(), clock: clock.NewManual(noon)}
	if c.Penalty == 0 {
		c.Penalty = time.Millisecond
	}
	topic := Topic{Realm: "vending", Name: "report", Handle: func(ctx context.Context, d Device, text []byte) ([]byte, error) {
		h.heard.add(d, text)
		if handle != nil {
			return handle(ctx, d, text)
		}
		return append([]byte("got "), text...), nil
	}}
	var err error
	h.Devices, err = Open(context.Background(), Needs{DB: db, Bus: h.bus, Clock: h.clock, Log: slog.New(slog.DiscardHandler), Who: people{}}, c, topic)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Listen("127.0.0.1:0", nil); err != nil {
		t.Fatal(err)
	}
	h.at = h.Addresses()[0].String()
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
		defer stop()
		if err := h.Close(ctx); err != nil {
			t.Error(err)
		}
		h.bus.Close()
	})
	return h
}

// sqlite is a database for tests in which it makes no difference.
func sqlite(t testing.TB) *sqldb.DB { return sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{}) }

// client is a stock client's options.
func (h *door) client(id string) *paho.ClientOptions {
	return paho.NewClientOptions().AddBroker("tcp://" + h.at).SetClientID(id).SetUsername(id).SetPassword("secret-" + id).
		SetAutoReconnect(false).SetConnectTimeout(5 * time.Second).SetKeepAlive(time.Second).SetMaxReconnectInterval(50 * time.Millisecond)
}

func connect(t testing.TB, o *paho.ClientOptions) paho.Client {
	t.Helper()
	c := paho.NewClient(o)
	done(t, c.Connect())
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

func done(t testing.TB, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(5 * time.Second) {
		t.Fatal("no answer in 5 s")
	}
	if err := token.Error(); err != nil {
		t.Fatal(err)
	}
}

// until waits for what is to come true.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after 10 s it is not so that %s", what)
		}
	}
}

// listen subscribes and returns what comes.
func listen(t testing.TB, c paho.Client, topic string) <-chan string {
	t.Helper()
	got := make(chan string, 100)
	done(t, c.Subscribe(topic, 1, func(_ paho.Client, m paho.Message) { got <- string(m.Payload()) }))
	return got
}

func next(t testing.TB, from <-chan string) string {
	t.Helper()
	select {
	case text := <-from:
		return text
	case <-time.After(5 * time.Second):
		t.Fatal("nothing came in 5 s")
		return ""
	}
}

// A stock client deletes a message at PUBACK: so that comes after the room says
// that the message is durable, and the answer before it.
func TestPubackFollowsTheRoom(t *testing.T) {
	release := make(chan struct{})
	h := open(t, sqlite(t), Config{}, func(_ context.Context, _ Device, text []byte) ([]byte, error) {
		<-release
		return []byte("got it"), nil
	})
	c := connect(t, h.client("m-1"))
	answers := listen(t, c, "vending/m-1/ack")
	token := c.Publish("vending/m-1/report", 1, false, "r-1")
	until(t, "the room has the message", func() bool { return len(h.heard.all()) == 1 })
	if token.WaitTimeout(300 * time.Millisecond) {
		t.Fatal("the client was told PUBACK before the room was done")
	}
	close(release)
	done(t, token)
	if got := next(t, answers); got != "got it" {
		t.Errorf("the answer is %q", got)
	}
}

// A message that the room could not take is not acknowledged; the connection ends,
// and the client brings the message again by itself.
func TestARefusedMessageComesAgain(t *testing.T) {
	var mu sync.Mutex
	refuse := 2
	h := open(t, sqlite(t), Config{}, func(context.Context, Device, []byte) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		if refuse--; refuse >= 0 {
			return []byte("busy"), errs.TryAfter(time.Second, "busy")
		}
		return nil, nil
	})
	c := connect(t, h.client("m-1").SetCleanSession(false).SetAutoReconnect(true).SetConnectRetry(true).SetConnectRetryInterval(20*time.Millisecond))
	token := c.Publish("vending/m-1/report", 1, false, "r-1")
	until(t, "the room took the message", func() bool { return len(h.heard.all()) == 3 })
	if got := h.heard.all(); got[0] != "m-1: r-1" || got[1] != got[0] || got[2] != got[0] {
		t.Errorf("the room heard %q", got)
	}
	token.WaitTimeout(5 * time.Second)
	time.Sleep(300 * time.Millisecond) // taken, it comes no more
	if n := len(h.heard.all()); n != 3 {
		t.Errorf("the room heard it %d times", n)
	}
}

func TestForbiddenTopicsEndTheConnection(t *testing.T) {
	h := open(t, sqlite(t), Config{}, nil)
	for what, do := range map[string]func(c paho.Client) paho.Token{
		"another's report":      func(c paho.Client) paho.Token { return c.Publish("vending/m-2/report", 1, false, "x") },
		"another realm":         func(c paho.Client) paho.Token { return c.Publish("arcade/m-1/report", 1, false, "x") },
		"an answer":             func(c paho.Client) paho.Token { return c.Publish("vending/m-1/ack", 1, false, "x") },
		"a command":             func(c paho.Client) paho.Token { return c.Publish("vending/m-1/cmd", 1, false, "x") },
		"an unknown topic":      func(c paho.Client) paho.Token { return c.Publish("vending/m-1/other", 1, false, "x") },
		"the broker's own":      func(c paho.Client) paho.Token { return c.Publish("$SYS/broker/uptime", 1, false, "x") },
		"hearing another":       func(c paho.Client) paho.Token { return c.Subscribe("vending/m-2/ack", 1, nil) },
		"hearing everything":    func(c paho.Client) paho.Token { return c.Subscribe("#", 1, nil) },
		"hearing all machines":  func(c paho.Client) paho.Token { return c.Subscribe("vending/+/ack", 1, nil) },
		"hearing the reports":   func(c paho.Client) paho.Token { return c.Subscribe("vending/m-1/report", 1, nil) },
		"a shared subscription": func(c paho.Client) paho.Token { return c.Subscribe("$share/x/vending/m-2/ack", 1, nil) },
	} {
		t.Run(what, func(t *testing.T) {
			lost := make(chan struct{})
			c := connect(t, h.client("m-1").SetConnectionLostHandler(func(paho.Client, error) { close(lost) }))
			do(c)
			select {
			case <-lost:
			case <-time.After(5 * time.Second):
				t.Error("the connection goes on")
			}
		})
	}
	if got := h.heard.all(); len(got) != 0 {
		t.Errorf("the room heard %q", got)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	h := open(t, sqlite(t), Config{}, nil)
	for what, o := range map[string]*paho.ClientOptions{
		"a wrong secret": h.client("m-1").SetPassword("secret-m-2"),
		"no name":        h.client("m-1").SetUsername("").SetPassword(""),
		"unknown":        h.client("nobody-at-all"),
	} {
		token := paho.NewClient(o).Connect()
		if !token.WaitTimeout(5*time.Second) || token.Error() == nil {
			t.Errorf("%s: let in", what)
		}
	}
	c := connect(t, h.client("m-1"))
	done(t, c.Publish("vending/m-1/report", 1, false, "r-1"))
}

// Whoever lost its right is disconnected at once.
func TestDropEndsLiveConnections(t *testing.T) {
	h := open(t, sqlite(t), Config{}, nil)
	lost := make(chan struct{}, 2)
	gone := func(paho.Client, error) { lost <- struct{}{} }
	connect(t, h.client("m-1").SetConnectionLostHandler(gone))
	connect(t, h.client("m-1").SetClientID("another session").SetConnectionLostHandler(gone))
	other := connect(t, h.client("m-2"))
	h.Drop(Device{"vending", "m-1"})
	for range 2 {
		select {
		case <-lost:
		case <-time.After(5 * time.Second):
			t.Fatal("a connection goes on")
		}
	}
	done(t, other.Publish("vending/m-2/report", 1, false, "r-1"))
}

// dial opens a connection without a client.
func (h *door) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", h.at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// hello is a CONNECT packet.
func hello(t testing.TB, id string, keepalive uint16) []byte {
	t.Helper()
	p := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion, p.CleanSession, p.Keepalive = "MQTT", 4, true, keepalive
	p.ClientIdentifier, p.UsernameFlag, p.Username, p.PasswordFlag, p.Password = id, true, id, true, []byte("secret-"+id)
	return text(t, p)
}

func text(t testing.TB, p packets.ControlPacket) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// ended says whether the other side closes within a time.
func ended(c net.Conn, within time.Duration) bool {
	c.SetReadDeadline(time.Now().Add(within))
	_, err := io.Copy(io.Discard, c)
	var slow net.Error
	return !(errors.As(err, &slow) && slow.Timeout())
}

// Connections that say nothing, or only the beginning of something, end.
func TestHalfOpenConnectionsEnd(t *testing.T) {
	h := open(t, sqlite(t), Config{Patience: 300 * time.Millisecond, Keepalive: time.Second}, nil)
	for what, first := range map[string][]byte{
		"silence":            nil,
		"half a greeting":    hello(t, "m-1", 60)[:9],
		"a length of 256 MB": {0x10, 0xff, 0xff, 0xff, 0x7f},
		"not MQTT":           []byte("GET / HTTP/1.1\r\n\r\n"),
	} {
		c := h.dial(t)
		if _, err := c.Write(first); err != nil {
			t.Fatal(err)
		}
		if !ended(c, 5*time.Second) {
			t.Errorf("%s: the connection goes on", what)
		}
	}
	// Logged in, and silent for longer than the keepalive allows: which is the
	// house's, where the device asks for a longer one.
	for _, wish := range []uint16{1, 3600, 0} {
		c := h.dial(t)
		if _, err := c.Write(hello(t, "m-1", wish)); err != nil {
			t.Fatal(err)
		}
		if !ended(c, 8*time.Second) {
			t.Errorf("a silent device with a keepalive of %d s stays", wish)
		}
	}
	until(t, "all connections are forgotten", func() bool { return h.open.Load() == 0 })
}

func TestLargePacketsEndTheConnection(t *testing.T) {
	h := open(t, sqlite(t), Config{Packet: 4096}, nil)
	lost := make(chan struct{})
	c := connect(t, h.client("m-1").SetConnectionLostHandler(func(paho.Client, error) { close(lost) }))
	done(t, c.Publish("vending/m-1/report", 1, false, make([]byte, 4000)))
	c.Publish("vending/m-1/report", 1, false, make([]byte, 100_000))
	select {
	case <-lost:
	case <-time.After(5 * time.Second):
		t.Error("the connection goes on")
	}
	if n := len(h.heard.all()); n != 1 {
		t.Errorf("the room heard %d messages", n)
	}
}

func TestConnectionsAreCounted(t *testing.T) {
	h := open(t, sqlite(t), Config{Connections: 3}, nil)
	var list []net.Conn
	for i := range 3 {
		c := h.dial(t)
		if _, err := c.Write(hello(t, fmt.Sprint("m-", i+1), 60)); err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	until(t, "three are in", func() bool { return h.open.Load() == 3 })
	if c := h.dial(t); !ended(c, 5*time.Second) {
		t.Error("a fourth connection is held")
	}
	list[0].Close()
	until(t, "one has left", func() bool { return h.open.Load() == 2 })
	connect(t, h.client("m-4"))
}

// A device has a bound of its own, so that one with a fault does not take the
// others' places.
func TestADeviceHasABoundOfItsOwn(t *testing.T) {
	h := open(t, sqlite(t), Config{}, nil)
	in := 0
	for i := range perDevice + 4 {
		c := paho.NewClient(h.client("m-1").SetClientID(fmt.Sprint("session-", i)))
		token := c.Connect()
		token.WaitTimeout(5 * time.Second)
		if token.Error() == nil {
			in++
			t.Cleanup(func() { c.Disconnect(0) })
		}
	}
	if in != perDevice {
		t.Errorf("%d connections of one device", in)
	}
	connect(t, h.client("m-2"))
}

// Who does not read its answers keeps nobody else waiting, and its connection
// takes a bounded memory.
func TestASlowReaderKeepsNobodyWaiting(t *testing.T) {
	h := open(t, sqlite(t), Config{}, func(context.Context, Device, []byte) ([]byte, error) { return make([]byte, 100_000), nil })
	slow := h.dial(t)
	sub := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	sub.MessageID, sub.Topics, sub.Qoss = 1, []string{"vending/m-1/ack"}, []byte{0}
	if _, err := slow.Write(append(hello(t, "m-1", 600), text(t, sub)...)); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; ; i++ {
			p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
			p.Qos, p.MessageID, p.TopicName, p.Payload = 1, uint16(i%60000+1), "vending/m-1/report", []byte("r")
			slow.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
			if _, err := slow.Write(text(t, p)); err != nil || i > 2000 {
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	c := connect(t, h.client("m-2"))
	for i := range 20 {
		done(t, c.Publish("vending/m-2/report", 1, false, fmt.Sprint("r-", i)))
	}
	close(stop)
	slow.Close()
	writer.Wait()
}

// What is being handled when the house goes down is done, and acknowledged.
func TestCloseDrains(t *testing.T) {
	release := make(chan struct{})
	h := open(t, sqlite(t), Config{}, func(context.Context, Device, []byte) ([]byte, error) { <-release; return nil, nil })
	c := connect(t, h.client("m-1"))
	token := c.Publish("vending/m-1/report", 1, false, "r-1")
	until(t, "the room has the message", func() bool { return len(h.heard.all()) == 1 })
	closed := make(chan error, 1)
	go func() { closed <- h.Close(context.Background()) }()
	select {
	case <-closed:
		t.Fatal("it closed before the message was handled")
	case <-time.After(200 * time.Millisecond):
	}
	close(release)
	done(t, token)
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
}

func TestBadTopicsAreRefused(t *testing.T) {
	handle := func(context.Context, Device, []byte) ([]byte, error) { return nil, nil }
	b := bus.Memory()
	defer b.Close()
	for _, topic := range []Topic{{"", "report", handle}, {"vending", "a/b", handle}, {"vending", "#", handle}, {"vending", "report", nil}, {"vending", "ack", handle}, {"vending", "cmd", handle}} {
		if _, err := Open(context.Background(), Needs{DB: sqlite(t), Bus: b, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler), Who: people{}}, Config{}, topic); err == nil {
			t.Errorf("%s/%s was taken", topic.Realm, topic.Name)
		}
	}
}
