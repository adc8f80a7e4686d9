package devices

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"plumb/base/errs"
)

// What a device may hear.
const (
	topicAck     = "ack"
	topicCommand = "cmd"
)

var (
	notAuthorized = packets.ErrNotAuthorized
	serverBusy    = packets.ErrServerBusy
)

// visitor is a connection that has logged in.
type visitor struct {
	who  Device
	sent map[uint16]string // packet -> id of the command in it; guarded by Devices.mu
}

// hook is what the broker asks.
type hook struct {
	mqtt.HookBase
	d *Devices
}

func (h *hook) ID() string { return "devices" }

func (h *hook) Provides(b byte) bool {
	return bytes.IndexByte([]byte{mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnPublish,
		mqtt.OnSubscribed, mqtt.OnQosPublish, mqtt.OnQosComplete}, b) >= 0
}

// OnConnect takes away what devices do not need: wills, sessions that outlast the
// connection, and silences without end.
func (h *hook) OnConnect(cl *mqtt.Client, _ packets.Packet) error {
	cl.Properties.Will = mqtt.Will{}
	cl.Properties.Clean = true
	if most := uint16(h.d.c.Keepalive / time.Second); cl.State.Keepalive == 0 || cl.State.Keepalive > most {
		cl.State.Keepalive, cl.State.ServerKeepalive = most, true
	}
	return nil
}

// OnConnectAuthenticate says who logs in.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	ctx, cancel := context.WithTimeout(context.Background(), handleTime)
	defer cancel()
	who, err := h.d.n.Who.Device(ctx, string(pk.Connect.Username), string(pk.Connect.Password), certificate(cl))
	if err != nil {
		reason := "unknown"
		if k := errs.KindOf(err); k != errs.Unknown && k != errs.Denied && k != errs.NotFound {
			reason = "failed"
			h.d.n.Log.Warn("a device could not be looked up", "remote", cl.Net.Remote, "error", err)
		}
		h.d.measures.refused.WithLabelValues(reason).Inc()
		// Secrets cannot be guessed, but a device that tries without end should
		// not keep the database busy.
		time.Sleep(h.d.c.Penalty)
		return false
	}
	// Names of sessions are the device's own affair: nobody takes over another's.
	cl.ID = who.Key() + "/" + cl.ID
	if !h.d.enter(cl, who) {
		h.d.measures.refused.WithLabelValues("many").Inc()
		return false
	}
	return true
}

// enter notes a connection of a device until it closes, unless it has too many.
func (d *Devices) enter(cl *mqtt.Client, who Device) bool {
	key, conn := who.Key(), under(cl.Net.Conn)
	d.mu.Lock()
	defer d.mu.Unlock()
	if conn == nil || len(d.here[key]) >= perDevice {
		return false
	}
	if d.here[key] == nil {
		d.here[key] = map[*mqtt.Client]*visitor{}
	}
	d.here[key][cl] = &visitor{who: who, sent: map[uint16]string{}}
	conn.left = func() {
		if delete(d.here[key], cl); len(d.here[key]) == 0 {
			delete(d.here, key)
		}
	}
	return true
}

// perDevice is how many connections one device may have at once: one that lost
// its line comes again before the old connection is found dead.
const perDevice = 16

// certificate returns the client certificate that the listener verified.
func certificate(cl *mqtt.Client) *x509.Certificate {
	c, ok := cl.Net.Conn.(*tls.Conn)
	if !ok {
		return nil
	}
	if chains := c.ConnectionState().VerifiedChains; len(chains) > 0 {
		return chains[0][0]
	}
	return nil
}

// visitor returns who is behind a connection; nil for none that logged in.
func (h *hook) visitor(cl *mqtt.Client) *visitor {
	realm, rest, _ := strings.Cut(cl.ID, "/")
	id, _, _ := strings.Cut(rest, "/")
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	return h.d.here[realm+"/"+id][cl]
}

