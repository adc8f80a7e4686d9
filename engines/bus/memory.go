package bus

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"plumb/base/errs"
)

// memory is the bus within one process. Each subscription has a queue and a
// goroutine of its own, so that a slow one holds up nobody else.
type memory struct {
	mu     sync.RWMutex
	subs   []*subscription // guarded by mu
	closed bool            // guarded by mu

	running                       sync.WaitGroup
	published, delivered, dropped atomic.Int64
}

type message struct {
	subject string
	data    []byte
}

type subscription struct {
	pattern string
	fn      func(subject string, data []byte)

	mu      sync.Mutex
	queue   []message // guarded by mu, as all below
	bytes   int       // sum of the queue's payloads
	stopped bool
	wake    *sync.Cond
}

// Memory returns a bus within this process.
func Memory() Bus { return &memory{} }

func (m *memory) Publish(ctx context.Context, subject string, data []byte) error {
	if err := checkPublish(ctx, subject, data); err != nil {
		return err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return errClosed()
	}
	m.published.Add(1)
	copied := false
	for _, s := range m.subs {
		if !matches(s.pattern, subject) {
			continue
		}
		if !copied {
			data, copied = bytes.Clone(data), true // the publisher may use its buffer again
		}
		if !s.add(message{subject, data}) {
			m.dropped.Add(1)
		}
	}
	return nil
}

// add queues msg, unless the queue is full.
func (s *subscription) add(msg message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return true
	}
	if len(s.queue) == queueMessages || s.bytes+len(msg.data) > queueBytes {
		return false
	}
	s.queue = append(s.queue, msg)
	s.bytes += len(msg.data)
	s.wake.Signal()
	return true
}

// next waits for a message; false once the subscription has stopped.
func (s *subscription) next() (message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) == 0 && !s.stopped {
		s.wake.Wait()
	}
	if s.stopped {
		return message{}, false
	}
	msg := s.queue[0]
	s.queue[0] = message{} // let go of the payload
	s.queue = s.queue[1:]
	s.bytes -= len(msg.data)
	return msg, true
}

func (m *memory) Subscribe(subject string, fn func(subject string, data []byte)) (func(), error) {
	if err := checkSubject(subject, true); err != nil {
		return nil, err
	}
	s := &subscription{pattern: subject, fn: fn}
	s.wake = sync.NewCond(&s.mu)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errClosed()
	}
	m.subs = append(m.subs, s)
	m.running.Go(func() {
		for {
			msg, ok := s.next()
			if !ok {
				return
			}
			m.delivered.Add(1)
			s.fn(msg.subject, msg.data)
		}
	})
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.subs = slices.DeleteFunc(m.subs, func(o *subscription) bool { return o == s })
		s.stop()
	}, nil
}

func (s *subscription) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped, s.queue = true, nil
	s.wake.Signal()
}

func (m *memory) Ping(ctx context.Context) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return errClosed()
	}
	return ctx.Err()
}

func (m *memory) Stats() Stats {
	return Stats{m.published.Load(), m.delivered.Load(), m.dropped.Load()}
}

func (m *memory) Close() error {
	m.mu.Lock()
	m.closed = true
	for _, s := range m.subs {
		s.stop()
	}
	m.subs = nil
	m.mu.Unlock()
	m.running.Wait()
	return nil
}

func errClosed() error { return errs.New(errs.Busy, "the bus is closed") }
