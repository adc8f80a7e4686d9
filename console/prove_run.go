package console

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/lab"
	"plumb/engines/web"
)

// runner runs one experiment at a time as a child process and tells whoever
// watches how far it is. The child ends with this process, however that ends.
type runner struct {
	life context.Context

	mu      sync.Mutex
	now     runState
	end     context.CancelFunc // of the running child
	gone    chan struct{}      // closed when it is gone
	changed chan struct{}      // closed, and renewed, with each change of now
}

// runState is what is known of the current run, or of the last.
type runState struct {
	Active bool
	Path   string // "vending/herd"
	Full   bool
	Share  float64 // 0 to 1
	Text   string  // what is being done
	Begun  time.Time
	Failed string // why nothing was measured; empty when it went well or was stopped
}

// grace is how long a stopped child may take to end in peace.
const grace = 5 * time.Second

func newRunner(life context.Context) *runner {
	return &runner{life: life, changed: make(chan struct{})}
}

func (r *runner) state() runState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// change updates the state and wakes those who watch.
func (r *runner) change(fn func(s *runState)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fn(&r.now)
	close(r.changed)
	r.changed = make(chan struct{})
}

// start starts the child, or returns a Busy error that names what runs.
func (r *runner) start(path string, full bool, program string, args []string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now.Active {
		return errs.TryAfter(10*time.Second, "%s is running; one experiment runs at a time, so that its figures are its own", r.now.Path)
	}
	ctx, end := context.WithCancel(r.life)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	// Its own children die with it, as it does with us.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	progress, err := cmd.StderrPipe()
	if err != nil {
		end()
		return errs.Wrap(errs.Internal, err, "run %s", path)
	}
	r.now = runState{Active: true, Path: path, Full: full, Text: "starting", Begun: clock.System{}.Now()}
	r.end, r.gone = end, make(chan struct{})
	go r.attend(ctx, cmd, progress, r.gone)
	return nil
}

// attend starts the child, follows it and clears up after it.
func (r *runner) attend(ctx context.Context, cmd *exec.Cmd, progress io.Reader, gone chan struct{}) {
	// The death signal is sent when the thread that started the child ends, so
	// this goroutine keeps its thread as long as the child lives.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(gone)
	var said string
	err := cmd.Start()
	if err == nil {
		said = r.follow(progress)
		err = cmd.Wait()
	}
	failed := ""
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil: // stopped
	case errors.As(err, &exit) && exit.ExitCode() == lab.ExitFails && said == "":
		// A claim does not hold: that is a result, and stands in it.
	case err != nil:
		failed = strings.TrimSpace(err.Error() + ". " + said)
	}
	r.end()
	r.change(func(s *runState) { s.Active, s.Failed = false, failed })
}

// follow reads progress until the child closes its standard error, and returns
// the end of whatever else it said there.
func (r *runner) follow(progress io.Reader) (said string) {
	in := bufio.NewScanner(progress)
	in.Buffer(nil, 16<<20) // a line may hold a whole result with its sweep
	for in.Scan() {
		var p lab.Progress
		if json.Unmarshal(in.Bytes(), &p) != nil || p.Event == "" {
			said += in.Text() + "\n"
			said = said[max(0, len(said)-2000):]
			continue
		}
		r.change(func(s *runState) {
			s.Share = min(1, max(0, p.Share))
			if p.Text != "" {
				s.Text = p.Text
			}
		})
	}
	// A line too long to read must not make the child wait for ever.
	_, _ = io.Copy(io.Discard, progress)
	return strings.ToValidUTF8(strings.TrimSpace(said), "\uFFFD")
}

// stop ends the running child and waits until it is gone.
func (r *runner) stop(ctx context.Context) error {
	r.mu.Lock()
	if !r.now.Active {
		r.mu.Unlock()
		return nil
	}
	gone := r.gone
	r.end()
	r.mu.Unlock()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return errs.TryAfter(grace, "the experiment is still ending")
	}
}

// events sends the run's progress: "progress" with {share, text}, and "done"
// when nothing runs any more.
func (r *runner) events(w http.ResponseWriter, req *http.Request) error {
	ev, err := web.Stream(w, req)
	if err != nil {
		return err
	}
	for {
		r.mu.Lock()
		now, changed := r.now, r.changed
		r.mu.Unlock()
		if !now.Active {
			_ = ev.Send("done", "{}") // the reader may be gone
			return nil
		}
		line, err := json.Marshal(map[string]any{"share": now.Share, "text": now.Text})
		if err != nil {
			return err
		}
		if ev.Send("progress", string(line)) != nil {
			return nil
		}
		select {
		case <-req.Context().Done():
			return nil
		case <-changed:
		case <-time.After(15 * time.Second):
			if ev.Ping() != nil {
				return nil
			}
		}
	}
}
