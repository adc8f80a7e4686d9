// Package devices is the door for machines that speak MQTT (3.1.1 and 5): who
// they are, what they may say, and when they are told that it was heard.
//
//	d, err := devices.Open(ctx, devices.Needs{DB: db, Bus: b, Clock: clock.System{}, Log: log, Who: fleet},
//		devices.Config{}, devices.Topic{Realm: "vending", Name: "report", Handle: s.fromDevice})
//	err = d.Listen("127.0.0.1:1883", nil)
//	...
//	err = d.Close(ctx) // drains
//
// A device logs in with its id and secret, or with a client certificate, and may
// publish on REALM/ID/NAME for the topics that rooms declare, and hear REALM/ID/ack
// and REALM/ID/cmd; anything else ends its connection.
//
// What holds:
//   - A stock client deletes a message when it is told PUBACK. So PUBACK follows
//     Handle, which returns when the message is durable. Where it returns an error
//     there is none, and the connection ends: the client keeps the message and
//     brings it again.
//   - A device whose standing changed (Drop) is disconnected by every process.
//   - Nothing is kept for a device that is away but its commands, which are in SQL
//     and are delivered at least once: see Send.
//   - Memory is bounded: connections, the size of packets, what waits for a slow
//     reader. A connection that says nothing ends.
//
// The broker is github.com/mochi-mqtt/server (MIT), whose OnPublish hook runs
// before the PUBACK.
package devices

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"embed"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/bus"
	"plumb/engines/sqldb"
)

//go:embed schema/*.sql
var schema embed.FS

// Device is who called.
type Device struct {
	Realm string // the room that it belongs to
	ID    string // as ids.Name
}

// Key is how the house names the device in logs and on the bus.
func (d Device) Key() string { return d.Realm + "/" + d.ID }

// deviceOf undoes Key.
func deviceOf(key string) Device {
	realm, id, _ := strings.Cut(key, "/")
	return Device{realm, id}
}

// Authenticator says who logs in: with a user name and a password, or with a
// certificate that the listener has verified (nil: none). Errors: Unknown for bad
// credentials.
type Authenticator interface {
	Device(ctx context.Context, user, password string, cert *x509.Certificate) (Device, error)
}

// Topic is one thing that devices of a realm may say, on REALM/ID/Name.
type Topic struct {
	Realm, Name string
	// Handle takes a message, and returns when it is durable. The answer is sent
	// to REALM/ID/ack, for whoever of that device listens; nil: none. An error
	// means that the message was not taken: the device must bring it again.
	Handle func(ctx context.Context, d Device, payload []byte) (answer []byte, err error)
}

// Needs is what the engine is given.
type Needs struct {
	DB    *sqldb.DB
	Bus   bus.Bus
	Clock clock.Clock
	Log   *slog.Logger
	Who   Authenticator
}

// Config bounds what devices may take. Zero values are replaced by the defaults.
type Config struct {
	Connections int           // at once, logged in or not; 50,000
	Packet      int           // bytes of a message; 256 KiB
	Keepalive   time.Duration // the longest silence that a device may ask for; 10 min
	Patience    time.Duration // for the first packet of a connection; 10 s
	Penalty     time.Duration // before a failed log-in is answered; 1 s
}

func (c Config) filled() Config {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	if c.Connections == 0 {
		c.Connections = 50_000
	}
	if c.Packet == 0 {
		c.Packet = 256 << 10
	}
	set(&c.Keepalive, 10*time.Minute)
	set(&c.Patience, 10*time.Second)
	set(&c.Penalty, time.Second)
	return c
}

const (
	handleTime = 30 * time.Second // of one message, at most
	waiting    = 32               // packets for a slow reader, before the newest are dropped
	inflight   = 64               // commands that a device has not acknowledged
	partTime   = 250 * time.Millisecond
	subject    = "devices.command" // data: the key of a device for which a command waits
)

// Devices is the door. It is safe for concurrent use.
type Devices struct {
	n        Needs
	c        Config
	topics   map[string]Topic // by realm/name
	broker   *mqtt.Server
	measures measures
	stop     func() // ends the subscription

	open    atomic.Int64 // connections
	closing atomic.Bool
	running sync.WaitGroup // handles

	mu    sync.Mutex
	here  map[string]map[*mqtt.Client]*visitor // device's key -> its connections
	addrs []net.Addr
}

