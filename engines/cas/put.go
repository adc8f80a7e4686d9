package cas

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/cas/seal"
	"plumb/engines/sqldb"
)

const (
	smallSize = 128 << 10 // bytes of a blob that is kept in the database first
	headSize  = 512
	minChunk  = 64 << 10
	maxChunk  = 1 << 20
	wholeCut  = 256 << 10 // PutOptions.Whole cuts longer blobs here
	ahead     = 512 << 10 // bytes that most chunks end within
	window    = 3 << 19   // bytes that a Put of a large blob has in memory
)

// Pending is content that was put and has no reference yet.
type Pending struct {
	store   *Store
	id      string
	hash    Hash
	size    int64
	head    []byte
	count   int64 // chunks
	only    bool  // one chunk
	trusted bool
	known   bool // nothing was written: a live blob was found
	later   bool // not known to be durable yet
	small   *smallChunk
	packs   []*pack // in which its chunks lie
	gone    atomic.Bool
	lost    atomic.Bool // a chunk that it counted on went
}

// smallChunk is a small blob, sealed for its place in a loose pack.
type smallChunk struct {
	pack  string
	off   int64
	codec int64
	data  []byte
}

// Hash names the content.
func (p *Pending) Hash() Hash { return p.hash }

// Size returns the content's bytes.
func (p *Pending) Size() int64 { return p.size }

// Head returns the first bytes, 512 at most, from which the type can be told.
func (p *Pending) Head() []byte { return p.head }

// Lane is the key under which a transaction with Take is best committed
// (sqldb.DB.BatchBy): those who put the same bytes then wait in line, and not for each
// other's locks.
func (p *Pending) Lane() string { return p.hash.Lane() }

// Lane is like Pending.Lane, for Add and Drop.
func (h Hash) Lane() string { return "cas " + string("0123456789abcdef"[h[0]>>4]) }

// Close gives up what nothing took. It is safe after Take, and more than once.
func (p *Pending) Close() {
	if p.small == nil && !p.known && !p.gone.Swap(true) {
		p.store.giveUp(p.id)
	}
}

func (p *Pending) parts() int64 {
	if p.small != nil || p.only {
		return 0
	}
	return p.count
}

// Put reads r to its end and stores what it read, durably, though nothing refers to
// it until Take. An error of r is returned wrapped.
func (s *Store) Put(ctx context.Context, r io.Reader, opt PutOptions) (*Pending, error) {
	if opt.Limit <= 0 || opt.Limit > MaxSize {
		opt.Limit = MaxSize
	}
	start := int64(-1)
	seeker, ok := r.(io.Seeker)
	if ok && opt.Trusted {
		if at, err := seeker.Seek(0, io.SeekCurrent); err == nil {
			start = at
		}
	}
	if start >= 0 {
		p, err := s.knownFile(ctx, r, seeker, start, opt)
		if p != nil {
			return p, nil
		}
		if err != nil {
			return nil, fmt.Errorf("put content: %w", err)
		}
	}
	p, err := s.put(ctx, r, opt)
	if errors.Is(err, errLost) && start >= 0 {
		if _, err = seeker.Seek(start, io.SeekStart); err == nil {
			opt.Trusted = false
			p, err = s.put(ctx, r, opt)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("put content: %w", err)
	}
	return p, nil
}

// knownFile looks whether trusted content that can be read twice is there already, if
// there is any of its length: hashing it once is then all. nil: it is not known.
func (s *Store) knownFile(ctx context.Context, r io.Reader, seeker io.Seeker, start int64, opt PutOptions) (*Pending, error) {
	end, err := seeker.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = seeker.Seek(start, io.SeekStart)
	}
	if err != nil {
		return nil, err
	}
	size := end - start
	if size <= smallSize || size > opt.Limit {
		return nil, nil
	}
	var n int64
	err = s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, sqlBlobSize, size).Scan(&n)
	})
	if err != nil || n == 0 {
		return nil, err
	}
	p := &Pending{store: s, size: size, known: true, trusted: true}
	buf := smallBuffers.Get().(*[smallSize + 1]byte)
	defer smallBuffers.Put(buf)
	whole := sha256.New()
	for got := int64(0); ; {
		n, err := readFull(ctx, r, buf[:smallSize])
		if got == 0 {
			p.head = append(p.head, buf[:min(n, headSize)]...)
		}
		whole.Write(buf[:n])
		got += int64(n)
		if err == io.EOF && got == size {
			break
		}
		if err != nil || got > size { // it changes while it is read: take what comes
			_, err = seeker.Seek(start, io.SeekStart)
			return nil, err
		}
	}
	whole.Sum(p.hash[:0])
	err = s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var id string
		var parts int64
		return tx.QueryRow(ctx, sqlBlobGet, p.hash[:]).Scan(&id, &n, &parts)
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		p = nil
		_, err = seeker.Seek(start, io.SeekStart)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

