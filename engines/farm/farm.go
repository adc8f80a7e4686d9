// Package farm does work on input that nobody should trust in child processes with hard
// limits: decoding a picture, reading a stranger's archive, running a recogniser that is
// known to crash.
//
//	pool, err := farm.New(farm.Options{Args: []string{"farm"}, Limits: farm.Limits{Memory: 1 << 30, CPU: time.Minute}})
//	...
//	usage, err := pool.Do(ctx, farm.Task{
//		Name: "photos.sizes", Params: want, In: photo,
//		Out: func(name string, r io.Reader) error { return keep(name, r) },
//	})
//
// The children are this same program, started with a word that leads to Serve:
//
//	err := farm.Serve(ctx, map[string]farm.Work{"photos.sizes": sizes})
//
// What holds:
//   - A task that takes more than its limits, panics, hangs, floods or talks nonsense is
//     ended with its child, and gets an error that says which. Nothing else notices.
//   - At most Size children run, and each does one task at a time; who waits is served in
//     the order of coming.
//   - A child ends with its parent, however that ends, and whatever it started ends with it.
//   - A child that dies between two tasks costs the next one a fresh child and no failure.
//   - Nothing that a child says is believed: frames, names, sizes and texts have bounds.
//   - What a task wrote counts only when Do returns nil.
//
// A child does many tasks, since its start costs as much as some dozens of empty ones
// (BenchmarkTask). One that was taken over by its input sees the inputs that follow, and may
// answer for them: Reuse 1 gives each task its own.
//
// Besides the limits a child has no files, no network, no other processes and no further
// programs, by whichever of Linux's means the system allows (Stats.Isolation): a user of its
// own, namespaces, Landlock, seccomp.
//
// Cost here: per child six descriptors, a thread, and up to 140 KiB of buffers; per task no
// memory that grows with its input, which goes through a file without a name in Options.Dir,
// or with its outputs, which are passed on as they come.
package farm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"plumb/base/clock"
	"plumb/base/errs"
)

// Limits bound one task. 0 stands for the default.
//
// Memory is looked at every 20 ms, and overrun by 96 MiB at most before that shows; the
// kernel holds the child's address space to twice as much. Processor time may be overrun by
// as much as the child's threads do in 20 ms.
type Limits struct {
	Memory int64         // bytes beyond what an idle child takes: 1 GiB; at least 64 MiB
	CPU    time.Duration // processor time of all its threads: 1 min
	Wall   time.Duration // from the task's start to its result, Out included: 5 min
	Input  int64         // bytes: 1 GiB
	Output int64         // bytes of all its outputs: 256 MiB
}

// Options say what children a pool has.
type Options struct {
	Program string        // the children's program; "": this one, even when its file was replaced
	Args    []string      // what makes the program serve: the hidden word
	Size    int           // children at most: as many as processors when 0
	Queue   int           // tasks that may wait, before the next is refused: 1,000 when 0
	Limits  Limits        // of every task
	Reuse   int           // tasks that a child does before it is replaced: 100 when 0
	Idle    time.Duration // after which a child that has nothing to do is ended: 30 s when 0
	Nice    int           // 0 to 19: how much the children let others go first
	Dir     string        // for inputs: os.TempDir() when ""
	Clock   clock.Clock   // for Idle; limits are measured by the machine's own
	Log     *slog.Logger

	bare  bool          // no isolation but the limits, to compare
	begin time.Duration // a child that takes longer to take up a task is no good: 10 s
}

// Task is one piece of work.
type Task struct {
	Name   string    // of the Work
	Params any       // becomes JSON, at most 1 MiB
	In     io.Reader // nil: empty. It is read to its end before the work starts, while a child is held: no place for a slow sender
	// Out takes the outputs, one after another as they are made. r ends with an error
	// when the output is not whole; what Out leaves unread is dropped. An error of Out
	// ends the task. nil: outputs are dropped.
	Out func(name string, r io.Reader) error
}

// Usage is what a task took.
type Usage struct {
	CPU    time.Duration // of all its threads
	Wall   time.Duration
	MaxRSS int64 // bytes of memory that the child held at most; sampled where the task did not raise its child's peak
}

// Stats tell what a pool does.
type Stats struct {
	Size, Running, Idle, Waiting int
	Started                      int64    // children
	Done                         int64    // tasks whose work returned, errors included
	Over                         int64    // tasks ended at a limit
	Died                         int64    // tasks that took their child along
	Isolation                    []string // what shuts the children in, besides the limits; known from the first child on
}

// ErrDied marks the error of a task that took its child along: it crashed, or sent
// what is no answer. Tried again it will most likely do the same.
var ErrDied = errors.New("the child process died")

// ErrClosed is what tasks get from a pool that is closed.
var ErrClosed = errs.New(errs.Busy, "the farm is closed")

