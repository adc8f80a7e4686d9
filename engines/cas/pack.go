package cas

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/bucket"
	"plumb/engines/cas/seal"
	"plumb/engines/sqldb"
)

const (
	packAge    = time.Hour
	packHeader = 32
	packQueue  = 2 // chunks that wait to be written
	lease      = 25 * time.Hour
)

// header returns what an object begins with: a name, the format's version, whether its
// chunks are sealed, zeros, and which store it belongs to (16 bytes).
func (s *Store) header(sealed bool) []byte {
	h := make([]byte, packHeader)
	copy(h, packMagic)
	h[len(packMagic)] = packVersion
	if sealed {
		h[len(packMagic)+1] = 1
	}
	copy(h[packHeader-len(s.name):], s.name[:])
	return h
}

const (
	packMagic   = "plumb cas\x00"
	packVersion = 1
)

// entry is a chunk on its way into a pack.
type entry struct {
	blob  *Pending // whose part it is
	end   int64    // where in the blob it ends
	only  bool     // it is the whole blob
	bare  bool     // without bytes: they are known, or stand in the same pack
	chunk Hash
	size  int64

	off, stored int64
	codec       int64
	refs        int64 // references that the blobs in this pack hold
}

// pack is an object that is being written. Whoever has something to write appends it
// to the same one, so that many small writers share an object, a sync and a commit.
type pack struct {
	id     string
	key    []byte       // wrapped
	sealer *seal.Sealer // nil: chunks lie bare
	made   time.Time
	queue  chan *buffer  // closed when it takes no more
	failed chan struct{} // closed when the bucket refused it
	done   chan struct{} // closed when it is committed, or err says why not
	err    error         // set before failed or done is closed

	// Guarded by the store's appending lock; the writer's own once closed is true.
	off     int64
	entries []entry
	index   map[Hash]*Pending // who wrote a chunk into this pack
	closed  bool
	wanted  bool // somebody waits for it
}

// buffer is one chunk's bytes as they will lie.
type buffer struct{ b []byte }

func packKey(id string) string { return "cas/" + id[len(id)-2:] + "/" + id }

// newPack registers a pack, so that the collector knows of it before there is an object.
func (s *Store) newPack(ctx context.Context) (*pack, error) {
	now := s.n.Clock.Now()
	p := &pack{id: ids.New(now), made: now, off: packHeader, index: map[Hash]*Pending{},
		queue: make(chan *buffer, packQueue), failed: make(chan struct{}), done: make(chan struct{})}
	wrapped, sealer, err := s.newKey()
	if err != nil {
		return nil, err
	}
	p.key, p.sealer = wrapped, sealer
	if err := s.register(ctx, p.id, wrapped, now); err != nil {
		return nil, err
	}
	s.writes.Add(1)
	go s.runPack(p)
	return p, nil
}

// register makes a pack known before there is anything of it.
func (s *Store) register(ctx context.Context, id string, wrapped []byte, now time.Time) error {
	err := s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, sqlPackNew, id, "object", "writing", wrapped, now.Add(lease).UnixMicro())
		return err
	})
	if err != nil {
		return fmt.Errorf("begin a pack: %w", err)
	}
	return nil
}

// newKey makes a data key; an empty one for a store that leaves chunks bare.
func (s *Store) newKey() (wrapped []byte, sealer *seal.Sealer, err error) {
	if s.o.Plain {
		return []byte{}, nil, nil
	}
	key := seal.NewKey()
	sealer, err = seal.NewSealer(key)
	return s.ring.Wrap(key), sealer, err
}

// runPack writes what is appended, until the pack is closed, and commits it.
func (s *Store) runPack(p *pack) {
	defer s.writes.Done()
	stream := &packStream{p: p, store: s, now: &buffer{s.header(p.sealer != nil)}}
	err := s.n.Bucket.Put(s.ctx, packKey(p.id), stream, -1, bucket.PutOptions{})
	if err != nil {
		err = fmt.Errorf("write pack %s: %w", p.id, err)
		p.err = err
		close(p.failed)
		s.detach(p)
	} else if err = s.finishPack(s.ctx, p); err != nil {
		err = fmt.Errorf("commit pack %s: %w", p.id, err)
		p.err = err
	}
	if err != nil {
		s.n.Log.Warn("a pack was not written", "pack", p.id, "err", err)
		s.endPack(p.id, err)
	}
	for b := range p.queue { // what came after a failure
		s.giveBuffer(b)
	}
	close(p.done)
	s.flushed()
}

// endPack leaves a pack that came to nothing to the collector, if the database can be
// told; else its lease ends.
func (s *Store) endPack(id string, why error) {
	if errors.Is(why, errPackEnded) {
		// The collector may have come by before the object was there.
		if err := s.n.Bucket.Delete(s.ctx, packKey(id)); err != nil {
			s.n.Log.Warn("an object that nothing names stays until the next scrub", "pack", id, "err", err)
		}
		return
	}
	err := s.write(s.ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, sqlPackEnd, id)
		return err
	})
	if err != nil {
		s.n.Log.Debug("a pack waits for the end of its lease", "pack", id, "err", err)
	}
	s.nudge()
}

// packStream is the object's bytes, for the bucket.
type packStream struct {
	p     *pack
	store *Store
	now   *buffer
	read  int // bytes of now that were read
}

