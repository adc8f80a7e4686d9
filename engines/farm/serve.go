package farm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"golang.org/x/sys/unix"

	"plumb/base/errs"
)

// Work is what a child can do. in is the task's input, to read in any order; it must not
// be used after the return. out begins an output, which Close ends; one at a time.
//
// An error of kind Invalid, NotFound, TooLarge, Busy, Conflict or Denied reaches the
// caller of Do as it is; any other is Internal there. A panic costs the child.
type Work func(ctx context.Context, params json.RawMessage, in *io.SectionReader, out func(name string) io.WriteCloser) error

// Serve is a child's main: it does tasks until its parent ends it or closes the pipe, or
// ctx ends, which it looks at between tasks. It speaks on descriptors 3, 4 and 5, where the pool
// put a pipe for tasks, one for answers and the input. Errors: Invalid when they are not there.
func Serve(ctx context.Context, works map[string]Work) error {
	for fd := 3; fd <= 4; fd++ {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
			return errs.New(errs.Invalid, "this word is for children that the program starts itself")
		}
	}
	// A service manager may send these to all of a service's processes, but the parent has
	// work to finish: it ends this one when it is time.
	signal.Ignore(os.Interrupt, unix.SIGTERM)
	in, out, input := os.NewFile(3, "tasks"), os.NewFile(4, "answers"), os.NewFile(5, "input")
	isolation, err := shut()
	if err != nil {
		return fmt.Errorf("limit this process: %w", err)
	}
	s := server{works: works, in: bufio.NewReader(in), out: bufio.NewWriterSize(out, maxData), input: input}
	return s.serve(ctx, hello{Version: version, Isolation: isolation})
}

// server is a child's side of the talk.
type server struct {
	works map[string]Work
	in    io.Reader
	out   *bufio.Writer
	input io.ReaderAt
	open  bool // an output is
}

func (s *server) serve(ctx context.Context, h hello) error {
	if err := s.send(frameHello, h); err != nil {
		return err
	}
	idle := runtime.NumGoroutine()
	for ctx.Err() == nil {
		kind, payload, err := readFrame(s.in, nil, maxTask)
		if errors.Is(err, io.EOF) {
			return nil
		}
		var t task
		if err == nil && (kind != frameTask || json.Unmarshal(payload, &t) != nil) {
			err = errFrame
		}
		if err != nil {
			return fmt.Errorf("read a task: %w", err)
		}
		if err := errors.Join(writeFrame(s.out, frameBegin, nil), s.out.Flush()); err != nil {
			return err
		}
		res := resultOf(s.work(ctx, t))
		res.Retire = !quiet(idle)
		tidy()
		if err := s.send(frameResult, res); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (s *server) send(kind byte, v any) error {
	err := writeJSON(s.out, kind, v)
	return errors.Join(err, s.out.Flush())
}

// work does one task.
func (s *server) work(ctx context.Context, t task) error {
	w, known := s.works[t.Name]
	if !known {
		return fmt.Errorf("nobody knows the work %q", t.Name)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.open = false
	err := w(ctx, t.Params, io.NewSectionReader(s.input, 0, t.Size), s.begin)
	if err == nil && s.open {
		err = errors.New("the work left an output open")
	}
	return err
}

// begin begins an output.
func (s *server) begin(name string) io.WriteCloser {
	w := &writer{s: s}
	switch {
	case s.open:
		w.err = errors.New("an output is open already")
	case name == "" || len(name) > maxName || plain(name) != name:
		w.err = fmt.Errorf("no output can be called %q", name)
	default:
		s.open = true
		w.err = writeFrame(s.out, frameOpen, []byte(name))
	}
	return w
}

// writer writes one output.
type writer struct {
	s   *server
	err error
}

var errWriterClosed = errors.New("the output is closed")

func (w *writer) Write(p []byte) (n int, err error) {
	for len(p) > 0 && w.err == nil {
		part := p[:min(len(p), maxData)]
		if w.err = writeFrame(w.s.out, frameData, part); w.err == nil {
			n += len(part)
			p = p[len(part):]
		}
	}
	return n, w.err
}

func (w *writer) Close() error {
	if w.err != nil {
		return w.err
	}
	w.err = errWriterClosed
	w.s.open = false
	return errors.Join(writeFrame(w.s.out, frameClose, nil), w.s.out.Flush())
}

// quiet says whether the goroutines that a task started are over, which some need a
// moment for.
func quiet(idle int) bool {
	for range 20 {
		if runtime.NumGoroutine() <= idle {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

// tidy gives back what a large task took, so that the next one is not blamed for it.
func tidy() {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Uint64()-sample[1].Value.Uint64() > spare/3 {
		debug.FreeOSMemory()
	}
}