// Pool is a set of children. It is safe for concurrent use.
type Pool struct {
	o     Options
	life  context.Context // ends with Close
	end   context.CancelCauseFunc
	slots *semaphore.Weighted
	busy  sync.WaitGroup // calls of Do, and the janitor

	mu     sync.Mutex
	closed bool
	idle   []*child // the one used last is the last
	stats  Stats
	level  int  // how far children are kept apart: what the system was found to allow
	told   bool // of the isolation
}

// New returns a pool; children start when there is work.
func New(o Options) (*Pool, error) {
	o.Program = cmp.Or(o.Program, "/proc/self/exe")
	o.Size = cmp.Or(o.Size, runtime.GOMAXPROCS(0))
	o.Queue = cmp.Or(o.Queue, 1000)
	o.Reuse = cmp.Or(o.Reuse, 100)
	o.Idle = cmp.Or(o.Idle, 30*time.Second)
	o.begin = cmp.Or(o.begin, 10*time.Second)
	o.Dir = cmp.Or(o.Dir, os.TempDir())
	l := &o.Limits
	l.Memory = cmp.Or(l.Memory, 1<<30)
	l.CPU = cmp.Or(l.CPU, time.Minute)
	l.Wall = cmp.Or(l.Wall, 5*time.Minute)
	l.Input = cmp.Or(l.Input, 1<<30)
	l.Output = cmp.Or(l.Output, 256<<20)
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.Size < 1 || o.Queue < 1 || o.Reuse < 1:
		return nil, errs.New(errs.Invalid, "a farm's size, queue and reuse must be 1 or more")
	case l.Memory < 64<<20:
		return nil, errs.New(errs.Invalid, "a farm's tasks need 64 MiB of memory or more")
	case l.CPU < 0 || l.Wall < 0 || l.Input < 0 || l.Output < 0 || o.Idle < 0:
		return nil, errs.New(errs.Invalid, "a farm's limits must not be negative")
	case o.Nice < 0 || o.Nice > 19:
		return nil, errs.New(errs.Invalid, "a farm's nice must be 0 to 19, not %d", o.Nice)
	}
	p := &Pool{o: o, slots: semaphore.NewWeighted(int64(o.Size))}
	if o.bare {
		p.level = beside
	}
	p.life, p.end = context.WithCancelCause(context.Background())
	p.busy.Go(p.sweep)
	return p, nil
}

// Do does a task and waits for its end.
//
// Errors: what the work returned, with its kind (Invalid, NotFound, TooLarge, Busy,
// Conflict or Denied; else Internal); TooLarge for a limit; ErrDied; Busy when too many
// wait, when ctx ended while it waited, or ErrClosed; ctx's own when it ended the task;
// those of In and Out.
func (p *Pool) Do(ctx context.Context, t Task) (Usage, error) {
	head, err := t.head()
	if err != nil {
		return Usage{}, fmt.Errorf("farm %s: %w", t.Name, err)
	}
	ctx, end := p.join(ctx)
	defer end()
	if err := p.enter(ctx); err != nil {
		return Usage{}, fmt.Errorf("farm %s: %w", t.Name, err)
	}
	defer p.leave()
	u, err := p.do(ctx, t, head)
	if err != nil {
		return u, fmt.Errorf("farm %s: %w", t.Name, err)
	}
	return u, nil
}

// join returns a ctx that ends with the pool too.
func (p *Pool) join(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(p.life, func() { cancel(ErrClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// enter waits for its turn.
func (p *Pool) enter(ctx context.Context) error {
	p.mu.Lock()
	switch {
	case p.closed:
		p.mu.Unlock()
		return ErrClosed
	case p.stats.Waiting >= p.o.Queue:
		p.mu.Unlock()
		return errs.New(errs.Busy, "%d tasks wait already", p.o.Queue)
	}
	p.busy.Add(1)
	p.stats.Waiting++
	p.mu.Unlock()
	err := p.slots.Acquire(ctx, 1)
	p.mu.Lock()
	p.stats.Waiting--
	if err == nil {
		p.stats.Running++
	}
	p.mu.Unlock()
	if err == nil {
		return nil
	}
	p.busy.Done()
	if cause := context.Cause(ctx); errs.Is(cause, errs.Busy) {
		return cause
	}
	return errs.Wrap(errs.Busy, context.Cause(ctx), "all %d places were taken", p.o.Size)
}

func (p *Pool) leave() {
	p.mu.Lock()
	p.stats.Running--
	p.mu.Unlock()
	p.slots.Release(1)
	p.busy.Done()
}

// Stats tells what the pool does now and did so far.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Size, s.Idle = p.o.Size, len(p.idle)
	return s
}

// Close ends the tasks that run and those that wait, and returns when all children are
// gone. To let tasks finish, wait for their Do first.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.end(ErrClosed)
	p.busy.Wait()
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		c.end()
	}
	return nil
}
