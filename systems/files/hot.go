package files

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"plumb/base/clock"
	"plumb/engines/cas"
)

// Bounds of what is kept at hand.
const (
	idleReaders = 256              // open contents that nobody reads just now
	idleTime    = 10 * time.Second // after which they are closed
	keptNodes   = 4096             // paths that were looked up
	nodeTime    = 2 * time.Second  // how long that is believed: every change here ends it at once
)

// contents lends out open readers, so that who asks for ranges of a file, or for a file
// that others ask for too, opens it once. A content never changes; whether somebody may
// read it is asked each time.
type contents struct {
	store *cas.Store
	clock clock.Clock

	mu     sync.Mutex
	idle   map[owned][]idleReader // guarded by mu
	n      int
	closed bool
}

// owned is a content of one owner: what is at hand for one's readers is not for another's,
// who could tell by the time that somebody else has the same.
type owned struct {
	owner string
	hash  cas.Hash
}

type idleReader struct {
	r  *cas.Reader
	at time.Time
}

func newContents(store *cas.Store, c clock.Clock) *contents {
	return &contents{store: store, clock: c, idle: map[owned][]idleReader{}}
}

// borrow returns a reader for the caller alone, and whether somebody had it before: then
// what it knows may be out of date, and a failure is worth a fresh one.
func (c *contents) borrow(ctx context.Context, h owned, fresh bool) (r *cas.Reader, used bool, err error) {
	c.mu.Lock()
	if l := c.idle[h]; len(l) > 0 && !fresh {
		r := l[len(l)-1].r
		c.keep(h, l[:len(l)-1])
		c.mu.Unlock()
		return r, true, nil
	}
	c.mu.Unlock()
	r, err = c.store.OpenFor(context.WithoutCancel(ctx), h.hash, h.owner) // it outlives the request that opens it
	return r, false, err
}

// keep sets what is idle of a content. The caller holds the lock.
func (c *contents) keep(h owned, l []idleReader) {
	c.n += len(l) - len(c.idle[h])
	if len(l) == 0 {
		delete(c.idle, h)
		return
	}
	c.idle[h] = l
}

// give takes a reader back; one that failed is closed.
func (c *contents) give(h owned, r *cas.Reader, good bool) {
	r.Rest()
	c.mu.Lock()
	if good && !c.closed && c.n < idleReaders {
		c.keep(h, append(c.idle[h], idleReader{r, c.clock.Now()}))
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	r.Close()
}

// sweep closes what has been idle since before a moment, or all of it.
func (c *contents) sweep(before time.Time, all bool) {
	c.mu.Lock()
	c.closed = c.closed || all
	var old []*cas.Reader
	for h, l := range c.idle {
		var young []idleReader
		for _, i := range l {
			if all || i.at.Before(before) {
				old = append(old, i.r)
			} else {
				young = append(young, i)
			}
		}
		c.keep(h, young)
	}
	c.mu.Unlock()
	for _, r := range old {
		r.Close()
	}
}

// lookups remembers what is at a path, for who, as long as nothing changes in that tree.
// It serves one process on a database of its own: there every change is told here before
// its caller is answered. Several processes look each time.
type lookups struct {
	on    bool
	seed  maphash.Seed
	epoch [256]atomic.Uint64 // of changes, by owner
	all   atomic.Uint64      // of all changes

	mu   sync.RWMutex
	kept map[lookup]looked // guarded by mu
}

type lookup struct {
	who  Person
	path string
}

type looked struct {
	node  Node
	epoch uint64
	at    time.Time
}

func (k *lookups) slot(owner string) *atomic.Uint64 {
	return &k.epoch[maphash.String(k.seed, owner)%uint64(len(k.epoch))]
}

// changed ends what is kept of an owner's tree; of all trees for "".
func (k *lookups) changed(owner string) {
	k.all.Add(1)
	if owner != "" {
		k.slot(owner).Add(1)
		return
	}
	for i := range k.epoch {
		k.epoch[i].Add(1)
	}
}

// known is Stat for the many who read the same few files.
func (s *System) known(ctx context.Context, who Person, path string) (Node, error) {
	k := &s.lookups
	if !k.on {
		return s.Stat(ctx, who, path)
	}
	key, now := lookup{who, path}, s.n.Clock.Now()
	k.mu.RLock()
	l, ok := k.kept[key]
	k.mu.RUnlock()
	if ok && l.epoch == k.slot(l.node.Owner).Load() && now.Sub(l.at) < nodeTime {
		return l.node, nil
	}
	all := k.all.Load()
	n, err := s.Stat(ctx, who, path)
	if err != nil {
		return Node{}, err
	}
	epoch := k.slot(n.Owner).Load()
	if k.all.Load() != all { // something changed since: it may be older than that
		return n, nil
	}
	k.mu.Lock()
	for old := range k.kept {
		if len(k.kept) < keptNodes {
			break
		}
		delete(k.kept, old) // any one
	}
	k.kept[key] = looked{n, epoch, now}
	k.mu.Unlock()
	return n, nil
}
