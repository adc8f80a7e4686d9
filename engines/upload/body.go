package upload

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"plumb/base/clock"
)

// A body is read ahead by readAhead buffers, so that the network goes on while a
// piece is made durable.
const (
	bufferSize = 32 << 10
	readAhead  = 4
)

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// body reads a request's body in a goroutine of its own, so that whoever takes the
// bytes can stop waiting without losing any.
type body struct {
	clock clock.Clock
	ch    chan filled // closed at the end
	quit  chan struct{}
	stop  func()       // ends the reading
	last  atomic.Int64 // when a byte came, in microseconds
	waits atomic.Bool  // somebody waits for a byte

	// For the one who takes.
	cur     filled
	at      int   // taken of cur
	err     error // why it ended before its end; good once ended
	ended   bool
	readErr error // the reader's, before ch is closed
}

type filled struct {
	buf *[bufferSize]byte
	n   int
}

// read starts reading what comes over a connection: it is given up after idle
// without a byte. close must be called.
func read(c clock.Clock, rc *http.ResponseController, src io.ReadCloser, idle time.Duration) *body {
	b := &body{clock: c, ch: make(chan filled, readAhead), quit: make(chan struct{})}
	b.last.Store(c.Now().UnixMicro())
	b.stop = sync.OnceFunc(func() {
		close(b.quit)
		// A read that waits is ended by its deadline; what has none (a test's) is closed.
		if rc.SetReadDeadline(time.Now()) != nil {
			src.Close()
		}
	})
	go b.run(rc, src, idle)
	return b
}

func (b *body) run(rc *http.ResponseController, src io.Reader, idle time.Duration) {
	defer close(b.ch)
	// The network's deadlines are in the machine's own time.
	var moved time.Time
	for {
		if now := time.Now(); now.Sub(moved) > idle/8 {
			moved = now
			rc.SetReadDeadline(now.Add(idle)) // a test's recorder has none
		}
		buf := buffers.Get().(*[bufferSize]byte)
		n, err := src.Read(buf[:])
		if n > 0 {
			b.last.Store(b.clock.Now().UnixMicro())
			select {
			case b.ch <- filled{buf, n}:
			case <-b.quit:
				return
			}
		}
		if err == nil {
			continue
		}
		if err == io.EOF {
			rc.SetReadDeadline(time.Time{}) // what follows may take its time
		} else {
			b.readErr = err
		}
		return
	}
}

// wait waits for a byte, and returns false at the end.
func (b *body) wait() bool {
	if b.at < b.cur.n {
		return true
	}
	if b.ended {
		return false
	}
	b.waits.Store(true)
	f, ok := <-b.ch
	b.waits.Store(false)
	return b.have(f, ok)
}

// poll looks, without waiting, whether the end is known by now.
func (b *body) poll() {
	if b.at < b.cur.n || b.ended {
		return
	}
	select {
	case f, ok := <-b.ch:
		b.have(f, ok)
	default:
	}
}

// have takes what came out of the channel.
func (b *body) have(f filled, ok bool) bool {
	if b.cur.buf != nil {
		buffers.Put(b.cur.buf)
	}
	b.cur, b.at = f, 0
	if !ok {
		b.ended, b.err = true, b.readErr
	}
	return ok
}

// within is wait for a time; what comes later is not lost.
func (b *body) within(d time.Duration) (more, late bool) {
	if b.at < b.cur.n {
		return true, false
	}
	if b.ended {
		return false, false
	}
	if b.poll(); b.at < b.cur.n || b.ended {
		return !b.ended, false
	}
	b.waits.Store(true)
	defer b.waits.Store(false)
	select {
	case f, ok := <-b.ch:
		return b.have(f, ok), false
	case <-b.clock.After(d):
		return false, true
	}
}

// idle says whether somebody waits for a byte and none came for d.
func (b *body) idle(d time.Duration) bool {
	return b.waits.Load() && b.clock.Now().UnixMicro()-b.last.Load() > d.Microseconds()
}

// close ends the reading, and returns when nothing touches the request any more.
func (b *body) close() {
	if b.ended {
		return
	}
	b.stop()
	for range b.ch {
	}
	b.ended = true
}

// piece reads a body until the piece is large enough, took long enough, the body
// pauses, or it ends.
type piece struct {
	b       *body
	left    int64         // bytes that it may still have
	until   time.Time     // it ends then; zero: whenever
	stall   time.Duration // it ends after this long without a byte; 0: never
	sum     *checksum     // nil: none
	lost    *atomic.Bool  // the upload is another's: nothing is worth reading
	stalled bool          // it ended because the body pauses
}

// Read implements io.Reader for cas.Put.
func (p *piece) Read(to []byte) (int, error) {
	switch {
	case p.lost.Load():
		return 0, errLost
	case p.left <= 0 || !p.until.IsZero() && !p.b.clock.Now().Before(p.until):
		return 0, io.EOF
	case p.stall == 0:
		if !p.b.wait() {
			return 0, io.EOF
		}
	default:
		more, late := p.b.within(p.stall)
		if p.stalled = late; !more {
			return 0, io.EOF
		}
	}
	from := p.b.cur.buf[p.b.at:p.b.cur.n]
	n := copy(to[:min(int64(len(to)), p.left)], from)
	if p.sum != nil {
		p.sum.Write(from[:n])
	}
	p.b.at += n
	p.left -= int64(n)
	return n, nil
}
