package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"plumb/base/errs"
)

// A header must arrive within headerTime, or a slow client holds a connection
// for ever; a body has bodyTime unless its handler extends that; an answer that
// nobody reads has writeTime, which engines/web moves on while it is read.
const (
	headerTime   = 10 * time.Second
	bodyTime     = 2 * time.Minute
	writeTime    = 2 * time.Minute
	farewellTime = 2 * time.Second // two of a balancer's looks at /readyz
	idleTime     = 2 * time.Minute
	headerMax    = 64 << 10
)

// door is the HTTP listener.
type door struct {
	cfg Config
	log *slog.Logger
	ln  net.Listener
	tls *tls.Config // nil: plain
	srv *http.Server
}

// openDoor listens; requests wait until serve is called.
func openDoor(cfg Config, log *slog.Logger) (*door, error) {
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "listen on %s", cfg.Listen)
	}
	d := &door{cfg: cfg, log: log, ln: ln}
	if cfg.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
		if err != nil {
			ln.Close()
			return nil, errs.Wrap(errs.Invalid, err, "read the certificate %s and its key %s", cfg.TLSCert, cfg.TLSKey)
		}
		d.tls = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
		if cfg.ClientCA != "" {
			if d.tls.ClientCAs, err = authorities(cfg.ClientCA); err != nil {
				ln.Close()
				return nil, err
			}
			d.tls.ClientAuth = tls.VerifyClientCertIfGiven // browsers have none
		}
		web := d.tls.Clone()
		web.NextProtos = []string{"h2", "http/1.1"}
		d.ln = tls.NewListener(ln, web)
	}
	return d, nil
}

// authorities reads certificates of those who sign machines' certificates.
func authorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "read the authorities of machines (client-ca)")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errs.New(errs.Invalid, "client-ca: %s holds no certificate in PEM", file)
	}
	return pool, nil
}

// base is the URL under which this house is reached.
func (d *door) base() string {
	if d.cfg.URL != "" {
		return strings.TrimSuffix(d.cfg.URL, "/")
	}
	scheme := "http"
	if d.cfg.TLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + d.ln.Addr().String()
}

// serve answers until ctx ends, then lets requests finish for the drain time.
func (d *door) serve(ctx context.Context, h http.Handler) error {
	d.srv = &http.Server{
		Handler: endStreams(ctx, h), ReadHeaderTimeout: headerTime, ReadTimeout: bodyTime, WriteTimeout: writeTime, IdleTimeout: idleTime, MaxHeaderBytes: headerMax,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ErrorLog:    slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- d.srv.Serve(d.ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", d.cfg.Listen, err)
	case <-ctx.Done():
	}
	d.log.Info("draining", "for", d.cfg.Drain)
	d.farewell()
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.Drain)
	defer cancel()
	if err := d.srv.Shutdown(late); err != nil {
		d.log.Warn("requests cut off after the drain time", "error", err)
		return d.srv.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", d.cfg.Listen, err)
	}
	return nil
}

// farewell goes on serving for a moment while /readyz refuses, so that a balancer
// learns of the end before connections are refused. A house alone has none.
func (d *door) farewell() {
	if d.cfg.Clustered() {
		time.Sleep(min(farewellTime, d.cfg.Drain/4))
	}
}

// endStreams ends event streams, which would otherwise outlast any drain, as
// soon as ctx ends. Other requests go on to their own end.
func endStreams(ctx context.Context, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
			own, end := context.WithCancel(r.Context())
			defer end()
			defer context.AfterFunc(ctx, end)()
			r = r.WithContext(own)
		}
		h.ServeHTTP(w, r)
	})
}
