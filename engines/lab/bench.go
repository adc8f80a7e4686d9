package lab

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
)

// Bench is what an experiment measures on. Its methods are for one goroutine,
// except Progress and Event.
type Bench struct {
	Full  bool   // the question's own numbers, however long; otherwise about 8 s
	Sweep bool   // sweep every assumption, not only what the break-even needs
	Seed  uint64 // the same seed gives the same workload

	result   *Result
	events   *eventLog
	progress func(share float64, text string)
	targets  []string
	temp     []string
	fault    error
}

// Design adds a design to the result. The order of the calls is the order of
// the tables.
func (b *Bench) Design(name string, kind Kind, promises ...string) *Design {
	for _, d := range b.result.Designs {
		if d.Name == name && b.fault == nil {
			b.fault = fmt.Errorf("design %s: added twice", name)
		}
	}
	if promises == nil {
		promises = []string{}
	}
	d := &Design{Name: name, Kind: kind, Promises: promises, Metrics: map[string]float64{}, answers: map[string]string{}}
	b.result.Designs = append(b.result.Designs, d)
	return d
}

// Describe sets the design's sentence and returns it.
func (d *Design) Describe(text string) *Design {
	d.Text = text
	return d
}

// Progress tells whoever watches how far the experiment is (share 0 to 1) and
// what it does. It is safe for concurrent use.
func (b *Bench) Progress(share float64, format string, args ...any) {
	b.progress(min(1, max(0, share)), fmt.Sprintf(format, args...))
}

// Note adds a sentence that a reader needs to judge the figures.
func (b *Bench) Note(format string, args ...any) {
	b.result.Notes = append(b.result.Notes, fmt.Sprintf(format, args...))
}

// BreakEven records where the verdict turns.
func (b *Bench) BreakEven(assumption string, value float64, unit string) {
	b.result.BreakEven = &BreakEven{Assumption: assumption, Value: value, Unit: unit}
}

// Point records one design's figures at one setting of the assumptions.
func (b *Bench) Point(assumptions map[string]float64, design string, metrics map[string]float64) {
	b.result.Sweep = append(b.result.Sweep, SweepPoint{Assumptions: assumptions, Design: design, Metrics: metrics})
}

// Rand returns a random stream of that name: independent of the other streams,
// the same for the same seed.
func (b *Bench) Rand(name string) *rand.Rand { return Rand(b.Seed, name) }

// Rand returns the random stream of that name under a seed.
func Rand(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// TempDir returns a new folder that is removed when the experiment ends.
func (b *Bench) TempDir() (string, error) {
	dir, err := os.MkdirTemp("", "plumb-lab-")
	if err != nil {
		return "", fmt.Errorf("temporary folder for %s: %w", b.result.Experiment, err)
	}
	b.temp = append(b.temp, dir)
	return dir, nil
}

// Recording says whether --events asked for the raw events.
func (b *Bench) Recording() bool { return b.events != nil }

// Event writes one raw event: kind, then the fields of v (a struct or map) as
// JSON. Without --events it does nothing. It is safe for concurrent use.
func (b *Bench) Event(kind string, v any) {
	if b.events != nil {
		b.events.write(kind, v)
	}
}

// Targets starts the user's own designs. The caller closes them.
func (b *Bench) Targets(ctx context.Context) ([]*Target, error) {
	var out []*Target
	for _, t := range b.targets {
		target, err := StartTarget(ctx, t)
		if err != nil {
			for _, x := range out {
				err = errors.Join(err, x.Close())
			}
			return nil, err
		}
		out = append(out, target)
	}
	return out, nil
}

// finish returns the first misuse, or the answers that differ.
func (b *Bench) finish() error {
	err := b.fault
	first := map[string]*Design{}
	for _, d := range b.result.Designs {
		if d.fault != nil && err == nil {
			err = d.fault
		}
		for what, answer := range d.answers {
			if one, ok := first[what]; !ok {
				first[what] = d
			} else if one.answers[what] != answer && err == nil {
				err = fmt.Errorf("%s and %s answer %s differently (%.60q, %.60q): their times say nothing",
					one.Name, d.Name, what, one.answers[what], answer)
			}
		}
	}
	return err
}

func (b *Bench) clean() {
	for _, dir := range b.temp {
		os.RemoveAll(dir)
	}
}