// OnACLCheck lets a device say its realm's topics, and hear its own answers and
// commands. Who tries anything else is cut off.
func (h *hook) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	v := h.visitor(cl)
	if v == nil {
		return false
	}
	name, own := strings.CutPrefix(topic, v.who.Key()+"/")
	if own && write {
		_, own = h.d.topics[v.who.Realm+"/"+name]
	} else if own {
		own = name == topicAck || name == topicCommand
	}
	if !own {
		h.d.measures.messages.WithLabelValues("forbidden").Inc()
		part(cl, notAuthorized)
	}
	return own
}

// part ends a connection, with a reason where the protocol has one.
func part(cl *mqtt.Client, why packets.Code) {
	if cl.Properties.ProtocolVersion >= 5 {
		_ = cl.WritePacket(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}, ReasonCode: why.Code})
	}
	cl.Stop(why)
}

// OnPublish hands a message to its room. Whatever is returned decides about the
// PUBACK: only ErrRejectPacket prevents it in every version of the protocol, and
// CodeSuccessIgnore keeps the message from being passed on.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil // ours
	}
	v := h.visitor(cl)
	if v == nil || !h.d.begin() {
		return pk, packets.ErrRejectPacket
	}
	defer h.d.running.Done()
	_, name, _ := strings.Cut(pk.TopicName[len(v.who.Realm)+1:], "/")
	topic, ok := h.d.topics[v.who.Realm+"/"+name]
	if !ok {
		return pk, packets.ErrRejectPacket
	}
	ctx, cancel := context.WithTimeout(context.Background(), handleTime)
	defer cancel()
	from := h.d.n.Clock.Now()
	answer, err := topic.Handle(ctx, v.who, pk.Payload)
	h.d.measures.seconds.Observe(h.d.n.Clock.Now().Sub(from).Seconds())
	if answer != nil {
		_ = h.d.broker.Publish(v.who.Key()+"/"+topicAck, answer, false, 0)
	}
	if err == nil {
		h.d.measures.messages.WithLabelValues("taken").Inc()
		return pk, packets.CodeSuccessIgnore
	}
	h.d.measures.messages.WithLabelValues("refused").Inc()
	if errs.Is(err, errs.Internal) {
		h.d.n.Log.Error("a device's message was not taken", "device", v.who.Key(), "topic", name, "error", err)
	}
	// After a moment, so that the answer gets out: a stock client comes again and
	// brings the message, where it would wait for ever on an open connection.
	time.AfterFunc(partTime, func() { part(cl, serverBusy) })
	return pk, packets.ErrRejectPacket
}

// OnSubscribed offers the commands that wait, when a device begins to listen.
func (h *hook) OnSubscribed(cl *mqtt.Client, pk packets.Packet, reasons []byte) {
	v := h.visitor(cl)
	if v == nil {
		return
	}
	for i, f := range pk.Filters {
		if f.Filter == v.who.Key()+"/"+topicCommand && i < len(reasons) && reasons[i] < packets.ErrUnspecifiedError.Code {
			go h.d.offer(v.who.Key())
			return
		}
	}
}

// OnQosPublish notes which command left in which packet.
func (h *hook) OnQosPublish(cl *mqtt.Client, pk packets.Packet, _ int64, _ int) {
	if pk.FixedHeader.Type != packets.Publish {
		return
	}
	v := h.visitor(cl)
	if v == nil || pk.TopicName != v.who.Key()+"/"+topicCommand {
		return
	}
	var c struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(pk.Payload, &c) != nil {
		return
	}
	h.d.mu.Lock()
	v.sent[pk.PacketID] = c.ID
	h.d.mu.Unlock()
}

// OnQosComplete hears that a device has a command.
func (h *hook) OnQosComplete(cl *mqtt.Client, pk packets.Packet) {
	if pk.FixedHeader.Type != packets.Puback {
		return
	}
	v := h.visitor(cl)
	if v == nil {
		return
	}
	h.d.mu.Lock()
	id, ok := v.sent[pk.PacketID]
	delete(v.sent, pk.PacketID)
	h.d.mu.Unlock()
	if ok {
		go h.d.delivered(v.who, id)
	}
}
