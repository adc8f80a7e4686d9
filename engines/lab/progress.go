package lab

import (
	"encoding/json"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Progress is one line of --progress ndjson on standard error: what the
// console's Prove tab shows while its child runs.
type Progress struct {
	Event      string  `json:"event"` // "begin", "progress", "result", "end"
	System     string  `json:"system,omitempty"`
	Experiment string  `json:"experiment,omitempty"`
	Share      float64 `json:"share"` // of this experiment, 0 to 1
	Text       string  `json:"text,omitempty"`
	Index      int     `json:"index"` // this experiment's place, from 0
	Count      int     `json:"count"` // experiments in all
	Result     *Result `json:"result,omitempty"`
	Exit       int     `json:"exit"` // in "end": what the process exits with
}

// teller shows progress: as lines of JSON, as a bar on a terminal, or not at all.
type teller struct {
	mu   sync.Mutex
	json io.Writer
	bar  *progressbar.ProgressBar
	last time.Time
}

func newTeller(mode string, stderr io.Writer) *teller {
	t := &teller{}
	f, isFile := stderr.(*os.File)
	switch {
	case mode == "ndjson":
		t.json = stderr
	case mode == "" && isFile && term.IsTerminal(int(f.Fd())):
		t.bar = progressbar.NewOptions(1000, progressbar.OptionSetWriter(stderr), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetWidth(24), progressbar.OptionSetPredictTime(false), progressbar.OptionShowElapsedTimeOnFinish())
	}
	return t
}

// tell shows p. Progress that comes in a rush is thinned to ten lines a second.
func (t *teller) tell(p Progress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.Event == "progress" {
		if time.Since(t.last) < 100*time.Millisecond {
			return
		}
		t.last = time.Now()
	}
	switch {
	case t.json != nil:
		if line, err := json.Marshal(p); err == nil {
			t.json.Write(append(line, '\n')) // a watcher that went away is no reason to stop
		}
	case t.bar != nil && p.Event == "progress":
		t.bar.Describe(p.System + "/" + p.Experiment + ": " + p.Text)
		t.bar.Set(int((float64(p.Index) + p.Share) / float64(max(1, p.Count)) * 1000))
	case t.bar != nil && (p.Event == "result" || p.Event == "end"):
		t.bar.Clear()
	}
}
