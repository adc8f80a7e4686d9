package devices

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// bounded is a listener whose connections are counted and must speak soon. It
// survives what ends the broker's own loop, such as too few file descriptors.
type bounded struct {
	net.Listener
	d *Devices
}

// Accept waits for a connection and closes those that are too many.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil {
			b.d.n.Log.Warn("a connection was not accepted", "address", b.Addr(), "error", err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if b.d.closing.Load() || b.d.open.Load() >= int64(b.d.c.Connections) {
			b.d.measures.refused.WithLabelValues("full").Inc()
			c.Close()
			continue
		}
		b.d.open.Add(1)
		// Until it has logged in; then the broker sets its own, from the keepalive.
		c.SetDeadline(time.Now().Add(b.d.c.Patience))
		return &counted{Conn: c, d: b.d}, nil
	}
}

// counted is a connection that knows who came through it.
type counted struct {
	net.Conn
	d    *Devices
	once sync.Once
	left func() // forgets who came; nil: nobody logged in. Guarded by Devices.mu
}

// Close is called at the end of every connection, however it ends.
func (c *counted) Close() error {
	c.once.Do(func() {
		c.d.open.Add(-1)
		c.d.mu.Lock()
		defer c.d.mu.Unlock()
		if c.left != nil {
			c.left()
		}
	})
	return c.Conn.Close()
}

// under returns the connection below TLS.
func under(c net.Conn) *counted {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	own, _ := c.(*counted)
	return own
}
