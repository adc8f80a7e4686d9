// Package app is the roof beam: the only place that knows every room. It opens
// the engines in floor order, gives each room what it needs, mounts their faces,
// and closes everything in reverse. It is straight-line code; nothing registers
// itself.
//
//	cfg, _, err := app.Load(nil, os.Environ(), "")
//	err = app.Serve(ctx, cfg, []string{"vending"}, os.Stdout, os.Stderr)
package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"plumb/answers"
	"plumb/console"
	"plumb/docs"
	"plumb/engines/chart"
	"plumb/engines/web"
	"plumb/face"
	assets "plumb/web"
)

// house is the rooms, open and mounted.
type house struct {
	faces    []face.Face
	console  *console.Console
	api      *web.API
	registry *prometheus.Registry
	handler  http.Handler
}

// build opens the rooms of list on e and mounts them. url is how machines and
// browsers reach this house.
func build(ctx context.Context, cfg Config, list []room, e *engines, log *slog.Logger, url string) (*house, error) {
	book, err := answers.Open()
	if err != nil {
		return nil, err
	}
	proven, err := openArchive(cfg.Data, log)
	if err != nil {
		return nil, err
	}
	proxy, err := trusted(cfg.TrustedProxy)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	// People first: a machine's token is told from theirs without a look into the database,
	// theirs from a machine's only with one.
	gate := web.NewGate(web.First(e.accounts, e.fleet), log)
	api := web.NewAPI(mux, gate, Version)
	measures := web.NewMetrics()
	registry := newRegistry(e, measures)
	mode := "this machine only"
	if cfg.Clustered() {
		mode = "clustered"
	}
	shell, err := console.New(console.Needs{
		Mux: mux, Gate: gate, API: api, Answers: book, Extras: storyOf(proven.latest), People: e.accounts, Jobs: e.jobs, Health: e.health, Vital: []string{"database"},
		Metrics: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
		Static:  append(assets.Files(), chart.Files()),
		Systems: Names(), Build: console.Build{Version: Version, Go: runtime.Version(), Mode: mode},
		Clock: e.clock, Log: log, Prove: proveTab(ctx, cfg.Data, proven), Plan: planTab(),
		Commands: commandList(), Docs: docs.Files, Secure: len(url) > 5 && url[:5] == "https",
	})
	if err != nil {
		return nil, fmt.Errorf("open the console: %w", err)
	}
	faces, err := openRooms(ctx, list, e, shell, cfg, url)
	if err != nil {
		return nil, err
	}
	if err := registry.Register(newServeWatch(e.clock, faces)); err != nil {
		return nil, fmt.Errorf("measures of the process: %w", err)
	}
	if err := e.jobs.Register(append(e.hooks.Work(), e.once.Work(e.clock))...); err != nil {
		return nil, fmt.Errorf("work of the engines: %w", err)
	}
	for _, f := range faces {
		for _, c := range f.Collect {
			if err := registry.Register(c); err != nil {
				return nil, fmt.Errorf("measures of %s: %w", f.Name, err)
			}
		}
		if err := e.jobs.Register(f.Work...); err != nil {
			return nil, fmt.Errorf("work of %s: %w", f.Name, err)
		}
	}
	if err := shell.Mount(faces); err != nil {
		return nil, err
	}
	return &house{faces, shell, api, registry, web.House(mux, gate, web.Options{Metrics: measures, TrustedProxy: proxy})}, nil
}

// trusted returns whether a remote address is the proxy that cidr names.
func trusted(cidr string) (func(remote string) bool, error) {
	if cidr == "" {
		return nil, nil
	}
	_, network, err := net.ParseCIDR(cidr)
	if err != nil {
		return nil, fmt.Errorf("trusted-proxy: %w", err)
	}
	return func(remote string) bool {
		host, _, err := net.SplitHostPort(remote)
		return err == nil && network.Contains(net.ParseIP(host))
	}, nil
}
