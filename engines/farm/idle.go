package farm

import (
	"os"
	"slices"
	"time"
)

// take returns the idle child that was used last, or nil. Those that died are dropped.
func (p *Pool) take() *child {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		select {
		case <-c.proc.Ended():
			c.end()
		default:
			return c
		}
	}
}

// put takes back a child that can be used again, or ends it when it did its share.
func (p *Pool) put(c *child) {
	if c.done >= p.o.Reuse || c.spool.clear() != nil || c.fat(p.o.Limits) {
		c.end()
		return
	}
	c.since = p.o.Clock.Now()
	p.mu.Lock()
	p.idle = append(p.idle, c)
	p.mu.Unlock()
}

// fat says whether a child kept so much that the next task could be blamed for it: of
// memory, or of address space, which Go's runtime does not give back.
func (c *child) fat(l Limits) bool {
	m, err := c.memory()
	return err != nil || m.rss > c.ready.rss+shadow*min(l.Memory, spare/2) || m.space > c.ready.space+l.room()/2
}

// sweep ends children that had nothing to do for a while.
func (p *Pool) sweep() {
	for {
		select {
		case <-p.life.Done():
			return
		case now := <-p.o.Clock.After(max(p.o.Idle/2, time.Millisecond)):
			p.mu.Lock()
			// The ones idle for longest are at the front.
			n := slices.IndexFunc(p.idle, func(c *child) bool { return now.Sub(c.since) < p.o.Idle })
			if n < 0 {
				n = len(p.idle)
			}
			old := slices.Clone(p.idle[:n])
			p.idle = slices.Delete(p.idle, 0, n)
			p.mu.Unlock()
			for _, c := range old {
				c.end()
			}
		}
	}
}

// tell notes what a child is shut in by, and logs it once.
func (p *Pool) tell(h hello) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Started++
	if p.told {
		return
	}
	p.told = true
	list := slices.Concat(isolation(p.level, os.Geteuid()), h.Isolation)
	p.stats.Isolation = list
	p.o.Log.Info("farm: children are shut in", "by", list)
}