var errLost = errs.New(errs.Conflict, "content that was known has gone meanwhile: put it again")

func (s *Store) put(ctx context.Context, r io.Reader, opt PutOptions) (*Pending, error) {
	p := &Pending{store: s, id: ids.New(s.n.Clock.Now()), trusted: opt.Trusted, later: opt.Later}
	err := s.putAll(ctx, r, opt, p)
	if err == nil && p.small == nil && !opt.Later {
		err = p.wait(ctx)
	}
	if err != nil {
		p.gone.Store(true)
		if len(p.packs) > 0 {
			s.giveUp(p.id)
		}
		return nil, err
	}
	return p, nil
}

var smallBuffers = sync.Pool{New: func() any { return new([smallSize + 1]byte) }}

func (s *Store) putAll(ctx context.Context, r io.Reader, opt PutOptions, p *Pending) error {
	if err := s.room(); err != nil {
		return err
	}
	buf := smallBuffers.Get().(*[smallSize + 1]byte)
	defer smallBuffers.Put(buf)
	n, err := readFull(ctx, r, buf[:])
	if err != nil && err != io.EOF {
		return err
	}
	p.head = append(p.head, buf[:min(n, headSize)]...)
	if int64(n) > opt.Limit {
		return errTooLarge(opt.Limit)
	}
	switch {
	case n > smallSize:
		return s.putLarge(ctx, buf[:n], r, opt, p)
	case opt.Later:
		return s.putChunk(ctx, buf[:n], nil, true, p)
	}
	return s.putSmall(ctx, buf[:n], p)
}

// Ready waits until what was put with PutOptions.Later is durable, and has it made so
// if need be.
func (p *Pending) Ready(ctx context.Context) error {
	if !p.later {
		return nil
	}
	if err := p.wait(ctx); err != nil {
		return fmt.Errorf("store blob %s: %w", p.hash, err)
	}
	p.later = false
	return nil
}

func errTooLarge(limit int64) error {
	return errs.New(errs.TooLarge, "the content has more than %d bytes", limit)
}

