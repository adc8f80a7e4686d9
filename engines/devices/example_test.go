package devices_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"

	paho "github.com/eclipse/paho.mqtt.golang"

	"plumb/base/clock"
	"plumb/engines/bus"
	"plumb/engines/devices"
	"plumb/engines/sqldb"
)

// gate knows one machine.
type gate struct{}

func (gate) Device(_ context.Context, user, password string, _ *x509.Certificate) (devices.Device, error) {
	if user == "m-1" && password == "secret" {
		return devices.Device{Realm: "vending", ID: "m-1"}, nil
	}
	return devices.Device{}, fmt.Errorf("nobody")
}

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "devices-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	db, err := sqldb.Open(ctx, "sqlite:"+dir+"/plumb.db", sqldb.Options{})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	b := bus.Memory()
	defer b.Close()
	report := devices.Topic{Realm: "vending", Name: "report", Handle: func(_ context.Context, d devices.Device, text []byte) ([]byte, error) {
		fmt.Println(d.ID, "says", string(text)) // and is told PUBACK when this returns
		return nil, nil
	}}
	door, err := devices.Open(ctx, devices.Needs{DB: db, Bus: b, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler), Who: gate{}}, devices.Config{}, report)
	if err != nil {
		panic(err)
	}
	defer door.Close(ctx)
	if err := door.Listen("127.0.0.1:0", nil); err != nil {
		panic(err)
	}
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + door.Addresses()[0].String()).SetClientID("m-1").SetUsername("m-1").SetPassword("secret"))
	c.Connect().Wait()
	c.Publish("vending/m-1/report", 1, false, "hello").Wait()
	c.Disconnect(0)
	// Output: m-1 says hello
}
