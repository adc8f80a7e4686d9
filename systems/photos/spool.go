package photos

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/base/units"
	"plumb/engines/cas"
)

// Bounds of uploads on their way.
const (
	memoryEach  = 4 << 20  // bytes of one that stay in memory; more go to a file
	memoryAll   = 64 << 20 // bytes of all of them: whoever comes then goes to a file at once
	spoolStep   = 64 << 10
	mostStoring = 16              // uploads that one shard stores; each takes some MB for that
	turnWait    = 2 * time.Minute // that the others wait for their turn, with their bytes in the spool
)

// spooler takes uploads in before anything looks at them: what is in them is known
// before they are kept, and they can be read twice.
type spooler struct {
	dir  string // for files, which have no name
	left atomic.Int64

	mu    sync.Mutex
	turns map[int64]chan struct{} // by shard; guarded by mu
}

func newSpooler(dir string) *spooler {
	s := &spooler{dir: dir, turns: map[int64]chan struct{}{}}
	s.left.Store(memoryAll)
	return s
}

// take reserves memory.
func (s *spooler) take(n int64) bool {
	if s.left.Add(-n) >= 0 {
		return true
	}
	s.left.Add(n)
	return false
}

// turn waits until a shard stores few enough uploads for one more, so that memory does
// not grow with how many come; whoever has it calls done. A shard that is slow keeps no
// others waiting. Errors: Busy.
func (s *spooler) turn(ctx context.Context, shard int64, c clock.Clock) (done func(), err error) {
	s.mu.Lock()
	turns := s.turns[shard]
	if turns == nil {
		turns = make(chan struct{}, mostStoring)
		s.turns[shard] = turns
	}
	s.mu.Unlock()
	done = func() { <-turns }
	select {
	case turns <- struct{}{}:
		return done, nil
	default:
	}
	select {
	case turns <- struct{}{}:
		return done, nil
	case <-c.After(turnWait):
		return nil, errs.TryAfter(10*time.Second, "many photos are being stored: send this one again")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// spool is one upload, whole: io.ReaderAt.
type spool struct {
	from *spooler
	mem  []byte   // all of it, while file is nil
	held int64    // bytes of memory reserved
	file *os.File // without a name
	size int64
	sum  hash.Hash
}

// read takes r in to its end, at most so many bytes. Errors: TooLarge; Busy when the
// disk is full; r's own.
func (s *spooler) read(ctx context.Context, r io.Reader, most int64) (*spool, error) {
	sp := &spool{from: s, sum: sha256.New()}
	if err := sp.fill(ctx, io.LimitReader(r, most+1)); err != nil {
		sp.Close()
		return nil, err
	}
	if sp.size > most {
		sp.Close()
		return nil, errs.New(errs.TooLarge, "a photo may have %s (%d bytes)", units.Bytes(float64(most)), most)
	}
	return sp, nil
}

func (sp *spool) fill(ctx context.Context, r io.Reader) error {
	buf := make([]byte, spoolStep)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buf)
		if n > 0 {
			sp.sum.Write(buf[:n])
			if werr := sp.write(buf[:n]); werr != nil {
				return werr
			}
		}
		switch err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

// write appends, in memory as long as there is some.
func (sp *spool) write(b []byte) error {
	sp.size += int64(len(b))
	if sp.file == nil && sp.grow(len(b)) {
		sp.mem = append(sp.mem, b...)
		return nil
	}
	if sp.file == nil {
		if err := sp.spill(); err != nil {
			return err
		}
	}
	if _, err := sp.file.Write(b); err != nil {
		return noRoom(err)
	}
	return nil
}

// grow makes place for n bytes in memory, by doubling; false: there is none.
func (sp *spool) grow(n int) bool {
	need := len(sp.mem) + n
	if need <= cap(sp.mem) {
		return true
	}
	size := int64(max(2*cap(sp.mem), spoolStep))
	for size < int64(need) {
		size *= 2
	}
	if size > memoryEach || !sp.from.take(size) {
		return false
	}
	sp.mem = append(make([]byte, 0, size), sp.mem...)
	sp.from.left.Add(sp.held)
	sp.held = size
	return true
}

// spill moves what is in memory to a file.
func (sp *spool) spill() error {
	if err := os.MkdirAll(sp.from.dir, 0o700); err != nil {
		return noRoom(err)
	}
	f, err := os.CreateTemp(sp.from.dir, "upload-")
	if err != nil {
		return noRoom(err)
	}
	sp.file = f
	if err := os.Remove(f.Name()); err != nil {
		return fmt.Errorf("take an upload in: %w", err)
	}
	if _, err := f.Write(sp.mem); err != nil {
		return noRoom(err)
	}
	sp.mem = nil
	sp.from.left.Add(sp.held)
	sp.held = 0
	return nil
}

// noRoom tells a full disk from other faults.
func noRoom(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w: %w", errs.TryAfter(10*time.Second, "the disk is full: nothing was stored"), errs.ErrFull, err)
	}
	return fmt.Errorf("take an upload in: %w", err)
}

// ReadAt implements io.ReaderAt.
func (sp *spool) ReadAt(b []byte, off int64) (int, error) {
	if sp.file != nil {
		return sp.file.ReadAt(b, off)
	}
	return bytes.NewReader(sp.mem).ReadAt(b, off)
}

// reader reads all of it, from the beginning.
func (sp *spool) reader() *io.SectionReader { return io.NewSectionReader(sp, 0, sp.size) }

// hash is the SHA-256 of all of it.
func (sp *spool) hash() (h cas.Hash) {
	sp.sum.Sum(h[:0])
	return h
}

// Close gives back what it took.
func (sp *spool) Close() error {
	sp.from.left.Add(sp.held)
	sp.mem, sp.held = nil, 0
	if sp.file != nil {
		return sp.file.Close()
	}
	return nil
}
