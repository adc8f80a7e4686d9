package lab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// eventLog writes raw events as NDJSON: {"t": seconds since the experiment
// began, "event": kind, "data": {...}}. The first line tells seed and mode.
type eventLog struct {
	mu    sync.Mutex
	f     *os.File
	w     *bufio.Writer
	start time.Time
	err   error // the first failure; close reports it
}

type eventLine struct {
	T     float64 `json:"t"`
	Event string  `json:"event"`
	Data  any     `json:"data"`
}

// openEvents makes DIR/system-experiment.ndjson anew.
func openEvents(dir string, e Experiment) (*eventLog, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("folder for events: %w", err)
	}
	f, err := os.Create(filepath.Join(dir, e.System+"-"+e.Name+".ndjson"))
	if err != nil {
		return nil, fmt.Errorf("file for events: %w", err)
	}
	return &eventLog{f: f, w: bufio.NewWriterSize(f, 1<<16), start: time.Now()}, nil
}

func (l *eventLog) write(kind string, v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line, err := json.Marshal(eventLine{T: float64(time.Since(l.start).Microseconds()) / 1e6, Event: kind, Data: v})
	if err == nil {
		_, err = l.w.Write(append(line, '\n'))
	}
	if err != nil && l.err == nil {
		l.err = fmt.Errorf("write event %s: %w", kind, err)
	}
}

func (l *eventLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.w.Flush()
	if e := l.f.Close(); err == nil {
		err = e
	}
	if l.err != nil {
		return l.err
	}
	return err
}