// Open makes the tables and starts the broker, which listens nowhere yet. Errors:
// a topic without a realm, a name or a handler.
func Open(ctx context.Context, n Needs, c Config, topics ...Topic) (*Devices, error) {
	d := &Devices{n: n, c: c.filled(), topics: map[string]Topic{}, here: map[string]map[*mqtt.Client]*visitor{}}
	for _, t := range topics {
		if ids.Name("realm", t.Realm) != nil || ids.Name("topic", t.Name) != nil || t.Handle == nil || t.Name == topicAck || t.Name == topicCommand {
			return nil, errs.New(errs.Internal, "open devices: topic %q of %q is not sound", t.Name, t.Realm)
		}
		d.topics[t.Realm+"/"+t.Name] = t
	}
	if err := Tables(ctx, n.DB); err != nil {
		return nil, err
	}
	d.measures = newMeasures(d)
	d.broker = mqtt.New(&mqtt.Options{
		Capabilities: &mqtt.Capabilities{
			MaximumClients:               int64(d.c.Connections),
			MaximumMessageExpiryInterval: int64(time.Hour / time.Second),
			MaximumClientWritesPending:   waiting,
			MaximumPacketSize:            uint32(d.c.Packet) + 1024, // room for the topic and the header
			ReceiveMaximum:               16,
			MaximumInflight:              inflight,
			MinimumProtocolVersion:       4,
			MaximumQos:                   1,
		},
		ClientNetReadBufferSize:  2048,
		ClientNetWriteBufferSize: 1024,
		Logger:                   slog.New(slog.DiscardHandler), // it writes packets, and so secrets
		InlineClient:             true,
		SysTopicResendInterval:   3600,
	})
	if err := d.broker.AddHook(&hook{d: d}, nil); err != nil {
		return nil, fmt.Errorf("open devices: %w", err)
	}
	if err := d.broker.Serve(); err != nil {
		return nil, fmt.Errorf("open devices: %w", err)
	}
	stop, err := n.Bus.Subscribe(subject, func(_ string, data []byte) { d.offer(string(data)) })
	if err != nil {
		return nil, fmt.Errorf("open devices: %w", err)
	}
	d.stop = stop
	return d, nil
}

// Tables makes the tables of the outbox, for a room that sends commands and is
// opened before the door.
func Tables(ctx context.Context, db *sqldb.DB) error {
	if err := db.Migrate(ctx, "devices", schema); err != nil {
		return fmt.Errorf("open devices: %w", err)
	}
	return nil
}

// Listen opens a listener; with a configuration, one that speaks TLS. Errors:
// Invalid when the address cannot be used.
func (d *Devices) Listen(address string, conf *tls.Config) error {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "listen for MQTT on %s", address)
	}
	d.mu.Lock()
	d.addrs = append(d.addrs, ln.Addr())
	name := fmt.Sprintf("mqtt-%d", len(d.addrs))
	d.mu.Unlock()
	ln = &bounded{Listener: ln, d: d}
	if conf != nil {
		ln = tls.NewListener(ln, conf)
	}
	if err := d.broker.AddListener(listeners.NewNet(name, ln)); err != nil {
		ln.Close()
		return fmt.Errorf("listen for MQTT on %s: %w", address, err)
	}
	// The broker starts only those listeners itself that it had when it began.
	l, _ := d.broker.Listeners.Get(name)
	go l.Serve(d.broker.EstablishConnection)
	return nil
}

// Addresses returns where the door listens, in the order of Listen.
func (d *Devices) Addresses() []net.Addr {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]net.Addr(nil), d.addrs...)
}

// Drop ends the connections that a device has with this process: its standing
// changed, and it has to log in again.
func (d *Devices) Drop(who Device) {
	d.mu.Lock()
	var list []*mqtt.Client
	for cl := range d.here[who.Key()] {
		list = append(list, cl)
	}
	d.mu.Unlock()
	for _, cl := range list {
		part(cl, notAuthorized)
	}
}

// Close takes no new message, lets those that are being handled end (and be
// acknowledged) for as long as ctx allows, and ends all connections.
// Closed a second time it does nothing.
func (d *Devices) Close(ctx context.Context) error {
	d.mu.Lock()
	before := d.closing.Swap(true) // under the lock: who began before is waited for
	d.mu.Unlock()
	if before {
		return nil
	}
	d.stop()
	done := make(chan struct{})
	go func() { d.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	return d.broker.Close()
}

// begin is called before a message is handled; false: the door is closing.
func (d *Devices) begin() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closing.Load() {
		return false
	}
	d.running.Add(1)
	return true
}
