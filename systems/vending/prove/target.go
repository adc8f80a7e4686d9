package prove

import (
	"context"
	"fmt"
	"time"

	"plumb/engines/lab"
)

// targetHelp is the line protocol of a user's own design for the night.
const targetHelp = `The program decides when a machine calls and what the server answers, in virtual time.
It is asked  {"ask":"first","machine":7,"machines":1888,"window_s":3000}
and answers  {"at_s":12.5}                       when that machine calls first, after midnight;
it is asked  {"ask":"arrive","now_s":12.5,"machine":7,"try":1,"waiting":40,"capacity":9.4}
and answers  {"admit":true} or {"retry_in_s":30}  whether the call is let into the queue, or when to come again.
A call that waits 10 s in the queue is given up and made again 5 s later. The fleet and the capacity are a hundredth of the others'.`

// targetScale is how much smaller the night of a user's own design is: each call
// is a line to another process and back.
const targetScale = 100

// decider is a user's own design.
type decider struct {
	t   *lab.Target
	w   world
	err error // the first; the night goes on without it
}

type question struct {
	Ask      string  `json:"ask"`
	Machine  int32   `json:"machine"`
	Machines int     `json:"machines,omitempty"`
	WindowS  float64 `json:"window_s,omitempty"`
	NowS     float64 `json:"now_s"`
	Try      int32   `json:"try,omitempty"`
	Waiting  int     `json:"waiting"`
	Capacity float64 `json:"capacity,omitempty"`
}

type decision struct {
	AtS      float64 `json:"at_s"`
	Admit    bool    `json:"admit"`
	RetryInS float64 `json:"retry_in_s"`
}

// first asks when a machine calls first.
func (d *decider) first(machine int32) time.Duration {
	a := d.ask(question{Ask: "first", Machine: machine, Machines: d.w.machines, WindowS: reportWindow.Seconds()})
	return time.Duration(max(0, min(a.AtS, d.w.horizon.Seconds())) * float64(time.Second))
}

// arrive asks whether a call is let in; wait is never under a second.
func (d *decider) arrive(now time.Duration, machine, try int32, waiting int) (wait time.Duration, admitted bool) {
	a := d.ask(question{Ask: "arrive", NowS: now.Seconds(), Machine: machine, Try: try, Waiting: waiting, Capacity: d.w.capacity})
	return time.Duration(max(1, min(a.RetryInS, 86400)) * float64(time.Second)), a.Admit
}

func (d *decider) ask(q question) (a decision) {
	if d.err == nil {
		d.err = d.t.Ask(q, &a)
	}
	return a
}

// targets runs the user's own designs beside the others.
func (h *herd) targets(ctx context.Context) error {
	list, err := h.b.Targets(ctx)
	if err != nil {
		return err
	}
	for _, t := range list {
		h.b.Progress(1, "the night of %s", t.Name)
		w := h.w
		w.machines, w.capacity = w.machines/targetScale, w.capacity/targetScale
		d := &decider{t: t, w: w}
		out := w.run(design{name: t.Name, yours: d}, nil)
		if err := t.Close(); d.err == nil && err != nil {
			d.err = fmt.Errorf("the end of %s: %w", t.Name, err)
		}
		if d.err != nil {
			return d.err
		}
		// Counts are scaled up to the question's fleet, so that a column can be read.
		out.lost, out.peak = out.lost*targetScale, out.peak*targetScale
		out.record(h.b.Design(t.Name, lab.Yours).Describe("your own design, with a hundredth of the machines; counts times a hundred"))
	}
	return nil
}
