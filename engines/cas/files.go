package cas

import (
	"context"
	"fmt"
	"os"
	"sync"

	"plumb/engines/bucket"
	"plumb/engines/cas/seal"
)

const (
	idleFiles = 128  // open files of packs that nobody reads just now
	keptKeys  = 4096 // opened data keys
)

// openFiles lends out open files of packs, where the bucket has files. A file has one
// borrower at a time, since its position is the file's own.
type openFiles struct {
	bucket bucket.Bucket
	opener bucket.Opener // nil where there are none

	mu     sync.Mutex
	idle   map[string][]*os.File // guarded by mu
	order  []idleFile            // the longest idle first; may name files that are gone
	closed bool
}

type idleFile struct {
	id   string
	file *os.File
}

func (f *openFiles) init(b bucket.Bucket) {
	f.bucket = b
	f.opener, _ = b.(bucket.Opener)
	f.idle = map[string][]*os.File{}
}

// take returns a pack's file for the caller alone; nil where the bucket has no files.
func (f *openFiles) take(ctx context.Context, id string) (*os.File, error) {
	if f.opener == nil {
		return nil, nil
	}
	f.mu.Lock()
	if l := f.idle[id]; len(l) > 0 {
		file := l[len(l)-1]
		f.remove(id, file)
		f.mu.Unlock()
		return file, nil
	}
	f.mu.Unlock()
	return f.opener.OpenFile(ctx, packKey(id))
}

// give takes a file back.
func (f *openFiles) give(id string, file *os.File) {
	if file == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		file.Close()
		return
	}
	f.idle[id] = append(f.idle[id], file)
	f.order = append(f.order, idleFile{id, file})
	if len(f.order) > idleFiles {
		f.remove(f.order[0].id, f.order[0].file).Close()
	}
}

// remove takes a file out of both lists. The caller holds the lock.
func (f *openFiles) remove(id string, file *os.File) *os.File {
	l := f.idle[id]
	for i := range l {
		if l[i] == file {
			l = append(l[:i], l[i+1:]...)
			break
		}
	}
	if len(l) == 0 {
		delete(f.idle, id)
	} else {
		f.idle[id] = l
	}
	for i := range f.order {
		if f.order[i].file == file {
			f.order = append(f.order[:i], f.order[i+1:]...)
			break
		}
	}
	return file
}

// forget closes the idle files of a pack that is gone, which frees its bytes.
func (f *openFiles) forget(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.idle[id]) > 0 {
		f.remove(id, f.idle[id][0]).Close()
	}
}

func (f *openFiles) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, o := range f.order {
		o.file.Close()
	}
	f.order, f.idle = nil, map[string][]*os.File{}
}

// keyring keeps the data keys that were opened, by the pack's name.
type keyring struct {
	ring *seal.Ring
	mu   sync.Mutex
	open map[string]*seal.Sealer // guarded by mu
}

func (k *keyring) init(r *seal.Ring) { k.ring, k.open = r, map[string]*seal.Sealer{} }

// put keeps the key of a pack that is being written.
func (k *keyring) put(pack string, s *seal.Sealer) {
	if s != nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.keep(pack, s)
	}
}

// keep makes room for one more. The caller holds the lock.
func (k *keyring) keep(pack string, s *seal.Sealer) {
	for other := range k.open {
		if len(k.open) < keptKeys {
			break
		}
		delete(k.open, other) // any one
	}
	k.open[pack] = s
}

// sealer returns a pack's; nil for one whose chunks lie bare.
func (k *keyring) sealer(pack string, wrapped []byte) (*seal.Sealer, error) {
	if len(wrapped) == 0 {
		return nil, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.open[pack]; s != nil {
		return s, nil
	}
	key, err := k.ring.Unwrap(wrapped)
	if err != nil {
		return nil, fmt.Errorf("open the key of pack %s: %w", pack, err)
	}
	s, err := seal.NewSealer(key)
	if err != nil {
		return nil, err
	}
	k.keep(pack, s)
	return s, nil
}

// placeCache keeps where the parts of blobs lay when they were last looked up. A blob's
// parts never change; where they lie may, which who reads there finds out.
type placeCache struct {
	mu    sync.Mutex
	lists map[string][]place // by the blob's id, in order; guarded by mu; never changed in place
	n     int                // places in all
}

const (
	keptPlaces = 32 << 10 // of all blobs
	keptOfBlob = 4 << 10  // of one
)

func (c *placeCache) get(id string) []place {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lists[id]
}

// add returns all that is known of the blob now.
func (c *placeCache) add(id string, page []place) []place {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := merge(c.lists[id], page)
	if len(list) > keptOfBlob {
		list = page
	}
	if c.lists == nil {
		c.lists = map[string][]place{}
	}
	c.n += len(list) - len(c.lists[id])
	c.lists[id] = list
	for other, l := range c.lists { // any ones
		if c.n <= keptPlaces {
			break
		}
		if other != id {
			c.n -= len(l)
			delete(c.lists, other)
		}
	}
	return list
}

func (c *placeCache) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n -= len(c.lists[id])
	delete(c.lists, id)
}

// merge joins two lists in order; where both know a part, b does.
func merge(a, b []place) []place {
	out := make([]place, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].end < b[0].end:
			out, a = append(out, a[0]), a[1:]
		case a[0].end == b[0].end:
			a = a[1:]
		default:
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}
