package leash

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// As "parent" the test binary starts a process and waits to be killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "parent" {
		p, err := Start(exec.Command("sleep", "300"))
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(p.Pid())
		select {}
	}
	os.Exit(m.Run())
}

func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

func awaitGone(t *testing.T, pid int) {
	t.Helper()
	for range 3000 {
		if !alive(pid) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d is still there", pid)
}

// printed starts a program and returns the process id that it prints.
func printed(t *testing.T, cmd *exec.Cmd, start func(*exec.Cmd) error) int {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := start(cmd); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || !alive(pid) {
		t.Fatalf("it printed %q", line)
	}
	return pid
}

func TestKillTakesTheWholeGroup(t *testing.T) {
	var p *Process
	grandchild := printed(t, exec.Command("sh", "-c", "sleep 300 & echo $!; wait"), func(cmd *exec.Cmd) (err error) {
		p, err = Start(cmd)
		return err
	})
	select {
	case <-p.Ended():
		t.Fatal("it ended by itself")
	default:
	}
	p.Kill()
	<-p.Ended()
	var exit *exec.ExitError
	if !errors.As(p.Err(), &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Error(p.Err())
	}
	awaitGone(t, grandchild)
	p.Kill() // once more does no harm
}

// One that ends by itself takes along what it left behind.
func TestTheEndTakesTheGroupToo(t *testing.T) {
	var p *Process
	grandchild := printed(t, exec.Command("sh", "-c", "sleep 300 & echo $!; sleep 0.2; exit 3"), func(cmd *exec.Cmd) (err error) {
		p, err = Start(cmd)
		return err
	})
	<-p.Ended()
	var exit *exec.ExitError
	if !errors.As(p.Err(), &exit) || exit.ExitCode() != 3 {
		t.Error(p.Err())
	}
	awaitGone(t, grandchild)
}

func TestItEndsWithItsParent(t *testing.T) {
	parent := exec.Command("/proc/self/exe", "parent")
	pid := printed(t, parent, (*exec.Cmd).Start)
	parent.Process.Kill()
	parent.Wait()
	awaitGone(t, pid)
}

func TestSignalAndCPU(t *testing.T) {
	p, err := Start(exec.Command("sh", "-c", "trap 'exit 0' TERM; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; while :; do sleep 0.01; done"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	time.Sleep(50 * time.Millisecond) // the trap is set
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.Ended()
	if p.CPU() <= 0 {
		t.Error(p.CPU())
	}
}

func TestWhatCannotBeStartedSaysSo(t *testing.T) {
	if _, err := Start(exec.Command("/nonexistent/program")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
