package farm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"plumb/base/errs"
	"plumb/base/units"
)

// look is how often a running task is measured.
const look = 20 * time.Millisecond

// errUnbegun is the end of a child that had not taken up its task.
var errUnbegun = errors.New("it ended before the task began")

// head checks a task and makes what its child is told.
func (t Task) head() (task, error) {
	params, err := json.Marshal(t.Params)
	if err != nil {
		return task{}, errs.Wrap(errs.Invalid, err, "the parameters cannot be written")
	}
	if len(params)+len(t.Name) > maxTask-1024 {
		return task{}, errs.New(errs.TooLarge, "the parameters have %d bytes, more than 1 MiB", len(params))
	}
	return task{Name: t.Name, Params: params}, nil
}

// do does a task whose turn it is.
func (p *Pool) do(ctx context.Context, t Task, head task) (u Usage, err error) {
	c := p.take()
	if c == nil {
		s, err := newSpool(p.o.Dir)
		if err != nil {
			return u, err
		}
		if c, err = p.start(ctx, s); err != nil {
			return u, err
		}
	}
	defer func() { // also when In or Out panics
		if c != nil {
			c.end()
		}
	}()
	if head.Size, err = c.spool.fill(ctx, t.In, p.o.Limits.Input); err != nil {
		p.put(c)
		c = nil
		return u, err
	}
	for try := 1; ; try++ {
		r := &run{pool: p, c: c, task: t}
		good, retire := false, false
		u, good, retire, err = r.run(ctx, head)
		if good {
			p.count(&p.stats.Done)
			if c.done++; retire {
				c.done = p.o.Reuse
			}
			p.put(c)
			c = nil
			return u, err
		}
		if !errors.Is(err, errUnbegun) || try == 3 {
			return u, err
		}
		// It was killed, or ended, while it had nothing to do: no fault of the task's.
		s := c.spool
		c.leave()
		if c, err = p.start(ctx, s); err != nil {
			return u, err
		}
	}
}

func (p *Pool) count(n *int64) {
	p.mu.Lock()
	*n++
	p.mu.Unlock()
}

// run is one task on one child.
type run struct {
	pool *Pool
	c    *child
	task Task

	start time.Time
	cpu   time.Duration // of the child before
	begun atomic.Bool   // the child has taken up the task
	out   int64         // bytes of outputs so far
	files int

	mu      sync.Mutex
	settled bool  // the result is here: too late to blame
	blame   error // why the child was killed
	peak    int64 // bytes of resident memory seen
}

// run gives the task to the child and follows it. good says that the child can be used
// again: then err is the work's own.
func (r *run) run(ctx context.Context, head task) (u Usage, good, retire bool, err error) {
	r.start = time.Now()
	if r.cpu, err = r.c.cpu(); err != nil {
		return u, false, false, errUnbegun
	}
	r.c.said.next(func() { r.stop(r.over("wrote more than %s to its log", units.Bytes(float64(maxSaid)))) })
	stopped, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		r.watch(ctx, stopped)
	}()
	defer func() { // also when Out panics
		r.c.said.next(nil)
		close(stopped)
		<-gone
	}()
	res, err := r.exchange(head)
	blame := r.settle()
	if err == nil && blame == nil && r.c.in.Buffered() > 0 {
		err = fmt.Errorf("%w: more than a result", errFrame)
	}
	if err == nil && blame == nil {
		return r.usage(), true, res.Retire, res.err()
	}
	// The child is beyond use: end it, for what it took and said last.
	r.c.proc.Kill()
	<-r.c.proc.Ended()
	u = r.usage()
	return u, false, false, r.verdict(u, err, blame)
}

// stop ends the task, unless it is over.
func (r *run) stop(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.settled || r.blame != nil {
		return
	}
	r.blame = why
	r.kill()
}

// kill ends the child and whatever waits for it.
func (r *run) kill() {
	r.c.proc.Kill()
	// Should somebody else hold the pipes' other ends, they end here.
	past := time.Unix(1, 0)
	_ = errors.Join(r.c.to.SetWriteDeadline(past), r.c.from.SetReadDeadline(past))
}

func (r *run) settle() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled = true
	return r.blame
}

// over is the error of a task that went over a limit.
func (r *run) over(format string, args ...any) error {
	return errs.New(errs.TooLarge, "the work "+format, args...)
}

