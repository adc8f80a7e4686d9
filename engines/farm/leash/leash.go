// Package leash starts a process that does not outlive the one that started it,
// however that ends, and that takes its own children along.
//
//	p, err := leash.Start(exec.Command("/proc/self/exe", "serve"))
//	...
//	defer p.Kill()
//	<-p.Ended()
//
// A process has a group of its own, so that a terminal's interrupt goes to its parent
// alone, and so that whatever it started can be ended with it.
package leash

import (
	"errors"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a started process. It is safe for concurrent use.
type Process struct {
	cmd    *exec.Cmd
	ended  chan struct{} // closed when the process is gone
	err    error         // how it ended; after ended
	mu     sync.Mutex
	reaped bool // its process id may be somebody else's now
}

// Start starts cmd. What cmd.SysProcAttr asks for besides is kept.
func Start(cmd *exec.Cmd) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig, cmd.SysProcAttr.Setpgid = syscall.SIGKILL, true
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The death signal is sent when the thread that started the process ends,
		// so this one lives as long as the process does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.reap()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// reap waits for the end. The dead process keeps its id, and with it the group's, until
// what is left of the group is ended too.
func (p *Process) reap() {
	for {
		err := unix.Waitid(unix.P_PID, p.Pid(), nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	p.mu.Lock()
	_ = syscall.Kill(-p.Pid(), syscall.SIGKILL) // nobody may be left in it
	p.reaped = true
	p.mu.Unlock()
	p.err = p.cmd.Wait()
	close(p.ended)
}

// Kill kills the process and its group, and does not wait. It may be called at any time,
// and again.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(-p.Pid(), syscall.SIGKILL) // it may be dead already
	}
}

// Signal sends a signal to the process alone.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Pid returns the process's id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Ended is closed when the process is gone.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Err says how the process ended, once it has: nil, an *exec.ExitError or another.
func (p *Process) Err() error { return p.err }

// CPU returns the processor time that the process and its ended children took, once it
// has ended.
func (p *Process) CPU() time.Duration {
	<-p.ended
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}
