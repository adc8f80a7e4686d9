package devices

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

var m1 = Device{"vending", "m-1"}

// send puts a command into the outbox.
func (h *door) send(t *testing.T, db *sqldb.DB, to Device, name string, lasts time.Duration) string {
	t.Helper()
	now := h.clock.Now()
	id := ids.New(now)
	err := db.Write(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
		return Send(ctx, tx, to, Command{ID: id, Name: name, Body: json.RawMessage(`{"n":1}`), Sent: now, Expires: now.Add(lasts)})
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Announce(context.Background(), to)
	return id
}

// state is the word for a command, as the history has it.
func (h *door) state(t *testing.T, db *sqldb.DB, to Device, id string) (state string) {
	t.Helper()
	err := db.Read(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
		list, err := History(ctx, tx, to)
		for _, c := range list {
			if c.ID == id {
				state = c.State(h.clock.Now())
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// A command waits for a device that is away, comes when it listens, comes at once
// where it does, and is done when the device has acknowledged it.
func TestCommandsAreDelivered(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := open(t, db, Config{}, nil)
		early := h.send(t, db, m1, "reboot", time.Hour)
		over := h.send(t, db, m1, "old", time.Second)
		h.clock.Advance(2 * time.Second)
		if s := h.state(t, db, m1, early) + " " + h.state(t, db, m1, over); s != "waiting expired" {
			t.Fatal(s)
		}
		c := connect(t, h.client("m-1"))
		got := listen(t, c, "vending/m-1/cmd")
		var cmd wire
		if err := json.Unmarshal([]byte(next(t, got)), &cmd); err != nil || cmd.ID != early || cmd.Name != "reboot" || string(cmd.Body) != `{"n":1}` {
			t.Fatalf("%+v, %v", cmd, err)
		}
		until(t, "it is delivered", func() bool { return h.state(t, db, m1, early) == "delivered" })
		late := h.send(t, db, m1, "sync", time.Hour)
		if err := json.Unmarshal([]byte(next(t, got)), &cmd); err != nil || cmd.ID != late {
			t.Fatalf("%+v, %v", cmd, err)
		}
		until(t, "it is delivered", func() bool { return h.state(t, db, m1, late) == "delivered" })
		h.send(t, db, Device{"vending", "m-2"}, "not for m-1", time.Hour)
		c.Disconnect(0)
		again := connect(t, h.client("m-1"))
		select {
		case text := <-listen(t, again, "vending/m-1/cmd"):
			t.Errorf("it came again: %s", text)
		case <-time.After(300 * time.Millisecond):
		}
		err := db.Write(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
			if err := Done(ctx, tx, m1, late, h.clock.Now()); !errs.Is(err, errs.NotFound) {
				t.Errorf("done twice: %v", err)
			}
			return Prune(ctx, tx, h.clock.Now())
		})
		if err != nil {
			t.Fatal(err)
		}
		if s := h.state(t, db, m1, over); s != "" {
			t.Errorf("after pruning the old command is %s", s)
		}
	})
}

// A device that dies before its PUBACK gets the command again.
func TestACommandComesAgainUntilItIsAcknowledged(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := open(t, db, Config{}, nil)
		id := h.send(t, db, m1, "reboot", time.Hour)
		sub := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
		sub.MessageID, sub.Topics, sub.Qoss = 1, []string{"vending/m-1/cmd"}, []byte{1}
		for range 2 {
			c := h.dial(t)
			if _, err := c.Write(append(hello(t, "m-1", 60), text(t, sub)...)); err != nil {
				t.Fatal(err)
			}
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			for {
				p, err := packets.ReadPacket(c)
				if err != nil {
					t.Fatal(err)
				}
				if m, ok := p.(*packets.PublishPacket); ok {
					var cmd wire
					if err := json.Unmarshal(m.Payload, &cmd); err != nil || cmd.ID != id {
						t.Fatalf("%s, %v", m.Payload, err)
					}
					break
				}
			}
			c.Close() // without an answer
			if s := h.state(t, db, m1, id); s != "waiting" {
				t.Fatalf("it is %s without an acknowledgement", s)
			}
		}
		next(t, listen(t, connect(t, h.client("m-1")), "vending/m-1/cmd"))
		until(t, "it is delivered", func() bool { return h.state(t, db, m1, id) == "delivered" })
	})
}

// Two processes: whoever sends tells the other, which holds the connection.
func TestACommandReachesTheProcessThatHoldsTheDevice(t *testing.T) {
	db := sqlite(t)
	here, there := open(t, db, Config{}, nil), open(t, db, Config{}, nil)
	stop, err := here.bus.Subscribe(subject, func(_ string, data []byte) { there.bus.Publish(context.Background(), subject, data) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	got := listen(t, connect(t, there.client("m-1")), "vending/m-1/cmd")
	here.send(t, db, m1, "reboot", time.Hour)
	next(t, got)
}

func TestTheOutboxIsBounded(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := open(t, db, Config{}, nil)
		now := h.clock.Now()
		send := func(c Command) error {
			return db.Write(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error { return Send(ctx, tx, m1, c) })
		}
		good := Command{Name: "x", Sent: now, Expires: now.Add(time.Hour)}
		for i := range most {
			good.ID = fmt.Sprint("c-", i)
			if err := send(good); err != nil {
				t.Fatal(err)
			}
		}
		good.ID = "one too many"
		if err := send(good); !errs.Is(err, errs.Conflict) {
			t.Errorf("one too many: %v", err)
		}
		for what, c := range map[string]Command{
			"no name":      {ID: "a", Sent: now, Expires: now.Add(1)},
			"a long body":  {ID: "b", Name: "x", Body: json.RawMessage(`"` + string(make([]byte, 5000)) + `"`), Sent: now, Expires: now.Add(1)},
			"no JSON":      {ID: "c", Name: "x", Body: json.RawMessage(`{`), Sent: now, Expires: now.Add(1)},
			"over already": {ID: "d", Name: "x", Sent: now, Expires: now},
		} {
			if err := send(c); !errs.Is(err, errs.Invalid) {
				t.Errorf("%s: %v", what, err)
			}
		}
		err := db.Read(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
			list, err := Pending(ctx, tx, m1, now)
			if len(list) != 64 {
				t.Errorf("%d are offered at once", len(list))
			}
			waiting, werr := Waiting(ctx, tx, "vending", now)
			if werr != nil || len(waiting) != 1 || waiting[0] != "m-1" {
				t.Errorf("commands wait for %q, %v", waiting, werr)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
