package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// answerLimit bounds one line of a target's answer, in bytes.
const answerLimit = 1 << 20

// Target is a user's own design: a program that is asked one JSON object a line
// on standard input and answers one JSON object a line on standard output, in
// the order of the questions. Its standard error is shown to the user. It ends
// when its input ends.
type Target struct {
	Name string // the program's name, the design's name in the tables

	cmd *exec.Cmd
	in  io.WriteCloser
	w   *bufio.Writer
	out *bufio.Scanner
}

// StartTarget starts "exec:PROGRAM [ARGS...]"; arguments are parted by spaces.
func StartTarget(ctx context.Context, spec string) (*Target, error) {
	words := strings.Fields(strings.TrimPrefix(spec, "exec:"))
	if !strings.HasPrefix(spec, "exec:") || len(words) == 0 {
		return nil, fmt.Errorf("target %q: only exec:PROGRAM is understood", spec)
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = 2 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", spec, err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", spec, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("target %s: %w", spec, err)
	}
	t := &Target{Name: spec, cmd: cmd, in: in, w: bufio.NewWriter(in), out: bufio.NewScanner(out)}
	t.out.Buffer(make([]byte, 4096), answerLimit)
	return t, nil
}

// Ask sends the question and waits for its answer, which is decoded into answer.
func (t *Target) Ask(question, answer any) error {
	line, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("ask %s: %w", t.Name, err)
	}
	t.w.Write(line)
	t.w.WriteByte('\n')
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("ask %s: %w", t.Name, err)
	}
	if !t.out.Scan() {
		err := t.out.Err()
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("%s gave no answer to %.200s: %w", t.Name, line, err)
	}
	if err := json.Unmarshal(t.out.Bytes(), answer); err != nil {
		return fmt.Errorf("%s answered %.200q to %.200s: %w", t.Name, t.out.Bytes(), line, err)
	}
	return nil
}

// Close ends the program: its input ends, and two seconds later it does.
func (t *Target) Close() error {
	t.in.Close()
	timer := time.AfterFunc(2*time.Second, func() { t.cmd.Process.Kill() })
	defer timer.Stop()
	err := t.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == -1 {
		return fmt.Errorf("target %s did not end when its input did", t.Name)
	}
	return err
}
