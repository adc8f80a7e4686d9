package cas

import (
	"encoding/binary"
	"hash/maphash"
	"sync"

	"plumb/engines/cas/seal"
)

// DefaultCache is Options.Cache when that is 0: a dozen films' beginnings, or what a page
// of pictures shows to all who look at it just now.
const DefaultCache = 64 << 20

const lately = 4 // times as many frames as are kept are remembered as read

// hotFrames keeps opened frames of chunks that are read again and again, so that they
// cost neither the disk nor the cipher. Only verified bytes come in. A frame comes in when
// it is read a second time within a while: who reads a store through once changes nothing.
// Chunks that lie bare are not kept, the system does that better.
type hotFrames struct {
	seed   maphash.Seed
	most   int // frames, at most
	mu     sync.Mutex
	kept   map[hotKey]*hotFrame // guarded by mu
	all    []*hotFrame          // as many as were ever needed at once, most at most
	hand   int                  // goes around all, in search of one to use anew
	lately map[uint64]struct{}  // hashes of frames that were read, not kept; guarded by mu
	order  []uint64             // of these, around
	next   int                  // in order: the longest ago
	ended  bool
}

// hotKey names a frame. Whoever reads for somebody else's sake finds nothing there, so
// that time does not tell what others read.
type hotKey struct {
	sake  string
	chunk Hash
	n     int64
}

type hotFrame struct {
	key     hotKey
	b       []byte // of FrameSize, from its first use on
	n       int
	readers int  // that look at b: it does not change as long as there are any
	used    bool // since the hand came by
	live    bool // in kept
}

func (h *hotFrames) init(bytes int64) {
	if bytes == 0 {
		bytes = DefaultCache
	}
	h.most = int(max(bytes, 0) / seal.FrameSize)
	h.seed = maphash.MakeSeed()
	h.kept = map[hotKey]*hotFrame{}
	h.lately = map[uint64]struct{}{}
}

// get returns a frame, which the caller gives back.
func (h *hotFrames) get(k hotKey) *hotFrame {
	if h.most == 0 {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.kept[k]
	if f != nil {
		f.used = true
		f.readers++
	}
	return f
}

func (h *hotFrames) give(f *hotFrame) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f.readers--
}

// offer shows the frames of a chunk, from one on, that were read and verified just now.
func (h *hotFrames) offer(k hotKey, b []byte) {
	if h.most == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for ; len(b) > 0; k.n++ {
		frame := b[:min(seal.FrameSize, len(b))]
		b = b[len(frame):]
		if h.kept[k] != nil || !h.again(k) || h.ended {
			continue
		}
		f := h.free()
		if f == nil {
			return // all are being read
		}
		f.key, f.n, f.used, f.live = k, copy(f.b, frame), false, true
		h.kept[k] = f
	}
}

// again says whether a frame was seen lately, and remembers that it is. The caller holds
// the lock.
func (h *hotFrames) again(k hotKey) bool {
	sum := maphash.String(h.seed, k.sake) ^ (binary.LittleEndian.Uint64(k.chunk[:])+uint64(k.n))*0x9e3779b97f4a7c15
	if _, ok := h.lately[sum]; ok {
		return true
	}
	h.lately[sum] = struct{}{}
	if len(h.order) < lately*h.most {
		h.order = append(h.order, sum)
		return false
	}
	delete(h.lately, h.order[h.next])
	h.order[h.next] = sum
	h.next = (h.next + 1) % len(h.order)
	return false
}

// free returns a frame that nobody reads, with nothing in it. The caller holds the lock.
func (h *hotFrames) free() *hotFrame {
	if len(h.all) < h.most {
		f := &hotFrame{b: make([]byte, seal.FrameSize)}
		h.all = append(h.all, f)
		return f
	}
	for range 2 * len(h.all) {
		f := h.all[h.hand]
		h.hand = (h.hand + 1) % len(h.all)
		if f.readers > 0 {
			continue
		}
		if f.live && f.used {
			f.used = false
			continue
		}
		h.remove(f)
		return f
	}
	return nil
}

// remove takes a frame out; who reads it goes on. The caller holds the lock.
func (h *hotFrames) remove(f *hotFrame) {
	if f.live {
		delete(h.kept, f.key)
		f.live = false
	}
}

// forget takes out a chunk that was found bad where it lies.
func (h *hotFrames) forget(chunk Hash) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.all {
		if f.key.chunk == chunk {
			h.remove(f)
		}
	}
}

func (h *hotFrames) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended, h.all = true, nil
	clear(h.kept)
}
