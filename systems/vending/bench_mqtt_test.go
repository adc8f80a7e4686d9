package vending

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"plumb/engines/devices"
	"plumb/engines/sqldb/sqldbtest"
)

// BenchmarkMQTT compares reports over MQTT with what the broker takes alone, and
// with what the same rows cost the database alone: one publish is in flight on each
// of 512 connections, as stock clients do. Clients and server share the processors.
func BenchmarkMQTT(b *testing.B) {
	const callers = 512
	for _, kind := range sqldbtest.Kinds() {
		b.Run(kind, func(b *testing.B) {
			h := benchHouse(b, kind)
			tokens := make([]string, 256)
			for i := range tokens {
				tokens[i] = h.enrol(fmt.Sprint("m-", i))
			}
			real := h.topics()
			nothing := []devices.Topic{{Realm: realm, Name: "report", Handle: func(context.Context, devices.Device, []byte) ([]byte, error) { return nil, nil }}}
			var next atomic.Int64
			for _, c := range []struct {
				name   string
				topics []devices.Topic
			}{{"mqtt", real}, {"broker", nothing}} {
				b.Run(c.name, func(b *testing.B) {
					d, err := devices.Open(context.Background(), devices.Needs{DB: h.n.DB, Bus: h.bus, Clock: h.clock, Log: h.n.Log, Who: h.n.Fleet}, devices.Config{}, c.topics...)
					if err != nil {
						b.Fatal(err)
					}
					defer d.Close(context.Background())
					if err := d.Listen("127.0.0.1:0", nil); err != nil {
						b.Fatal(err)
					}
					conns := make([]net.Conn, callers)
					for i := range conns {
						conns[i] = dialMQTT(b, d.Addresses()[0].String(), i, tokens[i%256])
						defer conns[i].Close()
					}
					var taken atomic.Int64
					b.SetParallelism(callers / runtime.GOMAXPROCS(0))
					b.ReportAllocs()
					b.ResetTimer()
					before := cpu()
					b.RunParallel(func(pb *testing.PB) {
						at := int(taken.Add(1)-1) % callers
						topic := fmt.Sprintf("vending/m-%d/report", at%256)
						for pb.Next() {
							publish(b, conns[at], topic, reportOf(fmt.Sprint("q-", next.Add(1))))
						}
					})
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
					b.ReportMetric((cpu()-before).Seconds()*1e6/float64(b.N), "cpu-µs/report")
				})
			}
			b.Run("database", func(b *testing.B) {
				b.SetParallelism(callers / runtime.GOMAXPROCS(0))
				before := cpu()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						n := next.Add(1)
						h.alone(b, fmt.Sprint("m-", n%256), n, 1)
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
				b.ReportMetric((cpu()-before).Seconds()*1e6/float64(b.N), "cpu-µs/report")
			})
		})
	}
}

// dialMQTT logs a machine in.
func dialMQTT(b *testing.B, at string, i int, token string) net.Conn {
	c, err := net.Dial("tcp", at)
	if err != nil {
		b.Fatal(err)
	}
	p := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion, p.CleanSession, p.Keepalive = "MQTT", 4, true, 600
	p.ClientIdentifier, p.UsernameFlag, p.Username, p.PasswordFlag, p.Password = fmt.Sprint("s-", i), true, fmt.Sprint("m-", i%256), true, []byte(token)
	if err := p.Write(c); err != nil {
		b.Fatal(err)
	}
	if answer, err := packets.ReadPacket(c); err != nil || answer.(*packets.ConnackPacket).ReturnCode != 0 {
		b.Fatal(answer, err)
	}
	return c
}

// publish sends a report and waits for its PUBACK.
func publish(b *testing.B, c net.Conn, topic string, report []byte) {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.Qos, p.MessageID, p.TopicName, p.Payload = 1, 1, topic, report
	var text bytes.Buffer
	if err := p.Write(&text); err != nil {
		b.Error(err)
		return
	}
	if _, err := c.Write(text.Bytes()); err != nil {
		b.Error(err)
		return
	}
	if _, err := packets.ReadPacket(c); err != nil {
		b.Error(err)
	}
}