// next turns to the next chunk.
func (r *packStream) next() bool {
	r.store.giveBuffer(r.now)
	r.now, r.read = <-r.p.queue, 0
	return r.now != nil
}

// Read implements io.Reader.
func (r *packStream) Read(b []byte) (int, error) {
	for r.now == nil || r.read == len(r.now.b) {
		if !r.next() {
			return 0, io.EOF
		}
	}
	n := copy(b, r.now.b[r.read:])
	r.read += n
	return n, nil
}

// WriteTo implements io.WriterTo: one write a chunk, and no copy.
func (r *packStream) WriteTo(w io.Writer) (n int64, err error) {
	for r.now != nil {
		m, err := w.Write(r.now.b[r.read:])
		n += int64(m)
		if err != nil {
			return n, err
		}
		r.next()
	}
	return n, nil
}

// append seals a chunk into a pack that is open, and returns that pack.
func (s *Store) append(ctx context.Context, e entry, plain []byte) (*pack, error) {
	if err := s.lockPacks(ctx); err != nil {
		return nil, err
	}
	defer s.unlockPacks()
	p, err := s.openPack(ctx)
	if err != nil {
		return nil, err
	}
	if by := p.index[e.chunk]; by != nil && !by.gone.Load() && (by == e.blob || e.blob.trusted) {
		e.bare = true // what a blob repeats is no secret to it
	}
	if !e.bare {
		if err := s.appendBytes(ctx, p, &e, plain); err != nil {
			return nil, err
		}
	}
	p.entries = append(p.entries, e)
	if p.off >= s.limits.packSize || len(p.entries) >= s.limits.packChunks {
		return p, s.closeFull(ctx, p)
	}
	return p, nil
}

func (s *Store) appendBytes(ctx context.Context, p *pack, e *entry, plain []byte) error {
	b := s.takeBuffer()
	e.off = p.off
	b.b = sealInto(b.b[:0], p.sealer, plain, uint64(e.off), e.chunk)
	e.stored = int64(len(b.b))
	select {
	case p.queue <- b:
	case <-p.failed:
		return p.err
	case <-ctx.Done():
		return ctx.Err() // the place stays free: nothing was written under its nonce
	}
	p.off += e.stored
	p.index[e.chunk] = e.blob
	return nil
}

// sealInto appends a chunk as it will lie. A bare chunk without bytes gets one, so that
// each chunk has a place of its own.
func sealInto(dst []byte, sealer *seal.Sealer, plain []byte, place uint64, id Hash) []byte {
	if sealer != nil {
		return sealer.Seal(dst, plain, place, id[:])
	}
	if len(plain) == 0 {
		return append(dst, 0)
	}
	return append(dst, plain...)
}

// The lock of those who append; a channel, because they may give up waiting.
func (s *Store) lockPacks(ctx context.Context) error {
	select {
	case s.appending <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) unlockPacks() { <-s.appending }

// openPack returns the pack that takes chunks. The caller holds the lock.
func (s *Store) openPack(ctx context.Context) (*pack, error) {
	if s.ctx.Err() != nil || s.closing {
		return nil, errs.New(errs.Busy, "the store is being closed")
	}
	if p := s.cur; p != nil {
		if s.n.Clock.Now().Sub(p.made) < packAge {
			return p, nil
		}
		if err := s.closeFull(ctx, p); err != nil {
			return nil, err
		}
	}
	p, err := s.newPack(ctx)
	if err == nil {
		s.cur = p
	}
	return p, err
}

// closeFull ends a pack that is full, as soon as few enough are being ended.
func (s *Store) closeFull(ctx context.Context, p *pack) error {
	select {
	case s.ending <- struct{}{}:
	case <-p.failed: // it will not count
		s.ending <- struct{}{}
	case <-ctx.Done():
		return ctx.Err()
	}
	s.closePack(p)
	return nil
}

// closePack ends a pack. The caller holds the lock and a place among those that end.
func (s *Store) closePack(p *pack) {
	p.closed = true
	close(p.queue)
	if s.cur == p {
		s.cur = nil
	}
}

// want ends a pack, or has it ended when one of those before it is done: whatever is
// appended meanwhile shares it.
func (s *Store) want(ctx context.Context, p *pack) error {
	if err := s.lockPacks(ctx); err != nil {
		return err
	}
	defer s.unlockPacks()
	if p.closed {
		return nil
	}
	p.wanted = true
	s.endWanted()
	return nil
}

// endWanted ends the current pack if somebody waits for it. The caller holds the lock.
func (s *Store) endWanted() {
	if s.cur == nil || !s.cur.wanted {
		return
	}
	select {
	case s.ending <- struct{}{}:
		s.closePack(s.cur)
	default: // flushed will ask again
	}
}

// flushed is called when a pack that was ended is done.
func (s *Store) flushed() {
	<-s.ending
	s.appending <- struct{}{}
	s.endWanted()
	s.unlockPacks()
}

// detach ends a pack that the bucket refused.
func (s *Store) detach(p *pack) {
	s.appending <- struct{}{}
	defer s.unlockPacks()
	if !p.closed {
		s.ending <- struct{}{}
		s.closePack(p)
	}
}
