package farm

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"plumb/engines/farm/leash"
)

const (
	ready    = 30 * time.Second // a child may take so long to say hello
	maxSaid  = 1 << 20          // bytes that a child may write to standard error in one task
	keptSaid = 4 << 10          // of them are kept for the log
	nobody   = 65534            // who has no files
)

// child is a process that serves tasks. One caller has it at a time.
type child struct {
	proc   *leash.Process
	to     *os.File // tasks
	from   *os.File // answers
	in     *bufio.Reader
	buf    []byte // of frames
	spool  *spool
	status *os.File // /proc/PID/status: it never tells of another process
	said   *said

	ready memory // what it took when it was ready
	peak  int64  // bytes of resident memory, up to date at each task's end
	done  int    // tasks
	since time.Time
}

// start starts a child and waits until it is ready. The spool is the child's then.
func (p *Pool) start(ctx context.Context, s *spool) (*child, error) {
	c, err := p.launch(s)
	if err != nil {
		s.close()
		return nil, fmt.Errorf("start a child: %w", err)
	}
	stop := context.AfterFunc(ctx, c.proc.Kill)
	h, err := c.await()
	if err == nil {
		err = c.measure()
	}
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		c.end()
		return nil, fmt.Errorf("start a child: %w", err)
	}
	p.tell(h)
	return c, nil
}

// How far a child is kept apart, from what is wanted to what any system allows.
const (
	apart   = iota // namespaces of its own, and a user who owns nothing where the parent may choose
	another        // only such a user
	beside         // neither
)

// launch starts the process, kept apart as far as the system allows.
func (p *Pool) launch(s *spool) (*child, error) {
	for {
		p.mu.Lock()
		level := p.level
		p.mu.Unlock()
		c, err := launch(p.o, s, level)
		if err == nil || level == beside || !refused(err) {
			return c, err
		}
		p.mu.Lock()
		p.level = max(p.level, level+1)
		p.mu.Unlock()
		p.o.Log.Warn("farm: the system does not let children be kept apart as they should be", "err", err)
	}
}

