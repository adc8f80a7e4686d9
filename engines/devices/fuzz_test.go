package devices

import (
	"bytes"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// FuzzConnection sends bytes on a fresh connection, and behind a good greeting:
// the door stays open for others, and nobody speaks for another.
func FuzzConnection(f *testing.F) {
	pub := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	pub.Qos, pub.MessageID, pub.TopicName, pub.Payload = 1, 7, "vending/m-1/report", []byte("hello")
	var good bytes.Buffer
	if err := pub.Write(&good); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes(), true)
	f.Add(bytes.Replace(good.Bytes(), []byte("m-1"), []byte("m-2"), 1), true)
	f.Add(good.Bytes(), false)
	f.Add([]byte{0x30, 0x02, 0x00, 0x00}, true)             // no topic
	f.Add([]byte{0x82, 0x03, 0x00, 0x01, 0x00}, true)       // subscribe, cut
	f.Add([]byte{0xc0, 0x00, 0xe0, 0x00}, true)             // ping, goodbye
	f.Add([]byte{0x10, 0xff, 0xff, 0xff, 0xff, 0x7f}, true) // a length without end
	f.Add([]byte{0x62, 0x02, 0x00, 0x01, 0x50, 0x02, 0x00, 0x01}, true)
	h := open(f, sqlite(f), Config{Patience: 200 * time.Millisecond, Packet: 8192}, nil)
	f.Fuzz(func(t *testing.T, text []byte, known bool) {
		c := h.dial(t)
		if known {
			text = append(hello(t, "m-1", 1), text...)
		}
		if _, err := c.Write(text); err != nil {
			return // it was ended already
		}
		time.Sleep(time.Millisecond)
		c.Close()
		for _, said := range h.heard.all() {
			if len(said) < 5 || said[:5] != "m-1: " {
				t.Fatalf("the room heard %q", said)
			}
		}
		h.heard.mu.Lock()
		h.heard.list = nil
		h.heard.mu.Unlock()
	})
}
