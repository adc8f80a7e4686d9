package farm

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"plumb/base/bounds"
	"plumb/base/errs"
)

// Parent and child send each other frames: a byte for the kind, four for the length
// (big-endian), and as much. The parent reads them as if a stranger had written them.
const (
	frameHello  = 'h' // child: ready; a hello
	frameTask   = 't' // parent: a task
	frameBegin  = 'b' // child: the task was received; whatever ends the child now is the task's
	frameOpen   = 'o' // child: an output begins; its name
	frameData   = 'd' // child: a part of that output
	frameClose  = 'c' // child: the output is whole
	frameResult = 'r' // child: the task is over; a result
)

const (
	version  = 1
	maxData  = 64 << 10 // bytes of any frame that a child sends
	maxTask  = 1 << 20  // bytes of a task's frame, parameters included
	maxName  = 255      // bytes of an output's name
	maxFiles = 10_000   // outputs of one task
	maxText  = 1 << 10  // bytes of an error's text
)

type hello struct {
	Version   int      `json:"version"`
	Isolation []string `json:"isolation"` // what the child could shut behind itself
}

type task struct {
	Name   string          `json:"name"`
	Params json.RawMessage `json:"params"`
	Size   int64           `json:"size"` // bytes of the input
}

// result is how a task ended.
type result struct {
	Failed bool      `json:"failed,omitempty"`
	Kind   errs.Kind `json:"kind,omitempty"`
	Text   string    `json:"text,omitempty"`   // for whoever asked
	Log    string    `json:"log,omitempty"`    // for the log
	Retire bool      `json:"retire,omitempty"` // the task left something running
}

func writeFrame(w io.Writer, kind byte, payload []byte) error {
	var head [5]byte
	head[0] = kind
	binary.BigEndian.PutUint32(head[1:], uint32(len(payload)))
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	_, err := w.Write(payload)
	return err
}

func writeJSON(w io.Writer, kind byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeFrame(w, kind, text)
}

// errFrame is what a child that keeps to the protocol never causes.
var errFrame = errors.New("sent what is no answer")

// readFrame reads a frame of at most most bytes into buf, which grows to that at most.
// A clean end before a frame is io.EOF.
func readFrame(r io.Reader, buf []byte, most int) (kind byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > uint32(most) {
		return 0, nil, fmt.Errorf("%w: a frame of %d bytes", errFrame, n)
	}
	if cap(buf) < int(n) {
		buf = make([]byte, n)
	}
	payload = buf[:n]
	if _, err := io.ReadFull(r, payload); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return head[0], payload, nil
}

// resultOf is what a child tells of an error.
func resultOf(err error) result {
	if err == nil {
		return result{}
	}
	return result{Failed: true, Kind: errs.KindOf(err), Text: plain(errs.Message(err)), Log: plain(err.Error())}
}

// err returns the error that a result stands for. Nothing of it is taken on trust: a
// kind that no work has reason for is Internal, and texts are made harmless.
func (r result) err() error {
	if !r.Failed {
		return nil
	}
	log := errors.New(plain(r.Log))
	switch r.Kind {
	case errs.Invalid, errs.NotFound, errs.TooLarge, errs.Busy, errs.Conflict, errs.Denied:
		return errs.Wrap(r.Kind, log, "%s", plain(r.Text))
	}
	return log
}

func plain(s string) string { return bounds.Plain(s, maxText) }