// refused says whether err is how a system answers that allows no namespaces, or no other user.
func refused(err error) bool {
	for _, e := range []syscall.Errno{unix.EPERM, unix.EACCES, unix.EINVAL, unix.ENOSPC, unix.ENOSYS, unix.EUSERS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func launch(o Options, s *spool, level int) (c *child, err error) {
	var pipes [6]*os.File
	defer func() {
		for i, f := range pipes {
			if f != nil && (err != nil || i%2 == 1) {
				f.Close() // the child has its own copies of the odd ones
			}
		}
	}()
	for i := 0; i < 6; i += 2 {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		if pipes[i], pipes[i+1] = r, w; i == 0 {
			pipes[i], pipes[i+1] = w, r // what we write
		}
	}
	limits, err := json.Marshal(o.kernel())
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(o.Program, o.Args...)
	cmd.Dir = "/"
	cmd.Env = []string{
		limitsEnv + "=" + string(limits),
		"GOMEMLIMIT=" + strconv.FormatInt(o.Limits.Memory, 10),
		"GOMAXPROCS=" + strconv.Itoa(max(1, runtime.NumCPU()/o.Size)),
	}
	cmd.Stderr = pipes[5]
	cmd.ExtraFiles = []*os.File{pipes[1], pipes[3], s.child} // 3, 4 and 5
	cmd.SysProcAttr = keepApart(level, os.Geteuid(), os.Getegid())
	proc, err := leash.Start(cmd)
	if err != nil {
		return nil, err
	}
	c = &child{proc: proc, to: pipes[0], from: pipes[2], spool: s, said: &said{pipe: pipes[4], done: make(chan struct{})}}
	c.in = bufio.NewReaderSize(c.from, maxData)
	go c.said.read()
	return c, nil
}

// keepApart asks for no network, no sight of other processes and, where the parent may
// choose, a user who owns nothing.
func keepApart(level, uid, gid int) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{}
	if uid == 0 && level < beside {
		a.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	if level == apart {
		a.Cloneflags = unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWIPC
		if uid != 0 {
			a.Cloneflags |= unix.CLONE_NEWUSER
			a.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
			a.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		}
	}
	return a
}

// isolation names what keepApart could do.
func isolation(level, uid int) (list []string) {
	if level == apart {
		list = append(list, "no network and no other processes (namespaces)")
	}
	if uid == 0 && level < beside {
		list = append(list, "a user who owns nothing")
	}
	return list
}

// await reads the child's hello.
func (c *child) await() (h hello, err error) {
	if err := c.from.SetReadDeadline(time.Now().Add(ready)); err != nil {
		return h, err
	}
	kind, payload, err := readFrame(c.in, nil, maxData)
	if err == nil && (kind != frameHello || json.Unmarshal(payload, &h) != nil || h.Version != version) {
		err = errFrame
	}
	if err != nil {
		c.proc.Kill()
		<-c.proc.Ended()
		return h, fmt.Errorf("it does not serve: %w (%v): %s", err, c.proc.Err(), c.said.last())
	}
	return h, c.from.SetReadDeadline(time.Time{})
}

// measure notes what the child takes before it sees any input.
func (c *child) measure() (err error) {
	if c.status, err = os.Open(fmt.Sprintf("/proc/%d/status", c.proc.Pid())); err != nil {
		return err
	}
	c.ready, err = c.memory()
	c.peak = c.ready.peak
	return err
}

// memory is what a process takes, in bytes.
type memory struct{ space, rss, peak int64 } // address space; resident now, and at most

func (c *child) memory() (m memory, err error) {
	var buf [4096]byte
	n, err := c.status.ReadAt(buf[:], 0)
	if n == 0 {
		return m, fmt.Errorf("memory of the child: %w", err)
	}
	for line := range bytes.Lines(buf[:n]) {
		for name, v := range map[string]*int64{"VmSize:": &m.space, "VmRSS:": &m.rss, "VmHWM:": &m.peak} {
			rest, ok := bytes.CutPrefix(line, []byte(name))
			if !ok {
				continue
			}
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(string(rest)), "kB")), 10, 64)
			if err != nil {
				return m, fmt.Errorf("memory of the child: %w", err)
			}
			*v = kib << 10
		}
	}
	if m.rss == 0 { // a dead process has no lines for its memory
		return m, errors.New("memory of the child: it has none")
	}
	return m, nil
}

// cpu returns the processor time of the child's threads, those that ended included.
func (c *child) cpu() (time.Duration, error) {
	var t unix.Timespec
	// The clock of another process; see clock_getcpuclockid(3).
	if err := unix.ClockGettime(int32(^c.proc.Pid()<<3|2), &t); err != nil {
		return 0, fmt.Errorf("processor time of the child: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

// end kills the child, waits until it is gone and closes what belonged to it.
func (c *child) end() {
	c.leave()
	c.spool.close()
}

// leave is end but for the spool, which another child may take.
func (c *child) leave() {
	c.proc.Kill()
	<-c.proc.Ended()
	c.said.last()
	c.to.Close()
	c.from.Close()
	if c.status != nil {
		c.status.Close()
	}
}

// said keeps the beginning of what a child writes to standard error in one task: a
// panic's text is at the beginning.
type said struct {
	pipe *os.File
	done chan struct{}

	mu    sync.Mutex
	head  []byte
	n     int64
	flood func() // called once, when the child does not stop
}

func (s *said) read() {
	defer close(s.done)
	defer s.pipe.Close()
	buf := make([]byte, 8<<10)
	for {
		n, err := s.pipe.Read(buf)
		s.mu.Lock()
		s.head = append(s.head, buf[:min(n, keptSaid-len(s.head))]...)
		s.n += int64(n)
		if s.n > maxSaid && s.flood != nil {
			s.flood()
			s.flood = nil
		}
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// next begins a new task.
func (s *said) next(flood func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.head, s.n, s.flood = s.head[:0], 0, flood
}

// last returns what the child, which has ended, had said.
func (s *said) last() string {
	// Whoever inherited the pipe and escaped must not hold us up.
	_ = s.pipe.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	<-s.done
	s.mu.Lock()
	defer s.mu.Unlock()
	return plain(string(s.head))
}
