// Package fault stands between a client and a server and spoils their
// connection: cut at a random byte, slow, or away for a while.
//
//	p, err := fault.NewProxy(server, fault.Options{CutShare: 0.05, Seed: 1})
//	defer p.Close()
//	client.Dial(p.Addr())
package fault

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Options say what the line does. The zero value is a good line.
type Options struct {
	CutShare float64       // of the connections that are cut, 0 to 1
	CutBytes int           // on its way to the server a cut falls on a byte before this; 8,192 if 0
	CutBack  int           // and on the way back before this; CutBytes if 0
	Delay    time.Duration // before the first byte of each direction
	Seed     uint64
}

// Proxy forwards TCP connections. It is safe for concurrent use.
type Proxy struct {
	server string
	opt    Options
	ln     net.Listener

	mu      sync.Mutex
	rng     *rand.Rand
	away    bool
	closed  bool
	open    map[net.Conn]bool
	cuts    int
	carried int
	serving sync.WaitGroup
}

// NewProxy listens on a port of its own and forwards to server (host:port).
func NewProxy(server string, o Options) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("a bad line to %s: %w", server, err)
	}
	if o.CutBytes <= 0 {
		o.CutBytes = 8192
	}
	if o.CutBack <= 0 {
		o.CutBack = o.CutBytes
	}
	p := &Proxy{server: server, opt: o, ln: ln, rng: rand.New(rand.NewPCG(o.Seed, 1)), open: map[net.Conn]bool{}}
	p.serving.Go(p.accept)
	return p, nil
}

// Addr returns the address to call instead of the server's.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Away cuts every connection and refuses new ones, until it is called with
// false: the server as it looks to others while it is down.
func (p *Proxy) Away(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away = away; away {
		for c := range p.open {
			reset(c)
		}
	}
}

// Counts returns the connections carried so far and those that were cut.
func (p *Proxy) Counts() (carried, cuts int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.carried, p.cuts
}

// Close cuts every connection and stops.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	for c := range p.open {
		reset(c)
	}
	p.mu.Unlock()
	err := p.ln.Close()
	p.serving.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return // closed
		}
		p.serving.Go(func() { p.carry(c) })
	}
}

// admit notes a connection and draws its fate: up and down are the bytes that
// pass in each direction before the cut, negative where there is none.
func (p *Proxy) admit(c net.Conn) (up, down int64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away || p.closed {
		return 0, 0, false
	}
	p.open[c] = true
	p.carried++
	if p.rng.Float64() >= p.opt.CutShare {
		return -1, -1, true
	}
	if p.rng.IntN(2) == 0 {
		return p.rng.Int64N(int64(p.opt.CutBytes)), -1, true
	}
	return -1, p.rng.Int64N(int64(p.opt.CutBack)), true // the server has done its work
}

func (p *Proxy) carry(c net.Conn) {
	up, down, ok := p.admit(c)
	if !ok {
		reset(c)
		return
	}
	defer p.forget(c)
	s, err := net.Dial("tcp", p.server)
	if err != nil {
		reset(c)
		return
	}
	defer p.forget(s)
	p.mu.Lock()
	p.open[s] = true
	if p.away || p.closed { // it went away while this connection was made
		reset(c)
		reset(s)
	}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pump(s, c, up) })
	both.Go(func() { p.pump(c, s, down) })
	both.Wait()
}

// pump copies from one side to the other, and cuts both after that many bytes.
func (p *Proxy) pump(to, from net.Conn, cut int64) {
	time.Sleep(p.opt.Delay)
	if cut < 0 {
		io.Copy(to, from)
	} else if n, _ := io.CopyN(to, from, cut); n == cut {
		p.mu.Lock()
		p.cuts++
		p.mu.Unlock()
		reset(to)
		reset(from)
		return
	}
	if half, ok := to.(*net.TCPConn); ok {
		half.CloseWrite() // the other direction may still have something to say
	}
}

func (p *Proxy) forget(c net.Conn) {
	p.mu.Lock()
	delete(p.open, c)
	p.mu.Unlock()
	c.Close()
}

// reset ends a connection as a lost line does: nothing in flight arrives.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
}
