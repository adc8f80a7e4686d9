package app

import (
	"context"
	"crypto/tls"
	"fmt"

	"plumb/engines/devices"
)

// openDevices opens the MQTT door with the topics of the rooms, and listens.
func openDevices(ctx context.Context, cfg Config, e *engines, h *house, conf *tls.Config) (*devices.Devices, error) {
	var topics []devices.Topic
	for _, f := range h.faces {
		topics = append(topics, f.Topics...)
	}
	d, err := devices.Open(ctx, devices.Needs{DB: e.db, Bus: e.bus, Clock: e.clock, Log: e.log, Who: e.fleet}, devices.Config{}, topics...)
	if err != nil {
		return nil, err
	}
	stop, err := e.fleet.Watch(func(realm, id string) { d.Drop(devices.Device{Realm: realm, ID: id}) })
	if err != nil {
		return nil, fmt.Errorf("open devices: %w", err)
	}
	e.onClose(func() error { stop(); return nil })
	for _, c := range d.Collectors() {
		if err := h.registry.Register(c); err != nil {
			return nil, fmt.Errorf("measures of devices: %w", err)
		}
	}
	if cfg.MQTT != "" && cfg.MQTT != off {
		err := d.Listen(cfg.MQTT, nil)
		if err != nil && cfg.MQTT == Default().MQTT {
			// Nobody asked for it, and a second house on a machine is no fault.
			e.log.Warn("machines cannot speak MQTT: the usual address is taken; give another with --mqtt", "error", err)
		} else if err != nil {
			return nil, err
		}
	}
	if cfg.MQTTTLS != "" {
		if err := d.Listen(cfg.MQTTTLS, conf); err != nil {
			return nil, err
		}
	}
	return d, nil
}