// readFull fills b; io.EOF says that r ended, before b was full or just then.
func readFull(ctx context.Context, r io.Reader, b []byte) (n int, err error) {
	for n < len(b) {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		m, err := r.Read(b[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// putSmall seals the content and keeps it in memory: Take writes it.
func (s *Store) putSmall(ctx context.Context, plain []byte, p *Pending) error {
	p.hash = sha256.Sum256(plain)
	p.size, p.count, p.only = int64(len(plain)), 1, true
	if s.o.VerifyOnHit {
		if err := s.compare(ctx, p.hash, plain); err != nil {
			return err
		}
	}
	l, off, err := s.looseSlot(ctx)
	if err != nil {
		return err
	}
	packed, codec := s.squeeze(plain, p.head)
	defer s.giveBuffer(packed)
	if packed != nil {
		plain = packed.b
	}
	data := make([]byte, 0, seal.SealedSize(len(plain))+1)
	p.small = &smallChunk{pack: l.id, off: off, codec: codec, data: sealInto(data, l.sealer, plain, uint64(off), p.hash)}
	return nil
}

// loose is the pack that a store's small blobs get their places and their key from.
type loose struct {
	id     string
	sealer *seal.Sealer
	made   time.Time
	next   int64
}

// looseSlot returns a place that nobody had before.
func (s *Store) looseSlot(ctx context.Context) (loose, int64, error) {
	s.looseMu.Lock()
	defer s.looseMu.Unlock()
	now := s.n.Clock.Now()
	if s.loose.id == "" || now.Sub(s.loose.made) >= packAge || s.loose.next >= 1<<20 {
		wrapped, sealer, err := s.newKey()
		if err != nil {
			return loose{}, 0, err
		}
		l := loose{id: ids.New(now), sealer: sealer, made: now}
		err = s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, sqlPackNew, l.id, "loose", "stored", wrapped, now.Add(packAge+lease).UnixMicro())
			return err
		})
		if err != nil {
			return loose{}, 0, fmt.Errorf("begin a pack in the database: %w", err)
		}
		s.loose = l
	}
	s.loose.next++
	return s.loose, s.loose.next, nil
}

var windows = sync.Pool{New: func() any { return new([window]byte) }}

// putLarge cuts what comes into chunks and appends them to packs as they come.
func (s *Store) putLarge(ctx context.Context, first []byte, r io.Reader, opt PutOptions, p *Pending) error {
	win := windows.Get().(*[window]byte)
	defer windows.Put(win)
	cut := s.cutter.Cut
	if opt.Whole {
		cut = wholeCuts()
	}
	whole := sha256.New()
	lo, hi, eof := 0, copy(win[:], first), false
	for want := ahead; !eof || lo < hi; {
		if !eof && hi-lo < want {
			hi = copy(win[:], win[lo:hi])
			lo = 0
			if err := s.room(); err != nil {
				return err
			}
			n, err := readFull(ctx, r, win[hi:])
			hi += n
			if eof = err == io.EOF; err != nil && !eof {
				return err
			}
			if p.size+int64(hi) > opt.Limit {
				return errTooLarge(opt.Limit)
			}
		}
		n := cut(win[lo:hi], eof)
		if n == 0 && want == maxChunk {
			return errors.New("the chunker found no end")
		}
		if want = ahead; n == 0 { // a long one
			want = maxChunk
			continue
		}
		if err := s.putChunk(ctx, win[lo:lo+n], whole, eof && lo+n == hi, p); err != nil {
			return err
		}
		lo += n
	}
	return nil
}

// wholeCuts keeps content of up to maxChunk in one chunk, and cuts longer at fixed lengths.
func wholeCuts() func([]byte, bool) int {
	first := true
	return func(b []byte, eof bool) int {
		if first && !eof && len(b) < maxChunk {
			return 0
		}
		if first && eof && len(b) <= maxChunk {
			return len(b)
		}
		first = false
		return min(len(b), wholeCut)
	}
}

// putChunk hashes and appends the next chunk, the last one of the blob or not.
func (s *Store) putChunk(ctx context.Context, plain []byte, whole hash.Hash, last bool, p *Pending) error {
	e := entry{blob: p, chunk: sha256.Sum256(plain), size: int64(len(plain)), end: p.size + int64(len(plain))}
	p.size = e.end
	p.count++
	e.only = last && p.count == 1
	switch {
	case e.only:
		p.hash, p.only = e.chunk, true
	default:
		whole.Write(plain)
		if last {
			whole.Sum(p.hash[:0])
		}
	}
	var err error
	if p.trusted {
		if e.bare, err = s.has(ctx, e.chunk); err != nil {
			return err
		}
	}
	if !e.bare {
		packed, codec := s.squeeze(plain, p.head)
		defer s.giveBuffer(packed)
		if packed != nil {
			plain, e.codec = packed.b, codec
		}
	}
	in, err := s.append(ctx, e, plain)
	if err != nil {
		return err
	}
	if n := len(p.packs); n == 0 || p.packs[n-1] != in {
		p.packs = append(p.packs, in)
	}
	return nil
}

// has says whether a chunk is there and well.
func (s *Store) has(ctx context.Context, id Hash) (bool, error) {
	var n int64
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, sqlChunkHas, id[:]).Scan(&n)
	})
	return n > 0, err
}

// wait ends the pack that is still open and waits until all of p's are durable.
func (p *Pending) wait(ctx context.Context) error {
	if err := p.store.want(ctx, p.packs[len(p.packs)-1]); err != nil {
		return err
	}
	for _, in := range p.packs {
		select {
		case <-in.done:
			if in.err != nil {
				return in.err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	p.packs = p.packs[:1] // only that there were some matters from here on
	if p.lost.Load() {
		return errLost
	}
	return nil
}
