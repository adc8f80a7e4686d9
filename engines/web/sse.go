package web

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Events sends server-sent events (WHATWG HTML, section 9.2) to one client. It
// is used by one goroutine.
type Events struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// Stream begins an answer of events. The handler sends until the request's
// context ends, and then returns nil.
func Stream(w http.ResponseWriter, r *http.Request) (*Events, error) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy that gathers would hold events back
	rc := http.NewResponseController(w)
	// The server's write timeout is for answers that end; each event sets its own.
	rc.SetWriteDeadline(time.Now().Add(30 * time.Second))
	w.WriteHeader(http.StatusOK)
	if err := rc.Flush(); err != nil {
		return nil, fmt.Errorf("begin events: %w", err)
	}
	return &Events{w, rc}, nil
}

// Send sends one event. An empty event name means "message". It returns an
// error once the client is gone; data may span lines.
func (e *Events) Send(event, data string) error {
	var b strings.Builder
	if event != "" {
		b.WriteString("event: " + oneLine(event) + "\n")
	}
	for line := range strings.SplitSeq(strings.ReplaceAll(data, "\r", "\n"), "\n") {
		b.WriteString("data: " + line + "\n")
	}
	b.WriteByte('\n')
	return e.write(b.String())
}

// Ping sends a comment that keeps proxies from closing a quiet stream.
func (e *Events) Ping() error { return e.write(":\n\n") }

func (e *Events) write(s string) error {
	e.rc.SetWriteDeadline(time.Now().Add(30 * time.Second)) // a recorder has none
	if _, err := e.w.Write([]byte(s)); err != nil {
		return fmt.Errorf("send event: %w", err)
	}
	return e.rc.Flush()
}

func oneLine(s string) string {
	return strings.NewReplacer("\r", " ", "\n", " ").Replace(s)
}
