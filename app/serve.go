package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"plumb/engines/devices"
)

// Serve runs the named systems (all, when none is named) until ctx ends; then it
// drains, and closes what it opened. The sign-in link of a first start, and
// where to look, go to stdout; logs go to stderr.
func Serve(ctx context.Context, cfg Config, systems []string, stdout, stderr io.Writer) (err error) {
	list, err := chosen(systems)
	if err != nil {
		return err
	}
	log := newLog(cfg, stderr)
	folder, err := OpenFolder(cfg.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	if cfg.NoSync {
		log.Warn("nothing is synced to disk: what is acknowledged will be lost when the power goes")
	}
	d, err := openDoor(cfg, log)
	if err != nil {
		return err
	}
	defer d.ln.Close()
	e, err := openEngines(ctx, cfg, folder, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	h, err := build(ctx, cfg, list, e, log, d.base())
	if err != nil {
		return err
	}
	machines, err := openDevices(ctx, cfg, e, h, d.tls)
	if err != nil {
		return err
	}
	if err := greet(ctx, cfg, e, d, machines, stdout); err != nil {
		return err
	}
	return h.run(ctx, cfg, e, d, machines, log)
}

// run works until ctx ends or a part fails, and then ends the parts in order:
// first the door, so that no request finds its room closed.
func (h *house) run(ctx context.Context, cfg Config, e *engines, d *door, machines *devices.Devices, log *slog.Logger) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if err := e.jobs.Start(ctx); err != nil {
		return fmt.Errorf("start the jobs: %w", err)
	}
	// The rooms' loops outlive ctx until the door is shut.
	rooms, endRooms := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	loop := func(what string, fn func(context.Context) error) {
		if fn == nil {
			return
		}
		loops.Go(func() {
			if err := fn(rooms); err != nil && rooms.Err() == nil {
				stop(fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	loop("accounts", e.accounts.Run)
	for _, f := range h.faces {
		loop(f.Name, f.Run)
		if cfg.Demo {
			loop("demonstration of "+f.Name, f.Demo)
		}
	}
	context.AfterFunc(ctx, h.console.Drain)
	log.Info("serving", "url", d.base(), "systems", len(h.faces), "data", cfg.Data, "version", Version)
	err := d.serve(ctx, h.handler)
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err = errors.Join(err, machines.Close(late))
	endRooms()
	loops.Wait()
	err = errors.Join(err, e.jobs.Stop(late))
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	log.Info("ended")
	return err
}

// greet prints where to look and, at a first start or with the demonstration, a
// link that signs in.
func greet(ctx context.Context, cfg Config, e *engines, d *door, machines *devices.Devices, w io.Writer) error {
	fmt.Fprintf(w, "Plumb is at %s\n", d.base())
	for _, a := range machines.Addresses() {
		fmt.Fprintf(w, "MQTT is at %s\n", a)
	}
	if !e.accounts.Fresh() && !cfg.Demo {
		return nil
	}
	link, err := e.accounts.SignInLink(ctx, "admin", d.base())
	if err != nil {
		return fmt.Errorf("make the sign-in link: %w", err)
	}
	fmt.Fprintf(w, "Sign in once as admin within 24 hours: %s\n", link)
	return nil
}
