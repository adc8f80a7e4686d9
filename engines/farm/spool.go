package farm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"plumb/base/errs"
	"plumb/base/units"
)

// spool is where a child finds its input: a file without a name, of which the child
// holds a descriptor that only reads, so that a decoder can seek and no copy goes through
// a pipe. A file and not a memfd, because memory that the kernel cannot write out is what
// large inputs would take from everybody; a short task's input never reaches the disk.
type spool struct {
	file  *os.File // ours, to write
	child *os.File // the child's, to read
	used  bool
}

func newSpool(dir string) (*spool, error) {
	f, err := nameless(dir)
	if err != nil {
		return nil, fmt.Errorf("make a file for inputs: %w", err)
	}
	child, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("make a file for inputs: %w", err)
	}
	return &spool{file: f, child: child}, nil
}

func nameless(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err == nil {
		return f, nil
	}
	// Not every file system has O_TMPFILE.
	if f, err = os.CreateTemp(dir, "plumb-input-"); err != nil {
		return nil, err
	}
	return f, errors.Join(os.Remove(f.Name()))
}

// fill replaces the content by what in holds, at most most bytes, and returns its size.
func (s *spool) fill(ctx context.Context, in io.Reader, most int64) (int64, error) {
	if err := s.clear(); err != nil || in == nil {
		return 0, err
	}
	s.used = true
	n, err := io.Copy(s.file, io.LimitReader(reader{ctx, in}, most+1))
	switch {
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case errors.Is(err, unix.ENOSPC):
		return 0, errs.Wrap(errs.Busy, errors.Join(err, errs.ErrFull), "there is no room for the input")
	case err != nil:
		return 0, fmt.Errorf("read the input: %w", err)
	case n > most:
		return 0, errs.New(errs.TooLarge, "the input has more than %s", units.Bytes(float64(most)))
	}
	return n, nil
}

// clear forgets the content.
func (s *spool) clear() error {
	if !s.used {
		return nil
	}
	s.used = false
	if err := s.file.Truncate(0); err != nil {
		return fmt.Errorf("empty the file for inputs: %w", err)
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return err
}

func (s *spool) close() {
	s.file.Close()
	s.child.Close()
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