// watch holds the task to its limits until stopped is closed.
func (r *run) watch(ctx context.Context, stopped <-chan struct{}) {
	l := r.pool.o.Limits
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-stopped:
			return
		case <-ctx.Done():
			r.stop(context.Cause(ctx))
			return
		case <-tick.C:
		}
		m, err := r.c.memory()
		if err != nil {
			continue // it is dead, which the exchange notices
		}
		if !r.begun.Load() && time.Since(r.start) > r.pool.o.begin {
			r.kill() // for no fault of this task's
			continue
		}
		r.mu.Lock()
		r.peak = max(r.peak, m.rss)
		r.mu.Unlock()
		cpu, err := r.c.cpu()
		switch {
		case m.rss > r.c.ready.rss+shadow*l.Memory+spare/2:
			r.stop(r.overMemory())
		case err == nil && cpu-r.cpu > l.CPU:
			r.stop(r.overCPU())
		case time.Since(r.start) > l.Wall:
			r.stop(r.over("took longer than %v", l.Wall))
		}
	}
}

func (r *run) overMemory() error {
	return r.over("took more than %s of memory", units.Bytes(float64(r.pool.o.Limits.Memory)))
}

func (r *run) overCPU() error {
	return r.over("took more than %v of processor time", r.pool.o.Limits.CPU)
}

// usage measures what the task took, alive or dead.
func (r *run) usage() Usage {
	u := Usage{Wall: time.Since(r.start)}
	if cpu, err := r.c.cpu(); err == nil {
		u.CPU = cpu - r.cpu
	}
	select {
	case <-r.c.proc.Ended():
		u.CPU = max(0, r.c.proc.CPU()-r.cpu)
	default:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if m, err := r.c.memory(); err == nil {
		r.peak = max(r.peak, m.rss)
		if m.peak > r.c.peak { // this task raised it
			r.peak, r.c.peak = max(r.peak, m.peak), m.peak
		}
	}
	u.MaxRSS = r.peak
	return u
}

// verdict says why a task took its child along.
func (r *run) verdict(u Usage, err, blame error) error {
	var own outError
	said := r.c.said.last()
	switch {
	case blame != nil:
		if errs.Is(blame, errs.TooLarge) {
			r.pool.count(&r.pool.stats.Over)
		}
		return blame
	case errors.As(err, &own):
		return own.error
	case !r.begun.Load(): // what it sent before is its predecessor's fault
		return errUnbegun
	case u.CPU > r.pool.o.Limits.CPU:
		r.pool.count(&r.pool.stats.Over)
		return r.overCPU()
	case outOfMemory(said):
		r.pool.count(&r.pool.stats.Over)
		return r.overMemory()
	}
	r.pool.count(&r.pool.stats.Died)
	how := "it ended"
	if errors.Is(err, errFrame) {
		how = "it " + err.Error()
	} else if end := r.c.proc.Err(); end != nil {
		how = end.Error()
	}
	return fmt.Errorf("%w: %s: %s", ErrDied, how, said)
}

// outOfMemory knows how Go's runtime takes leave when the system gives no more memory.
func outOfMemory(said string) bool {
	for _, s := range []string{"out of memory", "cannot allocate memory", "failed to create new OS thread",
		"ThreadSanitizer failed to allocate", "too many address space collisions"} {
		if strings.Contains(said, s) {
			return true
		}
	}
	return false
}

// exchange sends the task and reads answers up to its result.
func (r *run) exchange(head task) (result, error) {
	if err := writeJSON(r.c.to, frameTask, head); err != nil {
		return result{}, err
	}
	for {
		kind, payload, err := r.read()
		if err != nil {
			return result{}, err
		}
		switch {
		case kind == frameBegin && len(payload) == 0 && !r.begun.Load():
			r.begun.Store(true)
		case kind == frameResult && r.begun.Load():
			return parseResult(payload)
		case kind == frameOpen && r.begun.Load():
			if res, err := r.take(string(payload)); err != nil {
				return result{}, err
			} else if res != nil {
				return *res, nil
			}
		default:
			return result{}, fmt.Errorf("%w: a frame %q out of place", errFrame, kind)
		}
	}
}

func parseResult(payload []byte) (r result, err error) {
	if json.Unmarshal(payload, &r) != nil {
		return r, fmt.Errorf("%w: a result that cannot be read", errFrame)
	}
	return r, nil
}

func (r *run) read() (byte, []byte, error) {
	kind, payload, err := readFrame(r.c.in, r.c.buf, maxData)
	if cap(payload) > cap(r.c.buf) {
		r.c.buf = payload[:0]
	}
	return kind, payload, err
}
