package bus

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"plumb/base/errs"
)

const (
	firstConnect = 10 * time.Second // how long NATS waits for a server at first
	pingWait     = 2 * time.Second  // how long Ping and Subscribe wait for the server
)

// natsBus is the bus between processes. Its connection comes back by itself for
// as long as the process lives, with all its subscriptions.
type natsBus struct {
	conn *nats.Conn

	mu      sync.RWMutex
	subs    map[*nats.Subscription]bool // guarded by mu
	closed  bool                        // guarded by mu
	gone    int64                       // drops of subscriptions that were stopped; guarded by mu
	lastErr error                       // why the connection broke; guarded by mu

	running              sync.WaitGroup // calls of subscribers
	published, delivered atomic.Int64
}

// NATS connects to the servers at address, "nats://[USER@]host:port", several
// joined by commas (tls:// for TLS). A password comes from PLUMB_NATS_PASSWORD,
// or a file of credentials is named by PLUMB_NATS_CREDS. It fails when no server
// answers until ctx ends, or 10 seconds at most; once connected it never gives up.
func NATS(ctx context.Context, address string) (Bus, error) {
	servers, login, err := readAddress(address)
	if err != nil {
		return nil, err
	}
	b := &natsBus{subs: map[*nats.Subscription]bool{}}
	note := func(_ *nats.Conn, err error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.lastErr = err
	}
	ctx, cancel := context.WithTimeout(ctx, firstConnect)
	defer cancel()
	b.conn, err = nats.Connect(strings.Join(servers, ","), append(login,
		nats.Name("plumb"),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(200*time.Millisecond),
		nats.ReconnectJitter(200*time.Millisecond, 200*time.Millisecond),
		nats.IgnoreAuthErrorAbort(), // a server that starts may not know its users yet
		// A peer that vanished without a word is found out in half a minute.
		nats.PingInterval(10*time.Second), nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(note), nats.ReconnectErrHandler(note),
		nats.ErrorHandler(func(c *nats.Conn, _ *nats.Subscription, err error) {
			// Slow subscribers are counted, see Stats; all else is Ping's to tell.
			if !errors.Is(err, nats.ErrSlowConsumer) {
				note(c, err)
			}
		}))...)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "the NATS address is not valid")
	}
	for b.conn.Status() != nats.CONNECTED {
		select {
		case <-ctx.Done():
			err := b.away()
			b.conn.Close()
			return nil, fmt.Errorf("connect to %s: %w", strings.Join(servers, ","), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return b, nil
}

// readAddress splits the address from the login, which must not hold a secret.
func readAddress(address string) (servers []string, login []nats.Option, err error) {
	user := ""
	for one := range strings.SplitSeq(address, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls" {
			return nil, nil, errs.New(errs.Invalid, "a NATS address is nats://[USER@]host:port, or several of them joined by commas")
		}
		if _, has := u.User.Password(); has {
			return nil, nil, errs.New(errs.Invalid, "the NATS password does not belong in the address; put it into PLUMB_NATS_PASSWORD")
		}
		if name := u.User.Username(); name != "" {
			user = name
		}
		u.User = nil
		servers = append(servers, u.String())
	}
	if user != "" {
		login = append(login, nats.UserInfo(user, os.Getenv("PLUMB_NATS_PASSWORD")))
	}
	if file := os.Getenv("PLUMB_NATS_CREDS"); file != "" {
		login = append(login, nats.UserCredentials(file))
	}
	return servers, login, nil
}

func (b *natsBus) Publish(ctx context.Context, subject string, data []byte) error {
	if err := checkPublish(ctx, subject, data); err != nil {
		return err
	}
	switch err := b.conn.Publish(subject, data); {
	case errors.Is(err, nats.ErrConnectionClosed):
		return errClosed()
	case errors.Is(err, nats.ErrMaxPayload):
		return errs.New(errs.TooLarge, "publish %s: the NATS server takes %d bytes, not %d", subject, b.conn.MaxPayload(), len(data))
	case err != nil:
		// Away for so long that the buffer (8 MiB) is full.
		return errs.Wrap(errs.Busy, err, "NATS is away")
	}
	b.published.Add(1)
	return nil
}

func (b *natsBus) Subscribe(subject string, fn func(subject string, data []byte)) (func(), error) {
	if err := checkSubject(subject, true); err != nil {
		return nil, err
	}
	var stopped atomic.Bool
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil, errClosed()
	}
	sub, err := b.conn.Subscribe(subject, func(m *nats.Msg) {
		if b.begin(&stopped) {
			defer b.running.Done()
			fn(m.Subject, m.Data)
		}
	})
	if err == nil {
		err = sub.SetPendingLimits(queueMessages, queueBytes)
		b.subs[sub] = true
	}
	b.mu.Unlock()
	if err != nil {
		return nil, errs.Wrap(errs.Busy, err, "NATS is away")
	}
	// The server must know of it before we answer. One that is away learns of it
	// when it is back.
	b.conn.FlushTimeout(pingWait)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		stopped.Store(true)
		if b.subs[sub] {
			delete(b.subs, sub)
			b.gone += drops(sub)
			sub.Unsubscribe()
		}
	}, nil
}

// begin says whether a call of a subscriber may begin. Stop and Close hold mu
// while they forbid it, so that none begins after them.
func (b *natsBus) begin(stopped *atomic.Bool) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed || stopped.Load() {
		return false
	}
	b.running.Add(1)
	b.delivered.Add(1)
	return true
}

func drops(sub *nats.Subscription) int64 {
	n, _ := sub.Dropped()
	return int64(n)
}

func (b *natsBus) Ping(ctx context.Context) error {
	if b.conn.Status() != nats.CONNECTED {
		return b.away()
	}
	ctx, cancel := context.WithTimeout(ctx, pingWait)
	defer cancel()
	if err := b.conn.FlushWithContext(ctx); err != nil {
		return errs.Wrap(errs.Busy, err, "NATS does not answer")
	}
	return nil
}

// away says why there is no connection.
func (b *natsBus) away() error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return errClosed()
	}
	cause := b.lastErr
	if cause == nil {
		cause = b.conn.LastError()
	}
	if cause == nil {
		cause = nats.ErrNoServers
	}
	return errs.Wrap(errs.Busy, cause, "NATS is away")
}

func (b *natsBus) Stats() Stats {
	b.mu.RLock()
	defer b.mu.RUnlock()
	s := Stats{b.published.Load(), b.delivered.Load(), b.gone}
	for sub := range b.subs {
		s.Dropped += drops(sub)
	}
	return s
}

func (b *natsBus) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	for sub := range b.subs {
		b.gone += drops(sub)
	}
	clear(b.subs)
	b.mu.Unlock()
	// What Publish took leaves first, if there is somebody to take it.
	if b.conn.Status() == nats.CONNECTED {
		b.conn.FlushTimeout(pingWait)
	}
	b.conn.Close()
	b.running.Wait()
	return nil
}
